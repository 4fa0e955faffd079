//! What is wrong with a record, and where.

use std::fmt;

/// Most bytes of a record that an error quotes.
const QUOTED_BYTES: usize = 1000;

/// A record that cannot be decoded. Nothing of it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where, in bytes from the record's start.
    pub offset: usize,
    /// What is wrong, with the record's beginning, for people.
    pub message: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

/// A fault at a place, without texts: those with `ignore-parse-errors` are many and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) kind: FaultKind,
    /// The field of the outermost row in which it is.
    pub(crate) field: Option<u16>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The record ends too early.
    End,
    /// A byte that cannot be there.
    Unexpected(u8),
    /// Brackets within brackets.
    Depth,
    /// Bytes that are no UTF-8.
    Utf8,
    /// No value of the column's type.
    Value(&'static str),
    /// A number that the type does not hold.
    Range(&'static str),
    /// NULL in a column that is NOT NULL.
    Null,
    /// `fail-on-missing-field`.
    Missing,
    /// Fields of a CSV line.
    Arity {
        /// That many.
        found: u32,
        /// Instead of that many.
        expected: u32,
    },
    /// What a change message must have and has not.
    Change(&'static str),
    /// A batch would exceed what a column holds.
    TooLarge,
    /// A column is not what the decoder takes it for.
    Internal,
}

impl FaultKind {
    pub(crate) fn at(self, at: usize) -> Fault {
        Fault { at, kind: self, field: None }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("it ends too early"),
            Self::Unexpected(byte) => {
                write!(f, "unexpected character '{}'", (*byte as char).escape_default())
            }
            Self::Depth => f.write_str("it is nested too deeply"),
            Self::Utf8 => f.write_str("bytes that are not valid in its character set"),
            Self::Value(wanted) => write!(f, "no {wanted}"),
            Self::Range(wanted) => write!(f, "out of the range of {wanted}"),
            Self::Null => f.write_str("NULL for a column that is NOT NULL"),
            Self::Missing => f.write_str("Some field is missing in the JSON data"),
            Self::Arity { found, expected } => {
                write!(f, "Row length mismatch. {expected} fields expected but was {found}")
            }
            Self::Change(what) => f.write_str(what),
            Self::TooLarge => f.write_str("a batch would exceed 2 GiB"),
            Self::Internal => f.write_str("internal: a column is not of its type"),
        }
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        kind.at(0)
    }
}

impl Fault {
    /// In the field of the outermost row, if it has none yet.
    pub(crate) fn in_field(mut self, field: usize) -> Self {
        self.field = Some(field as u16);
        self
    }

    /// As an error: `what` could not be done with `record`.
    pub(crate) fn explain(self, what: &str, record: &[u8], field: Option<&str>) -> DecodeError {
        let field = field.map(|name| format!(" at field: {name}")).unwrap_or_default();
        let message = format!(
            "{what} '{}'. Fail to deserialize{field}: {}, at byte {} of it.",
            quote(record),
            self.kind,
            self.at
        );
        DecodeError { offset: self.at, message }
    }
}

/// The beginning of a record.
pub(crate) fn quote(record: &[u8]) -> String {
    let shown = &record[..record.len().min(QUOTED_BYTES)];
    let text = String::from_utf8_lossy(shown);
    if shown.len() < record.len() { format!("{text}...") } else { text.into_owned() }
}
