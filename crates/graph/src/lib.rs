//! From program to graph, as pure code: [`Transformation`]s -> [`StreamGraph`] -> [`JobGraph`].
//!
//! All three are plain data without code: closures and factories stay in the job's `Program`,
//! which is keyed by the operator and edge ids that are derived here. Every derivation is
//! deterministic: rebuilding the same program gives the same ids.
//!
//! Deliberately absent: anything that runs. The ExecutionGraph lives in the scheduler crate.

pub mod job_graph;
pub mod stream_graph;
pub mod transformation;

pub use job_graph::{
    ChainedOperator, DistributionPattern, IntermediateDataSet, JobConfig, JobEdge, JobGraph,
    JobVertex, OperatorOutput, OutputTarget, RestartStrategyConfig,
};
pub use stream_graph::{StreamEdge, StreamGraph, StreamNode};
pub use transformation::{
    ChainingStrategy, OperatorKind, ShipStrategy, Transformation, TransformationId,
    TransformationInput,
};
