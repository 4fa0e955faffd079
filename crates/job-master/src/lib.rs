//! The JobMaster: runs one job.
//!
//! The decisions are the scheduler crate's; this crate feeds it events and carries out its
//! commands ([`actor`]), and runs the job's operator coordinators, each as an actor of its own
//! ([`coordinators`]). Checkpoints are the checkpoint crate's, and carried out in [`checkpoints`].
//! What one JobMaster leaves another takes over: see [`takeover`].

pub mod actor;
mod checkpoints;
mod cleanup;
mod coordinators;
mod damage;
mod details;
mod elastic;
mod executors;
mod handle;
mod manager;
mod metrics;
mod stop;
mod takeover;

pub use actor::{JobMaster, JobMasterServices};
pub use cleanup::{clean_up, clean_up_late};
pub use handle::JobMasterHandle;
