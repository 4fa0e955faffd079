//! The tree of a streaming plan.

use std::sync::Arc;

use datafusion_common::{DFSchemaRef, JoinType, ScalarValue};
use datafusion_expr::{AggregateUDF, Expr};

use hurtig_sql_common::{ChangelogMode, RowKind};

use super::{ModifyKinds, PartitionCondition, UpdateKind, changelog::changelog_mode};
use crate::{
    catalog::TableRef,
    plan::{CorrelatedFunction, OverRange, WindowTable},
};

/// An operator, or a few that belong together, and what feeds it.
#[derive(Clone, Debug)]
pub struct ExecNode {
    /// What it does.
    pub kind: ExecNodeKind,
    /// Where its rows come from.
    pub inputs: Vec<ExecNode>,
    /// What it gives.
    pub schema: DFSchemaRef,
    /// The kinds of changes that it gives.
    pub modify: ModifyKinds,
    /// What its updates look like.
    pub update: UpdateKind,
    /// Somebody behind it looks at the versions of rows: changes of one key are not folded.
    pub every_version: bool,
    /// How long the rows of each input are remembered, in milliseconds, where a hint says so.
    pub state_ttl_ms: [Option<i64>; 2],
}

/// What a scan reads: a column, or what the path of positions leads to inside of its ROWs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedField {
    /// The column, as a position in [`TableRef::columns`].
    pub field: usize,
    /// Positions in ROWs, from the outside in.
    pub path: Vec<usize>,
}

impl ScannedField {
    /// A whole column.
    #[must_use]
    pub fn whole(field: usize) -> Self {
        Self { field, path: Vec::new() }
    }
}

/// A condition that a source applies: a column equals a value of its type.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanFilter {
    /// The column.
    pub field: ScannedField,
    /// The value; never NULL.
    pub value: ScalarValue,
}

