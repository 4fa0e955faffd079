//! Queries and inserts: from a statement to a job, and from a job to rows.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arrow_array::Array;
use arrow_schema::SchemaRef;
use hurtig::{
    StreamExecutionEnvironment,
    raw::{RawInput, RawStream, Received},
};
use hurtig_sql_common::{ChangelogBatch, ChangelogMode, RowKind, SqlContext};
use hurtig_sql_functions::print_column;
use hurtig_sql_parser::{
    ast::{InsertStatement, SqlQuery},
    types::SqlDataType,
};
use hurtig_sql_planner::{
    AggregatePhases, PlannerSettings, UpsertMaterialize,
    bind::{Binder, BoundQuery},
    catalog::Catalogs,
    stream::{StreamPlan, plan_stream},
};

use super::{Session, SqlJob, StatementResult, jobs::RowCollector, program::SqlProgram};
use crate::{
    SqlError,
    translate::{self, Translated},
};

/// A row as text, each value as CAST to STRING gives it; NULL is none.
pub type TextRow = Vec<Option<String>>;

/// A column of a query's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: SqlDataType,
}

/// The result of a query whose job runs.
pub struct QueryResult {
    columns: Vec<QueryColumn>,
    schema: SchemaRef,
    context: SqlContext,
    collector: Box<RowCollector>,
    job: SqlJob,
}

impl QueryResult {
    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[QueryColumn] {
        &self.columns
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> &SqlJob {
        &self.job
    }

    /// Changes as batches, when there are some or `patience` has ended; `None` at the end.
    ///
    /// # Errors
    /// If the job fails.
    pub fn next_batches(
        &mut self,
        patience: Duration,
    ) -> Result<Option<Vec<ChangelogBatch>>, SqlError> {
        let Some(encoded) = self.collector.next(patience)? else { return Ok(None) };
        let decoded = encoded.iter().map(|bytes| ChangelogBatch::decode(&self.schema, bytes));
        let decoded = decoded.collect::<Result<Vec<_>, _>>();
        // What the job's own sink has written can be read, or the engine is at fault.
        Ok(Some(decoded.map_err(|error| SqlError::Internal(error.to_string()))?))
    }

    /// Changes as text, when there are some or `patience` has ended; `None` at the end.
    ///
    /// # Errors
    /// If the job fails.
    pub fn next(
        &mut self,
        patience: Duration,
    ) -> Result<Option<Vec<(RowKind, TextRow)>>, SqlError> {
        let Some(batches) = self.next_batches(patience)? else { return Ok(None) };
        let mut changes = Vec::new();
        for batch in batches {
            let columns = self.columns.iter().zip(batch.rows.columns());
            let printed = columns
                .map(|(column, values)| print_column(values, &column.data_type, &self.context))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| SqlError::Internal(error.to_string()))?;
            changes.extend((0..batch.rows.num_rows()).map(|row| {
                let value = |column: &arrow_array::StringArray| {
                    (!column.is_null(row)).then(|| column.value(row).to_owned())
                };
                (batch.kind(row), printed.iter().map(value).collect())
            }));
        }
        Ok(Some(changes))
    }

    /// Ends the job.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub fn cancel(&self) -> Result<(), SqlError> {
        self.job.cancel()
    }
}

impl Session {
    /// What the planner has to know of the session.
    ///
    /// # Errors
    /// If mini-batches are enabled without a size and a latency.
    pub(super) fn planner_settings(&self) -> Result<PlannerSettings, SqlError> {
        let settings = self.settings();
        let is = |key: &str, value: &str| {
            settings.get(key).is_some_and(|set| set.trim().eq_ignore_ascii_case(value))
        };
        let mut planner = PlannerSettings::new(self.context());
        planner.state_ttl_ms = settings.duration_ms("table.exec.state.ttl").unwrap_or(0);
        planner.source_idle_timeout_ms =
            settings.duration_ms("table.exec.source.idle-timeout").unwrap_or(0);
        planner.aggregate_phases = if is("table.optimizer.agg-phase-strategy", "ONE_PHASE") {
            AggregatePhases::One
        } else if is("table.optimizer.agg-phase-strategy", "TWO_PHASE") {
            AggregatePhases::Two
        } else {
            AggregatePhases::Auto
        };
        planner.distinct_split = settings.distinct_split()?;
        planner.mini_batch = settings.mini_batch()?;
        planner.upsert_materialize = if is("table.exec.sink.upsert-materialize", "NONE") {
            UpsertMaterialize::None
        } else if is("table.exec.sink.upsert-materialize", "FORCE") {
            UpsertMaterialize::Force
        } else {
            UpsertMaterialize::Auto
        };
        planner.trims_lengths = match settings.get("table.exec.sink.type-length-enforcer") {
            Some(value) if value.trim().eq_ignore_ascii_case("TRIM_PAD") => Some(true),
            Some(value) if value.trim().eq_ignore_ascii_case("ERROR") => Some(false),
            _ => None,
        };
        planner.drop_null_rows = is("table.exec.sink.not-null-enforcer", "DROP");
        planner.duplicate_changes = is("table.exec.source.cdc-events-duplicate", "true");
        planner.reuses_parts = !is("table.optimizer.reuse-sub-plan-enabled", "false");
        planner.reuses_sources = !is("table.optimizer.reuse-source-enabled", "false");
        Ok(planner)
    }

