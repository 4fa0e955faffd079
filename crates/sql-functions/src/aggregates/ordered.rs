//! FIRST_VALUE, LAST_VALUE and SINGLE_VALUE: by the order in which rows come.

use std::collections::VecDeque;

use arrow_array::{ArrayRef, BooleanArray};
use hurtig_sql_common::EvalError;

use super::{
    Aggregate, Resolved, Rows, aggregate, resolved,
    values::{Codec, is_null, only},
};
use crate::{
    api::{AggregateKernel, AggregateState},
    call::{Call, Want},
};

pub(super) const FUNCTIONS: &[Aggregate] = &[
    aggregate("FIRST_VALUE", "FIRST_VALUE(value)", |call, retracts| {
        ordered(call, retracts, Which::First)
    }),
    aggregate("LAST_VALUE", "LAST_VALUE(value)", |call, retracts| {
        ordered(call, retracts, Which::Last)
    }),
    aggregate("SINGLE_VALUE", "SINGLE_VALUE(value)", |call, _| ordered(call, true, Which::Only)),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    First,
    Last,
    Only,
}

fn ordered(call: &Call<'_>, retracts: bool, which: Which) -> Resolved {
    call.count(1, 1)?;
    let argument = call.want(0, Want::Any)?;
    let mut result = argument.clone();
    result.nullable |= which == Which::Only;
    let kernel = Ordered { codec: Codec::new(&argument)?, which, retracts };
    Ok(resolved(vec![argument], result, kernel))
}

#[derive(Debug)]
struct Ordered {
    codec: Codec,
    which: Which,
    retracts: bool,
}

/// The list of a state, which becomes one.
pub(super) fn list_of(state: &mut AggregateState) -> &mut VecDeque<Box<[u8]>> {
    if !matches!(state, AggregateState::Listed(_)) {
        *state = AggregateState::Listed(Box::default());
    }
    match state {
        AggregateState::Listed(list) => list,
        _ => unreachable!("it was made one"),
    }
}

/// Takes the first such value away.
pub(super) fn remove_value(list: &mut VecDeque<Box<[u8]>>, value: &[u8]) {
    if let Some(place) = list.iter().position(|one| **one == *value) {
        list.remove(place);
    }
}

impl AggregateKernel for Ordered {
    fn empty(&self) -> AggregateState {
        AggregateState::Empty
    }

    fn update(
        &self,
        states: &mut [&mut AggregateState],
        groups: &[u32],
        arguments: &[ArrayRef],
        counts: Option<&BooleanArray>,
        retracts: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let values = only(arguments)?;
        let encoded = self.codec.encode(values)?;
        for (row, group, retract) in Rows::new(groups, counts, retracts).iter() {
            // A single value may be NULL; the others pass NULL over.
            if self.which != Which::Only && is_null(values, row) {
                continue;
            }
            let value = encoded.row(row);
            let state = &mut *states[group];
            if self.retracts {
                let list = list_of(state);
                if retract {
                    remove_value(list, value.as_ref());
                } else {
                    list.push_back(value.as_ref().into());
                }
            } else if self.which == Which::Last || *state == AggregateState::Empty {
                *state = AggregateState::Value(value.as_ref().into());
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        match other {
            AggregateState::Listed(list) => list_of(into).extend(list.iter().cloned()),
            AggregateState::Value(_)
                if self.which == Which::Last || *into == AggregateState::Empty =>
            {
                *into = other.clone();
            }
            _ => {}
        }
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let mut values = Vec::with_capacity(states.len());
        for state in states {
            values.push(match state {
                AggregateState::Value(value) => Some(&**value),
                AggregateState::Listed(list) if self.which == Which::Only && list.len() > 1 => {
                    let why = "SingleValueAggFunction received more than one element.";
                    return Err(EvalError::Value(why.to_owned()));
                }
                AggregateState::Listed(list) if self.which == Which::Last => {
                    list.back().map(|value| &**value)
                }
                AggregateState::Listed(list) => list.front().map(|value| &**value),
                _ => None,
            });
        }
        self.codec.decode_optional(&values)
    }
}
