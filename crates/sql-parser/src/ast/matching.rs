//! MATCH_RECOGNIZE: patterns in the order of rows.

use super::{Expr, Ident, IntervalLiteral, OrderItem};
use crate::span::Span;

/// The clause, without the table that it stands behind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatchRecognize {
    /// PARTITION BY
    pub partition_by: Vec<Expr>,
    /// ORDER BY
    pub order_by: Vec<OrderItem>,
    /// MEASURES: what is computed, and its name.
    pub measures: Vec<(Expr, Ident)>,
    /// ONE ROW or ALL ROWS PER MATCH
    pub rows_per_match: Option<RowsPerMatch>,
    /// AFTER MATCH SKIP
    pub after_match: Option<AfterMatchSkip>,
    /// `^`: the pattern begins with the first row.
    pub anchored_start: bool,
    /// The pattern.
    pub pattern: MatchPattern,
    /// `$`: the pattern ends with the last row.
    pub anchored_end: bool,
    /// WITHIN
    pub within: Option<IntervalLiteral>,
    /// SUBSET: names for any of several variables.
    pub subsets: Vec<(Ident, Vec<Ident>)>,
    /// DEFINE: conditions of variables.
    pub define: Vec<(Ident, Expr)>,
    /// Where it stands.
    pub span: Span,
}

/// How many rows a match gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowsPerMatch {
    /// ONE ROW PER MATCH
    One,
    /// ALL ROWS PER MATCH
    All,
}

/// Where matching goes on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AfterMatchSkip {
    /// SKIP TO NEXT ROW
    ToNextRow,
    /// SKIP PAST LAST ROW
    PastLastRow,
    /// SKIP TO FIRST a
    ToFirst(Ident),
    /// SKIP TO LAST a, or SKIP TO a
    ToLast(Ident),
}

/// A pattern and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatchPattern {
    /// What it is.
    pub kind: PatternKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of patterns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PatternKind {
    /// A row that meets a variable's condition.
    Variable(Ident),
    /// One after the other; two or more.
    Sequence(Vec<MatchPattern>),
    /// One of them; two or more.
    Alternatives(Vec<MatchPattern>),
    /// All of them in any order.
    Permutation(Vec<MatchPattern>),
    /// Matched, but not given out: `{- a -}`.
    Excluded(Box<MatchPattern>),
    /// Several times.
    Repeated(Box<MatchPattern>, PatternQuantifier),
}

/// How often a pattern is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PatternQuantifier {
    /// At least.
    pub least: u32,
    /// At most.
    pub most: Option<u32>,
    /// As few times as possible.
    pub reluctant: bool,
}
