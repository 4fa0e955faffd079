//! Queries and inserts: from a statement to a job, and from a job to rows.

use std::{sync::Arc, time::Duration};

use arrow_array::Array;
use arrow_schema::SchemaRef;
use hurtig::{JobClient, raw::RawCollector};
use hurtig_sql_common::{ChangelogBatch, RowKind, SqlContext};
use hurtig_sql_functions::print_column;
use hurtig_sql_parser::{
    ast::{InsertStatement, SqlQuery},
    types::SqlDataType,
};
use hurtig_sql_planner::{
    PlannerSettings,
    bind::Binder,
    functions::BuiltinFunctions,
    stream::{StreamPlan, plan_stream},
};

use super::{Session, SqlJob, StatementResult};
use crate::{SqlError, translate};

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
    collector: RawCollector,
}

impl QueryResult {
    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[QueryColumn] {
        &self.columns
    }

    /// The job.
    #[must_use]
    pub fn client(&self) -> &JobClient {
        self.collector.client()
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
        Ok(self.client().cancel()?)
    }
}

impl Session {
    /// What the planner has to know of the session.
    pub(super) fn planner_settings(&self) -> PlannerSettings {
        let settings = self.settings();
        let is = |key: &str, value: &str| {
            settings.get(key).is_some_and(|set| set.trim().eq_ignore_ascii_case(value))
        };
        let mut planner = PlannerSettings::new(self.context());
        planner.state_ttl_ms = settings.duration_ms("table.exec.state.ttl").unwrap_or(0);
        planner.source_idle_timeout_ms =
            settings.duration_ms("table.exec.source.idle-timeout").unwrap_or(0);
        planner.two_phase = is("table.optimizer.agg-phase-strategy", "TWO_PHASE");
        planner.drop_null_rows = is("table.exec.sink.not-null-enforcer", "DROP");
        planner.duplicate_changes = is("table.exec.source.cdc-events-duplicate", "true");
        planner
    }

    /// A binder for one statement.
    pub(super) fn binder(&self, settings: &PlannerSettings) -> Binder<'_> {
        Binder::new(&self.catalogs, &BuiltinFunctions, Arc::new(settings.context.clone()))
    }

    /// Refuses updates that may miss their rows, if the session wants that.
    pub(super) fn check_updates(&self, plan: &StreamPlan) -> Result<(), SqlError> {
        let strategy = self.settings().get("table.optimizer.non-deterministic-update.strategy");
        if !strategy.is_some_and(|strategy| strategy.eq_ignore_ascii_case("TRY_RESOLVE")) {
            return Ok(());
        }
        plan.non_deterministic_update().map_or(Ok(()), |wrong| Err(SqlError::invalid(wrong, None)))
    }

    pub(super) fn query(&mut self, query: &SqlQuery) -> Result<StatementResult, SqlError> {
        let settings = self.planner_settings();
        let bound = self.binder(&settings).bind_query(query)?;
        let columns = bound.columns.iter().map(|(name, _, data_type)| QueryColumn {
            name: name.clone(),
            data_type: data_type.clone(),
        });
        let columns = columns.collect();
        let env = self.environment()?;
        let tables = translate::SessionTables {
            connectors: &self.connectors,
            inserts: &[],
            duplicate_changes: settings.duplicate_changes,
        };
        let plan = plan_stream(&[bound.plan], &settings, &tables, true)?;
        self.check_updates(&plan)?;
        let translated = translate::query(&env, &plan, &tables, &settings)?;
        if !self.starts_jobs {
            return Ok(StatementResult::Done);
        }
        let name = hurtig_sql_common::readable_message(format!("collect: {query}"));
        let collector = env.collect_raw(&name, translated.input, translated.parallelism)?;
        self.remember(SqlJob { name, client: collector.client().clone() });
        let (schema, context) = (translated.schema, settings.context);
        Ok(StatementResult::Query(QueryResult { columns, schema, context, collector }))
    }

    /// One job for all inserts.
    pub(super) fn insert(
        &mut self,
        inserts: &[InsertStatement],
    ) -> Result<StatementResult, SqlError> {
        let settings = self.planner_settings();
        let mut bound = Vec::new();
        for insert in inserts {
            bound.push(self.binder(&settings).bind_insert(insert)?);
        }
        let names: Vec<_> = inserts.iter().map(|insert| insert.table.to_string()).collect();
        let env = self.environment()?;
        let tables = translate::SessionTables {
            connectors: &self.connectors,
            inserts: &bound,
            duplicate_changes: settings.duplicate_changes,
        };
        let plans: Vec<_> = bound.iter().map(|one| one.plan.clone()).collect();
        let plan = plan_stream(&plans, &settings, &tables, true)?;
        self.check_updates(&plan)?;
        translate::sinks(&env, &plan, &tables, &settings)?;
        if !self.starts_jobs {
            return Ok(StatementResult::Done);
        }
        let name = self.settings().get("pipeline.name").map(str::to_owned);
        let name = name.unwrap_or_else(|| format!("insert-into_{}", names.join(",")));
        let client = env.execute_async(&name)?;
        let job = SqlJob { name, client };
        self.remember(job.clone());
        Ok(StatementResult::Job(job))
    }
}
