//! From statements to streaming plans.
//!
//! 1. [`catalog`]: tables, views and functions by name; [`ddl`]: the statements that change them.
//! 2. [`bind`]: from syntax trees to the logical plan, by Flink's rules of names and types.
//! 3. [`plan`]: the logical plan that the binder gives and the optimiser and the streaming planner
//!    take: DataFusion's, with nodes of our own for what streams have beside.
//! 4. [`optimize`]: rules that keep what streams mean; expressions made ready to run.
//! 5. [`stream`]: the streaming plan, the changes that flow in it, and its operators.

pub mod bind;
pub mod catalog;
pub mod ddl;
mod error;
pub mod functions;
pub mod optimize;
pub mod plan;
mod settings;
pub mod stream;
pub mod types;

pub use error::{PlanError, PlanResult};
pub use settings::{
    AggregatePhases, MiniBatchSettings, PlannerSettings, UpsertMaterialize, duration_ms,
};
