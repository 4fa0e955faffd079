//! What every backend must do, and what real faults do to it.

#![allow(clippy::unwrap_used)]

mod contract;
mod crashes;
mod harness;
mod options;
mod processes;
#[cfg(feature = "s3")]
mod s3;
mod zookeeper;
