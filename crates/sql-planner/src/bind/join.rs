//! Joins.

use std::sync::Arc;

use datafusion_common::{JoinConstraint, JoinType, NullEquality};
use datafusion_expr::{Expr, Join, LogicalPlan, Operator};
use hurtig_sql_parser::ast::{self, Comparison, FromJoin, Ident, JoinKind, TableFactorKind};

use super::{
    Binder, BoundExpression, Scope, ScopeColumn,
    expression::ExpressionBinder,
    from::{Source, renamed},
    group::nullable,
    scope::MergedColumn,
};
use crate::{
    PlanError, PlanResult,
    catalog::CatalogEntry,
    optimize::{conjuncts, equal_sides},
    plan::{StreamingNode, StreamingNodeKind},
    types::{TimeAttribute, plan_field, schema_of},
};

impl Binder<'_> {
    /// A join of two tables. `conditions` must hold, too: what a LATERAL query wants of the left.
    pub(super) fn regular_join(
        &self,
        (left, left_scope): Source,
        (right, right_scope): Source,
        join: &FromJoin,
        conditions: Vec<Expr>,
        outer: &[&Scope],
    ) -> PlanResult<Source> {
        let join_type = join_type(join.kind);
        let pairs = match &join.constraint {
            Some(ast::JoinConstraint::Using(names)) => {
                self.common(&left_scope, &right_scope, names)?
            }
            _ if join.natural => {
                let names: Vec<Ident> = left_scope
                    .all()
                    .into_iter()
                    .filter(|(name, _)| right_scope.all().iter().any(|(other, _)| other == name))
                    .map(|(name, _)| Ident { value: name, quoted: false, span: join.span })
                    .collect();
                self.common(&left_scope, &right_scope, &names)?
            }
            _ => Vec::new(),
        };
        let mut scope = beside(left_scope, right_scope);
        let mut condition: Option<BoundExpression> = None;
        let binder = ExpressionBinder::plain(self, &scope, outer, "ON");
        for (_, left, right) in &pairs {
            let equal = self.compare(left.clone(), Comparison::Equal, right.clone())?;
            condition = Some(match condition {
                None => equal,
                Some(all) => binder.joined(all, Operator::And, equal),
            });
        }
        if let Some(ast::JoinConstraint::On(on)) = &join.constraint {
            condition = Some(binder.condition(on)?);
        }
        let condition = conditions.into_iter().chain(condition.map(|one| one.expr)).collect();
        let condition = crate::optimize::all_of(condition);
        let plan = join_plan(left, right, join_type, condition)?;
        let left_columns = plan.left_columns;
        outer_columns(&mut scope, join_type, left_columns);
        for (name, left, right) in pairs {
            let value = self.merged(join_type, left, right)?;
            scope.merged.push(MergedColumn { name, value, natural: join.natural });
        }
        Ok((plan.plan, scope))
    }

    /// The columns that both sides have.
    fn common(
        &self,
        left: &Scope,
        right: &Scope,
        names: &[Ident],
    ) -> PlanResult<Vec<(String, BoundExpression, BoundExpression)>> {
        let one = |scope: &Scope, name: &Ident| {
            let found = scope.all().into_iter().find(|(other, _)| *other == name.value);
            found.map(|(_, bound)| bound).ok_or_else(|| {
                let message = format!("Column '{}' not found in any table", name.value);
                PlanError::at(name.span, message)
            })
        };
        let all =
            names.iter().map(|name| Ok((name.value.clone(), one(left, name)?, one(right, name)?)));
        all.collect()
    }

    /// The value of a common column.
    fn merged(
        &self,
        join_type: JoinType,
        mut left: BoundExpression,
        mut right: BoundExpression,
    ) -> PlanResult<BoundExpression> {
        match join_type {
            JoinType::Right => Ok(right),
            JoinType::Full => {
                left.data_type.nullable = true;
                right.data_type.nullable = true;
                self.call("COALESCE", vec![left, right])
            }
            // What both sides have is NULL only where both may be, and of a type for both.
            JoinType::Inner if left.data_type != right.data_type => {
                self.call("COALESCE", vec![left, right])
            }
            _ => Ok(left),
        }
    }

    /// `JOIN t FOR SYSTEM_TIME AS OF left.time`
    pub(super) fn temporal_join(
        &self,
        (left, left_scope): Source,
        join: &FromJoin,
        time: &ast::Expr,
        outer: &[&Scope],
    ) -> PlanResult<Source> {
        let TableFactorKind::Table { name, hints, .. } = &join.right.kind else {
            return Err(PlanError::at(join.right.span, "a table is expected here"));
        };
        let join_type = match join.kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            _ => {
                let message =
                    "Temporal table join currently only supports INNER JOIN and LEFT JOIN";
                return Err(PlanError::at(join.span, message));
            }
        };
        let Some(ast::JoinConstraint::On(on)) = &join.constraint else {
            return Err(PlanError::at(join.span, "Temporal table join requires an ON clause"));
        };
        let binder = ExpressionBinder::plain(self, &left_scope, outer, "FOR SYSTEM_TIME AS OF");
        let time_value = binder.bind(time)?;
        match time_value.time {
            Some(TimeAttribute::Rowtime) => {}
            Some(TimeAttribute::Proctime) => {
                let message = "Processing-time temporal join is not supported yet.";
                return Err(PlanError::at(time.span, message));
            }
            None => {
                let message = "Temporal table join currently only supports 'FOR SYSTEM_TIME AS OF' left table's time attribute field";
                return Err(PlanError::at(time.span, message));
            }
        }
        let key = match self.catalogs.lookup(name) {
            Ok((_, CatalogEntry::Table(table))) => {
                let Some(key) = &table.primary_key else {
                    let message = "Temporal Table Join requires primary key in versioned table, but no primary key can be found.";
                    return Err(PlanError::at(join.right.span, message)
                        .hint("declare PRIMARY KEY (...) NOT ENFORCED on the versioned table"));
                };
                Some(key.columns.clone())
            }
            // The key of a view is what its query makes it: the streaming planner knows.
            _ => None,
        };
        let (right, mut right_scope) = self.table(name, hints)?;
        if let Some(alias) = &join.right.alias {
            right_scope = renamed(right_scope, alias)?;
        }
        let key_columns: Option<Vec<String>> = key.map(|key| {
            let columns = right_scope.columns();
            columns.filter(|one| key.contains(&one.name)).map(|one| one.column.clone()).collect()
        });
        let has_rowtime = right_scope.columns().any(|one| one.time == Some(TimeAttribute::Rowtime));
        if !has_rowtime {
            let message = "Event-Time Temporal Table Join requires both primary key and row time attribute in versioned table, but no row time attribute can be found.";
            return Err(PlanError::at(join.right.span, message));
        }
        let mut scope = beside(left_scope, right_scope);
        let condition = ExpressionBinder::plain(self, &scope, outer, "ON").condition(on)?;
        let (mut left_keys, mut right_keys, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for conjunct in conjuncts(condition.expr) {
            match equal_sides(&conjunct, left.schema(), right.schema()) {
                Some((one, other)) => {
                    left_keys.push(one);
                    right_keys.push(other);
                }
                None => rest.push(conjunct),
            }
        }
        if let Some(key) = key_columns {
            let is_joined = |column: &String| {
                right_keys
                    .iter()
                    .any(|one| matches!(one, Expr::Column(known) if known.name == *column))
            };
            if !key.iter().all(is_joined) {
                let message = "Temporal table's primary key must be included in the equivalence condition of temporal join";
                return Err(PlanError::at(on.span, message));
            }
        }
        if left_keys.is_empty() {
            let message = "Currently the join key in Temporal Table Join can not be empty.";
            return Err(PlanError::at(on.span, message));
        }
        let kind = StreamingNodeKind::TemporalJoin { join_type, keys: left_keys.len() };
        let mut expressions = vec![time_value.expr];
        expressions.extend(left_keys);
        expressions.extend(right_keys);
        expressions.extend(crate::optimize::all_of(rest));
        let left_columns = left.schema().fields().len();
        outer_columns(&mut scope, join_type, left_columns);
        let schema = schema_of(fields_of(scope.columns())?)?;
        let node = StreamingNode { kind, inputs: vec![left, right], expressions, schema };
        Ok((node.into_plan(), scope))
    }
}

