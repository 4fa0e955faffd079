//! Queries: SELECT, VALUES, set operations, WITH, ORDER BY and limits.

use super::{Expr, FromClause, Ident, ObjectName, TableHint};
use crate::span::Span;

/// A query with everything around it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SqlQuery {
    /// WITH
    pub with: Option<WithClause>,
    /// What gives the rows.
    pub body: SqlQueryBody,
    /// ORDER BY
    pub order_by: Vec<OrderItem>,
    /// OFFSET, a number without sign.
    pub offset: Option<Expr>,
    /// LIMIT or FETCH FIRST, a number without sign. LIMIT ALL is none.
    pub limit: Option<Expr>,
    /// Where it stands.
    pub span: Span,
}

/// What gives the rows of a query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlQueryBody {
    /// SELECT
    Select(Box<SqlSelect>),
    /// VALUES: rows as [`ExprKind::Row`](super::ExprKind::Row), or single values.
    Values(Vec<Expr>),
    /// TABLE t
    Table(ObjectName),
    /// A query in parentheses.
    Query(Box<SqlQuery>),
    /// UNION and the like.
    SetOperation {
        /// Which one.
        operator: SetOperator,
        /// ALL, DISTINCT or neither, which means DISTINCT.
        quantifier: SelectQuantifier,
        /// Two or more inputs; more only of one operator and quantifier in a row.
        inputs: Vec<SqlQueryBody>,
    },
}

/// Operations on the rows of two queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetOperator {
    /// UNION
    Union,
    /// INTERSECT
    Intersect,
    /// EXCEPT
    Except,
}

/// ALL, DISTINCT, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SelectQuantifier {
    /// Neither.
    None,
    /// ALL
    All,
    /// DISTINCT
    Distinct,
}

/// WITH
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WithClause {
    /// RECURSIVE
    pub recursive: bool,
    /// The tables.
    pub tables: Vec<CommonTable>,
}

/// A table of WITH.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommonTable {
    /// The name.
    pub name: Ident,
    /// Names of its columns.
    pub columns: Vec<Ident>,
    /// Its rows.
    pub query: Box<SqlQuery>,
}

/// SELECT ... FROM ... WHERE ...
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SqlSelect {
    /// `/*+ ... */` behind SELECT.
    pub hints: Vec<TableHint>,
    /// DISTINCT or ALL.
    pub quantifier: SelectQuantifier,
    /// What is selected.
    pub items: Vec<SelectItem>,
    /// FROM
    pub from: Option<FromClause>,
    /// WHERE
    pub filter: Option<Expr>,
    /// GROUP BY
    pub group_by: Option<GroupByClause>,
    /// HAVING
    pub having: Option<Expr>,
    /// WINDOW
    pub windows: Vec<NamedWindow>,
    /// QUALIFY
    pub qualify: Option<Expr>,
    /// Where it stands.
    pub span: Span,
}

/// An item of SELECT. `*` and `t.*` are wildcards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SelectItem {
    /// The expression.
    pub expr: Expr,
    /// Its name.
    pub alias: Option<Ident>,
}

/// GROUP BY
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupByClause {
    /// GROUP BY DISTINCT leaves out grouping sets that are there twice.
    pub quantifier: SelectQuantifier,
    /// What is grouped by.
    pub elements: Vec<GroupingElement>,
    /// Where it stands.
    pub span: Span,
}

/// An element of GROUP BY.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GroupingElement {
    /// `()`: all rows are one group.
    Empty,
    /// An expression, or a row of several: `(a, b)`.
    Expr(Expr),
    /// GROUPING SETS
    GroupingSets(Vec<GroupingElement>),
    /// ROLLUP
    Rollup(Vec<Expr>),
    /// CUBE
    Cube(Vec<Expr>),
}

/// An item of ORDER BY.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderItem {
    /// What is ordered by.
    pub expr: Expr,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST or NULLS LAST.
    pub nulls: Option<NullOrder>,
}

/// Where NULL comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NullOrder {
    /// NULLS FIRST
    First,
    /// NULLS LAST
    Last,
}

/// A window of WINDOW.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedWindow {
    /// The name.
    pub name: Ident,
    /// The window.
    pub window: WindowSpecification,
}

/// OVER
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OverClause {
    /// A window of WINDOW.
    Named(Ident),
    /// One of its own.
    Window(Box<WindowSpecification>),
}

/// A window of OVER.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowSpecification {
    /// The window of WINDOW that it builds upon.
    pub base: Option<Ident>,
    /// PARTITION BY
    pub partition_by: Vec<Expr>,
    /// ORDER BY
    pub order_by: Vec<OrderItem>,
    /// ROWS or RANGE
    pub frame: Option<WindowFrame>,
    /// Where it stands.
    pub span: Span,
}

/// Which rows around the current one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowFrame {
    /// What is counted.
    pub unit: WindowFrameUnit,
    /// From here.
    pub start: FrameBound,
    /// To there; without it to the current row.
    pub end: Option<FrameBound>,
}

/// What a frame counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowFrameUnit {
    /// Rows.
    Rows,
    /// Values of what is ordered by.
    Range,
}

/// A bound of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FrameBound {
    /// CURRENT ROW
    CurrentRow,
    /// UNBOUNDED PRECEDING
    UnboundedPreceding,
    /// UNBOUNDED FOLLOWING
    UnboundedFollowing,
    /// `a PRECEDING`
    Preceding(Box<Expr>),
    /// `a FOLLOWING`
    Following(Box<Expr>),
}
