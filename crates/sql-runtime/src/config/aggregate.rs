//! Aggregates without windows, over rows, and what counts rows.

use std::time::Duration;

use arrow_schema::SchemaRef;

use super::{AggregateCall, SortColumn};

/// GROUP BY. Without keys a group over everything, which emits nothing over no rows.
/// SELECT DISTINCT is one without calls.
#[derive(Clone, Debug)]
pub struct GroupAggregate {
    /// Of the input.
    pub input: SchemaRef,
    /// The columns of the group.
    pub keys: Vec<usize>,
    /// The calls.
    pub calls: Vec<AggregateCall>,
    /// The keys, then the results.
    pub schema: SchemaRef,
    /// Of its input rows are never updated nor deleted.
    pub insert_only: bool,
    /// See the module.
    pub emits_update_before: bool,
    /// See the module.
    pub ttl: Option<Duration>,
}

/// The first of two phases: aggregates what a subtask has before it is shuffled.
#[derive(Clone, Debug)]
pub struct LocalGroupAggregate {
    /// Of the input.
    pub input: SchemaRef,
    /// The columns of the group.
    pub keys: Vec<usize>,
    /// The calls.
    pub calls: Vec<AggregateCall>,
    /// The keys, then one `Binary` column: the states.
    pub schema: SchemaRef,
}

/// The second of two phases, over what [`LocalGroupAggregate`] gives.
#[derive(Clone, Debug)]
pub struct GlobalGroupAggregate {
    /// Of the input: the keys, then one `Binary` column.
    pub input: SchemaRef,
    /// The types of the arguments of each call, by its kernel (for DISTINCT).
    pub arguments: Vec<Vec<arrow_schema::DataType>>,
    /// The same calls.
    pub calls: Vec<AggregateCall>,
    /// The keys, then the results.
    pub schema: SchemaRef,
    /// Of the first phase's input rows are never updated nor deleted.
    pub insert_only: bool,
    /// See the module.
    pub emits_update_before: bool,
    /// See the module.
    pub ttl: Option<Duration>,
}

/// Aggregates over the rows before each row. Appends one column per call.
#[derive(Clone, Debug)]
pub struct OverAggregate {
    /// Of the input.
    pub input: SchemaRef,
    /// PARTITION BY.
    pub partition: Vec<usize>,
    /// ORDER BY.
    pub order: OverOrder,
    /// The calls; all aggregates of one operator have the same frame, as in Flink.
    pub calls: Vec<OverCall>,
    /// The input's columns, then the results.
    pub schema: SchemaRef,
    /// See the module. Time-ordered frames clean up by themselves; this is for unbounded ones.
    pub ttl: Option<Duration>,
}

/// What rows are ordered by.
#[derive(Clone, Debug)]
pub enum OverOrder {
    /// A rowtime, ascending: rows are evaluated when the watermark has passed them; late ones are
    /// dropped.
    Rowtime(usize),
    /// Their arrival.
    Proctime,
    /// Other columns: rows that come between others change the results of those after them. The
    /// input may take rows away. Frames are unbounded.
    Columns(Vec<SortColumn>),
}

/// One call of an OVER.
#[derive(Clone, Debug)]
pub enum OverCall {
    /// An aggregate over a frame. Its kernel takes rows away if the frame is bounded.
    Aggregate {
        /// The call.
        call: AggregateCall,
        /// Which rows count.
        frame: OverFrame,
    },
    /// A function of the place among the rows.
    Ranking(OverRanking),
}

/// Which rows count, up to the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverFrame {
    /// ROWS; else RANGE, where rows of equal order count together.
    pub rows: bool,
    /// How many rows, or milliseconds, before; `None`: all.
    pub preceding: Option<i64>,
}

/// Functions of the place among the rows.
#[derive(Clone, Debug)]
pub enum OverRanking {
    /// ROW_NUMBER.
    RowNumber,
    /// RANK.
    Rank,
    /// DENSE_RANK.
    DenseRank,
    /// LAG: the value of a column so many rows before, or else that of the default's column.
    Lag {
        /// The column.
        column: usize,
        /// How many rows.
        offset: usize,
        /// A column with the default, of the same type.
        default: Option<usize>,
    },
    /// A function that needs the whole partition: LEAD, over non-time orders alone.
    Lead {
        /// The column.
        column: usize,
        /// How many rows.
        offset: usize,
        /// A column with the default, of the same type.
        default: Option<usize>,
    },
}

/// INTERSECT and EXCEPT, by counting. Keyed by all columns; the columns of both inputs have equal types.
#[derive(Clone, Debug)]
pub struct SetOperation {
    /// Of both inputs and the output.
    pub schema: SchemaRef,
    /// EXCEPT.
    pub except: bool,
    /// ALL.
    pub all: bool,
    /// See the module.
    pub ttl: Option<Duration>,
}
