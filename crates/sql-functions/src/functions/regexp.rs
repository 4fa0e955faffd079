//! Regular expressions, LIKE and SIMILAR TO.
//!
//! Java's syntax is nearly that of the `regex` crates. What needs to look around or back is matched
//! by backtracking, which is bounded.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{
    builder::{ListBuilder, StringBuilder},
    types::Int32Type,
};
use fancy_regex::Regex;
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    api::CallError,
    call::{Builtin, Call, Resolved, Want, pure},
    cast::labelled,
    columns::Columns,
    types::{STRING, of},
};

use Want::{Int, Text};

/// Patterns that one batch keeps compiled. Beyond it, all are forgotten.
const MAX_PATTERNS: usize = 256;
/// The longest pattern: compiling takes time and memory by its length.
const MAX_PATTERN_BYTES: usize = 32 << 10;

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("LIKE", "string LIKE pattern [ESCAPE char]", |call| like(call, Syntax::Like)),
    pure("SIMILAR TO", "string SIMILAR TO pattern [ESCAPE char]", |call| {
        like(call, Syntax::Similar)
    }),
    pure("SIMILAR", "string SIMILAR TO pattern [ESCAPE char]", |call| like(call, Syntax::Similar)),
    pure("REGEXP", "REGEXP(string, regex)", regexp),
    pure("REGEXP_EXTRACT", "REGEXP_EXTRACT(string, regex[, group])", |call| {
        call.partial(2, &[Text, Text, Int], STRING, |c| {
            let (text, pattern) = (c.texts(0)?, c.texts(1)?);
            let group = (c.len() > 2).then(|| c.numbers::<Int32Type>(2)).transpose()?;
            let mut patterns = Cache::default();
            c.make_texts(|row| {
                let (text, pattern) = (text.get(row)?, patterns.get(pattern.get(row)?)?);
                let group = match &group {
                    Some(group) => usize::try_from(group.get(row)?).ok()?,
                    None => 0,
                };
                let found = pattern.captures(text).ok()??;
                Some(found.get(group)?.as_str())
            })
        })
    }),
    pure("REGEXP_REPLACE", "REGEXP_REPLACE(string1, regex, string2)", |call| {
        call.partial(3, &[Text, Text, Text], STRING, |c| {
            let (text, pattern, new) = (c.texts(0)?, c.texts(1)?, c.texts(2)?);
            let mut patterns = Cache::default();
            c.try_texts(|row| {
                let (Some(text), Some(pattern), Some(new)) =
                    (text.get(row), pattern.get(row), new.get(row))
                else {
                    return Ok(None);
                };
                let Some(pattern) = patterns.get(pattern) else { return Ok(None) };
                replaced(&pattern, text, new)
            })
        })
    }),
    pure("REGEXP_COUNT", "REGEXP_COUNT(string, regex)", |call| {
        call.partial(2, &[Text, Text], SqlTypeKind::Int, |c| {
            numbers(c, |text, pattern| {
                i32::try_from(pattern.find_iter(text).take_while(Result::is_ok).count()).ok()
            })
        })
    }),
    pure("REGEXP_INSTR", "REGEXP_INSTR(string, regex)", |call| {
        call.partial(2, &[Text, Text], SqlTypeKind::Int, |c| {
            numbers(c, |text, pattern| {
                let found = pattern.find(text).ok()?;
                Some(
                    found
                        .map_or(0, |found| text[..found.start()].encode_utf16().count() as i32 + 1),
                )
            })
        })
    }),
    pure("REGEXP_SUBSTR", "REGEXP_SUBSTR(string, regex)", |call| {
        call.partial(2, &[Text, Text], STRING, |c| {
            let (text, pattern) = (c.texts(0)?, c.texts(1)?);
            let mut patterns = Cache::default();
            c.make_texts(|row| {
                let (text, pattern) = (text.get(row)?, patterns.get(pattern.get(row)?)?);
                Some(pattern.find(text).ok()??.as_str())
            })
        })
    }),
    pure("REGEXP_EXTRACT_ALL", "REGEXP_EXTRACT_ALL(string, regex[, group])", extract_all),
];

