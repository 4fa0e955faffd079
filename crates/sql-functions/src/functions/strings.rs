//! Texts: case, length, parts, trimming, padding, joining.
//!
//! Positions and lengths count characters. Flink counts in some of them UTF-16 units, which differ
//! only beyond the basic plane; [`overlay`] and [`pad`] show it and keep to it.

use std::borrow::Cow;

use arrow_array::{
    Array,
    types::{Int32Type, Int64Type},
};
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind, bounds::MAX_LENGTH};

use crate::{
    api::ResolvedCall,
    call::{Builtin, Call, Resolved, Want, pure},
    types::{STRING, is_integer, is_numeric, length_of, of},
};

/// The longest text that a function makes: beyond it, a call fails instead of using up the memory.
const MAX_TEXT: usize = 64 << 20;

use Want::{Int, Text};

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("CHAR_LENGTH", "CHAR_LENGTH(string)", length),
    pure("CHARACTER_LENGTH", "CHARACTER_LENGTH(string)", length),
    pure("UPPER", "UPPER(string)", |call| map(call, |text| Some(text.to_uppercase().into()))),
    pure("LOWER", "LOWER(string)", |call| map(call, |text| Some(text.to_lowercase().into()))),
    pure("INITCAP", "INITCAP(string)", |call| map(call, |text| Some(initcap(text).into()))),
    pure("REVERSE", "REVERSE(string)", |call| {
        call.partial(1, &[Text], STRING, |c| {
            let text = c.texts(0)?;
            c.make_texts(|row| Some(text.get(row)?.chars().rev().collect::<String>()))
        })
    }),
    pure("ASCII", "ASCII(string)", |call| {
        call.simple(&[Text], SqlTypeKind::Int, |c| {
            let text = c.texts(0)?;
            // The first byte, which has a sign in Java.
            c.make_numbers::<Int32Type>(|row| {
                let text = text.get(row)?;
                Some(text.bytes().next().map_or(0, |byte| i32::from(byte as i8)))
            })
        })
    }),
    pure("CHR", "CHR(integer)", |call| {
        call.partial(1, &[Want::BigInt], STRING, |c| {
            let code = c.numbers::<Int64Type>(0)?;
            c.make_texts(|row| {
                let code = code.get(row)?;
                Some(if code < 0 {
                    String::new()
                } else {
                    char::from((code & 0xFF) as u8).to_string()
                })
            })
        })
    }),
    pure("||", "string1 || string2", concat_operator),
    pure("CONCAT", "CONCAT(string1, string2, ...)", |call| {
        call.count(1, usize::MAX)?;
        let wants = vec![Text; call.len()];
        call.simple(&wants, STRING, |c| {
            let texts = (0..c.len()).map(|index| c.texts(index)).collect::<Result<Vec<_>, _>>()?;
            let mut joined = String::new();
            c.try_texts(|row| {
                joined.clear();
                for text in &texts {
                    let Some(text) = text.get(row) else { return Ok(None) };
                    bounded(joined.len() + text.len())?;
                    joined.push_str(text);
                }
                Ok::<_, EvalError>(Some(joined.clone()))
            })
        })
    }),
    pure("CONCAT_WS", "CONCAT_WS(separator, string1, ...)", |call| {
        call.count(1, usize::MAX)?;
        let wants = vec![Text; call.len()];
        // As Flink derives it, although only the separator can make the value NULL.
        let nullable = call.arguments.iter().any(|argument| argument.data_type.nullable);
        let result = of(STRING, nullable);
        call.optional(call.len(), &wants, result, |c| {
            let texts = (0..c.len()).map(|index| c.texts(index)).collect::<Result<Vec<_>, _>>()?;
            c.try_texts(|row| {
                let Some(separator) = texts[0].get(row) else { return Ok(None) };
                let there = texts[1..].iter().filter_map(|text| text.get(row));
                let there = there.collect::<Vec<_>>();
                let length = there.iter().map(|text| text.len() + separator.len()).sum::<usize>();
                bounded(length)?;
                Ok(Some(there.join(separator)))
            })
        })
    }),
    pure("SUBSTRING", "SUBSTRING(string FROM start [FOR length])", substring),
    pure("SUBSTR", "SUBSTR(string, start[, length])", substring),
    pure("LEFT", "LEFT(string, length)", |call| {
        call.partial(2, &[Text, Int], varying(call.kind(0)), |c| {
            let (text, count) = (c.texts(0)?, c.numbers::<Int32Type>(1)?);
            c.make_texts(|row| {
                let (text, count) = (text.get(row)?, count.get(row)?.max(0) as usize);
                Some(&text[..place(text, count)])
            })
        })
    }),
    pure("RIGHT", "RIGHT(string, length)", |call| {
        call.partial(2, &[Text, Int], varying(call.kind(0)), |c| {
            let (text, count) = (c.texts(0)?, c.numbers::<Int32Type>(1)?);
            c.make_texts(|row| {
                let (text, count) = (text.get(row)?, count.get(row)?.max(0) as usize);
                let skipped = text.chars().count().saturating_sub(count);
                Some(&text[place(text, skipped)..])
            })
        })
    }),
    pure("TRIM", "TRIM([BOTH | LEADING | TRAILING] [string1 FROM] string2)", |call| {
        call.count(1, 3)?;
        if call.len() == 1 {
            return trim(call, 0, None, true, true);
        }
        let side = call.literal_text(0).unwrap_or("BOTH").to_uppercase();
        let (head, tail) = (side != "TRAILING", side != "LEADING");
        trim(call, 2, Some(1), head, tail)
    }),
    pure("LTRIM", "LTRIM(string[, characters])", |call| trim_plain(call, true, false)),
    pure("RTRIM", "RTRIM(string[, characters])", |call| trim_plain(call, false, true)),
    pure("BTRIM", "BTRIM(string[, characters])", |call| {
        let trimmed = trim_plain(call, true, true)?;
        Ok(ResolvedCall { result: of(STRING, trimmed.result.nullable), ..trimmed })
    }),
    pure("REPEAT", "REPEAT(string, integer)", |call| {
        call.simple(&[Text, Int], STRING, |c| {
            let (text, count) = (c.texts(0)?, c.numbers::<Int32Type>(1)?);
            c.try_texts(|row| {
                let (Some(text), Some(count)) = (text.get(row), count.get(row)) else {
                    return Ok(None);
                };
                let count = count.max(0) as usize;
                bounded(text.len().saturating_mul(count))?;
                Ok(Some(text.repeat(count)))
            })
        })
    }),
    pure("LPAD", "LPAD(string1, length, string2)", |call| pad(call, true)),
    pure("RPAD", "RPAD(string1, length, string2)", |call| pad(call, false)),
    pure("REPLACE", "REPLACE(string1, string2, string3)", |call| {
        call.simple(&[Text, Text, Text], STRING, |c| {
            let (text, old, new) = (c.texts(0)?, c.texts(1)?, c.texts(2)?);
            c.try_texts(|row| {
                let (Some(text), Some(old), Some(new)) =
                    (text.get(row), old.get(row), new.get(row))
                else {
                    return Ok(None);
                };
                bounded(text.len() + text.matches(old).count().saturating_mul(new.len()))?;
                Ok(Some(text.replace(old, new)))
            })
        })
    }),
    pure("TRANSLATE", "TRANSLATE(string, from, to)", |call| {
        call.simple(&[Text, Text, Text], STRING, |c| {
            let (text, from, to) = (c.texts(0)?, c.texts(1)?, c.texts(2)?);
            c.make_texts(|row| {
                let (text, from, to) = (text.get(row)?, from.get(row)?, to.get(row)?);
                let from: Vec<char> = from.chars().collect();
                let to: Vec<char> = to.chars().collect();
                // The first place of a character counts; without a counterpart it is dropped.
                let translated =
                    text.chars().filter_map(|c| match from.iter().position(|f| *f == c) {
                        Some(place) => to.get(place).copied(),
                        None => Some(c),
                    });
                Some(translated.collect::<String>())
            })
        })
    }),
    pure("OVERLAY", "OVERLAY(string1 PLACING string2 FROM start [FOR length])", overlay),
    pure("ELT", "ELT(index, string1, ...)", |call| {
        call.count(2, usize::MAX)?;
        let mut wants = vec![Text; call.len()];
        wants[0] = Int;
        let common =
            crate::types::common_type(&call.types()[1..]).ok_or_else(|| call.mismatch())?;
        call.partial(2, &wants, common.kind, |c| {
            let index = c.numbers::<Int32Type>(0)?;
            let texts = (1..c.len()).map(|index| c.texts(index)).collect::<Result<Vec<_>, _>>()?;
            c.make_texts(|row| {
                let place = usize::try_from(index.get(row)?).ok()?.checked_sub(1)?;
                texts.get(place)?.get(row)
            })
        })
    }),
    pure("IS_ALPHA", "IS_ALPHA(string)", |call| {
        check(call, |_| false, |text| text.chars().all(char::is_alphabetic))
    }),
    pure("IS_DIGIT", "IS_DIGIT(string)", |call| {
        check(call, is_integer, |text| text.chars().all(char::is_numeric))
    }),
    pure("IS_DECIMAL", "IS_DECIMAL(string)", |call| {
        check(call, is_numeric, |text| crate::java::parse_double(text).is_some())
    }),
];

