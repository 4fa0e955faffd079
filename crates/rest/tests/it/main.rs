//! The REST API over real sockets, with jobs that run.

mod asynchronous;
mod flink_fields;
mod hostile;
mod jobs;
mod programs;
mod support;
