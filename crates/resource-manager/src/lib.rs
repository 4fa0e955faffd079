//! The ResourceManager: knows all TaskExecutors and their slots, and gives slots to jobs.
//!
//! [`slot_manager`] decides, purely; [`actor`] receives messages and carries out the decisions; a
//! [`driver`] starts and stops TaskManagers, where there is one that can.
//! Deliberately absent: which subtask runs in which slot. That is the JobMaster's business.

pub mod actor;
mod configuration;
pub mod driver;
pub mod slot_manager;

pub use actor::{ResourceManager, ResourceManagerConfig, ResourceManagerHandle};
pub use driver::{
    ResourceDriver, StandaloneDriver, WorkerEnded, WorkerListener,
    local_process::LocalProcessDriver,
};
pub use slot_manager::{LoadBalance, SlotCommand, SlotManager, SlotManagerConfig};
