//! Functions with a syntax of their own.

use std::fmt;

use super::commas;
use crate::{
    ast::{
        BuiltinCall, Expr, JsonBehavior, JsonEmptyOrError, JsonEntry, JsonNullClause,
        JsonPathInput, JsonWrapper, TrimSide,
    },
    types::SqlDataType,
};

impl fmt::Display for BuiltinCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extract { unit, operand } => write!(f, "EXTRACT({unit} FROM {operand})"),
            Self::Round { up, operand, unit } => {
                write!(f, "{}({operand} TO {unit})", if *up { "CEIL" } else { "FLOOR" })
            }
            Self::TimestampAdd { unit, count, operand } => {
                write!(f, "TIMESTAMPADD({unit}, {count}, {operand})")
            }
            Self::TimestampDiff { unit, from, to } => {
                write!(f, "TIMESTAMPDIFF({unit}, {from}, {to})")
            }
            Self::Position { needle, haystack, from } => {
                write!(f, "POSITION(({needle}) IN {haystack}")?;
                write_part(f, " FROM ", from.as_ref())?;
                f.write_str(")")
            }
            Self::Overlay { operand, placing, from, length } => {
                write!(f, "OVERLAY({operand} PLACING {placing} FROM {from}")?;
                write_part(f, " FOR ", length.as_ref())?;
                f.write_str(")")
            }
            Self::Trim { side, characters, operand } => {
                let side = match side {
                    TrimSide::Both => "BOTH",
                    TrimSide::Leading => "LEADING",
                    TrimSide::Trailing => "TRAILING",
                };
                write!(f, "TRIM({side}")?;
                write_part(f, " ", characters.as_ref())?;
                write!(f, " FROM {operand})")
            }
            Self::Semantics { is_final, call } => {
                write!(f, "{} {call}", if *is_final { "FINAL" } else { "RUNNING" })
            }
            Self::JsonExists { input, on_error } => {
                write!(f, "JSON_EXISTS({input}")?;
                if let Some(behavior) = on_error {
                    write!(f, " {behavior} ON ERROR")?;
                }
                f.write_str(")")
            }
            Self::JsonValue { input, returning, behaviors } => {
                write!(f, "JSON_VALUE({input}")?;
                write_returning(f, returning.as_ref())?;
                write_behaviors(f, behaviors)?;
                f.write_str(")")
            }
            Self::JsonQuery { input, returning, wrapper, behaviors } => {
                write!(f, "JSON_QUERY({input}")?;
                write_returning(f, returning.as_ref())?;
                f.write_str(match wrapper {
                    Some(JsonWrapper::Without) => " WITHOUT WRAPPER",
                    Some(JsonWrapper::Conditional) => " WITH CONDITIONAL WRAPPER",
                    Some(JsonWrapper::Unconditional) => " WITH UNCONDITIONAL WRAPPER",
                    None => "",
                })?;
                write_behaviors(f, behaviors)?;
                f.write_str(")")
            }
            Self::JsonObject { entries, on_null } => {
                write!(f, "JSON_OBJECT({}", commas(entries))?;
                let blank = if entries.is_empty() { "" } else { " " };
                write_null_clause(f, blank, *on_null)?;
                f.write_str(")")
            }
            Self::JsonArray { elements, on_null } => {
                write!(f, "JSON_ARRAY({}", commas(elements))?;
                let blank = if elements.is_empty() { "" } else { " " };
                write_null_clause(f, blank, *on_null)?;
                f.write_str(")")
            }
            Self::JsonObjectAgg { entry, on_null, filter } => {
                write!(f, "JSON_OBJECTAGG({entry}")?;
                write_null_clause(f, " ", *on_null)?;
                f.write_str(")")?;
                write_filter(f, filter.as_ref())
            }
            Self::JsonArrayAgg { element, order_by, on_null, filter } => {
                write!(f, "JSON_ARRAYAGG({element}")?;
                if !order_by.is_empty() {
                    write!(f, " ORDER BY {}", commas(order_by))?;
                }
                write_null_clause(f, " ", *on_null)?;
                f.write_str(")")?;
                write_filter(f, filter.as_ref())
            }
        }
    }
}

fn write_part(f: &mut fmt::Formatter<'_>, before: &str, part: Option<&Expr>) -> fmt::Result {
    part.map_or(Ok(()), |part| write!(f, "{before}{part}"))
}

fn write_filter(f: &mut fmt::Formatter<'_>, filter: Option<&Expr>) -> fmt::Result {
    filter.map_or(Ok(()), |filter| write!(f, " FILTER (WHERE {filter})"))
}

fn write_returning(f: &mut fmt::Formatter<'_>, data_type: Option<&SqlDataType>) -> fmt::Result {
    data_type.map_or(Ok(()), |data_type| write!(f, " RETURNING {data_type}"))
}

fn write_behaviors(
    f: &mut fmt::Formatter<'_>,
    behaviors: &[(JsonBehavior, JsonEmptyOrError)],
) -> fmt::Result {
    for (behavior, when) in behaviors {
        let when = match when {
            JsonEmptyOrError::Empty => "EMPTY",
            JsonEmptyOrError::Error => "ERROR",
        };
        write!(f, " {behavior} ON {when}")?;
    }
    Ok(())
}

fn write_null_clause(
    f: &mut fmt::Formatter<'_>,
    before: &str,
    clause: Option<JsonNullClause>,
) -> fmt::Result {
    match clause {
        Some(JsonNullClause::Null) => write!(f, "{before}NULL ON NULL"),
        Some(JsonNullClause::Absent) => write!(f, "{before}ABSENT ON NULL"),
        None => Ok(()),
    }
}

impl fmt::Display for JsonPathInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.document, self.path)?;
        for (index, (value, name)) in self.passing.iter().enumerate() {
            let before = if index == 0 { " PASSING" } else { "," };
            write!(f, "{before} {value} AS {name}")?;
        }
        Ok(())
    }
}

impl fmt::Display for JsonBehavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error => f.write_str("ERROR"),
            Self::Null => f.write_str("NULL"),
            Self::Default(value) => write!(f, "DEFAULT {value}"),
            Self::EmptyArray => f.write_str("EMPTY ARRAY"),
            Self::EmptyObject => f.write_str("EMPTY OBJECT"),
            Self::True => f.write_str("TRUE"),
            Self::False => f.write_str("FALSE"),
            Self::Unknown => f.write_str("UNKNOWN"),
        }
    }
}

impl fmt::Display for JsonEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KEY {} VALUE {}", self.key, self.value)
    }
}
