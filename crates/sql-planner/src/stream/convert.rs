//! From the logical plan to nodes.

use std::{collections::HashSet, sync::Arc};

use datafusion_common::DFSchemaRef;
use datafusion_expr::{
    Distinct, Expr, FetchType, Filter, Limit, LogicalPlan, SkipType, Sort, TableScan,
    expr::Sort as SortExpr,
};
use hurtig_sql_common::ChangelogMode;

use super::{
    ExecNode, ExecNodeKind, PartitionListing, ScanFilter, ScannedField, SortKey, StreamPlanError,
    StreamPlanResult,
    calc::merge_calcs,
    expressions::{
        ColumnsBefore, TimeAttribute, all_columns, column_of, conjunction, conjuncts, position,
        schema_of, select, substituted, time_of, unaliased,
    },
    infer, refused,
    rows_of_changes::{from_changelog, to_changelog},
    scans::push_into_scans,
    two_phase,
};
use crate::{
    catalog::TableRef,
    plan::{StreamingNode, StreamingNodeKind, WindowTable},
};

/// What a connector makes of a source.
pub struct SourceTraits {
    /// The changes that it gives.
    pub mode: ChangelogMode,
    /// The names of the fields of the primary key; `None` without one, or if not all are read.
    pub primary_key: Option<Vec<String>>,
    /// Changes are by key and may repeat themselves.
    pub normalize: bool,
    /// The source makes watermarks itself.
    pub makes_watermarks: bool,
    /// The source can read fields of ROWs without the rest of them.
    pub reads_nested: bool,
}

/// What a connector makes of a sink.
pub struct SinkTraits {
    /// The table's whole name.
    pub name: String,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// The columns of its primary key.
    pub primary_key: Vec<usize>,
    /// The changes that it takes of those that are offered.
    pub accepts: Box<dyn Fn(ChangelogMode) -> ChangelogMode>,
}

/// What the planner must know of tables.
pub trait TableTraits {
    /// Of one that is read, as the fields of those names.
    fn source(&self, table: &TableRef, fields: &[&str]) -> StreamPlanResult<SourceTraits>;
    /// Whether a source gives only the rows that pass a filter, if it is told.
    fn takes_filter(&self, table: &TableRef, filter: &ScanFilter) -> StreamPlanResult<bool>;
    /// The partitions of one that is read, if its source can leave out some.
    fn partitions(&self, table: &TableRef) -> StreamPlanResult<Option<Arc<dyn PartitionListing>>> {
        let _ = table;
        Ok(None)
    }
    /// Whether a source may stop when it has given so many rows.
    fn takes_limit(&self, table: &TableRef) -> StreamPlanResult<bool> {
        let _ = table;
        Ok(false)
    }
    /// Of one that is written, by its whole name.
    fn sink(&self, table: &str) -> StreamPlanResult<SinkTraits>;
}

/// Makes streaming plans.
pub struct StreamPlanner<'a> {
    /// Of the tables.
    pub tables: &'a dyn TableTraits,
    /// Of the session.
    pub settings: &'a crate::PlannerSettings,
}

/// The columns of a node that somebody uses: names, or all if `None`.
pub(super) type Needed = Option<HashSet<String>>;

