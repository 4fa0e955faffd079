//! Why a statement could not be done.

use hurtig::ExecuteError;
use hurtig_sql_parser::{Span, SqlErrorKind, SqlParseError};
use hurtig_sql_planner::{PlanError, stream::StreamPlanError};
use hurtig_types::chain_text;

use crate::session::ClusterError;

/// Why a statement could not be done.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The statement is wrong: its text, or what it names.
    #[error("{}", .0.message)]
    Statement(SqlParseError),
    /// It was right, but its job could not run to its end.
    #[error("{}", chain_text(.0))]
    Execution(#[from] ExecuteError),
    /// The cluster that it was to run on has not done it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A fault of the engine.
    #[error("internal: {0}")]
    Internal(String),
}

impl SqlError {
    /// A mistake in a statement, where it is known.
    pub(crate) fn invalid(message: impl Into<String>, span: Option<Span>) -> Self {
        let span = span.unwrap_or_default();
        let (kind, message) = (SqlErrorKind::Invalid, message.into());
        Self::Statement(SqlParseError { kind, message, span, hint: None })
    }

    /// The same, at that position unless it has one.
    pub(crate) fn within(mut self, span: Span) -> Self {
        if let Self::Statement(error) = &mut self
            && error.span.start >= error.span.end
        {
            error.span = span;
        }
        self
    }

    /// For people: a mistake with its line and a caret below it.
    #[must_use]
    pub fn render(&self, script: &str) -> String {
        match self {
            Self::Statement(error) if error.span.start < error.span.end => error.render(script),
            Self::Statement(SqlParseError { message, hint: Some(hint), .. }) => {
                format!("{message}\n  hint: {hint}")
            }
            other => other.to_string(),
        }
    }

    /// True if the statement was refused before anything ran.
    #[must_use]
    pub fn is_of_planning(&self) -> bool {
        matches!(self, Self::Statement(_))
    }
}

impl From<SqlParseError> for SqlError {
    fn from(error: SqlParseError) -> Self {
        Self::Statement(error)
    }
}

impl From<PlanError> for SqlError {
    fn from(error: PlanError) -> Self {
        let span = error.span.unwrap_or_default();
        let PlanError { message, hint, .. } = error;
        Self::Statement(SqlParseError { kind: SqlErrorKind::Invalid, message, span, hint })
    }
}

impl From<StreamPlanError> for SqlError {
    fn from(error: StreamPlanError) -> Self {
        PlanError::from(error).into()
    }
}