/// What nodes do: Flink's exec nodes.
#[derive(Clone, Debug)]
pub enum ExecNodeKind {
    /// Reads a table.
    TableSourceScan {
        /// It.
        table: Arc<TableRef>,
        /// What is read of the source, a column of the node each.
        columns: Vec<ScannedField>,
        /// The rows that it gives pass all of these.
        filters: Vec<ScanFilter>,
        /// The partitions that are read; `None`: all.
        partitions: Option<PartitionCondition>,
        /// How many rows are needed, at most; more may come.
        limit: Option<u64>,
        /// The source can read fields of ROWs without the rest of them.
        reads_nested: bool,
        /// The changes that it gives.
        mode: ChangelogMode,
        /// The primary key, as positions in the node's columns, if all of it is read.
        primary_key: Option<Vec<usize>>,
        /// The rows before updates are dropped behind it.
        drop_update_before: bool,
        /// The watermark of a row, over the node's columns, if the source makes watermarks.
        watermark: Option<Expr>,
        /// The source can make watermarks.
        makes_watermarks: bool,
    },
    /// Rows of constants.
    Values {
        /// The rows.
        rows: Vec<Vec<Expr>>,
    },
    /// Computes columns of the rows for which a condition holds.
    Calc {
        /// One expression a column.
        projection: Vec<Expr>,
        /// Over the columns of the input.
        condition: Option<Expr>,
    },
    /// Makes watermarks.
    WatermarkAssigner {
        /// The time.
        time: usize,
        /// The watermark of a row.
        watermark: Expr,
    },
    /// Adds the columns of windows.
    WindowTableFunction {
        /// The windows.
        window: WindowTable,
        /// The time.
        time: usize,
        /// The keys of sessions.
        partition: Vec<usize>,
    },
    /// One row a group, which changes.
    GroupAggregate {
        /// The group.
        keys: Vec<usize>,
        /// The aggregates.
        calls: Vec<PlannedAggregate>,
    },
    /// The first of two phases: what the rows of each mini-batch come to. Gives the keys, then what the
    /// aggregates have come to as bytes.
    LocalGroupAggregate {
        /// The group.
        keys: Vec<usize>,
        /// The aggregates.
        calls: Vec<PlannedAggregate>,
    },
    /// The second of two phases, over what the first gives.
    GlobalGroupAggregate {
        /// The group.
        keys: Vec<usize>,
        /// The aggregates, over the columns of the first phase's input.
        calls: Vec<PlannedAggregate>,
        /// That input takes rows away, too.
        retracts: bool,
    },
    /// One row a group and window, when the window is over. Gives the keys, the aggregates, the
    /// properties.
    WindowAggregate {
        /// The group, without the window.
        keys: Vec<usize>,
        /// The aggregates.
        calls: Vec<PlannedAggregate>,
        /// Where the windows come from.
        window: WindowInput,
        /// What of the window is given.
        properties: Vec<PlannedWindowProperty>,
    },
    /// The first of two phases: what the rows of each batch come to, per group and slice of windows.
    /// Gives the keys, what the aggregates have come to as bytes, and where the slice starts and ends.
    LocalWindowAggregate {
        /// The group, without the window.
        keys: Vec<usize>,
        /// The aggregates.
        calls: Vec<PlannedAggregate>,
        /// Which windows.
        window: WindowTable,
        /// The time.
        time: usize,
    },
    /// The second of two phases, over what the first gives.
    GlobalWindowAggregate {
        /// The group, without the window.
        keys: Vec<usize>,
        /// The aggregates, over the columns of the first phase's input.
        calls: Vec<PlannedAggregate>,
        /// Which windows.
        window: WindowTable,
        /// What of the window is given.
        properties: Vec<PlannedWindowProperty>,
        /// That input takes rows away, too.
        retracts: bool,
    },
    /// Each row once per grouping set.
    Expand {
        /// One expression a column, once per set.
        projections: Vec<Vec<Expr>>,
    },
    /// A join of two changing tables.
    Join {
        /// Its type.
        join_type: JoinType,
        /// The equal columns.
        keys: EquiKeys,
        /// What else must hold, over the columns of both.
        condition: Option<Expr>,
        /// The anti join of NOT IN: NULL on either side counts.
        null_aware: bool,
    },
    /// A join of rows whose times are near.
    IntervalJoin {
        /// Its type.
        join_type: JoinType,
        /// The equal columns.
        keys: EquiKeys,
        /// What else must hold: all of the condition but the equalities.
        condition: Option<Expr>,
        /// The left's time.
        left_time: usize,
        /// The right's time.
        right_time: usize,
        /// Left's time minus right's: at least, in milliseconds.
        lower_ms: i64,
        /// Left's time minus right's: at most, in milliseconds.
        upper_ms: i64,
        /// Event time; the clock if false.
        event_time: bool,
    },
    /// A join of rows of the same window.
    WindowJoin {
        /// Its type.
        join_type: JoinType,
        /// The equal columns, without the windows.
        keys: EquiKeys,
        /// What else must hold.
        condition: Option<Expr>,
        /// Where the left's window ends.
        left_end: usize,
        /// Where the right's window ends.
        right_end: usize,
        /// Windows of event time.
        event_time: bool,
    },
    /// A join with the version of the right at the left's time.
    TemporalJoin {
        /// Inner or left.
        join_type: JoinType,
        /// The equal columns.
        keys: EquiKeys,
        /// What else must hold.
        condition: Option<Expr>,
        /// The left's time.
        left_time: usize,
        /// The right's time; `None`: processing time.
        right_time: Option<usize>,
    },
    /// The first rows of each partition.
    Rank {
        /// The partition.
        partition: Vec<usize>,
        /// The order.
        order: Vec<SortKey>,
        /// The first number, from 1.
        start: u64,
        /// The last number.
        end: u64,
        /// The number is given as the last column.
        with_number: bool,
        /// How changes are taken.
        strategy: RankStrategy,
    },
    /// The first or the last row of each key by time.
    Deduplicate {
        /// The key.
        keys: Vec<usize>,
        /// The time.
        time: usize,
        /// Event time; the order of arrival if false.
        event_time: bool,
        /// The last one.
        keep_last: bool,
    },
    /// The first rows of each partition and window.
    WindowRank {
        /// The partition, without the window.
        partition: Vec<usize>,
        /// The order.
        order: Vec<SortKey>,
        /// The first number.
        start: u64,
        /// The last number.
        end: u64,
        /// The number is given.
        with_number: bool,
        /// Where windows end.
        window_end: usize,
        /// Windows of event time.
        event_time: bool,
    },
    /// The first or last row of each key and window.
    WindowDeduplicate {
        /// The key, without the window.
        keys: Vec<usize>,
        /// The time.
        time: usize,
        /// The last one.
        keep_last: bool,
        /// Where windows end.
        window_end: usize,
        /// Windows of event time.
        event_time: bool,
    },
    /// The first rows of all.
    SortLimit {
        /// The order.
        order: Vec<SortKey>,
        /// How many are left out.
        offset: u64,
        /// How many are given.
        limit: u64,
        /// How changes are taken.
        strategy: RankStrategy,
    },
    /// Rows in the order of their time.
    TemporalSort {
        /// The order; the first is the time.
        order: Vec<SortKey>,
        /// Event time; the order of arrival if false.
        event_time: bool,
    },
    /// Some of the rows, whichever come first.
    Limit {
        /// How many are left out.
        offset: u64,
        /// How many are given.
        limit: u64,
    },
    /// Aggregates over windows of rows.
    OverNode(OverWindow),
    /// Each row with the rows that its value makes.
    Correlate {
        /// `UNNEST` or a user's function.
        function: CorrelatedFunction,
        /// WITH ORDINALITY.
        ordinality: bool,
        /// Its arguments, over the input.
        arguments: Vec<Expr>,
        /// What must hold of the joined row.
        condition: Option<Expr>,
        /// Rows without any keep one with NULL.
        outer: bool,
    },
    /// The rows of all inputs.
    Union,
    /// INTERSECT, EXCEPT.
    SetOperation {
        /// EXCEPT.
        except: bool,
        /// ALL.
        all: bool,
    },
    /// Makes whole changes of changes by key.
    ChangelogNormalize {
        /// The key.
        keys: Vec<usize>,
    },
    /// Each change as a new row: the code of the change, then the input's columns.
    ToChangelog {
        /// The code of each kind of change, by its number; changes without one are dropped.
        codes: [Option<String>; 4],
        /// By which columns rows are distributed; none: each is by itself.
        partition: Vec<usize>,
    },
    /// Each row as the change that it tells of, without the column that says so.
    FromChangelog {
        /// The column of codes.
        op: usize,
        /// What codes mean.
        kinds: Vec<(String, RowKind)>,
        /// Rows of other codes are dropped.
        skips_unknown: bool,
        /// By which columns rows are distributed; none: each is by itself.
        partition: Vec<usize>,
        /// The rows before updates are dropped.
        drop_update_before: bool,
    },
    /// Writes a table.
    Sink {
        /// Its whole name.
        table: String,
        /// INSERT OVERWRITE.
        overwrite: bool,
        /// Its primary key.
        primary_key: Vec<usize>,
        /// The changes that it takes.
        mode: ChangelogMode,
        /// Changes are put in the order of the primary key before it.
        materialize: bool,
    },
}

