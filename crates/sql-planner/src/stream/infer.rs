//! Which changes each node gives, as Flink 2.3's `FlinkChangelogModeInferenceProgram`.
//!
//! 1. From the leaves up: the kinds of changes that a node gives, and whether whoever takes them can.
//! 2. From the root down: what updates must look like. A node that cannot give what is asked says so,
//!    and whoever asked tries its next choice, which is always the rows before updates, too.

use datafusion_common::JoinType;
use hurtig_sql_common::{ChangelogMode, RowKind};

use super::{
    BoundKind, ExecNode, ExecNodeKind, ModifyKinds, RankStrategy, StreamPlanResult, TableTraits,
    UpdateKind,
    changelog::{changelog_mode, modify_kinds, update_kind},
    explain::describe,
    expressions::time_of,
    keys::{unique_by, upsert_keys},
    over, refused,
};
use crate::{PlannerSettings, UpsertMaterialize};

/// Attempts of the second step: nested choices multiply, and no real plan comes near.
const MOST_VISITS: usize = 200_000;

/// Settles the changes of a plan. `before`: for a plan without a sink, whether rows before updates are
/// wanted.
pub(super) fn infer(
    node: &mut ExecNode,
    tables: &dyn TableTraits,
    settings: &PlannerSettings,
    before: bool,
) -> StreamPlanResult<()> {
    kinds(node, tables)?;
    let mut visits = 0;
    let settled = if let ExecNodeKind::Sink { .. } = &node.kind {
        sink_updates(node, tables, settings, &mut visits)?
    } else {
        let wanted = if before { before_and_after(node.modify) } else { only_after(node.modify) };
        updates(node, wanted, &mut visits)
            || updates(node, before_and_after(node.modify), &mut visits)
    };
    if !settled {
        return refused("Can't generate a valid execution plan for the given query");
    }
    versions(node, false);
    Ok(())
}

/// A temporal join looks at all versions of its right side. Aggregates that list what they are given see
/// in which order rows changed, which folded changes do not tell.
fn versions(node: &mut ExecNode, wanted: bool) {
    node.every_version = wanted;
    let temporal = matches!(node.kind, ExecNodeKind::TemporalJoin { .. });
    let ordered = match &node.kind {
        // It gives changes as rows, so that each is seen.
        ExecNodeKind::ToChangelog { .. } => true,
        ExecNodeKind::GroupAggregate { calls, .. }
        | ExecNodeKind::WindowAggregate { calls, .. } => {
            calls.iter().any(|call| goes_by_arrival(call.function.name()))
        }
        _ => false,
    };
    for (index, input) in node.inputs.iter_mut().enumerate() {
        versions(input, wanted || ordered || temporal && index == 1);
    }
}

/// Whether an aggregate's result depends on the order of its rows.
fn goes_by_arrival(name: &str) -> bool {
    // Variances, too: what was added and taken leaves its rounding behind, row by row.
    const FAMILIES: [&str; 9] = [
        "LISTAGG",
        "FIRST_VALUE",
        "LAST_VALUE",
        "ARRAY_AGG",
        "JSON_ARRAYAGG",
        "JSON_OBJECTAGG",
        "STDDEV",
        "VARIANCE",
        "VAR_",
    ];
    FAMILIES.iter().any(|family| name.starts_with(family))
}

/// What a node takes; the requester's name is for the error.
fn check(node: &ExecNode, allowed: ModifyKinds, requester: &str) -> StreamPlanResult<()> {
    let beyond = node.modify.beyond(allowed);
    if beyond.is_empty() {
        return Ok(());
    }
    refused(format!(
        "{requester} doesn't support consuming {} changes which is produced by node {}",
        beyond.join(" and "),
        describe(node)
    ))
}

