//! Functions with a syntax of their own, as calls with arguments by position.
//!
//! Words become texts: units, the side of TRIM, what JSON functions do on errors. A clause of JSON
//! functions that is missing has its default, so that calls that mean the same are equal.

use hurtig_sql_parser::ast::{
    BuiltinCall, Expr, ExprKind, JsonBehavior, JsonEmptyOrError, JsonNullClause, JsonPathInput,
    JsonWrapper, TrimSide,
};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind, bounds};

use super::{BoundExpression, expression::ExpressionBinder, group::Grouping, literal};
use crate::{PlanError, PlanResult};

impl ExpressionBinder<'_, '_> {
    /// A value of JSON_OBJECT or JSON_ARRAY: only there may be JSON(..).
    fn json_operand(&self, expr: &Expr) -> PlanResult<BoundExpression> {
        match &expr.kind {
            ExprKind::Function(call) if call.name.is_word("JSON") => {
                self.binder.call("JSON", self.arguments(call)?)
            }
            _ => self.bind(expr),
        }
    }

    pub(super) fn builtin(&self, call: &BuiltinCall) -> PlanResult<BoundExpression> {
        let binder = self.binder;
        match call {
            BuiltinCall::Extract { unit, operand } => {
                binder.call("EXTRACT", vec![literal::text(unit.word()), self.bind(operand)?])
            }
            BuiltinCall::Round { up, operand, unit } => {
                let name = if *up { "CEIL" } else { "FLOOR" };
                binder.call(name, vec![self.bind(operand)?, literal::text(unit.word())])
            }
            BuiltinCall::TimestampAdd { unit, count, operand } => {
                let arguments =
                    vec![literal::text(unit.word()), self.bind(count)?, self.bind(operand)?];
                binder.call("TIMESTAMPADD", arguments)
            }
            BuiltinCall::TimestampDiff { unit, from, to } => {
                let arguments = vec![literal::text(unit.word()), self.bind(from)?, self.bind(to)?];
                binder.call("TIMESTAMPDIFF", arguments)
            }
            BuiltinCall::Position { needle, haystack, from } => {
                let mut arguments = vec![self.bind(needle)?, self.bind(haystack)?];
                arguments.extend(from.as_ref().map(|from| self.bind(from)).transpose()?);
                binder.call("POSITION", arguments)
            }
            BuiltinCall::Overlay { operand, placing, from, length } => {
                let mut arguments =
                    vec![self.bind(operand)?, self.bind(placing)?, self.bind(from)?];
                arguments.extend(length.as_ref().map(|length| self.bind(length)).transpose()?);
                binder.call("OVERLAY", arguments)
            }
            BuiltinCall::Trim { side, characters, operand } => {
                let side = match side {
                    TrimSide::Both => "BOTH",
                    TrimSide::Leading => "LEADING",
                    TrimSide::Trailing => "TRAILING",
                };
                let characters = match characters {
                    Some(characters) => self.bind(characters)?,
                    None => literal::text(" "),
                };
                binder.call("TRIM", vec![literal::text(side), characters, self.bind(operand)?])
            }
            BuiltinCall::Semantics { .. } => {
                Err(PlanError::new("RUNNING and FINAL belong into MATCH_RECOGNIZE"))
            }
            BuiltinCall::JsonExists { input, on_error } => {
                let mut arguments = self.json_input(input)?;
                arguments.push(behavior_word(on_error.as_ref().unwrap_or(&JsonBehavior::False))?);
                binder.call("JSON_EXISTS", arguments)
            }
            BuiltinCall::JsonValue { input, returning, behaviors } => {
                let string = SqlDataType::nullable(SqlTypeKind::Varchar(bounds::MAX_LENGTH));
                let returning = returning.as_ref().unwrap_or(&string);
                let mut arguments = self.json_input(input)?;
                arguments.push(literal::text(
                    &SqlDataType::nullable(returning.kind.clone()).to_string(),
                ));
                for when in [JsonEmptyOrError::Empty, JsonEmptyOrError::Error] {
                    let found = behaviors.iter().find(|(_, on)| *on == when).map(|(one, _)| one);
                    let behavior = found.unwrap_or(&JsonBehavior::Null);
                    let default = match behavior {
                        JsonBehavior::Default(value) => self.bind(value)?,
                        _ => literal::null_of(&string)?,
                    };
                    arguments.extend([behavior_word(behavior)?, default]);
                }
                binder.call("JSON_VALUE", arguments)
            }
            BuiltinCall::JsonQuery { input, returning, wrapper, behaviors } => {
                let string = SqlDataType::nullable(SqlTypeKind::Varchar(bounds::MAX_LENGTH));
                let returning = returning.as_ref().unwrap_or(&string);
                let mut arguments = self.json_input(input)?;
                arguments.push(literal::text(
                    &SqlDataType::nullable(returning.kind.clone()).to_string(),
                ));
                arguments.push(literal::text(match wrapper {
                    None | Some(JsonWrapper::Without) => "WITHOUT",
                    Some(JsonWrapper::Conditional) => "CONDITIONAL",
                    Some(JsonWrapper::Unconditional) => "UNCONDITIONAL",
                }));
                for when in [JsonEmptyOrError::Empty, JsonEmptyOrError::Error] {
                    let found = behaviors.iter().find(|(_, on)| *on == when).map(|(one, _)| one);
                    arguments.push(behavior_word(found.unwrap_or(&JsonBehavior::Null))?);
                }
                binder.call("JSON_QUERY", arguments)
            }
            BuiltinCall::JsonObject { entries, on_null } => {
                let values = entries.iter().map(|entry| &entry.value);
                let mut arguments = vec![null_word(*on_null, JsonNullClause::Null, values)];
                for entry in entries {
                    arguments.extend([self.bind(&entry.key)?, self.json_operand(&entry.value)?]);
                }
                binder.call("JSON_OBJECT", arguments)
            }
            BuiltinCall::JsonArray { elements, on_null } => {
                let mut arguments = vec![null_word(*on_null, JsonNullClause::Absent, elements)];
                for element in elements {
                    arguments.push(self.json_operand(element)?);
                }
                binder.call("JSON_ARRAY", arguments)
            }
            BuiltinCall::JsonObjectAgg { entry, on_null, filter } => {
                let inner = self.inside_aggregate()?;
                let arguments = vec![inner.bind(&entry.key)?, inner.bind(&entry.value)?];
                let on_null = on_null.unwrap_or(JsonNullClause::Null);
                let name = match (on_null, is_json(&entry.value)) {
                    (JsonNullClause::Null, false) => "JSON_OBJECTAGG_NULL_ON_NULL",
                    (JsonNullClause::Absent, false) => "JSON_OBJECTAGG_ABSENT_ON_NULL",
                    (JsonNullClause::Null, true) => "JSON_OBJECTAGG_NULL_ON_NULL_OF_JSON",
                    (JsonNullClause::Absent, true) => "JSON_OBJECTAGG_ABSENT_ON_NULL_OF_JSON",
                };
                self.json_aggregate(name, arguments, filter.as_ref())
            }
            BuiltinCall::JsonArrayAgg { element, on_null, filter, .. } => {
                let inner = self.inside_aggregate()?;
                let on_null = on_null.unwrap_or(JsonNullClause::Absent);
                let name = match (on_null, is_json(element)) {
                    (JsonNullClause::Null, false) => "JSON_ARRAYAGG_NULL_ON_NULL",
                    (JsonNullClause::Absent, false) => "JSON_ARRAYAGG_ABSENT_ON_NULL",
                    (JsonNullClause::Null, true) => "JSON_ARRAYAGG_NULL_ON_NULL_OF_JSON",
                    (JsonNullClause::Absent, true) => "JSON_ARRAYAGG_ABSENT_ON_NULL_OF_JSON",
                };
                self.json_aggregate(name, vec![inner.bind(element)?], filter.as_ref())
            }
        }
    }

