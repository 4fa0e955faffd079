//! CREATE TABLE and what it is made of.

use super::{Expr, Ident, ObjectName, SqlQuery};
use crate::{span::Span, types::SqlDataType};

/// `'key' = 'value'`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SqlProperty {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// Where it stands.
    pub span: Span,
}

/// CREATE TABLE, CREATE OR REPLACE TABLE and REPLACE TABLE.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreateTable {
    /// TEMPORARY
    pub temporary: bool,
    /// OR REPLACE: there may be one. Only with a query.
    pub or_replace: bool,
    /// REPLACE TABLE without CREATE: there must be one.
    pub replace: bool,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// What stands in parentheses.
    pub elements: TableElements,
    /// COMMENT
    pub comment: Option<String>,
    /// DISTRIBUTED
    pub distribution: Option<DistributionSpec>,
    /// PARTITIONED BY
    pub partitioned_by: Vec<Ident>,
    /// WITH
    pub options: Vec<SqlProperty>,
    /// LIKE
    pub like: Option<LikeClause>,
    /// AS
    pub query: Option<Box<SqlQuery>>,
}

/// What stands in the parentheses of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TableElements {
    /// No parentheses.
    None,
    /// Columns with types, constraints and watermarks.
    Schema(TableSchema),
    /// Names alone, in the order that the columns of a query are to have.
    Names(Vec<ObjectName>),
}

/// Columns, constraints and the watermark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TableSchema {
    /// The columns.
    pub columns: Vec<ColumnDefinition>,
    /// Constraints, with those that stood at a column.
    pub constraints: Vec<TableConstraint>,
    /// The watermark.
    pub watermark: Option<WatermarkSpec>,
    /// Where it stands.
    pub span: Span,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ColumnDefinition {
    /// The name. Of more than one part only in ALTER, for a field of a row.
    pub name: ObjectName,
    /// What it holds.
    pub kind: ColumnKind,
    /// COMMENT
    pub comment: Option<String>,
    /// Where it stands.
    pub span: Span,
}

/// Kinds of columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    /// What the connector reads and writes.
    Physical(SqlDataType),
    /// What the connector knows about the row.
    Metadata {
        /// The type.
        data_type: SqlDataType,
        /// FROM: the key, if it is not the column's name.
        key: Option<String>,
        /// VIRTUAL: it is not written.
        is_virtual: bool,
    },
    /// What is computed from other columns.
    Computed(Expr),
}

/// PRIMARY KEY or UNIQUE.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableConstraint {
    /// CONSTRAINT
    pub name: Option<Ident>,
    /// PRIMARY KEY, not UNIQUE.
    pub primary_key: bool,
    /// The columns.
    pub columns: Vec<Ident>,
    /// ENFORCED or NOT ENFORCED.
    pub enforced: Option<bool>,
    /// Where it stands.
    pub span: Span,
}

/// WATERMARK FOR
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatermarkSpec {
    /// The column with the event time.
    pub column: ObjectName,
    /// The watermark of a row.
    pub expr: Expr,
    /// Where it stands.
    pub span: Span,
}

/// DISTRIBUTED BY ... INTO ... BUCKETS
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DistributionSpec {
    /// HASH or RANGE
    pub kind: Option<DistributionKind>,
    /// The columns.
    pub columns: Vec<Ident>,
    /// How many buckets.
    pub buckets: Option<u32>,
    /// Where it stands.
    pub span: Span,
}

/// How rows are distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DistributionKind {
    /// HASH
    Hash,
    /// RANGE
    Range,
}

/// LIKE
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LikeClause {
    /// The table.
    pub table: ObjectName,
    /// What of it, in the order that was written.
    pub options: Vec<(LikeMerging, LikeFeature)>,
}

/// What is done with a feature of the other table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LikeMerging {
    /// INCLUDING: taken, and there must be no other.
    Including,
    /// EXCLUDING: left out.
    Excluding,
    /// OVERWRITING: taken, unless there is another.
    Overwriting,
}

/// A feature of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LikeFeature {
    /// ALL
    All,
    /// CONSTRAINTS
    Constraints,
    /// DISTRIBUTION
    Distribution,
    /// GENERATED: computed columns.
    Generated,
    /// METADATA
    Metadata,
    /// OPTIONS
    Options,
    /// PARTITIONS
    Partitions,
    /// WATERMARKS
    Watermarks,
}
