//! What state keeps of one aggregate of one group.
//!
//! A small enum instead of a boxed trait: it is a record (snapshots, the network), it needs no
//! allocation for the common aggregates, and which variant a kernel uses is settled while planning.

use serde::{Deserialize, Serialize};

/// The state of one aggregate of one group. Which variant is the kernel's choice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum AggregateState {
    /// Nothing yet.
    #[default]
    Empty,
    /// COUNT.
    Count(i64),
    /// Sums of integers, and how many there were.
    Integers {
        /// The sum; wraps around as Flink's.
        sum: i64,
        /// Values that are not NULL.
        count: i64,
    },
    /// Sums of decimals, unscaled, and how many there were.
    Decimals {
        /// The sum.
        sum: i128,
        /// Values that are not NULL.
        count: i64,
    },
    /// Sums of floating-point numbers, and how many there were.
    Floats {
        /// The sum.
        sum: f64,
        /// Values that are not NULL.
        count: i64,
    },
    /// Several numbers: variance and the like.
    Several(Box<[f64]>),
    /// Sums of exact numbers and of their squares: variance and the like.
    Moments {
        /// The sum.
        sum: i128,
        /// The sum of the squares.
        squares: i128,
        /// Values that are not NULL.
        count: i64,
    },
    /// One value, in the kernel's encoding: MIN, MAX, FIRST_VALUE, LAST_VALUE over inserts.
    Value(Box<[u8]>),
    /// How often each value is there, in the order of the encoding: MIN and MAX with retraction,
    /// COLLECT, distinct values.
    Counted(Box<std::collections::BTreeMap<Box<[u8]>, i64>>),
    /// Values in the order of their arrival: LISTAGG, ARRAY_AGG, FIRST_VALUE with retraction.
    Listed(Box<std::collections::VecDeque<Box<[u8]>>>),
}
