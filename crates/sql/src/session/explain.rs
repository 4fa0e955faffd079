//! EXPLAIN.

use std::collections::HashMap;

use hurtig_sql_parser::ast::{ExplainDetail, ExplainStatement, InsertStatement, StatementKind};
use hurtig_sql_planner::{
    AggregatePhases,
    stream::{ExplainOptions, plan_stream},
};

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
        let has = |detail| explain.details.contains(&detail);
        // A query that is only explained has no consumer that wants the rows before updates.
        let plan = plan_stream(&plans, &settings, &tables, false)?;
        let advised = has(ExplainDetail::PlanAdvice);
        let asked = settings.aggregate_phases == AggregatePhases::Two;
        let two_phases = advised && !asked && plan.wants_two_phases();
        let options = ExplainOptions {
            changelog: has(ExplainDetail::ChangelogMode),
            cost: has(ExplainDetail::EstimatedCost),
            two_phases,
        };
        let mut text = String::from("== Abstract Syntax Tree ==\n");
        for bound in &plans {
            text.push_str(&format!("{}\n", bound.display_indent()));
        }
        text.push_str("\n== Optimized Physical Plan");
        text.push_str(if advised { " With Advice ==\n" } else { " ==\n" });
        text.push_str(&plan.explain(options));
        if advised {
            text.push_str(&advice(two_phases, plan.non_deterministic_update()));
        }
        text.push_str("\n== Optimized Execution Plan ==\n");
        text.push_str(&plan.explain(ExplainOptions::default()));
        let state = plan.explain_state(&settings);
        if !state.is_empty() {
            text.push_str("\n== State ==\n");
            text.push_str(&state);
        }
        if has(ExplainDetail::JsonExecutionPlan) {
            let env = self.planning_environment()?;
            match written {
                [] => translate::shown_query(&env, &plan, &tables, &settings)?,
                _ => {
                    translate::sinks(&env, &plan, &tables, &settings, &mut HashMap::new())?;
                }
            }
            text.push_str("\n== Physical Execution Plan ==\n");
            text.push_str(&env.execution_plan()?);
            text.push('\n');
        }
        Ok(StatementResult::Text(text))
    }
}

/// What Flink's planner advises, in its form.
fn advice(two_phases: bool, wrong: Option<String>) -> String {
    let mut all = Vec::new();
    if two_phases {
        all.push(
            "[ADVICE] You might want to enable local-global two-phase optimization by configuring \
             ('table.optimizer.agg-phase-strategy' to 'TWO_PHASE')."
                .to_owned(),
        );
    }
    all.extend(wrong.map(|wrong| format!("[WARNING] {wrong}")));
    if all.is_empty() {
        return "\nNo available advice...\n".to_owned();
    }
    let numbered = all.iter().enumerate();
    let lines = numbered.map(|(index, one)| format!("advice[{}]: {one}\n", index + 1));
    format!("\n{}", lines.collect::<String>())
}
