//! From streaming plans to operators of a program.
//!
//! Each node becomes an operator, edges by what the node asks of its inputs. Rows of a table that
//! changes keep their order: where the number of subtasks differs and no key decides, they go to one.
//!
//! Operators are named by their [`Identities`], so that state finds its operator again when something
//! else in the query has changed.

mod tables;

use std::{collections::HashMap, sync::Arc};

use arrow_schema::SchemaRef;
use hurtig::{
    StreamExecutionEnvironment,
    connector::Boundedness,
    graph::{OperatorKind, ShipStrategy},
    operator::OperatorFactory,
    raw::{RawEdge, RawInput, RawOperator, RawStream},
};
use hurtig_sql_planner::{
    PlannerSettings,
    optimize::physical_expression,
    stream::{ExecNode, ExecNodeKind, Identities, SharedParts, StreamPlan, arrow_schema},
};
use hurtig_sql_runtime::config::{
    DropUpdateBefore, Exchange, LengthEnforcer, NotNullEnforcer, TableEdge,
};

use tables::Scanned;
pub(crate) use tables::SessionTables;

use crate::{
    SqlError,
    connectors::{Scan, ScanWatermark, Write, gate::HeldSource},
};

/// The end of a query.
pub(crate) struct Translated {
    /// What a collector reads.
    pub input: RawInput,
    /// How many subtasks it has; `None`: the environment's.
    pub parallelism: Option<u32>,
    /// Of the rows.
    pub schema: SchemaRef,
}

/// Streams that together are the rows of a node.
#[derive(Clone)]
struct Rows {
    streams: Vec<(RawStream, Option<u32>)>,
    schema: SchemaRef,
    grows_only: bool,
}

impl Rows {
    /// The parallelism of what follows without an exchange.
    fn parallelism(&self) -> Option<u32> {
        let (_, first) = self.streams.first()?;
        let equal = self.streams.iter().all(|(_, one)| one == first);
        if equal { *first } else { None }
    }
}

struct Translator<'a> {
    env: &'a StreamExecutionEnvironment,
    tables: &'a SessionTables<'a>,
    settings: &'a PlannerSettings,
    identities: Identities,
    parts: SharedParts,
    /// The rows of parts that are there, by their numbers.
    shared: HashMap<u32, Rows>,
    /// How often each name was given in this environment.
    uids: &'a mut HashMap<String, u32>,
}

/// Adds the operators of a query.
pub(crate) fn query(
    env: &StreamExecutionEnvironment,
    plan: &StreamPlan,
    tables: &SessionTables<'_>,
    settings: &PlannerSettings,
    uids: &mut HashMap<String, u32>,
) -> Result<Translated, SqlError> {
    let mut translator = Translator::new(env, plan, tables, settings, uids);
    let root = plan.roots.first().ok_or_else(|| internal("a plan without a root"))?;
    let mut rows = translator.rows(root)?;
    if rows.streams.len() > 1 {
        // A union at the top: the collector has one input.
        rows = translator.pass(rows, root)?;
    }
    let (stream, parallelism) =
        *rows.streams.first().ok_or_else(|| internal("a plan without streams"))?;
    let schema = rows.schema.clone();
    let input = RawInput { stream, index: 0, ship: None, edge: edge(&schema, &[]) };
    Ok(Translated { input, parallelism, schema })
}

/// Adds the operators of a query, and a sink in the place of whoever collects its rows: for a plan
/// that is shown.
pub(crate) fn shown_query(
    env: &StreamExecutionEnvironment,
    plan: &StreamPlan,
    tables: &SessionTables<'_>,
    settings: &PlannerSettings,
) -> Result<(), SqlError> {
    let translated = query(env, plan, tables, settings, &mut HashMap::new())?;
    let mut operator = RawOperator::new("Sink: Collect", Arc::new(DropUpdateBefore));
    operator.kind = OperatorKind::Sink;
    operator.parallelism = Some(1);
    env.add_raw(operator, vec![translated.input]);
    Ok(())
}