    /// A binder for one statement.
    pub(super) fn binder<'a>(
        &'a self,
        catalogs: &'a Catalogs,
        settings: &PlannerSettings,
    ) -> Binder<'a> {
        Binder::new(catalogs, &self.functions, Arc::new(settings.context.clone()))
    }

    /// Refuses updates that may miss their rows, if the session wants that.
    pub(super) fn check_updates(&self, plan: &StreamPlan) -> Result<(), SqlError> {
        let strategy = self.settings().get("table.optimizer.non-deterministic-update.strategy");
        if !strategy.is_some_and(|strategy| strategy.eq_ignore_ascii_case("TRY_RESOLVE")) {
            return Ok(());
        }
        plan.non_deterministic_update().map_or(Ok(()), |wrong| Err(SqlError::invalid(wrong, None)))
    }

    /// A query as operators of an environment of its own, or (with streams of the program among its
    /// tables) of a copy of the program's.
    pub(super) fn plan_query(&mut self, query: &SqlQuery) -> Result<PlannedQuery, SqlError> {
        let catalogs = self.catalogs.noting();
        let settings = self.planner_settings()?;
        let bound = self.binder(&catalogs, &settings).bind_query(query)?;
        let env = self.environment()?;
        let planned = self.translate_query(&env, bound, &settings, &mut HashMap::new())?;
        let Translated { mut input, parallelism, schema } = planned.translated;
        // Of the program that it is a copy of, only what the query reads.
        if let [stream] = *env.retain_raw(&[input.stream]) {
            input.stream = stream;
        }
        let columns = planned.columns;
        Ok(PlannedQuery { env, input, parallelism, schema, columns, settings, catalogs })
    }

    /// Adds the operators of a query to an environment.
    fn translate_query(
        &self,
        env: &StreamExecutionEnvironment,
        bound: BoundQuery,
        settings: &PlannerSettings,
        uids: &mut HashMap<String, u32>,
    ) -> Result<TranslatedQuery, SqlError> {
        let columns = bound.columns.iter().map(|(name, _, data_type)| QueryColumn {
            name: name.clone(),
            data_type: data_type.clone(),
        });
        let columns = columns.collect();
        let tables = translate::SessionTables {
            connectors: &self.connectors,
            inserts: &[],
            duplicate_changes: settings.duplicate_changes,
            gate: self.gate.as_ref(),
        };
        let plan = plan_stream(&[bound.plan], settings, &tables, true)?;
        self.check_updates(&plan)?;
        let translated = translate::query(env, &plan, &tables, settings, uids)?;
        let mode = plan.changelog_mode().unwrap_or(ChangelogMode::INSERT_ONLY);
        Ok(TranslatedQuery { translated, columns, mode })
    }

    /// The columns of a query.
    pub(crate) fn columns_of(
        &self,
        query: &SqlQuery,
    ) -> Result<Vec<(String, SqlDataType)>, SqlError> {
        let bound = self.binder(&self.catalogs, &self.planner_settings()?).bind_query(query)?;
        Ok(bound.columns.into_iter().map(|(name, _, data_type)| (name, data_type)).collect())
    }

    /// Adds the operators of a query to a program; names are resolved in that catalog and database.
    pub(crate) fn translate_into(
        &self,
        env: &StreamExecutionEnvironment,
        query: &SqlQuery,
        current: &(String, String),
        uids: &mut HashMap<String, u32>,
    ) -> Result<TranslatedQuery, SqlError> {
        let settings = self.planner_settings()?;
        let catalogs = self.catalogs.at(current);
        let bound = self.binder(&catalogs, &settings).bind_query(query)?;
        self.translate_query(env, bound, &settings, uids)
    }

    /// Adds the operators of inserts to a program.
    pub(crate) fn insert_into(
        &self,
        env: &StreamExecutionEnvironment,
        inserts: &[InsertStatement],
        uids: &mut HashMap<String, u32>,
    ) -> Result<(), SqlError> {
        self.plan_inserts_in(inserts, env, &self.catalogs, uids).map(|_| ())
    }

    /// Runs inserts as one job.
    pub(crate) fn run_inserts(
        &mut self,
        inserts: &[InsertStatement],
    ) -> Result<StatementResult, SqlError> {
        if inserts.is_empty() {
            return Err(SqlError::invalid("the statement set has no INSERT", None));
        }
        self.insert(inserts)
    }

    pub(super) fn query(&mut self, query: &SqlQuery) -> Result<StatementResult, SqlError> {
        let restore = self.restore.clone();
        let planned = self.plan_query(query)?;
        let PlannedQuery { env, input, parallelism, schema, columns, settings, catalogs } = planned;
        if !self.starts_jobs {
            return Ok(StatementResult::Done);
        }
        let name = hurtig_sql_common::readable_message(format!("collect: {query}"));
        let (collector, job) = match self.cluster.clone() {
            None => {
                let collector = env.collect_raw(&name, input, parallelism)?;
                let job = SqlJob::embedded(name, collector.client().clone());
                (RowCollector::Embedded(collector), job)
            }
            Some(cluster) => {
                let operator = env.add_collector(&name, input, parallelism)?;
                let program = SqlProgram::of_query(self, &catalogs, &name, query, restore)?;
                let job = SqlJob::on_cluster(name, cluster.submit(&program)?, cluster);
                let collector = RowCollector::Cluster {
                    job: job.clone(),
                    operator,
                    received: Received::default(),
                    ended: false,
                };
                (collector, job)
            }
        };
        self.remember(job.clone());
        let context = settings.context;
        let collector = Box::new(collector);
        Ok(StatementResult::Query(QueryResult { columns, schema, context, collector, job }))
    }

    /// Adds the operators of inserts to an environment; returns their sinks.
    pub(super) fn plan_inserts(
        &self,
        inserts: &[InsertStatement],
        env: &StreamExecutionEnvironment,
    ) -> Result<Vec<RawStream>, SqlError> {
        self.plan_inserts_in(inserts, env, &self.catalogs, &mut HashMap::new())
    }

    pub(super) fn plan_inserts_in(
        &self,
        inserts: &[InsertStatement],
        env: &StreamExecutionEnvironment,
        catalogs: &Catalogs,
        uids: &mut HashMap<String, u32>,
    ) -> Result<Vec<RawStream>, SqlError> {
        let settings = self.planner_settings()?;
        let mut bound = Vec::new();
        for insert in inserts {
            bound.push(self.binder(catalogs, &settings).bind_insert(insert)?);
        }
        let tables = translate::SessionTables {
            connectors: &self.connectors,
            inserts: &bound,
            duplicate_changes: settings.duplicate_changes,
            gate: self.gate.as_ref(),
        };
        let plans: Vec<_> = bound.iter().map(|one| one.plan.clone()).collect();
        let plan = plan_stream(&plans, &settings, &tables, true)?;
        self.check_updates(&plan)?;
        translate::sinks(env, &plan, &tables, &settings, uids)
    }

    /// One job for all inserts.
    pub(super) fn insert(
        &mut self,
        inserts: &[InsertStatement],
    ) -> Result<StatementResult, SqlError> {
        let restore = self.restore.clone();
        let catalogs = self.catalogs.noting();
        let env = self.environment()?;
        let sinks = self.plan_inserts_in(inserts, &env, &catalogs, &mut HashMap::new())?;
        let names: Vec<_> = inserts.iter().map(|insert| insert.table.to_string()).collect();
        if !self.starts_jobs {
            return Ok(StatementResult::Done);
        }
        let name = self.settings().get("pipeline.name").map(str::to_owned);
        let name = name.unwrap_or_else(|| format!("insert-into_{}", names.join(",")));
        let job = match self.cluster.clone() {
            None => {
                env.retain_raw(&sinks);
                let client = env.execute_async(&name)?;
                SqlJob::embedded(name, client)
            }
            Some(cluster) => {
                let program = SqlProgram::of_inserts(self, &catalogs, &name, inserts, restore)?;
                SqlJob::on_cluster(name, cluster.submit(&program)?, cluster)
            }
        };
        self.remember(job.clone());
        Ok(StatementResult::Job(job))
    }
}

/// A query whose operators are in an environment.
pub(super) struct PlannedQuery {
    pub env: StreamExecutionEnvironment,
    pub input: RawInput,
    pub parallelism: Option<u32>,
    schema: SchemaRef,
    columns: Vec<QueryColumn>,
    settings: PlannerSettings,
    catalogs: Catalogs,
}

impl PlannedQuery {
    /// The catalogs, with what the query has looked up.
    #[cfg(test)]
    pub fn catalogs(&self) -> &Catalogs {
        &self.catalogs
    }
}

/// The end of a query in an environment.
pub(crate) struct TranslatedQuery {
    pub translated: Translated,
    pub columns: Vec<QueryColumn>,
    pub mode: ChangelogMode,
}
