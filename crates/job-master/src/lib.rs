//! The JobMaster: runs one job.
//!
//! The decisions are the scheduler crate's; this crate feeds it events and carries out its
//! commands ([`actor`]), and runs the job's operator coordinators, each as an actor of its own
//! ([`coordinators`]). Checkpoints are the checkpoint crate's, and carried out in [`checkpoints`].

pub mod actor;
mod checkpoints;
mod coordinators;
mod details;
mod elastic;
mod executors;
mod manager;
mod metrics;
mod stop;

pub use actor::{JobMaster, JobMasterHandle, JobMasterServices};
