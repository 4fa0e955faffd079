//! Rough estimates of how many rows a node gives and what that costs, for EXPLAIN ESTIMATED_COST.
//!
//! Nothing is known of the tables: each counts as Flink's planner counts it without statistics, and
//! conditions and groups leave fixed shares. So the numbers compare plans of one query; they measure
//! nothing.

use arrow_schema::DataType;
use datafusion_common::{DFSchema, JoinType};
use datafusion_expr::{Expr, Operator};

use super::{ExecNode, ExecNodeKind, expressions::conjuncts};

/// Rows of a table.
const ROWS_OF_A_TABLE: f64 = 1.0e8;
/// The share of rows for which two values are equal.
const EQUAL: f64 = 0.15;
/// The share of rows for which a comparison holds.
const COMPARED: f64 = 0.5;
/// The share of rows for which another condition holds.
const OTHERWISE: f64 = 0.25;
/// Groups per row.
const GROUPS: f64 = 0.1;
/// Bytes of a value whose type does not tell.
const BYTES_OF_A_TEXT: f64 = 16.0;

/// An estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    /// Rows that the node gives.
    pub given: f64,
    /// Rows that all nodes up to it give.
    rows: f64,
    /// Values that are computed.
    cpu: f64,
    /// Bytes that are read.
    io: f64,
    /// Bytes that are exchanged.
    network: f64,
    /// Bytes that are kept.
    memory: f64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // As Java prints numbers.
        let shown = |number: f64| match number {
            0.0 => "0.0".to_owned(),
            number => format!("{number:.1E}"),
        };
        write!(f, "rowcount = {}, cumulative cost = {{", shown(self.given))?;
        write!(f, "{} rows, {} cpu, ", shown(self.rows), shown(self.cpu))?;
        write!(f, "{} io, {} network, ", shown(self.io), shown(self.network))?;
        write!(f, "{} memory}}", shown(self.memory))
    }
}

/// What a node costs, with all below it.
pub(super) fn cost(node: &ExecNode) -> Cost {
    let below: Vec<Cost> = node.inputs.iter().map(cost).collect();
    let first = below.first().map_or(0.0, |input| input.given);
    let taken: f64 = below.iter().map(|input| input.given).sum();
    let mut all = Cost { given: given(node, first, taken), ..Cost::default() };
    for (index, input) in below.iter().enumerate() {
        all.rows += input.rows;
        all.cpu += input.cpu;
        all.io += input.io;
        all.network += input.network;
        all.memory += input.memory;
        if node.distribution(index).is_some() {
            all.network += input.given * width(&node.inputs[index].schema);
        }
    }
    all.rows += all.given;
    all.cpu += taken * computed(node);
    let bytes = |rows: f64| rows * width(&node.schema);
    match &node.kind {
        ExecNodeKind::TableSourceScan { .. } => all.io += bytes(all.given),
        ExecNodeKind::Join { .. }
        | ExecNodeKind::IntervalJoin { .. }
        | ExecNodeKind::WindowJoin { .. }
        | ExecNodeKind::TemporalJoin { .. } => {
            let inputs = node.inputs.iter().zip(&below);
            all.memory += inputs.map(|(node, cost)| cost.given * width(&node.schema)).sum::<f64>();
        }
        ExecNodeKind::GroupAggregate { .. }
        | ExecNodeKind::WindowAggregate { .. }
        | ExecNodeKind::Rank { .. }
        | ExecNodeKind::Deduplicate { .. }
        | ExecNodeKind::SetOperation { .. }
        | ExecNodeKind::ChangelogNormalize { .. } => all.memory += bytes(all.given),
        ExecNodeKind::SortLimit { .. } | ExecNodeKind::OverNode(_) => all.memory += bytes(taken),
        _ => {}
    }
    all
}

/// Rows that a node gives.
fn given(node: &ExecNode, first: f64, taken: f64) -> f64 {
    match &node.kind {
        ExecNodeKind::TableSourceScan { .. } => ROWS_OF_A_TABLE,
        ExecNodeKind::Values { rows } => rows.len() as f64,
        ExecNodeKind::Calc { condition, .. } => first * condition.as_ref().map_or(1.0, share),
        ExecNodeKind::GroupAggregate { keys, .. } if keys.is_empty() => 1.0,
        ExecNodeKind::GroupAggregate { .. }
        | ExecNodeKind::WindowAggregate { .. }
        | ExecNodeKind::Deduplicate { .. }
        | ExecNodeKind::WindowDeduplicate { .. } => (first * GROUPS).max(1.0),
        ExecNodeKind::Rank { end, .. } | ExecNodeKind::WindowRank { end, .. } => {
            first.min((first * GROUPS).max(1.0) * (*end).max(1) as f64)
        }
        ExecNodeKind::SortLimit { limit, .. } | ExecNodeKind::Limit { limit, .. } => {
            first.min(*limit as f64)
        }
        ExecNodeKind::Join { join_type, .. }
        | ExecNodeKind::IntervalJoin { join_type, .. }
        | ExecNodeKind::WindowJoin { join_type, .. }
        | ExecNodeKind::TemporalJoin { join_type, .. } => match join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => first * COMPARED,
            _ => taken - first.min(taken - first),
        },
        ExecNodeKind::Expand { projections } => first * projections.len() as f64,
        ExecNodeKind::SetOperation { .. } => first * COMPARED,
        ExecNodeKind::Union => taken,
        _ => first,
    }
}

/// The share of rows for which a condition holds.
fn share(condition: &Expr) -> f64 {
    let of_one = |term: &Expr| match term {
        Expr::BinaryExpr(binary) => match binary.op {
            Operator::Eq => EQUAL,
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => COMPARED,
            _ => OTHERWISE,
        },
        _ => OTHERWISE,
    };
    conjuncts(condition).iter().map(of_one).product()
}

/// Values that a node computes for each row that it takes.
fn computed(node: &ExecNode) -> f64 {
    match &node.kind {
        ExecNodeKind::Calc { projection, condition } => {
            (projection.len() + usize::from(condition.is_some())) as f64
        }
        ExecNodeKind::GroupAggregate { calls, .. }
        | ExecNodeKind::WindowAggregate { calls, .. } => (1 + calls.len()) as f64,
        ExecNodeKind::Expand { projections } => {
            projections.iter().map(Vec::len).sum::<usize>() as f64
        }
        _ => 1.0,
    }
}

/// Bytes of a row.
fn width(schema: &DFSchema) -> f64 {
    let of_one = |data_type: &DataType| match data_type.primitive_width() {
        Some(bytes) => bytes as f64,
        None => BYTES_OF_A_TEXT,
    };
    schema.fields().iter().map(|field| of_one(field.data_type())).sum()
}
