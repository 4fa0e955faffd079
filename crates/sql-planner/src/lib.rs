//! From statements to streaming plans.
//!
//! 1. [`plan`]: the logical plan that the binder gives and the optimiser and the streaming planner
//!    take: DataFusion's, with nodes of our own for what streams have beside.

pub mod plan;
pub mod stream;