/// Adds the operators of sinks, and returns these.
pub(crate) fn sinks(
    env: &StreamExecutionEnvironment,
    plan: &StreamPlan,
    tables: &SessionTables<'_>,
    settings: &PlannerSettings,
    uids: &mut HashMap<String, u32>,
) -> Result<Vec<RawStream>, SqlError> {
    let mut translator = Translator::new(env, plan, tables, settings, uids);
    plan.roots.iter().map(|root| translator.sink(root)).collect()
}

fn internal(text: &str) -> SqlError {
    SqlError::Internal(text.to_owned())
}

impl<'a> Translator<'a> {
    fn new(
        env: &'a StreamExecutionEnvironment,
        plan: &StreamPlan,
        tables: &'a SessionTables<'a>,
        settings: &'a PlannerSettings,
        uids: &'a mut HashMap<String, u32>,
    ) -> Self {
        let parts = match settings.reuses_parts {
            true => SharedParts::of(plan, settings.reuses_sources),
            false => SharedParts::default(),
        };
        let (identities, shared) = (Identities::of(plan, &parts), HashMap::new());
        Self { env, tables, settings, identities, parts, shared, uids }
    }

    /// The rows of a node: of one that is the same, if there is one.
    fn rows(&mut self, node: &ExecNode) -> Result<Rows, SqlError> {
        let Some(number) = self.parts.number(node) else { return self.own_rows(node) };
        if let Some(rows) = self.shared.get(&number) {
            return Ok(rows.clone());
        }
        let rows = self.own_rows(node)?;
        self.shared.insert(number, rows.clone());
        Ok(rows)
    }

    fn own_rows(&mut self, node: &ExecNode) -> Result<Rows, SqlError> {
        match &node.kind {
            ExecNodeKind::TableSourceScan { .. } => self.scan(node),
            ExecNodeKind::Union => {
                let mut streams = Vec::new();
                for input in &node.inputs {
                    streams.extend(self.rows(input)?.streams);
                }
                let grows_only = node.modify.is_insert_only();
                Ok(Rows { streams, schema: arrow_schema(node), grows_only })
            }
            ExecNodeKind::Sink { .. } => Err(internal("a sink that is not at the end")),
            _ => {
                let factory = self.settings.operator(node)?;
                let mut inputs = Vec::new();
                for input in &node.inputs {
                    inputs.push(self.rows(input)?);
                }
                Ok(self.operator(node, factory, inputs))
            }
        }
    }

    /// Adds the operator of a node behind its inputs.
    fn operator(
        &mut self,
        node: &ExecNode,
        factory: Arc<dyn OperatorFactory>,
        inputs: Vec<Rows>,
    ) -> Rows {
        let single = |index| node.distribution(index).is_some_and(|columns| columns.is_empty());
        let global = !inputs.is_empty() && (0..inputs.len()).any(single);
        let exchanged = (0..inputs.len()).any(|index| node.distribution(index).is_some());
        let source = inputs.is_empty();
        let parallelism = if global || source {
            Some(1)
        } else if exchanged {
            None
        } else {
            inputs.first().and_then(Rows::parallelism)
        };
        let uid = self.uid(node, "");
        let factory: Arc<dyn OperatorFactory> = match self.tables.gate.filter(|_| source) {
            Some(gate) => Arc::new(HeldSource { source: factory, gate: gate.clone() }),
            None => factory,
        };
        let mut operator = RawOperator::new(node.name(), factory);
        operator.uid = Some(uid);
        operator.parallelism = parallelism;
        operator.max_allowed_parallelism = global.then_some(1);
        if source {
            operator.kind = OperatorKind::Source;
        }
        let mut edges = Vec::new();
        for (index, rows) in inputs.iter().enumerate() {
            let columns = node.distribution(index);
            edges.extend(edges_of(rows, index, columns.as_deref(), parallelism));
        }
        let stream = self.env.add_raw(operator, edges);
        let grows_only = node.modify.is_insert_only();
        Rows { streams: vec![(stream, parallelism)], schema: arrow_schema(node), grows_only }
    }

