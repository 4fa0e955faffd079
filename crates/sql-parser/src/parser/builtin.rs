//! Functions with a syntax of their own, but for those of JSON.

use super::{Parsed, Parser};
use crate::{
    ast::{BuiltinCall, Expr, ExprKind, FunctionCall, ObjectName, TimeUnit, TrimSide},
    lexer::Symbol,
    print::precedence as level,
};

impl Parser<'_> {
    /// A call with words between its arguments, if the current word begins one. The parenthesis
    /// behind the word was seen.
    pub(super) fn builtin_call(&mut self, word: &str) -> Parsed<Option<BuiltinCall>> {
        let call = match word {
            "EXTRACT" => self.extract()?,
            "FLOOR" | "CEIL" | "CEILING" => return self.round(word != "FLOOR"),
            "TIMESTAMPADD" => {
                let unit = self.unit_argument()?;
                let count = self.expr()?;
                self.expect(Symbol::Comma)?;
                BuiltinCall::TimestampAdd { unit, count, operand: self.expr()? }
            }
            "TIMESTAMPDIFF" => {
                let unit = self.unit_argument()?;
                let from = self.expr()?;
                self.expect(Symbol::Comma)?;
                BuiltinCall::TimestampDiff { unit, from, to: self.expr()? }
            }
            "POSITION" => {
                self.open();
                let needle = self.expr_from(level::LIKE + 1)?;
                self.expect_word("IN")?;
                let haystack = self.expr()?;
                let from = if self.eat_word("FROM") { Some(self.expr()?) } else { None };
                BuiltinCall::Position { needle, haystack, from }
            }
            "OVERLAY" => {
                self.open();
                let operand = self.expr()?;
                self.expect_word("PLACING")?;
                let placing = self.expr()?;
                self.expect_word("FROM")?;
                let from = self.expr()?;
                let length = if self.eat_word("FOR") { Some(self.expr()?) } else { None };
                BuiltinCall::Overlay { operand, placing, from, length }
            }
            "TRIM" => self.trim()?,
            _ => return self.json_call(word),
        };
        self.expect(Symbol::RightParen)?;
        Ok(Some(call))
    }

    /// SUBSTRING is a plain function, whatever separates its arguments.
    pub(super) fn substring(&mut self, name: ObjectName) -> Parsed<FunctionCall> {
        self.expect(Symbol::LeftParen)?;
        let mut arguments = vec![self.expr()?];
        if self.eat_word("FROM") || self.eat(Symbol::Comma) {
            arguments.push(self.expr()?);
            if self.eat_word("FOR") || self.eat(Symbol::Comma) {
                arguments.push(self.expr()?);
            }
        } else {
            return Err(self.unexpected());
        }
        self.expect(Symbol::RightParen)?;
        Ok(FunctionCall::simple(name, arguments))
    }

    /// Takes the function's word and its parenthesis.
    pub(super) fn open(&mut self) {
        self.bump();
        self.bump();
    }

    fn unit_argument(&mut self) -> Parsed<TimeUnit> {
        self.open();
        let unit = self.time_unit()?;
        self.expect(Symbol::Comma)?;
        Ok(unit)
    }

    /// A unit of time.
    pub(super) fn time_unit(&mut self) -> Parsed<TimeUnit> {
        let word = self.upper();
        let word = match &*word {
            "DAYOFWEEK" | "SQL_TSI_DOW" => "DOW",
            "DAYOFYEAR" => "DOY",
            "SQL_TSI_FRAC_SECOND" | "FRAC_SECOND" => "NANOSECOND",
            other => other.strip_prefix("SQL_TSI_").unwrap_or(other),
        };
        let found = TimeUnit::ALL.iter().find(|(_, name)| *name == word).map(|(unit, _)| *unit);
        match found {
            Some(unit) => {
                self.bump();
                Ok(unit)
            }
            None => {
                self.missed("a unit of time");
                Err(self.unexpected())
            }
        }
    }

    fn extract(&mut self) -> Parsed<BuiltinCall> {
        self.open();
        let unit = self.time_unit()?;
        self.expect_word("FROM")?;
        Ok(BuiltinCall::Extract { unit, operand: self.expr()? })
    }

    /// `FLOOR(a TO unit)`. Without TO the function is a plain one, and read here all the same.
    fn round(&mut self, up: bool) -> Parsed<Option<BuiltinCall>> {
        // What follows the first argument decides, so skip to it without reading twice.
        let mut depth = 0_usize;
        let mut ahead = 1;
        let is_unit = loop {
            if self.is_symbol_at(ahead, Symbol::LeftParen) {
                depth += 1;
            } else if self.is_symbol_at(ahead, Symbol::RightParen) {
                depth -= 1;
            }
            let end = self.at + ahead + 1 >= self.tokens.len();
            if depth == 0 || end {
                break false;
            }
            if depth == 1 && self.is_word_at(ahead, "TO") {
                break !self.is_word_at(ahead - 1, "SIMILAR");
            }
            ahead += 1;
        };
        if !is_unit {
            return Ok(None);
        }
        self.open();
        let operand = self.expr()?;
        self.expect_word("TO")?;
        let unit = self.time_unit()?;
        self.expect(Symbol::RightParen)?;
        Ok(Some(BuiltinCall::Round { up, operand, unit }))
    }

    fn trim(&mut self) -> Parsed<BuiltinCall> {
        self.open();
        let side = match &*self.upper() {
            "BOTH" => Some(TrimSide::Both),
            "LEADING" => Some(TrimSide::Leading),
            "TRAILING" => Some(TrimSide::Trailing),
            _ => None,
        };
        if side.is_some() {
            self.bump();
        }
        let named = side.unwrap_or(TrimSide::Both);
        if side.is_some() && self.eat_word("FROM") {
            return Ok(BuiltinCall::Trim { side: named, characters: None, operand: self.expr()? });
        }
        let first = self.expr()?;
        if self.eat_word("FROM") {
            let operand = self.expr()?;
            return Ok(BuiltinCall::Trim { side: named, characters: Some(first), operand });
        }
        Ok(BuiltinCall::Trim { side: named, characters: None, operand: first })
    }

    /// `RUNNING f(a)` and `FINAL f(a)`, if that is what comes.
    pub(super) fn semantics(&mut self, word: &str) -> Parsed<Option<BuiltinCall>> {
        let is_final = match word {
            "RUNNING" => false,
            "FINAL" => true,
            _ => return Ok(None),
        };
        // FINAL is a name, too.
        let word_follows = self.peek_at(1).kind == crate::lexer::TokenKind::Word;
        if !word_follows || !self.is_symbol_at(2, Symbol::LeftParen) {
            return Ok(None);
        }
        self.bump();
        let operand: Expr = self.primary()?;
        match operand.kind {
            ExprKind::Function(call) => Ok(Some(BuiltinCall::Semantics { is_final, call: *call })),
            _ => Err(crate::SqlParseError::syntax(
                operand.span,
                "RUNNING and FINAL stand before a function",
            )),
        }
    }
}
