//! Projections and the names of their columns.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use datafusion_common::Column;
use datafusion_expr::{Expr, LogicalPlan, Projection, expr::Alias};
use hurtig_sql_common::columns;
use hurtig_sql_parser::ast::{self, ExprKind};

use super::{Binder, BoundExpression, Relation, ScopeColumn};
use crate::{
    PlanResult,
    types::{metadata, plan_field, schema_of, time_attribute},
};

/// An expression and the column that it becomes.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The expression.
    pub expr: Expr,
    /// The column.
    pub column: ScopeColumn,
}

impl Item {
    /// A column of the plan as it is.
    pub fn pass(plan: &LogicalPlan, column: &Column) -> PlanResult<Self> {
        let field = plan.schema().field_with_unqualified_name(&column.name)?;
        let column = ScopeColumn {
            name: column.name.clone(),
            column: column.name.clone(),
            data_type: columns::data_type(field)?,
            time: time_attribute(field),
            window: None,
        };
        Ok(Self { expr: column.bound().expr, column })
    }

    /// The expression under the column's name, with its type.
    pub fn aliased(self) -> Expr {
        if let Expr::Column(column) = &self.expr
            && column.name == self.column.column
        {
            return self.expr;
        }
        // A column that was a time attribute must say that it is none any more.
        let time = match (self.column.time, &self.expr) {
            (Some(time), _) => Some(time.name()),
            (None, Expr::Column(_)) => Some(""),
            (None, _) => None,
        };
        let metadata = metadata(&self.column.data_type, time);
        let alias = Alias::new(self.expr, None::<&str>, self.column.column);
        Expr::Alias(alias.with_metadata(Some(metadata)))
    }
}

impl Binder<'_> {
    /// A projection of those columns.
    pub(super) fn project_items(
        &self,
        plan: LogicalPlan,
        items: Vec<Item>,
    ) -> PlanResult<LogicalPlan> {
        let mut fields = Vec::with_capacity(items.len());
        let mut expressions = Vec::with_capacity(items.len());
        for item in items {
            let column = &item.column;
            fields.push(Arc::new(plan_field(&column.column, &column.data_type, column.time)?));
            expressions.push(item.aliased());
        }
        let schema = schema_of(fields)?;
        let projection = Projection::try_new_with_schema(expressions, Arc::new(plan), schema)?;
        Ok(LogicalPlan::Projection(projection))
    }

    /// A projection of expressions under the user's names.
    pub(super) fn project(
        &self,
        plan: LogicalPlan,
        named: Vec<(String, BoundExpression)>,
    ) -> PlanResult<Relation> {
        let items: Vec<Item> =
            named.into_iter().map(|(name, bound)| self.item(&name, bound)).collect();
        let columns = items.iter().map(|item| item.column.clone()).collect();
        Ok(Relation { plan: self.project_items(plan, items)?, columns })
    }

    /// An item under a fresh name.
    pub(super) fn item(&self, name: &str, bound: BoundExpression) -> Item {
        let mut column = self.column(name, bound.data_type);
        (column.time, column.window) = (bound.time, bound.window);
        Item { expr: bound.expr, column }
    }
}

/// The name of an expression without alias, if it has one.
pub(super) fn name_of(expr: &ast::Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Name(name) => Some(name.last()),
        _ => None,
    }
}

/// The names that there are, and how Flink makes others different from them: `id`, `id0`, `id1`.
#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// What the next name of a base ends with; all before it are taken.
    next: HashMap<String, usize>,
}

impl Names {
    /// A name that is as it is, whether or not there is such a one.
    pub(super) fn keep(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }

    /// A name that there is not yet.
    pub(super) fn free(&mut self, base: String) -> String {
        if self.taken.insert(base.clone()) {
            return base;
        }
        let attempt = self.next.entry(base.clone()).or_insert(0);
        loop {
            let name = format!("{base}{attempt}");
            *attempt += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// Names of a result, all different.
pub(super) fn unique_names(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut known = Names::default();
    names.map(|name| known.free(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::unique_names;

    #[test]
    fn names_differ_as_in_flink() {
        let names = ["id", "EXPR$1", "id", "id", "id0"].into_iter().map(str::to_owned);
        assert_eq!(unique_names(names), ["id", "EXPR$1", "id0", "id1", "id00"]);
    }
}
