//! What functions, casts and aggregates are.
//!
//! Planning: the planner [resolves](ScalarFunction::resolve) a call by the types (and, where they
//! count, the literals) of its arguments. It gets the types that the arguments must be cast to,
//! the type of the result, and a kernel. Running: the kernel works on whole columns.

use std::{fmt, sync::Arc};

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use hurtig_sql_common::{EvalError, SqlContext};
use hurtig_sql_parser::types::SqlDataType;

/// An argument of a call, while it is planned.
#[derive(Clone, Debug)]
pub struct CallArgument {
    /// Its type.
    pub data_type: SqlDataType,
    /// Its value, an array of one, if it is a constant: some results' types depend on values.
    pub literal: Option<ArrayRef>,
}

/// Why a call cannot be: for the user, without position, which the planner adds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CallError(pub String);

/// A call whose types are settled.
#[derive(Clone)]
pub struct ResolvedCall {
    /// What the arguments must be cast to (implicit casts; equal types stay as they are).
    pub arguments: Vec<SqlDataType>,
    /// The type of the result, its nullability derived from the arguments'.
    pub result: SqlDataType,
    /// What computes it.
    pub kernel: Arc<dyn Kernel>,
}

/// A function of a row's values.
pub trait ScalarFunction: Send + Sync {
    /// Its name, in capitals; operators have their symbols (`+`, `LIKE`, `||`).
    fn name(&self) -> &str;
    /// Settles a call.
    fn resolve(&self, arguments: &[CallArgument]) -> Result<ResolvedCall, CallError>;
    /// False if equal arguments may give different results (RAND, UUID): never folded.
    fn is_deterministic(&self) -> bool {
        true
    }
    /// True if the result is the same within one query, but not between two (CURRENT_DATE).
    fn is_dynamic(&self) -> bool {
        false
    }
}

/// A column of arguments. A constant is an array of one value, so that kernels may prepare it once.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A value per row.
    Column(ArrayRef),
    /// One value for all rows.
    Constant(ArrayRef),
}

/// Computes a column from columns. Casts, operators and functions are kernels.
pub trait Kernel: fmt::Debug + Send + Sync {
    /// The result for `rows` rows; its arrow type is that of the resolved result. A row whose value
    /// cannot be computed fails the whole batch, unless the function gives NULL for it.
    fn evaluate(
        &self,
        arguments: &[Operand],
        rows: usize,
        context: &SqlContext,
    ) -> Result<ArrayRef, EvalError>;
}

/// An expression over the columns of a batch, ready to run. (The planner's are DataFusion's.)
pub trait Expression: fmt::Debug + Send + Sync {
    /// Its value for each row.
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, EvalError>;

    /// Bytes that it adds to each row whatever the row is: those of its constants. Whoever gathers
    /// its values takes fewer rows at once if they are many.
    fn constant_bytes(&self) -> usize {
        0
    }
}

/// A function of many rows' values.
pub trait SqlAggregateFunction: Send + Sync {
    /// Its name, in capitals.
    fn name(&self) -> &str;
    /// Settles a call. `retracts`: rows are taken away, too, so that the state must allow for it.
    fn resolve(
        &self,
        arguments: &[CallArgument],
        retracts: bool,
    ) -> Result<ResolvedAggregate, CallError>;
}

/// An aggregate whose types are settled.
#[derive(Clone)]
pub struct ResolvedAggregate {
    /// What the arguments must be cast to.
    pub arguments: Vec<SqlDataType>,
    /// The type of the result.
    pub result: SqlDataType,
    /// What computes it.
    pub kernel: Arc<dyn AggregateKernel>,
}

pub use crate::{aggregate_state::AggregateState, columns::begin_evaluation};

/// Keeps and reads the states of one aggregate call. DISTINCT and FILTER are the operator's work:
/// a kernel sees the rows that count.
pub trait AggregateKernel: fmt::Debug + Send + Sync {
    /// The state of a group without rows.
    fn empty(&self) -> AggregateState;

    /// Adds rows to (or takes them from) the states of their groups: row `i`, where `counts` has it,
    /// belongs to `states[groups[i]]`. `retracts[i]` takes it away; `None`: none does.
    fn update(
        &self,
        states: &mut [&mut AggregateState],
        groups: &[u32],
        arguments: &[ArrayRef],
        counts: Option<&BooleanArray>,
        retracts: Option<&[bool]>,
    ) -> Result<(), EvalError>;

    /// False if [`AggregateKernel::merge`] is not there, as in functions of users: then a group is never
    /// made of parts where it need not be.
    fn can_merge(&self) -> bool {
        true
    }

    /// Adds another state of the same kernel: windows of slices, two phases, sessions that merge.
    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError>;

    /// The results of states, as one column.
    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError>;
}
