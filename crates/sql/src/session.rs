//! A session: catalogs, settings, and the statements that use them.
//!
//! Each query and each INSERT (or statement set) is a job of its own: in an embedded cluster that
//! starts with it, or on another one ([`SqlCluster`]). A query's rows come to the client
//! ([`QueryResult`]).

mod explain;
mod jobs;
mod program;
mod query;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc};

use hurtig::StreamExecutionEnvironment;
use hurtig_sql_common::SqlContext;
use hurtig_sql_parser::{
    ScriptPart, SqlParser,
    ast::{InsertStatement, ShowTarget, SqlStatement, StatementKind},
};
use hurtig_sql_planner::{
    catalog::{CatalogEntry, CatalogStore, Catalogs, ObjectPath},
    ddl::{DdlContext, DdlOutcome, apply_ddl},
    functions::FunctionLibrary,
};

pub use jobs::{ClusterError, SqlCluster, SqlJob};
pub use program::{SqlProgram, run_program};
pub use query::{QueryColumn, QueryResult, TextRow};

use crate::{
    Settings, SqlError,
    connectors::{Connectors, TableFactory, gate::SourceGate},
    functions::{SessionFunctions, UserFunction},
};

/// What a statement gives.
pub enum StatementResult {
    /// It is done.
    Done,
    /// Rows that describe: SHOW, DESCRIBE, SET.
    Rows {
        /// Names of the columns.
        columns: Vec<String>,
        /// The rows.
        rows: Vec<TextRow>,
    },
    /// A text: EXPLAIN.
    Text(String),
    /// It is done, but the user should know something.
    Warning(String),
    /// A query whose job runs.
    Query(QueryResult),
    /// An INSERT or a statement set whose job runs.
    Job(SqlJob),
}

/// Warnings that a session remembers to have given.
const WARNINGS: usize = 1000;
/// The stack that statements are planned with. The parser and the binder bound how deep a statement
/// and its plan are; this is for all of that. Only what is used of it takes memory.
const PLANNING_STACK_BYTES: usize = 256 << 20;

/// A session.
pub struct Session {
    pub(crate) catalogs: Catalogs,
    settings: Settings,
    connectors: Connectors,
    /// The INSERTs since BEGIN STATEMENT SET.
    open_set: Option<Vec<InsertStatement>>,
    jobs: Vec<SqlJob>,
    /// What the user has been warned of: once is enough.
    warnings: HashSet<String>,
    restore: Option<(String, bool)>,
    pub(crate) gate: Option<SourceGate>,
    functions: SessionFunctions,
    /// Where jobs run; not set, embedded.
    cluster: Option<Arc<dyn SqlCluster>>,
    /// The program whose streams are tables here.
    base: Option<StreamExecutionEnvironment>,
    /// The directory of the catalog store that is open.
    store: Option<String>,
    starts_jobs: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// A session with Flink's defaults and the built-in connectors.
    #[must_use]
    pub fn new() -> Self {
        Self {
            catalogs: Catalogs::default(),
            settings: Settings::default(),
            connectors: Connectors::default(),
            open_set: None,
            jobs: Vec::new(),
            warnings: HashSet::new(),
            restore: None,
            gate: None,
            functions: SessionFunctions::default(),
            cluster: None,
            base: None,
            store: None,
            starts_jobs: true,
        }
    }

    /// A session whose statements are checked, planned and made into operators, but whose queries and
    /// inserts do not run.
    #[must_use]
    pub fn without_jobs(mut self) -> Self {
        self.starts_jobs = false;
        self
    }

    /// Makes streams of a program tables.
    pub(crate) fn attach(
        &mut self,
        env: StreamExecutionEnvironment,
        streams: Arc<dyn TableFactory>,
    ) {
        self.base = Some(env);
        self.connectors.register(streams);
    }

    /// Registers a function that statements call by that name, and CREATE FUNCTION by that
    /// implementation.
    ///
    /// # Errors
    /// If its types are none of SQL.
    pub fn register_function(
        &mut self,
        name: &str,
        function: &UserFunction,
    ) -> Result<(), SqlError> {
        self.functions.register(name, function)
    }

    /// Removes such a function; false if there is none.
    pub fn forget_function(&mut self, name: &str) -> bool {
        self.functions.remove(name)
    }

    /// Runs jobs on a cluster from now on.
    pub fn run_on(&mut self, cluster: Arc<dyn SqlCluster>) {
        self.cluster = Some(cluster);
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The catalogs.
    #[must_use]
    pub fn catalogs(&self) -> &Catalogs {
        &self.catalogs
    }

    /// As SET does, which takes keys that nobody knows.
    ///
    /// # Errors
    /// If the key is unknown, or the value is wrong for it.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SqlError> {
        Settings::check_key(key)?;
        self.settings.set(key, value)
    }