/// A text with another one in the place of each match. None if the pattern gives up.
fn replaced(pattern: &Regex, text: &str, new: &str) -> Result<Option<String>, EvalError> {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for found in pattern.find_iter(text) {
        let Ok(found) = found else { return Ok(None) };
        super::strings::bounded(out.len() + (found.start() - from) + new.len())?;
        out.push_str(&text[from..found.start()]);
        out.push_str(new);
        from = found.end();
    }
    super::strings::bounded(out.len() + text.len() - from)?;
    out.push_str(&text[from..]);
    Ok(Some(out))
}

/// Compiled patterns.
#[derive(Default)]
pub(super) struct Cache(HashMap<String, Option<Arc<Regex>>>);

impl Cache {
    /// The pattern, if it is one.
    pub fn get(&mut self, pattern: &str) -> Option<Arc<Regex>> {
        if let Some(found) = self.0.get(pattern) {
            return found.clone();
        }
        if self.0.len() >= MAX_PATTERNS {
            self.0.clear();
        }
        // What is too long is none, like what is wrong.
        let fits = pattern.len() <= MAX_PATTERN_BYTES;
        let compiled = fits.then(|| Regex::new(&of_ascii(pattern)).ok().map(Arc::new)).flatten();
        self.0.insert(pattern.to_owned(), compiled.clone());
        compiled
    }

    fn required(&mut self, pattern: &str) -> Result<Arc<Regex>, EvalError> {
        let wrong = || EvalError::Value(format!("'{pattern}' is no regular expression"));
        self.get(pattern).ok_or_else(wrong)
    }

    /// Splits as `String.split`: empty parts at the end do not count.
    pub fn split<'a>(&mut self, pattern: &str, text: &'a str) -> Result<Vec<&'a str>, EvalError> {
        let pattern = self.required(pattern)?;
        let parts = pattern.split(text).collect::<Result<Vec<_>, _>>();
        let mut parts = parts.map_err(|error| EvalError::Value(error.to_string()))?;
        // A text without a match is its only part, whatever it is.
        let found = parts.len() > 1;
        while found && parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        Ok(parts)
    }

    /// Splits at the first match.
    pub fn split_in_two<'a>(
        &mut self,
        pattern: &str,
        text: &'a str,
    ) -> Result<Option<(&'a str, &'a str)>, EvalError> {
        let found = self.required(pattern)?.find(text);
        let found = found.map_err(|error| EvalError::Value(error.to_string()))?;
        Ok(found.map(|found| (&text[..found.start()], &text[found.end()..])))
    }
}

/// A pattern whose classes `\w`, `\d` and `\s` are of ASCII, as Java's are.
fn of_ascii(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    let mut inside = false;
    while let Some(c) = characters.next() {
        if c != '\\' {
            // Nested classes do not matter: what a class stands for may be in either.
            inside = match c {
                '[' => true,
                ']' => false,
                _ => inside,
            };
            out.push(c);
            continue;
        }
        let next = characters.next();
        let class = match next {
            Some('w' | 'W') => "0-9A-Za-z_",
            Some('d' | 'D') => "0-9",
            Some('s' | 'S') => " \\t\\n\\x0B\\f\\r",
            other => {
                out.push('\\');
                out.extend(other);
                continue;
            }
        };
        match (next.is_some_and(char::is_uppercase), inside) {
            (false, true) => out.push_str(class),
            (false, false) => out.push_str(&format!("[{class}]")),
            (true, _) => out.push_str(&format!("[^{class}]")),
        }
    }
    out
}

fn numbers(c: &Columns<'_>, of: impl Fn(&str, &Regex) -> Option<i32>) -> crate::columns::Evaluated {
    let (text, pattern) = (c.texts(0)?, c.texts(1)?);
    let mut patterns = Cache::default();
    c.make_numbers::<Int32Type>(|row| {
        let (text, pattern) = (text.get(row)?, patterns.get(pattern.get(row)?)?);
        of(text, &pattern)
    })
}

