//! Windows over keyed streams.
//!
//! - [`slice`]: aggregation over aligned event-time windows, by slices: the fast path.

pub mod slice;
