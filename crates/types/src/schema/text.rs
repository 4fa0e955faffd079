//! The text form.
//!
//! ```text
//! u64 string bytes ...       scalars
//! T?                         option
//! [T]   [T; 4]               sequence, array
//! map<K, V>                  map
//! (A, B)   (A,)   ()         tuple
//! {a: A, b: B}               struct
//! <A | B(T) | C(T, U) | D{a: T}>   enum
//! ^2                         what lies two levels further out
//! rust"path::Type"           known by name
//! ```
//! A name that is not made of letters, digits and underscores is quoted. Text comes from files:
//! parsing it never fails badly, only with `None`.

use std::fmt::{self, Display, Formatter, Write};

use super::Schema;

/// Deeper text is not parsed.
const MAX_DEPTH: u32 = 200;

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn write_quoted(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

fn write_name(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    if is_plain(name) { f.write_str(name) } else { write_quoted(f, name) }
}

fn write_list<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    separator: &str,
    mut each: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        each(f, item)?;
    }
    Ok(())
}

impl Display for Schema {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(name) => f.write_str(name),
            Self::Option(content) => write!(f, "{content}?"),
            Self::Sequence(element) => write!(f, "[{element}]"),
            Self::Array(element, length) => write!(f, "[{element}; {length}]"),
            Self::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Self::Tuple(fields) => {
                f.write_char('(')?;
                write_list(f, fields, ", ", |f, field| write!(f, "{field}"))?;
                f.write_str(if fields.len() == 1 { ",)" } else { ")" })
            }
            Self::Struct(fields) => {
                f.write_char('{')?;
                write_list(f, fields, ", ", |f, (name, field)| {
                    write_name(f, name)?;
                    write!(f, ": {field}")
                })?;
                f.write_char('}')
            }
            Self::Enum(variants) => {
                f.write_char('<')?;
                write_list(f, variants, " | ", |f, (name, content)| {
                    write_name(f, name)?;
                    match content {
                        Self::Tuple(fields) if fields.is_empty() => Ok(()),
                        Self::Tuple(fields) if fields.len() > 1 => write!(f, "{content}"),
                        Self::Struct(_) => write!(f, "{content}"),
                        _ => write!(f, "({content})"),
                    }
                })?;
                f.write_char('>')
            }
            Self::Enclosing(levels) => write!(f, "^{levels}"),
            Self::Opaque(name) => {
                f.write_str("rust")?;
                write_quoted(f, name)
            }
        }
    }
}

impl Schema {
    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Schema> {
        let mut parser = Parser { rest: text, depth: 0 };
        let schema = parser.schema()?;
        parser.rest.is_empty().then_some(schema)
    }
}

/// Reads `value by key`, or a value alone.
pub(super) fn parse_state(text: &str) -> Option<(Schema, Option<Schema>)> {
    let mut parser = Parser { rest: text, depth: 0 };
    let value = parser.schema()?;
    let key = if parser.eat(" by ") { Some(parser.schema()?) } else { None };
    parser.rest.is_empty().then_some((value, key))
}

struct Parser<'t> {
    rest: &'t str,
    depth: u32,
}

impl Parser<'_> {
    fn eat(&mut self, what: &str) -> bool {
        match self.rest.strip_prefix(what) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, what: &str) -> Option<()> {
        self.eat(what).then_some(())
    }

    fn number(&mut self) -> Option<u32> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok()
    }

    fn quoted(&mut self) -> Option<String> {
        self.expect("\"")?;
        let mut name = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(name);
                }
                '\\' => name.push(chars.next()?.1),
                c => name.push(c),
            }
        }
        None
    }

    fn name(&mut self) -> Option<String> {
        if self.rest.starts_with('"') {
            return self.quoted();
        }
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        is_plain(name).then(|| name.to_owned())
    }

    fn schema(&mut self) -> Option<Schema> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut schema = self.base()?;
        while self.eat("?") {
            schema = Schema::Option(Box::new(schema));
        }
        self.depth -= 1;
        Some(schema)
    }

    fn base(&mut self) -> Option<Schema> {
        if self.eat("[") {
            let element = Box::new(self.schema()?);
            let schema = if self.eat("; ") {
                Schema::Array(element, self.number()?)
            } else {
                Schema::Sequence(element)
            };
            self.expect("]")?;
            Some(schema)
        } else if self.eat("map<") {
            let key = self.schema()?;
            self.expect(", ")?;
            let value = self.schema()?;
            self.expect(">")?;
            Some(Schema::Map(Box::new(key), Box::new(value)))
        } else if self.rest.starts_with("rust\"") {
            self.expect("rust")?;
            self.quoted().map(Schema::Opaque)
        } else if self.rest.starts_with('(') {
            self.tuple().map(Schema::Tuple)
        } else if self.rest.starts_with('{') {
            self.fields()
        } else if self.eat("<") {
            self.variants()
        } else if self.eat("^") {
            self.number().map(Schema::Enclosing)
        } else {
            self.name().map(Schema::Scalar)
        }
    }

    fn tuple(&mut self) -> Option<Vec<Schema>> {
        self.expect("(")?;
        let mut fields = Vec::new();
        while !self.eat(")") {
            fields.push(self.schema()?);
            if !self.eat(", ") && !self.eat(",") {
                self.expect(")")?;
                break;
            }
        }
        Some(fields)
    }

    fn fields(&mut self) -> Option<Schema> {
        self.expect("{")?;
        let mut fields = Vec::new();
        while !self.eat("}") {
            if !fields.is_empty() {
                self.expect(", ")?;
            }
            let name = self.name()?;
            self.expect(": ")?;
            fields.push((name, self.schema()?));
        }
        Some(Schema::Struct(fields))
    }

    fn variants(&mut self) -> Option<Schema> {
        let mut variants = Vec::new();
        while !self.eat(">") {
            if !variants.is_empty() {
                self.expect(" | ")?;
            }
            let name = self.name()?;
            let content = if self.rest.starts_with('{') {
                self.fields()?
            } else if self.rest.starts_with('(') {
                let mut fields = self.tuple()?;
                match fields.pop() {
                    Some(only) if fields.is_empty() => only,
                    Some(last) => {
                        fields.push(last);
                        Schema::Tuple(fields)
                    }
                    None => return None,
                }
            } else {
                Schema::Tuple(Vec::new())
            };
            variants.push((name, content));
        }
        Some(Schema::Enum(variants))
    }
}
