//! What operators remember, told in EXPLAIN: what grows with what, and what never shrinks.

use super::{ExecNode, ExecNodeKind, RankStrategy, StreamPlan, explain::describe, upsert_keys};
use crate::PlannerSettings;

impl StreamPlan {
    /// A line for each operator that keeps state.
    #[must_use]
    pub fn explain_state(&self, settings: &PlannerSettings) -> String {
        let mut lines = Vec::new();
        for root in &self.roots {
            of_node(root, settings.state_ttl_ms > 0, &mut lines);
        }
        lines.into_iter().map(|line| format!("{line}\n")).collect()
    }
}

fn of_node(node: &ExecNode, expires: bool, lines: &mut Vec<String>) {
    let for_ever = if expires {
        "until table.exec.state.ttl"
    } else {
        "for ever: it never shrinks, unless table.exec.state.ttl is set"
    };
    let kept = match &node.kind {
        ExecNodeKind::GroupAggregate { keys, .. }
        | ExecNodeKind::GlobalGroupAggregate { keys, .. }
            if keys.is_empty() =>
        {
            Some("one row".to_owned())
        }
        ExecNodeKind::GroupAggregate { .. } | ExecNodeKind::GlobalGroupAggregate { .. } => Some(format!("a row a group, {for_ever}")),
        ExecNodeKind::WindowAggregate { .. } | ExecNodeKind::GlobalWindowAggregate { .. } => {
            Some("a row a group and window, until the window is over".to_owned())
        }
        ExecNodeKind::Join { .. } => {
            let unique = node.inputs.iter().all(|input| !upsert_keys(input).is_empty());
            let rows = if unique { "the latest row of each key" } else { "all rows" };
            Some(format!("{rows} of both inputs, {for_ever}"))
        }
        ExecNodeKind::IntervalJoin { lower_ms, upper_ms, .. } => {
            let span = upper_ms.saturating_sub(*lower_ms).max(0);
            Some(format!("the rows of both inputs of {span} ms"))
        }
        ExecNodeKind::WindowJoin { .. } => {
            Some("the rows of both inputs, until their window is over".to_owned())
        }
        ExecNodeKind::TemporalJoin { .. } => Some(
            "the rows of the left until the watermark, the versions of the right since the watermark"
                .to_owned(),
        ),
        ExecNodeKind::Rank { end, strategy: RankStrategy::AppendFast, .. } => {
            Some(format!("{end} rows a partition, {for_ever}"))
        }
        ExecNodeKind::Rank { .. } | ExecNodeKind::SortLimit { .. } => {
            Some(format!("all rows, {for_ever}"))
        }
        ExecNodeKind::Deduplicate { .. } => Some(format!("a row a key, {for_ever}")),
        ExecNodeKind::WindowRank { .. } | ExecNodeKind::WindowDeduplicate { .. } => {
            Some("rows of open windows".to_owned())
        }
        ExecNodeKind::TemporalSort { .. } => Some("rows beyond the watermark".to_owned()),
        ExecNodeKind::OverNode(_) => Some(format!("rows of each partition, {for_ever}")),
        ExecNodeKind::SetOperation { .. } => Some(format!("a count a row, {for_ever}")),
        ExecNodeKind::ChangelogNormalize { .. } => Some(format!("a row a key, {for_ever}")),
        ExecNodeKind::Sink { materialize: true, .. } => {
            Some(format!("the rows of each primary key, {for_ever}"))
        }
        _ => None,
    };
    if let Some(kept) = kept {
        lines.push(format!("{}: {kept}", describe(node)));
    }
    node.inputs.iter().for_each(|input| of_node(input, expires, lines));
}
