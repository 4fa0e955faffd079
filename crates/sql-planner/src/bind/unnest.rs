//! UNNEST and table functions of users: each row joins the rows that its values make.

use hurtig_sql_parser::{
    Span,
    ast::{self, FunctionCall, TableAlias},
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
    functions::ResolvedTableFunction,
    plan::{CorrelatedFunction, StreamingNode, StreamingNodeKind},
    types::{calcite_name, schema_of},
};

impl Binder<'_> {
    /// UNNEST of expressions over what stands before it.
    #[expect(clippy::too_many_arguments, reason = "each is a clause")]
    pub(super) fn unnest(
        &self,
        left: Source,
        operands: &[ast::Expr],
        ordinality: bool,
        alias: Option<&TableAlias>,
        is_outer: bool,
        on: Option<&ast::Expr>,
        outer: &[&Scope],
    ) -> PlanResult<Source> {
        let binder = ExpressionBinder::plain(self, &left.1, outer, "UNNEST");
        let mut columns: Vec<ScopeColumn> = Vec::new();
        let mut expressions: Vec<datafusion_expr::Expr> = Vec::new();
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
        let made =
            Made { function: CorrelatedFunction::unnest(), ordinality, expressions, columns };
        self.correlated(left, made, alias, is_outer, on, outer)
    }

    /// A call of a user's table function over what stands before it.
    pub(super) fn lateral_call(
        &self,
        left: Source,
        call: &FunctionCall,
        join: LateralJoin<'_>,
        outer: &[&Scope],
        span: Span,
    ) -> PlanResult<Source> {
        let name = self.function_name(call)?;
        let function = self.library.table(&name).ok_or_else(|| {
            PlanError::at(span, format!("No match found for function signature {name}"))
        })?;
        let binder = ExpressionBinder::plain(self, &left.1, outer, "LATERAL TABLE");
        let arguments = binder.arguments(call)?;
        let resolved = function.resolve(&super::call::call_arguments(&arguments)?);
        let ResolvedTableFunction { arguments: types, columns, function: code } =
            resolved.map_err(|error| PlanError::from(error).within(span))?;
        let types_text: Vec<String> = types.iter().map(ToString::to_string).collect();
        let pairs = arguments.into_iter().zip(&types);
        let expressions =
            pairs.map(|(one, to)| Ok(self.coerce(one, to)?.expr)).collect::<PlanResult<_>>()?;
        let columns = columns.iter().map(|(name, data_type)| self.column(name, data_type.clone()));
        let made = Made {
            function: CorrelatedFunction::of_user(function.name(), &types_text, code),
            ordinality: false,
            expressions,
            columns: columns.collect(),
        };
        self.correlated(left, made, join.alias, join.is_outer, join.on, outer)
    }

    fn correlated(
        &self,
        (plan, mut scope): Source,
        made: Made,
        alias: Option<&TableAlias>,
        is_outer: bool,
        on: Option<&ast::Expr>,
        outer: &[&Scope],
    ) -> PlanResult<Source> {
        let Made { function, ordinality, mut expressions, mut columns } = made;
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
        let kind =
            StreamingNodeKind::Correlate { function, ordinality, arguments, outer: is_outer };
        let mut fields: Vec<_> = plan.schema().fields().iter().cloned().collect();
        fields.extend(fields_of(columns.iter())?);
        let schema = schema_of(fields)?;
        let node = StreamingNode { kind, inputs: vec![plan], expressions, schema };
        Ok((node.into_plan(), scope))
    }
}

/// What a function makes of a row: its arguments, and its columns.
struct Made {
    function: CorrelatedFunction,
    ordinality: bool,
    expressions: Vec<datafusion_expr::Expr>,
    columns: Vec<ScopeColumn>,
}

/// How a call of a table function is joined with what stands before it.
#[derive(Clone, Copy, Default)]
pub(super) struct LateralJoin<'a> {
    /// AS t (a, b)
    pub alias: Option<&'a TableAlias>,
    /// LEFT JOIN
    pub is_outer: bool,
    /// ON
    pub on: Option<&'a ast::Expr>,
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
