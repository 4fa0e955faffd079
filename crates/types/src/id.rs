//! Identifiers. Each is a newtype of its own, so that one can never stand in for another; all of
//! them print as lower-case hexadecimal, as Flink's do, and are plain serialisable data.
//!
//! Ids are never drawn from ambient randomness here: callers hand in the 128 bits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub u128);

        impl $name {
            /// Derives an id from bytes: XXH3-128, stable across platforms and releases.
            pub fn from_bytes_hash(bytes: &[u8]) -> Self {
                Self(xxh3_128(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:032x})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(s: &str) -> Result<Self, ParseIdError> {
                let wrong = || ParseIdError::new(stringify!($name), 32, s);
                if s.len() != 32 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(wrong());
                }
                u128::from_str_radix(s, 16).map(Self).map_err(|_| wrong())
            }
        }
    };
}

/// A text that is no id: too short, too long, or not of hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("{what} must be {digits} hexadecimal digits, got {text:?}")]
pub struct ParseIdError {
    what: &'static str,
    digits: usize,
    text: String,
}

impl ParseIdError {
    pub(crate) fn new(what: &'static str, digits: usize, text: &str) -> Self {
        // Whatever was sent, an error stays one line.
        Self { what, digits, text: text.chars().take(80).collect() }
    }
}

hex_id!(
    /// One submitted job.
    JobId
);
hex_id!(
    /// One logical operator; stable across rebuilds of the same program, so that state finds its
    /// operator again.
    OperatorId
);
hex_id!(
    /// One vertex of a JobGraph (a chain of operators); equal to the id of the chain's head.
    JobVertexId
);
hex_id!(
    /// One grant of a slot to a job.
    AllocationId
);
hex_id!(
    /// What the structure of a JobGraph hashes to: two builds of one program have the same.
    GraphFingerprint
);
hex_id!(
    /// One TaskExecutor, for as long as its process lives.
    ResourceId
);

/// One edge of a StreamGraph, by its position; the same in every rebuild of the same program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgeId(pub u32);

impl fmt::Display for EdgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// One attempt to run one subtask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExecutionAttemptId {
    /// The job.
    pub job: JobId,
    /// The vertex within the job.
    pub vertex: JobVertexId,
    /// Subtask index, from 0.
    pub subtask: u32,
    /// Attempt number, from 0, counted up by every restart.
    pub attempt: u32,
}

impl fmt::Display for ExecutionAttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.vertex, self.subtask, self.attempt)
    }
}

/// What one attempt of one subtask produces on one outgoing edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResultPartitionId {
    /// The producing attempt.
    pub producer: ExecutionAttemptId,
    /// The edge.
    pub edge: EdgeId,
}

impl fmt::Display for ResultPartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.producer, self.edge)
    }
}

/// Name of a side output; unique per operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SideTag(pub std::sync::Arc<str>);

impl SideTag {
    /// A tag of that name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for SideTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_parse_as_hex() {
        let id = OperatorId::from_bytes_hash(b"source");
        assert_eq!(id.to_string().parse::<OperatorId>().unwrap(), id);
        assert!("xyz".parse::<OperatorId>().unwrap_err().to_string().contains("32 hexadecimal"));
        assert!("+0000000000000000000000000000001".parse::<JobId>().is_err());
    }
}
