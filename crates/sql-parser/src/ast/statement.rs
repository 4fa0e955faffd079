//! All statements.

use super::{
    AlterAction, AlterTable, CreateFunction, CreateMaterializedTable, CreateModel, CreateTable,
    CreateView, ExplainStatement, Expr, FunctionCall, FunctionLanguage, Ident, InsertStatement,
    ObjectName, PartitionSpec, SqlProperty, SqlQuery,
};
use crate::span::Span;

/// A statement and where it stands, without its semicolon.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SqlStatement {
    /// What it is.
    pub kind: StatementKind,
    /// Where it stands.
    pub span: Span,
}

/// The statements of the dialect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// A query.
    Query(Box<SqlQuery>),
    /// INSERT
    Insert(Box<InsertStatement>),
    /// `STATEMENT SET BEGIN ...; END`, always behind EXECUTE, EXPLAIN or COMPILE.
    StatementSet(Vec<InsertStatement>),
    /// EXECUTE of a query, an INSERT or a statement set: as if it stood alone.
    Execute(Box<SqlStatement>),
    /// BEGIN STATEMENT SET: the INSERTs that follow are collected until END.
    BeginStatementSet,
    /// END
    EndStatementSet,
    /// EXPLAIN
    Explain(ExplainStatement),
    /// DELETE
    Delete {
        /// The table.
        table: ObjectName,
        /// Its name in the condition.
        alias: Option<Ident>,
        /// Which rows.
        filter: Option<Expr>,
    },
    /// UPDATE
    Update {
        /// The table.
        table: ObjectName,
        /// Its name in the expressions.
        alias: Option<Ident>,
        /// Columns and their new values.
        assignments: Vec<(ObjectName, Expr)>,
        /// Which rows.
        filter: Option<Expr>,
    },
    /// TRUNCATE TABLE
    Truncate(ObjectName),
    /// CALL
    Call(Box<FunctionCall>),
    /// ANALYZE TABLE
    Analyze {
        /// The table.
        table: ObjectName,
        /// PARTITION
        partition: Option<PartitionSpec>,
        /// FOR COLUMNS; `None` is none, an empty list is FOR ALL COLUMNS.
        columns: Option<Vec<Ident>>,
    },
    /// SET; without a key, all options are shown.
    Set(Option<SqlProperty>),
    /// RESET; without a key, all options.
    Reset(Option<String>),
    /// USE CATALOG
    UseCatalog(Ident),
    /// USE
    UseDatabase(ObjectName),
    /// USE MODULES
    UseModules(Vec<Ident>),
    /// LOAD MODULE
    LoadModule {
        /// The module.
        name: Ident,
        /// WITH
        options: Vec<SqlProperty>,
    },
    /// UNLOAD MODULE
    UnloadModule(Ident),
    /// ADD JAR
    AddJar(String),
    /// REMOVE JAR
    RemoveJar(String),
    /// SHOW
    Show(ShowTarget),
    /// DESCRIBE
    Describe {
        /// What.
        target: DescribeTarget,
        /// EXTENDED
        extended: bool,
    },
    /// STOP JOB
    StopJob {
        /// The job's id.
        job: String,
        /// WITH SAVEPOINT
        savepoint: bool,
        /// WITH DRAIN
        drain: bool,
    },
    /// COMPILE PLAN
    CompilePlan {
        /// The file.
        path: String,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// AND EXECUTE
        execute: bool,
        /// INSERT or a statement set.
        statement: Box<SqlStatement>,
    },
    /// EXECUTE PLAN
    ExecutePlan(String),
    /// CREATE CATALOG
    CreateCatalog {
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// The name.
        name: Ident,
        /// COMMENT
        comment: Option<String>,
        /// WITH
        options: Vec<SqlProperty>,
    },
    /// CREATE DATABASE
    CreateDatabase {
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// The name.
        name: ObjectName,
        /// COMMENT
        comment: Option<String>,
        /// WITH
        options: Vec<SqlProperty>,
    },
    /// CREATE TABLE
    CreateTable(Box<CreateTable>),
    /// CREATE MATERIALIZED TABLE
    CreateMaterializedTable(Box<CreateMaterializedTable>),
    /// CREATE VIEW
    CreateView(CreateView),
    /// CREATE FUNCTION
    CreateFunction(CreateFunction),
    /// CREATE MODEL
    CreateModel(Box<CreateModel>),
    /// CREATE CONNECTION
    CreateConnection {
        /// TEMPORARY
        temporary: bool,
        /// SYSTEM
        system: bool,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// The name.
        name: ObjectName,
        /// COMMENT
        comment: Option<String>,
        /// WITH
        options: Vec<SqlProperty>,
    },
    /// ALTER TABLE
    AlterTable(Box<AlterTable>),
    /// ALTER of anything that is not a table or function.
    Alter {
        /// What it is: a catalog, database, view, materialized table, model or connection.
        object: ObjectKind,
        /// IF EXISTS
        if_exists: bool,
        /// Its name.
        name: ObjectName,
        /// What is done.
        action: Box<AlterAction>,
    },
    /// ALTER FUNCTION
    AlterFunction {
        /// TEMPORARY
        temporary: bool,
        /// SYSTEM
        system: bool,
        /// IF EXISTS
        if_exists: bool,
        /// The name.
        name: ObjectName,
        /// AS
        implementation: String,
        /// LANGUAGE
        language: Option<FunctionLanguage>,
    },
    /// DROP
    Drop(DropTarget),
}