fn join_type(kind: JoinKind) -> JoinType {
    match kind {
        JoinKind::Comma | JoinKind::Cross | JoinKind::Inner => JoinType::Inner,
        JoinKind::Left => JoinType::Left,
        JoinKind::Right => JoinType::Right,
        JoinKind::Full => JoinType::Full,
    }
}

/// Both scopes, the left's tables first.
fn beside(mut left: Scope, right: Scope) -> Scope {
    left.tables.extend(right.tables);
    left.merged.extend(right.merged);
    left
}

struct JoinPlan {
    plan: LogicalPlan,
    left_columns: usize,
}

/// The node of a join, with the equalities of its condition as keys.
fn join_plan(
    left: LogicalPlan,
    right: LogicalPlan,
    join_type: JoinType,
    condition: Option<Expr>,
) -> PlanResult<JoinPlan> {
    let (mut on, mut rest) = (Vec::new(), Vec::new());
    for conjunct in condition.map(conjuncts).unwrap_or_default() {
        match equal_sides(&conjunct, left.schema(), right.schema()) {
            Some(sides) => on.push(sides),
            None => rest.push(conjunct),
        }
    }
    let left_columns = left.schema().fields().len();
    let schema = crate::optimize::join_schema(left.schema(), right.schema(), join_type)?;
    let plan = LogicalPlan::Join(Join {
        left: Arc::new(left),
        right: Arc::new(right),
        on,
        filter: crate::optimize::all_of(rest),
        join_type,
        join_constraint: JoinConstraint::On,
        schema,
        null_equality: NullEquality::NullEqualsNothing,
        null_aware: false,
    });
    Ok(JoinPlan { plan, left_columns })
}

/// Columns of a side that rows can lack may be NULL. `left` is how many columns the left has; those
/// that its own merged columns hide are counted, too.
fn outer_columns(scope: &mut Scope, join_type: JoinType, left: usize) {
    let (left_outer, right_outer) = match join_type {
        JoinType::Left => (false, true),
        JoinType::Right => (true, false),
        JoinType::Full => (true, true),
        _ => return,
    };
    let columns = scope.tables.iter_mut().flat_map(|table| &mut table.columns);
    for (position, column) in columns.enumerate() {
        if if position < left { left_outer } else { right_outer } {
            column.data_type = nullable(&column.data_type);
        }
    }
}

/// The fields of columns.
pub(super) fn fields_of<'c>(
    columns: impl Iterator<Item = &'c ScopeColumn>,
) -> PlanResult<Vec<Arc<arrow_schema::Field>>> {
    columns.map(|one| Ok(Arc::new(plan_field(&one.column, &one.data_type, one.time)?))).collect()
}
