//! A session without execution.

use std::sync::Arc;

use datafusion_expr::LogicalPlan;
use hurtig_env::Clock;
use hurtig_sql_common::SqlContext;
use hurtig_sql_parser::{
    SqlParser,
    ast::{InsertStatement, SqlStatement, StatementKind},
    types::SqlDataType,
};
use hurtig_sql_planner::{
    PlanError, PlanResult,
    bind::{Binder, BoundQuery},
    catalog::Catalogs,
    ddl::{DdlContext, DdlOutcome, apply_ddl},
    functions::BuiltinFunctions,
    optimize::optimize,
};

/// Catalogs and what statements are checked with.
pub struct Planner {
    pub catalogs: Catalogs,
    context: Arc<SqlContext>,
}

impl Planner {
    pub fn new() -> Self {
        let context = Arc::new(SqlContext::new(Clock::starting_at(0)));
        Self { catalogs: Catalogs::default(), context }
    }

    fn binder(&self) -> Binder<'_> {
        Binder::new(&self.catalogs, &BuiltinFunctions, self.context.clone())
    }

    pub fn ddl(&mut self, statement: &SqlStatement) -> PlanResult<Option<DdlOutcome>> {
        let context = DdlContext { library: &BuiltinFunctions, context: self.context.clone() };
        apply_ddl(&mut self.catalogs, &context, statement)
    }

    fn insert(&self, insert: &InsertStatement) -> PlanResult<()> {
        optimize(self.binder().bind_insert(insert)?.plan).map(|_| ())
    }

    /// Plans a statement; the last query's columns.
    pub fn statement(&mut self, statement: &SqlStatement) -> PlanResult<Option<BoundQuery>> {
        match &statement.kind {
            StatementKind::Set(_) => {}
            StatementKind::Query(query) => {
                let mut bound = self.binder().bind_query(query)?;
                bound.plan = optimize(bound.plan)?;
                return Ok(Some(bound));
            }
            StatementKind::Insert(insert) => self.insert(insert)?,
            StatementKind::Execute(inner) => return self.statement(inner),
            StatementKind::StatementSet(inserts) => {
                inserts.iter().try_for_each(|insert| self.insert(insert))?;
            }
            _ => match self.ddl(statement)? {
                Some(DdlOutcome::Insert(insert)) => self.insert(&insert)?,
                Some(_) => {}
                None => return Err(PlanError::new("no statement of the planner's")),
            },
        }
        Ok(None)
    }

    /// The plan of a query or an INSERT, as it is bound.
    pub fn bound(&self, statement: &str) -> PlanResult<LogicalPlan> {
        let statement = SqlParser::default().statement(statement).map_err(PlanError::from)?;
        match &statement.kind {
            StatementKind::Query(query) => Ok(self.binder().bind_query(query)?.plan),
            StatementKind::Insert(insert) => Ok(self.binder().bind_insert(insert)?.plan),
            _ => Err(PlanError::new("neither a query nor an INSERT")),
        }
    }

    /// Plans a script; the last query.
    pub fn script(&mut self, script: &str) -> PlanResult<Option<BoundQuery>> {
        let mut last = None;
        for statement in SqlParser::default().script(script).map_err(PlanError::from)? {
            last = self.statement(&statement)?;
        }
        Ok(last)
    }
}

/// Names and types of a query's columns, as lines.
pub fn columns(query: &BoundQuery) -> Vec<(String, SqlDataType)> {
    query.columns.iter().map(|(name, _, data_type)| (name.clone(), data_type.clone())).collect()
}
