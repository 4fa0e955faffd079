//! Which aggregates can be split, and what becomes of their functions.

use datafusion_expr::{Aggregate, Expr, LogicalPlan, expr::AggregateFunction};
use hurtig_sql_parser::types::SqlTypeKind;

use crate::{
    functions::AggregateCoat,
    plan::{StreamingNode, StreamingNodeKind, WindowKind},
};

/// What becomes of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Count,
    Sum,
    Average,
    /// MIN and MAX: the same again, in buckets.
    Extreme,
    /// The same again; the order of rows matters.
    Ordered,
}

/// A call that can be split.
pub(super) struct Call<'a> {
    pub family: Family,
    pub call: &'a AggregateFunction,
    pub coat: &'a AggregateCoat,
    /// The name of its column.
    pub name: &'a str,
}

impl Call<'_> {
    pub fn uses_buckets(&self) -> bool {
        match self.family {
            Family::Extreme => true,
            Family::Ordered => false,
            _ => self.call.params.distinct,
        }
    }

    /// The names of the columns that are its arguments.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.call.params.args.iter().filter_map(|one| match one {
            Expr::Column(column) => Some(column.name.as_str()),
            _ => None,
        })
    }

    /// What a sum is computed in, if not in the argument's own type.
    pub fn wide(&self) -> Option<SqlTypeKind> {
        let kind = &self.coat.arguments().first()?.data_type.kind;
        match (self.family, kind) {
            (Family::Sum | Family::Average, SqlTypeKind::Float) => Some(SqlTypeKind::Double),
            (Family::Average, SqlTypeKind::TinyInt | SqlTypeKind::SmallInt | SqlTypeKind::Int) => {
                Some(SqlTypeKind::BigInt)
            }
            _ => None,
        }
    }
}

/// The calls of an aggregate, if there is a DISTINCT, and all can be split.
pub(super) fn splittable(aggregate: &Aggregate) -> Option<Vec<Call<'_>>> {
    let groups = aggregate.group_expr.len();
    if !aggregate.group_expr.iter().all(|one| matches!(one, Expr::Column(_)))
        || has_odd_window(&aggregate.input)
    {
        return None;
    }
    let mut calls = Vec::new();
    for (index, expr) in aggregate.aggr_expr.iter().enumerate() {
        let bare = match expr {
            Expr::Alias(alias) => &*alias.expr,
            other => other,
        };
        let Expr::AggregateFunction(call) = bare else { return None };
        let coat = call.func.inner().downcast_ref::<AggregateCoat>()?;
        let params = &call.params;
        let plain = |one: &Expr| matches!(one, Expr::Column(_) | Expr::Literal(..));
        let family = match call.func.name() {
            "COUNT" => Family::Count,
            "SUM" | "SUM0" | "$SUM0" => Family::Sum,
            "AVG" => Family::Average,
            "MIN" | "MAX" => Family::Extreme,
            "FIRST_VALUE" | "LAST_VALUE" | "LISTAGG" if params.args.len() == 1 => Family::Ordered,
            _ => return None,
        };
        if !params.order_by.is_empty()
            || !params.args.iter().all(plain)
            || !params.filter.iter().all(|one| matches!(**one, Expr::Column(_)))
        {
            return None;
        }
        let name = aggregate.schema.field(groups + index).name();
        calls.push(Call { family, call, coat, name });
    }
    let distinct = calls.iter().any(|one| one.call.params.distinct);
    (distinct && calls.iter().any(|one| one.uses_buckets() && one.columns().next().is_some()))
        .then_some(calls)
}

/// Whether there are windows below of which nobody knows that both steps see the same.
pub(super) fn has_odd_window(plan: &LogicalPlan) -> bool {
    if let Some(StreamingNode { kind: StreamingNodeKind::Window(window), .. }) =
        StreamingNode::of(plan)
        && (!window.event_time || matches!(window.kind, WindowKind::Session { .. }))
    {
        return true;
    }
    plan.inputs().into_iter().any(has_odd_window)
}
