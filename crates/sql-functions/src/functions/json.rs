//! JSON: paths into documents, and documents made of values.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, StringArray,
    builder::{ListBuilder, StringBuilder},
};
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::{
    SqlParser,
    types::{SqlDataType, SqlTypeKind},
};

use crate::{
    api::{CallError, Operand},
    call::{Builtin, Call, Resolved, Want, pure},
    cast::{cast, labelled},
    columns::{Columns, Evaluated},
    json::{
        Json,
        path::{Found, JsonPath},
        write::{self, Writer},
    },
    types::{STRING, is_text, of},
};

use Want::Text;

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("IS JSON VALUE", "a IS JSON", |call| is_json(call, |_| true)),
    pure("IS JSON OBJECT", "a IS JSON OBJECT", |call| {
        is_json(call, |value| matches!(value, Json::Object(_)))
    }),
    pure("IS JSON ARRAY", "a IS JSON ARRAY", |call| {
        is_json(call, |value| matches!(value, Json::Array(_)))
    }),
    pure("IS JSON SCALAR", "a IS JSON SCALAR", |call| is_json(call, Json::is_scalar)),
    pure("JSON_EXISTS", "JSON_EXISTS(json, path [behavior ON ERROR])", json_exists),
    pure(
        "JSON_VALUE",
        "JSON_VALUE(json, path [RETURNING type] [behavior ON EMPTY | ERROR]*)",
        json_value,
    ),
    pure("JSON_QUERY", "JSON_QUERY(json, path [wrapper] [behavior ON EMPTY | ERROR]*)", json_query),
    pure(
        "JSON_OBJECT",
        "JSON_OBJECT([KEY key VALUE value]* [{NULL | ABSENT} ON NULL])",
        json_object,
    ),
    pure("JSON_ARRAY", "JSON_ARRAY([value]* [{NULL | ABSENT} ON NULL])", json_array),
    pure("JSON_STRING", "JSON_STRING(value)", |call| {
        call.count(1, 1)?;
        if *call.kind(0) != SqlTypeKind::Null {
            refuse_times(call, 0)?;
        }
        let data_type = call.arguments[0].data_type.clone();
        call.simple(&[Want::Any], STRING, move |c| {
            let (array, constant) = c.raw(0)?;
            let writer = Writer::new(array, &data_type, c.context, false)?;
            c.make_texts(|row| {
                let row = if constant { 0 } else { row };
                if writer.is_null(row) {
                    return None;
                }
                let mut out = String::new();
                writer.write(row, &mut out);
                Some(out)
            })
        })
    }),
    pure("JSON", "JSON(value)", |call| {
        call.partial(1, &[Text], STRING, |c| {
            let text = c.texts(0)?;
            c.try_texts(|row| {
                let Some(text) = text.get(row).filter(|text| !text.trim().is_empty()) else {
                    return Ok(None);
                };
                let wrong = || {
                    EvalError::Value(format!(
                        "Invalid JSON string in JSON(value) function: \"{text}\""
                    ))
                };
                let document = Json::parse(text).ok_or_else(wrong)?;
                let mut out = String::new();
                write::document(&document, &mut out);
                Ok(Some(out))
            })
        })
    }),
    pure("JSON_QUOTE", "JSON_QUOTE(string)", |call| {
        call.simple(&[Text], STRING, |c| {
            let text = c.texts(0)?;
            c.make_texts(|row| text.get(row).map(quoted))
        })
    }),
    pure("JSON_UNQUOTE", "JSON_UNQUOTE(string)", |call| {
        call.simple(&[Text], STRING, |c| {
            let text = c.texts(0)?;
            c.make_texts(|row| {
                let text = text.get(row)?;
                Some(match Json::parse(text) {
                    Some(Json::Text(inner)) if text.starts_with('"') => inner,
                    _ => text.to_owned(),
                })
            })
        })
    }),
];

