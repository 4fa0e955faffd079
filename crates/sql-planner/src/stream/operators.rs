//! From nodes to operators.

use std::{sync::Arc, time::Duration};

use arrow_schema::{DataType, SchemaRef};
use datafusion_common::{DFSchema, JoinType};
use datafusion_expr::Expr;
use hurtig_operator_api::OperatorFactory;
use hurtig_sql_common::{ChangelogBatch, columns};
use hurtig_sql_parser::types::SqlTypeKind;
use hurtig_sql_runtime::config;

use super::{
    BoundKind, EquiKeys, ExecNode, ExecNodeKind, PlannedAggregate, PlannedOver,
    PlannedWindowProperty, RankStrategy, SortKey, StreamPlanResult, UpdateKind, WindowInput,
    constants::constant_rows,
    expressions::{field_of, schema_of},
    keys::{unique_by, upsert_keys},
    refused,
};
use crate::{
    MiniBatchSettings, PlannerSettings,
    functions::AggregateCoat,
    optimize::{physical_expression, physical_expressions},
    plan::{WindowKind, WindowTable},
};

/// The schema of a node's rows.
#[must_use]
pub fn arrow_schema(node: &ExecNode) -> SchemaRef {
    node.schema.inner().clone()
}

impl PlannerSettings {
    /// The operator of a node. Scans, unions and sinks have none of this crate's.
    pub fn operator(&self, node: &ExecNode) -> StreamPlanResult<Arc<dyn OperatorFactory>> {
        let schema = arrow_schema(node);
        let input_node = node.inputs.first();
        let input_schema = || match input_node {
            Some(input) => Ok(arrow_schema(input)),
            None => refused("internal: an operator without input"),
        };
        let retracts = input_node.is_some_and(|input| !input.modify.is_insert_only());
        let emits_update_before = node.update == UpdateKind::BeforeAndAfter;
        let ttl = self.ttl_of(node, 0);
        Ok(match &node.kind {
            ExecNodeKind::TableSourceScan { .. }
            | ExecNodeKind::Union
            | ExecNodeKind::Sink { .. } => {
                return refused(format!("internal: {} is no operator", node.name()));
            }
            ExecNodeKind::Values { rows } => Arc::new(config::Values {
                rows: ChangelogBatch::inserts(constant_rows(rows, &schema)?),
            }),
            ExecNodeKind::Calc { projection, condition } => {
                let Some(input) = input_node else { return refused("internal: Calc") };
                let condition = self.optional(condition.as_ref(), &input.schema)?;
                let passes = *projection == super::expressions::all_columns(&input.schema)
                    && input.schema.inner() == node.schema.inner();
                let projection =
                    if passes { None } else { Some(self.all(projection, &input.schema)?) };
                Arc::new(config::Calc { condition, projection, schema })
            }
            ExecNodeKind::WatermarkAssigner { time, watermark } => {
                let Some(input) = input_node else { return refused("internal: Watermark") };
                Arc::new(config::WatermarkAssigner {
                    time: *time,
                    watermark: physical_expression(watermark, &input.schema)?,
                    idle_timeout: self.source_idle_timeout(),
                })
            }
            ExecNodeKind::WindowTableFunction { window, time, partition } => {
                Arc::new(config::WindowTableFunction {
                    input: input_schema()?,
                    window: spec_of(window),
                    time: self.window_time(window, *time, &input_schema()?),
                    keys: partition.clone(),
                    schema,
                })
            }
            ExecNodeKind::GroupAggregate { keys, calls } => {
                let operator = Arc::new(config::GroupAggregate {
                    input: input_schema()?,
                    keys: keys.clone(),
                    calls: calls_of(calls, retracts)?,
                    schema,
                    insert_only: !retracts,
                    emits_update_before,
                    ttl,
                });
                self.mini_batched(operator, node)
            }
            ExecNodeKind::LocalGroupAggregate { keys, calls } => {
                let operator = Arc::new(config::LocalGroupAggregate {
                    input: input_schema()?,
                    keys: keys.clone(),
                    calls: calls_of(calls, retracts)?,
                    schema,
                });
                self.mini_batched(operator, node)
            }
            ExecNodeKind::GlobalGroupAggregate { calls, retracts, .. } => {
                let before = input_node.and_then(|local| local.inputs.first());
                let Some(before) = before else { return refused("internal: half an aggregate") };
                let operator = Arc::new(config::GlobalGroupAggregate {
                    input: input_schema()?,
                    arguments: argument_types(calls, before),
                    calls: calls_of(calls, *retracts)?,
                    schema,
                    insert_only: !*retracts,
                    emits_update_before,
                    ttl,
                });
                self.mini_batched(operator, node)
            }
            ExecNodeKind::WindowAggregate { keys, calls, window, properties } => {
                let input = input_schema()?;
                let (spec, time, event_time) = match window {
                    WindowInput::Time { window, time } => {
                        let of = self.window_time(window, *time, &input);
                        (spec_of(window), of, window.event_time)
                    }
                    WindowInput::Attached { window, start, end } => {
                        let zone = input_node.and_then(|input| self.window_zone(input, window));
                        let time = config::WindowTime::Attached {
                            start: Some(*start),
                            end: *end,
                            zone,
                            event_time: window.event_time,
                        };
                        (spec_of(window), time, window.event_time)
                    }
                };
                let property = |one: &PlannedWindowProperty| property_of(*one, event_time);
                let latest_first = match window {
                    WindowInput::Time { window, .. } => latest_first(window),
                    WindowInput::Attached { .. } => false,
                };
                Arc::new(config::WindowAggregate {
                    input,
                    keys: keys.clone(),
                    window: spec,
                    time,
                    calls: calls_of(calls, retracts)?,
                    properties: properties.iter().map(property).collect(),
                    latest_first,
                    schema,
                })
            }
            ExecNodeKind::LocalWindowAggregate { keys, calls, window, time } => {
                let input = input_schema()?;
                let zone = self.zone_of(input.field(*time).data_type());
                Arc::new(config::LocalWindowAggregate {
                    input,
                    keys: keys.clone(),
                    window: spec_of(window),
                    time: *time,
                    zone,
                    calls: calls_of(calls, retracts)?,
                    schema,
                })
            }
            ExecNodeKind::GlobalWindowAggregate { keys, calls, window, properties, retracts } => {
                let local = input_node.map(|local| (local, local.inputs.first()));
                let Some((local, Some(before))) = local else {
                    return refused("internal: half an aggregate");
                };
                let partial = keys.len();
                let zone = self.zone_below(local);
                let time = config::WindowTime::Slice { start: partial + 1, end: partial + 2, zone };
                let aggregate = config::WindowAggregate {
                    input: input_schema()?,
                    keys: keys.clone(),
                    window: spec_of(window),
                    time,
                    calls: calls_of(calls, *retracts)?,
                    properties: properties.iter().map(|one| property_of(*one, true)).collect(),
                    latest_first: latest_first(window),
                    schema,
                };
                let arguments = argument_types(calls, before);
                Arc::new(config::GlobalWindowAggregate { aggregate, partial, arguments })
            }
            ExecNodeKind::Expand { projections } => {
                let Some(input) = input_node else { return refused("internal: Expand") };
                let mut sets = Vec::new();
                for projection in projections {
                    sets.push(self.all(projection, &input.schema)?);
                }
                Arc::new(config::Expand { projections: sets, schema })
            }
            ExecNodeKind::Join { join_type, keys, condition, .. } => {
                let (left, right) = sides(node)?;
                Arc::new(config::RegularJoin {
                    kind: kind_of(*join_type)?,
                    left: self.join_input(left, &keys.left, self.ttl_of(node, 0)),
                    right: self.join_input(right, &keys.right, self.ttl_of(node, 1)),
                    keys: self.keys(keys, condition.as_ref(), left, right)?,
                    schema,
                })
            }
            ExecNodeKind::IntervalJoin {
                join_type,
                keys,
                condition,
                left_time,
                right_time,
                lower_ms,
                upper_ms,
                event_time,
            } => {
                let (left, right) = sides(node)?;
                Arc::new(config::IntervalJoin {
                    kind: kind_of(*join_type)?,
                    left: arrow_schema(left),
                    right: arrow_schema(right),
                    times: event_time.then_some((*left_time, *right_time)),
                    lower_ms: *lower_ms,
                    upper_ms: *upper_ms,
                    keys: self.keys(keys, condition.as_ref(), left, right)?,
                    schema,
                })
            }
            ExecNodeKind::WindowJoin {
                join_type, keys, condition, left_end, right_end, ..
            } => {
                let (left, right) = sides(node)?;
                Arc::new(config::WindowJoin {
                    kind: kind_of(*join_type)?,
                    left: arrow_schema(left),
                    right: arrow_schema(right),
                    window_end: (*left_end, *right_end),
                    zone: self.zone_below(left),
                    keys: self.keys(keys, condition.as_ref(), left, right)?,
                    schema,
                })
            }
            ExecNodeKind::TemporalJoin { join_type, keys, condition, left_time, right_time } => {
                let (left, right) = sides(node)?;
                let Some(right_time) = right_time else {
                    return refused("Processing-time temporal join is not supported");
                };
                Arc::new(config::TemporalJoin {
                    kind: kind_of(*join_type)?,
                    left: arrow_schema(left),
                    right: arrow_schema(right),
                    times: (*left_time, *right_time),
                    keys: self.keys(keys, condition.as_ref(), left, right)?,
                    schema,
                })
            }
            ExecNodeKind::Rank { partition, order, start, end, with_number, strategy } => {
                let operator = Arc::new(config::Rank {
                    input: input_schema()?,
                    partition: partition.clone(),
                    order: sort_columns(order),
                    start: *start,
                    end: *end,
                    with_rank: *with_number,
                    append_only: *strategy == RankStrategy::AppendFast,
                    upsert_key: None,
                    emits_update_before,
                    ttl,
                    schema,
                });
                if node.every_version { row_by_row(operator) } else { operator }
            }
            ExecNodeKind::Deduplicate { keys, time, event_time, keep_last } => {
                Arc::new(config::Deduplicate {
                    schema,
                    keys: keys.clone(),
                    rowtime: event_time.then_some(*time),
                    last: *keep_last,
                    insert_only: node.modify.is_insert_only(),
                    emits_update_before,
                    every_version: node.every_version,
                    ttl,
                })
            }
            ExecNodeKind::WindowRank {
                partition,
                order,
                start,
                end,
                with_number,
                window_end,
                ..
            } => Arc::new(config::WindowRank {
                input: input_schema()?,
                partition: partition.clone(),
                order: sort_columns(order),
                start: *start,
                end: *end,
                with_rank: *with_number,
                window_end: *window_end,
                zone: input_node.and_then(|input| self.zone_below(input)),
                schema,
            }),
            ExecNodeKind::WindowDeduplicate { keys, time, keep_last, window_end, .. } => {
                Arc::new(config::WindowDeduplicate {
                    schema,
                    keys: keys.clone(),
                    rowtime: *time,
                    last: *keep_last,
                    window_end: *window_end,
                    zone: input_node.and_then(|input| self.zone_below(input)),
                })
            }
            ExecNodeKind::SortLimit { order, offset, limit, strategy } => {
                Arc::new(config::SortLimit {
                    schema,
                    order: sort_columns(order),
                    offset: *offset,
                    fetch: *limit,
                    append_only: *strategy == RankStrategy::AppendFast,
                    upsert_key: None,
                    emits_update_before,
                    ttl,
                })
            }
            ExecNodeKind::TemporalSort { order, event_time } => {
                let rest = order.get(1..).unwrap_or_default();
                let first = order.first().map(|key| key.column);
                Arc::new(config::TemporalSort {
                    schema,
                    rowtime: first.filter(|_| *event_time),
                    order: sort_columns(rest),
                })
            }
            ExecNodeKind::Limit { offset, limit } => Arc::new(config::Limit {
                schema,
                offset: *offset,
                fetch: *limit,
                append_only: !retracts,
                emits_update_before,
                ttl,
            }),
            ExecNodeKind::OverNode(over) => {
                let order = match over.bound {
                    BoundKind::EventTime => config::OverOrder::Rowtime(over.order[0].column),
                    BoundKind::ProcessingTime => config::OverOrder::Proctime,
                    BoundKind::Value => config::OverOrder::Columns(sort_columns(&over.order)),
                };
                let mut calls = Vec::new();
                for function in &over.functions {
                    calls.push(over_call(function, over.bound)?);
                }
                Arc::new(config::OverAggregate {
                    input: input_schema()?,
                    partition: over.partition.clone(),
                    order,
                    calls,
                    schema,
                    ttl,
                })
            }
            ExecNodeKind::Correlate { function, ordinality, arguments, condition, outer } => {
                let Some(input) = input_node else { return refused("internal: Correlate") };
                let counted = match arguments.first() {
                    Some(argument) => is_multiset(argument, &input.schema)?,
                    None => false,
                };
                let function = match function.code() {
                    Some(code) => code.clone(),
                    None => super::unnest::table_function(function.name(), *ordinality, counted)?,
                };
                Arc::new(config::Correlate {
                    arguments: self.all(arguments, &input.schema)?,
                    function,
                    condition: self.optional(condition.as_ref(), &node.schema)?,
                    outer: *outer,
                    schema,
                })
            }
            ExecNodeKind::ToChangelog { codes, .. } => {
                Arc::new(config::ToChangelog { codes: codes.clone(), schema })
            }
            ExecNodeKind::FromChangelog {
                op, kinds, skips_unknown, drop_update_before, ..
            } => Arc::new(config::FromChangelog {
                op: *op,
                kinds: kinds.clone(),
                skips_unknown: *skips_unknown,
                drops_update_before: *drop_update_before,
                schema,
            }),
            ExecNodeKind::SetOperation { except, all } => {
                Arc::new(config::SetOperation { schema, except: *except, all: *all, ttl })
            }
            ExecNodeKind::ChangelogNormalize { keys } => Arc::new(config::ChangelogNormalize {
                schema,
                keys: keys.clone(),
                emits_update_before,
                every_version: node.every_version,
                ttl,
                condition: None,
            }),
        })
    }

