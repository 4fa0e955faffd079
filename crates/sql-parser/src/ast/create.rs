//! CREATE for views, functions, models and materialized tables.

use super::{
    DistributionSpec, Ident, IntervalLiteral, ObjectName, Resource, SqlProperty, SqlQuery,
    TableElements, TableSchema,
};

/// CREATE VIEW
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreateView {
    /// TEMPORARY
    pub temporary: bool,
    /// OR REPLACE
    pub or_replace: bool,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// Names of the columns.
    pub columns: Vec<Ident>,
    /// COMMENT
    pub comment: Option<String>,
    /// The query.
    pub query: Box<SqlQuery>,
}

/// CREATE FUNCTION
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreateFunction {
    /// TEMPORARY
    pub temporary: bool,
    /// SYSTEM
    pub system: bool,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// AS: what implements it.
    pub implementation: String,
    /// LANGUAGE
    pub language: Option<FunctionLanguage>,
    /// USING
    pub resources: Vec<Resource>,
    /// WITH
    pub options: Vec<SqlProperty>,
}

/// Languages of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FunctionLanguage {
    /// JAVA
    Java,
    /// SCALA
    Scala,
    /// SQL
    Sql,
    /// PYTHON
    Python,
}

/// CREATE MODEL
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreateModel {
    /// TEMPORARY
    pub temporary: bool,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// INPUT
    pub input: Option<TableSchema>,
    /// OUTPUT
    pub output: Option<TableSchema>,
    /// COMMENT
    pub comment: Option<String>,
    /// WITH
    pub options: Vec<SqlProperty>,
    /// AS
    pub query: Option<Box<SqlQuery>>,
}

/// CREATE MATERIALIZED TABLE
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreateMaterializedTable {
    /// OR ALTER
    pub or_alter: bool,
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
    /// FRESHNESS
    pub freshness: Option<IntervalLiteral>,
    /// REFRESH_MODE
    pub refresh_mode: Option<RefreshMode>,
    /// The query.
    pub query: Box<SqlQuery>,
}

/// How a materialized table is kept fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefreshMode {
    /// FULL
    Full,
    /// CONTINUOUS
    Continuous,
}