fn length(call: &Call<'_>) -> Resolved {
    call.simple(&[Text], SqlTypeKind::Int, |c| {
        let text = c.texts(0)?;
        c.make_numbers::<Int32Type>(|row| text.get(row).map(|text| text.chars().count() as i32))
    })
}

fn map(call: &Call<'_>, of: fn(&str) -> Option<Cow<'_, str>>) -> Resolved {
    call.simple(&[Text], call.kind(0).clone(), move |c| {
        let text = c.texts(0)?;
        c.make_texts(|row| of(text.get(row)?))
    })
}

/// The type of a part of a text, which varies.
fn varying(kind: &SqlTypeKind) -> SqlTypeKind {
    SqlTypeKind::Varchar(length_of(kind).unwrap_or(MAX_LENGTH))
}

/// A predicate that is false for NULL and for an empty text, and for numbers says what their type does.
fn check(
    call: &Call<'_>,
    of_number: fn(&SqlTypeKind) -> bool,
    holds: fn(&str) -> bool,
) -> Resolved {
    call.count(1, 1)?;
    let result = SqlDataType::not_null(SqlTypeKind::Boolean);
    if is_numeric(call.kind(0)) {
        let holds = of_number(call.kind(0));
        return Ok(call.settled(call.types(), result, move |c| {
            let (array, constant) = c.raw(0)?;
            let array = array.clone();
            c.make_booleans(|row| Some(holds && array.is_valid(if constant { 0 } else { row })))
        }));
    }
    call.optional(1, &[Text], result, move |c| {
        let text = c.texts(0)?;
        c.make_booleans(|row| {
            Some(text.get(row).is_some_and(|text| !text.is_empty() && holds(text)))
        })
    })
}