    fn json_input(&self, input: &JsonPathInput) -> PlanResult<Vec<BoundExpression>> {
        if !input.passing.is_empty() {
            return Err(PlanError::new("PASSING is not supported"));
        }
        Ok(vec![self.bind(&input.document)?, self.bind(&input.path)?])
    }

    fn inside_aggregate(&self) -> PlanResult<Self> {
        if self.in_aggregate {
            return Err(PlanError::new("Aggregate expressions cannot be nested"));
        }
        if self.collector.is_none() {
            let message = format!("Aggregate expression is illegal in {} clause", self.clause);
            return Err(PlanError::new(message));
        }
        Ok(Self { grouping: None, collector: None, in_aggregate: true, ..*self })
    }

    fn json_aggregate(
        &self,
        name: &str,
        arguments: Vec<BoundExpression>,
        filter: Option<&Expr>,
    ) -> PlanResult<BoundExpression> {
        let inner = self.inside_aggregate()?;
        let filter = filter.map(|filter| inner.condition(filter)).transpose()?;
        let global = self.grouping.is_none_or(Grouping::may_be_empty);
        let (expr, data_type) =
            inner.settle(name, arguments, filter, false, global, Vec::new(), None)?;
        let collector = self.collector.ok_or_else(|| PlanError::new("no aggregates here"))?;
        Ok(collector.borrow_mut().aggregate(self.binder, name, expr, data_type))
    }
}

fn behavior_word(behavior: &JsonBehavior) -> PlanResult<BoundExpression> {
    Ok(literal::text(match behavior {
        JsonBehavior::Error => "ERROR",
        JsonBehavior::Null => "NULL",
        JsonBehavior::Default(_) => "DEFAULT",
        JsonBehavior::EmptyArray => "EMPTY ARRAY",
        JsonBehavior::EmptyObject => "EMPTY OBJECT",
        JsonBehavior::True => "TRUE",
        JsonBehavior::False => "FALSE",
        JsonBehavior::Unknown => "UNKNOWN",
    }))
}

/// Whether a value is JSON and no text: what calls of these functions give.
fn is_json(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::Builtin(call) => {
            matches!(**call, BuiltinCall::JsonObject { .. } | BuiltinCall::JsonArray { .. })
        }
        ExprKind::Function(call) => call.name.is_word("JSON"),
        _ => false,
    }
}

/// What is done with NULL, and which values are JSON and no text: what other such calls give.
fn null_word<'v>(
    clause: Option<JsonNullClause>,
    default: JsonNullClause,
    values: impl IntoIterator<Item = &'v Expr>,
) -> BoundExpression {
    let mut word = match clause.unwrap_or(default) {
        JsonNullClause::Null => "NULL",
        JsonNullClause::Absent => "ABSENT",
    }
    .to_owned();
    for (position, value) in values.into_iter().enumerate() {
        if is_json(value) {
            word.push_str(&format!(",{position}"));
        }
    }
    literal::text(&word)
}
