//! Finding and splitting texts; LIKE.

use std::sync::Arc;

use arrow_array::{
    builder::{ListBuilder, MapBuilder, MapFieldNames, StringBuilder},
    types::Int32Type,
};
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::strings::place;
use crate::{
    call::{Builtin, Call, Resolved, Want, pure},
    cast::labelled,
    types::{STRING, of},
};

use Want::{Int, Text};

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("POSITION", "POSITION(string1 IN string2)", |call| find(call, 0, 1)),
    pure("LOCATE", "LOCATE(string1, string2[, start])", |call| find(call, 0, 1)),
    pure("INSTR", "INSTR(string1, string2[, start[, nth]])", |call| match call.len() {
        2 => find(call, 1, 0),
        _ => nth_place(call),
    }),
    pure("STARTSWITH", "STARTSWITH(string, start)", |call| {
        affix(call, |text, part| text.starts_with(part))
    }),
    pure("ENDSWITH", "ENDSWITH(string, end)", |call| {
        affix(call, |text, part| text.ends_with(part))
    }),
    pure("SPLIT", "SPLIT(string, delimiter)", split),
    pure("SPLIT_INDEX", "SPLIT_INDEX(string, separator, index)", split_index),
    pure("STR_TO_MAP", "STR_TO_MAP(string[, separator, assignment])", str_to_map),
];

fn find(call: &Call<'_>, needle: usize, haystack: usize) -> Resolved {
    call.optional(2, &[Text, Text, Int], of(SqlTypeKind::Int, call.nullable()), move |c| {
        let (needle, haystack) = (c.texts(needle)?, c.texts(haystack)?);
        let from = (c.len() > 2).then(|| c.numbers::<Int32Type>(2)).transpose()?;
        c.make_numbers::<Int32Type>(|row| {
            let (needle, haystack) = (needle.get(row)?, haystack.get(row)?);
            let from = match &from {
                Some(from) => from.get(row)?,
                None => 1,
            };
            Some(position(haystack, needle, from))
        })
    })
}

/// INSTR with a start, from the end if it is negative, and with the number of the appearance.
fn nth_place(call: &Call<'_>) -> Resolved {
    let result = of(SqlTypeKind::Int, call.nullable());
    call.optional(2, &[Text, Text, Int, Int], result, move |c| {
        let (text, part, start) = (c.texts(0)?, c.texts(1)?, c.numbers::<Int32Type>(2)?);
        let nth = (c.len() > 3).then(|| c.numbers::<Int32Type>(3)).transpose()?;
        c.try_numbers::<Int32Type>(|row| {
            let nth = nth.as_ref().map_or(Some(1), |nth| nth.get(row));
            let (Some(text), Some(part), Some(start), Some(nth)) =
                (text.get(row), part.get(row), start.get(row), nth)
            else {
                return Ok(None);
            };
            if nth <= 0 {
                return Err(EvalError::Value("nthAppearance must be positive!".to_owned()));
            }
            if start >= 0 {
                return Ok(Some(appearance(text, part, start, nth)));
            }
            let backwards = |text: &str| text.chars().rev().collect::<String>();
            let found = appearance(&backwards(text), &backwards(part), start.saturating_neg(), nth);
            let length = |text: &str| text.chars().count() as i32;
            Ok(Some(if found == 0 { 0 } else { length(text) + 2 - found - length(part) }))
        })
    })
}

/// The place of the nth appearance of a text in another from a place on; 0 if there are fewer.
fn appearance(text: &str, part: &str, start: i32, nth: i32) -> i32 {
    let (mut start, mut found) = (start, 0);
    for _ in 0..nth {
        if start <= 0 {
            return 0;
        }
        found = position(text, part, start);
        // Each appearance of nothing is where the search began.
        if found == 0 || part.is_empty() {
            return found;
        }
        start = found + 1;
    }
    found
}

/// The place from 1 of a text in another; 0 if it is not there.
fn position(haystack: &str, needle: &str, from: i32) -> i32 {
    if needle.is_empty() {
        return from.max(1);
    }
    let skipped = place(haystack, from.max(1) as usize - 1);
    let found = haystack[skipped..].find(needle);
    found.map_or(0, |at| haystack[..skipped + at].chars().count() as i32 + 1)
}

fn affix(call: &Call<'_>, holds: fn(&str, &str) -> bool) -> Resolved {
    call.simple(&[Text, Text], SqlTypeKind::Boolean, move |c| {
        let (text, part) = (c.texts(0)?, c.texts(1)?);
        c.make_booleans(|row| Some(holds(text.get(row)?, part.get(row)?)))
    })
}

