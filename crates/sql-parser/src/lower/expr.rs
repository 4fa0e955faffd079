//! Expressions.

use sqlparser::ast::{self as sql, helpers::attached_token::AttachedToken};

use super::{Lowered, Lowering, balanced};
use crate::{
    IntervalValue,
    ast::{
        ArrayConstructor, BinaryOperator, CastKind, Comparison, Expr, ExprKind, IsPredicate,
        LikeKind, Literal, Quantifier, UnaryOperator,
    },
    span::Span,
    types::SqlDataType,
};

impl Lowering<'_> {
    pub(super) fn lower_expr(&self, expr: &Expr) -> Lowered<sql::Expr> {
        let span = expr.span;
        let boxed = |expr: &Expr| self.lower_expr(expr).map(Box::new);
        Ok(match &expr.kind {
            ExprKind::Name(name) => match &*name.0 {
                [ident] => sql::Expr::Identifier(self.ident(ident)),
                parts => {
                    let parts = parts.iter().map(|part| self.ident(part)).collect();
                    sql::Expr::CompoundIdentifier(parts)
                }
            },
            ExprKind::Literal(literal) => self.lower_literal(literal, span),
            ExprKind::Unary(operator, operand) => {
                let op = match operator {
                    UnaryOperator::Plus => sql::UnaryOperator::Plus,
                    UnaryOperator::Minus => sql::UnaryOperator::Minus,
                    UnaryOperator::Not => sql::UnaryOperator::Not,
                };
                sql::Expr::UnaryOp { op, expr: boxed(operand)? }
            }
            ExprKind::Binary(left, BinaryOperator::IsDistinctFrom, right) => {
                sql::Expr::IsDistinctFrom(boxed(left)?, boxed(right)?)
            }
            ExprKind::Binary(left, BinaryOperator::IsNotDistinctFrom, right) => {
                sql::Expr::IsNotDistinctFrom(boxed(left)?, boxed(right)?)
            }
            ExprKind::Binary(left, operator, right) => {
                let Some(op) = binary_operator(*operator) else {
                    return self.refuse(span, &format!("the operator {operator}"));
                };
                sql::Expr::BinaryOp { left: boxed(left)?, op, right: boxed(right)? }
            }
            ExprKind::And(operands) => self.conjunction(operands, &sql::BinaryOperator::And)?,
            ExprKind::Or(operands) => self.conjunction(operands, &sql::BinaryOperator::Or)?,
            ExprKind::Is { operand, predicate, negated } => {
                let operand = self.lower_expr(operand)?;
                return self.is_predicate(operand, *predicate, *negated, span);
            }
            ExprKind::Between { operand, negated, symmetric: false, low, high } => {
                sql::Expr::Between {
                    expr: boxed(operand)?,
                    negated: *negated,
                    low: boxed(low)?,
                    high: boxed(high)?,
                }
            }
            ExprKind::Between { operand, negated, low, high, .. } => {
                let all = [operand, low, high].map(|expr| self.lower_expr(expr));
                let all = all.into_iter().collect::<Lowered<Vec<_>>>()?;
                negate(self.call("between_symmetric", all, span), *negated)
            }
            ExprKind::Like { operand, kind, negated, pattern, escape } => {
                let escape_char = match escape {
                    None => None,
                    Some(escape) => match self.lower_expr(escape)? {
                        sql::Expr::Value(value) => Some(value),
                        _ => return self.refuse(escape.span, "an escape that is no constant"),
                    },
                };
                let (negated, expr, pattern) = (*negated, boxed(operand)?, boxed(pattern)?);
                match kind {
                    LikeKind::Like => {
                        sql::Expr::Like { negated, any: false, expr, pattern, escape_char }
                    }
                    LikeKind::ILike => {
                        sql::Expr::ILike { negated, any: false, expr, pattern, escape_char }
                    }
                    LikeKind::SimilarTo => {
                        sql::Expr::SimilarTo { negated, expr, pattern, escape_char }
                    }
                    LikeKind::RLike => sql::Expr::RLike { negated, expr, pattern, regexp: false },
                }
            }
            ExprKind::InList { operand, negated, list } => sql::Expr::InList {
                expr: boxed(operand)?,
                list: self.all(list)?,
                negated: *negated,
            },
            ExprKind::InQuery { operand, negated, query } => sql::Expr::InSubquery {
                expr: boxed(operand)?,
                subquery: Box::new(self.lower_query(query)?),
                negated: *negated,
            },
            ExprKind::Quantified { operand, comparison, quantifier, right } => {
                if !matches!(right.kind, ExprKind::Query(_)) {
                    return self.refuse(right.span, "a quantified list");
                }
                let (left, right) = (boxed(operand)?, boxed(right)?);
                let compare_op = comparison_operator(*comparison);
                match quantifier {
                    Quantifier::Any => sql::Expr::AnyOp { left, compare_op, right, is_some: false },
                    Quantifier::All => sql::Expr::AllOp { left, compare_op, right },
                }
            }
            ExprKind::Exists(query) => {
                sql::Expr::Exists { subquery: Box::new(self.lower_query(query)?), negated: false }
            }
            ExprKind::Unique(_) => return self.refuse(span, "UNIQUE"),
            ExprKind::Query(query) => sql::Expr::Subquery(Box::new(self.lower_query(query)?)),
            ExprKind::Case { operand, branches, otherwise } => sql::Expr::Case {
                case_token: AttachedToken::empty(),
                end_token: AttachedToken::empty(),
                operand: operand.as_deref().map(boxed).transpose()?,
                conditions: branches
                    .iter()
                    .map(|(when, then)| {
                        let (condition, result) = (self.lower_expr(when)?, self.lower_expr(then)?);
                        Ok(sql::CaseWhen { condition, result })
                    })
                    .collect::<Lowered<_>>()?,
                else_result: otherwise.as_deref().map(boxed).transpose()?,
            },
            ExprKind::Cast { kind, operand, data_type, type_span } => {
                let kind = match kind {
                    CastKind::Cast => sql::CastKind::Cast,
                    CastKind::TryCast => sql::CastKind::TryCast,
                };
                self.cast(kind, self.lower_expr(operand)?, data_type, *type_span)
            }
            ExprKind::Row { explicit: false, fields } => sql::Expr::Tuple(self.all(fields)?),
            ExprKind::Row { fields, .. } => self.call("row", self.all(fields)?, span),
            ExprKind::Array(ArrayConstructor::Elements(elements)) => {
                sql::Expr::Array(sql::Array { elem: self.all(elements)?, named: true })
            }
            ExprKind::Map(ArrayConstructor::Elements(entries)) => {
                self.call("map", self.all(entries)?, span)
            }
            ExprKind::Array(_) | ExprKind::Map(_) | ExprKind::Multiset(_) => {
                return self.refuse(span, "this constructor");
            }
            ExprKind::Item(base, index) => {
                let index = self.lower_expr(index)?;
                let access = sql::AccessExpr::Subscript(sql::Subscript::Index { index });
                self.access(base, access)?
            }
            ExprKind::Field(base, field) => {
                let field = sql::Expr::Identifier(self.ident(field));
                self.access(base, sql::AccessExpr::Dot(field))?
            }
            ExprKind::Function(call) => sql::Expr::Function(self.lower_call(call, span)?),
            ExprKind::Builtin(call) => self.lower_builtin(call, span)?,
            ExprKind::IntervalOf { negated, value, qualifier } => {
                let mut value = self.lower_expr(value)?;
                if *negated {
                    value =
                        sql::Expr::UnaryOp { op: sql::UnaryOperator::Minus, expr: value.into() };
                }
                let unit = self.text(&qualifier.to_string(), span);
                self.call("interval_of", vec![unit, value], span)
            }
            ExprKind::IntervalBetween { left, right, qualifier } => {
                let unit = self.text(&qualifier.to_string(), span);
                let all = vec![unit, self.lower_expr(left)?, self.lower_expr(right)?];
                self.call("interval_between", all, span)
            }
            ExprKind::Wildcard(_) => return self.refuse(span, "a wildcard in an expression"),
        })
    }

    /// All of a list.
    pub(super) fn all(&self, exprs: &[Expr]) -> Lowered<Vec<sql::Expr>> {
        exprs.iter().map(|expr| self.lower_expr(expr)).collect()
    }

    fn access(&self, base: &Expr, access: sql::AccessExpr) -> Lowered<sql::Expr> {
        let root = Box::new(self.lower_expr(base)?);
        Ok(sql::Expr::CompoundFieldAccess { root, access_chain: vec![access] })
    }

    fn conjunction(&self, operands: &[Expr], op: &sql::BinaryOperator) -> Lowered<sql::Expr> {
        let join = |left, right| sql::Expr::BinaryOp {
            left: Box::new(left),
            op: op.clone(),
            right: Box::new(right),
        };
        let joined = balanced(self.all(operands)?, &join);
        joined.map_or_else(|| self.refuse(Span::default(), "an empty list"), Ok)
    }

    fn is_predicate(
        &self,
        operand: sql::Expr,
        predicate: IsPredicate,
        negated: bool,
        span: Span,
    ) -> Lowered<sql::Expr> {
        let name = match predicate {
            IsPredicate::Null if negated => return Ok(sql::Expr::IsNotNull(operand.into())),
            IsPredicate::Null => return Ok(sql::Expr::IsNull(operand.into())),
            IsPredicate::True if negated => return Ok(sql::Expr::IsNotTrue(operand.into())),
            IsPredicate::True => return Ok(sql::Expr::IsTrue(operand.into())),
            IsPredicate::False if negated => return Ok(sql::Expr::IsNotFalse(operand.into())),
            IsPredicate::False => return Ok(sql::Expr::IsFalse(operand.into())),
            IsPredicate::Unknown if negated => return Ok(sql::Expr::IsNotUnknown(operand.into())),
            IsPredicate::Unknown => return Ok(sql::Expr::IsUnknown(operand.into())),
            IsPredicate::ASet | IsPredicate::Empty => {
                return self.refuse(span, "a predicate of multisets");
            }
            IsPredicate::JsonValue => "is_json",
            IsPredicate::JsonObject => "is_json_object",
            IsPredicate::JsonArray => "is_json_array",
            IsPredicate::JsonScalar => "is_json_scalar",
        };
        Ok(negate(self.call(name, vec![operand], span), negated))
    }

    fn lower_literal(&self, literal: &Literal, span: Span) -> sql::Expr {
        let value = match literal {
            Literal::Number(text, _) => sql::Value::Number(text.clone(), false),
            Literal::Text(text) => return self.text(text, span),
            Literal::Binary(bytes) => {
                let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
                sql::Value::HexStringLiteral(hex.concat())
            }
            Literal::Boolean(value) => sql::Value::Boolean(*value),
            Literal::Unknown | Literal::Null => sql::Value::Null,
            Literal::Date(text) => return self.typed(text, sql::DataType::Date, span),
            Literal::Time(text) => {
                let data_type = sql::DataType::Time(None, sql::TimezoneInfo::None);
                return self.typed(text, data_type, span);
            }
            Literal::Timestamp(text) => {
                let data_type = sql::DataType::Timestamp(None, sql::TimezoneInfo::None);
                return self.typed(text, data_type, span);
            }
            Literal::TimestampLtz(text) => {
                let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len().min(9));
                let kind = crate::types::SqlTypeKind::TimestampLtz(digits as u8);
                let data_type = SqlDataType::not_null(kind);
                return self.cast(sql::CastKind::Cast, self.text(text, span), &data_type, span);
            }
            Literal::Interval(interval) => {
                let text = match interval.value() {
                    Ok(IntervalValue::Months(months)) => format!("{months} MONTHS"),
                    Ok(IntervalValue::Nanoseconds(nanos)) => seconds(nanos),
                    // The parser gives no such literal.
                    Err(_) => interval.text.clone(),
                };
                return sql::Expr::Interval(sql::Interval {
                    value: Box::new(self.text(&text, span)),
                    leading_field: None,
                    leading_precision: None,
                    last_field: None,
                    fractional_seconds_precision: None,
                });
            }
        };
        sql::Expr::Value(sql::ValueWithSpan { value, span: self.span(span) })
    }

    pub(super) fn text(&self, text: &str, span: Span) -> sql::Expr {
        let value = sql::Value::SingleQuotedString(text.to_owned());
        sql::Expr::Value(sql::ValueWithSpan { value, span: self.span(span) })
    }

    fn typed(&self, text: &str, data_type: sql::DataType, span: Span) -> sql::Expr {
        let value = sql::Value::SingleQuotedString(text.to_owned());
        let value = sql::ValueWithSpan { value, span: self.span(span) };
        sql::Expr::TypedString(sql::TypedString { data_type, value, uses_odbc_syntax: false })
    }

    fn cast(
        &self,
        kind: sql::CastKind,
        operand: sql::Expr,
        data_type: &SqlDataType,
        span: Span,
    ) -> sql::Expr {
        let name = sql::Ident::with_quote_and_span('`', self.span(span), data_type.to_string());
        sql::Expr::Cast {
            kind,
            expr: Box::new(operand),
            data_type: sql::DataType::Custom(vec![name].into(), Vec::new()),
            array: false,
            format: None,
        }
    }
}

