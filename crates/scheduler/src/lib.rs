//! The decisions of a JobMaster, as pure code: `(state, event, now) -> (state, commands)`.
//!
//! - [`ExecutionGraph`]: the attempts of all subtasks and their states.
//! - [`SlotPool`]: the slots of the job and which shared slot each of them serves.
//! - [`Elastic`]: when an elastic job waits for slots, and when it changes its parallelism.
//! - [`RestartBackoff`]: whether and when to restart after a failure.
//! - [`Reclaim`]: what a new JobMaster does with the tasks of the one before it.
//! - [`JobScheduler`]: ties them together; one method per event, commands as the answer.
//!
//! No clock, no I/O, no thread: the JobMaster's actor feeds events and executes commands.

pub mod adaptive;
mod deployment;
pub mod execution_graph;
mod explain;
pub mod job_scheduler;
pub mod reclaim;
pub mod restart;
pub mod slot_pool;

#[cfg(test)]
mod elastic_tests;
#[cfg(test)]
mod tests;

pub use adaptive::{Elastic, ElasticState};
pub use execution_graph::{Execution, ExecutionGraph, IllegalTransition};
pub use job_scheduler::{Command, JobScheduler, SchedulerTimer};
pub use reclaim::{Found, Reclaim, Verdict};
pub use restart::RestartBackoff;
pub use slot_pool::{Offered, PhysicalSlot, SharedSlotId, SlotPool};
