//! From text to tokens.
//!
//! A [`Lexer`] gives one token after the other and allocates nothing: a token is a kind and a span.
//! What a literal or a quoted identifier means is found by [`text`] when the grammar asks for it.
//! White space and comments are skipped, but hints (`/*+ ... */`) are tokens.
//!
//! Comments do not nest. `//` begins a comment too, as in Flink. There are no double-quoted
//! identifiers: Flink's parser runs with back-ticks only.

pub(crate) mod text;
mod token;

pub(crate) use token::{Symbol, Token, TokenKind};

use crate::{
    error::{SqlErrorKind, SqlParseError},
    span::Span,
};

/// Splits a text into tokens.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

type LexResult<T> = std::result::Result<T, SqlParseError>;

impl<'a> Lexer<'a> {
    /// Starts at a byte of the source, which must be between characters.
    pub fn new(source: &'a str, at: usize) -> Self {
        Self { source, at }
    }

    /// The next token; at the end, [`TokenKind::End`] again and again.
    pub fn next_token(&mut self) -> LexResult<Token> {
        self.skip_blanks()?;
        let start = self.at;
        let bytes = self.source.as_bytes();
        let Some(&first) = bytes.get(start) else {
            return Ok(Token { kind: TokenKind::End, span: Span::new(start, start) });
        };
        let kind = match first {
            b'\'' => self.quoted(b'\'', 0, TokenKind::Text)?,
            b'`' => self.quoted(b'`', 0, TokenKind::QuotedIdentifier)?,
            b'0'..=b'9' => self.number(),
            b'.' if bytes.get(start + 1).is_some_and(u8::is_ascii_digit) => self.number(),
            _ if self.starts_word() => self.word()?,
            _ => self.symbol()?,
        };
        Ok(Token { kind, span: Span::new(start, self.at) })
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) -> LexResult<()> {
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start_matches(is_blank).len();
            self.at += blanks;
            let rest = self.rest();
            if rest.starts_with("--") || rest.starts_with("//") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if rest.starts_with("/*") && !rest.starts_with("/*+") {
                let Some(length) = rest[2..].find("*/") else {
                    let span = Span::new(self.at, self.at + 2);
                    let message = "the comment that begins here has no end";
                    return Err(SqlParseError::new(SqlErrorKind::Incomplete, span, message)
                        .hint("comments end with */"));
                };
                self.at += length + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn starts_word(&self) -> bool {
        self.rest().chars().next().is_some_and(|c| c == '_' || c == '$' || c.is_alphabetic())
    }

    /// A word, or a literal that begins like one: `X'..'`, `U&'..'`, `N'..'`, `E'..'`, `_UTF8'..'`.
    fn word(&mut self) -> LexResult<TokenKind> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !(c == '_' || c == '$' || c.is_alphanumeric()))
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        match word {
            // Alone it is the end of a pattern.
            "$" => self.symbol(),
            "x" | "X" if after.starts_with('\'') => self.quoted(b'\'', 1, TokenKind::Binary),
            "U" | "u" if after.starts_with("&'") => self.quoted(b'\'', 2, TokenKind::UnicodeText),
            "N" | "n" if after.starts_with('\'') => self.quoted(b'\'', 1, TokenKind::PrefixedText),
            "E" if after.starts_with('\'') => self.escaped(),
            _ if word.len() > 1 && word.starts_with('_') => {
                // Names of character sets may hold what identifiers do not: `_ISO-8859-1'...'`.
                let charset =
                    rest.find(|c: char| !(c.is_ascii_alphanumeric() || ":.-_".contains(c)));
                match charset {
                    Some(length) if rest[length..].starts_with('\'') => {
                        self.quoted(b'\'', length, TokenKind::PrefixedText)
                    }
                    _ => {
                        self.at += length;
                        Ok(TokenKind::Word)
                    }
                }
            }
            _ => {
                self.at += length;
                Ok(TokenKind::Word)
            }
        }
    }

    /// A text in quotes, which are doubled inside of it. Identifiers end at the end of the line.
    fn quoted(&mut self, quote: u8, prefix: usize, kind: TokenKind) -> LexResult<TokenKind> {
        let start = self.at;
        let bytes = self.source.as_bytes();
        let mut at = start + prefix + 1;
        while let Some(&byte) = bytes.get(at) {
            if byte == quote {
                if bytes.get(at + 1) != Some(&quote) {
                    self.at = at + 1;
                    if kind == TokenKind::QuotedIdentifier && at == start + 1 {
                        let span = Span::new(start, self.at);
                        return Err(SqlParseError::syntax(span, "an identifier cannot be empty"));
                    }
                    return Ok(kind);
                }
                at += 1;
            } else if quote == b'`' && (byte == b'\n' || byte == b'\r') {
                break;
            }
            at += 1;
        }
        let span = Span::new(start, start + prefix + 1);
        Err(if quote == b'`' {
            let message = "the identifier that begins here has no closing back-tick";
            SqlParseError::syntax(span, message)
        } else {
            let message = "the string that begins here has no closing quote";
            SqlParseError::new(SqlErrorKind::Incomplete, span, message)
                .hint("a quote inside of a string is written twice: 'it''s'")
        })
    }