impl StreamPlanner<'_> {
    /// The streaming plan of an optimised plan, all its changes settled. A plan that does not end in
    /// a sink gives whole changes, `before` saying whether rows before updates are among them.
    pub fn plan(&self, plan: &LogicalPlan, before: bool) -> StreamPlanResult<ExecNode> {
        let node = merge_calcs(self.convert(plan, &None)?);
        let mut node = push_into_scans(node, self.tables)?;
        infer::infer(&mut node, self.tables, self.settings, before)?;
        two_phase::split(&mut node, self.settings)?;
        Ok(node)
    }

    pub(super) fn convert(
        &self,
        plan: &LogicalPlan,
        needed: &Needed,
    ) -> StreamPlanResult<ExecNode> {
        match plan {
            LogicalPlan::Projection(projection) => {
                let used = names_in(&projection.expr);
                let input = self.convert(&projection.input, &Some(used))?;
                let expressions =
                    projection.expr.iter().map(|one| unaliased(one).clone()).collect();
                Ok(project(input, expressions, projection.schema.clone()))
            }
            LogicalPlan::Filter(filter) => self.filter(filter, needed),
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Values(values) => {
                let kind = ExecNodeKind::Values { rows: values.values.clone() };
                Ok(ExecNode::new(kind, Vec::new(), values.schema.clone()))
            }
            LogicalPlan::EmptyRelation(empty) => {
                let rows = if empty.produce_one_row { vec![Vec::new()] } else { Vec::new() };
                let kind = ExecNodeKind::Values { rows };
                Ok(ExecNode::new(kind, Vec::new(), empty.schema.clone()))
            }
            LogicalPlan::Union(union) => {
                let mut inputs = Vec::new();
                for input in &union.inputs {
                    let node = self.convert(input, &None)?;
                    let all: Vec<usize> = (0..node.schema.fields().len()).collect();
                    inputs.push(select(node, &all, union.schema.clone()));
                }
                Ok(ExecNode::new(ExecNodeKind::Union, inputs, union.schema.clone()))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let state_ttl_ms = [hinted_ttl(input), None];
                let input = self.convert(input, &None)?;
                let keys = (0..input.schema.fields().len()).collect();
                let schema = input.schema.clone();
                let kind = ExecNodeKind::GroupAggregate { keys, calls: Vec::new() };
                Ok(ExecNode { state_ttl_ms, ..ExecNode::new(kind, vec![input], schema) })
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Limit(limit) => self.limit(limit, needed),
            LogicalPlan::Sort(sort) => match sort.fetch {
                Some(fetch) => self.sort_limit(sort, 0, fetch as u64),
                None => self.sort(sort),
            },
            LogicalPlan::SubqueryAlias(alias) => self.convert(&alias.input, needed),
            LogicalPlan::Subquery(_) => refused("this kind of subquery is not supported"),
            LogicalPlan::Extension(_) => match StreamingNode::of(plan) {
                Some(node) => self.streaming(node),
                None => refused(format!("internal: no streaming plan for {}", plan.display())),
            },
            other => refused(format!("internal: no streaming plan for {}", other.display())),
        }
    }

    fn filter(&self, filter: &Filter, needed: &Needed) -> StreamPlanResult<ExecNode> {
        let mut terms = conjuncts(&filter.predicate);
        let below = needed.clone().map(|mut names| {
            names.extend(names_in(&terms));
            names
        });
        let input = self.convert(&filter.input, &below)?;
        let input = self.top_list(input, &mut terms, needed)?;
        match conjunction(terms) {
            Some(condition) => Ok(restrict(input, condition)),
            None => Ok(input),
        }
    }

    fn scan(&self, scan: &TableScan) -> StreamPlanResult<ExecNode> {
        let Some(table) = scan.source.downcast_ref::<TableRef>() else {
            return refused("internal: a scan of something that is no table");
        };
        let node = self.scan_of(scan, table)?;
        match node {
            Some(node) => Ok(node),
            // Changes by key need the key, also where nobody else does.
            None => {
                let all = scan.projection.clone().unwrap_or_default();
                let mut wider = all.clone();
                wider.extend(key_fields(table).into_iter().filter(|one| !all.contains(one)));
                let fields = wider.iter().map(|one| Arc::new(table.schema.field(*one).clone()));
                let wider = TableScan {
                    projected_schema: schema_of(fields.collect())?,
                    projection: Some(wider.clone()),
                    ..scan.clone()
                };
                let Some(node) = self.scan_of(&wider, table)? else {
                    return refused(format!(
                        "Table '{}' gives updates by key, and so needs a primary key.",
                        scan.table_name
                    ));
                };
                let first: Vec<usize> = (0..all.len()).collect();
                Ok(select(node, &first, scan.projected_schema.clone()))
            }
        }
    }

    /// A scan; nothing if it needs a key that is not read.
    fn scan_of(&self, scan: &TableScan, table: &TableRef) -> StreamPlanResult<Option<ExecNode>> {
        let schema = scan.projected_schema.clone();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let traits = self.tables.source(table, &names)?;
        let key = traits.primary_key.and_then(|names| {
            names.iter().map(|name| position(&schema, name)).collect::<Option<Vec<usize>>>()
        });
        let columns = match &scan.projection {
            Some(columns) => columns.clone(),
            None => (0..table.columns.len()).collect(),
        };
        let columns = columns.into_iter().map(ScannedField::whole).collect();
        let kind = ExecNodeKind::TableSourceScan {
            table: Arc::new(table.clone()),
            columns,
            filters: Vec::new(),
            partitions: None,
            limit: None,
            reads_nested: traits.reads_nested,
            mode: traits.mode,
            primary_key: key.clone(),
            drop_update_before: false,
            watermark: None,
            makes_watermarks: traits.makes_watermarks,
        };
        let mut node = ExecNode::new(kind, Vec::new(), schema.clone());
        if traits.normalize {
            let Some(keys) = key else { return Ok(None) };
            node = ExecNode::new(ExecNodeKind::ChangelogNormalize { keys }, vec![node], schema);
        }
        match conjunction(scan.filters.clone()) {
            Some(condition) => Ok(Some(restrict(node, condition))),
            None => Ok(Some(node)),
        }
    }

    fn streaming(&self, node: &StreamingNode) -> StreamPlanResult<ExecNode> {
        let schema = node.schema.clone();
        let input = |index: usize| -> StreamPlanResult<ExecNode> {
            let missing = || StreamPlanError("internal: a node without input".to_owned());
            self.convert(node.inputs.get(index).ok_or_else(missing)?, &None)
        };
        match &node.kind {
            StreamingNodeKind::Watermark => self.watermark(input(0)?, node),
            StreamingNodeKind::Window(window) => self.window(input(0)?, window, node),
            StreamingNodeKind::Over(over) => self.over(input(0)?, over, node),
            StreamingNodeKind::TemporalJoin { join_type, keys } => {
                self.temporal_join(input(0)?, input(1)?, *join_type, *keys, node)
            }
            StreamingNodeKind::Correlate { function, ordinality, arguments, outer } => {
                let (arguments, condition) = node.expressions.split_at(*arguments);
                let kind = ExecNodeKind::Correlate {
                    function: function.clone(),
                    ordinality: *ordinality,
                    arguments: arguments.to_vec(),
                    condition: condition.first().cloned(),
                    outer: *outer,
                };
                Ok(ExecNode::new(kind, vec![input(0)?], schema))
            }
            StreamingNodeKind::SetOperation { except, all } => {
                let mut inputs = Vec::new();
                for index in 0..2 {
                    let one = input(index)?;
                    let all: Vec<usize> = (0..one.schema.fields().len()).collect();
                    inputs.push(select(one, &all, schema.clone()));
                }
                let kind = ExecNodeKind::SetOperation { except: *except, all: *all };
                Ok(ExecNode::new(kind, inputs, schema))
            }
            StreamingNodeKind::Expand { sets } => {
                let width = node.expressions.len() / (*sets).max(1);
                let projections = node.expressions.chunks(width.max(1)).map(<[Expr]>::to_vec);
                let kind = ExecNodeKind::Expand { projections: projections.collect() };
                Ok(ExecNode::new(kind, vec![input(0)?], schema))
            }
            StreamingNodeKind::StateTtl { .. } => input(0),
            StreamingNodeKind::ToChangelog { codes } => to_changelog(input(0)?, codes, node),
            StreamingNodeKind::FromChangelog { kinds, skips_unknown } => {
                from_changelog(input(0)?, kinds, *skips_unknown, node)
            }
            StreamingNodeKind::Sink { table, overwrite } => {
                let traits = self.tables.sink(&table.to_string())?;
                let kind = ExecNodeKind::Sink {
                    table: table.to_string(),
                    overwrite: *overwrite,
                    primary_key: traits.primary_key,
                    mode: ChangelogMode::INSERT_ONLY,
                    materialize: false,
                };
                // Formats write the names of columns: from here on they are the table's.
                let input = input(0)?;
                let fields = input.schema.fields().iter().zip(traits.columns);
                let named =
                    fields.map(|(field, name)| Arc::new(field.as_ref().clone().with_name(name)));
                let named = schema_of(named.collect())?;
                let all: Vec<usize> = (0..named.fields().len()).collect();
                let input = select(input, &all, named.clone());
                Ok(ExecNode::new(kind, vec![input], named))
            }
        }
    }

    /// Sources that can make watermarks do so, per split: then what lies between is computed twice,
    /// for the watermark alone.
    fn watermark(&self, input: ExecNode, node: &StreamingNode) -> StreamPlanResult<ExecNode> {
        let [time, watermark] = node.expressions.as_slice() else {
            return refused("internal: a watermark without expression");
        };
        let Some(time) = column_of(time, &input.schema) else {
            return refused("internal: a watermark of something that is no column");
        };
        let (input, pushed) = push_watermark(input, watermark);
        // The fields are the node's: the time is a time attribute from here on.
        if pushed {
            let all: Vec<usize> = (0..input.schema.fields().len()).collect();
            return Ok(select(input, &all, node.schema.clone()));
        }
        let kind = ExecNodeKind::WatermarkAssigner { time, watermark: watermark.clone() };
        Ok(ExecNode::new(kind, vec![input], node.schema.clone()))
    }

    fn window(
        &self,
        input: ExecNode,
        window: &WindowTable,
        node: &StreamingNode,
    ) -> StreamPlanResult<ExecNode> {
        let mut columns = ColumnsBefore::after_all(&input.schema);
        let width = input.schema.fields().len();
        let mut positions = Vec::new();
        for expression in &node.expressions {
            positions.push(columns.position(expression)?);
        }
        let Some((time, partition)) = positions.split_first() else {
            return refused("internal: a window without time");
        };
        if positions.iter().any(|position| *position >= width) {
            return refused("internal: a window over something that is no column");
        }
        if !window.of_group && time_of(&input, *time).is_none() {
            return refused(
                "The window function requires the timecol is a time attribute type: a regular join \
                 has made a plain TIMESTAMP(3) of it",
            );
        }
        let kind = ExecNodeKind::WindowTableFunction {
            window: window.clone(),
            time: *time,
            partition: partition.to_vec(),
        };
        Ok(ExecNode::new(kind, vec![input], node.schema.clone()))
    }

    fn limit(&self, limit: &Limit, needed: &Needed) -> StreamPlanResult<ExecNode> {
        let constant = || StreamPlanError("LIMIT and OFFSET must be constants".to_owned());
        let SkipType::Literal(offset) = limit.get_skip_type()? else { return Err(constant()) };
        let FetchType::Literal(fetch) = limit.get_fetch_type()? else { return Err(constant()) };
        let offset = offset as u64;
        // What is between the limit and the order only computes columns.
        if let Some(sort) = sort_below(&limit.input) {
            let Some(fetch) = fetch else {
                return refused(
                    "FETCH is missed, which on streaming table is not supported currently.",
                );
            };
            return self.limited(&limit.input, sort, offset, fetch as u64);
        }
        let Some(fetch) = fetch else {
            return refused(
                "FETCH is missed, which on streaming table is not supported currently.",
            );
        };
        let input = self.convert(&limit.input, needed)?;
        let schema = input.schema.clone();
        let kind = ExecNodeKind::Limit { offset, limit: fetch as u64 };
        Ok(ExecNode::new(kind, vec![input], schema))
    }

    fn limited(
        &self,
        plan: &LogicalPlan,
        sort: &Sort,
        offset: u64,
        limit: u64,
    ) -> StreamPlanResult<ExecNode> {
        match plan {
            LogicalPlan::Projection(projection) => {
                let input = self.limited(&projection.input, sort, offset, limit)?;
                let expressions =
                    projection.expr.iter().map(|one| unaliased(one).clone()).collect();
                Ok(project(input, expressions, projection.schema.clone()))
            }
            _ => self.sort_limit(sort, offset, limit),
        }
    }

    fn sort_limit(&self, sort: &Sort, offset: u64, limit: u64) -> StreamPlanResult<ExecNode> {
        let (input, order) = self.sorted(sort)?;
        let schema = input.schema.clone();
        let strategy = super::RankStrategy::AppendFast;
        let kind = ExecNodeKind::SortLimit { order, offset, limit, strategy };
        let node = ExecNode::new(kind, vec![input], schema);
        Ok(first_columns(node, &sort.input.schema().clone()))
    }

    fn sort(&self, sort: &Sort) -> StreamPlanResult<ExecNode> {
        let (input, order) = self.sorted(sort)?;
        let time = order.first().and_then(|key| time_of(&input, key.column));
        let event_time = match time {
            Some(_) if !order[0].ascending => {
                return refused(
                    "Primary sort order of a streaming table must be ascending on time.",
                );
            }
            Some(TimeAttribute::Rowtime) => true,
            Some(TimeAttribute::Proctime) => false,
            None => return refused("Sort on a non-time-attribute field is not supported."),
        };
        let schema = input.schema.clone();
        let kind = ExecNodeKind::TemporalSort { order, event_time };
        let node = ExecNode::new(kind, vec![input], schema);
        Ok(first_columns(node, &sort.input.schema().clone()))
    }

    fn sorted(&self, sort: &Sort) -> StreamPlanResult<(ExecNode, Vec<SortKey>)> {
        let input = self.convert(&sort.input, &None)?;
        let mut columns = ColumnsBefore::after_all(&input.schema);
        let mut order = Vec::new();
        for SortExpr { expr, asc, nulls_first } in &sort.expr {
            let column = columns.position(expr)?;
            order.push(SortKey { column, ascending: *asc, nulls_first: *nulls_first });
        }
        Ok((columns.behind(input)?, order))
    }
}

