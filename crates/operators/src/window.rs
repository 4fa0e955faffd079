//! Windows over keyed streams.
//!
//! - [`assigner`]: which windows a record belongs to.
//! - [`trigger`]: when a window is evaluated; [`evictor`]: which of its records count.
//! - [`function`]: what becomes of it; [`contents`]: what it keeps until then.
//! - [`operator`]: the general operator.
//! - [`slice`](mod@slice): aggregation over aligned event-time windows, by slices: the fast path.

pub mod assigner;
pub mod contents;
pub mod evictor;
pub mod function;
pub mod operator;
pub mod slice;
pub mod trigger;

/// Records without timestamps meet windows over event time.
pub(crate) fn without_timestamps() -> hurtig_types::FlowError {
    hurtig_types::FlowError::user(
        "records without timestamps reached an event-time window: \
         call assign_timestamps_and_watermarks first, or use processing time",
    )
}