/// Refuses a text that would take too much memory.
pub(super) fn bounded(bytes: usize) -> Result<(), EvalError> {
    if bytes <= MAX_TEXT {
        return Ok(());
    }
    Err(EvalError::Value(format!("a text of {bytes} bytes is longer than {MAX_TEXT}")))
}

/// `||`: of texts, or of arrays.
fn concat_operator(call: &Call<'_>) -> Resolved {
    call.count(2, 2)?;
    let lengths = (crate::types::length_of(call.kind(0)), crate::types::length_of(call.kind(1)));
    let kind = match lengths {
        (Some(a), Some(b)) => {
            let sum = a.saturating_add(b).min(hurtig_sql_parser::types::bounds::MAX_LENGTH);
            match (call.kind(0), call.kind(1)) {
                (SqlTypeKind::Char(_), SqlTypeKind::Char(_)) => SqlTypeKind::Char(sum),
                _ => SqlTypeKind::Varchar(sum),
            }
        }
        _ => STRING,
    };
    call.simple(&[Text, Text], kind, |c| {
        let (left, right) = (c.texts(0)?, c.texts(1)?);
        let mut joined = String::new();
        let mut builder = arrow_array::builder::StringBuilder::with_capacity(c.rows, c.rows * 16);
        for row in 0..c.rows {
            match (left.get(row), right.get(row)) {
                (Some(left), Some(right)) => {
                    let length = left.len() + right.len();
                    crate::columns::check_bytes(builder.values_slice().len(), length)?;
                    joined.clear();
                    joined.push_str(left);
                    joined.push_str(right);
                    builder.append_value(&joined);
                }
                _ => builder.append_null(),
            }
        }
        crate::columns::count_made(builder.values_slice().len())?;
        Ok(std::sync::Arc::new(builder.finish()))
    })
}

/// The place of a character in the bytes; the end, if there are fewer.
pub(super) fn place(text: &str, characters: usize) -> usize {
    if text.is_ascii() {
        return characters.min(text.len());
    }
    text.char_indices().nth(characters).map_or(text.len(), |(place, _)| place)
}

fn substring(call: &Call<'_>) -> Resolved {
    call.partial(2, &[Text, Int, Int], varying(call.kind(0)), |c| {
        let (text, start) = (c.texts(0)?, c.numbers::<Int32Type>(1)?);
        let length = (c.len() > 2).then(|| c.numbers::<Int32Type>(2)).transpose()?;
        c.make_texts(|row| {
            let (text, start) = (text.get(row)?, start.get(row)?);
            let length = match &length {
                Some(length) => length.get(row)?,
                None => i32::MAX,
            };
            part(text, start, length)
        })
    })
}

