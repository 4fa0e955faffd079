//! The task runtime: what runs one attempt of one subtask.
//!
//! ```text
//! Task            one attempt: states, cancellation, panics, reporting       task.rs
//!   StreamTask    the loop: mailbox, timers, input, back pressure, end       stream_task.rs
//!     InputProcessor   gates -> elements for the chain; watermark valves     input.rs, valve.rs
//!     TaskCheckpoints  from the barrier to the acknowledgement               checkpoint.rs, barriers.rs
//!     OperatorChain    operators and their outputs, called per batch         chain.rs
//!       RecordWriter   partitioner + result partition of one edge            writer.rs
//! ```
//! Each line calls only the lines below; upward goes a return value or a call of
//! [`TaskListener`]. An operator never sees the task.

mod activity;
mod barriers;
pub mod chain;
mod checkpoint;
pub mod edge_check;
mod in_flight;
pub mod input;
mod latency;
mod local;
pub mod metrics;
mod orphans;
mod panics;
#[doc(hidden)]
pub mod restore;
mod stopping;
pub mod stream_task;
pub mod task;
pub mod valve;
pub mod writer;

pub use task::{TaskHandle, TaskListener, TaskServices, spawn_task};
