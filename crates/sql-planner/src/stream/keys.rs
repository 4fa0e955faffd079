//! Keys by which changes of a node replace each other, as Flink 2.3's `FlinkRelMdUpsertKeys`.

use datafusion_common::JoinType;

use super::{EquiKeys, ExecNode, ExecNodeKind, PlannedWindowProperty, expressions::column_of};

/// More keys than that are not followed: joins multiply them.
const MOST_KEYS: usize = 16;

type Keys = Vec<Vec<usize>>;

/// Sets of columns, each of which identifies a row in the changelog of a node. Sorted.
#[must_use]
pub fn upsert_keys(node: &ExecNode) -> Keys {
    let mut keys = raw_keys(node);
    for key in &mut keys {
        key.sort_unstable();
        key.dedup();
    }
    keys.sort();
    keys.dedup();
    keys.truncate(MOST_KEYS);
    keys
}

fn raw_keys(node: &ExecNode) -> Keys {
    use ExecNodeKind::*;
    let of_input = || node.inputs.first().map(upsert_keys).unwrap_or_default();
    match &node.kind {
        TableSourceScan { primary_key, .. } => primary_key.iter().cloned().collect(),
        ToChangelog { .. }
        | FromChangelog { .. }
        | LocalGroupAggregate { .. }
        | LocalWindowAggregate { .. } => Vec::new(),
        Values { .. } | Union | Expand { .. } | Correlate { .. } | WindowTableFunction { .. } => {
            Vec::new()
        }
        Calc { projection, .. } => {
            let Some(input) = node.inputs.first() else { return Vec::new() };
            let sources: Vec<Option<usize>> =
                projection.iter().map(|one| column_of(one, &input.schema)).collect();
            let to = |column: &usize| sources.iter().position(|one| *one == Some(*column));
            let keys = upsert_keys(input).into_iter();
            keys.filter_map(|key| key.iter().map(to).collect::<Option<Vec<usize>>>()).collect()
        }
        WatermarkAssigner { .. } => of_input(),
        GroupAggregate { keys, .. } | GlobalGroupAggregate { keys, .. } => {
            vec![(0..keys.len()).collect()]
        }
        WindowAggregate { keys, calls, properties, .. }
        | GlobalWindowAggregate { keys, calls, properties, .. } => properties
            .iter()
            .enumerate()
            .filter(|(_, property)| {
                matches!(
                    property,
                    PlannedWindowProperty::Start
                        | PlannedWindowProperty::End
                        | PlannedWindowProperty::Time
                )
            })
            .map(|(index, _)| (0..keys.len()).chain([keys.len() + calls.len() + index]).collect())
            .collect(),
        Join { join_type, keys, .. } | IntervalJoin { join_type, keys, .. } => {
            join_keys(node, *join_type, keys)
        }
        TemporalJoin { keys, .. } => holding(of_input(), &keys.left),
        WindowJoin { .. } => Vec::new(),
        Rank { partition, start, end, with_number, .. } => {
            let first_only = *start == 1 && *end == 1;
            let mut keys = holding(of_input(), partition);
            if first_only {
                keys.push(partition.clone());
            }
            if *with_number {
                let number = node.schema.fields().len() - 1;
                keys.push(partition.iter().copied().chain([number]).collect());
            }
            keys
        }
        Deduplicate { keys, .. } => vec![keys.clone()],
        WindowRank { partition, .. } => holding(of_input(), partition),
        WindowDeduplicate { keys, window_end, .. } => {
            vec![keys.iter().copied().chain([*window_end]).collect()]
        }
        SortLimit { limit, .. } => {
            let mut keys = of_input();
            if *limit == 1 {
                keys.push(Vec::new());
            }
            keys
        }
        TemporalSort { .. } | Limit { .. } => of_input(),
        OverNode(over) => holding(of_input(), &over.partition),
        SetOperation { all, .. } if !all => vec![(0..node.schema.fields().len()).collect()],
        SetOperation { .. } => Vec::new(),
        ChangelogNormalize { keys } => vec![keys.clone()],
        Sink { .. } => Vec::new(),
    }
}

/// The keys that have all columns by which rows are distributed: changes of other keys may overtake
/// each other.
fn holding(keys: Keys, columns: &[usize]) -> Keys {
    keys.into_iter().filter(|key| columns.iter().all(|column| key.contains(column))).collect()
}

/// True if a key is among columns: there is one row for each of their values.
pub(super) fn unique_by(keys: &Keys, columns: &[usize]) -> bool {
    keys.iter().any(|key| key.iter().all(|column| columns.contains(column)))
}

fn join_keys(node: &ExecNode, join_type: JoinType, keys: &EquiKeys) -> Keys {
    let [left, right] = node.inputs.as_slice() else { return Vec::new() };
    let (of_left, of_right) = (upsert_keys(left), upsert_keys(right));
    match join_type {
        JoinType::LeftSemi | JoinType::LeftAnti => return holding(of_left, &keys.left),
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {}
        _ => return Vec::new(),
    }
    let left_unique = unique_by(&of_left, &keys.left);
    let right_unique = unique_by(&of_right, &keys.right);
    let (of_left, of_right) = (holding(of_left, &keys.left), holding(of_right, &keys.right));
    let width = left.schema.fields().len();
    let shifted: Keys =
        of_right.iter().map(|key| key.iter().map(|column| column + width).collect()).collect();
    let mut both = Vec::new();
    for of_left in &of_left {
        for of_right in &shifted {
            both.push(of_left.iter().chain(of_right).copied().collect());
        }
    }
    if right_unique && !matches!(join_type, JoinType::Right | JoinType::Full) {
        both.extend(of_left);
    }
    if left_unique && !matches!(join_type, JoinType::Left | JoinType::Full) {
        both.extend(shifted);
    }
    both
}