/// The columns that a join compares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EquiKeys {
    /// Of the left.
    pub left: Vec<usize>,
    /// Of the right, as many.
    pub right: Vec<usize>,
    /// For each, whether NULL equals NULL.
    pub null_equals: Vec<bool>,
}

/// A call of an aggregate function over columns.
#[derive(Clone, Debug)]
pub struct PlannedAggregate {
    /// The function.
    pub function: Arc<AggregateUDF>,
    /// Its arguments.
    pub arguments: Vec<usize>,
    /// The call as it was written, over the columns of the input.
    pub call: Expr,
    /// DISTINCT
    pub distinct: bool,
    /// FILTER: a boolean column.
    pub filter: Option<usize>,
}

/// One column of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The column.
    pub column: usize,
    /// Small values first.
    pub ascending: bool,
    /// NULLs first.
    pub nulls_first: bool,
}

/// How a top list takes changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RankStrategy {
    /// Rows are only added.
    #[default]
    AppendFast,
    /// Rows are taken away, too.
    Retract,
}

/// Where the windows of an aggregate come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowInput {
    /// From a time, by the operator.
    Time {
        /// Which.
        window: WindowTable,
        /// The time.
        time: usize,
    },
    /// From columns of an earlier operator.
    Attached {
        /// Which they were.
        window: WindowTable,
        /// Where they start.
        start: usize,
        /// Where they end.
        end: usize,
    },
}

/// What of a window is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedWindowProperty {
    /// Where it starts.
    Start,
    /// Where it ends.
    End,
    /// Its time: the last moment in it.
    Time,
}

/// The functions of an OVER window. Gives all columns of the input, then one a function.
#[derive(Clone, Debug)]
pub struct OverWindow {
    /// The partition.
    pub partition: Vec<usize>,
    /// The order.
    pub order: Vec<SortKey>,
    /// What decides when a row's result is known.
    pub bound: BoundKind,
    /// The functions.
    pub functions: Vec<PlannedOver>,
}

/// One function of an OVER window.
#[derive(Clone, Debug)]
pub enum PlannedOver {
    /// An aggregate.
    Aggregate {
        /// The call.
        call: PlannedAggregate,
        /// Which rows count.
        frame: OverRange,
    },
    /// A ranking function.
    Ranking {
        /// Its name.
        name: String,
        /// LAG and LEAD: the column, then that of the default, if there is one.
        columns: Vec<usize>,
        /// LAG and LEAD: how many rows.
        offset: u64,
    },
}

/// By what an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundKind {
    /// Event time.
    EventTime,
    /// Processing time: as rows come.
    ProcessingTime,
    /// Some other column: results change.
    Value,
}

impl ExecNode {
    /// A node whose changes are not known yet.
    #[must_use]
    pub fn new(kind: ExecNodeKind, inputs: Vec<Self>, schema: DFSchemaRef) -> Self {
        let (modify, update) = (ModifyKinds::INSERT_ONLY, UpdateKind::None);
        Self { kind, inputs, schema, modify, update, every_version: false, state_ttl_ms: [None; 2] }
    }

