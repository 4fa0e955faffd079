//! The TaskExecutor: owns slots and tasks, and reports what becomes of them.
//!
//! [`slot_table`] decides about slots and [`registration`] about registering, purely; [`actor`] receives messages, and has a job's
//! [`host`] run its tasks: in this process ([`local_host`]) or in one of its own. It knows no
//! operator: a task is a chain that the task crate runs.

pub mod actor;
pub mod host;
mod ledger;
pub mod local_host;
pub mod metrics;
pub mod registration;
mod reports;
pub mod slot_table;

pub use actor::{TaskExecutor, TaskExecutorConfig, TaskExecutorHandle};
pub use host::{
    HostListener, HostNews, HostNumber, Reply, StartedHost, TaskHost, TaskHostProvider, TaskStates,
};
pub use local_host::{LocalTaskHosts, TaskExecutorServices};
pub use registration::RegistrationConfig;
pub use slot_table::TaskSlotTable;
