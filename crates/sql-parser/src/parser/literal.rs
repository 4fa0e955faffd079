//! Constants: numbers, texts, dates and times, intervals.

use super::{Parsed, Parser};
use crate::{
    ast::{Expr, ExprKind, IntervalLiteral, IntervalQualifier, IntervalUnit, Literal, NumberKind},
    datetime,
    error::SqlParseError,
    lexer::{
        Symbol, Token, TokenKind,
        text::{unescape_c, unescape_unicode, unquote},
    },
    span::Span,
};

impl Parser<'_> {
    /// A number, which is the current token.
    pub(super) fn number_literal(&mut self) -> Expr {
        let token = self.bump();
        let kind = match token.kind {
            TokenKind::Integer => NumberKind::Integer,
            TokenKind::Decimal => NumberKind::Decimal,
            _ => NumberKind::Approximate,
        };
        let text = self.text_of(token).to_owned();
        Expr::new(ExprKind::Literal(Literal::Number(text, kind)), token.span)
    }

    /// A number without sign, as LIMIT takes it.
    pub(super) fn unsigned_number(&mut self) -> Parsed<Expr> {
        match self.peek().kind {
            TokenKind::Integer | TokenKind::Decimal | TokenKind::Approximate => {
                Ok(self.number_literal())
            }
            _ => {
                self.missed("a number");
                Err(self.unexpected())
            }
        }
    }

    /// A number without sign, point and exponent.
    pub(super) fn unsigned_integer(&mut self, what: &'static str) -> Parsed<u32> {
        let token = self.peek();
        if token.kind != TokenKind::Integer {
            self.missed(what);
            return Err(self.unexpected());
        }
        self.bump();
        let text = self.text_of(token);
        text.parse().ok().filter(|number| *number <= i32::MAX as u32).ok_or_else(|| {
            let message = format!("{what} is at most {}", i32::MAX);
            SqlParseError::invalid(token.span, message)
        })
    }

    /// A text or bytes; pieces of it may stand on following lines.
    pub(super) fn text_literal(&mut self) -> Parsed<Expr> {
        let first = self.bump();
        if first.kind == TokenKind::Binary {
            return self.binary_literal(first);
        }
        let mut text = match first.kind {
            TokenKind::UnicodeText => return self.unicode_literal(first),
            TokenKind::EscapedText => self.escaped_text(first)?,
            TokenKind::PrefixedText => self.prefixed_text(first)?,
            _ => unquote(self.text_of(first), '\'').into_owned(),
        };
        self.continue_text(&mut text)?;
        let span = self.since(first.span);
        Ok(Expr::new(ExprKind::Literal(Literal::Text(text)), span))
    }

    /// Pieces of a text on following lines.
    fn continue_text(&mut self, text: &mut String) -> Parsed<()> {
        while self.peek().kind == TokenKind::Text {
            let between = self.last_span().end as usize..self.peek().span.start as usize;
            let between = self.source.get(between).unwrap_or_default();
            if !between.contains(['\n', '\r']) {
                let message = "a second string stands beside this one";
                return Err(SqlParseError::syntax(self.peek().span, message).hint(
                    "pieces of one string stand on lines of their own; || puts two together",
                ));
            }
            let token = self.bump();
            text.push_str(&unquote(self.text_of(token), '\''));
        }
        Ok(())
    }

    fn escaped_text(&self, token: Token) -> Parsed<String> {
        let text = self.text_of(token);
        let inner = text.get(2..text.len() - 1).unwrap_or_default();
        unescape_c(inner).map_err(|(at, message)| {
            let start = token.span.start as usize + 2 + at;
            SqlParseError::syntax(Span::new(start, start + 1), message)
        })
    }

    fn prefixed_text(&self, token: Token) -> Parsed<String> {
        let text = self.text_of(token);
        let quote = text.find('\'').unwrap_or_default();
        let (charset, text) = text.split_at(quote);
        let known = ["N", "_UTF8", "_UTF-8", "_UTF16", "_UTF-16LE", "_LATIN1", "_ISO-8859-1"];
        if !known.iter().any(|known| known.eq_ignore_ascii_case(charset)) {
            let message = format!("unknown character set `{}`", &charset[1..]);
            return Err(SqlParseError::syntax(token.span, message));
        }
        Ok(unquote(text, '\'').into_owned())
    }

    fn unicode_literal(&mut self, first: Token) -> Parsed<Expr> {
        let mut text = unquote(&self.text_of(first)[2..], '\'').into_owned();
        self.continue_text(&mut text)?;
        let mut escape = '\\';
        if self.eat_word("UESCAPE") {
            let token = self.peek();
            let character = self.text()?;
            let mut all = character.chars();
            escape = match (all.next(), all.next()) {
                (Some(c), None) if !(c.is_ascii_hexdigit() || c.is_whitespace() || c == '+') => c,
                _ => {
                    let message = "UESCAPE takes one character, no hexadecimal digit, blank or +";
                    return Err(SqlParseError::syntax(token.span, message));
                }
            };
        }
        let text = unescape_unicode(&text, escape)
            .map_err(|(_, message)| SqlParseError::syntax(first.span, message))?;
        let span = self.since(first.span);
        Ok(Expr::new(ExprKind::Literal(Literal::Text(text)), span))
    }

    fn binary_literal(&mut self, first: Token) -> Parsed<Expr> {
        let mut digits = unquote(&self.text_of(first)[1..], '\'').into_owned();
        self.continue_text(&mut digits)?;
        let span = self.since(first.span);
        if !digits.len().is_multiple_of(2) {
            let message = "a byte has two hexadecimal digits, and one is missing";
            return Err(SqlParseError::syntax(span, message));
        }
        let nibbles: Option<Vec<u8>> = digits
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let Some(nibbles) = nibbles else {
            return Err(SqlParseError::syntax(span, "bytes are written in hexadecimal digits"));
        };
        let bytes = nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        Ok(Expr::new(ExprKind::Literal(Literal::Binary(bytes)), span))
    }

    /// A text between quotes and nothing else.
    pub(super) fn text(&mut self) -> Parsed<String> {
        if !self.is_text() {
            self.missed("a string");
            return Err(self.unexpected());
        }
        match self.text_literal()?.kind {
            ExprKind::Literal(Literal::Text(text)) => Ok(text),
            _ => Err(self.unexpected()),
        }
    }

    /// Whether a text comes.
    pub(super) fn is_text(&self) -> bool {
        matches!(
            self.peek().kind,
            TokenKind::Text
                | TokenKind::PrefixedText
                | TokenKind::UnicodeText
                | TokenKind::EscapedText
        )
    }

    /// `DATE '...'` and the like.
    pub(super) fn datetime_literal(&mut self, word: &str) -> Parsed<Expr> {
        let start = self.bump().span;
        let local = word == "TIMESTAMP" && self.eat_words(&["WITH", "LOCAL", "TIME", "ZONE"]);
        let at = self.peek().span;
        if self.peek().kind != TokenKind::Text {
            self.missed("a string");
            let error = self.unexpected();
            let hint = format!("`{word}` is a reserved word; as a name it needs back-ticks");
            return Err(error.hint(hint));
        }
        let text = self.text()?;
        let (valid, shape) = match word {
            "DATE" => (datetime::is_date(&text), "2024-02-29"),
            "TIME" => (datetime::is_time(&text), "23:59:59.999"),
            _ => (datetime::is_timestamp(&text), "2024-02-29 23:59:59.999"),
        };
        if !valid {
            let message = format!("this is no {}", word.to_ascii_lowercase());
            return Err(
                SqlParseError::invalid(at, message).hint(format!("it looks like '{shape}'"))
            );
        }
        let literal = match word {
            "DATE" => Literal::Date(text),
            "TIME" => Literal::Time(text),
            _ if local => Literal::TimestampLtz(text),
            _ => Literal::Timestamp(text),
        };
        Ok(Expr::new(ExprKind::Literal(literal), self.since(start)))
    }

    /// `INTERVAL '5' DAY`, or an interval that is computed: `INTERVAL a DAY`.
    pub(super) fn interval(&mut self) -> Parsed<Expr> {
        let start = self.bump().span;
        let negated = self.is_symbol(Symbol::Minus);
        if negated || self.is_symbol(Symbol::Plus) {
            self.bump();
        }
        if self.is_text() {
            let literal = self.interval_text(negated)?;
            let kind = ExprKind::Literal(Literal::Interval(literal));
            return Ok(Expr::new(kind, self.since(start)));
        }
        let value = if self.eat(Symbol::LeftParen) {
            let value = self.expr()?;
            self.expect(Symbol::RightParen)?;
            value
        } else if self.is_ident_at(0) {
            let name = self.object_name("a column")?;
            let span = name.span();
            Expr::new(ExprKind::Name(name), span)
        } else {
            self.missed("a string");
            self.unsigned_number()?
        };
        let at = self.peek().span;
        let qualifier = self.interval_qualifier()?;
        if qualifier.last.is_some() {
            return Err(SqlParseError::syntax(at, "a computed interval has one field"));
        }
        let kind = ExprKind::IntervalOf { negated, value: Box::new(value), qualifier };
        Ok(Expr::new(kind, self.since(start)))
    }

    /// A constant interval with its word.
    pub(super) fn interval_literal(&mut self) -> Parsed<IntervalLiteral> {
        self.expect_word("INTERVAL")?;
        let negated = self.is_symbol(Symbol::Minus);
        if negated || self.is_symbol(Symbol::Plus) {
            self.bump();
        }
        self.interval_text(negated)
    }

    fn interval_text(&mut self, negated: bool) -> Parsed<IntervalLiteral> {
        let at = self.peek().span;
        let text = self.text()?;
        let at = self.since(at);
        let qualifier = self.interval_qualifier()?;
        let literal = IntervalLiteral { negated, text, qualifier };
        if let Err(message) = literal.value() {
            return Err(SqlParseError::invalid(at, message));
        }
        Ok(literal)
    }

    fn interval_unit_at(&self, ahead: usize) -> Option<IntervalUnit> {
        let word = self.upper_at(ahead);
        let word: &str = &word;
        IntervalUnit::ALL
            .iter()
            .find(|(_, one, many)| *one == word || *many == word)
            .map(|(unit, _, _)| *unit)
    }

    /// Whether fields of an interval come.
    pub(super) fn at_interval_qualifier(&self) -> bool {
        self.interval_unit_at(0).is_some()
    }

    /// `DAY(3) TO SECOND(6)`
    pub(super) fn interval_qualifier(&mut self) -> Parsed<IntervalQualifier> {
        let start = self.peek().span;
        let Some(first) = self.interval_unit_at(0) else {
            self.missed("a unit of time");
            return Err(self.unexpected());
        };
        self.bump();
        let (mut leading, mut last, mut fraction) = (None, None, None);
        if self.is_symbol(Symbol::LeftParen) {
            self.bump();
            leading = Some(self.digits()?);
            if first == IntervalUnit::Second && self.eat(Symbol::Comma) {
                fraction = Some(self.digits()?);
            }
            self.expect(Symbol::RightParen)?;
        }
        let fits = |last: IntervalUnit| match first {
            IntervalUnit::Year => last == IntervalUnit::Month,
            IntervalUnit::Day | IntervalUnit::Hour | IntervalUnit::Minute => {
                last > first && last >= IntervalUnit::Hour
            }
            _ => false,
        };
        if self.is_word("TO")
            && let Some(unit) = self.interval_unit_at(1)
        {
            self.bump();
            if !fits(unit) {
                let message = "an interval cannot have these fields";
                return Err(SqlParseError::syntax(start.to(self.peek().span), message));
            }
            self.bump();
            last = Some(unit);
            if unit == IntervalUnit::Second && self.is_symbol(Symbol::LeftParen) {
                self.bump();
                fraction = Some(self.digits()?);
                self.expect(Symbol::RightParen)?;
            }
        }
        let span = self.since(start);
        Ok(IntervalQualifier { first, leading, last, fraction, span })
    }

    fn digits(&mut self) -> Parsed<u8> {
        let at = self.peek().span;
        let digits = self.unsigned_integer("a number of digits")?;
        u8::try_from(digits)
            .map_err(|_| SqlParseError::invalid(at, "no interval has so many digits"))
    }
}
