//! What an operator is to its state: which one of the last time it is, when a changed query starts
//! from a savepoint.
//!
//! An identity says what decides what is in the state, and nothing else: what the operator does, by
//! which columns, and which tables are below. Where it stands in the query, what its columns are
//! called further up, and which columns beside are carried along are no part of it. (Whether rows
//! that were kept still fit is checked by the operator, which knows their columns.)
//!
//! Columns are named by where they come from. Operators of equal identity are told apart by what
//! consumes their rows, and what consumes those; if nothing tells them apart, by their order.

use std::collections::{HashMap, HashSet};

use datafusion_expr::Expr;

use super::{
    ExecNode, ExecNodeKind, OverWindow, PlannedAggregate, PlannedOver, SharedParts, SortKey,
    StreamPlan, WindowInput, explain::name, print::readable,
};
use crate::plan::WindowTable;

/// Most consumers that are looked at to tell operators apart.
const MAX_CONSUMERS: usize = 64;

/// The identities of the operators of a plan.
#[derive(Debug, Default)]
pub struct Identities(HashMap<*const ExecNode, String>);

/// An operator on the way to its identity.
struct Found<'a> {
    node: &'a ExecNode,
    own: String,
    /// Which one consumes its rows, and as which input.
    consumer: Option<(usize, usize)>,
}

impl Identities {
    /// Of all operators of a plan, of parts that are the same those of the first. They are good for as
    /// long as the plan is not moved.
    #[must_use]
    pub fn of(plan: &StreamPlan, parts: &SharedParts) -> Self {
        let mut all = Vec::new();
        let mut seen = HashSet::new();
        plan.roots.iter().for_each(|root| collect(root, None, parts, &mut seen, &mut all));
        let mut names: Vec<String> = all.iter().map(|one| one.own.clone()).collect();
        // The consumer that is looked at next.
        let mut next: Vec<_> = all.iter().map(|one| one.consumer).collect();
        for _ in 0..MAX_CONSUMERS {
            let equal = equal_names(&names);
            let mut told = false;
            for (index, name) in names.iter_mut().enumerate().filter(|(index, _)| equal[*index]) {
                let Some((consumer, input)) = next[index] else { continue };
                name.push_str(&format!(" for {input} of {}", all[consumer].own));
                next[index] = all[consumer].consumer;
                told = true;
            }
            if !told {
                break;
            }
        }
        let mut times: HashMap<String, usize> = HashMap::new();
        let identities = all.iter().zip(names).map(|(one, name)| {
            let nth = times.entry(name.clone()).or_insert(0);
            *nth += 1;
            let identity = if *nth > 1 { format!("{name} number {nth}") } else { name };
            (std::ptr::from_ref(one.node), identity)
        });
        Self(identities.collect())
    }

    /// That of an operator of the plan.
    #[must_use]
    pub fn get(&self, node: &ExecNode) -> Option<&str> {
        self.0.get(&std::ptr::from_ref(node)).map(String::as_str)
    }
}

fn equal_names(names: &[String]) -> Vec<bool> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    names.iter().for_each(|name| *times.entry(name).or_insert(0) += 1);
    names.iter().map(|name| times[name.as_str()] > 1).collect()
}

fn collect<'a>(
    node: &'a ExecNode,
    consumer: Option<(usize, usize)>,
    parts: &SharedParts,
    seen: &mut HashSet<u32>,
    all: &mut Vec<Found<'a>>,
) {
    if parts.number(node).is_some_and(|number| !seen.insert(number)) {
        return;
    }
    let mut tables = Vec::new();
    tables_below(node, &mut tables);
    tables.sort();
    let own = format!("{}({}) over {}", node.name(), own(node).join("; "), tables.join(","));
    let index = all.len();
    all.push(Found { node, own, consumer });
    for (input, below) in node.inputs.iter().enumerate() {
        collect(below, Some((index, input)), parts, seen, all);
    }
}

fn tables_below(node: &ExecNode, tables: &mut Vec<String>) {
    if let ExecNodeKind::TableSourceScan { table, .. } = &node.kind {
        tables.push(table.path.to_string());
    }
    node.inputs.iter().for_each(|input| tables_below(input, tables));
}

