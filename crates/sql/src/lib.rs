//! Tables beside streams.
//!
//! - [`connectors`]: where tables come from and go to.

pub mod connectors;