/// A text with what is special to JSON or not ASCII escaped. Beyond the basic plane Flink writes the
/// whole character and then its second half.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ascii if ascii.is_ascii() => out.push(ascii),
            other => {
                out.push_str(&format!("\\u{:04x}", u32::from(other)));
                if let [_, second] = *other.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{second:04x}"));
                }
            }
        }
    }
    out.push('"');
    out
}

fn is_json(call: &Call<'_>, holds: fn(&Json) -> bool) -> Resolved {
    call.optional(1, &[Text], SqlDataType::not_null(SqlTypeKind::Boolean), move |c| {
        let text = c.texts(0)?;
        // NULL is no JSON.
        c.make_booleans(|row| {
            Some(text.get(row).and_then(Json::parse).is_some_and(|value| holds(&value)))
        })
    })
}

/// What a path leads to in a document.
enum Outcome {
    /// Something; whether the path is lax.
    Value(Json, bool),
    /// Nothing, which is no error.
    Empty,
    /// The document or the path is wrong, or leads nowhere.
    Error,
}

/// Documents and paths by row.
struct Paths<'a> {
    documents: crate::columns::View<'a, StringArray>,
    paths: crate::columns::View<'a, StringArray>,
    constant: Option<Option<JsonPath>>,
}

impl<'a> Paths<'a> {
    fn of(c: &Columns<'a>) -> Result<Self, EvalError> {
        let paths = c.texts(1)?;
        let constant = paths.constant().map(JsonPath::parse);
        Ok(Self { documents: c.texts(0)?, paths, constant })
    }

    /// `None` if the document or the path is NULL.
    fn find(&self, row: usize) -> Option<Outcome> {
        let (text, path) = (self.documents.get(row)?, self.paths.get(row)?);
        let parsed;
        let path = match &self.constant {
            Some(path) => path,
            None => {
                parsed = JsonPath::parse(path);
                &parsed
            }
        };
        let Some(path) = path else { return Some(Outcome::Error) };
        Some(match Json::parse(text) {
            // A document of null is an error, even if lax.
            Some(Json::Null) => Outcome::Error,
            None if path.lax => Outcome::Empty,
            None => Outcome::Error,
            Some(document) => match path.find(&document) {
                // The strict mode takes null for a place that is not there.
                Found::Value(Json::Null) | Found::Missing if !path.lax => Outcome::Error,
                Found::Value(Json::Null) => Outcome::Empty,
                Found::Value(value) => Outcome::Value(value, path.lax),
                Found::Missing if path.is_definite() => Outcome::Empty,
                Found::Missing => Outcome::Value(Json::Array(Vec::new()), true),
            },
        })
    }
}

fn json_exists(call: &Call<'_>) -> Resolved {
    let behavior = call.literal_text(2).unwrap_or("FALSE").to_uppercase();
    call.partial(2, &[Text, Text, Text], SqlTypeKind::Boolean, move |c| {
        let paths = Paths::of(c)?;
        let mut builder = BooleanArray::builder(c.rows);
        for row in 0..c.rows {
            builder.append_option(match paths.find(row) {
                None => None,
                Some(Outcome::Value(..)) => Some(true),
                Some(Outcome::Empty) => Some(false),
                Some(Outcome::Error) => match &*behavior {
                    "TRUE" => Some(true),
                    "UNKNOWN" => None,
                    "ERROR" => return Err(no_path("JSON_EXISTS")),
                    _ => Some(false),
                },
            });
        }
        Ok(Arc::new(builder.finish()))
    })
}

fn no_path(function: &str) -> EvalError {
    EvalError::Value(format!("{function}: the document is not JSON, or the path leads nowhere"))
}

/// A type in a call, as text.
fn returning(call: &Call<'_>, index: usize) -> Result<SqlDataType, CallError> {
    match call.literal_text(index) {
        None => Ok(SqlDataType::nullable(STRING)),
        Some(text) => {
            let parsed = SqlParser::default().data_type(text);
            let mut data_type = parsed.map_err(|error| CallError(error.to_string()))?;
            data_type.nullable = true;
            Ok(data_type)
        }
    }
}

