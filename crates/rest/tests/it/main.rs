//! The REST API over real sockets, with jobs that run.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod asynchronous;
mod flink_fields;
mod hostile;
mod jobs;
mod leaders;
mod programs;
mod support;
mod tls;
