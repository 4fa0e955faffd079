//! From program to graph, as pure code: [`Transformation`]s -> [`StreamGraph`] -> [`JobGraph`].
//!
//! All three are plain data without code: closures and factories stay in the job's `Program`,
//! which is keyed by the operator and edge ids that are derived here. Every derivation is
//! deterministic: rebuilding the same program gives the same ids.
//!
//! Deliberately absent: anything that runs. The ExecutionGraph lives in the scheduler crate.

pub mod adaptive;
mod chaining;
pub mod distribution;
mod error;
mod explain;
pub mod job_graph;
mod operator_ids;
mod regions;
mod resolve;
pub mod stream_graph;
pub mod transformation;

#[cfg(test)]
mod tests;

pub use adaptive::AdaptiveConfig;
pub use chaining::{build_job_graph, is_chainable, pattern_of};
pub use error::GraphError;
pub use explain::ship_name;
pub use job_graph::{
    ChainedOperator, DistributionPattern, IntermediateDataSet, JobConfig, JobEdge, JobGraph,
    JobVertex, OperatorOutput, OutputTarget, RestartStrategyConfig, RestoreFrom,
};
pub use regions::pipelined_regions;
pub use resolve::{DEFAULT_SLOT_SHARING_GROUP, StreamGraphSettings, build_stream_graph};
pub use stream_graph::{StreamEdge, StreamGraph, StreamNode};
pub use transformation::{
    ChainingStrategy, OperatorKind, ShipStrategy, Transformation, TransformationId,
    TransformationInput,
};
