//! Flink's built-in functions over columns.
//!
//! - [`api`]: what a function, a cast and an aggregate are to the planner and the operators.
//!
//! Nothing here knows plans or streams.

mod aggregate_state;
pub mod api;

pub use aggregate_state::AggregateState;
