//! Calcs above calcs become one.
//!
//! Not where it would repeat work: what is computed below is computed once above, unless it costs
//! nothing. Not where a condition would see rows that a condition below drops, since it may rely on
//! that (`x <> 0` below, `1 / x > 2` above).

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::{Expr, Volatility};

use super::{
    ExecNode, ExecNodeKind,
    expressions::{nested_field, substituted, unaliased},
};

/// The plan with as few calcs as there need be.
pub(super) fn merge_calcs(mut node: ExecNode) -> ExecNode {
    node.inputs = node.inputs.into_iter().map(merge_calcs).collect();
    // What is below is merged already.
    merged(&node).unwrap_or(node)
}

fn merged(node: &ExecNode) -> Option<ExecNode> {
    let (ExecNodeKind::Calc { projection, condition }, [below]) =
        (&node.kind, node.inputs.as_slice())
    else {
        return None;
    };
    let ExecNodeKind::Calc { projection: under, condition: first } = &below.kind else {
        return None;
    };
    if condition.is_some() && first.is_some() {
        return None;
    }
    for (index, expression) in under.iter().enumerate() {
        if is_free(expression) {
            continue;
        }
        let name = below.schema.field(index).name();
        let used = projection.iter().chain(condition).map(|one| uses(one, name)).sum::<usize>();
        if used > 1 || (used == 1 && is_volatile(expression) && condition.is_some()) {
            return None;
        }
    }
    let over = |expression: &Expr| substituted(expression, &below.schema, under);
    let projection = projection.iter().map(over).collect::<Option<Vec<Expr>>>()?;
    let condition = match condition {
        Some(condition) => Some(over(condition)?),
        None => first.clone(),
    };
    let kind = ExecNodeKind::Calc { projection, condition };
    Some(ExecNode::new(kind, below.inputs.clone(), node.schema.clone()))
}

/// Columns, fields of columns and constants.
fn is_free(expression: &Expr) -> bool {
    match unaliased(expression) {
        Expr::Column(_) | Expr::Literal(..) => true,
        other => nested_field(other).is_some(),
    }
}

fn is_volatile(expression: &Expr) -> bool {
    expression
        .exists(|one| {
            Ok(match one {
                Expr::ScalarFunction(call) => {
                    call.func.signature().volatility == Volatility::Volatile
                }
                _ => false,
            })
        })
        .unwrap_or(true)
}

/// How often an expression names a column.
fn uses(expression: &Expr, name: &str) -> usize {
    let mut count = 0;
    let visited = expression.apply(|one| {
        if matches!(one, Expr::Column(column) if column.name == name) {
            count += 1;
        }
        Ok(TreeNodeRecursion::Continue)
    });
    // It never fails; if it did, nothing would be merged.
    if visited.is_err() { usize::MAX / 2 } else { count }
}