/// The document and the path of a query, which a NULL without a type cannot be.
fn refuse_bare_null(call: &Call<'_>) -> Result<(), CallError> {
    if (0..2).any(|index| *call.kind(index) == SqlTypeKind::Null) {
        return Err(CallError("Illegal use of 'NULL'".to_owned()));
    }
    Ok(())
}

/// Refuses what Flink has no JSON for: some times, and a NULL without a type.
fn refuse_times(call: &Call<'_>, index: usize) -> Result<(), CallError> {
    use SqlTypeKind::{Date, Interval, Null, Time};
    match call.kind(index) {
        Null => Err(CallError("Type is not supported: ANY".to_owned())),
        kind @ (Date | Time(_) | Interval(..)) => {
            Err(CallError(format!("Type '{kind}' is not scalar or cannot be converted into JSON.")))
        }
        _ => Ok(()),
    }
}

fn json_value(call: &Call<'_>) -> Resolved {
    call.count(2, 7)?;
    refuse_bare_null(call)?;
    let result = returning(call, 2)?;
    use SqlTypeKind::{Boolean, Double, Int, Varchar};
    if !matches!(result.kind, Varchar(_) | Boolean | Int | Double) {
        let message = format!("Unsupported type '{result}' for RETURNING in JSON_VALUE().");
        return Err(CallError(message));
    }
    let behavior = |index| call.literal_text(index).unwrap_or("NULL").to_uppercase();
    let (empty, error) = (behavior(3), behavior(5));
    let mut arguments = call.types();
    arguments[0] = call.want(0, Text)?;
    arguments[1] = call.want(1, Text)?;
    for index in [4, 6] {
        if let Some(default) = arguments.get_mut(index) {
            *default = of(result.kind.clone(), true);
        }
    }
    let kind = result.kind.clone();
    // What is no text of its own is cast from one.
    let from_text = cast(&SqlDataType::nullable(STRING), &result, false)?;
    Ok(call.settled(arguments, result, move |c| {
        let paths = Paths::of(c)?;
        let mut texts = StringBuilder::new();
        // Rows whose value is a default: by its argument.
        let mut defaults: Vec<Option<usize>> = vec![None; c.rows];
        for (row, default) in defaults.iter_mut().enumerate() {
            let (behavior, given) = match paths.find(row) {
                None => {
                    texts.append_null();
                    continue;
                }
                Some(Outcome::Value(Json::Array(_) | Json::Object(_), true)) => (&empty, 4),
                Some(Outcome::Value(Json::Array(_) | Json::Object(_), false)) => (&error, 6),
                Some(Outcome::Value(value, _)) => {
                    texts.append_option(scalar(&value, &kind)?);
                    continue;
                }
                Some(Outcome::Empty) => (&empty, 4),
                Some(Outcome::Error) => (&error, 6),
            };
            texts.append_null();
            match behavior.as_str() {
                "ERROR" if given == 4 => {
                    let why = "Empty result of JSON_VALUE function is not allowed";
                    return Err(EvalError::Value(why.to_owned()));
                }
                "ERROR" => return Err(no_path("JSON_VALUE")),
                "DEFAULT" => *default = Some(given),
                _ => {}
            }
        }
        let texts: ArrayRef = Arc::new(texts.finish());
        let values = if is_text(&kind) {
            texts
        } else {
            from_text.evaluate(&[Operand::Column(texts)], c.rows, c.context)?
        };
        if defaults.iter().all(Option::is_none) {
            return Ok(values);
        }
        with_defaults(c, &values, &defaults)
    }))
}

