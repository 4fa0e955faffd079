//! What can be wrong with a program.

/// A program that cannot become a graph. Every variant names the operators and the values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The program has no operators, or none that consumes anything.
    #[error("the program defines no sink: there is nothing to execute")]
    Empty,
    /// An input refers to an operator that does not exist.
    #[error("operator {operator:?} reads from unknown operator number {source_id}")]
    UnknownInput {
        /// The consumer.
        operator: String,
        /// The number that is unknown.
        source_id: u32,
    },
    /// Operators feed each other in a circle.
    #[error("the program has a cycle through {operators}")]
    Cycle {
        /// Names of the operators on it.
        operators: String,
    },
    /// A source has an input, or another operator has none.
    #[error("operator {operator:?} {problem}")]
    Inputs {
        /// The operator.
        operator: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Two operators have the same uid.
    #[error("uid {uid:?} is used by operators {first:?} and {second:?}; it must be unique")]
    DuplicateUid {
        /// The uid.
        uid: String,
        /// One operator.
        first: String,
        /// The other.
        second: String,
    },
    /// Parallelism must be at least 1.
    #[error("parallelism of operator {operator:?} is 0; it must be at least 1")]
    ZeroParallelism {
        /// The operator.
        operator: String,
    },
    /// Parallelism is larger than the number of key groups.
    #[error(
        "parallelism {parallelism} of operator {operator:?} is above its max parallelism {max_parallelism}"
    )]
    AboveMaxParallelism {
        /// The operator.
        operator: String,
        /// Its parallelism.
        parallelism: u32,
        /// Its max parallelism.
        max_parallelism: u32,
    },
    /// The number of key groups is out of range.
    #[error(
        "max parallelism {max_parallelism} of operator {operator:?} is not between 1 and {limit}"
    )]
    MaxParallelismRange {
        /// The operator.
        operator: String,
        /// Its max parallelism.
        max_parallelism: u32,
        /// The largest.
        limit: u32,
    },
    /// The operator cannot run in that many subtasks.
    #[error("operator {operator:?} cannot run with parallelism {parallelism}: {allowed} at most")]
    NotParallel {
        /// The operator.
        operator: String,
        /// What was set.
        parallelism: u32,
        /// What is possible.
        allowed: u32,
    },
    /// Forward needs equal parallelism.
    #[error(
        "forward partitioning from {producer:?} (parallelism {producer_parallelism}) to {consumer:?} (parallelism {consumer_parallelism}) needs equal parallelism; use rebalance or rescale"
    )]
    ForwardParallelism {
        /// The producer.
        producer: String,
        /// Its parallelism.
        producer_parallelism: u32,
        /// The consumer.
        consumer: String,
        /// Its parallelism.
        consumer_parallelism: u32,
    },
    /// A buffer timeout is below -1.
    #[error("buffer timeout {timeout_ms} ms of operator {operator:?} is below -1")]
    BufferTimeout {
        /// The operator.
        operator: String,
        /// The value.
        timeout_ms: i64,
    },
    /// Members of a co-location group differ.
    #[error(
        "operators {first:?} and {second:?} share co-location key {key:?} but differ in {what}"
    )]
    CoLocation {
        /// The key.
        key: String,
        /// One operator.
        first: String,
        /// The other.
        second: String,
        /// In what they differ.
        what: &'static str,
    },
}
