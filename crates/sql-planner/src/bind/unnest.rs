//! UNNEST: each row joins the rows of its collections.

use datafusion_expr::LogicalPlan;
use hurtig_sql_parser::{
    ast::{self, TableAlias},
    types::{SqlDataType, SqlTypeKind},
};

use super::{
    Binder, Scope, ScopeColumn,
    expression::ExpressionBinder,
    from::{Source, rename},
    group::nullable,
    join::fields_of,
    scope::ScopeTable,
};
use crate::{
    PlanError, PlanResult,
    plan::{StreamingNode, StreamingNodeKind},
    types::{calcite_name, schema_of},
};

impl Binder<'_> {
    /// UNNEST of expressions over what stands before it.
    #[expect(clippy::too_many_arguments, reason = "each is a clause")]
    pub(super) fn unnest(
        &self,
        (plan, mut scope): (LogicalPlan, Scope),
        operands: &[ast::Expr],
        ordinality: bool,
        alias: Option<&TableAlias>,
        is_outer: bool,
        on: Option<&ast::Expr>,
        outer: &[&Scope],
    ) -> PlanResult<Source> {
        let binder = ExpressionBinder::plain(self, &scope, outer, "UNNEST");
        let mut columns: Vec<ScopeColumn> = Vec::new();
        let mut expressions = Vec::new();
        for operand in operands {
            let bound = binder.bind(operand)?;
            for (name, data_type) in
                elements(&bound.data_type).map_err(|error| error.within(operand.span))?
            {
                columns.push(self.column(&name, data_type));
            }
            expressions.push(bound.expr);
        }
        if operands.len() != 1 {
            return Err(PlanError::new("UNNEST of several collections is not supported"));
        }
        if ordinality {
            let data_type = SqlDataType::not_null(SqlTypeKind::Int);
            columns.push(self.column("ORDINALITY", data_type));
        }
        let mut qualifier = Vec::new();
        if let Some(alias) = alias {
            qualifier.push(alias.name.value.clone());
            if !alias.columns.is_empty() {
                rename(&mut columns, &alias.columns, alias.name.span)?;
            }
        }
        if is_outer {
            columns.iter_mut().for_each(|one| one.data_type = nullable(&one.data_type));
        }
        scope.tables.push(ScopeTable { qualifier, columns: columns.clone() });
        let arguments = expressions.len();
        if let Some(on) = on {
            let condition = ExpressionBinder::plain(self, &scope, outer, "ON").condition(on)?;
            let is_true = matches!(
                &condition.expr,
                datafusion_expr::Expr::Literal(
                    datafusion_common::ScalarValue::Boolean(Some(true)),
                    _
                )
            );
            if !is_true {
                expressions.push(condition.expr);
            }
        }
        let kind = StreamingNodeKind::Correlate {
            function: "UNNEST".to_owned(),
            ordinality,
            arguments,
            outer: is_outer,
        };
        let mut fields: Vec<_> = plan.schema().fields().iter().cloned().collect();
        fields.extend(fields_of(columns.iter())?);
        let schema = schema_of(fields)?;
        let node = StreamingNode { kind, inputs: vec![plan], expressions, schema };
        Ok((node.into_plan(), scope))
    }
}

/// The columns that the elements of a collection are.
fn elements(data_type: &SqlDataType) -> PlanResult<Vec<(String, SqlDataType)>> {
    match &data_type.kind {
        SqlTypeKind::Array(element) | SqlTypeKind::Multiset(element) => Ok(match &element.kind {
            SqlTypeKind::Row(fields) => fields
                .iter()
                .map(|field| {
                    let mut data_type = field.data_type.clone();
                    data_type.nullable |= element.nullable;
                    (field.name.clone(), data_type)
                })
                .collect(),
            _ => vec![("EXPR$0".to_owned(), (**element).clone())],
        }),
        SqlTypeKind::Map(key, value) => {
            Ok(vec![("KEY".to_owned(), (**key).clone()), ("VALUE".to_owned(), (**value).clone())])
        }
        _ => {
            let found = calcite_name(data_type);
            Err(PlanError::new(format!(
                "UNNEST needs an array, map or multiset, but is of type {found}"
            )))
        }
    }
}
