//! The kill test: a cluster of real processes, of which random ones are killed, stopped and
//! restarted, ZooKeeper included, while a job writes files exactly once.
//!
//! - [`input`]: what the job reads, and what it must write.
//! - [`job`]: the job: keyed, with windows and timers, elastic.
//! - [`faults`]: what happens when, drawn from a seed.
//! - [`cluster`]: the processes.
//! - [`run`](mod@run): one run, from the start of ZooKeeper to the comparison of every record.
//!
//! Deliberately absent: any look into the cluster. It is used as its users use it, by its command
//! line and its files.

#![allow(clippy::unwrap_used, reason = "whatever cannot be done here has failed the test")]

pub mod cluster;
pub mod faults;
pub mod input;
pub mod job;
pub mod pause;
pub mod run;
