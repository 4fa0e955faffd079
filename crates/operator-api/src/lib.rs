//! The contract between the task runtime and what runs in it.
//!
//! - [`Operator`]: one operator of a chain, created by an [`OperatorFactory`].
//! - [`Output`]: what an operator writes to; it knows neither chain nor network.
//! - [`Partitioner`]: distributes the batches of one edge over its channels, created by an
//!   [`EdgeFactory`].
//! - [`OperatorCoordinator`]: the part of an operator that lives in the JobMaster.
//! - [`Program`]: all factories of a job, by operator id and edge id. It is the job's code; the
//!   graphs are its plain data.
//!
//! Everything here is called per batch. An operator sees its [`OperatorContext`], never the task.

pub mod context;
pub mod coordinator;
pub mod operator;
pub mod partitioner;
pub mod program;
pub mod snapshot;

pub use context::{EventGateway, OperatorContext};
pub use coordinator::{CoordinatorAction, CoordinatorContext, OperatorCoordinator};
pub use operator::{Operator, OperatorFactory, Output, Progress, SourcePoll};
pub use partitioner::{ChannelSink, EdgeFactory, PartitionContext, Partitioner};
pub use program::{Program, ProgramStore};
pub use snapshot::{Captured, KeyedFile, ListStateData, OperatorRestore};