fn regexp(call: &Call<'_>) -> Resolved {
    call.simple(&[Text, Text], SqlTypeKind::Boolean, |c| {
        let (text, pattern) = (c.texts(0)?, c.texts(1)?);
        let mut patterns = Cache::default();
        c.make_booleans(|row| {
            let (text, pattern) = (text.get(row)?, pattern.get(row)?);
            // Neither an empty pattern nor a wrong one matches.
            let found = patterns.get(pattern).filter(|_| !pattern.is_empty());
            Some(found.is_some_and(|pattern| pattern.is_match(text).unwrap_or(false)))
        })
    })
}

fn extract_all(call: &Call<'_>) -> Resolved {
    let result = SqlTypeKind::Array(Box::new(SqlDataType::nullable(STRING)));
    let label = SqlDataType::nullable(result.clone());
    call.partial(2, &[Text, Text, Int], result, move |c| {
        let (text, pattern) = (c.texts(0)?, c.texts(1)?);
        let group = (c.len() > 2).then(|| c.numbers::<Int32Type>(2)).transpose()?;
        let mut patterns = Cache::default();
        let mut builder = ListBuilder::new(StringBuilder::new());
        for row in 0..c.rows {
            let group = group.as_ref().map_or(Some(1), |group| group.get(row));
            let pattern = pattern.get(row).and_then(|pattern| patterns.get(pattern));
            let (Some(text), Some(pattern), Some(group)) = (text.get(row), pattern, group) else {
                builder.append_null();
                continue;
            };
            match usize::try_from(group) {
                Ok(group) if group < pattern.captures_len() => {
                    for found in pattern.captures_iter(text).map_while(Result::ok) {
                        let part = found.get(group).map(|part| part.as_str());
                        builder.values().append_option(part);
                    }
                    builder.append(true);
                }
                _ => builder.append_null(),
            }
        }
        labelled(&(Arc::new(builder.finish()) as _), &label)
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    Like,
    Similar,
}

fn like(call: &Call<'_>, syntax: Syntax) -> Resolved {
    let result = of(SqlTypeKind::Boolean, call.nullable());
    if call.kind(1) == &SqlTypeKind::Null {
        return Err(call.mismatch());
    }
    // What is wrong with a constant pattern is found when the query is planned.
    if let Some(pattern) = call.literal_text(1)
        && (call.len() == 2 || call.literal_text(2).is_some())
    {
        let escape = call.literal_text(2).map(one_character).transpose();
        let compiled = escape.and_then(|escape| compile(pattern, escape, syntax));
        compiled.map_err(|error| CallError(error.to_string()))?;
    }
    call.optional(2, &[Text, Text, Text], result, move |c| {
        let (text, pattern) = (c.texts(0)?, c.texts(1)?);
        let escape = (c.len() > 2).then(|| c.texts(2)).transpose()?;
        let mut known: HashMap<(String, Option<char>), Arc<regex::Regex>> = HashMap::new();
        let mut matcher = |pattern: &str, escape: Option<&str>| {
            let escape = match escape {
                None => None,
                Some(escape) => Some(one_character(escape)?),
            };
            let key = (pattern.to_owned(), escape);
            if let Some(found) = known.get(&key) {
                return Ok::<_, EvalError>(found.clone());
            }
            if known.len() >= MAX_PATTERNS {
                known.clear();
            }
            let compiled = Arc::new(compile(pattern, escape, syntax)?);
            known.insert(key, compiled.clone());
            Ok(compiled)
        };
        // A constant pattern is compiled once.
        let constant = match (pattern.constant(), &escape) {
            (Some(pattern), None) => Some(matcher(pattern, None)?),
            (Some(pattern), Some(escape)) => match escape.constant() {
                Some(escape) => Some(matcher(pattern, Some(escape))?),
                None => None,
            },
            _ => None,
        };
        let mut builder = arrow_array::BooleanArray::builder(c.rows);
        for row in 0..c.rows {
            let (Some(text), Some(pattern)) = (text.get(row), pattern.get(row)) else {
                builder.append_null();
                continue;
            };
            if let Some(constant) = &constant {
                builder.append_value(constant.is_match(text));
                continue;
            }
            match &escape {
                None => builder.append_value(matcher(pattern, None)?.is_match(text)),
                Some(escape) => match escape.get(row) {
                    None => builder.append_null(),
                    Some(escape) => {
                        builder.append_value(matcher(pattern, Some(escape))?.is_match(text));
                    }
                },
            }
        }
        Ok(Arc::new(builder.finish()))
    })
}

fn one_character(escape: &str) -> Result<char, EvalError> {
    let mut characters = escape.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => Ok(character),
        _ => Err(EvalError::Value(format!("Invalid escape character '{escape}'"))),
    }
}

fn compile(pattern: &str, escape: Option<char>, syntax: Syntax) -> Result<regex::Regex, EvalError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        let length = pattern.len();
        let message = format!("a pattern of {length} bytes is longer than {MAX_PATTERN_BYTES}");
        return Err(EvalError::Value(message));
    }
    let translated = match syntax {
        Syntax::Similar => similar_pattern(pattern, escape)?,
        // Without ESCAPE nothing escapes.
        Syntax::Like => like_pattern(pattern, escape)?,
    };
    // `_` is a character of the line, as in Java.
    regex::Regex::new(&format!("\\A(?:{translated})\\z"))
        .map_err(|_| EvalError::Value(format!("Invalid regular expression '{pattern}'")))
}

