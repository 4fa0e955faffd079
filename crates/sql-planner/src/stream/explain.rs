//! Plans as text.

use std::fmt::Write;

use datafusion_common::{DFSchema, JoinType};
use datafusion_expr::Expr;

use super::{
    BoundKind, EquiKeys, ExecNode, ExecNodeKind, PlannedAggregate, PlannedOver,
    PlannedWindowProperty, RankStrategy, SortKey, WindowInput,
    print::{plain, readable},
};
use crate::plan::{WindowKind, WindowTable};

/// What is told of each node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExplainOptions {
    /// The changes that it gives.
    pub changelog: bool,
    /// An estimate of its rows and of what they cost.
    pub cost: bool,
    /// That it would do better in two phases.
    pub two_phases: bool,
}

/// A plan as a tree.
#[must_use]
pub fn explain(node: &ExecNode, options: ExplainOptions) -> String {
    let mut text = String::new();
    write_node(&mut text, node, "", "", options);
    text
}

fn write_node(
    text: &mut String,
    node: &ExecNode,
    first: &str,
    rest: &str,
    options: ExplainOptions,
) {
    let changelog = options.changelog;
    text.push_str(first);
    text.push_str(&described(node, options));
    if options.cost {
        let _ = write!(text, ": {}", super::cost::cost(node));
    }
    text.push('\n');
    for (index, input) in node.inputs.iter().enumerate() {
        let last = index + 1 == node.inputs.len();
        let head = format!("{rest}{}", if last { "+- " } else { ":- " });
        let tail = format!("{rest}{}", if last { "   " } else { ":  " });
        match node.distribution(index) {
            Some(columns) => {
                let distribution = if columns.is_empty() {
                    "single".to_owned()
                } else {
                    format!("hash[{}]", names(&columns, &input.schema))
                };
                let mode = input.changelog_mode();
                let mode =
                    if changelog { format!(", changelogMode=[{mode}]") } else { String::new() };
                let _ = writeln!(text, "{head}Exchange(distribution=[{distribution}]{mode})");
                let below = format!("{tail}+- ");
                write_node(text, input, &below, &format!("{tail}   "), options);
            }
            None => write_node(text, input, &head, &tail, options),
        }
    }
}

/// One node, as Flink's errors name it.
#[must_use]
pub fn describe(node: &ExecNode) -> String {
    described(node, ExplainOptions::default())
}

fn described(node: &ExecNode, options: ExplainOptions) -> String {
    let mut parts = details(node);
    if options.two_phases && super::advice::wants_two_phases(node) {
        parts.insert(0, "advice=[1]".to_owned());
    }
    if options.changelog {
        let mode = node.changelog_mode();
        let none = matches!(node.kind, ExecNodeKind::Sink { .. });
        parts.push(format!(
            "changelogMode=[{}]",
            if none { "NONE".to_owned() } else { mode.to_string() }
        ));
    }
    format!("{}({})", node.name(), parts.join(", "))
}

pub(super) fn name(column: usize, schema: &DFSchema) -> String {
    schema
        .fields()
        .get(column)
        .map_or_else(|| format!("${column}"), |one| plain(one.name()).to_owned())
}

fn names(columns: &[usize], schema: &DFSchema) -> String {
    columns.iter().map(|column| name(*column, schema)).collect::<Vec<_>>().join(", ")
}