/// Values, but for some rows those of an argument.
fn with_defaults(c: &Columns<'_>, values: &ArrayRef, defaults: &[Option<usize>]) -> Evaluated {
    let mut sources = vec![values.clone()];
    let mut places = [0; 7];
    for index in [4, 6] {
        if c.len() > index {
            places[index] = sources.len();
            let (array, _) = c.raw(index)?;
            sources.push(array.clone());
        }
    }
    let at = |(row, default): (usize, &Option<usize>)| match default {
        Some(index) if matches!(c.operands.get(*index), Some(Operand::Constant(_))) => {
            (places[*index], 0)
        }
        Some(index) => (places[*index], row),
        None => (0, row),
    };
    let places: Vec<_> = defaults.iter().enumerate().map(at).collect();
    super::lists::gather(&sources, &places, values.data_type())
}

/// The text of a scalar, which must be of the type that is asked for.
fn scalar(value: &Json, kind: &SqlTypeKind) -> Result<Option<String>, EvalError> {
    let text = text_of(value);
    let fits = match kind {
        SqlTypeKind::Boolean => matches!(value, Json::Boolean(_)),
        SqlTypeKind::Int => matches!(value, Json::Integer(_)) && text.parse::<i32>().is_ok(),
        SqlTypeKind::Double => matches!(value, Json::Integer(_) | Json::Decimal(_)),
        _ => true,
    };
    if !fits {
        return Err(EvalError::Value(format!("JSON_VALUE: {text} cannot be cast to {kind}")));
    }
    Ok(Some(text))
}

/// A value as a text: a text is itself.
fn text_of(value: &Json) -> String {
    match value {
        Json::Text(text) => text.clone(),
        value => {
            let mut out = String::new();
            write::document(value, &mut out);
            out
        }
    }
}

fn json_query(call: &Call<'_>) -> Resolved {
    call.count(2, 6)?;
    refuse_bare_null(call)?;
    let result = returning(call, 2)?;
    if !matches!(result.kind, SqlTypeKind::Varchar(_) | SqlTypeKind::Array(_)) {
        return Err(CallError(format!(
            "Unsupported type '{result}' for RETURNING in JSON_QUERY()."
        )));
    }
    if let SqlTypeKind::Array(element) = &result.kind
        && !is_text(&element.kind)
    {
        return Err(CallError(format!(
            "Unsupported array element type '{element}' for RETURNING ARRAY in JSON_QUERY()."
        )));
    }
    let text = |index, default: &str| call.literal_text(index).unwrap_or(default).to_uppercase();
    let wrapper = text(3, "WITHOUT");
    let (empty, error) = (text(4, "NULL"), text(5, "NULL"));
    let as_array = matches!(result.kind, SqlTypeKind::Array(_));
    let mut arguments = call.types();
    arguments[0] = call.want(0, Text)?;
    arguments[1] = call.want(1, Text)?;
    let label = result.clone();
    Ok(call.settled(arguments, result, move |c| {
        let paths = Paths::of(c)?;
        let mut found = Vec::with_capacity(c.rows);
        for row in 0..c.rows {
            let behavior = match paths.find(row) {
                None => {
                    found.push(None);
                    continue;
                }
                Some(Outcome::Value(value, lax)) => {
                    let value = match &*wrapper {
                        "UNCONDITIONAL" => Json::Array(vec![value]),
                        "CONDITIONAL" if !matches!(value, Json::Array(_)) => {
                            Json::Array(vec![value])
                        }
                        _ => value,
                    };
                    if match &value {
                        Json::Array(_) => true,
                        Json::Object(_) => !as_array,
                        _ => false,
                    } {
                        found.push(Some(value));
                        continue;
                    }
                    if lax { &empty } else { &error }
                }
                Some(Outcome::Empty) => &empty,
                Some(Outcome::Error) => &error,
            };
            found.push(match behavior.as_str() {
                "ERROR" => return Err(no_path("JSON_QUERY")),
                "EMPTY ARRAY" => Some(Json::Array(Vec::new())),
                "EMPTY OBJECT" => Some(Json::Object(Vec::new())),
                _ => None,
            });
        }
        if !as_array {
            return c.make_texts(|row| {
                let mut out = String::new();
                write::document(found[row].as_ref()?, &mut out);
                Some(out)
            });
        }
        let mut builder = ListBuilder::new(StringBuilder::new());
        for value in &found {
            if let Some(Json::Array(values)) = value {
                for value in values {
                    builder.values().append_option((*value != Json::Null).then(|| text_of(value)));
                }
            }
            builder.append(matches!(value, Some(Json::Array(_))));
        }
        labelled(&(Arc::new(builder.finish()) as _), &label)
    }))
}