    /// `E'...'`, where a backslash makes the next character part of the text.
    fn escaped(&mut self) -> LexResult<TokenKind> {
        let bytes = self.source.as_bytes();
        let mut at = self.at + 2;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
                b'\'' => {
                    self.at = at + 1;
                    return Ok(TokenKind::EscapedText);
                }
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        let span = Span::new(self.at, self.at + 2);
        let message = "the string that begins here has no closing quote";
        Err(SqlParseError::new(SqlErrorKind::Incomplete, span, message))
    }

    fn number(&mut self) -> TokenKind {
        let bytes = self.source.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut kind = TokenKind::Integer;
        let mut at = digits(self.at);
        if bytes.get(at) == Some(&b'.') {
            kind = TokenKind::Decimal;
            at = digits(at + 1);
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let end = digits(at + 1 + sign);
            if end > at + 1 + sign {
                kind = TokenKind::Approximate;
                at = end;
            }
        }
        self.at = at;
        kind
    }

    fn symbol(&mut self) -> LexResult<TokenKind> {
        let rest = self.rest();
        if let Some((text, symbol)) = Symbol::ALL.iter().find(|(text, _)| rest.starts_with(text)) {
            self.at += text.len();
            return Ok(TokenKind::Symbol(*symbol));
        }
        let c = rest.chars().next().unwrap_or_default();
        let span = Span::new(self.at, self.at + c.len_utf8());
        let error = if c.is_control() || !c.is_ascii() {
            let code = u32::from(c);
            SqlParseError::syntax(span, format!("the character U+{code:04X} means nothing here"))
        } else {
            SqlParseError::syntax(span, format!("the character `{c}` means nothing here"))
        };
        Err(match c {
            '"' => error.hint("identifiers are quoted with back-ticks, strings with single quotes"),
            '\u{2018}' | '\u{2019}' => error.hint("strings are quoted with plain quotes: '"),
            _ => error,
        })
    }
}

/// What separates tokens.
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(source: &str) -> String {
        let mut lexer = Lexer::new(source, 0);
        let mut shown = Vec::new();
        loop {
            match lexer.next_token() {
                Ok(token) if token.kind == TokenKind::End => return shown.join(" "),
                Ok(token) => shown.push(format!("{:?}<{}>", token.kind, token.span.text(source))),
                Err(error) => {
                    shown.push(format!("{:?}: {error}", error.kind));
                    return shown.join(" ");
                }
            }
        }
    }

    #[test]
    fn literals_that_begin_like_words_are_recognised() {
        assert_eq!(
            lex("x'0f' U&'\\00e9' N'a' _UTF8'b' _a E'\\'' e'x' `a``b`"),
            "Binary<x'0f'> UnicodeText<U&'\\00e9'> PrefixedText<N'a'> PrefixedText<_UTF8'b'> \
             Word<_a> EscapedText<E'\\''> Word<e> Text<'x'> QuotedIdentifier<`a``b`>"
        );
    }

    #[test]
    fn numbers_end_where_they_end() {
        assert_eq!(
            lex("1 1.5 .5 1e3 1.e-2 1e 12a"),
            "Integer<1> Decimal<1.5> Decimal<.5> Approximate<1e3> Approximate<1.e-2> Integer<1> \
             Word<e> Integer<12> Word<a>"
        );
    }

    #[test]
    fn comments_are_skipped_and_hints_are_not() {
        assert_eq!(
            lex("a -- x ' \n/* ; */ // y\nb /*+ h */"),
            "Word<a> Word<b> Symbol(HintStart)</*+> Word<h> Symbol(HintEnd)<*/>"
        );
    }

    #[test]
    fn what_has_no_end_is_incomplete() {
        assert!(lex("a /* b").contains("Incomplete: the comment"));
        assert!(lex("a 'b").contains("Incomplete: the string"));
        assert!(lex("`a\n`").contains("Syntax: the identifier"));
        assert!(lex("``").contains("empty"));
        assert!(lex("E'\\").contains("Incomplete"));
    }

    #[test]
    fn characters_of_no_token_are_named() {
        assert!(lex("\"a\"").contains("the character `\"`"));
        assert!(lex("a \0").contains("U+0000"));
    }
}
