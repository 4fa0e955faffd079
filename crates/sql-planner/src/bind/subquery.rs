//! Queries in expressions.

use std::sync::Arc;

use datafusion_common::Spans;
use datafusion_expr::{
    Expr, LogicalPlan, Operator, Subquery,
    expr::{Exists, InSubquery, SetComparison, SetQuantifier},
};
use hurtig_sql_parser::{
    ast::{self, Comparison, ExprKind, Quantifier},
    types::{SqlDataType, SqlTypeKind},
};

use super::{BoundExpression, Relation, Scope, expression::ExpressionBinder};
use crate::{
    PlanError, PlanResult,
    types::{calcite_name, with_nullability},
};

impl ExpressionBinder<'_, '_> {
    fn relation(&self, query: &ast::SqlQuery) -> PlanResult<Relation> {
        let mut outer: Vec<&Scope> = self.outer.to_vec();
        outer.push(self.scope);
        self.binder.query(query, &outer)
    }

    /// EXISTS
    pub(super) fn exists(&self, query: &ast::SqlQuery) -> PlanResult<BoundExpression> {
        let relation = self.relation(query)?;
        let subquery = subquery(relation.plan);
        let expr = Expr::Exists(Exists { subquery, negated: false });
        Ok(BoundExpression::new(expr, SqlDataType::not_null(SqlTypeKind::Boolean)))
    }

    /// A query as its only value.
    pub(super) fn scalar_query(&self, query: &ast::SqlQuery) -> PlanResult<BoundExpression> {
        let relation = self.relation(query)?;
        let [column] = &*relation.columns else {
            let message = "Cannot use a query of several columns as a value";
            return Err(PlanError::at(query.span, message));
        };
        // Without rows it is NULL.
        let data_type = with_nullability(&column.data_type, true);
        let expr = Expr::ScalarSubquery(subquery(relation.plan.clone()));
        Ok(BoundExpression::new(expr, data_type))
    }

    /// IN
    pub(super) fn in_query(
        &self,
        operand: &ast::Expr,
        negated: bool,
        query: &ast::SqlQuery,
    ) -> PlanResult<BoundExpression> {
        if let ExprKind::Row { fields, .. } = &operand.kind
            && fields.len() > 1
        {
            return self.row_in_query(fields, negated, query);
        }
        let operand = self.bind(operand)?;
        let relation = self.relation(query)?;
        let nullable = operand.data_type.nullable
            || relation.columns.iter().any(|column| column.data_type.nullable);
        if let [column] = &*relation.columns {
            // It becomes a join, whose sides are cast to what both can be, and no further.
            let types = [operand.data_type.clone(), column.data_type.clone()];
            if self.binder.common_type(&types).is_none() {
                let [left, right] = types.map(|one| calcite_name(&with_nullability(&one, true)));
                let message = format!(
                    "implicit type conversion between {left} and {right} is not supported on join's condition now"
                );
                return Err(PlanError::at(query.span, message));
            }
        }
        let (operand, relation) = self.against(operand, relation, "=", query)?;
        let subquery = subquery(relation.plan);
        let expr = Expr::InSubquery(InSubquery { expr: Box::new(operand.expr), subquery, negated });
        Ok(BoundExpression::new(expr, SqlDataType { kind: SqlTypeKind::Boolean, nullable }))
    }

