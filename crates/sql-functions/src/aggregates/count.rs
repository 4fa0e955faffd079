//! COUNT.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array};
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{Aggregate, Rows, aggregate, resolved};
use crate::api::{AggregateKernel, AggregateState};

pub(super) const FUNCTIONS: &[Aggregate] =
    &[aggregate("COUNT", "COUNT([DISTINCT] value1[, value2]*) or COUNT(*)", |call, _| {
        let result = SqlDataType::not_null(SqlTypeKind::BigInt);
        Ok(resolved(call.types(), result, Count))
    })];

/// Counts rows none of whose arguments is NULL.
#[derive(Debug)]
struct Count;

fn count_of(state: &AggregateState) -> i64 {
    match state {
        AggregateState::Count(count) => *count,
        _ => 0,
    }
}

impl AggregateKernel for Count {
    fn empty(&self) -> AggregateState {
        AggregateState::Count(0)
    }

    fn update(
        &self,
        states: &mut [&mut AggregateState],
        groups: &[u32],
        arguments: &[ArrayRef],
        counts: Option<&BooleanArray>,
        retracts: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let with_nulls: Vec<_> = arguments.iter().filter_map(|one| one.logical_nulls()).collect();
        for (row, group, retract) in Rows::new(groups, counts, retracts).iter() {
            if with_nulls.iter().any(|nulls| nulls.is_null(row)) {
                continue;
            }
            let state = &mut *states[group];
            let count = count_of(state).wrapping_add(if retract { -1 } else { 1 });
            *state = AggregateState::Count(count);
        }
        Ok(())
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        *into = AggregateState::Count(count_of(into).wrapping_add(count_of(other)));
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        Ok(Arc::new(Int64Array::from_iter_values(states.iter().map(|state| count_of(state)))))
    }
}
