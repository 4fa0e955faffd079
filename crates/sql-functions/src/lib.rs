//! Flink's built-in functions over columns.
//!
//! - [`api`]: what a function, a cast and an aggregate are to the planner and the operators.
//! - [`registry`]: functions by name; how calls with a syntax of their own are written as plain ones.
//! - [`types`]: rules between types: common types, implicit casts, the types of arithmetic.
//! - [`cast()`]: CAST and TRY_CAST; [`print_column`]: values as people see them.
//!
//! Nothing here knows plans or streams. Kernels never panic on values: they give NULL or an error.

mod aggregate_state;
mod aggregates;
pub mod api;
pub mod calendar;
mod call;
pub mod cast;
mod columns;
pub mod decimal;
mod functions;
pub mod java;
mod json;
mod print;
pub mod registry;
#[cfg(test)]
mod tests;
pub mod types;

pub use aggregate_state::AggregateState;
pub use cast::cast;
pub use print::{print_column, print_in_zone};
pub use registry::{lookup_aggregate, lookup_scalar};
pub use types::{can_implicitly_cast, common_type};