    /// Names that statements can use now: catalogs, databases, tables, views and their columns.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let catalogs = &self.catalogs;
        let (catalog, database) = (catalogs.current_catalog(), catalogs.current_database());
        let mut names: Vec<String> = catalogs.names().map(str::to_owned).collect();
        // Who only completes words does without those that cannot be read.
        let databases = catalogs.catalog(catalog).and_then(|one| one.databases());
        names.extend(databases.unwrap_or_default());
        for (name, _) in catalogs.tables_and_views(catalog, database).unwrap_or_default() {
            let path = ObjectPath {
                catalog: catalog.to_owned(),
                database: database.to_owned(),
                name: name.clone(),
            };
            match catalogs.entry(&path).ok().flatten() {
                Some((CatalogEntry::Table(table), _)) => {
                    names.extend(table.columns.iter().map(|column| column.name.clone()));
                }
                Some((CatalogEntry::View(view), _)) => {
                    names.extend(view.columns.iter().map(|(column, _)| column.clone()));
                }
                None => {}
            }
            names.push(name);
        }
        names
    }

    /// Names of the functions that can be called.
    #[must_use]
    pub fn function_names(&self) -> Vec<String> {
        self.functions.names()
    }

    /// The jobs that the session has started, oldest first.
    #[must_use]
    pub fn jobs(&self) -> &[SqlJob] {
        &self.jobs
    }

    /// The sources of jobs that start from now on are held by a gate, or by none. For tests, which
    /// stop a job when it has read so and so much.
    pub fn hold_sources(&mut self, gate: Option<SourceGate>) {
        self.gate = gate;
    }

    /// The next job starts from that savepoint or checkpoint.
    pub fn restore_next_from(&mut self, pointer: &str, allow_non_restored_state: bool) {
        self.restore = Some((pointer.to_owned(), allow_non_restored_state));
    }

    /// Runs a single statement.
    ///
    /// # Errors
    /// If it is wrong or cannot be run.
    pub fn execute_one(&mut self, statement: &str) -> Result<StatementResult, SqlError> {
        let parts = SqlParser::default().split(statement)?;
        match parts.as_slice() {
            [part] => self.execute(statement, *part),
            [] => Ok(StatementResult::Done),
            [_, second, ..] => {
                Err(SqlError::invalid("there is more than one statement", Some(second.span)))
            }
        }
    }

    /// Runs one of the statements that a script was split into.
    ///
    /// # Errors
    /// If it is wrong or cannot be run.
    pub fn execute(&mut self, script: &str, part: ScriptPart) -> Result<StatementResult, SqlError> {
        let work = || {
            let statement = SqlParser::default().part(script, part)?;
            // A mistake that is nowhere in particular is the statement's.
            self.statement(&statement).map_err(|error| error.within(statement.span))
        };
        match hurtig_env::with_stack("hurtig-sql", PLANNING_STACK_BYTES, work) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                let text = text.unwrap_or("without a message");
                Err(SqlError::Internal(format!("the statement made the planner panic: {text}")))
            }
            Err(error) => Err(SqlError::Internal(format!("no thread to plan on: {error}"))),
        }
    }

    fn statement(&mut self, statement: &SqlStatement) -> Result<StatementResult, SqlError> {
        let span = Some(statement.span);
        if let Some(reason) = statement.kind.unsupported() {
            return Err(SqlError::invalid(reason, span));
        }
        if !matches!(statement.kind, StatementKind::Set(_) | StatementKind::Reset(_)) {
            self.open_store()?;
        }
        if self.open_set.is_some() {
            return self.in_open_set(statement);
        }
        match &statement.kind {
            StatementKind::Set(Some(property)) => {
                let set = self.settings.set(&property.key, &property.value);
                set.map_err(|error| SqlError::invalid(error.to_string(), Some(property.span)))?;
                let warning = Settings::warning(&property.key);
                let warning = warning.filter(|text| self.warnings.insert(text.clone()));
                // Who has set so many of them has been told.
                if self.warnings.len() > WARNINGS {
                    self.warnings.clear();
                }
                Ok(warning.map_or(StatementResult::Done, StatementResult::Warning))
            }
            StatementKind::Set(None) => {
                let row =
                    |(key, value): (&str, &str)| vec![Some(key.to_owned()), Some(value.to_owned())];
                let columns = vec!["key".to_owned(), "value".to_owned()];
                Ok(StatementResult::Rows { columns, rows: self.settings.iter().map(row).collect() })
            }
            StatementKind::Reset(key) => {
                self.settings.reset(key.as_deref());
                Ok(StatementResult::Done)
            }
            StatementKind::Query(query) => self.query(query),
            StatementKind::Insert(insert) => self.insert(std::slice::from_ref(insert.as_ref())),
            StatementKind::StatementSet(inserts) => self.insert(inserts),
            StatementKind::Execute(inner) => self.statement(inner),
            StatementKind::BeginStatementSet => {
                self.open_set = Some(Vec::new());
                Ok(StatementResult::Done)
            }
            StatementKind::EndStatementSet => {
                Err(SqlError::invalid("no statement set has begun", span))
            }
            StatementKind::Explain(explain) => self.explain(explain),
            StatementKind::Show(ShowTarget::Jobs) => self.show_jobs(),
            StatementKind::StopJob { job, savepoint, drain } => {
                self.stop_job(job, *savepoint, *drain, statement.span)
            }
            _ => self.definition(statement),
        }
    }

    /// Opens the catalog store that the settings name, once.
    fn open_store(&mut self) -> Result<(), SqlError> {
        let kind = self.settings.get("table.catalog-store.kind").unwrap_or_default();
        if !kind.eq_ignore_ascii_case("file") {
            return Ok(());
        }
        let path = self.settings.get("table.catalog-store.file.path").ok_or_else(|| {
            let text =
                "table.catalog-store.kind is file, and table.catalog-store.file.path is not set";
            SqlError::invalid(text, None)
        })?;
        match &self.store {
            Some(open) if open == path => Ok(()),
            Some(open) => {
                let text =
                    format!("the session has the catalog store {open}, and can have no other");
                Err(SqlError::invalid(text, None))
            }
            None => {
                let path = path.to_owned();
                self.catalogs.open_store(CatalogStore::in_directory(&path)?)?;
                self.store = Some(path);
                Ok(())
            }
        }
    }

    /// Statements of catalogs.
    fn definition(&mut self, statement: &SqlStatement) -> Result<StatementResult, SqlError> {
        let context = Arc::new(self.context());
        let functions = self.functions.clone();
        let context = DdlContext { library: &functions, context };
        match apply_ddl(&mut self.catalogs, &context, statement)? {
            Some(DdlOutcome::Done) => Ok(StatementResult::Done),
            Some(DdlOutcome::Rows { columns, rows }) => Ok(StatementResult::Rows { columns, rows }),
            // CREATE TABLE AS: the table is there; now its rows.
            Some(DdlOutcome::Insert(insert)) => self.insert(std::slice::from_ref(insert.as_ref())),
            None => {
                let text = "this statement is not supported";
                Err(SqlError::invalid(text, Some(statement.span)))
            }
        }
    }

    fn in_open_set(&mut self, statement: &SqlStatement) -> Result<StatementResult, SqlError> {
        let Some(open) = &mut self.open_set else { return Ok(StatementResult::Done) };
        match &statement.kind {
            StatementKind::Insert(insert) => {
                open.push((**insert).clone());
                Ok(StatementResult::Done)
            }
            StatementKind::EndStatementSet => {
                let inserts = std::mem::take(open);
                self.open_set = None;
                if inserts.is_empty() {
                    let text = "the statement set has no INSERT";
                    return Err(SqlError::invalid(text, Some(statement.span)));
                }
                self.insert(&inserts)
            }
            _ => {
                let text = "only INSERT can stand between BEGIN STATEMENT SET and END";
                Err(SqlError::invalid(text, Some(statement.span)))
            }
        }
    }

    /// What expressions may know.
    pub(crate) fn context(&self) -> SqlContext {
        let mut context = SqlContext::new(hurtig_env::Clock::system());
        context.zone = self.settings.zone();
        let legacy = self.settings.get("table.exec.legacy-cast-behaviour");
        context.legacy_cast = legacy.is_some_and(|value| value.eq_ignore_ascii_case("ENABLED"));
        context
    }

    /// An environment for a plan that does not run.
    pub(crate) fn planning_environment(&self) -> Result<StreamExecutionEnvironment, SqlError> {
        let configuration = self.settings.configuration()?;
        let env = match &self.base {
            Some(base) => base.copy(),
            None => StreamExecutionEnvironment::new(),
        };
        let configured = env.configure(configuration).map(|_| ());
        configured.map_err(|error| SqlError::invalid(error.to_string(), None))?;
        Ok(env)
    }

    /// An environment for the next job.
    pub(crate) fn environment(&mut self) -> Result<StreamExecutionEnvironment, SqlError> {
        let env = self.planning_environment()?;
        if let Some((pointer, allow)) = self.restore.take() {
            env.restore_from(&pointer, allow);
        }
        Ok(env)
    }
}
