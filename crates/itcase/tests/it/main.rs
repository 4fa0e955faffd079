//! Whole jobs in an embedded cluster, and what becomes of them.

#![allow(clippy::unwrap_used)]

mod cancellation;
mod connector_failures;
mod elastic;
mod exactly_once_files;
mod failover;
mod failures;
mod leaders;
mod metrics;
mod partitioners;
mod restarts;
#[cfg(feature = "s3")]
mod s3;
mod scale;
mod stopping;
mod support;
mod topology;
mod unaligned;
