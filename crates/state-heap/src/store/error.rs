//! What can be wrong with the use of state.

use hurtig_types::snapshot::{RedistributionMode, StateDifference};

/// Misuse of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// Two states of one operator have the same name but differ in kind or type.
    Mismatch {
        /// The name.
        name: String,
    },
    /// A handle is used with another operator's store.
    ForeignHandle,
    /// There is no current key.
    NoKey,
    /// The snapshot's state cannot be read as the program declares it.
    Changed {
        /// The name.
        name: String,
        /// How they differ.
        difference: Box<StateDifference>,
    },
    /// The snapshot's list was spread over the subtasks in another way.
    Redistributed {
        /// The name.
        name: String,
        /// In the snapshot.
        restored: RedistributionMode,
        /// In the program.
        declared: RedistributionMode,
    },
    /// Operator state cannot have a time to live.
    TimeToLive {
        /// The name.
        name: String,
    },
    /// Lists that only grow exceed 4 GiB of one key, or 32 GiB in all.
    Full,
    /// The snapshot's state is damaged.
    Unreadable {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mismatch { name } => {
                write!(f, "state {name:?} is registered twice in different ways")
            }
            Self::ForeignHandle => f.write_str("a state handle of another operator was used"),
            Self::NoKey => f.write_str("keyed state was used outside of a keyed call"),
            Self::Changed { name, difference } => {
                write!(f, "state {name:?} cannot be restored: {difference}")
            }
            Self::Redistributed { name, restored, declared } => {
                write!(
                    f,
                    "state {name:?} cannot be restored: it was spread by {restored:?} and is by \
                     {declared:?} now"
                )
            }
            Self::TimeToLive { name } => {
                write!(f, "state {name:?} is operator state, which has no time to live")
            }
            Self::Full => f.write_str(
                "state exceeds what can be kept: 4 GiB of one key, 32 GiB of one subtask",
            ),
            Self::Unreadable { name, reason } => {
                write!(f, "state {name:?} cannot be restored: {reason}")
            }
        }
    }
}

impl std::error::Error for StateError {}