    /// Adds an operator behind rows, in as many subtasks.
    fn behind(
        &mut self,
        rows: &Rows,
        name: &str,
        uid: String,
        factory: Arc<dyn OperatorFactory>,
    ) -> Rows {
        let parallelism = rows.parallelism();
        let mut operator = RawOperator::new(name, factory);
        operator.uid = Some(uid);
        operator.parallelism = parallelism;
        let stream = self.env.add_raw(operator, edges_of(rows, 0, None, parallelism));
        Rows {
            streams: vec![(stream, parallelism)],
            schema: rows.schema.clone(),
            grows_only: rows.grows_only,
        }
    }

    /// One stream of several.
    fn pass(&mut self, rows: Rows, node: &ExecNode) -> Result<Rows, SqlError> {
        let schema = rows.schema.clone();
        let calc = hurtig_sql_runtime::config::Calc { condition: None, projection: None, schema };
        let uid = self.uid(node, "pass");
        Ok(self.behind(&rows, "Union", uid, Arc::new(calc)))
    }

    fn scan(&mut self, node: &ExecNode) -> Result<Rows, SqlError> {
        let ExecNodeKind::TableSourceScan {
            table,
            columns,
            filters,
            partitions,
            limit,
            watermark,
            drop_update_before,
            ..
        } = &node.kind
        else {
            return Err(internal("no scan"));
        };
        let partitions = match partitions {
            Some(condition) => Some(tables::partition_filter(&table.table, condition)?),
            None => None,
        };
        let Scanned { source: table, columns, casts, filters } =
            self.tables.scanned(table, columns, filters)?;
        let watermark = match watermark {
            Some(expression) => Some(ScanWatermark {
                expression: physical_expression(expression, &node.schema)?,
                idle_timeout: self.settings.source_idle_timeout(),
                on_event: false,
            }),
            None => None,
        };
        let schema = arrow_schema(node);
        let uid = self.uid(node, "");
        let scan = Scan {
            columns,
            schema: schema.clone(),
            watermark,
            partitions,
            filters,
            limit: *limit,
            casts,
            context: self.settings.context.clone(),
            gate: self.tables.gate.map(|gate| gate.scan(&uid)),
        };
        let factory = table.factory(scan).map_err(|error| SqlError::invalid(error.0, None))?;
        let parallelism = table.parallelism();
        let mut operator = RawOperator::new(node.name(), factory);
        operator.kind = OperatorKind::Source;
        operator.bounded = table.boundedness() == Boundedness::Bounded
            || (limit.is_some() && table.ends_at_limit());
        operator.uid = Some(uid);
        operator.parallelism = parallelism;
        let stream = table.add(self.env, operator)?;
        let grows_only = node.modify.is_insert_only();
        let rows = Rows { streams: vec![(stream, parallelism)], schema, grows_only };
        if *drop_update_before {
            let uid = self.uid(node, "drop");
            return Ok(self.behind(&rows, "DropUpdateBefore", uid, Arc::new(DropUpdateBefore)));
        }
        Ok(rows)
    }

