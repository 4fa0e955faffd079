//! JSON documents as Flink's functions see them, which read them with Jackson: numbers keep their
//! digits (`1e2` is the decimal `1E+2`, not a double), fields keep their order, the last field of a
//! name counts, and what follows the first value is not looked at.

use std::collections::HashMap;

/// How deep a document may be nested: Jackson's bound.
const MAX_DEPTH: usize = 1000;
/// How long a number may be: Jackson's bound.
const MAX_NUMBER_LENGTH: usize = 1000;

/// A document, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Boolean(bool),
    /// Its digits as Java prints them.
    Integer(String),
    /// As `BigDecimal.toString` prints it.
    Decimal(String),
    Text(String),
    Array(Vec<Json>),
    /// No name comes twice.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads the first value of a text. `None`: it is broken, or too deep.
    pub fn parse(text: &str) -> Option<Self> {
        Reader { text: text.as_bytes(), at: 0 }.document()
    }

    /// A field of an object.
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => {
                fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// True of what is no array and no object.
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Object(_))
    }
}

/// A collection that is not complete yet.
enum Open {
    Array(Vec<Json>),
    /// The name is that of the value that comes next.
    Object(Vec<(String, Json)>, String),
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Keeps what is open on a stack of its own, so that depth costs memory alone.
    fn document(mut self) -> Option<Json> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match self.peek()? {
                b'[' | b'{' if open.len() >= MAX_DEPTH => return None,
                b'[' => {
                    self.at += 1;
                    if self.peek()? != b']' {
                        open.push(Open::Array(Vec::new()));
                        continue;
                    }
                    self.at += 1;
                    Json::Array(Vec::new())
                }
                b'{' => {
                    self.at += 1;
                    if self.peek()? != b'}' {
                        open.push(Open::Object(Vec::new(), self.name()?));
                        continue;
                    }
                    self.at += 1;
                    Json::Object(Vec::new())
                }
                b'"' => Json::Text(self.string()?),
                b't' => self.word("true", Json::Boolean(true))?,
                b'f' => self.word("false", Json::Boolean(false))?,
                b'n' => self.word("null", Json::Null)?,
                _ => self.number(open.is_empty())?,
            };
            // Complete collections are values of those around them.
            loop {
                let Some(innermost) = open.last_mut() else { return Some(value) };
                let separator = self.peek()?;
                self.at += 1;
                match (innermost, separator) {
                    (Open::Array(values), b',') => {
                        values.push(value);
                        break;
                    }
                    (Open::Object(fields, name), b',') => {
                        fields.push((std::mem::take(name), value));
                        let next = self.name()?;
                        if let Some(Open::Object(_, name)) = open.last_mut() {
                            *name = next;
                        }
                        break;
                    }
                    (Open::Array(_), b']') | (Open::Object(..), b'}') => {}
                    _ => return None,
                }
                value = match open.pop()? {
                    Open::Array(mut values) => {
                        values.push(value);
                        Json::Array(values)
                    }
                    Open::Object(mut fields, name) => {
                        fields.push((name, value));
                        Json::Object(unique(fields))
                    }
                };
            }
        }
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        if self.peek()? != b'"' {
            return None;
        }
        let name = self.string()?;
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        Some(name)
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        self.at += self.text[self.at..].starts_with(word.as_bytes()).then_some(word.len())?;
        let follows = self.text.get(self.at);
        let ends =
            follows.is_none_or(|byte| !(byte.is_ascii_alphanumeric() || b"_$".contains(byte)));
        ends.then_some(value)
    }

    fn digits(&mut self) -> usize {
        let begin = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - begin
    }

    /// At the top a blank or nothing must follow.
    fn number(&mut self, at_top: bool) -> Option<Json> {
        let begin = self.at;
        let negative = self.text.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let whole = self.at;
        let count = self.digits();
        if count == 0 || (count > 1 && self.text[whole] == b'0') {
            return None;
        }
        let mut digits = self.text[whole..self.at].to_vec();
        let mut fraction = 0;
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            let first = self.at;
            fraction = self.digits();
            if fraction == 0 {
                return None;
            }
            digits.extend_from_slice(&self.text[first..self.at]);
        }
        let mut exponent = None;
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            let first = self.at;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return None;
            }
            let text = std::str::from_utf8(&self.text[first..self.at]).ok()?;
            // Java's scales are 32 bits wide.
            exponent = Some(i64::from(text.parse::<i32>().ok()?));
        }
        let follows = self.text.get(self.at);
        if self.at - begin > MAX_NUMBER_LENGTH
            || at_top && follows.is_some_and(|byte| !b" \t\n\r".contains(byte))
        {
            return None;
        }
        let digits = String::from_utf8(digits).ok()?;
        if fraction == 0 && exponent.is_none() {
            let sign = if negative && digits != "0" { "-" } else { "" };
            return Some(Json::Integer(format!("{sign}{digits}")));
        }
        let scale = fraction as i64 - exponent.unwrap_or(0);
        Some(Json::Decimal(decimal_text(negative, &digits, scale)))
    }

    fn string(&mut self) -> Option<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let begin = self.at;
            while self.text.get(self.at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..b' '))
            {
                self.at += 1;
            }
            // Quotes and backslashes are no part of longer characters.
            out.push_str(std::str::from_utf8(&self.text[begin..self.at]).ok()?);
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Some(out),
                b'\\' => out.push(self.escape()?),
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        Some(match byte {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'"' | b'\\' | b'/' => char::from(byte),
            b'u' => {
                let unit = self.unit()?;
                if (0xD800..0xDC00).contains(&unit)
                    && self.text[self.at..].starts_with(b"\\u")
                    && let before = self.at
                    && let Some(low) = {
                        self.at += 2;
                        self.unit()
                    }
                {
                    if (0xDC00..0xE000).contains(&low) {
                        let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                        return char::from_u32(code);
                    }
                    self.at = before;
                }
                // Half a pair is what Java writes for it in UTF-8.
                char::from_u32(unit).unwrap_or('?')
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let all = digits.iter().all(u8::is_ascii_hexdigit);
        let text = std::str::from_utf8(digits).ok().filter(|_| all)?;
        self.at += 4;
        u32::from_str_radix(text, 16).ok()
    }
}

/// Of fields of one name the last value counts, at the first's place.
fn unique(fields: Vec<(String, Json)>) -> Vec<(String, Json)> {
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(fields.len());
    let of: Vec<usize> = fields
        .iter()
        .map(|(name, _)| {
            let next = places.len();
            *places.entry(name).or_insert(next)
        })
        .collect();
    if places.len() == fields.len() {
        return fields;
    }
    let mut kept: Vec<(String, Json)> = Vec::with_capacity(places.len());
    for (place, field) in of.into_iter().zip(fields) {
        match kept.get_mut(place) {
            Some(known) => known.1 = field.1,
            None => kept.push(field),
        }
    }
    kept
}

/// `BigDecimal.toString` of digits and a scale.
fn decimal_text(negative: bool, digits: &str, scale: i64) -> String {
    let digits = digits.trim_start_matches('0');
    let (digits, negative) = if digits.is_empty() { ("0", false) } else { (digits, negative) };
    let sign = if negative { "-" } else { "" };
    let adjusted = digits.len() as i64 - 1 - scale;
    if scale < 0 || adjusted < -6 {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let plus = if adjusted > 0 { "+" } else { "" };
        return format!("{sign}{first}{point}{rest}E{plus}{adjusted}");
    }
    // Not negative, and at most the digits and six zeros.
    let scale = scale as usize;
    match digits.len().checked_sub(scale) {
        _ if scale == 0 => format!("{sign}{digits}"),
        Some(whole) if whole > 0 => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
        _ => format!("{sign}0.{digits:0>scale$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        let mut out = String::new();
        match Json::parse(text) {
            Some(document) => crate::json::write::document(&document, &mut out),
            None => out.push_str("broken"),
        }
        out
    }

    #[test]
    fn documents_are_read_as_jackson_reads_them() {
        for (text, expected) in [
            (
                r#" {"b": [1, -0, 1.50, 1e2, 0.0000001, -0.0], "a": null} x"#,
                r#"{"a":null,"b":[1,0,1.50,1E+2,1E-7,0.0]}"#,
            ),
            ("12.5E3", "1.25E+4"),
            ("9007199254740993", "9007199254740993"),
            ("123456789012345678901234567890.10", "123456789012345678901234567890.10"),
            (r#"{"a": 1, "b": 2, "a": 3}"#, r#"{"a":3,"b":2}"#),
            (r#""\u00e9\ud83d\ude00\ud83d!""#, "\"é😀?!\""),
            ("[[],{}]", "[[],{}]"),
            ("42 and more", "42"),
        ] {
            assert_eq!(printed(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_broken_is_no_document() {
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        let long = "1".repeat(MAX_NUMBER_LENGTH + 1);
        for text in [
            "",
            " ",
            "nul",
            "nullx",
            "42x",
            "01",
            "1.",
            "-",
            "1e",
            "'a'",
            "\"a",
            "\"\n\"",
            "[1,]",
            "{\"a\" 1}",
            "{a: 1}",
            "{\"a\": 1,}",
            "[1}",
            "\"\\x\"",
            "\"\\u12\"",
            "NaN",
            &deep,
            &long,
            "1e99999999999",
        ] {
            assert_eq!(Json::parse(text), None, "{text:.40}");
        }
        let deep = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        assert!(Json::parse(&deep).is_some());
    }
}
