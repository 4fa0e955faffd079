//! Identifiers and names of objects.

use std::hash::{Hash, Hasher};

use crate::span::Span;

/// An identifier. Its case counts, as in Flink; whether it was quoted does not.
#[derive(Clone, Debug)]
pub struct Ident {
    /// The name, without quotes.
    pub value: String,
    /// Whether it stood between back-ticks.
    pub quoted: bool,
    /// Where it stands.
    pub span: Span,
}

impl Ident {
    /// An identifier that no text has.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self { value: value.into(), quoted: false, span: Span::default() }
    }

    /// Whether it is this word, unquoted and in any case.
    #[must_use]
    pub fn is_word(&self, word: &str) -> bool {
        !self.quoted && self.value.eq_ignore_ascii_case(word)
    }
}

impl PartialEq for Ident {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Ident {}

impl Hash for Ident {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

/// Identifiers with points between them: `catalog.database.table`, `t.column.field`. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectName(pub Vec<Ident>);

impl ObjectName {
    /// From where to where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match (self.0.first(), self.0.last()) {
            (Some(first), Some(last)) => first.span.to(last.span),
            _ => Span::default(),
        }
    }

    /// The last identifier: the name without what it is in.
    #[must_use]
    pub fn last(&self) -> &str {
        self.0.last().map_or("", |ident| &ident.value)
    }

    /// Whether it is one word, in any case.
    #[must_use]
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&*self.0, [ident] if ident.value.eq_ignore_ascii_case(word))
    }
}

impl From<Ident> for ObjectName {
    fn from(ident: Ident) -> Self {
        Self(vec![ident])
    }
}
