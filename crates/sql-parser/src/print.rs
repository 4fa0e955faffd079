//! Trees as text: SQL that parses to an equal tree.
//!
//! Keywords are in capitals, one blank or comma between the parts, everything on one line, and
//! parentheses only where precedence asks for them. Identifiers keep the back-ticks that they had.

mod alter;
mod builtin;
mod expr;
mod from;
mod function;
mod literal;
mod matching;
mod query;
mod show;
mod statement;
mod table;

use std::fmt::{self, Display};

use crate::{
    ast::{Ident, ObjectName},
    keywords::is_reserved,
};

/// How strongly operators bind, as in Calcite.
pub(crate) mod precedence {
    use crate::ast::BinaryOperator;

    pub const LOWEST: u8 = 0;
    pub const OR: u8 = 22;
    pub const AND: u8 = 24;
    pub const NOT: u8 = 26;
    pub const IS: u8 = 28;
    pub const COMPARE: u8 = 30;
    pub const LIKE: u8 = 32;
    pub const ADD: u8 = 40;
    pub const MULTIPLY: u8 = 60;
    pub const SIGN: u8 = 80;
    pub const HIGHEST: u8 = 100;

    pub fn of_binary(operator: BinaryOperator) -> u8 {
        match operator {
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::MultisetUnion(_)
            | BinaryOperator::MultisetExcept(_) => ADD,
            BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
            | BinaryOperator::Concat
            | BinaryOperator::MultisetIntersect(_) => MULTIPLY,
            _ => COMPARE,
        }
    }
}

/// A name between back-ticks.
pub(crate) struct QuotedName<'a>(pub &'a str);

impl fmt::Display for QuotedName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.replace('`', "``"))
    }
}

/// A text between quotes.
pub(crate) struct TextLiteral<'a>(pub &'a str);

impl fmt::Display for TextLiteral<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

/// Items with a separator between them.
pub(crate) struct Separated<'a, T>(pub &'a [T], pub &'a str);

impl<T: fmt::Display> fmt::Display for Separated<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(self.1)?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

/// Items with commas between them.
pub(crate) fn commas<T>(items: &[T]) -> Separated<'_, T> {
    Separated(items, ", ")
}

/// A word if it is wanted, with a blank behind it.
pub(crate) fn word(wanted: bool, word: &'static str) -> &'static str {
    if wanted { word } else { "" }
}

impl Ident {
    /// As the name of a function, where reserved words are names without quotes.
    fn write_bare(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.value.chars();
        let plain = characters.next().is_some_and(|c| c == '_' || c.is_alphabetic())
            && characters.all(|c| c == '_' || c == '$' || c.is_alphanumeric());
        if plain && !self.quoted {
            f.write_str(&self.value)
        } else {
            QuotedName(&self.value).fmt(f)
        }
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_reserved(&self.value) { QuotedName(&self.value).fmt(f) } else { self.write_bare(f) }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Separated(&self.0, ".").fmt(f)
    }
}