fn negate(expr: sql::Expr, negated: bool) -> sql::Expr {
    if negated {
        sql::Expr::UnaryOp { op: sql::UnaryOperator::Not, expr: Box::new(expr) }
    } else {
        expr
    }
}

/// Nanoseconds as seconds with nine digits behind the point.
fn seconds(nanos: i128) -> String {
    const NANOS: u128 = 1_000_000_000;
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    format!("{sign}{}.{:09} SECONDS", nanos / NANOS, nanos % NANOS)
}

fn comparison_operator(comparison: Comparison) -> sql::BinaryOperator {
    match comparison {
        Comparison::Equal => sql::BinaryOperator::Eq,
        Comparison::NotEqual => sql::BinaryOperator::NotEq,
        Comparison::Less => sql::BinaryOperator::Lt,
        Comparison::LessOrEqual => sql::BinaryOperator::LtEq,
        Comparison::Greater => sql::BinaryOperator::Gt,
        Comparison::GreaterOrEqual => sql::BinaryOperator::GtEq,
    }
}

fn binary_operator(operator: BinaryOperator) -> Option<sql::BinaryOperator> {
    Some(match operator {
        BinaryOperator::Compare(comparison) => comparison_operator(comparison),
        BinaryOperator::Plus => sql::BinaryOperator::Plus,
        BinaryOperator::Minus => sql::BinaryOperator::Minus,
        BinaryOperator::Multiply => sql::BinaryOperator::Multiply,
        BinaryOperator::Divide => sql::BinaryOperator::Divide,
        BinaryOperator::Modulo => sql::BinaryOperator::Modulo,
        BinaryOperator::Concat => sql::BinaryOperator::StringConcat,
        _ => return None,
    })
}