    /// The operator before a sink that puts changes in the order of its primary key.
    #[must_use]
    pub fn materializer(&self, sink: &ExecNode) -> Option<Arc<dyn OperatorFactory>> {
        let ExecNodeKind::Sink { primary_key, materialize: true, .. } = &sink.kind else {
            return None;
        };
        let input = sink.inputs.first()?;
        Some(Arc::new(config::SinkMaterialize {
            schema: arrow_schema(input),
            primary_key: primary_key.clone(),
            upsert_key: upsert_keys(input).into_iter().next().filter(|key| !key.is_empty()),
            ttl: self.state_ttl(),
        }))
    }

    /// How long rows of an input are remembered: as a hint says, or the session.
    fn ttl_of(&self, node: &ExecNode, input: usize) -> Option<Duration> {
        match node.state_ttl_ms[input] {
            Some(ttl_ms) => crate::settings::positive(ttl_ms),
            None => self.state_ttl(),
        }
    }

    /// With mini-batches an operator sees larger batches. Without, all versions of a row may be wanted.
    fn mini_batched(
        &self,
        operator: Arc<dyn OperatorFactory>,
        node: &ExecNode,
    ) -> Arc<dyn OperatorFactory> {
        match &self.mini_batch {
            None if node.every_version => row_by_row(operator),
            None => operator,
            Some(MiniBatchSettings { size, latency }) => {
                Arc::new(config::MiniBatch { operator, size: *size, latency: *latency })
            }
        }
    }

