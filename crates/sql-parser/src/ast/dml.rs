//! INSERT and EXPLAIN.

use super::{ExplainMode, Expr, Ident, Literal, ObjectName, SqlQuery, SqlStatement, TableHint};
use crate::span::Span;

/// `(a = 1, b = 'x')`. Values are missing only in ANALYZE.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartitionSpec {
    /// Columns and values.
    pub entries: Vec<(Ident, Option<Expr>)>,
    /// Where it stands.
    pub span: Span,
}

impl PartitionSpec {
    /// The value of a column, if it is a plain literal.
    #[must_use]
    pub fn literal(&self, column: &str) -> Option<&Literal> {
        let (_, value) = self.entries.iter().find(|(name, _)| name.value == column)?;
        match &value.as_ref()?.kind {
            super::ExprKind::Literal(literal) => Some(literal),
            _ => None,
        }
    }
}

/// INSERT INTO, INSERT OVERWRITE
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InsertStatement {
    /// UPSERT, which Flink parses as INSERT.
    pub upsert: bool,
    /// OVERWRITE
    pub overwrite: bool,
    /// The table.
    pub table: ObjectName,
    /// `/*+ ... */`
    pub hints: Vec<TableHint>,
    /// PARTITION
    pub partition: Option<PartitionSpec>,
    /// The columns, if they are named.
    pub columns: Vec<ObjectName>,
    /// The rows.
    pub query: Box<SqlQuery>,
    /// ON CONFLICT DO
    pub on_conflict: Option<ConflictAction>,
    /// Where it stands.
    pub span: Span,
}

/// What is done with rows of equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConflictAction {
    /// ERROR
    Error,
    /// NOTHING
    Nothing,
    /// DEDUPLICATE
    Deduplicate,
}

/// EXPLAIN
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExplainStatement {
    /// How it was written.
    pub mode: ExplainMode,
    /// What more is shown.
    pub details: Vec<ExplainDetail>,
    /// What is explained: a query, INSERT, a statement set, CREATE TABLE AS.
    pub statement: Box<SqlStatement>,
}

/// What EXPLAIN shows besides the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExplainDetail {
    /// ESTIMATED_COST
    EstimatedCost,
    /// CHANGELOG_MODE
    ChangelogMode,
    /// JSON_EXECUTION_PLAN
    JsonExecutionPlan,
    /// PLAN_ADVICE
    PlanAdvice,
}

/// A file that a function needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// JAR: its path.
    pub jar: String,
    /// Where it stands.
    pub span: Span,
}
