//! EXPLAIN.

use hurtig_sql_parser::ast::{ExplainDetail, ExplainStatement, InsertStatement, StatementKind};
use hurtig_sql_planner::stream::plan_stream;

use super::{Session, StatementResult};
use crate::{SqlError, translate};

impl Session {
    /// The syntax tree, the optimised plan and the plan that runs, of a query, an INSERT or a
    /// statement set.
    pub(super) fn explain(
        &mut self,
        explain: &ExplainStatement,
    ) -> Result<StatementResult, SqlError> {
        let mut statement = explain.statement.as_ref();
        while let StatementKind::Execute(inner) = &statement.kind {
            statement = inner;
        }
        let settings = self.planner_settings()?;
        let mut plans = Vec::new();
        let mut inserts = Vec::new();
        let written: &[InsertStatement] = match &statement.kind {
            StatementKind::Query(query) => {
                plans.push(self.binder(&self.catalogs, &settings).bind_query(query)?.plan);
                &[]
            }
            StatementKind::Insert(insert) => std::slice::from_ref(insert.as_ref()),
            StatementKind::StatementSet(all) => all,
            _ => {
                let text = "EXPLAIN takes a query, an INSERT or a statement set";
                return Err(SqlError::invalid(text, Some(statement.span)));
            }
        };
        for insert in written {
            let bound = self.binder(&self.catalogs, &settings).bind_insert(insert)?;
            plans.push(bound.plan.clone());
            inserts.push(bound);
        }
        let tables = translate::SessionTables {
            connectors: &self.connectors,
            inserts: &inserts,
            duplicate_changes: settings.duplicate_changes,
            gate: None,
        };
        let changelog = explain.details.contains(&ExplainDetail::ChangelogMode);
        // A query that is only explained has no consumer that wants the rows before updates.
        let plan = plan_stream(&plans, &settings, &tables, false)?;
        let mut text = String::from("== Abstract Syntax Tree ==\n");
        for bound in &plans {
            text.push_str(&format!("{}\n", bound.display_indent()));
        }
        text.push_str("\n== Optimized Physical Plan ==\n");
        text.push_str(&plan.explain(true));
        text.push_str("\n== Optimized Execution Plan ==\n");
        text.push_str(&plan.explain(changelog));
        let state = plan.explain_state(&settings);
        if !state.is_empty() {
            text.push_str("\n== State ==\n");
            text.push_str(&state);
        }
        Ok(StatementResult::Text(text))
    }
}
