//! What tokens there are.

use crate::span::Span;

/// A token: what it is and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

/// Kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A keyword or an identifier without quotes.
    Word,
    /// An identifier between back-ticks.
    QuotedIdentifier,
    /// Digits.
    Integer,
    /// Digits with a point.
    Decimal,
    /// Digits with an exponent.
    Approximate,
    /// `'...'`
    Text,
    /// `N'...'` or `_UTF8'...'`
    PrefixedText,
    /// `U&'...'`
    UnicodeText,
    /// `E'...'`
    EscapedText,
    /// `X'...'`
    Binary,
    /// Punctuation and operators.
    Symbol(Symbol),
    /// The end of the text.
    End,
}

macro_rules! symbols {
    ($($name:ident $text:literal,)*) => {
        /// Punctuation and operators.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Symbol {
            $($name,)*
        }

        impl Symbol {
            /// All, a longer one before those that it begins with.
            pub(super) const ALL: &[(&str, Self)] = &[$(($text, Self::$name),)*];

            /// As it is written.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

symbols! {
    HintStart "/*+",
    HintEnd "*/",
    Arrow "=>",
    LessOrEqual "<=",
    GreaterOrEqual ">=",
    NotEqual "<>",
    BangEqual "!=",
    Concat "||",
    LeftParen "(",
    RightParen ")",
    LeftBracket "[",
    RightBracket "]",
    LeftBrace "{",
    RightBrace "}",
    Semicolon ";",
    Dot ".",
    Comma ",",
    Equal "=",
    Greater ">",
    Less "<",
    Question "?",
    Colon ":",
    Plus "+",
    Minus "-",
    Star "*",
    Slash "/",
    Percent "%",
    Bar "|",
    Caret "^",
    Dollar "$",
}
