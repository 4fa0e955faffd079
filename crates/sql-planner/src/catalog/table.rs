//! Definitions that catalogs keep.

use std::{fmt, sync::Arc};

use hurtig_sql_parser::{
    ast::{DistributionSpec, Expr, SqlQuery},
    types::SqlDataType,
};
use indexmap::IndexMap;

/// The whole name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectPath {
    /// The catalog.
    pub catalog: String,
    /// The database.
    pub database: String,
    /// The object.
    pub name: String,
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.catalog, self.database, self.name)
    }
}

/// A database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseDefinition {
    /// COMMENT
    pub comment: Option<String>,
    /// WITH
    pub options: IndexMap<String, String>,
}

/// What a name in FROM stands for.
#[derive(Clone, Debug)]
pub enum CatalogEntry {
    /// A table.
    Table(Arc<TableDefinition>),
    /// A view.
    View(Arc<ViewDefinition>),
}

/// A table as it was declared, with names and types checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDefinition {
    /// The columns.
    pub columns: Vec<TableColumn>,
    /// The watermark.
    pub watermark: Option<TableWatermark>,
    /// PRIMARY KEY NOT ENFORCED
    pub primary_key: Option<PrimaryKey>,
    /// PARTITIONED BY
    pub partition_keys: Vec<String>,
    /// DISTRIBUTED
    pub distribution: Option<DistributionSpec>,
    /// WITH
    pub options: IndexMap<String, String>,
    /// COMMENT
    pub comment: Option<String>,
}

impl TableDefinition {
    /// The column of that name, and its position.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<(usize, &TableColumn)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name == name)
    }

    /// Columns that a sink is given: physical ones, and metadata that is not virtual.
    pub fn persisted(&self) -> impl Iterator<Item = &TableColumn> {
        self.columns.iter().filter(|column| match &column.kind {
            ColumnDefinitionKind::Physical => true,
            ColumnDefinitionKind::Metadata { is_virtual, .. } => !is_virtual,
            ColumnDefinitionKind::Computed(_) => false,
        })
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: SqlDataType,
    /// Where its values come from.
    pub kind: ColumnDefinitionKind,
    /// COMMENT
    pub comment: Option<String>,
}

/// Where a column's values come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnDefinitionKind {
    /// The connector reads and writes it.
    Physical,
    /// What the connector knows about the row.
    Metadata {
        /// The connector's name for it, if it is not the column's.
        key: Option<String>,
        /// It is not written.
        is_virtual: bool,
    },
    /// Computed from the others.
    Computed(Expr),
}

/// WATERMARK FOR
#[derive(Clone, Debug, PartialEq)]
pub struct TableWatermark {
    /// The event time.
    pub column: String,
    /// The watermark of a row.
    pub expression: Expr,
    /// Its type.
    pub data_type: SqlDataType,
}

/// PRIMARY KEY NOT ENFORCED
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryKey {
    /// The constraint's name.
    pub name: String,
    /// The columns.
    pub columns: Vec<String>,
}

/// A view.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewDefinition {
    /// The query, whose names mean what they meant where the view was made.
    pub query: SqlQuery,
    /// The current catalog and database when the view was made.
    pub current: (String, String),
    /// Names and types of the columns.
    pub columns: Vec<(String, SqlDataType)>,
    /// COMMENT
    pub comment: Option<String>,
}

/// A function of the user's, by the name that a job registered its implementation under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionDefinition {
    /// What implements it.
    pub implementation: String,
    /// As it was declared.
    pub language: Option<String>,
}