    fn sink(&mut self, node: &ExecNode) -> Result<RawStream, SqlError> {
        let (ExecNodeKind::Sink { table, overwrite, primary_key, .. }, [input]) =
            (&node.kind, node.inputs.as_slice())
        else {
            return Err(internal("a plan of INSERT that ends in no sink"));
        };
        let mut rows = self.rows(input)?;
        let columns = self.tables.not_null(table)?;
        if !columns.is_empty() {
            let enforcer = NotNullEnforcer { columns, drop: self.settings.drop_null_rows };
            let uid = self.uid(node, "not null");
            rows = self.behind(&rows, "ConstraintEnforcer", uid, Arc::new(enforcer));
        }
        if let Some(trims) = self.settings.trims_lengths {
            let rules = self.tables.lengths(table)?;
            if !rules.is_empty() {
                let uid = self.uid(node, "length");
                let enforcer = Arc::new(LengthEnforcer { rules, trims });
                rows = self.behind(&rows, "ConstraintEnforcer", uid, enforcer);
            }
        }
        let mut key = None;
        if let Some(factory) = self.settings.materializer(node) {
            let mut operator = RawOperator::new("SinkMaterializer", factory);
            operator.uid = Some(self.uid(node, "materialize"));
            let edges = edges_of(&rows, 0, Some(primary_key), None);
            let stream = self.env.add_raw(operator, edges);
            rows = Rows { streams: vec![(stream, None)], ..rows };
        } else if !rows.grows_only && !primary_key.is_empty() {
            key = Some(primary_key.as_slice());
        }
        let sink = self.tables.sink_of(table)?;
        let write = Write {
            schema: rows.schema.clone(),
            overwrite: *overwrite,
            zone: self.settings.context.zone,
        };
        let factory = sink.factory(write).map_err(|error| SqlError::invalid(error.0, None))?;
        let parallelism = match (sink.parallelism(), key) {
            (Some(parallelism), _) => Some(parallelism),
            (None, Some(_)) => None,
            (None, None) => rows.parallelism(),
        };
        let mut operator = RawOperator::new(&format!("Sink({table})"), factory);
        operator.kind = OperatorKind::Sink;
        operator.uid = Some(self.uid(node, ""));
        operator.parallelism = parallelism;
        Ok(self.env.add_raw(operator, edges_of(&rows, 0, key, parallelism)))
    }

    /// A name for the state of a node, or of a part of it: what it was called the last time, too.
    fn uid(&mut self, node: &ExecNode, part: &str) -> String {
        let identity = (self.identities.get(node).unwrap_or_default(), part);
        // Ids are hashes of it; it need not grow with the statement.
        let digest = hurtig_types::stable_hash(&identity).unwrap_or_default();
        let mut uid = format!("{}-{digest:016x}", node.name());
        let used = self.uids.entry(uid.clone()).or_insert(0);
        *used += 1;
        if *used > 1 {
            uid = format!("{uid}-{used}");
        }
        uid
    }
}

/// The edges into input `index`. `columns`: what decides where rows go; none: all to one place.
fn edges_of(
    rows: &Rows,
    index: usize,
    columns: Option<&[usize]>,
    parallelism: Option<u32>,
) -> Vec<RawInput> {
    let schema = &rows.schema;
    let one = |(stream, from): &(RawStream, Option<u32>)| {
        let ship = match columns {
            Some([]) => Some(ShipStrategy::Global),
            Some(_) => Some(ShipStrategy::KeyGroup),
            None if *from == parallelism || rows.grows_only => None,
            None => Some(ShipStrategy::Global),
        };
        let edge = edge(schema, columns.unwrap_or_default());
        RawInput { stream: *stream, index: u32::try_from(index).unwrap_or(0), ship, edge }
    };
    rows.streams.iter().map(one).collect()
}

fn edge(schema: &SchemaRef, columns: &[usize]) -> RawEdge {
    let (schema, columns) = (schema.clone(), columns.to_vec());
    Arc::new(move |ship| {
        let distribution = match ship {
            ShipStrategy::KeyGroup if columns.is_empty() => Exchange::Global,
            ShipStrategy::KeyGroup | ShipStrategy::Custom => Exchange::Hash(columns.clone()),
            ShipStrategy::Forward => Exchange::Forward,
            ShipStrategy::Global => Exchange::Global,
            ShipStrategy::Broadcast => Exchange::Broadcast,
            ShipStrategy::Rebalance | ShipStrategy::Rescale | ShipStrategy::Shuffle => {
                Exchange::Rebalance
            }
        };
        Arc::new(TableEdge { schema: schema.clone(), distribution })
    })
}
