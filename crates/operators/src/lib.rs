//! The operators of the DataStream API, and the partitioners of its edges.
//!
//! Everything here is generic over the user's types and functions: a virtual call per batch leads
//! into a loop that is compiled for them.
//!
//! - [`stateless`]: map, filter, flat map, process; without keys.
//! - [`checkpointed`]: operator state of user functions.
//! - [`broadcast`]: the broadcast state pattern.
//! - [`keyed`]: reduce, keyed process functions with state and timers.
//! - [`two_input`]: connected streams.
//! - [`time`]: timestamps and watermarks.
//! - [`window`]: assigners, triggers, evictors and the window operators.
//! - [`source`], [`sink`]: the two ends, over the connector contract; [`connector_metrics`]: what they
//!   tell of themselves.
//! - [`snapshot`]: how keyed operators, also those of other crates, take part in checkpoints.
//! - [`partition`]: typed edges and the eight partitioners.

pub mod broadcast;
pub mod checkpointed;
pub mod collector;
pub mod connector_metrics;
pub mod context;
pub mod factory;
pub mod key;
pub mod keyed;
pub mod partition;
pub mod sink;
pub mod snapshot;
pub mod source;
pub mod stateless;
pub mod time;
pub mod two_input;
pub mod window;

pub use collector::{Collector, OutputTag};
pub use context::RuntimeContext;
pub use factory::FnOperatorFactory;
pub use key::KeySelector;
