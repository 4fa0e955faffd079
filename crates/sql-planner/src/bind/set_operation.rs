//! VALUES, UNION, INTERSECT and EXCEPT.

use std::sync::Arc;

use datafusion_expr::{Distinct, LogicalPlan, Union, Values};
use hurtig_sql_parser::{
    ast::{self, ExprKind, SelectQuantifier, SetOperator, SqlQueryBody},
    types::{SqlDataType, SqlTypeKind},
};

use super::{
    Binder, BoundExpression, Relation, Scope, ScopeColumn, expression::ExpressionBinder,
    join::fields_of, output::Item,
};
use crate::{
    PlanError, PlanResult,
    plan::{StreamingNode, StreamingNodeKind},
    types::{calcite_name, schema_of},
};

impl Binder<'_> {
    /// VALUES.
    pub(super) fn values(&self, rows: &[ast::Expr], outer: &[&Scope]) -> PlanResult<Relation> {
        let scope = Scope::default();
        let binder = ExpressionBinder::plain(self, &scope, outer, "VALUES");
        let mut bound: Vec<Vec<BoundExpression>> = Vec::with_capacity(rows.len());
        for row in rows {
            bound.push(match &row.kind {
                ExprKind::Row { fields, .. } => binder.all(fields)?,
                _ => vec![binder.bind(row)?],
            });
        }
        let width = bound.first().map_or(0, Vec::len);
        if let Some(position) = bound.iter().position(|row| row.len() != width) {
            let message = "Unequal number of entries in VALUES";
            return Err(PlanError::at(rows[position].span, message));
        }
        let mut columns = Vec::with_capacity(width);
        for position in 0..width {
            let types: Vec<SqlDataType> =
                bound.iter().map(|row| row[position].data_type.clone()).collect();
            if let Some(row) = types.iter().position(|one| one.kind == SqlTypeKind::Null) {
                let error = PlanError::at(rows[row].span, "Illegal use of 'NULL'");
                return Err(error.hint("CAST(NULL AS type)"));
            }
            let Some(common) = self.common_type(&types) else {
                let message = "Values passed to VALUES operator must have compatible types";
                return Err(PlanError::at(rows[0].span, message));
            };
            let nullable = types.iter().any(|one| one.nullable);
            let name = format!("EXPR${position}");
            columns.push(self.column(&name, SqlDataType { kind: common.kind, nullable }));
        }
        let mut values = Vec::with_capacity(bound.len());
        for row in bound {
            let pairs = row.into_iter().zip(&columns);
            let cast = pairs.map(|(value, column)| Ok(self.coerce(value, &column.data_type)?.expr));
            values.push(cast.collect::<PlanResult<Vec<_>>>()?);
        }
        let schema = schema_of(fields_of(columns.iter())?)?;
        Ok(Relation { plan: LogicalPlan::Values(Values { schema, values }), columns })
    }

    /// UNION, INTERSECT, EXCEPT of two or more.
    pub(super) fn set_operation(
        &self,
        operator: SetOperator,
        quantifier: SelectQuantifier,
        inputs: &[SqlQueryBody],
        outer: &[&Scope],
    ) -> PlanResult<Relation> {
        let inputs = inputs.iter().map(|input| self.body(input, outer));
        let inputs = inputs.collect::<PlanResult<Vec<_>>>()?;
        let types = self.common_types(operator, &inputs)?;
        let all = quantifier == SelectQuantifier::All;
        let mut inputs = inputs.into_iter().map(|input| self.cast_columns(input, &types));
        if operator == SetOperator::Union {
            return self.union(inputs.collect::<PlanResult<_>>()?, types, all);
        }
        let first = inputs.next().ok_or_else(|| PlanError::new("nothing to operate on"))??;
        inputs.try_fold(first, |left, right| {
            let right = right?;
            let except = operator == SetOperator::Except;
            let mut columns = left.columns;
            for (column, data_type) in columns.iter_mut().zip(&types) {
                column.data_type = data_type.clone();
                (column.time, column.window) = (None, None);
            }
            let kind = StreamingNodeKind::SetOperation { except, all };
            let schema = schema_of(fields_of(columns.iter())?)?;
            let inputs = vec![left.plan, right.plan];
            let node = StreamingNode { kind, inputs, expressions: Vec::new(), schema };
            Ok(Relation { plan: node.into_plan(), columns })
        })
    }

    fn union(
        &self,
        inputs: Vec<Relation>,
        types: Vec<SqlDataType>,
        all: bool,
    ) -> PlanResult<Relation> {
        let mut columns = Vec::with_capacity(types.len());
        for (position, data_type) in types.into_iter().enumerate() {
            let each = || inputs.iter().map(|input| &input.columns[position]);
            let mut column = self.column(&inputs[0].columns[position].name, data_type);
            let time = inputs[0].columns[position].time;
            column.time = time.filter(|_| all && each().all(|one| one.time == time));
            columns.push(column);
        }
        let schema = schema_of(fields_of(columns.iter())?)?;
        let inputs = inputs.into_iter().map(|input| Arc::new(input.plan)).collect();
        let plan = LogicalPlan::Union(Union { inputs, schema });
        let plan = if all { plan } else { LogicalPlan::Distinct(Distinct::All(Arc::new(plan))) };
        Ok(Relation { plan, columns })
    }

    fn common_types(
        &self,
        operator: SetOperator,
        inputs: &[Relation],
    ) -> PlanResult<Vec<SqlDataType>> {
        let width = inputs.first().map_or(0, |input| input.columns.len());
        if inputs.iter().any(|input| input.columns.len() != width) {
            return Err(PlanError::new(format!("Column count mismatch in {}", word(operator))));
        }
        let mut types = Vec::with_capacity(width);
        for position in 0..width {
            let each: Vec<SqlDataType> =
                inputs.iter().map(|input| input.columns[position].data_type.clone()).collect();
            if each.iter().any(|one| one.kind == SqlTypeKind::Null) {
                return Err(PlanError::new("Illegal use of 'NULL'").hint("CAST(NULL AS type)"));
            }
            let common = self.common_type(&each).ok_or_else(|| {
                let shown: Vec<String> = each.iter().map(calcite_name).collect();
                let number = position + 1;
                let message = format!("Type mismatch in column {number} of {}", word(operator));
                PlanError::new(message).hint(format!("the types are {}", shown.join(", ")))
            })?;
            let nullable = each.iter().any(|one| one.nullable);
            types.push(SqlDataType { kind: common.kind, nullable });
        }
        Ok(types)
    }

    /// The same with its columns as those types.
    pub(super) fn cast_columns(
        &self,
        relation: Relation,
        types: &[SqlDataType],
    ) -> PlanResult<Relation> {
        let columns = &relation.columns;
        if columns.iter().zip(types).all(|(column, to)| column.data_type.kind == to.kind) {
            return Ok(relation);
        }
        let mut items = Vec::with_capacity(columns.len());
        for (column, to) in columns.iter().zip(types) {
            items.push(if column.data_type.kind == to.kind {
                Item { expr: column.bound().expr, column: column.clone() }
            } else {
                self.item(&column.name, self.cast(column.bound(), to, false)?)
            });
        }
        let columns: Vec<ScopeColumn> = items.iter().map(|item| item.column.clone()).collect();
        Ok(Relation { plan: self.project_items(relation.plan, items)?, columns })
    }
}

fn word(operator: SetOperator) -> &'static str {
    match operator {
        SetOperator::Union => "UNION",
        SetOperator::Intersect => "INTERSECT",
        SetOperator::Except => "EXCEPT",
    }
}
