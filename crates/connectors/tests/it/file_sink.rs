//! The file sink, as the sink operator drives it.

pub mod cluster;
mod local;
mod random;