fn kinds(node: &mut ExecNode, tables: &dyn TableTraits) -> StreamPlanResult<()> {
    for input in &mut node.inputs {
        kinds(input, tables)?;
    }
    deduplicated(node);
    let of_inputs: Vec<ModifyKinds> = node.inputs.iter().map(|input| input.modify).collect();
    let first = of_inputs.first().copied().unwrap_or(ModifyKinds::INSERT_ONLY);
    let insert_only = |node: &ExecNode| -> StreamPlanResult<()> {
        node.inputs.iter().try_for_each(|input| check(input, ModifyKinds::INSERT_ONLY, node.name()))
    };
    let changing = ModifyKinds { insert: true, update: true, delete: !first.is_insert_only() };
    node.modify = match &node.kind {
        ExecNodeKind::TableSourceScan { mode, .. } => modify_kinds(*mode),
        ExecNodeKind::Values { .. } | ExecNodeKind::ToChangelog { .. } => ModifyKinds::INSERT_ONLY,
        ExecNodeKind::FromChangelog { kinds, .. } => {
            insert_only(node)?;
            modify_kinds(mode_of(kinds))
        }
        ExecNodeKind::GroupAggregate { .. } | ExecNodeKind::GlobalGroupAggregate { .. } => changing,
        ExecNodeKind::LocalGroupAggregate { .. } => ModifyKinds::INSERT_ONLY,
        ExecNodeKind::WindowAggregate { .. }
        | ExecNodeKind::LocalWindowAggregate { .. }
        | ExecNodeKind::GlobalWindowAggregate { .. } => ModifyKinds::INSERT_ONLY,
        ExecNodeKind::WindowRank { .. }
        | ExecNodeKind::WindowDeduplicate { .. }
        | ExecNodeKind::WindowJoin { .. }
        | ExecNodeKind::TemporalSort { .. }
        | ExecNodeKind::IntervalJoin { .. } => {
            insert_only(node)?;
            ModifyKinds::INSERT_ONLY
        }
        ExecNodeKind::Deduplicate { keep_last: false, .. } => ModifyKinds::INSERT_ONLY,
        ExecNodeKind::Deduplicate { .. }
        | ExecNodeKind::Rank { .. }
        | ExecNodeKind::SortLimit { .. }
        | ExecNodeKind::ChangelogNormalize { .. } => ModifyKinds::ALL,
        ExecNodeKind::Limit { .. } if first.is_insert_only() => ModifyKinds::INSERT_ONLY,
        ExecNodeKind::Limit { .. } => ModifyKinds::ALL,
        ExecNodeKind::OverNode(window) => {
            over::check(window)?;
            if window.bound == BoundKind::Value {
                ModifyKinds::ALL
            } else {
                insert_only(node)?;
                ModifyKinds::INSERT_ONLY
            }
        }
        ExecNodeKind::Join { join_type, .. } => match join_type {
            JoinType::Inner | JoinType::LeftSemi => {
                of_inputs.iter().fold(ModifyKinds::INSERT_ONLY, |all, one| all.union(*one))
            }
            _ => ModifyKinds::ALL,
        },
        ExecNodeKind::SetOperation { .. } => ModifyKinds { update: false, ..ModifyKinds::ALL },
        ExecNodeKind::Union => of_inputs.iter().fold(ModifyKinds::NONE, |all, one| all.union(*one)),
        ExecNodeKind::TemporalJoin { .. }
        | ExecNodeKind::Calc { .. }
        | ExecNodeKind::WatermarkAssigner { .. }
        | ExecNodeKind::WindowTableFunction { .. }
        | ExecNodeKind::Expand { .. }
        | ExecNodeKind::Correlate { .. } => first,
        ExecNodeKind::Sink { table, .. } => {
            let sink = tables.sink(table)?;
            let offered = changelog_mode(first, before_and_after(first));
            let accepted = modify_kinds((sink.accepts)(offered));
            let requester = format!("Table sink '{}'", sink.name);
            check(&node.inputs[0], accepted, &requester)?;
            ModifyKinds::NONE
        }
    };
    Ok(())
}

/// The changes that codes may mean.
fn mode_of(kinds: &[(String, RowKind)]) -> ChangelogMode {
    kinds.iter().fold(ChangelogMode::default(), |mode, (_, kind)| mode.with(*kind))
}

/// The first or last row by time of a stream that only grows needs no order.
fn deduplicated(node: &mut ExecNode) {
    let Some(input) = node.inputs.first() else { return };
    let by_time = |column: usize| {
        let time = time_of(input, column)?;
        Some(time == super::expressions::TimeAttribute::Rowtime)
    };
    let kind = match &node.kind {
        ExecNodeKind::Rank { partition, order, start: 1, end: 1, with_number: false, .. }
            if order.len() == 1 && input.modify.is_insert_only() =>
        {
            by_time(order[0].column).map(|event_time| ExecNodeKind::Deduplicate {
                keys: partition.clone(),
                time: order[0].column,
                event_time,
                keep_last: !order[0].ascending,
            })
        }
        ExecNodeKind::WindowRank {
            partition,
            order,
            start: 1,
            end: 1,
            with_number: false,
            window_end,
            event_time,
        } if order.len() == 1 => match by_time(order[0].column) {
            Some(true) => Some(ExecNodeKind::WindowDeduplicate {
                keys: partition.clone(),
                time: order[0].column,
                keep_last: !order[0].ascending,
                window_end: *window_end,
                event_time: *event_time,
            }),
            _ => None,
        },
        _ => None,
    };
    if let Some(kind) = kind {
        node.kind = kind;
    }
}

