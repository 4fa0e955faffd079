//! Errors of evaluation.

/// Bytes of a message. It may quote what a user wrote, which may be megabytes.
const MESSAGE_BYTES: usize = 2_000;

/// A message, cut where it would be too long to be read.
#[must_use]
pub fn readable_message(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES {
        let end = (0..=MESSAGE_BYTES).rev().find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or(0));
        message.push_str("...");
    }
    message
}

/// Why an expression has no value. The text is for the user: it says what and with which value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A value that the operation does not take: a cast that fails, a division by zero.
    #[error("{0}")]
    Value(String),
    /// The plan and the batch do not fit: a fault of the engine.
    #[error("internal: {0}")]
    Internal(String),
}

impl From<arrow_schema::ArrowError> for EvalError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        use arrow_schema::ArrowError;
        match error {
            ArrowError::DivideByZero => Self::Value("/ by zero".to_owned()),
            ArrowError::ArithmeticOverflow(text)
            | ArrowError::ComputeError(text)
            | ArrowError::ParseError(text)
            | ArrowError::CastError(text) => Self::Value(text),
            other => Self::Internal(other.to_string()),
        }
    }
}