impl StatementKind {
    /// Why this engine does not run such statements, if it does not. They are parsed so that the
    /// answer is this and not a syntax error.
    #[must_use]
    pub fn unsupported(&self) -> Option<&'static str> {
        match self {
            Self::CreateModel(_) | Self::Drop(DropTarget { object: ObjectKind::Model, .. }) => {
                Some("models are not supported")
            }
            Self::CreateConnection { .. }
            | Self::Drop(DropTarget { object: ObjectKind::Connection, .. }) => {
                Some("connections are not supported")
            }
            Self::CreateMaterializedTable(_)
            | Self::Drop(DropTarget { object: ObjectKind::MaterializedTable, .. }) => {
                Some("materialized tables are not supported")
            }
            Self::Alter { object: ObjectKind::Model, .. } => Some("models are not supported"),
            Self::Alter { object: ObjectKind::Connection, .. } => {
                Some("connections are not supported")
            }
            Self::Alter { object: ObjectKind::MaterializedTable, .. } => {
                Some("materialized tables are not supported")
            }
            Self::Delete { .. } | Self::Update { .. } => {
                Some("DELETE and UPDATE exist in batch mode only, for connectors that can do them")
            }
            Self::CompilePlan { .. } | Self::ExecutePlan(_) => {
                Some("plans are not compiled into files")
            }
            Self::AddJar(_) | Self::RemoveJar(_) => {
                Some("jars cannot be loaded: functions are written in Rust and registered by a job")
            }
            _ => None,
        }
    }
}

/// Kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// CATALOG
    Catalog,
    /// DATABASE
    Database,
    /// TABLE
    Table,
    /// MATERIALIZED TABLE
    MaterializedTable,
    /// VIEW
    View,
    /// FUNCTION
    Function,
    /// MODEL
    Model,
    /// CONNECTION
    Connection,
}

/// DROP
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DropTarget {
    /// What it is.
    pub object: ObjectKind,
    /// TEMPORARY
    pub temporary: bool,
    /// SYSTEM
    pub system: bool,
    /// IF EXISTS
    pub if_exists: bool,
    /// Its name.
    pub name: ObjectName,
    /// CASCADE (true) or RESTRICT, for databases.
    pub cascade: Option<bool>,
}

/// SHOW
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ShowTarget {
    /// CATALOGS
    Catalogs(Option<LikeFilter>),
    /// CURRENT CATALOG
    CurrentCatalog,
    /// CURRENT DATABASE
    CurrentDatabase,
    /// JARS
    Jars,
    /// JOBS
    Jobs,
    /// MODULES, with those that are loaded and not used if FULL.
    Modules {
        /// FULL
        full: bool,
    },
    /// DATABASES, TABLES, VIEWS, MATERIALIZED TABLES, FUNCTIONS, MODELS, CONNECTIONS
    Objects {
        /// Which.
        object: ObjectKind,
        /// USER, for functions.
        user: bool,
        /// FROM or IN
        from: Option<ObjectName>,
        /// LIKE
        like: Option<LikeFilter>,
    },
    /// PROCEDURES
    Procedures {
        /// FROM or IN
        from: Option<ObjectName>,
        /// LIKE
        like: Option<LikeFilter>,
    },
    /// COLUMNS
    Columns {
        /// FROM or IN
        table: ObjectName,
        /// LIKE
        like: Option<LikeFilter>,
    },
    /// PARTITIONS
    Partitions {
        /// The table.
        table: ObjectName,
        /// PARTITION
        partition: Option<PartitionSpec>,
    },
    /// CREATE
    Create {
        /// What it is.
        object: ObjectKind,
        /// Its name.
        name: ObjectName,
    },
}

/// [NOT] LIKE, [NOT] ILIKE
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LikeFilter {
    /// NOT
    pub negated: bool,
    /// ILIKE
    pub ignore_case: bool,
    /// The pattern.
    pub pattern: String,
}

/// DESCRIBE
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DescribeTarget {
    /// A catalog, database, table, function, model or connection.
    Object {
        /// Which.
        object: ObjectKind,
        /// Its name.
        name: ObjectName,
    },
    /// JOB: its id.
    Job(String),
}

/// How EXPLAIN was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExplainMode {
    /// EXPLAIN alone: syntax tree, optimised plan and execution plan.
    Plain,
    /// EXPLAIN PLAN FOR: the same.
    PlanFor,
}