    /// The changes that it gives.
    #[must_use]
    pub fn changelog_mode(&self) -> ChangelogMode {
        changelog_mode(self.modify, self.update)
    }

    /// Its name, which is Flink's.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.kind {
            ExecNodeKind::TableSourceScan { .. } => "TableSourceScan",
            ExecNodeKind::Values { .. } => "Values",
            ExecNodeKind::Calc { .. } => "Calc",
            ExecNodeKind::WatermarkAssigner { .. } => "WatermarkAssigner",
            ExecNodeKind::WindowTableFunction { .. } => "WindowTableFunction",
            ExecNodeKind::GroupAggregate { .. } => "GroupAggregate",
            ExecNodeKind::LocalGroupAggregate { .. } => "LocalGroupAggregate",
            ExecNodeKind::GlobalGroupAggregate { .. } => "GlobalGroupAggregate",
            ExecNodeKind::WindowAggregate { .. } => "WindowAggregate",
            ExecNodeKind::LocalWindowAggregate { .. } => "LocalWindowAggregate",
            ExecNodeKind::GlobalWindowAggregate { .. } => "GlobalWindowAggregate",
            ExecNodeKind::Expand { .. } => "Expand",
            ExecNodeKind::Join { .. } => "Join",
            ExecNodeKind::IntervalJoin { .. } => "IntervalJoin",
            ExecNodeKind::WindowJoin { .. } => "WindowJoin",
            ExecNodeKind::TemporalJoin { .. } => "TemporalJoin",
            ExecNodeKind::Rank { .. } => "Rank",
            ExecNodeKind::Deduplicate { .. } => "Deduplicate",
            ExecNodeKind::WindowRank { .. } => "WindowRank",
            ExecNodeKind::WindowDeduplicate { .. } => "WindowDeduplicate",
            ExecNodeKind::SortLimit { .. } => "SortLimit",
            ExecNodeKind::TemporalSort { .. } => "TemporalSort",
            ExecNodeKind::Limit { .. } => "Limit",
            ExecNodeKind::OverNode(_) => "OverNode",
            ExecNodeKind::Correlate { .. } => "Correlate",
            ExecNodeKind::Union => "Union",
            ExecNodeKind::SetOperation { .. } => "SetOperation",
            ExecNodeKind::ChangelogNormalize { .. } => "ChangelogNormalize",
            ExecNodeKind::ToChangelog { .. } => "ToChangelog",
            ExecNodeKind::FromChangelog { .. } => "FromChangelog",
            ExecNodeKind::Sink { .. } => "Sink",
        }
    }

    /// By which columns input `input` must be together; `None`: it need not; none: all in one place.
    #[must_use]
    pub fn distribution(&self, input: usize) -> Option<Vec<usize>> {
        use ExecNodeKind::*;
        match &self.kind {
            GroupAggregate { keys, .. }
            | GlobalGroupAggregate { keys, .. }
            | Deduplicate { keys, .. }
            | ChangelogNormalize { keys }
            | WindowAggregate { keys, .. }
            | GlobalWindowAggregate { keys, .. }
            | WindowDeduplicate { keys, .. } => Some(keys.clone()),
            Join { keys, .. }
            | IntervalJoin { keys, .. }
            | WindowJoin { keys, .. }
            | TemporalJoin { keys, .. } => {
                Some(if input == 0 { keys.left.clone() } else { keys.right.clone() })
            }
            Rank { partition, .. } | WindowRank { partition, .. } => Some(partition.clone()),
            OverNode(over) => Some(over.partition.clone()),
            SortLimit { .. } | TemporalSort { .. } | Limit { .. } => Some(Vec::new()),
            SetOperation { .. } => Some((0..self.schema.fields().len()).collect()),
            Sink { primary_key, materialize: true, .. } => Some(primary_key.clone()),
            WindowTableFunction { window, partition, .. }
                if matches!(window.kind, crate::plan::WindowKind::Session { .. }) =>
            {
                Some(partition.clone())
            }
            ToChangelog { partition, .. } | FromChangelog { partition, .. }
                if !partition.is_empty() =>
            {
                Some(partition.clone())
            }
            ToChangelog { .. }
            | FromChangelog { .. }
            | LocalGroupAggregate { .. }
            | LocalWindowAggregate { .. } => None,
            TableSourceScan { .. } | Values { .. } | Calc { .. } | WatermarkAssigner { .. } => None,
            WindowTableFunction { .. } | Expand { .. } | Correlate { .. } | Union => None,
            Sink { .. } => None,
        }
    }
}
