//! Expressions as people write them, for plans.

use std::fmt::Write;

use datafusion_common::{DFSchema, ScalarValue, metadata::FieldMetadata};
use datafusion_expr::Expr;
use hurtig_sql_functions::print_in_zone;

use super::expressions::unaliased;
use crate::functions::ScalarCoat;

/// Characters of a text that is a constant; longer ones are cut.
const SHOWN_CHARACTERS: usize = 100;
/// Elements of a list that are shown.
const SHOWN_ELEMENTS: usize = 20;

/// An expression without the numbers that make its columns unique.
pub(crate) fn readable(expression: &Expr) -> String {
    let mut text = String::new();
    write_expression(&mut text, expression);
    text
}

/// A name without the number that makes it unique.
pub(super) fn plain(name: &str) -> &str {
    name.split('#').next().unwrap_or(name)
}

fn write_expression(out: &mut String, expression: &Expr) {
    match unaliased(expression) {
        Expr::Column(column) => out.push_str(plain(&column.name)),
        Expr::OuterReferenceColumn(_, column) => out.push_str(plain(&column.name)),
        Expr::Literal(value, metadata) => out.push_str(&constant(value, metadata.as_ref())),
        Expr::BinaryExpr(binary) => {
            infix(out, &binary.op.to_string(), [&*binary.left, &*binary.right]);
        }
        Expr::ScalarFunction(call) => {
            let name = call.func.name();
            match (&*call.args, name.chars().any(char::is_alphabetic)) {
                ([operand], true) if matches!(name, "CAST" | "TRY_CAST") => {
                    let coat = call.func.inner().downcast_ref::<ScalarCoat>();
                    let to = coat.map(|coat| coat.call().result.kind.to_string());
                    let _ =
                        write!(out, "{name}({} AS {})", readable(operand), to.unwrap_or_default());
                }
                ([left, right], false) => infix(out, name, [left, right]),
                ([left, right], true) if matches!(name, "LIKE" | "SIMILAR TO") => {
                    infix(out, name, [left, right]);
                }
                _ => {
                    let _ = write!(out, "{name}(");
                    list(out, &call.args);
                    out.push(')');
                }
            }
        }
        Expr::Not(inner) => {
            out.push_str("NOT ");
            write_expression(out, inner);
        }
        Expr::Negative(inner) => {
            out.push('-');
            write_expression(out, inner);
        }
        Expr::IsNull(inner) => postfix(out, inner, "IS NULL"),
        Expr::IsNotNull(inner) => postfix(out, inner, "IS NOT NULL"),
        Expr::IsTrue(inner) => postfix(out, inner, "IS TRUE"),
        Expr::IsNotTrue(inner) => postfix(out, inner, "IS NOT TRUE"),
        Expr::IsFalse(inner) => postfix(out, inner, "IS FALSE"),
        Expr::IsNotFalse(inner) => postfix(out, inner, "IS NOT FALSE"),
        Expr::IsUnknown(inner) => postfix(out, inner, "IS UNKNOWN"),
        Expr::IsNotUnknown(inner) => postfix(out, inner, "IS NOT UNKNOWN"),
        Expr::InList(within) => {
            write_expression(out, &within.expr);
            out.push_str(if within.negated { " NOT IN (" } else { " IN (" });
            list(out, &within.list[..within.list.len().min(SHOWN_ELEMENTS)]);
            if within.list.len() > SHOWN_ELEMENTS {
                let _ = write!(out, ", ... {} more", within.list.len() - SHOWN_ELEMENTS);
            }
            out.push(')');
        }
        Expr::Case(case) => {
            out.push_str("CASE");
            for (when, then) in &case.when_then_expr {
                let _ = write!(out, " WHEN {} THEN {}", readable(when), readable(then));
            }
            if let Some(otherwise) = &case.else_expr {
                let _ = write!(out, " ELSE {}", readable(otherwise));
            }
            out.push_str(" END");
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

fn list(out: &mut String, all: &[Expr]) {
    for (index, one) in all.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_expression(out, one);
    }
}

fn infix(out: &mut String, operator: &str, [left, right]: [&Expr; 2]) {
    operand(out, left);
    let _ = write!(out, " {operator} ");
    operand(out, right);
}

fn postfix(out: &mut String, inner: &Expr, predicate: &str) {
    operand(out, inner);
    let _ = write!(out, " {predicate}");
}

/// In parentheses, if it would not hold together without.
fn operand(out: &mut String, one: &Expr) {
    let loose = match unaliased(one) {
        Expr::BinaryExpr(_) | Expr::Not(_) | Expr::InList(_) => true,
        Expr::ScalarFunction(call) => {
            call.args.len() == 2 && !call.func.name().chars().any(char::is_alphabetic)
        }
        _ => false,
    };
    if loose {
        let _ = write!(out, "({})", readable(one));
    } else {
        write_expression(out, one);
    }
}

/// A constant as CAST to STRING gives it, texts in quotes.
fn constant(value: &ScalarValue, metadata: Option<&FieldMetadata>) -> String {
    if value.is_null() {
        return "NULL".to_owned();
    }
    let printed = || {
        let expression = Expr::Literal(value.clone(), metadata.cloned());
        let empty = DFSchema::empty();
        let data_type = crate::optimize::data_type_of(&expression, &empty).ok()?;
        let array = value.to_array_of_size(1).ok()?;
        let text = print_in_zone(&array, &data_type, chrono_tz::UTC).ok()?;
        Some(text.value(0).to_owned())
    };
    let text = printed().unwrap_or_else(|| value.to_string());
    let mut shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    let word = match value {
        ScalarValue::Utf8(_) => "",
        ScalarValue::Date32(_) => "DATE ",
        ScalarValue::Time32Millisecond(_) => "TIME ",
        ScalarValue::TimestampMillisecond(..)
        | ScalarValue::TimestampMicrosecond(..)
        | ScalarValue::TimestampNanosecond(..) => "TIMESTAMP ",
        ScalarValue::DurationMillisecond(_) | ScalarValue::IntervalYearMonth(_) => "INTERVAL ",
        _ => return shown,
    };
    format!("{word}'{}'", shown.replace('\'', "''"))
}