    fn all(
        &self,
        expressions: &[Expr],
        schema: &DFSchema,
    ) -> StreamPlanResult<Vec<config::SharedExpression>> {
        Ok(physical_expressions(expressions, schema)?)
    }

    fn optional(
        &self,
        expression: Option<&Expr>,
        schema: &DFSchema,
    ) -> StreamPlanResult<Option<config::SharedExpression>> {
        Ok(expression.map(|one| physical_expression(one, schema)).transpose()?)
    }

    fn join_input(
        &self,
        input: &ExecNode,
        keys: &[usize],
        ttl: Option<Duration>,
    ) -> config::JoinInput {
        let of_input = upsert_keys(input);
        let within = unique_by(&of_input, keys);
        let contained = |key: &Vec<usize>| key.iter().all(|column| keys.contains(column));
        let key = if within {
            of_input.into_iter().find(contained)
        } else {
            of_input.into_iter().min_by_key(Vec::len)
        };
        config::JoinInput {
            schema: arrow_schema(input),
            unique_key: key,
            join_key_contains_unique_key: within,
            insert_only: input.modify.is_insert_only(),
            ttl,
        }
    }

    fn keys(
        &self,
        keys: &EquiKeys,
        condition: Option<&Expr>,
        left: &ExecNode,
        right: &ExecNode,
    ) -> StreamPlanResult<config::JoinKeys> {
        let both = left.schema.fields().iter().chain(right.schema.fields().iter());
        let both = schema_of(both.cloned().collect())?;
        Ok(config::JoinKeys {
            left: keys.left.clone(),
            right: keys.right.clone(),
            null_equal: keys.null_equals.clone(),
            condition: self.optional(condition, &both)?,
        })
    }