fn only_after(kinds: ModifyKinds) -> UpdateKind {
    if kinds.update { UpdateKind::OnlyAfter } else { UpdateKind::None }
}

fn before_and_after(kinds: ModifyKinds) -> UpdateKind {
    if kinds.update { UpdateKind::BeforeAndAfter } else { UpdateKind::None }
}

/// Asks a node for updates of a kind. True if it gives them, or there are none.
fn updates(node: &mut ExecNode, wanted: UpdateKind, visits: &mut usize) -> bool {
    *visits += 1;
    if *visits > MOST_VISITS {
        return false;
    }
    let of_inputs: Vec<ModifyKinds> = node.inputs.iter().map(|input| input.modify).collect();
    let first = of_inputs.first().copied().unwrap_or(ModifyKinds::INSERT_ONLY);
    let given = if node.modify.update { wanted } else { UpdateKind::None };
    let settled = match &mut node.kind {
        ExecNodeKind::TableSourceScan { mode, drop_update_before, .. } => {
            let provided = update_kind(*mode);
            *drop_update_before =
                provided == UpdateKind::BeforeAndAfter && wanted == UpdateKind::OnlyAfter;
            provided == UpdateKind::None
                || provided == UpdateKind::BeforeAndAfter
                || wanted == provided
        }
        ExecNodeKind::Values { .. } => true,
        ExecNodeKind::ToChangelog { partition, .. } => {
            // With the upsert key as partition the rows before updates are not asked for.
            let mut partition = partition.clone();
            partition.sort_unstable();
            let by_key = !partition.is_empty() && upsert_keys(&node.inputs[0]).contains(&partition);
            let choice = if by_key { only_after(first) } else { before_and_after(first) };
            updates(&mut node.inputs[0], choice, visits)
        }
        ExecNodeKind::FromChangelog { kinds, drop_update_before, .. } => {
            let provided = update_kind(mode_of(kinds));
            *drop_update_before = wanted == UpdateKind::OnlyAfter;
            let gives = provided != UpdateKind::OnlyAfter || wanted == UpdateKind::OnlyAfter;
            gives && updates(&mut node.inputs[0], UpdateKind::None, visits)
        }
        ExecNodeKind::Rank { strategy, .. } | ExecNodeKind::SortLimit { strategy, .. } => {
            *strategy = if first.is_insert_only() {
                RankStrategy::AppendFast
            } else {
                RankStrategy::Retract
            };
            updates(&mut node.inputs[0], before_and_after(first), visits)
        }
        ExecNodeKind::Deduplicate { .. }
        | ExecNodeKind::GroupAggregate { .. }
        | ExecNodeKind::LocalGroupAggregate { .. }
        | ExecNodeKind::GlobalGroupAggregate { .. }
        | ExecNodeKind::WindowAggregate { .. }
        | ExecNodeKind::LocalWindowAggregate { .. }
        | ExecNodeKind::GlobalWindowAggregate { .. }
        | ExecNodeKind::Limit { .. }
        | ExecNodeKind::OverNode(_)
        | ExecNodeKind::WindowRank { .. }
        | ExecNodeKind::WindowDeduplicate { .. }
        | ExecNodeKind::TemporalSort { .. } => {
            updates(&mut node.inputs[0], before_and_after(first), visits)
        }
        ExecNodeKind::IntervalJoin { .. }
        | ExecNodeKind::WindowJoin { .. }
        | ExecNodeKind::SetOperation { .. } => node.inputs.iter_mut().all(|input| {
            let wanted = before_and_after(input.modify);
            updates(input, wanted, visits)
        }),
        ExecNodeKind::Join { keys, .. } => {
            let of_sides = [keys.left.clone(), keys.right.clone()];
            let only_after_asked = wanted == UpdateKind::OnlyAfter;
            node.inputs.iter_mut().zip(of_sides).all(|(input, columns)| {
                if !only_after_asked {
                    return updates(input, before_and_after(input.modify), visits);
                }
                if input.modify.update && !unique_by(&upsert_keys(input), &columns) {
                    return false;
                }
                updates(input, only_after(input.modify), visits)
            })
        }
        ExecNodeKind::TemporalJoin { .. } => {
            let (left, right) = node.inputs.split_at_mut(1);
            let of_left = if wanted == UpdateKind::BeforeAndAfter {
                before_and_after(left[0].modify)
            } else {
                only_after(left[0].modify)
            };
            let after = only_after(right[0].modify);
            let both = before_and_after(right[0].modify);
            updates(&mut left[0], of_left, visits)
                && (updates(&mut right[0], after, visits) || updates(&mut right[0], both, visits))
        }
        ExecNodeKind::Calc { condition, .. } => {
            let condition = condition.clone();
            let filtered = wanted == UpdateKind::OnlyAfter
                && node.modify.update
                && condition.is_some_and(|condition| !is_of_key(&condition, &node.inputs[0]));
            !filtered && updates(&mut node.inputs[0], given, visits)
        }
        ExecNodeKind::WatermarkAssigner { .. }
        | ExecNodeKind::WindowTableFunction { .. }
        | ExecNodeKind::Expand { .. }
        | ExecNodeKind::Correlate { .. } => updates(&mut node.inputs[0], given, visits),
        ExecNodeKind::Union => node.inputs.iter_mut().all(|input| {
            let wanted = if input.modify.update { wanted } else { UpdateKind::None };
            updates(input, wanted, visits)
        }),
        ExecNodeKind::ChangelogNormalize { .. } => {
            let wanted = only_after(first);
            updates(&mut node.inputs[0], wanted, visits)
        }
        ExecNodeKind::Sink { .. } => false,
    };
    node.update = given;
    settled
}

