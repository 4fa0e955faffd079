//! TO_CHANGELOG and FROM_CHANGELOG as nodes.

use datafusion_expr::Expr;
use hurtig_sql_common::RowKind;

use super::{ExecNode, ExecNodeKind, StreamPlanResult, expressions::column_of, refused};
use crate::plan::StreamingNode;

pub(super) fn to_changelog(
    input: ExecNode,
    codes: &[Option<String>; 4],
    node: &StreamingNode,
) -> StreamPlanResult<ExecNode> {
    let partition = positions(&node.expressions, &input)?;
    let kind = ExecNodeKind::ToChangelog { codes: codes.clone(), partition };
    Ok(ExecNode::new(kind, vec![input], node.schema.clone()))
}

pub(super) fn from_changelog(
    input: ExecNode,
    kinds: &[(String, RowKind)],
    skips_unknown: bool,
    node: &StreamingNode,
) -> StreamPlanResult<ExecNode> {
    let mut columns = positions(&node.expressions, &input)?.into_iter();
    let Some(op) = columns.next() else {
        return refused("internal: FROM_CHANGELOG without codes");
    };
    let partition: Vec<usize> = columns.collect();
    let only_after = !kinds.iter().any(|(_, kind)| *kind == RowKind::UpdateBefore);
    let kind = ExecNodeKind::FromChangelog {
        op,
        kinds: kinds.to_vec(),
        skips_unknown,
        partition: partition.clone(),
        drop_update_before: false,
    };
    let changes = ExecNode::new(kind, vec![input], node.schema.clone());
    if !only_after || partition.is_empty() {
        return Ok(changes);
    }
    // Changes by key: what was there before them has to be remembered.
    let given = |column: usize| if column > op { column - 1 } else { column };
    let keys = partition.into_iter().map(given).collect();
    let kind = ExecNodeKind::ChangelogNormalize { keys };
    Ok(ExecNode::new(kind, vec![changes], node.schema.clone()))
}

/// The positions of expressions that are columns.
fn positions(expressions: &[Expr], input: &ExecNode) -> StreamPlanResult<Vec<usize>> {
    let place = |one: &Expr| match column_of(one, &input.schema) {
        Some(position) => Ok(position),
        None => refused(format!("internal: {one} is no column")),
    };
    expressions.iter().map(place).collect()
}