fn wrong_escape(pattern: &str, place: usize) -> EvalError {
    EvalError::Value(format!("Invalid escape sequence '{pattern}', {place}"))
}

fn like_pattern(pattern: &str, escape: Option<char>) -> Result<String, EvalError> {
    let mut out = String::with_capacity(pattern.len() * 2);
    let mut characters = pattern.chars().enumerate();
    while let Some((place, c)) = characters.next() {
        match c {
            c if Some(c) == escape => match characters.next() {
                Some((_, next)) if next == '_' || next == '%' || next == c => {
                    out.push_str(&regex::escape(next.encode_utf8(&mut [0; 4])));
                }
                _ => return Err(wrong_escape(pattern, place)),
            },
            '_' => out.push_str("[^\\n\\r\\x{85}\\x{2028}\\x{2029}]"),
            '%' => out.push_str("(?s:.*)"),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    Ok(out)
}

/// SIMILAR TO: regular expressions with `_` and `%`.
fn similar_pattern(pattern: &str, escape: Option<char>) -> Result<String, EvalError> {
    const SPECIALS: &str = "_%^-+|?*()[]{}\\$.";
    const CLASSES: [&str; 7] = [
        "[:ALPHA:]",
        "[:UPPER:]",
        "[:LOWER:]",
        "[:DIGIT:]",
        "[:SPACE:]",
        "[:WHITESPACE:]",
        "[:ALNUM:]",
    ];
    let wrong = || EvalError::Value(format!("Invalid regular expression '{pattern}'"));
    let mut out = String::with_capacity(pattern.len() * 2);
    let mut inside = false;
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let place = pattern.len() - rest.len();
        rest = &rest[c.len_utf8()..];
        if Some(c) == escape {
            let next = rest.chars().next().ok_or_else(|| wrong_escape(pattern, place))?;
            if !SPECIALS.contains(next) && Some(next) != escape {
                return Err(wrong_escape(pattern, place));
            }
            rest = &rest[next.len_utf8()..];
            out.push_str(&regex::escape(next.encode_utf8(&mut [0; 4])));
            continue;
        }
        if inside {
            if c == '[' {
                let whole = &pattern[place..];
                let class = CLASSES.iter().find(|class| {
                    whole.get(..class.len()).is_some_and(|head| head.eq_ignore_ascii_case(class))
                });
                let class = class.ok_or_else(wrong)?;
                out.push_str(&class.to_lowercase().replace("whitespace", "space"));
                rest = &whole[class.len()..];
            } else {
                inside = c != ']';
                if matches!(c, '&' | '~' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
            continue;
        }
        match c {
            '_' => out.push_str("[^\\n\\r\\x{85}\\x{2028}\\x{2029}]"),
            '%' => out.push_str("(?s:.*)"),
            '[' => {
                inside = true;
                out.push('[');
            }
            ']' => return Err(wrong()),
            '\\' => out.push_str("\\\\"),
            '$' => out.push_str("\\$"),
            c => out.push(c),
        }
    }
    if inside { Err(wrong()) } else { Ok(out) }
}
