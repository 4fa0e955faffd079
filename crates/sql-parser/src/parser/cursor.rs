//! Looking at tokens, taking them, and saying what should have been there.

use std::ops::Deref;

use super::{Parsed, Parser};
use crate::{
    ast::{Ident, ObjectName},
    error::SqlParseError,
    keywords::is_reserved,
    lexer::{Symbol, Token, TokenKind, text::unquote},
    span::Span,
};

/// At most this many alternatives are listed in an error.
const LISTED: usize = 8;
/// Longer words are no typos of keywords.
const LONGEST_TYPO: usize = 32;

/// A word in capitals, to be matched with keywords. Empty for what is no word, or none of ours.
pub(super) struct UpperWord {
    bytes: [u8; LONGEST_TYPO],
    length: usize,
}

impl Deref for UpperWord {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl<'a> Parser<'a> {
    /// The current token.
    pub(super) fn peek(&self) -> Token {
        self.peek_at(0)
    }

    /// A token further on. Behind the last is the end, for ever.
    pub(super) fn peek_at(&self, ahead: usize) -> Token {
        let last = self.tokens.len() - 1;
        self.tokens[(self.at + ahead).min(last)]
    }

    pub(super) fn text_of(&self, token: Token) -> &'a str {
        token.span.text(self.source)
    }

    /// Where the last token that was taken ends.
    pub(super) fn last_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    /// From a position to the last token that was taken.
    pub(super) fn since(&self, start: Span) -> Span {
        start.to(self.last_span())
    }

    /// Takes the current token.
    pub(super) fn bump(&mut self) -> Token {
        let token = self.peek();
        if self.expected_at == self.at {
            std::mem::swap(&mut self.expected, &mut self.expected_before);
        } else {
            self.expected_before.clear();
        }
        self.expected.clear();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        self.expected_at = self.at;
        token
    }

    /// Remembers what would have fitted at the current token.
    pub(super) fn missed(&mut self, what: &'static str) {
        if !self.expected.contains(&what) {
            self.expected.push(what);
        }
    }

    /// The current word in capitals.
    pub(super) fn upper(&self) -> UpperWord {
        self.upper_at(0)
    }

    /// A later word in capitals.
    pub(super) fn upper_at(&self, ahead: usize) -> UpperWord {
        let token = self.peek_at(ahead);
        let mut word = UpperWord { bytes: [0; LONGEST_TYPO], length: 0 };
        let text = self.text_of(token);
        if token.kind == TokenKind::Word && text.len() <= LONGEST_TYPO && text.is_ascii() {
            word.length = text.len();
            word.bytes[..text.len()].copy_from_slice(text.as_bytes());
            word.bytes[..text.len()].make_ascii_uppercase();
        }
        word
    }