/// True if a condition is over an upsert key alone: the rows of a key all pass, or none.
fn is_of_key(condition: &datafusion_expr::Expr, input: &ExecNode) -> bool {
    let columns: Vec<usize> = condition
        .column_refs()
        .iter()
        .filter_map(|column| super::expressions::position(&input.schema, &column.name))
        .collect();
    upsert_keys(input).iter().any(|key| columns.iter().all(|column| key.contains(column)))
}

fn sink_updates(
    node: &mut ExecNode,
    tables: &dyn TableTraits,
    settings: &PlannerSettings,
    visits: &mut usize,
) -> StreamPlanResult<bool> {
    let ExecNodeKind::Sink { table, primary_key, .. } = &node.kind else { return Ok(false) };
    let sink = tables.sink(table)?;
    let primary_key = primary_key.clone();
    let mut sorted = primary_key.clone();
    sorted.sort_unstable();
    let kinds = node.inputs[0].modify;
    let forced = !primary_key.is_empty()
        && settings.upsert_materialize == UpsertMaterialize::Force
        && update_kind((sink.accepts)(ChangelogMode::ALL)) == UpdateKind::OnlyAfter;
    // What comes of a forced order has updates, whatever goes in.
    let offered = if forced { ModifyKinds::ALL } else { kinds };
    let accepted = (sink.accepts)(changelog_mode(offered, before_and_after(offered)));
    let keys = upsert_keys(&node.inputs[0]);
    let by_key = update_kind(accepted) == UpdateKind::OnlyAfter;
    let same_key = primary_key.is_empty() || keys.contains(&sorted);
    let choices = match update_kind(accepted) {
        UpdateKind::OnlyAfter if same_key => vec![only_after(kinds), before_and_after(kinds)],
        UpdateKind::OnlyAfter | UpdateKind::BeforeAndAfter => vec![before_and_after(kinds)],
        UpdateKind::None => vec![before_and_after(kinds)],
    };
    // Of a changing input whose own key is another, the latest row of each primary key counts.
    let unordered = by_key
        && !primary_key.is_empty()
        && !kinds.is_insert_only()
        && !keys.iter().any(|key| key.iter().all(|column| primary_key.contains(column)));
    let materializes =
        forced || unordered && settings.upsert_materialize != UpsertMaterialize::None;
    if let ExecNodeKind::Sink { mode, materialize, .. } = &mut node.kind {
        *mode = accepted;
        *materialize = materializes;
    }
    Ok(choices.into_iter().any(|choice| updates(&mut node.inputs[0], choice, visits)))
}
