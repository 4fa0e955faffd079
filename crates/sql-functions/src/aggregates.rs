//! The aggregate functions, a file for each family.
//!
//! A kernel is made for a call's types. Values that a state keeps are encoded as Arrow's rows, whose
//! bytes compare as the values do.

mod collect;
mod count;
mod extreme;
mod json;
mod list;
mod ordered;
mod percentile;
mod sum;
mod values;
mod variance;
mod welford;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use arrow_array::{Array, BooleanArray};
use hurtig_sql_parser::types::SqlDataType;

use crate::{
    api::{AggregateKernel, CallArgument, CallError, ResolvedAggregate, SqlAggregateFunction},
    call::Call,
};

/// An aggregate whose types are settled, or why it cannot be.
type Resolved = Result<ResolvedAggregate, CallError>;

/// A function of many rows' values.
pub(crate) struct Aggregate {
    /// Its name, in capitals.
    pub name: &'static str,
    /// For people: how it is called.
    pub signature: &'static str,
    /// Settles a call, with or without retraction.
    resolve: fn(&Call<'_>, bool) -> Resolved,
}

impl SqlAggregateFunction for &'static Aggregate {
    fn name(&self) -> &str {
        self.name
    }

    fn resolve(&self, arguments: &[CallArgument], retracts: bool) -> Resolved {
        let call = Call { name: self.name, signature: self.signature, arguments };
        (self.resolve)(&call, retracts)
    }
}

const fn aggregate(
    name: &'static str,
    signature: &'static str,
    resolve: fn(&Call<'_>, bool) -> Resolved,
) -> Aggregate {
    Aggregate { name, signature, resolve }
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Aggregate> {
    const FAMILIES: &[&[Aggregate]] = &[
        count::FUNCTIONS,
        sum::FUNCTIONS,
        extreme::FUNCTIONS,
        variance::FUNCTIONS,
        welford::FUNCTIONS,
        ordered::FUNCTIONS,
        list::FUNCTIONS,
        collect::FUNCTIONS,
        json::FUNCTIONS,
        percentile::FUNCTIONS,
    ];
    FAMILIES.iter().copied().flatten()
}

/// The one of that name.
pub(crate) fn find(name: &str) -> Option<&'static Aggregate> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Aggregate>> =
        LazyLock::new(|| all().map(|one| (one.name, one)).collect());
    BY_NAME.get(name).copied()
}

fn resolved(
    arguments: Vec<SqlDataType>,
    result: SqlDataType,
    kernel: impl AggregateKernel + 'static,
) -> ResolvedAggregate {
    ResolvedAggregate { arguments, result, kernel: Arc::new(kernel) }
}

/// The rows of an update that count.
#[derive(Clone, Copy)]
struct Rows<'a> {
    groups: &'a [u32],
    counts: Option<&'a BooleanArray>,
    retracts: Option<&'a [bool]>,
}

impl<'a> Rows<'a> {
    fn new(
        groups: &'a [u32],
        counts: Option<&'a BooleanArray>,
        retracts: Option<&'a [bool]>,
    ) -> Self {
        Self { groups, counts, retracts }
    }

    /// Each row that counts: its place, its group, and whether it is taken away.
    fn iter(self) -> impl Iterator<Item = (usize, usize, bool)> + 'a {
        self.groups.iter().enumerate().filter_map(move |(row, group)| {
            if let Some(counts) = self.counts
                && (!counts.is_valid(row) || !counts.value(row))
            {
                return None;
            }
            let retract = self.retracts.is_some_and(|retracts| retracts[row]);
            Some((row, *group as usize, retract))
        })
    }
}