/// Where a column comes from, as far as that is one column of one table; else what computes it.
fn column(node: &ExecNode, at: usize) -> String {
    let given = || name(at, &node.schema);
    let of_input = |input: usize, at: usize| match node.inputs.get(input) {
        Some(input) => column(input, at),
        None => given(),
    };
    let left = node.inputs.first().map_or(0, |input| input.schema.fields().len());
    match &node.kind {
        ExecNodeKind::Calc { projection, .. } => match projection.get(at) {
            Some(expression) => computed(expression, node),
            None => given(),
        },
        ExecNodeKind::GroupAggregate { keys, calls, .. }
        | ExecNodeKind::WindowAggregate { keys, calls, .. } => {
            match (keys.get(at), calls.get(at.saturating_sub(keys.len()))) {
                (Some(key), _) => of_input(0, *key),
                (None, Some(call)) => node.inputs.first().map_or_else(given, |i| of_call(call, i)),
                (None, None) => given(),
            }
        }
        ExecNodeKind::LocalGroupAggregate { keys, .. }
        | ExecNodeKind::LocalWindowAggregate { keys, .. } => {
            keys.get(at).map_or_else(given, |key| of_input(0, *key))
        }
        ExecNodeKind::GlobalGroupAggregate { keys, calls, .. }
        | ExecNodeKind::GlobalWindowAggregate { keys, calls, .. } => {
            match (keys.get(at), calls.get(at.saturating_sub(keys.len()))) {
                (Some(key), _) => of_input(0, *key),
                (None, Some(call)) => {
                    before_phases(node).map_or_else(given, |before| of_call(call, before))
                }
                (None, None) => given(),
            }
        }
        ExecNodeKind::ToChangelog { .. } => {
            at.checked_sub(1).map_or_else(given, |at| of_input(0, at))
        }
        ExecNodeKind::FromChangelog { op, .. } => of_input(0, at + usize::from(at >= *op)),
        ExecNodeKind::Join { .. }
        | ExecNodeKind::IntervalJoin { .. }
        | ExecNodeKind::WindowJoin { .. }
        | ExecNodeKind::TemporalJoin { .. }
            if at >= left =>
        {
            of_input(1, at - left)
        }
        ExecNodeKind::TableSourceScan { .. }
        | ExecNodeKind::Values { .. }
        | ExecNodeKind::Expand { .. }
        | ExecNodeKind::Union => given(),
        _ if at < left => of_input(0, at),
        _ => given(),
    }
}

/// What the first of two phases aggregates, of the second.
fn before_phases(node: &ExecNode) -> Option<&ExecNode> {
    node.inputs.first()?.inputs.first()
}

/// An expression over the input's columns.
fn computed(expression: &Expr, node: &ExecNode) -> String {
    match (expression, node.inputs.first()) {
        (Expr::Column(one), Some(input)) => {
            let at = input.schema.fields().iter().position(|field| field.name() == &one.name);
            at.map_or_else(|| readable(expression), |at| column(input, at))
        }
        (Expr::Alias(alias), _) => computed(&alias.expr, node),
        _ => readable(expression),
    }
}

fn columns(node: Option<&ExecNode>, columns_of_it: &[usize]) -> String {
    let Some(node) = node else { return String::new() };
    columns_of_it.iter().map(|at| column(node, *at)).collect::<Vec<_>>().join(", ")
}

fn of_call(call: &PlannedAggregate, input: &ExecNode) -> String {
    let distinct = if call.distinct { "DISTINCT " } else { "" };
    let filter = call.filter.map(|at| format!(" FILTER {}", column(input, at)));
    let arguments = columns(Some(input), &call.arguments);
    format!("{}({distinct}{arguments}){}", call.function.name(), filter.unwrap_or_default())
}