    fn window_time(
        &self,
        window: &WindowTable,
        time: usize,
        schema: &SchemaRef,
    ) -> config::WindowTime {
        if window.event_time {
            let zone = self.zone_of(schema.field(time).data_type());
            config::WindowTime::Rowtime { column: time, zone }
        } else {
            config::WindowTime::Proctime { zone: Some(self.context.zone) }
        }
    }

    /// Windows over TIMESTAMP_LTZ follow the clocks of the session.
    fn zone_of(&self, data_type: &DataType) -> Option<chrono_tz::Tz> {
        matches!(data_type, DataType::Timestamp(_, Some(_))).then_some(self.context.zone)
    }

    fn window_zone(&self, node: &ExecNode, window: &WindowTable) -> Option<chrono_tz::Tz> {
        if window.event_time { self.zone_below(node) } else { Some(self.context.zone) }
    }

    /// The zone of the windows that rows of a node belong to.
    fn zone_below(&self, node: &ExecNode) -> Option<chrono_tz::Tz> {
        let input = node.inputs.first();
        match &node.kind {
            ExecNodeKind::WindowTableFunction { window, time, .. }
            | ExecNodeKind::LocalWindowAggregate { window, time, .. }
            | ExecNodeKind::WindowAggregate {
                window: WindowInput::Time { window, time }, ..
            } if window.event_time => self.zone_of(input?.schema.field(*time).data_type()),
            ExecNodeKind::WindowTableFunction { .. }
            | ExecNodeKind::WindowAggregate { window: WindowInput::Time { .. }, .. } => {
                Some(self.context.zone)
            }
            _ => self.zone_below(input?),
        }
    }
}

