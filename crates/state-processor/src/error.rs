//! What can go wrong, with the names of snapshot, operator and state.

use std::io;

use hurtig_checkpoint::RestoreError;
use hurtig_storage::{StorageError, UrlError};
use hurtig_types::{BoxError, CodecError, snapshot::StateDifference};

/// Why a snapshot, or something of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateProcessorError {
    /// A file cannot be read, or is damaged.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The metadata contradicts itself.
    #[error("{pointer} cannot be used")]
    Unsound {
        /// The snapshot.
        pointer: String,
        /// What is wrong.
        #[source]
        source: Box<RestoreError>,
    },
    /// No operator has that uid or id.
    #[error("{pointer} has no operator {wanted:?}; it has {}", names(known))]
    UnknownOperator {
        /// The snapshot.
        pointer: String,
        /// What was asked for.
        wanted: String,
        /// The operators that are there: uid, or name and id.
        known: Vec<String>,
    },
    /// The operator has no state of that name.
    #[error("operator {operator:?} has no state {state:?}; it has {}", names(known))]
    UnknownState {
        /// The operator.
        operator: String,
        /// What was asked for.
        state: String,
        /// The states that are there.
        known: Vec<String>,
    },
    /// The state is of another kind or type.
    #[error("state {state:?} of operator {operator:?} cannot be read so")]
    Incompatible {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// How they differ.
        #[source]
        difference: Box<StateDifference>,
    },
    /// Operator state is spread over subtasks in another way.
    #[error(
        "state {state:?} of operator {operator:?} cannot be read so: it is {found}, not {wanted}"
    )]
    Redistribution {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// What it is.
        found: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The bytes are no state of that type, although they are intact.
    #[error("state {state:?} of operator {operator:?} cannot be read")]
    Unreadable {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// The codec's words.
        #[source]
        source: Box<CodecError>,
    },
    /// A reader function failed.
    #[error("the reader function for operator {operator:?} failed")]
    Function {
        /// The operator.
        operator: String,
        /// Its words.
        #[source]
        source: BoxError,
    },
    /// There are no means to read files.
    #[error("cannot start to read")]
    Runtime(#[from] io::Error),
}

fn names(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

impl StateProcessorError {
    /// The error with its causes, on one line.
    pub fn chain_text(&self) -> String {
        hurtig_types::chain_text(self)
    }
}

impl From<UrlError> for StateProcessorError {
    fn from(error: UrlError) -> Self {
        StorageError::from(error).into()
    }
}
