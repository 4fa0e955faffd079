//! Joins.

use std::time::Duration;

use arrow_schema::SchemaRef;
use chrono_tz::Tz;

use super::SharedExpression;

/// Which rows without a partner are given, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinVariant {
    /// None.
    Inner,
    /// The left ones.
    Left,
    /// The right ones.
    Right,
    /// Both.
    Full,
    /// The left rows that have a partner; the output is the left's columns.
    Semi,
    /// The left rows that have none; the output is the left's columns.
    Anti,
}

/// What rows must have in common. Both inputs are distributed by their keys.
#[derive(Clone, Debug, Default)]
pub struct JoinKeys {
    /// Columns of the left.
    pub left: Vec<usize>,
    /// As many of the right, of equal types.
    pub right: Vec<usize>,
    /// Per key, true: NULL equals NULL (IS NOT DISTINCT FROM). Empty: never.
    pub null_equal: Vec<bool>,
    /// What else must hold, over the columns of both. The null-aware anti join of NOT IN has no
    /// keys and `a = b OR a IS NULL OR b IS NULL` here.
    pub condition: Option<SharedExpression>,
}

/// What is known of the rows of an input, so that its state is no larger than needed.
#[derive(Clone, Debug)]
pub struct JoinInput {
    /// Its schema.
    pub schema: SchemaRef,
    /// A unique (upsert) key, if there is one: a row replaces the one before of the same key.
    pub unique_key: Option<Vec<usize>>,
    /// The join's keys contain that key: at most one row per key.
    pub join_key_contains_unique_key: bool,
    /// Rows are never updated nor deleted.
    pub insert_only: bool,
    /// See the module.
    pub ttl: Option<Duration>,
}

/// A join of two tables that change.
#[derive(Clone, Debug)]
pub struct RegularJoin {
    /// Which.
    pub kind: JoinVariant,
    /// The left input.
    pub left: JoinInput,
    /// The right input.
    pub right: JoinInput,
    /// What rows have in common.
    pub keys: JoinKeys,
    /// What it gives.
    pub schema: SchemaRef,
}

/// A join of append-only streams whose times are close:
/// `left time BETWEEN right time + lower AND right time + upper`.
#[derive(Clone, Debug)]
pub struct IntervalJoin {
    /// Inner, left, right or full.
    pub kind: JoinVariant,
    /// The left's schema.
    pub left: SchemaRef,
    /// The right's schema.
    pub right: SchemaRef,
    /// The rowtimes of both; `None`: by arrival.
    pub times: Option<(usize, usize)>,
    /// See above, in milliseconds, inclusive.
    pub lower_ms: i64,
    /// See above, in milliseconds, inclusive.
    pub upper_ms: i64,
    /// What rows have in common.
    pub keys: JoinKeys,
    /// What it gives.
    pub schema: SchemaRef,
}

/// FOR SYSTEM_TIME AS OF over a versioned table, by event time.
#[derive(Clone, Debug)]
pub struct TemporalJoin {
    /// Inner or left.
    pub kind: JoinVariant,
    /// The left's schema.
    pub left: SchemaRef,
    /// The right's schema: a changelog, whose rows say since when they count.
    pub right: SchemaRef,
    /// The rowtimes of both.
    pub times: (usize, usize),
    /// What rows have in common.
    pub keys: JoinKeys,
    /// What it gives.
    pub schema: SchemaRef,
}

/// A join of rows of equal windows, which are columns of both. Given when the window ends.
#[derive(Clone, Debug)]
pub struct WindowJoin {
    /// Any.
    pub kind: JoinVariant,
    /// The left's schema.
    pub left: SchemaRef,
    /// The right's schema.
    pub right: SchemaRef,
    /// window_end of both.
    pub window_end: (usize, usize),
    /// The zone that window_end is in, for TIMESTAMP_LTZ as time attribute.
    pub zone: Option<Tz>,
    /// What rows have in common beside the window.
    pub keys: JoinKeys,
    /// What it gives.
    pub schema: SchemaRef,
}
