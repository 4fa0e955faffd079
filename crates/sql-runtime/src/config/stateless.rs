//! Operators without keys, and those at the ends of a plan.

use std::{sync::Arc, time::Duration};

use arrow_schema::SchemaRef;
use hurtig_operator_api::OperatorFactory;
use hurtig_sql_common::{ChangelogBatch, RowKind};

use super::{SharedExpression, TableFunction};

/// Filter, then projection. Kinds of rows stay.
#[derive(Clone, Debug)]
pub struct Calc {
    /// A BOOLEAN over the input: rows where it is TRUE stay.
    pub condition: Option<SharedExpression>,
    /// One expression per output column; `None` passes the input's columns on.
    pub projection: Option<Vec<SharedExpression>>,
    /// What it gives.
    pub schema: SchemaRef,
}

/// Drops `-U`.
#[derive(Clone, Copy, Debug)]
pub struct DropUpdateBefore;

/// Announces watermarks: as soon as they have moved by more than 200 ms, and at the interval. The
/// input's own watermarks are dropped but for the last.
#[derive(Clone, Debug)]
pub struct WatermarkAssigner {
    /// The rowtime column; a row that has NULL there fails the job, as in Flink.
    pub time: usize,
    /// The watermark of each row: a TIMESTAMP or TIMESTAMP_LTZ; NULL says nothing.
    pub watermark: SharedExpression,
    /// After this long without rows the stream is idle.
    pub idle_timeout: Option<Duration>,
}

/// A source of constant rows; subtask 0 gives them.
#[derive(Clone, Debug)]
pub struct Values {
    /// The rows.
    pub rows: ChangelogBatch,
}

/// GROUPING SETS, ROLLUP, CUBE: each row once per projection, in their order.
#[derive(Clone, Debug)]
pub struct Expand {
    /// One expression per output column, once per copy.
    pub projections: Vec<Vec<SharedExpression>>,
    /// What it gives.
    pub schema: SchemaRef,
}

/// Each row with each of the rows that a function makes of it.
#[derive(Clone, Debug)]
pub struct Correlate {
    /// Arguments, over the input.
    pub arguments: Vec<SharedExpression>,
    /// The function.
    pub function: Arc<dyn TableFunction>,
    /// Over input and function's columns: pairs for which it is TRUE count.
    pub condition: Option<SharedExpression>,
    /// Rows without any keep one with NULL.
    pub outer: bool,
    /// The input's columns, then the function's.
    pub schema: SchemaRef,
}

/// Makes a whole changelog of upserts by key: the previous row is kept, so that `-U` and whole rows
/// of `-D` can be given.
#[derive(Clone, Debug)]
pub struct ChangelogNormalize {
    /// Of input and output.
    pub schema: SchemaRef,
    /// The primary key.
    pub keys: Vec<usize>,
    /// See the module.
    pub emits_update_before: bool,
    /// See [`Deduplicate::every_version`](super::Deduplicate::every_version).
    pub every_version: bool,
    /// See the module.
    pub ttl: Option<Duration>,
    /// Only rows for which it is TRUE are given; a row that stops to fulfil it is deleted.
    pub condition: Option<SharedExpression>,
}

/// Makes upserts by the sink's primary key of rows whose own upsert key is another: of several rows
/// of a primary key the latest counts.
#[derive(Clone, Debug)]
pub struct SinkMaterialize {
    /// Of input and output.
    pub schema: SchemaRef,
    /// The primary key of the sink: the operator's key.
    pub primary_key: Vec<usize>,
    /// The upsert key of the input, if it has one; else whole rows are compared.
    pub upsert_key: Option<Vec<usize>>,
    /// See the module.
    pub ttl: Option<Duration>,
}

/// `table.exec.sink.not-null-enforcer`.
#[derive(Clone, Debug)]
pub struct NotNullEnforcer {
    /// Columns that must not be NULL, with their names.
    pub columns: Vec<(usize, String)>,
    /// DROP: rows with NULL are dropped, instead of failing the job.
    pub drop: bool,
}

/// TO_CHANGELOG: each change as a row that is added.
#[derive(Clone, Debug)]
pub struct ToChangelog {
    /// The code of each kind of change, by its number; changes without one are dropped.
    pub codes: [Option<String>; 4],
    /// The code, then the input's columns.
    pub schema: SchemaRef,
}

/// FROM_CHANGELOG: each row as the change that it tells of.
#[derive(Clone, Debug)]
pub struct FromChangelog {
    /// The column of codes: STRING.
    pub op: usize,
    /// What each code means.
    pub kinds: Vec<(String, RowKind)>,
    /// Rows of other codes are dropped; else they fail the job.
    pub skips_unknown: bool,
    /// Consumers need no `-U`.
    pub drops_update_before: bool,
    /// The input's columns without that of codes.
    pub schema: SchemaRef,
}

/// Holds rows back so that an operator of one input sees larger batches.
#[derive(Clone)]
pub struct MiniBatch {
    /// The operator.
    pub operator: Arc<dyn OperatorFactory>,
    /// `table.exec.mini-batch.size`: how many rows are held back at most, but for those of one batch.
    /// One: nothing is held back, and batches are taken apart into their rows.
    pub size: usize,
    /// `table.exec.mini-batch.allow-latency`: for how long at most.
    pub latency: Duration,
}

/// Cuts and pads what is written to the lengths of its columns, or refuses it.
#[derive(Clone, Debug)]
pub struct LengthEnforcer {
    /// What must be how long.
    pub rules: Vec<LengthRule>,
    /// Values are cut and padded; else those of another length fail the job.
    pub trims: bool,
}

/// The length of the values of one column.
#[derive(Clone, Debug)]
pub struct LengthRule {
    /// The column: texts or bytes.
    pub column: usize,
    /// Its name.
    pub name: String,
    /// How many characters or bytes at most.
    pub length: usize,
    /// CHAR and BINARY: no fewer either.
    pub fixed: bool,
}