/// The fields of the primary key among those of a table.
fn key_fields(table: &TableRef) -> Vec<usize> {
    let columns = table.table.primary_key.iter().flat_map(|key| &key.columns);
    let field = |column: &String| {
        let (position, _) = table.table.column(column)?;
        table.columns.iter().position(|one| *one == position)
    };
    columns.filter_map(field).collect()
}

/// Without columns that were added for an order.
fn first_columns(node: ExecNode, schema: &DFSchemaRef) -> ExecNode {
    if node.schema.fields().len() == schema.fields().len() {
        return node;
    }
    let first: Vec<usize> = (0..schema.fields().len()).collect();
    select(node, &first, schema.clone())
}

fn sort_below(plan: &LogicalPlan) -> Option<&Sort> {
    match plan {
        LogicalPlan::Sort(sort) => Some(sort),
        LogicalPlan::Projection(projection) => sort_below(&projection.input),
        _ => None,
    }
}

/// The names of all columns in expressions.
pub(super) fn names_in<'a>(expressions: impl IntoIterator<Item = &'a Expr>) -> HashSet<String> {
    let mut names = HashSet::new();
    for expression in expressions {
        names.extend(expression.column_refs().into_iter().map(|column| column.name.clone()));
    }
    names
}

/// A projection; together with a filter below it, if there is one.
pub(super) fn project(input: ExecNode, projection: Vec<Expr>, schema: DFSchemaRef) -> ExecNode {
    let same = projection.len() == input.schema.fields().len()
        && projection.iter().enumerate().all(|(index, one)| {
            column_of(one, &input.schema) == Some(index)
                && input.schema.field(index) == schema.field(index)
        });
    if same {
        return input;
    }
    if let ExecNodeKind::Calc { projection: below, condition: Some(condition) } = &input.kind
        && let Some(source) = input.inputs.first()
        && *below == all_columns(&source.schema)
        && input.schema.inner() == source.schema.inner()
    {
        let kind = ExecNodeKind::Calc { projection, condition: Some(condition.clone()) };
        return ExecNode::new(kind, input.inputs, schema);
    }
    let kind = ExecNodeKind::Calc { projection, condition: None };
    ExecNode::new(kind, vec![input], schema)
}

