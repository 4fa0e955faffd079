//! What a cluster needs to survive the loss of its JobManager: who leads, which jobs there are,
//! where their checkpoints are, and how they ended.
//!
//! Everything rests on one contract, [`HighAvailabilityBackend`]: small records that are written
//! only if they are still what the writer has read, and a word on who may try to lead. Backends
//! are memory (`NONE`), a directory of one host, an object store with conditional writes, and
//! ZooKeeper. All else is written once, above that contract:
//!
//! - [`election`]: who leads. The leader's record is the one truth; leadership is lost when the
//!   record names another, and by nothing less.
//! - [`retrieval`]: where the leader is, for those that follow it.
//! - [`register`]: fenced records. Each carries the highest fencing token that has written it, and
//!   refuses lower ones.
//! - [`jobs`]: the jobs of the cluster: graphs and results, in one fenced record.
//! - [`checkpoints`]: pointers to completed checkpoints and the checkpoint counter of one job.
//! - [`services`]: all of it for one cluster, from a configuration.
//!
//! # Protocol
//!
//! 1. A contender becomes leader by writing the leader's record with a token one higher than the
//!    record's, on condition that the record is unchanged since it was read.
//! 2. Before it acts on what a fenced record says, a leader claims the record: it writes it with
//!    its own token. From then on no earlier leader can change it.
//! 3. Every change of a fenced record is decided from what was read and written on condition that
//!    nothing has changed. Decisions are idempotent, so that an answer that was lost is found out
//!    by reading again.
//! 4. What is bulky stands in blobs with names that are never used twice. A blob is written before
//!    the record that names it, and deleted after.
//! 5. A job enters the record of jobs before anything else of it is made, and leaves it only when
//!    its result is stored and all else of it is deleted. A job with a result never runs again.
//!
//! # Invariants
//!
//! - Fencing tokens of a scope only grow. After a write with a token was accepted by a record, none
//!   with a lower token is: whatever clocks show, whatever answers get lost.
//! - Clocks only say when to try. They are monotonic, local, and never compared between processes.
//! - While the service cannot be reached, a leader stays one: jobs run on, and only what must be
//!   written waits or fails.
//!
//! Deliberately absent: what roles do when they gain or lose leadership, the contents of graphs,
//! the deletion of checkpoints (crates `checkpoint` and `storage`), randomness (callers bring ids).

pub mod checkpoints;
pub mod election;
pub mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod jobs;
pub mod options;
pub mod register;
pub mod retrieval;
mod sealed;
pub mod services;
pub mod store;

pub use checkpoints::{CheckpointPointer, CompletedCheckpointRegister, JobCheckpoints};
pub use election::{
    ContenderId, LeaderContender, LeaderElection, LeaderRecord, LeaderScope, Leadership,
};
pub use error::HighAvailabilityError;
pub use jobs::{JobGraphStore, JobResultStore, StoredJob, SubmittedJob};
pub use options::{ElectionOptions, HighAvailabilityOptions, RetryOptions};
pub use register::FencedRegister;
pub use retrieval::{LeaderInformation, LeaderRetrieval};
pub use services::{ClusterEnd, HighAvailabilityServices};
pub use store::{
    HighAvailabilityBackend, Latch, LatchState, Precondition, RecordStore, RecordStoreError,
    RecordVersion, VersionedRecord,
};
