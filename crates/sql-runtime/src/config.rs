//! What the planner says of each operator: plain data, with expressions and kernels ready to run.
//!
//! Conventions:
//!
//! - Columns are positions in the input's schema; of a join's condition and output in the left
//!   input's columns followed by the right's.
//! - `schema` is what the operator gives, and says which columns those are.
//! - `emits_update_before`: consumers need `-U` beside `+U`.
//! - `ttl`: `table.exec.state.ttl` or a hint; `None` or zero keeps state for ever.
//! - Keyed operators are to be fed by [`Exchange::Hash`] on their keys, in their order; without
//!   keys by [`Exchange::Global`], at parallelism 1.
//! - Every struct here is an `OperatorFactory`.

mod aggregate;
mod join;
mod rank;
mod stateless;
mod window;

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::SchemaRef;
use hurtig_sql_common::EvalError;
use hurtig_sql_functions::api::{AggregateKernel, Expression};

pub use aggregate::{
    GlobalGroupAggregate, GroupAggregate, LocalGroupAggregate, OverAggregate, OverCall, OverFrame,
    OverOrder, OverRanking, SetOperation,
};
pub use join::{
    IntervalJoin, JoinInput, JoinKeys, JoinVariant, RegularJoin, TemporalJoin, WindowJoin,
};
pub use rank::{Deduplicate, Limit, Rank, SortLimit, TemporalSort, WindowDeduplicate, WindowRank};
pub use stateless::{
    Calc, ChangelogNormalize, Correlate, DropUpdateBefore, Expand, FromChangelog, LengthEnforcer,
    LengthRule, MiniBatch, NotNullEnforcer, SinkMaterialize, ToChangelog, Values,
    WatermarkAssigner,
};
pub use window::{
    GlobalWindowAggregate, LocalWindowAggregate, WindowAggregate, WindowProperty, WindowSpec,
    WindowTableFunction, WindowTime,
};

/// How rows get from an operator to the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// To the subtask in the same place; also what chains.
    Forward,
    /// All to subtask 0.
    Global,
    /// In turn.
    Rebalance,
    /// To all subtasks.
    Broadcast,
    /// By the key group of these columns.
    Hash(Vec<usize>),
}

/// An edge of rows.
#[derive(Clone, Debug)]
pub struct TableEdge {
    /// Of the rows.
    pub schema: SchemaRef,
    /// Where they go.
    pub distribution: Exchange,
}

/// One aggregate call of an operator.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// What computes it; resolved with `retracts` if the input takes rows away, or if rows leave the
    /// frame of an OVER.
    pub kernel: Arc<dyn AggregateKernel>,
    /// Columns of the arguments, already of the types that the kernel wants.
    pub arguments: Vec<usize>,
    /// A BOOLEAN column: rows count where it is TRUE.
    pub filter: Option<usize>,
    /// Equal arguments count once.
    pub distinct: bool,
}

/// A column to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortColumn {
    /// Its position.
    pub column: usize,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST. (Flink's default: first if ascending, last if descending.)
    pub nulls_first: bool,
}

/// A function that makes rows of a row: UNNEST, table functions of users.
pub trait TableFunction: std::fmt::Debug + Send + Sync {
    /// The rows that each of `rows` rows of arguments makes: for each the number of the row of
    /// arguments, not descending, and the columns.
    fn evaluate(
        &self,
        arguments: &[ArrayRef],
        rows: usize,
    ) -> Result<(Vec<u32>, Vec<ArrayRef>), EvalError>;
}

/// An expression that may be shared.
pub type SharedExpression = Arc<dyn Expression>;