fn property_of(property: PlannedWindowProperty, event_time: bool) -> config::WindowProperty {
    match property {
        PlannedWindowProperty::Start => config::WindowProperty::Start,
        PlannedWindowProperty::End => config::WindowProperty::End,
        PlannedWindowProperty::Time if event_time => config::WindowProperty::Rowtime,
        PlannedWindowProperty::Time => config::WindowProperty::Proctime,
    }
}

/// The types of the arguments of each call.
fn argument_types(calls: &[PlannedAggregate], input: &ExecNode) -> Vec<Vec<DataType>> {
    let of = |at: &usize| input.schema.field(*at).data_type().clone();
    calls.iter().map(|call| call.arguments.iter().map(of).collect()).collect()
}

fn is_multiset(argument: &Expr, schema: &DFSchema) -> StreamPlanResult<bool> {
    let field = field_of(argument, schema)?;
    Ok(columns::data_type(&field)
        .is_ok_and(|data_type| matches!(data_type.kind, SqlTypeKind::Multiset(_))))
}

fn sides(node: &ExecNode) -> StreamPlanResult<(&ExecNode, &ExecNode)> {
    match node.inputs.as_slice() {
        [left, right] => Ok((left, right)),
        _ => refused("internal: a join of other than two inputs"),
    }
}

