//! Windows.

use arrow_schema::SchemaRef;
use chrono_tz::Tz;

use super::AggregateCall;

/// Which windows a time falls into. All in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowSpec {
    /// Side by side.
    Tumble {
        /// Size.
        size_ms: i64,
        /// Where they begin.
        offset_ms: i64,
    },
    /// Overlapping.
    Hop {
        /// Size.
        size_ms: i64,
        /// From one's start to the next one's.
        slide_ms: i64,
        /// Where they begin.
        offset_ms: i64,
    },
    /// Of one start, growing.
    Cumulate {
        /// The largest size.
        size_ms: i64,
        /// How much they grow.
        step_ms: i64,
        /// Where they begin.
        offset_ms: i64,
    },
    /// Until there is nothing for a while.
    Session {
        /// For how long.
        gap_ms: i64,
    },
}

/// What decides which window a row is in.
#[derive(Clone, Debug)]
pub enum WindowTime {
    /// A rowtime column. For TIMESTAMP_LTZ windows follow the clocks of `zone`.
    Rowtime {
        /// The column.
        column: usize,
        /// The zone, for TIMESTAMP_LTZ.
        zone: Option<Tz>,
    },
    /// The wall clock, in a zone.
    Proctime {
        /// The zone.
        zone: Option<Tz>,
    },
    /// The window is known already, as columns (of an inner TVF): only `window` of
    /// [`WindowAggregate`] is not looked at.
    Attached {
        /// window_start, if it is at hand.
        start: Option<usize>,
        /// window_end.
        end: usize,
        /// The zone that window_end is in, for TIMESTAMP_LTZ as time attribute.
        zone: Option<Tz>,
        /// By the watermark; else by the wall clock.
        event_time: bool,
    },
    /// What rows of a slice have come to: of [`GlobalWindowAggregate`] alone.
    Slice {
        /// Where the slice starts, in local time.
        start: usize,
        /// Where it ends.
        end: usize,
        /// The zone of local time, for TIMESTAMP_LTZ as time attribute.
        zone: Option<Tz>,
    },
}

/// A column about the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowProperty {
    /// window_start, or TUMBLE_START and the like: TIMESTAMP(3) in the zone.
    Start,
    /// window_end.
    End,
    /// window_time, TUMBLE_ROWTIME: the last millisecond, as TIMESTAMP(3) or TIMESTAMP_LTZ(3).
    Rowtime,
    /// TUMBLE_PROCTIME.
    Proctime,
}

/// A window table function: input columns, then window_start, window_end, window_time. Over sessions it
/// waits for the windows to end.
#[derive(Clone, Debug)]
pub struct WindowTableFunction {
    /// Of the input.
    pub input: SchemaRef,
    /// Which windows.
    pub window: WindowSpec,
    /// By which time (not attached).
    pub time: WindowTime,
    /// PARTITION BY of sessions.
    pub keys: Vec<usize>,
    /// The input's columns, then the three.
    pub schema: SchemaRef,
}

/// Aggregates per key and window, given when the window ends: both of TVFs and of the older group
/// windows. Rows may be taken away. Late rows are dropped.
#[derive(Clone, Debug)]
pub struct WindowAggregate {
    /// Of the input.
    pub input: SchemaRef,
    /// The columns of the group beside the window.
    pub keys: Vec<usize>,
    /// Which windows.
    pub window: WindowSpec,
    /// By which time.
    pub time: WindowTime,
    /// The calls.
    pub calls: Vec<AggregateCall>,
    /// Columns that follow the results.
    pub properties: Vec<WindowProperty>,
    /// The slices of a window are put together from its end, which shows in what goes by order.
    pub latest_first: bool,
    /// Keys, results, properties.
    pub schema: SchemaRef,
}

/// The first of two phases of windows that consist of slices: what the rows of each batch come to, per
/// key and slice, before it is shuffled. Keeps nothing between batches.
#[derive(Clone, Debug)]
pub struct LocalWindowAggregate {
    /// Of the input.
    pub input: SchemaRef,
    /// The columns of the group beside the window.
    pub keys: Vec<usize>,
    /// Which windows; no sessions.
    pub window: WindowSpec,
    /// The rowtime.
    pub time: usize,
    /// Its zone, for TIMESTAMP_LTZ.
    pub zone: Option<Tz>,
    /// The calls.
    pub calls: Vec<AggregateCall>,
    /// The keys, one `Binary` column with the states, and where the slice starts and ends.
    pub schema: SchemaRef,
}

/// The second of two phases, over what [`LocalWindowAggregate`] gives.
#[derive(Clone, Debug)]
pub struct GlobalWindowAggregate {
    /// The aggregate; its input is that of the first phase, its time [`WindowTime::Slice`].
    pub aggregate: WindowAggregate,
    /// The column with the states.
    pub partial: usize,
    /// The types of the arguments of each call, by its kernel (for DISTINCT).
    pub arguments: Vec<Vec<arrow_schema::DataType>>,
}