fn split(call: &Call<'_>) -> Resolved {
    let element = SqlDataType::nullable(STRING);
    let result = of(SqlTypeKind::Array(Box::new(element)), call.nullable());
    let label = result.clone();
    call.optional(2, &[Text, Text], result, move |c| {
        let (text, separator) = (c.texts(0)?, c.texts(1)?);
        let mut builder = ListBuilder::new(StringBuilder::new());
        for row in 0..c.rows {
            let (Some(text), Some(separator)) = (text.get(row), separator.get(row)) else {
                builder.append_null();
                continue;
            };
            if separator.is_empty() {
                for letter in text.chars() {
                    // Java's letters are halves of what lies beyond the basic plane.
                    if letter.len_utf16() > 1 {
                        builder.values().append_value("?");
                        builder.values().append_value("?");
                    } else {
                        builder.values().append_value(letter.encode_utf8(&mut [0; 4]));
                    }
                }
            } else if !text.is_empty() {
                for part in text.split(separator) {
                    builder.values().append_value(part);
                }
            }
            builder.append(true);
        }
        labelled(&(Arc::new(builder.finish()) as _), &label)
    })
}

fn split_index(call: &Call<'_>) -> Resolved {
    call.count(3, 3)?;
    let code = crate::types::is_integer(call.kind(1));
    let separator = if code { Int } else { Text };
    call.partial(3, &[Text, separator, Int], STRING, move |c| {
        let (text, index) = (c.texts(0)?, c.numbers::<Int32Type>(2)?);
        let codes = code.then(|| c.numbers::<Int32Type>(1)).transpose()?;
        let texts = (!code).then(|| c.texts(1)).transpose()?;
        let mut buffer = [0; 4];
        c.make_texts(|row| {
            let (text, index) = (text.get(row)?, usize::try_from(index.get(row)?).ok()?);
            let separator: &str = match (&codes, &texts) {
                (Some(codes), _) => {
                    let code = u8::try_from(codes.get(row)?).ok().filter(|code| *code > 0)?;
                    char::from(code).encode_utf8(&mut buffer)
                }
                (None, Some(texts)) => texts.get(row)?,
                (None, None) => return None,
            };
            // Nothing has no parts, and an empty separator is any blank.
            match (text.is_empty(), separator.is_empty()) {
                (true, _) => None,
                (false, true) => text.split(char::is_whitespace).nth(index),
                (false, false) => text.split(separator).nth(index),
            }
        })
    })
}

fn str_to_map(call: &Call<'_>) -> Resolved {
    let text = || Box::new(SqlDataType::nullable(STRING));
    let result = SqlDataType::nullable(SqlTypeKind::Map(text(), text()));
    let label = result.clone();
    if call.len() == 2 {
        return Err(call.mismatch());
    }
    call.optional(1, &[Text, Text, Text], result, move |c| {
        let text = c.texts(0)?;
        let given = |index| (c.len() > index).then(|| c.texts(index)).transpose();
        let (separator, assignment) = (given(1)?, given(2)?);
        let names = MapFieldNames {
            entry: "entries".to_owned(),
            key: "key".to_owned(),
            value: "value".to_owned(),
        };
        let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
        let mut patterns = super::regexp::Cache::default();
        for row in 0..c.rows {
            let part = |of: &Option<crate::columns::View<'_, _>>, default: &'static str| match of {
                Some(view) => view.get(row).map(str::to_owned),
                None => Some(default.to_owned()),
            };
            let (Some(text), Some(separator), Some(assignment)) =
                (text.get(row), part(&separator, ","), part(&assignment, "="))
            else {
                builder.append(false)?;
                continue;
            };
            let mut entries: Vec<(String, Option<String>)> = Vec::new();
            if !text.is_empty() {
                for pair in patterns.split(&separator, text)? {
                    let (key, value) = match patterns.split_in_two(&assignment, pair)? {
                        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                        None => (pair.to_owned(), None),
                    };
                    match entries.iter_mut().find(|(other, _)| *other == key) {
                        Some(entry) => entry.1 = value,
                        None => entries.push((key, value)),
                    }
                }
            }
            for (key, value) in entries {
                builder.keys().append_value(key);
                builder.values().append_option(value);
            }
            builder.append(true)?;
        }
        let map: arrow_array::ArrayRef = Arc::new(builder.finish());
        labelled(&map, &label)
    })
}
