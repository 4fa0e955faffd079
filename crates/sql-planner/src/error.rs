//! What is wrong with a statement, where, and what may help.

use datafusion_common::DataFusionError;
use hurtig_sql_common::{EvalError, columns::UnsupportedType, readable_message};
use hurtig_sql_functions::api::CallError;
use hurtig_sql_parser::{Span, SqlParseError};

/// An error with its position in the statement's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// What is wrong.
    pub message: String,
    /// Where, if it is one place.
    pub span: Option<Span>,
    /// What may help.
    pub hint: Option<String>,
}

/// What planning gives.
pub type PlanResult<T> = Result<T, PlanError>;

impl PlanError {
    /// An error without position.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: readable_message(message.into()), span: None, hint: None }
    }

    /// An error at a position.
    #[must_use]
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::new(message) }
    }

    /// The same, at that position unless it has one.
    #[must_use]
    pub fn within(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with the nearest of the names as a hint, if one is near.
    #[must_use]
    pub fn nearest<'a>(self, name: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(name, names) {
            Some(near) => self.hint(format!("did you mean '{near}'?")),
            None => self,
        }
    }
}

/// The name that differs least, if it differs little.
fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // A name of one character is near to no other.
    let length = name.chars().count();
    let bound = (1 + length / 4).min(length.saturating_sub(1));
    let name = name.to_lowercase();
    names
        .into_iter()
        .map(|other| (distance(&name, &other.to_lowercase()), other))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other.to_owned())
}

/// How many characters must change (names are short: the parser bounds them).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

impl From<CallError> for PlanError {
    fn from(error: CallError) -> Self {
        Self::new(error.0)
    }
}

impl From<UnsupportedType> for PlanError {
    fn from(error: UnsupportedType) -> Self {
        Self::new(error.to_string())
    }
}

impl From<EvalError> for PlanError {
    fn from(error: EvalError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<SqlParseError> for PlanError {
    fn from(error: SqlParseError) -> Self {
        Self { message: error.message, span: Some(error.span), hint: error.hint }
    }
}

impl From<DataFusionError> for PlanError {
    // Statements are checked before, so that what DataFusion refuses is a fault of this crate.
    fn from(error: DataFusionError) -> Self {
        Self::new(format!("internal: {}", error.strip_backtrace()))
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn hints_are_near() {
        assert_eq!(nearest("custmer", ["name", "customer", "cust"]), Some("customer".to_owned()));
        assert_eq!(nearest("no_such_column", ["order_id", "price"]), None);
    }
}