/// How NULL is treated, and which values are JSON: `NULL,0,2`.
fn constructor(call: &Call<'_>, default: &str) -> (bool, Vec<usize>) {
    let text = call.literal_text(0).unwrap_or(default);
    let mut parts = text.split(',');
    let absent = parts.next().is_some_and(|mode| mode.trim().eq_ignore_ascii_case("ABSENT"));
    (absent, parts.filter_map(|index| index.trim().parse().ok()).collect())
}

/// The columns of values, each with whether it is a constant.
fn values<'a>(
    c: &Columns<'a>,
    indices: impl Iterator<Item = usize>,
    types: &[SqlDataType],
    json: &[usize],
) -> Result<Vec<(Writer<'a>, bool)>, EvalError> {
    let one = |(place, index): (usize, usize)| {
        let (array, constant) = c.raw(index)?;
        let writer = Writer::new(array, &types[index], c.context, json.contains(&place))?;
        Ok((writer, constant))
    };
    indices.enumerate().map(one).collect()
}

fn json_object(call: &Call<'_>) -> Resolved {
    if call.len().is_multiple_of(2) {
        return Err(call.mismatch());
    }
    let (absent, json) = constructor(call, "NULL");
    let types = call.types();
    for index in (1..call.len()).step_by(2) {
        if call.want(index, Text)?.nullable {
            let message = "Argument to function 'JSON_OBJECT': a key must not be NULL";
            return Err(CallError(message.to_owned()));
        }
        refuse_times(call, index + 1)?;
    }
    let arguments = types.clone();
    Ok(call.settled(arguments, SqlDataType::not_null(STRING), move |c| {
        let keys = (1..c.len()).step_by(2).map(|index| c.texts(index));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let values = values(c, (2..c.len()).step_by(2), &types, &json)?;
        c.try_texts(|row| {
            let mut fields = Vec::with_capacity(keys.len());
            for (key, (writer, constant)) in keys.iter().zip(&values) {
                let place = if *constant { 0 } else { row };
                if absent && writer.is_null(place) {
                    continue;
                }
                let key = key.get(row);
                let wrong = || EvalError::Value("a key of JSON_OBJECT must not be NULL".to_owned());
                let mut value = String::new();
                writer.write(place, &mut value);
                fields.push((key.ok_or_else(wrong)?.to_owned(), value));
            }
            let mut out = String::new();
            write::object(fields, &mut out);
            Ok(Some(out))
        })
    }))
}

fn json_array(call: &Call<'_>) -> Resolved {
    call.count(1, usize::MAX)?;
    let (absent, json) = constructor(call, "ABSENT");
    (1..call.len()).try_for_each(|index| refuse_times(call, index))?;
    let types = call.types();
    Ok(call.settled(types.clone(), SqlDataType::not_null(STRING), move |c| {
        let values = values(c, 1..c.len(), &types, &json)?;
        c.make_texts(|row| {
            let mut out = String::from("[");
            for (writer, constant) in &values {
                let place = if *constant { 0 } else { row };
                if absent && writer.is_null(place) {
                    continue;
                }
                if out.len() > 1 {
                    out.push(',');
                }
                writer.write(place, &mut out);
            }
            out.push(']');
            Some(out)
        })
    }))
}