/// A filter.
pub(super) fn restrict(input: ExecNode, condition: Expr) -> ExecNode {
    let schema = input.schema.clone();
    let projection = all_columns(&schema);
    let kind = ExecNodeKind::Calc { projection, condition: Some(condition) };
    ExecNode::new(kind, vec![input], schema)
}

fn push_watermark(mut node: ExecNode, watermark: &Expr) -> (ExecNode, bool) {
    match &mut node.kind {
        ExecNodeKind::TableSourceScan { watermark: of_source, makes_watermarks: true, .. } => {
            *of_source = Some(watermark.clone());
            (node, true)
        }
        ExecNodeKind::Calc { projection, condition: None } => {
            let Some(below) = substituted(watermark, &node.schema, projection) else {
                return (node, false);
            };
            let Some(input) = node.inputs.pop() else { return (node, false) };
            let (input, pushed) = push_watermark(input, &below);
            node.inputs.push(input);
            (node, pushed)
        }
        _ => (node, false),
    }
}

/// How long the rows of an input are remembered, in milliseconds, if a hint says so.
pub(super) fn hinted_ttl(plan: &LogicalPlan) -> Option<i64> {
    match plan {
        LogicalPlan::Projection(projection) => hinted_ttl(&projection.input),
        LogicalPlan::Filter(filter) => hinted_ttl(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => hinted_ttl(&alias.input),
        _ => match StreamingNode::of(plan)?.kind {
            StreamingNodeKind::StateTtl { ttl_ms } => Some(ttl_ms),
            _ => None,
        },
    }
}
