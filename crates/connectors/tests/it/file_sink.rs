//! The file sink, as the sink operator drives it.

mod cluster;
mod local;
mod random;
