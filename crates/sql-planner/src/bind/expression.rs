//! Expressions.

use std::cell::RefCell;

use datafusion_expr::{Case, Expr, Operator, expr::InList};
use hurtig_sql_parser::{
    Span,
    ast::{
        self, ArrayConstructor, BinaryOperator, CastKind, Comparison, ExprKind, Ident, IsPredicate,
        LikeKind, UnaryOperator,
    },
    types::{SqlDataType, SqlTypeKind},
};

use super::{
    Binder, BoundExpression, Inside, MAX_EXPRESSION_DEPTH,
    compare::binary,
    group::{Collector, Grouping},
    literal,
    scope::{Scope, ambiguous},
};
use crate::{
    PlanError, PlanResult,
    types::{calcite_name, plan_field, with_nullability},
};

/// Binds the expressions of one clause.
#[derive(Clone, Copy)]
pub(super) struct ExpressionBinder<'e, 'a> {
    /// The statement.
    pub binder: &'e Binder<'a>,
    /// What can be named.
    pub scope: &'e Scope,
    /// What the queries around it can name, the nearest last.
    pub outer: &'e [&'e Scope],
    /// What can be named behind GROUP BY.
    pub grouping: Option<&'e Grouping>,
    /// Where aggregates and OVER go; without it there may be none.
    pub collector: Option<&'e RefCell<Collector>>,
    /// For errors: `WHERE`.
    pub clause: &'static str,
    /// Inside of an aggregate's arguments.
    pub in_aggregate: bool,
}

fn is_number(kind: &SqlTypeKind) -> bool {
    use SqlTypeKind::{BigInt, Decimal, Double, Float, Int, SmallInt, TinyInt};
    matches!(kind, TinyInt | SmallInt | Int | BigInt | Float | Double | Decimal { .. })
}

fn with_kind(data_type: &SqlDataType, kind: SqlTypeKind) -> SqlDataType {
    SqlDataType { kind, nullable: data_type.nullable }
}