fn list(expressions: &[Expr], schema: &DFSchema) -> String {
    let one = |(index, expression): (usize, &Expr)| {
        let (text, given) = (readable(expression), name(index, schema));
        if text == given { text } else { format!("{text} AS {given}") }
    };
    expressions.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

fn calls_of(
    calls: &[PlannedAggregate],
    first: usize,
    input: &DFSchema,
    given: &DFSchema,
) -> Vec<String> {
    let one = |(index, call): (usize, &PlannedAggregate)| {
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let arguments = match call.arguments.as_slice() {
            [] => "*".to_owned(),
            columns => names(columns, input),
        };
        let filter = match call.filter {
            Some(filter) => format!(" FILTER {}", name(filter, input)),
            None => String::new(),
        };
        let given = name(first + index, given);
        format!("{}({distinct}{arguments}){filter} AS {given}", call.function.name())
    };
    calls.iter().enumerate().map(one).collect()
}

fn order_of(order: &[SortKey], schema: &DFSchema) -> String {
    let one = |key: &SortKey| {
        format!("{} {}", name(key.column, schema), if key.ascending { "ASC" } else { "DESC" })
    };
    order.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn window_of(window: &WindowTable) -> String {
    match &window.kind {
        WindowKind::Tumble { size_ms, .. } => format!("TUMBLE(size=[{size_ms} ms])"),
        WindowKind::Hop { size_ms, slide_ms, .. } => {
            format!("HOP(size=[{size_ms} ms], slide=[{slide_ms} ms])")
        }
        WindowKind::Cumulate { size_ms, step_ms, .. } => {
            format!("CUMULATE(max_size=[{size_ms} ms], step=[{step_ms} ms])")
        }
        WindowKind::Session { gap_ms } => format!("SESSION(gap=[{gap_ms} ms])"),
    }
}

fn join_name(join_type: JoinType) -> &'static str {
    match join_type {
        JoinType::Inner => "InnerJoin",
        JoinType::Left => "LeftOuterJoin",
        JoinType::Right => "RightOuterJoin",
        JoinType::Full => "FullOuterJoin",
        JoinType::LeftSemi => "LeftSemiJoin",
        JoinType::LeftAnti => "LeftAntiJoin",
        _ => "Join",
    }
}

fn join_details(
    node: &ExecNode,
    join_type: JoinType,
    keys: &EquiKeys,
    condition: &Option<Expr>,
) -> Vec<String> {
    let mut parts = vec![format!("joinType=[{}]", join_name(join_type))];
    let mut terms = Vec::new();
    if let [left, right] = node.inputs.as_slice() {
        for (l, r) in keys.left.iter().zip(&keys.right) {
            terms.push(format!("{} = {}", name(*l, &left.schema), name(*r, &right.schema)));
        }
    }
    terms.extend(condition.iter().map(readable));
    parts.push(format!("where=[{}]", terms.join(" AND ")));
    parts
}

fn details(node: &ExecNode) -> Vec<String> {
    let empty = DFSchema::empty();
    let input = node.inputs.first().map_or(&empty, |input| input.schema.as_ref());
    let given = node.schema.as_ref();
    let all_names = || {
        let all: Vec<usize> = (0..given.fields().len()).collect();
        names(&all, given)
    };
    match &node.kind {
        ExecNodeKind::TableSourceScan {
            table,
            filters,
            partitions,
            limit,
            watermark,
            drop_update_before,
            ..
        } => {
            let mut parts =
                vec![format!("table=[[{}]]", table.path), format!("fields=[{}]", all_names())];
            let filters = filters.iter().map(|one| {
                let column = table.schema.field(one.field.field).name();
                format!("{} = {}", plain(column), one.value)
            });
            let filters = filters.collect::<Vec<_>>();
            if !filters.is_empty() {
                parts.push(format!("filter=[{}]", filters.join(", ")));
            }
            parts.extend(partitions.iter().map(|one| format!("partitions=[{}]", one.chosen())));
            parts.extend(limit.iter().map(|one| format!("limit=[{one}]")));
            parts.extend(watermark.iter().map(|one| format!("watermark=[{}]", readable(one))));
            if *drop_update_before {
                parts.push("dropUpdateBefore=[true]".to_owned());
            }
            parts
        }
        ExecNodeKind::Values { rows } => vec![format!("tuples=[{} rows]", rows.len())],
        ExecNodeKind::Calc { projection, condition } => {
            let mut parts = vec![format!("select=[{}]", list(projection, given))];
            parts.extend(condition.iter().map(|one| format!("where=[{}]", readable(one))));
            parts
        }
        ExecNodeKind::WatermarkAssigner { time, watermark } => vec![
            format!("rowtime=[{}]", name(*time, given)),
            format!("watermark=[{}]", readable(watermark)),
        ],
        ExecNodeKind::WindowTableFunction { window, time, partition } => vec![
            format!("window=[{}]", window_of(window)),
            format!("timeCol=[{}]", name(*time, input)),
            format!("partition=[{}]", names(partition, input)),
        ],
        ExecNodeKind::GlobalGroupAggregate { keys, calls, .. } => {
            // The columns of the calls are those before the first phase.
            let before = node.inputs.first().and_then(|local| local.inputs.first());
            let before = before.map_or(&empty, |before| before.schema.as_ref());
            let mut selected: Vec<String> = keys.iter().map(|key| name(*key, input)).collect();
            selected.extend(calls_of(calls, keys.len(), before, given));
            let mut parts = Vec::new();
            if !keys.is_empty() {
                parts.push(format!("groupBy=[{}]", names(keys, input)));
            }
            parts.push(format!("select=[{}]", selected.join(", ")));
            parts
        }
        ExecNodeKind::GroupAggregate { keys, calls }
        | ExecNodeKind::LocalGroupAggregate { keys, calls } => {
            let mut selected: Vec<String> = keys.iter().map(|key| name(*key, input)).collect();
            selected.extend(calls_of(calls, keys.len(), input, given));
            let mut parts = Vec::new();
            if !keys.is_empty() {
                parts.push(format!("groupBy=[{}]", names(keys, input)));
            }
            parts.push(format!("select=[{}]", selected.join(", ")));
            parts
        }
        ExecNodeKind::LocalWindowAggregate { keys, calls, window, time } => vec![
            format!("groupBy=[{}]", names(keys, input)),
            format!("window=[{}, time_col=[{}]]", window_of(window), name(*time, input)),
            format!("select=[{}]", calls_of(calls, keys.len(), input, given).join(", ")),
        ],
        ExecNodeKind::GlobalWindowAggregate { keys, calls, window, .. } => {
            let before = node.inputs.first().and_then(|local| local.inputs.first());
            let before = before.map_or(&empty, |before| before.schema.as_ref());
            vec![
                format!("groupBy=[{}]", names(keys, input)),
                format!("window=[{}, slice_end=[$slice_end]]", window_of(window)),
                format!("select=[{}]", calls_of(calls, keys.len(), before, given).join(", ")),
            ]
        }
        ExecNodeKind::WindowAggregate { keys, calls, window, properties } => {
            let mut parts = Vec::new();
            if !keys.is_empty() {
                parts.push(format!("groupBy=[{}]", names(keys, input)));
            }
            parts.push(match window {
                WindowInput::Time { window, time } => {
                    format!("window=[{}, time_col=[{}]]", window_of(window), name(*time, input))
                }
                WindowInput::Attached { window, end, .. } => {
                    format!("window=[{}, win_end=[{}]]", window_of(window), name(*end, input))
                }
            });
            let mut selected: Vec<String> = keys.iter().map(|key| name(*key, input)).collect();
            selected.extend(calls_of(calls, keys.len(), input, given));
            selected.extend(properties.iter().map(|one| match one {
                PlannedWindowProperty::Start => "start('w$) AS window_start".to_owned(),
                PlannedWindowProperty::End => "end('w$) AS window_end".to_owned(),
                PlannedWindowProperty::Time => "rowtime('w$) AS window_time".to_owned(),
            }));
            parts.push(format!("select=[{}]", selected.join(", ")));
            parts
        }
        ExecNodeKind::Expand { projections } => {
            vec![format!("projects=[{} sets]", projections.len())]
        }
        ExecNodeKind::Join { join_type, keys, condition, .. } => {
            join_details(node, *join_type, keys, condition)
        }
        ExecNodeKind::IntervalJoin {
            join_type,
            keys,
            condition,
            lower_ms,
            upper_ms,
            event_time,
            ..
        } => {
            let mut parts = join_details(node, *join_type, keys, condition);
            let bounds = format!(
                "windowBounds=[isRowTime={event_time}, leftLowerBound={lower_ms}, \
                 leftUpperBound={upper_ms}]"
            );
            parts.insert(1, bounds);
            parts
        }
        ExecNodeKind::WindowJoin { join_type, keys, condition, .. }
        | ExecNodeKind::TemporalJoin { join_type, keys, condition, .. } => {
            join_details(node, *join_type, keys, condition)
        }
        ExecNodeKind::Rank { partition, order, start, end, with_number, strategy } => vec![
            format!("strategy=[{}]", strategy_name(*strategy)),
            "rankType=[ROW_NUMBER]".to_owned(),
            format!("rankRange=[rankStart={start}, rankEnd={end}]"),
            format!("partitionBy=[{}]", names(partition, input)),
            format!("orderBy=[{}]", order_of(order, input)),
            format!("rankNumber=[{with_number}]"),
        ],
        ExecNodeKind::Deduplicate { keys, time, event_time, keep_last } => vec![
            format!("keep=[{}Row]", if *keep_last { "Last" } else { "First" }),
            format!("key=[{}]", names(keys, input)),
            format!(
                "order=[{}]",
                if *event_time { name(*time, input) } else { "PROCTIME".to_owned() }
            ),
        ],
        ExecNodeKind::WindowRank { partition, order, start, end, window_end, .. } => vec![
            format!("window=[win_end=[{}]]", name(*window_end, input)),
            format!("rankRange=[rankStart={start}, rankEnd={end}]"),
            format!("partitionBy=[{}]", names(partition, input)),
            format!("orderBy=[{}]", order_of(order, input)),
        ],
        ExecNodeKind::WindowDeduplicate { keys, keep_last, window_end, .. } => vec![
            format!("window=[win_end=[{}]]", name(*window_end, input)),
            format!("keep=[{}Row]", if *keep_last { "Last" } else { "First" }),
            format!("partitionKeys=[{}]", names(keys, input)),
        ],
        ExecNodeKind::SortLimit { order, offset, limit, strategy } => vec![
            format!("orderBy=[{}]", order_of(order, input)),
            format!("offset=[{offset}]"),
            format!("fetch=[{limit}]"),
            format!("strategy=[{}]", strategy_name(*strategy)),
        ],
        ExecNodeKind::TemporalSort { order, .. } => {
            vec![format!("orderBy=[{}]", order_of(order, input))]
        }
        ExecNodeKind::Limit { offset, limit } => {
            vec![format!("offset=[{offset}]"), format!("fetch=[{limit}]")]
        }
        ExecNodeKind::OverNode(over) => {
            let functions = over.functions.iter().enumerate().map(|(index, one)| match one {
                PlannedOver::Aggregate { call, .. } => {
                    let first = input.fields().len() + index;
                    calls_of(std::slice::from_ref(call), first, input, given).join(", ")
                }
                PlannedOver::Ranking { name: function, .. } => {
                    format!("{function}() AS {}", name(input.fields().len() + index, given))
                }
            });
            let functions = functions.collect::<Vec<_>>().join(", ");
            let bound = match over.bound {
                BoundKind::EventTime => "rowtime",
                BoundKind::ProcessingTime => "proctime",
                BoundKind::Value => "value",
            };
            vec![
                format!("partitionBy=[{}]", names(&over.partition, input)),
                format!("orderBy=[{}]", order_of(&over.order, input)),
                format!("orderedBy=[{bound}]"),
                format!("select=[{functions}]"),
            ]
        }
        ExecNodeKind::Correlate { function, arguments, outer, .. } => {
            let arguments: Vec<String> = arguments.iter().map(readable).collect();
            let join = if *outer { "LEFT" } else { "INNER" };
            vec![
                format!("invocation=[{}({})]", function.name(), arguments.join(", ")),
                format!("joinType=[{join}]"),
            ]
        }
        ExecNodeKind::Union => vec![format!("union=[{}]", all_names())],
        ExecNodeKind::SetOperation { except, all } => {
            let kind = if *except { "EXCEPT" } else { "INTERSECT" };
            vec![format!("type=[{kind}{}]", if *all { " ALL" } else { "" })]
        }
        ExecNodeKind::ChangelogNormalize { keys } => {
            vec![format!("key=[{}]", names(keys, input))]
        }
        ExecNodeKind::ToChangelog { codes, partition } => {
            let codes: Vec<&str> = codes.iter().flatten().map(String::as_str).collect();
            vec![
                format!("codes=[{}]", codes.join(", ")),
                format!("partitionBy=[{}]", names(partition, input)),
            ]
        }
        ExecNodeKind::FromChangelog { op, kinds, partition, .. } => {
            let kinds: Vec<String> =
                kinds.iter().map(|(code, kind)| format!("{code}={}", kind.short())).collect();
            vec![
                format!("op=[{}]", name(*op, input)),
                format!("codes=[{}]", kinds.join(", ")),
                format!("partitionBy=[{}]", names(partition, input)),
            ]
        }
        ExecNodeKind::Sink { table, materialize, .. } => {
            let mut parts = vec![format!("table=[{table}]"), format!("fields=[{}]", all_names())];
            if *materialize {
                parts.push("upsertMaterialize=[true]".to_owned());
            }
            parts
        }
    }
}

fn strategy_name(strategy: RankStrategy) -> &'static str {
    match strategy {
        RankStrategy::AppendFast => "AppendFastStrategy",
        RankStrategy::Retract => "RetractStrategy",
    }
}