    /// Whether the current token is this keyword.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    /// Whether a later token is this keyword.
    pub(super) fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        let token = self.peek_at(ahead);
        token.kind == TokenKind::Word && self.text_of(token).eq_ignore_ascii_case(word)
    }

    /// Whether these keywords come next.
    pub(super) fn is_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.is_word_at(ahead, word))
    }

    pub(super) fn is_symbol(&self, symbol: Symbol) -> bool {
        self.is_symbol_at(0, symbol)
    }

    pub(super) fn is_symbol_at(&self, ahead: usize, symbol: Symbol) -> bool {
        self.peek_at(ahead).kind == TokenKind::Symbol(symbol)
    }

    pub(super) fn is_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    /// Takes a keyword if it is next.
    pub(super) fn eat_word(&mut self, word: &'static str) -> bool {
        let found = self.is_word(word);
        if found {
            self.bump();
        } else {
            self.missed(word);
        }
        found
    }

    /// Takes keywords if all of them are next.
    pub(super) fn eat_words(&mut self, words: &[&'static str]) -> bool {
        let found = self.is_words(words);
        if found {
            for _ in words {
                self.bump();
            }
        } else if let Some(first) = words.first() {
            self.missed(first);
        }
        found
    }

    pub(super) fn expect_word(&mut self, word: &'static str) -> Parsed<()> {
        if self.eat_word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(super) fn expect_words(&mut self, words: &[&'static str]) -> Parsed<()> {
        words.iter().try_for_each(|word| self.expect_word(word))
    }

    pub(super) fn eat(&mut self, symbol: Symbol) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.bump();
        } else {
            self.missed(symbol.text());
        }
        found
    }

    pub(super) fn expect(&mut self, symbol: Symbol) -> Parsed<()> {
        if self.eat(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// One or more, with commas between them.
    pub(super) fn comma_separated<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = vec![read(self)?];
        while self.eat(Symbol::Comma) {
            items.push(read(self)?);
        }
        Ok(items)
    }

    /// One or more in parentheses, with commas between them.
    pub(super) fn parenthesized<T>(
        &mut self,
        read: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        self.expect(Symbol::LeftParen)?;
        let items = self.comma_separated(read)?;
        self.expect(Symbol::RightParen)?;
        Ok(items)
    }

    /// Whether a token can be an identifier.
    pub(super) fn is_ident_at(&self, ahead: usize) -> bool {
        let token = self.peek_at(ahead);
        match token.kind {
            TokenKind::QuotedIdentifier => true,
            TokenKind::Word => !is_reserved(self.text_of(token)),
            _ => false,
        }
    }

    /// Takes an identifier. `what` says what it names, for errors.
    pub(super) fn ident(&mut self, what: &'static str) -> Parsed<Ident> {
        if !self.is_ident_at(0) {
            self.missed(what);
            return Err(self.unexpected());
        }
        let token = self.bump();
        let text = self.text_of(token);
        let quoted = token.kind == TokenKind::QuotedIdentifier;
        let value = if quoted { unquote(text, '`').into_owned() } else { text.to_owned() };
        // Bytes bound characters, so only long names are counted.
        let most = self.limits.identifier_characters;
        if value.len() > most && value.chars().count() > most {
            let message = format!("the identifier is longer than {most} characters");
            return Err(SqlParseError::new(crate::SqlErrorKind::Limit, token.span, message));
        }
        Ok(Ident { value, quoted, span: token.span })
    }

    /// Takes identifiers with points between them.
    pub(super) fn object_name(&mut self, what: &'static str) -> Parsed<ObjectName> {
        let mut parts = vec![self.ident(what)?];
        while self.eat(Symbol::Dot) {
            parts.push(self.ident(what)?);
            if parts.len() > self.limits.nesting as usize {
                return Err(self.too_deep("nested", self.limits.nesting));
            }
        }
        Ok(ObjectName(parts))
    }

    /// The error that the current token does not fit.
    pub(super) fn unexpected(&self) -> SqlParseError {
        let token = self.peek();
        let text = self.text_of(token);
        let reserved = token.kind == TokenKind::Word && is_reserved(text);
        let found = match token.kind {
            TokenKind::End => "the end of the statement".to_owned(),
            TokenKind::Word if reserved => format!("the keyword `{}`", text),
            _ => format!("`{}`", shortened(text)),
        };
        let message = match &*self.expected {
            [] => format!("unexpected {found}"),
            all if all.len() > LISTED => format!("unexpected {found}"),
            all => format!("expected {}, found {found}", listed(all)),
        };
        let error = SqlParseError::syntax(token.span, message);
        match self.hint_for(token, reserved) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn hint_for(&self, token: Token, reserved: bool) -> Option<String> {
        if token.kind == TokenKind::Word
            && let Some(word) = nearest(self.text_of(token), &self.expected)
        {
            return Some(format!("did you mean {word}?"));
        }
        if reserved && self.expected.iter().any(|what| what.starts_with("a ")) {
            let word = self.text_of(token);
            return Some(format!("`{word}` is a reserved word; as a name it needs back-ticks"));
        }
        // What stands before was taken for a name, perhaps because it was mistyped.
        let before = self.tokens[self.at.checked_sub(1)?];
        if before.kind == TokenKind::Word && !is_reserved(self.text_of(before)) {
            let text = self.text_of(before);
            let word = nearest(text, &self.expected).or(nearest(text, &self.expected_before))?;
            return Some(format!("`{text}` was taken for a name; did you mean {word}?"));
        }
        None
    }
}

/// The keyword that was probably meant.
fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST_TYPO {
        return None;
    }
    let upper = word.to_ascii_uppercase();
    let keywords = candidates.iter().filter(|c| c.bytes().all(|b| b.is_ascii_uppercase()));
    let scored = keywords.map(|keyword| (strsim::damerau_levenshtein(&upper, keyword), *keyword));
    let (distance, keyword) = scored.min_by_key(|(distance, _)| *distance)?;
    let tolerated = match keyword.len() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    (distance > 0 && distance <= tolerated).then_some(keyword)
}

fn listed(all: &[&str]) -> String {
    let shown: Vec<String> = all
        .iter()
        .map(|what| {
            if what.contains(' ') || what.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') {
                (*what).to_owned()
            } else {
                format!("`{what}`")
            }
        })
        .collect();
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A token as an error shows it: literals can be megabytes long.
fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let head: String = text.chars().take(MOST).collect();
    format!("{head}...")
}
