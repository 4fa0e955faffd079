//! Statements as trees. Plain data: built by the parser, walked by planners.
//!
//! - [`name`]: identifiers, with the case that they were written in.
//! - [`expr`], [`builtin`], [`literal`]: expressions; functions with a syntax of their own; constants.
//! - [`query`], [`from`], [`matching`]: SELECT and what is around it, tables, MATCH_RECOGNIZE.
//! - [`statement`]: all statements, with the short ones; [`table`], [`alter`], [`create`], [`dml`]
//!   hold the long ones.
//!
//! Every expression, identifier, column and table carries its [`Span`](crate::Span), which does not
//! count when trees are compared. `Display` of any part is SQL that parses to an equal tree.

pub mod alter;
pub mod builtin;
pub mod create;
pub mod dml;
pub mod expr;
pub mod from;
pub mod literal;
pub mod matching;
pub mod name;
pub mod query;
pub mod statement;
pub mod table;

pub use alter::{AlterAction, AlterTable, ColumnPosition, ColumnPositionSpec, SchemaChange};
pub use builtin::{
    BuiltinCall, JsonBehavior, JsonEmptyOrError, JsonEntry, JsonNullClause, JsonPathInput,
    JsonWrapper, TrimSide,
};
pub use create::{
    CreateFunction, CreateMaterializedTable, CreateModel, CreateView, FunctionLanguage, RefreshMode,
};
pub use dml::{
    ConflictAction, ExplainDetail, ExplainStatement, InsertStatement, PartitionSpec, Resource,
};
pub use expr::{
    ArrayConstructor, BinaryOperator, CastKind, Comparison, Expr, ExprKind, IsPredicate, LikeKind,
    Quantifier, UnaryOperator,
};
pub use expr::{FunctionArgument, FunctionCall, FunctionValue, NullTreatment, TableArgument};
pub use from::{
    FromClause, FromJoin, JoinConstraint, JoinKind, TableAlias, TableFactor, TableFactorKind,
    TableHint, TableHintOptions, TableSample,
};
pub use literal::{
    IntervalLiteral, IntervalQualifier, IntervalUnit, Literal, NumberKind, TimeUnit,
};
pub use matching::{
    AfterMatchSkip, MatchPattern, MatchRecognize, PatternKind, PatternQuantifier, RowsPerMatch,
};
pub use name::{Ident, ObjectName};
pub use query::{
    CommonTable, FrameBound, GroupByClause, GroupingElement, NamedWindow, NullOrder, OrderItem,
    OverClause, SelectItem, SelectQuantifier, SetOperator, SqlQuery, SqlQueryBody, SqlSelect,
    WindowFrame, WindowFrameUnit, WindowSpecification, WithClause,
};
pub use statement::{
    DescribeTarget, DropTarget, ExplainMode, LikeFilter, ObjectKind, ShowTarget, SqlStatement,
    StatementKind,
};
pub use table::{
    ColumnDefinition, ColumnKind, CreateTable, DistributionKind, DistributionSpec, LikeClause,
    LikeFeature, LikeMerging, SqlProperty, TableConstraint, TableElements, TableSchema,
    WatermarkSpec,
};