impl<'e, 'a> ExpressionBinder<'e, 'a> {
    /// For a clause without aggregates.
    pub fn plain(
        binder: &'e Binder<'a>,
        scope: &'e Scope,
        outer: &'e [&'e Scope],
        clause: &'static str,
    ) -> Self {
        let (grouping, collector) = (None, None);
        Self { binder, scope, outer, grouping, collector, clause, in_aggregate: false }
    }

    /// An expression.
    pub fn bind(&self, expr: &ast::Expr) -> PlanResult<BoundExpression> {
        let expressions = &self.binder.depth.expressions;
        let _inside = Inside::enter(expressions, MAX_EXPRESSION_DEPTH, "expressions")
            .map_err(|error| error.within(expr.span))?;
        if !self.in_aggregate
            && let Some(grouping) = self.grouping
            && let Some(key) = grouping.key(self, expr)?
        {
            return Ok(key);
        }
        self.kind(expr).map_err(|error| error.within(expr.span))
    }

    /// All of a list.
    pub fn all(&self, exprs: &[ast::Expr]) -> PlanResult<Vec<BoundExpression>> {
        exprs.iter().map(|expr| self.bind(expr)).collect()
    }

    /// A condition.
    pub fn condition(&self, expr: &ast::Expr) -> PlanResult<BoundExpression> {
        let bound = self.bind(expr)?;
        // A whole condition gives its NULL a type; an operand does not.
        if bound.data_type.kind == SqlTypeKind::Null {
            return literal::null_of(&SqlDataType::nullable(SqlTypeKind::Boolean));
        }
        self.truth(bound, self.clause).map_err(|error| error.within(expr.span))
    }

    fn truth(&self, bound: BoundExpression, what: &str) -> PlanResult<BoundExpression> {
        match bound.data_type.kind {
            SqlTypeKind::Boolean => Ok(bound),
            SqlTypeKind::Null => Err(PlanError::new("Illegal use of 'NULL'")),
            _ => {
                let found = calcite_name(&bound.data_type);
                Err(PlanError::new(format!("{what} must be a condition, but is of type {found}")))
            }
        }
    }

    fn kind(&self, expr: &ast::Expr) -> PlanResult<BoundExpression> {
        let binder = self.binder;
        match &expr.kind {
            ExprKind::Name(name) => self.name(&name.0),
            ExprKind::Literal(literal) => binder.literal(literal, expr.span),
            ExprKind::Unary(UnaryOperator::Not, operand) => {
                let operand = self.truth(self.bind(operand)?, "the operand of NOT")?;
                Ok(binder.folded(Expr::Not(Box::new(operand.expr)), operand.data_type))
            }
            ExprKind::Unary(UnaryOperator::Plus, operand) => self.bind(operand),
            ExprKind::Unary(UnaryOperator::Minus, operand) => {
                // The sign belongs to the number: the least INT has no positive counterpart.
                if let ExprKind::Literal(ast::Literal::Number(digits, kind)) = &operand.kind {
                    let negative = ast::Literal::Number(format!("-{digits}"), *kind);
                    return binder.literal(&negative, expr.span);
                }
                let operand = self.bind(operand)?;
                binder.call("-", vec![operand])
            }
            ExprKind::Binary(left, operator, right) => self.binary(left, *operator, right),
            ExprKind::And(operands) => self.conjunction(operands, Operator::And),
            ExprKind::Or(operands) => self.conjunction(operands, Operator::Or),
            ExprKind::Is { operand, predicate, negated } => {
                let operand = self.bind(operand)?;
                self.predicate(operand, *predicate, *negated)
            }
            ExprKind::Between { operand, negated, symmetric, low, high } => {
                let [operand, low, high] = [self.bind(operand)?, self.bind(low)?, self.bind(high)?];
                let mut all = self.between(&operand, &low, &high)?;
                if *symmetric {
                    let swapped = self.between(&operand, &high, &low)?;
                    all = self.joined(all, Operator::Or, swapped);
                }
                Ok(self.negated(all, *negated))
            }
            ExprKind::Like { operand, kind, negated, pattern, escape } => {
                let mut arguments = vec![self.bind(operand)?, self.bind(pattern)?];
                if let Some(escape) = escape {
                    arguments.push(self.bind(escape)?);
                }
                let name = match kind {
                    LikeKind::Like => "LIKE",
                    LikeKind::SimilarTo => "SIMILAR TO",
                    LikeKind::ILike | LikeKind::RLike => {
                        let name = if *kind == LikeKind::ILike { "ILIKE" } else { "RLIKE" };
                        return Err(PlanError::new(format!(
                            "No match found for function signature {name}"
                        )));
                    }
                };
                Ok(self.negated(binder.call(name, arguments)?, *negated))
            }
            ExprKind::InList { operand, negated, list } => {
                let found = self.in_list(operand, list)?;
                Ok(self.negated(found, *negated))
            }
            ExprKind::InQuery { operand, negated, query } => {
                self.in_query(operand, *negated, query)
            }
            ExprKind::Quantified { operand, comparison, quantifier, right } => {
                self.quantified(operand, *comparison, *quantifier, right)
            }
            ExprKind::Exists(query) => self.exists(query),
            ExprKind::Unique(_) => Err(PlanError::new("UNIQUE is not supported")),
            ExprKind::Query(query) => self.scalar_query(query),
            ExprKind::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref())
            }
            ExprKind::Cast { kind, operand, data_type, type_span } => {
                let operand = self.bind(operand)?;
                self.explicit_cast(operand, data_type, *kind == CastKind::TryCast, *type_span)
            }
            ExprKind::Row { fields, .. } => binder.call("ROW", self.all(fields)?),
            ExprKind::Array(ArrayConstructor::Elements(all)) => {
                binder.call("ARRAY", self.all(all)?)
            }
            ExprKind::Map(ArrayConstructor::Elements(all)) => binder.call("MAP", self.all(all)?),
            ExprKind::Array(_) | ExprKind::Map(_) | ExprKind::Multiset(_) => {
                Err(PlanError::new("this constructor is not supported"))
            }
            ExprKind::Item(base, index) => {
                let (base, index) = (self.bind(base)?, self.bind(index)?);
                self.item(base, index)
            }
            ExprKind::Field(base, field) => self.field(self.bind(base)?, field),
            ExprKind::Function(call) => self.function(call, expr.span),
            ExprKind::Builtin(call) => self.builtin(call),
            ExprKind::IntervalOf { negated, value, qualifier } => {
                let one = ast::IntervalLiteral {
                    negated: *negated,
                    text: "1".to_owned(),
                    qualifier: ast::IntervalQualifier { last: None, ..*qualifier },
                };
                let one = binder.literal(&ast::Literal::Interval(one), expr.span)?;
                binder.call("*", vec![self.bind(value)?, one])
            }
            ExprKind::IntervalBetween { left, right, qualifier } => {
                let unit = literal::text(qualifier.first.word());
                binder.call("MINUS_DATE", vec![self.bind(left)?, self.bind(right)?, unit])
            }
            ExprKind::Wildcard(_) => Err(PlanError::new("* cannot stand here")),
        }
    }

    /// A column, here or in a query around, and fields in it.
    pub fn name(&self, name: &[Ident]) -> PlanResult<BoundExpression> {
        // Flink finds the common column of USING everywhere but in WHERE.
        if self.clause == "WHERE"
            && let [only] = name
            && self.scope.merged.iter().any(|merged| merged.name == only.value)
        {
            return Err(ambiguous(only));
        }
        let (mut value, fields) = match self.scope.resolve(name)? {
            Some(resolved) => (resolved.value, resolved.fields),
            None => self.outer_name(name)?,
        };
        for field in fields {
            value = self.field(value, field)?;
        }
        Ok(value)
    }

    fn outer_name<'n>(&self, name: &'n [Ident]) -> PlanResult<(BoundExpression, &'n [Ident])> {
        for scope in self.outer.iter().rev() {
            let Some(resolved) = scope.resolve(name)? else { continue };
            let mut value = resolved.value;
            if let Expr::Column(column) = &value.expr {
                let field = plan_field(&column.name, &value.data_type, value.time)?;
                value.expr = Expr::OuterReferenceColumn(field.into(), column.clone());
            }
            return Ok((value, resolved.fields));
        }
        let last = &name[name.len() - 1];
        let message = match name {
            [table, column, ..] => {
                format!(
                    "Table '{}' not found, so that '{}' has no column",
                    table.value, column.value
                )
            }
            _ => format!("Column '{}' not found in any table", last.value),
        };
        let columns = self.scope.columns().map(|column| &*column.name);
        Err(PlanError::at(name[0].span, message).nearest(&last.value, columns))
    }

    /// A field of a row.
    pub fn field(&self, base: BoundExpression, field: &Ident) -> PlanResult<BoundExpression> {
        let fields = match &base.data_type.kind {
            SqlTypeKind::Row(fields) | SqlTypeKind::Structured { fields, .. } => fields,
            _ => {
                let found = calcite_name(&base.data_type);
                let message =
                    format!("'{}' is no field: the value is of type {found}", field.value);
                return Err(PlanError::at(field.span, message));
            }
        };
        if !fields.iter().any(|one| one.name == field.value) {
            let names = fields.iter().map(|one| &*one.name);
            let error =
                PlanError::at(field.span, format!("Column '{}' not found in its row", field.value));
            return Err(error.nearest(&field.value, names));
        }
        self.binder.call("FIELD", vec![base, literal::text(&field.value)])
    }

    fn item(&self, base: BoundExpression, index: BoundExpression) -> PlanResult<BoundExpression> {
        if let SqlTypeKind::Row(fields) = &base.data_type.kind {
            let Expr::Literal(value, _) = &index.expr else {
                return Err(PlanError::new("a field is named by a constant"));
            };
            let named = value.try_as_str().flatten().map(str::to_owned);
            let name = match (named, value) {
                (Some(name), _) => name,
                (None, datafusion_common::ScalarValue::Int32(Some(position))) => {
                    let position = usize::try_from(*position).unwrap_or(0);
                    let field = position.checked_sub(1).and_then(|index| fields.get(index));
                    field.map(|field| field.name.clone()).unwrap_or_default()
                }
                _ => String::new(),
            };
            return self.field(base, &Ident::new(name));
        }
        self.binder.call("ITEM", vec![base, index])
    }

    fn explicit_cast(
        &self,
        operand: BoundExpression,
        data_type: &SqlDataType,
        is_try: bool,
        span: Span,
    ) -> PlanResult<BoundExpression> {
        if operand.data_type.kind == data_type.kind && operand.time.is_none() {
            return Ok(operand);
        }
        if let SqlTypeKind::Named(name) = &data_type.kind {
            return Err(PlanError::at(span, format!("Type '{name}' not found")));
        }
        // Flink's planner keeps two types of intervals only.
        if let SqlTypeKind::Interval(resolution, _) = &data_type.kind {
            let kind = match resolution.is_year_month() {
                true => literal::interval_of_months(),
                false => literal::interval_of_time(),
            };
            return self.binder.cast(operand, &with_kind(data_type, kind), is_try);
        }
        self.binder.cast(operand, data_type, is_try)
    }

    fn binary(
        &self,
        left: &ast::Expr,
        operator: BinaryOperator,
        right: &ast::Expr,
    ) -> PlanResult<BoundExpression> {
        let binder = self.binder;
        if let BinaryOperator::Compare(comparison) = operator {
            return self.comparison(left, comparison, right);
        }
        if operator == BinaryOperator::Overlaps {
            return self.overlaps(left, right);
        }
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        let name = match operator {
            BinaryOperator::Plus => "+",
            BinaryOperator::Minus => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Modulo => "%",
            BinaryOperator::Concat => "||",
            BinaryOperator::IsDistinctFrom | BinaryOperator::IsNotDistinctFrom => {
                let (operator, symbol) = match operator {
                    BinaryOperator::IsDistinctFrom => {
                        (Operator::IsDistinctFrom, "IS DISTINCT FROM")
                    }
                    _ => (Operator::IsNotDistinctFrom, "IS NOT DISTINCT FROM"),
                };
                let (left, right) = binder.comparable(left, right, symbol)?;
                let expr = binary(left.expr, operator, right.expr);
                return Ok(binder.folded(expr, SqlDataType::not_null(SqlTypeKind::Boolean)));
            }
            other => {
                return Err(PlanError::new(format!("the operator {other} is not supported")));
            }
        };
        binder.call(name, vec![left, right])
    }

    /// Rows are compared field by field.
    fn comparison(
        &self,
        left: &ast::Expr,
        comparison: Comparison,
        right: &ast::Expr,
    ) -> PlanResult<BoundExpression> {
        if let (ExprKind::Row { fields: left, .. }, ExprKind::Row { fields: right, .. }) =
            (&left.kind, &right.kind)
            && left.len() == right.len()
            && matches!(comparison, Comparison::Equal | Comparison::NotEqual)
        {
            let pairs = left.iter().zip(right);
            let all = pairs.map(|(left, right)| self.comparison(left, Comparison::Equal, right));
            let equal = self.all_joined(all.collect::<PlanResult<_>>()?, Operator::And);
            return Ok(self.negated(equal, comparison == Comparison::NotEqual));
        }
        self.binder.compare(self.bind(left)?, comparison, self.bind(right)?)
    }

    /// `(a, b) OVERLAPS (c, d)`, each two times or a time and a duration.
    fn overlaps(&self, left: &ast::Expr, right: &ast::Expr) -> PlanResult<BoundExpression> {
        let mut all = Vec::with_capacity(4);
        for period in [left, right] {
            match &period.kind {
                ExprKind::Row { fields, .. } if fields.len() == 2 => all.extend(self.all(fields)?),
                _ => {
                    let message = "OVERLAPS wants periods: two values in parentheses";
                    return Err(PlanError::at(period.span, message));
                }
            }
        }
        self.binder.call("OVERLAPS", all)
    }

    fn conjunction(
        &self,
        operands: &[ast::Expr],
        operator: Operator,
    ) -> PlanResult<BoundExpression> {
        let mut all = Vec::with_capacity(operands.len());
        for operand in operands {
            let bound = self.bind(operand)?;
            let bound = self.truth(bound, "an operand of AND and OR");
            all.push(bound.map_err(|error| error.within(operand.span))?);
        }
        Ok(self.all_joined(all, operator))
    }

    /// Conditions with AND or OR between them, as a balanced tree: lists can be long, and whoever
    /// walks a plan recurses.
    pub fn all_joined(&self, mut all: Vec<BoundExpression>, operator: Operator) -> BoundExpression {
        while all.len() > 1 {
            let mut pairs = Vec::with_capacity(all.len().div_ceil(2));
            let mut rest = all.into_iter();
            while let Some(left) = rest.next() {
                pairs.push(match rest.next() {
                    Some(right) => self.joined(left, operator, right),
                    None => left,
                });
            }
            all = pairs;
        }
        // Of no conditions all are true, and none is.
        all.pop().unwrap_or_else(|| literal::boolean(operator == Operator::And))
    }

    /// Two conditions with AND or OR.
    pub fn joined(
        &self,
        left: BoundExpression,
        operator: Operator,
        right: BoundExpression,
    ) -> BoundExpression {
        let nullable = left.data_type.nullable || right.data_type.nullable;
        let data_type = with_nullability(&left.data_type, nullable);
        self.binder.folded(binary(left.expr, operator, right.expr), data_type)
    }

    /// NOT, if so.
    pub fn negated(&self, bound: BoundExpression, negated: bool) -> BoundExpression {
        if !negated {
            return bound;
        }
        self.binder.folded(Expr::Not(Box::new(bound.expr)), bound.data_type)
    }

    /// Compares as BETWEEN and IN do: a text is read as the number that it stands beside.
    fn compare_as_numbers(
        &self,
        left: &BoundExpression,
        comparison: Comparison,
        right: &BoundExpression,
    ) -> PlanResult<BoundExpression> {
        let (mut left, mut right) = (left.clone(), right.clone());
        let text =
            |kind: &SqlTypeKind| matches!(kind, SqlTypeKind::Char(_) | SqlTypeKind::Varchar(_));
        let number = |one: &BoundExpression| SqlDataType::nullable(one.data_type.kind.clone());
        if text(&left.data_type.kind) && is_number(&right.data_type.kind) {
            left = self.binder.cast(left, &number(&right), false)?;
        } else if is_number(&left.data_type.kind) && text(&right.data_type.kind) {
            right = self.binder.cast(right, &number(&left), false)?;
        }
        self.binder.compare(left, comparison, right)
    }

    fn between(
        &self,
        operand: &BoundExpression,
        low: &BoundExpression,
        high: &BoundExpression,
    ) -> PlanResult<BoundExpression> {
        let above = self.compare_as_numbers(operand, Comparison::GreaterOrEqual, low)?;
        let below = self.compare_as_numbers(operand, Comparison::LessOrEqual, high)?;
        Ok(self.joined(above, Operator::And, below))
    }

    fn predicate(
        &self,
        operand: BoundExpression,
        predicate: IsPredicate,
        negated: bool,
    ) -> PlanResult<BoundExpression> {
        let not_null = SqlDataType::not_null(SqlTypeKind::Boolean);
        let json = |name| {
            let called = self.binder.call(name, vec![operand.clone()])?;
            Ok(self.negated(called, negated))
        };
        let truth =
            |this: &Self| this.truth(operand.clone(), "what is compared with a truth value");
        let expr = match predicate {
            IsPredicate::Null if negated => Expr::IsNotNull(Box::new(operand.expr)),
            IsPredicate::Null => Expr::IsNull(Box::new(operand.expr)),
            IsPredicate::True if negated => Expr::IsNotTrue(Box::new(truth(self)?.expr)),
            IsPredicate::True => Expr::IsTrue(Box::new(truth(self)?.expr)),
            IsPredicate::False if negated => Expr::IsNotFalse(Box::new(truth(self)?.expr)),
            IsPredicate::False => Expr::IsFalse(Box::new(truth(self)?.expr)),
            IsPredicate::Unknown if negated => Expr::IsNotUnknown(Box::new(truth(self)?.expr)),
            IsPredicate::Unknown => Expr::IsUnknown(Box::new(truth(self)?.expr)),
            IsPredicate::JsonValue => return json("IS JSON VALUE"),
            IsPredicate::JsonObject => return json("IS JSON OBJECT"),
            IsPredicate::JsonArray => return json("IS JSON ARRAY"),
            IsPredicate::JsonScalar => return json("IS JSON SCALAR"),
            IsPredicate::ASet | IsPredicate::Empty => {
                return Err(PlanError::new("predicates of multisets are not supported"));
            }
        };
        Ok(self.binder.folded(expr, not_null))
    }

    fn in_list(&self, operand: &ast::Expr, list: &[ast::Expr]) -> PlanResult<BoundExpression> {
        if matches!(operand.kind, ExprKind::Row { .. }) {
            let all = list.iter().map(|one| self.comparison(operand, Comparison::Equal, one));
            return Ok(self.all_joined(all.collect::<PlanResult<_>>()?, Operator::Or));
        }
        let operand = self.bind(operand)?;
        let bound = self.all(list)?;
        let nullable = operand.data_type.nullable || bound.iter().any(|one| one.data_type.nullable);
        let mut all = vec![operand.clone()];
        all.extend(bound.iter().cloned());
        if let Some((mut all, _)) = self.binder.unify(all)? {
            let operand = all.remove(0);
            let list = all.into_iter().map(|one| one.expr).collect();
            let expr = Expr::InList(InList { expr: Box::new(operand.expr), list, negated: false });
            let data_type =
                with_nullability(&SqlDataType::nullable(SqlTypeKind::Boolean), nullable);
            return Ok(self.binder.folded(expr, data_type));
        }
        let all = bound.iter().map(|one| self.compare_as_numbers(&operand, Comparison::Equal, one));
        Ok(self.all_joined(all.collect::<PlanResult<_>>()?, Operator::Or))
    }

    fn case(
        &self,
        operand: Option<&ast::Expr>,
        branches: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
    ) -> PlanResult<BoundExpression> {
        let mut conditions = Vec::with_capacity(branches.len());
        let mut results = Vec::with_capacity(branches.len() + 1);
        for (when, then) in branches {
            conditions.push(match operand {
                None => self.condition(when)?,
                Some(operand) => match &when.kind {
                    ExprKind::Row { explicit: false, fields }
                        if !matches!(operand.kind, ExprKind::Row { .. }) =>
                    {
                        self.in_list(operand, fields)?
                    }
                    _ => self.comparison(operand, Comparison::Equal, when)?,
                },
            });
            results.push(self.bind(then)?);
        }
        match otherwise {
            Some(otherwise) => results.push(self.bind(otherwise)?),
            None => results.push(literal::null_of(&SqlDataType::nullable(SqlTypeKind::Null))?),
        }
        if results.iter().all(|one| one.data_type.kind == SqlTypeKind::Null) {
            return Err(PlanError::new("ELSE clause or at least one THEN clause must be non-NULL"));
        }
        let nullable = results.iter().any(|one| one.data_type.nullable);
        let Some((mut results, common)) = self.binder.unify(results)? else {
            return Err(PlanError::new("Illegal mixing of types in CASE or COALESCE statement"));
        };
        let data_type = with_nullability(&common, nullable);
        let otherwise = results.pop().map(|one| Box::new(one.expr));
        let when_then_expr = conditions.into_iter().zip(results);
        let when_then_expr =
            when_then_expr.map(|(when, then)| (Box::new(when.expr), Box::new(then.expr))).collect();
        let case = Case { expr: None, when_then_expr, else_expr: otherwise };
        Ok(self.binder.folded(Expr::Case(case), data_type))
    }
}