fn kind_of(join_type: JoinType) -> StreamPlanResult<config::JoinVariant> {
    Ok(match join_type {
        JoinType::Inner => config::JoinVariant::Inner,
        JoinType::Left => config::JoinVariant::Left,
        JoinType::Right => config::JoinVariant::Right,
        JoinType::Full => config::JoinVariant::Full,
        JoinType::LeftSemi => config::JoinVariant::Semi,
        JoinType::LeftAnti => config::JoinVariant::Anti,
        other => return refused(format!("internal: a join of type {other}")),
    })
}

/// As Flink merges slices: hops of the window functions from the last to the first, else in order.
fn latest_first(window: &WindowTable) -> bool {
    matches!(window.kind, WindowKind::Hop { .. }) && !window.of_group
}

fn spec_of(window: &WindowTable) -> config::WindowSpec {
    match window.kind {
        WindowKind::Tumble { size_ms, offset_ms } => {
            config::WindowSpec::Tumble { size_ms, offset_ms }
        }
        WindowKind::Hop { size_ms, slide_ms, offset_ms } => {
            config::WindowSpec::Hop { size_ms, slide_ms, offset_ms }
        }
        WindowKind::Cumulate { size_ms, step_ms, offset_ms } => {
            config::WindowSpec::Cumulate { size_ms, step_ms, offset_ms }
        }
        WindowKind::Session { gap_ms } => config::WindowSpec::Session { gap_ms },
    }
}

fn sort_columns(order: &[SortKey]) -> Vec<config::SortColumn> {
    let one = |key: &SortKey| config::SortColumn {
        column: key.column,
        descending: !key.ascending,
        nulls_first: key.nulls_first,
    };
    order.iter().map(one).collect()
}

fn calls_of(
    calls: &[PlannedAggregate],
    retracts: bool,
) -> StreamPlanResult<Vec<config::AggregateCall>> {
    calls.iter().map(|call| call_of(call, retracts)).collect()
}

fn call_of(call: &PlannedAggregate, retracts: bool) -> StreamPlanResult<config::AggregateCall> {
    let coat = call.function.inner().downcast_ref::<AggregateCoat>();
    let Some(coat) = coat else {
        return refused(format!("internal: {} is no aggregate of streams", call.function.name()));
    };
    let resolved = coat.resolve(retracts)?;
    Ok(config::AggregateCall {
        kernel: resolved.kernel,
        arguments: call.arguments.clone(),
        filter: call.filter,
        distinct: call.distinct,
    })
}

/// The operator without folding changes of one key: each row has its own, in the order of the rows.
fn row_by_row(operator: Arc<dyn OperatorFactory>) -> Arc<dyn OperatorFactory> {
    Arc::new(config::MiniBatch { operator, size: 1, latency: Duration::ZERO })
}

fn over_call(function: &PlannedOver, bound: BoundKind) -> StreamPlanResult<config::OverCall> {
    Ok(match function {
        PlannedOver::Aggregate { call, frame } => config::OverCall::Aggregate {
            call: call_of(call, frame.preceding.is_some() || bound == BoundKind::Value)?,
            frame: config::OverFrame { rows: frame.rows, preceding: frame.preceding },
        },
        PlannedOver::Ranking { name, columns, offset } => {
            let column = || match columns.first() {
                Some(column) => Ok(*column),
                None => refused(format!("{name} needs an argument")),
            };
            let offset = usize::try_from(*offset).unwrap_or(usize::MAX);
            let default = columns.get(1).copied();
            let ranking = match name.as_str() {
                "ROW_NUMBER" => config::OverRanking::RowNumber,
                "RANK" => config::OverRanking::Rank,
                "DENSE_RANK" => config::OverRanking::DenseRank,
                "LAG" => config::OverRanking::Lag { column: column()?, offset, default },
                "LEAD" => config::OverRanking::Lead { column: column()?, offset, default },
                other => {
                    return refused(format!("{other} Function is not supported in stream mode."));
                }
            };
            config::OverCall::Ranking(ranking)
        }
    })
}
