//! Built-in connectors.
pub mod collection;
pub mod print;
pub mod sequence;
