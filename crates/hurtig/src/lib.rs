//! Hurtig: stateful computation over bounded and unbounded streams, as Apache Flink.
//!
//! A job is an ordinary program: build a [`StreamExecutionEnvironment`], describe the computation
//! with [`DataStream`]s, call `execute`. Run alone, it starts an embedded cluster.
//!
//! ```
//! use hurtig::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let env = StreamExecutionEnvironment::new();
//! let words = env.from_collection(vec!["to be or not to be".to_owned()]);
//! let counts = words
//!     .flat_map(|line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
//!     .map(|word| (word, 1u64))
//!     .key_by(|(word, _)| word.clone())
//!     .reduce(|sum, (_, n)| sum.1 += n);
//! let mut seen = counts.execute_and_collect("word count")?;
//! seen.sort();
//! assert_eq!(seen.last(), Some(&("to".to_owned(), 2)));
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod broadcast;
mod builder;
mod client;
mod collect;
mod configuration;
mod connected;
mod environment;
mod execution;
#[cfg(feature = "cluster")]
mod host;
mod keyed;
pub mod parameters;
pub mod prelude;
pub mod progress;
pub mod raw;
mod stream;
mod windowed;

pub use broadcast::{BroadcastConnectedStream, BroadcastStream, KeyedBroadcastConnectedStream};
pub use client::JobClient;
pub use configuration::{
    CONF_DIR_VARIABLE, ConfigureError, checkpoint_config, conf_dir, configuration_of,
};
pub use connected::{ConnectedStreams, KeyedConnectedStreams};
pub use environment::StreamExecutionEnvironment;
pub use execution::{ExecuteError, JobExecutionResult};
#[cfg(feature = "cluster")]
pub use host::is_host;
pub use keyed::KeyedStream;
pub use parameters::ParameterTool;
pub use stream::DataStream;
pub use windowed::{CountWindows, SlidingCountWindows, WindowedStream};

pub use hurtig_cluster_api::{
    BackPressureLevel, CheckpointStatistics, CheckpointStatsSnapshot, CheckpointStatsStatus,
    ExecutionState, JobDetails, JobOverview, JobStatus, SubtaskBackPressure, VertexBackPressure,
};
pub use hurtig_config as config;
pub use hurtig_connector_api as connector;
pub use hurtig_connectors as connectors;
pub use hurtig_graph as graph;
pub use hurtig_metrics as metrics;
pub use hurtig_operator_api as operator;
pub use hurtig_operators as operators;
pub use hurtig_state_api as state;
pub use hurtig_state_heap as state_heap;
pub use hurtig_types::{
    Batch, CheckpointRetentionPolicy, RecoveryClaimMode, SavepointFormat, TerminateKind,
};
