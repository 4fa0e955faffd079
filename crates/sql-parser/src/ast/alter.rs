//! ALTER: of tables, views, databases, catalogs, models and connections.

use super::{
    ColumnDefinition, DistributionSpec, Ident, IntervalLiteral, ObjectName, PartitionSpec,
    RefreshMode, SqlProperty, SqlQuery, TableConstraint, WatermarkSpec,
};

/// ALTER TABLE
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlterTable {
    /// IF EXISTS
    pub if_exists: bool,
    /// The table.
    pub name: ObjectName,
    /// What is done.
    pub action: AlterAction,
}

/// What ALTER does. Which of them fit an object is the grammar's matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AlterAction {
    /// RENAME TO
    Rename(ObjectName),
    /// RENAME a TO b
    RenameColumn {
        /// From.
        from: ObjectName,
        /// To.
        to: ObjectName,
    },
    /// SET (...)
    SetOptions(Vec<SqlProperty>),
    /// RESET (...)
    ResetOptions(Vec<String>),
    /// COMMENT
    Comment(String),
    /// AS
    Query(Box<SqlQuery>),
    /// ADD (...)
    Add(SchemaChange),
    /// MODIFY (...)
    Modify(SchemaChange),
    /// ADD DISTRIBUTION
    AddDistribution(DistributionSpec),
    /// MODIFY DISTRIBUTION
    ModifyDistribution(DistributionSpec),
    /// DROP DISTRIBUTION
    DropDistribution,
    /// DROP a, DROP (a, b)
    DropColumns(Vec<ObjectName>),
    /// DROP PRIMARY KEY
    DropPrimaryKey,
    /// DROP CONSTRAINT
    DropConstraint(Ident),
    /// DROP WATERMARK
    DropWatermark,
    /// ADD PARTITION, each with its options.
    AddPartitions {
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// The partitions.
        partitions: Vec<(PartitionSpec, Vec<SqlProperty>)>,
    },
    /// DROP PARTITION
    DropPartitions {
        /// IF EXISTS
        if_exists: bool,
        /// The partitions.
        partitions: Vec<PartitionSpec>,
    },
    /// SUSPEND
    Suspend,
    /// RESUME WITH
    Resume(Vec<SqlProperty>),
    /// REFRESH PARTITION
    Refresh(Option<PartitionSpec>),
    /// SET FRESHNESS
    SetFreshness(IntervalLiteral),
    /// SET REFRESH_MODE
    SetRefreshMode(RefreshMode),
}

/// What is added to a schema, or replaces what has the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SchemaChange {
    /// Columns with their places.
    pub columns: Vec<ColumnPositionSpec>,
    /// Constraints, with those that stood at a column.
    pub constraints: Vec<TableConstraint>,
    /// The watermark.
    pub watermark: Option<WatermarkSpec>,
}

/// A column and its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ColumnPositionSpec {
    /// The column.
    pub column: ColumnDefinition,
    /// Its place; the last, or where it was, without it.
    pub position: Option<ColumnPosition>,
}

/// The place of a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ColumnPosition {
    /// FIRST
    First,
    /// AFTER
    After(ObjectName),
}