fn of_calls(calls: &[PlannedAggregate], input: Option<&ExecNode>) -> String {
    let one = |call| input.map(|input| of_call(call, input)).unwrap_or_default();
    format!("calls {}", calls.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn of_order(order: &[SortKey], input: Option<&ExecNode>) -> String {
    let one = |key: &SortKey| {
        let direction = if key.ascending { "ASC" } else { "DESC" };
        let nulls = if key.nulls_first { "FIRST" } else { "LAST" };
        format!("{} {direction} NULLS {nulls}", columns(input, &[key.column]))
    };
    format!("by {}", order.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn window_of(window: &WindowTable) -> String {
    format!("{:?}", window.kind)
}

/// What decides what is in the state, apart from the tables below.
fn own(node: &ExecNode) -> Vec<String> {
    let (input, second) = (node.inputs.first(), node.inputs.get(1));
    let of = |what: &str, at: &[usize]| format!("{what} {}", columns(input, at));
    match &node.kind {
        // The position in a table says nothing of the columns that are read.
        ExecNodeKind::TableSourceScan { table, .. } => vec![format!("table {}", table.path)],
        ExecNodeKind::Values { rows } => vec![format!("{} rows", rows.len())],
        ExecNodeKind::Sink { table, .. } => vec![format!("table {table}")],
        // Without state.
        ExecNodeKind::Calc { .. }
        | ExecNodeKind::Expand { .. }
        | ExecNodeKind::Correlate { .. }
        | ExecNodeKind::LocalGroupAggregate { .. }
        | ExecNodeKind::LocalWindowAggregate { .. }
        | ExecNodeKind::ToChangelog { .. }
        | ExecNodeKind::FromChangelog { .. }
        | ExecNodeKind::Union => Vec::new(),
        ExecNodeKind::WatermarkAssigner { time, .. } => vec![of("time", &[*time])],
        ExecNodeKind::WindowTableFunction { window, time, partition } => {
            vec![window_of(window), of("time", &[*time]), of("partition", partition)]
        }
        ExecNodeKind::GroupAggregate { keys, calls, .. } => {
            vec![of("keys", keys), of_calls(calls, input)]
        }
        ExecNodeKind::WindowAggregate { keys, calls, window, .. } => {
            let window = match window {
                WindowInput::Time { window, time } => {
                    format!("{} {}", window_of(window), columns(input, &[*time]))
                }
                WindowInput::Attached { window, .. } => window_of(window),
            };
            vec![of("keys", keys), window, of_calls(calls, input)]
        }
        ExecNodeKind::GlobalGroupAggregate { keys, calls, .. } => {
            vec![of("keys", keys), of_calls(calls, before_phases(node))]
        }
        ExecNodeKind::GlobalWindowAggregate { keys, calls, window, .. } => {
            vec![of("keys", keys), window_of(window), of_calls(calls, before_phases(node))]
        }
        ExecNodeKind::Join { join_type, keys, condition, .. }
        | ExecNodeKind::IntervalJoin { join_type, keys, condition, .. }
        | ExecNodeKind::WindowJoin { join_type, keys, condition, .. }
        | ExecNodeKind::TemporalJoin { join_type, keys, condition, .. } => {
            let keys = keys.left.iter().zip(&keys.right);
            let equal = |(left, right): (&usize, &usize)| {
                format!("{} = {}", columns(input, &[*left]), columns(second, &[*right]))
            };
            let mut terms: Vec<String> = keys.map(equal).collect();
            terms.extend(condition.iter().map(readable));
            let mut parts = vec![format!("{join_type}"), terms.join(" AND ")];
            if let ExecNodeKind::IntervalJoin { lower_ms, upper_ms, .. } = &node.kind {
                parts.push(format!("{lower_ms} to {upper_ms}"));
            }
            parts
        }
        ExecNodeKind::Rank { partition, order, start, end, .. }
        | ExecNodeKind::WindowRank { partition, order, start, end, .. } => {
            vec![of("partition", partition), of_order(order, input), format!("{start} to {end}")]
        }
        ExecNodeKind::Deduplicate { keys, time, keep_last, .. }
        | ExecNodeKind::WindowDeduplicate { keys, time, keep_last, .. } => {
            vec![of("keys", keys), of("time", &[*time]), format!("last {keep_last}")]
        }
        ExecNodeKind::SortLimit { order, offset, limit, .. } => {
            vec![of_order(order, input), format!("{offset} and {limit}")]
        }
        ExecNodeKind::TemporalSort { order, .. } => vec![of_order(order, input)],
        ExecNodeKind::Limit { offset, limit } => vec![format!("{offset} and {limit}")],
        ExecNodeKind::OverNode(over) => of_over(over, node),
        ExecNodeKind::SetOperation { except, all } => {
            let every: Vec<usize> = (0..node.schema.fields().len()).collect();
            vec![format!("except {except}, all {all}"), of("rows of", &every)]
        }
        ExecNodeKind::ChangelogNormalize { keys } => vec![of("keys", keys)],
    }
}

fn of_over(over: &OverWindow, node: &ExecNode) -> Vec<String> {
    let input = node.inputs.first();
    let functions = over.functions.iter().map(|one| match one {
        PlannedOver::Aggregate { call, frame } => {
            let call = input.map(|input| of_call(call, input)).unwrap_or_default();
            format!("{call} {frame:?}")
        }
        PlannedOver::Ranking { name, columns: at, offset } => {
            format!("{name}({}, {offset})", columns(input, at))
        }
    });
    let functions = functions.collect::<Vec<_>>().join(", ");
    let partition = format!("partition {}", columns(input, &over.partition));
    vec![partition, of_order(&over.order, input), functions]
}
