//! Tests of SQL's operators.

#![allow(clippy::unwrap_used)]

mod aggregates;
mod contract;
mod edges;
mod harness;
mod joins;
mod model;
mod rows;
mod windows;
