//! Top lists, first and last rows, sorting, limits.

use std::time::Duration;

use arrow_schema::SchemaRef;
use chrono_tz::Tz;

use super::SortColumn;

/// ROW_NUMBER() OVER (PARTITION BY .. ORDER BY ..) between `start` and `end`, kept up to date.
#[derive(Clone, Debug)]
pub struct Rank {
    /// Of the input.
    pub input: SchemaRef,
    /// PARTITION BY.
    pub partition: Vec<usize>,
    /// ORDER BY.
    pub order: Vec<SortColumn>,
    /// The first rank that is given, from 1.
    pub start: u64,
    /// The last one.
    pub end: u64,
    /// The rank is a last column.
    pub with_rank: bool,
    /// The input only ever inserts: no more than `end` rows need to be kept.
    pub append_only: bool,
    /// The upsert key of an input that updates without `-U`; rows replace that of the same key.
    pub upsert_key: Option<Vec<usize>>,
    /// See the module.
    pub emits_update_before: bool,
    /// See the module.
    pub ttl: Option<Duration>,
    /// The input's columns, then the rank if it is given.
    pub schema: SchemaRef,
}

/// Of the rows of a key the first or the last one.
#[derive(Clone, Debug)]
pub struct Deduplicate {
    /// Of input and output.
    pub schema: SchemaRef,
    /// The key.
    pub keys: Vec<usize>,
    /// By a rowtime; `None`: by arrival.
    pub rowtime: Option<usize>,
    /// The last row, not the first.
    pub last: bool,
    /// The first row by rowtime is given once, when the watermark has passed it, instead of at once
    /// and then replaced; late rows are dropped. (As Flink does where consumers take inserts alone.)
    pub insert_only: bool,
    /// Later rows replace the one given, but for the first by arrival, which is inserted once.
    pub emits_update_before: bool,
    /// Each row's change is given, also of a key that comes several times in one batch: temporal joins
    /// look at the versions between.
    pub every_version: bool,
    /// See the module.
    pub ttl: Option<Duration>,
}

/// ORDER BY .. LIMIT over a table that changes: a top list without partition. Give it
/// `Exchange::Global`.
#[derive(Clone, Debug)]
pub struct SortLimit {
    /// Of input and output.
    pub schema: SchemaRef,
    /// ORDER BY.
    pub order: Vec<SortColumn>,
    /// OFFSET.
    pub offset: u64,
    /// FETCH.
    pub fetch: u64,
    /// The input only ever inserts.
    pub append_only: bool,
    /// See [`Rank::upsert_key`].
    pub upsert_key: Option<Vec<usize>>,
    /// See the module.
    pub emits_update_before: bool,
    /// See the module.
    pub ttl: Option<Duration>,
}

/// LIMIT without an order. Give it `Exchange::Global`.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Of input and output.
    pub schema: SchemaRef,
    /// OFFSET.
    pub offset: u64,
    /// FETCH.
    pub fetch: u64,
    /// The input only ever inserts.
    pub append_only: bool,
    /// See the module.
    pub emits_update_before: bool,
    /// See the module.
    pub ttl: Option<Duration>,
}

/// ORDER BY a time attribute, ascending, and then perhaps others. Give it `Exchange::Global`.
#[derive(Clone, Debug)]
pub struct TemporalSort {
    /// Of input and output.
    pub schema: SchemaRef,
    /// The rowtime; `None`: by arrival, where rows of one millisecond are sorted by `order`.
    pub rowtime: Option<usize>,
    /// What follows the time.
    pub order: Vec<SortColumn>,
}

/// A top list per window, given when the window ends.
#[derive(Clone, Debug)]
pub struct WindowRank {
    /// Of the input.
    pub input: SchemaRef,
    /// PARTITION BY beside the window.
    pub partition: Vec<usize>,
    /// ORDER BY.
    pub order: Vec<SortColumn>,
    /// The first rank that is given, from 1.
    pub start: u64,
    /// The last one.
    pub end: u64,
    /// The rank is a last column.
    pub with_rank: bool,
    /// window_end.
    pub window_end: usize,
    /// The zone that window_end is in, for TIMESTAMP_LTZ as time attribute.
    pub zone: Option<Tz>,
    /// The input's columns, then the rank if it is given.
    pub schema: SchemaRef,
}

/// The first or last row by event time per key and window, given when the window ends.
#[derive(Clone, Debug)]
pub struct WindowDeduplicate {
    /// Of input and output.
    pub schema: SchemaRef,
    /// The key beside the window.
    pub keys: Vec<usize>,
    /// The rowtime.
    pub rowtime: usize,
    /// The last row, not the first.
    pub last: bool,
    /// window_end.
    pub window_end: usize,
    /// The zone that window_end is in, for TIMESTAMP_LTZ as time attribute.
    pub zone: Option<Tz>,
}