/// From a place on, counted from 1, or from the end if negative; 0 is the first, too.
fn part(text: &str, start: i32, length: i32) -> Option<&str> {
    let length = usize::try_from(length).ok()?;
    let skipped = if start > 0 {
        start as usize - 1
    } else if start == 0 {
        0
    } else {
        let back = start.unsigned_abs() as usize;
        match text.chars().count().checked_sub(back) {
            Some(skipped) => skipped,
            None => return Some(""),
        }
    };
    let rest = &text[place(text, skipped)..];
    Some(&rest[..place(rest, length)])
}

fn trim_plain(call: &Call<'_>, head: bool, tail: bool) -> Resolved {
    call.count(1, 2)?;
    trim(call, 0, (call.len() == 2).then_some(1), head, tail)
}

fn trim(
    call: &Call<'_>,
    operand: usize,
    characters: Option<usize>,
    head: bool,
    tail: bool,
) -> Resolved {
    let wants = vec![Text; call.len()];
    call.simple(&wants, varying(call.kind(operand)), move |c| {
        let text = c.texts(operand)?;
        let characters = characters.map(|index| c.texts(index)).transpose()?;
        c.make_texts(|row| {
            let mut text = text.get(row)?;
            let set = match &characters {
                Some(characters) => characters.get(row)?,
                None => " ",
            };
            if head {
                text = text.trim_start_matches(|c| set.contains(c));
            }
            if tail {
                text = text.trim_end_matches(|c| set.contains(c));
            }
            Some(text)
        })
    })
}

fn pad(call: &Call<'_>, left: bool) -> Resolved {
    call.simple(&[Text, Int, Text], STRING, move |c| {
        let (text, length, fill) = (c.texts(0)?, c.numbers::<Int32Type>(1)?, c.texts(2)?);
        c.try_texts(|row| {
            let (Some(text), Some(length), Some(fill)) =
                (text.get(row), length.get(row), fill.get(row))
            else {
                return Ok(None);
            };
            let Ok(length) = usize::try_from(length) else { return Ok(None) };
            if fill.is_empty() {
                return Ok(None);
            }
            bounded(length)?;
            if text.is_ascii() && fill.is_ascii() {
                let kept = &text[..length.min(text.len())];
                let filled = fill.chars().cycle().take(length - kept.len());
                return Ok(Some(if left {
                    filled.chain(kept.chars()).collect::<String>()
                } else {
                    kept.chars().chain(filled).collect()
                }));
            }
            let text: Vec<u16> = text.encode_utf16().take(length).collect();
            let filled: Vec<u16> = fill.encode_utf16().collect();
            let filled = filled.iter().copied().cycle().take(length - text.len());
            let units: Vec<u16> = if left {
                filled.chain(text.iter().copied()).collect()
            } else {
                text.iter().copied().chain(filled).collect()
            };
            Ok(Some(print_utf16(&units)))
        })
    })
}

fn overlay(call: &Call<'_>) -> Resolved {
    let sum = |index| length_of(call.kind(index)).unwrap_or(MAX_LENGTH);
    let length = sum(0).saturating_add(sum(1)).min(MAX_LENGTH);
    let result = of(SqlTypeKind::Varchar(length), call.nullable());
    call.optional(3, &[Text, Text, Int, Int], result, |c| {
        let (text, new, start) = (c.texts(0)?, c.texts(1)?, c.numbers::<Int32Type>(2)?);
        let length = (c.len() > 3).then(|| c.numbers::<Int32Type>(3)).transpose()?;
        c.make_texts(|row| {
            let (text, new, start) = (text.get(row)?, new.get(row)?, start.get(row)?);
            let text: Vec<u16> = text.encode_utf16().collect();
            let new: Vec<u16> = new.encode_utf16().collect();
            let length = match &length {
                Some(length) => i64::from(length.get(row)?),
                None => new.len() as i64,
            };
            let start = i64::from(start);
            if start <= 0 || start > text.len() as i64 {
                return Some(print_utf16(&text));
            }
            let mut result = text[..start as usize - 1].to_vec();
            result.extend(&new);
            if length > 0 && start + length <= text.len() as i64 {
                result.extend(&text[(start - 1 + length) as usize..]);
            }
            Some(print_utf16(&result))
        })
    })
}

/// Java writes `?` for half of a pair.
fn print_utf16(units: &[u16]) -> String {
    char::decode_utf16(units.iter().copied()).map(|unit| unit.unwrap_or('?')).collect()
}

/// The first letter of each word in capitals, the others not; letters of ASCII only.
fn initcap(text: &str) -> String {
    let mut start = true;
    let capitalised = text.chars().map(|c| {
        let first = std::mem::replace(&mut start, !c.is_ascii_alphanumeric());
        if first { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
    });
    capitalised.collect()
}
