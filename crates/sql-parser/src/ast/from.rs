//! FROM: tables, functions that give tables, joins, hints.

use super::{Expr, FunctionCall, Ident, MatchRecognize, ObjectName, SqlQuery};
use crate::span::Span;

/// A table and what is joined to it, from left to right. A comma is a join of its own kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FromClause {
    /// The first table.
    pub first: TableFactor,
    /// The others.
    pub joins: Vec<FromJoin>,
}

/// A join.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FromJoin {
    /// Which rows remain.
    pub kind: JoinKind,
    /// NATURAL
    pub natural: bool,
    /// The table on the right.
    pub right: TableFactor,
    /// ON or USING
    pub constraint: Option<JoinConstraint>,
    /// Where it stands.
    pub span: Span,
}

/// Which rows of a join remain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// A comma.
    Comma,
    /// CROSS JOIN
    Cross,
    /// INNER JOIN
    Inner,
    /// LEFT JOIN
    Left,
    /// RIGHT JOIN
    Right,
    /// FULL JOIN
    Full,
}

/// The condition of a join.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JoinConstraint {
    /// ON
    On(Expr),
    /// USING
    Using(Vec<Ident>),
}

/// Something with rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableFactor {
    /// What it is.
    pub kind: TableFactorKind,
    /// Its name in this query.
    pub alias: Option<TableAlias>,
    /// TABLESAMPLE
    pub sample: Option<TableSample>,
    /// Where it stands.
    pub span: Span,
}

/// What has rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TableFactorKind {
    /// A table or view by name.
    Table {
        /// The name.
        name: ObjectName,
        /// `/*+ ... */`
        hints: Vec<TableHint>,
        /// FOR SYSTEM_TIME AS OF: the table as it was then.
        system_time: Option<Box<Expr>>,
    },
    /// A function that gives a table, with or without `TABLE( )` around it. Windows are such
    /// functions: see [`WindowTableFunction`](crate::WindowTableFunction).
    Function {
        /// The call.
        call: Box<FunctionCall>,
        /// LATERAL: arguments may be columns of the tables before.
        lateral: bool,
        /// Whether `TABLE( )` was written.
        wrapped: bool,
    },
    /// A query.
    Query {
        /// The query.
        query: Box<SqlQuery>,
        /// LATERAL
        lateral: bool,
    },
    /// UNNEST, which is always lateral.
    Unnest {
        /// The collections.
        operands: Vec<Expr>,
        /// WITH ORDINALITY: a column with the position.
        ordinality: bool,
    },
    /// Joins in parentheses.
    Joins(Box<FromClause>),
    /// MATCH_RECOGNIZE
    Match {
        /// The rows that patterns are looked for in.
        input: Box<TableFactor>,
        /// The patterns.
        clause: Box<MatchRecognize>,
    },
}

/// AS t (a, b)
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableAlias {
    /// The name.
    pub name: Ident,
    /// Names of the columns.
    pub columns: Vec<Ident>,
}

/// TABLESAMPLE
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableSample {
    /// BERNOULLI, not SYSTEM.
    pub bernoulli: bool,
    /// The number that stands for percent.
    pub percentage: Expr,
    /// REPEATABLE
    pub seed: Option<Expr>,
}

/// A hint for the planner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableHint {
    /// Its name, such as OPTIONS.
    pub name: Ident,
    /// What stands in its parentheses.
    pub options: TableHintOptions,
}

/// What a hint says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TableHintOptions {
    /// Nothing.
    None,
    /// `'key' = 'value'`: keys and values.
    KeyValues(Vec<(Ident, String)>),
    /// Names.
    Names(Vec<Ident>),
    /// Texts and numbers.
    Literals(Vec<Expr>),
}
