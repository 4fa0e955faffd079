//! Tests of the generator against its specification and against results of Flink.

#![allow(clippy::unwrap_used)] // a test may fail by a panic

#[cfg(feature = "arrow")]
mod columns;
mod golden;
mod specification;
mod splits;
