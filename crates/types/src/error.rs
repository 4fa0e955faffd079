//! How a failure inside the data flow is told: what failed, whose fault it is, what may help.
//!
//! The scheduler looks only at the class; the text is for people. A cause is the source of the
//! error and is not repeated in its text.

use std::fmt;

use crate::CheckpointId;

/// Any error, as user code returns it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Result of a step of the data flow.
pub type FlowResult<T = ()> = Result<T, FlowError>;

/// Whose fault a failure is, and so what the scheduler may try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// User code returned an error or panicked: the region restarts under the restart strategy.
    User,
    /// Something outside failed (a file, a peer, a disk): the region restarts.
    External,
    /// The producer of a task's input is gone: the region restarts. What ended the producer is the
    /// better reason, and takes the place of this one if it becomes known.
    InputLost,
    /// An invariant of the engine does not hold: the region restarts; please report it.
    Internal,
    /// A file of the checkpoint that the attempt was to be restored from is not what was written:
    /// all of the job restarts, from an earlier checkpoint.
    DamagedState(CheckpointId),
    /// Restarting cannot help (a bad program or configuration): the job fails at once.
    Fatal,
    /// The attempt was cancelled; not a failure.
    Cancelled,
}

/// A failure of one step of the data flow, with the operator in which it happened once known.
#[derive(Debug)]
pub struct FlowError {
    /// Whose fault.
    pub class: ErrorClass,
    /// The operator's name; set by the chain as the error passes through.
    pub operator: Option<String>,
    /// What happened.
    pub source: BoxError,
}

impl FlowError {
    /// An error of that class.
    pub fn new(class: ErrorClass, source: impl Into<BoxError>) -> Self {
        Self { class, operator: None, source: source.into() }
    }

    /// User code failed.
    pub fn user(source: impl Into<BoxError>) -> Self {
        Self::new(ErrorClass::User, source)
    }

    /// Something outside the process failed.
    pub fn external(source: impl Into<BoxError>) -> Self {
        Self::new(ErrorClass::External, source)
    }

    /// An invariant of the engine was broken.
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self::new(ErrorClass::Internal, source)
    }

    /// Restarting cannot help.
    pub fn fatal(source: impl Into<BoxError>) -> Self {
        Self::new(ErrorClass::Fatal, source)
    }

    /// The attempt is being cancelled.
    pub fn cancelled() -> Self {
        Self::new(ErrorClass::Cancelled, "the task was cancelled")
    }

    /// Names the operator, unless an operator further inside already did.
    pub fn at_operator(mut self, name: &str) -> Self {
        self.operator.get_or_insert_with(|| name.to_owned());
        self
    }

    /// The text of the whole chain of causes, outermost first.
    pub fn chain_text(&self) -> String {
        chain_text(self)
    }
}

/// The text of an error and of all its causes, outermost first.
pub fn chain_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.operator {
            Some(operator) => write!(f, "operator {operator:?}: {}", self.source),
            None => self.source.fmt(f),
        }
    }
}

impl std::error::Error for FlowError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

impl From<crate::CodecError> for FlowError {
    fn from(error: crate::CodecError) -> Self {
        Self::user(error)
    }
}

impl From<crate::KeyHashError> for FlowError {
    fn from(error: crate::KeyHashError) -> Self {
        Self::user(error)
    }
}
