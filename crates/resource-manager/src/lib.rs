//! The ResourceManager: knows all TaskExecutors and their slots, and gives slots to jobs.
//!
//! [`slot_manager`] decides, purely; [`actor`] receives messages and carries out the decisions.
//! Deliberately absent: which subtask runs in which slot. That is the JobMaster's business.

pub mod actor;
pub mod slot_manager;

pub use actor::{ResourceManager, ResourceManagerHandle};
pub use slot_manager::SlotManager;
