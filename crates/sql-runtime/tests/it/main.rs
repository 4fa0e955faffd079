//! Tests of SQL's operators.

mod aggregates;
mod edges;
mod harness;
mod joins;
mod model;
mod rows;
mod windows;
