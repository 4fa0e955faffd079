//! The TaskExecutor: owns slots and tasks, and reports what becomes of them.
//!
//! [`slot_table`] decides about slots, purely; [`actor`] receives messages, starts and cancels
//! tasks. It knows no operator: a task is a chain that the task crate runs.

pub mod actor;
mod ledger;
pub mod metrics;
mod reports;
pub mod slot_table;

pub use actor::{TaskExecutor, TaskExecutorConfig, TaskExecutorHandle, TaskExecutorServices};
pub use slot_table::TaskSlotTable;