    /// `(a, b) IN (SELECT ...)`: there is a row whose columns are equal, one by one. NOT IN: there is
    /// none that is equal or may be.
    fn row_in_query(
        &self,
        fields: &[ast::Expr],
        negated: bool,
        query: &ast::SqlQuery,
    ) -> PlanResult<BoundExpression> {
        let relation = self.relation(query)?;
        if relation.columns.len() != fields.len() {
            let message = format!(
                "IN compares {} values with a query of {} columns",
                fields.len(),
                relation.columns.len()
            );
            return Err(PlanError::at(query.span, message));
        }
        // Seen from within the query the values are columns of what is around it.
        let mut outer: Vec<&Scope> = self.outer.to_vec();
        outer.push(self.scope);
        let within = Scope::default();
        let binder = ExpressionBinder::plain(self.binder, &within, &outer, self.clause);
        let (mut terms, mut nullable) = (Vec::new(), false);
        for (field, column) in fields.iter().zip(&relation.columns) {
            let value = binder.bind(field)?;
            let equal = self.binder.compare(value, Comparison::Equal, column.bound())?;
            nullable |= equal.data_type.nullable;
            terms.push(match negated && equal.data_type.nullable {
                true => Expr::IsNotFalse(Box::new(equal.expr)),
                false => equal.expr,
            });
        }
        let plan = match crate::optimize::all_of(terms) {
            Some(terms) => {
                LogicalPlan::Filter(datafusion_expr::Filter::try_new(terms, relation.plan.into())?)
            }
            None => relation.plan,
        };
        let expr = Expr::Exists(Exists { subquery: subquery(plan), negated });
        Ok(BoundExpression::new(expr, SqlDataType { kind: SqlTypeKind::Boolean, nullable }))
    }

    /// Value and only column of a query as their common type.
    fn against(
        &self,
        operand: BoundExpression,
        relation: Relation,
        symbol: &str,
        query: &ast::SqlQuery,
    ) -> PlanResult<(BoundExpression, Relation)> {
        let [column] = &*relation.columns else {
            return Err(PlanError::at(query.span, "the query must have one column here"));
        };
        let value = column.bound();
        let (operand, cast) = self.binder.comparable(operand, value.clone(), symbol)?;
        if cast.expr == value.expr {
            return Ok((operand, relation));
        }
        let name = column.name.clone();
        let relation = self.binder.project(relation.plan, vec![(name, cast)])?;
        Ok((operand, relation))
    }

    /// ANY and ALL, of a list or a query.
    pub(super) fn quantified(
        &self,
        operand: &ast::Expr,
        comparison: Comparison,
        quantifier: Quantifier,
        right: &ast::Expr,
    ) -> PlanResult<BoundExpression> {
        let query = match &right.kind {
            ExprKind::Query(query) => query,
            ExprKind::Row { fields, .. } => {
                let operand = self.bind(operand)?;
                let operator = match quantifier {
                    Quantifier::Any => Operator::Or,
                    Quantifier::All => Operator::And,
                };
                let all = fields
                    .iter()
                    .map(|one| self.binder.compare(operand.clone(), comparison, self.bind(one)?));
                return Ok(self.all_joined(all.collect::<PlanResult<_>>()?, operator));
            }
            _ => return Err(PlanError::at(right.span, "a query or a list is expected here")),
        };
        match (comparison, quantifier) {
            (Comparison::Equal, Quantifier::Any) => return self.in_query(operand, false, query),
            (Comparison::NotEqual, Quantifier::All) => return self.in_query(operand, true, query),
            _ => {}
        }
        let operand = self.bind(operand)?;
        let relation = self.relation(query)?;
        let nullable = operand.data_type.nullable
            || relation.columns.iter().any(|column| column.data_type.nullable);
        let (op, symbol) = match comparison {
            Comparison::Equal => (Operator::Eq, "="),
            Comparison::NotEqual => (Operator::NotEq, "<>"),
            Comparison::Less => (Operator::Lt, "<"),
            Comparison::LessOrEqual => (Operator::LtEq, "<="),
            Comparison::Greater => (Operator::Gt, ">"),
            Comparison::GreaterOrEqual => (Operator::GtEq, ">="),
        };
        let (operand, relation) = self.against(operand, relation, symbol, query)?;
        let quantifier = match quantifier {
            Quantifier::Any => SetQuantifier::Any,
            Quantifier::All => SetQuantifier::All,
        };
        let subquery = subquery(relation.plan);
        let set = SetComparison { expr: Box::new(operand.expr), subquery, op, quantifier };
        let data_type = SqlDataType { kind: SqlTypeKind::Boolean, nullable };
        Ok(BoundExpression::new(Expr::SetComparison(set), data_type))
    }
}

fn subquery(plan: LogicalPlan) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Spans::new() }
}
