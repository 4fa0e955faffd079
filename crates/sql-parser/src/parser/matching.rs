//! MATCH_RECOGNIZE.

use super::{Parsed, Parser};
use crate::{
    ast::{
        AfterMatchSkip, MatchPattern, MatchRecognize, PatternKind, PatternQuantifier, RowsPerMatch,
    },
    error::SqlParseError,
    lexer::Symbol,
};

impl Parser<'_> {
    /// The clause with its word.
    pub(super) fn match_recognize(&mut self) -> Parsed<MatchRecognize> {
        let start = self.peek().span;
        self.expect_word("MATCH_RECOGNIZE")?;
        self.expect(Symbol::LeftParen)?;
        let partition_by =
            if self.eat_words(&["PARTITION", "BY"]) { self.expr_list()? } else { Vec::new() };
        let order_by = if self.is_word("ORDER") { self.order_by()? } else { Vec::new() };
        let measures = if self.eat_word("MEASURES") {
            self.comma_separated(|parser| {
                let expr = parser.expr()?;
                parser.expect_word("AS")?;
                Ok((expr, parser.ident("a name")?))
            })?
        } else {
            Vec::new()
        };
        let rows_per_match = self.rows_per_match()?;
        let after_match = self.after_match()?;
        self.expect_word("PATTERN")?;
        self.expect(Symbol::LeftParen)?;
        let anchored_start = self.eat(Symbol::Caret);
        let pattern = self.pattern()?;
        let anchored_end = self.eat(Symbol::Dollar);
        self.expect(Symbol::RightParen)?;
        let within = if self.eat_word("WITHIN") { Some(self.interval_literal()?) } else { None };
        let subsets = if self.eat_word("SUBSET") {
            self.comma_separated(|parser| {
                let name = parser.ident("a variable")?;
                parser.expect(Symbol::Equal)?;
                Ok((name, parser.parenthesized(|parser| parser.ident("a variable"))?))
            })?
        } else {
            Vec::new()
        };
        self.expect_word("DEFINE")?;
        let define = self.comma_separated(|parser| {
            let name = parser.ident("a variable")?;
            parser.expect_word("AS")?;
            Ok((name, parser.expr()?))
        })?;
        self.expect(Symbol::RightParen)?;
        Ok(MatchRecognize {
            partition_by,
            order_by,
            measures,
            rows_per_match,
            after_match,
            anchored_start,
            pattern,
            anchored_end,
            within,
            subsets,
            define,
            span: self.since(start),
        })
    }

    fn rows_per_match(&mut self) -> Parsed<Option<RowsPerMatch>> {
        Ok(if self.eat_word("ONE") {
            self.expect_words(&["ROW", "PER", "MATCH"])?;
            Some(RowsPerMatch::One)
        } else if self.eat_word("ALL") {
            self.expect_words(&["ROWS", "PER", "MATCH"])?;
            Some(RowsPerMatch::All)
        } else {
            None
        })
    }

    fn after_match(&mut self) -> Parsed<Option<AfterMatchSkip>> {
        if !self.eat_word("AFTER") {
            return Ok(None);
        }
        self.expect_words(&["MATCH", "SKIP"])?;
        if self.eat_word("PAST") {
            self.expect_words(&["LAST", "ROW"])?;
            return Ok(Some(AfterMatchSkip::PastLastRow));
        }
        self.expect_word("TO")?;
        if self.eat_words(&["NEXT", "ROW"]) {
            return Ok(Some(AfterMatchSkip::ToNextRow));
        }
        if self.is_word("FIRST") && self.is_ident_at(1) {
            self.bump();
            return Ok(Some(AfterMatchSkip::ToFirst(self.ident("a variable")?)));
        }
        if self.is_word("LAST") && self.is_ident_at(1) {
            self.bump();
        }
        Ok(Some(AfterMatchSkip::ToLast(self.ident("a variable")?)))
    }

    fn pattern(&mut self) -> Parsed<MatchPattern> {
        self.nested(|parser| {
            let start = parser.peek().span;
            let mut all = vec![parser.pattern_sequence()?];
            while parser.eat(Symbol::Bar) {
                all.push(parser.pattern_sequence()?);
            }
            let span = parser.since(start);
            Ok(one_or(all, |all| MatchPattern { kind: PatternKind::Alternatives(all), span }))
        })
    }

    fn pattern_sequence(&mut self) -> Parsed<MatchPattern> {
        let start = self.peek().span;
        let mut all = vec![self.pattern_factor()?];
        while self.at_pattern() {
            all.push(self.pattern_factor()?);
        }
        let span = self.since(start);
        Ok(one_or(all, |all| MatchPattern { kind: PatternKind::Sequence(all), span }))
    }

    fn at_pattern(&self) -> bool {
        self.is_ident_at(0)
            || self.is_symbol(Symbol::LeftParen)
            || self.is_symbol(Symbol::LeftBrace)
            || self.is_word("PERMUTE")
    }

    fn pattern_factor(&mut self) -> Parsed<MatchPattern> {
        let start = self.peek().span;
        let inner = self.pattern_primary()?;
        let (least, most) = if self.eat(Symbol::Star) {
            (0, None)
        } else if self.eat(Symbol::Plus) {
            (1, None)
        } else if self.eat(Symbol::Question) {
            (0, Some(1))
        } else if self.is_symbol(Symbol::LeftBrace) && !self.is_symbol_at(1, Symbol::Minus) {
            self.pattern_range()?
        } else {
            return Ok(inner);
        };
        let reluctant = self.eat(Symbol::Question);
        let quantifier = PatternQuantifier { least, most, reluctant };
        let kind = PatternKind::Repeated(Box::new(inner), quantifier);
        Ok(MatchPattern { kind, span: self.since(start) })
    }

    /// `{n}`, `{n,}`, `{n,m}` or `{,m}`
    fn pattern_range(&mut self) -> Parsed<(u32, Option<u32>)> {
        let at = self.peek().span;
        self.expect(Symbol::LeftBrace)?;
        let range = if self.eat(Symbol::Comma) {
            (0, Some(self.unsigned_integer("a number of rows")?))
        } else {
            let least = self.unsigned_integer("a number of rows")?;
            if !self.eat(Symbol::Comma) {
                (least, Some(least))
            } else if self.is_symbol(Symbol::RightBrace) {
                (least, None)
            } else {
                (least, Some(self.unsigned_integer("a number of rows")?))
            }
        };
        self.expect(Symbol::RightBrace)?;
        if range.1.is_some_and(|most| most < range.0) {
            let message = "the pattern is to be repeated more often at least than at most";
            return Err(SqlParseError::invalid(self.since(at), message));
        }
        Ok(range)
    }

    fn pattern_primary(&mut self) -> Parsed<MatchPattern> {
        let start = self.peek().span;
        if self.eat(Symbol::LeftParen) {
            let pattern = self.pattern()?;
            self.expect(Symbol::RightParen)?;
            return Ok(pattern);
        }
        if self.eat(Symbol::LeftBrace) {
            self.expect(Symbol::Minus)?;
            let inner = Box::new(self.pattern()?);
            self.expect(Symbol::Minus)?;
            self.expect(Symbol::RightBrace)?;
            let kind = PatternKind::Excluded(inner);
            return Ok(MatchPattern { kind, span: self.since(start) });
        }
        if self.eat_word("PERMUTE") {
            let all = self.parenthesized(Self::pattern)?;
            let kind = PatternKind::Permutation(all);
            return Ok(MatchPattern { kind, span: self.since(start) });
        }
        let variable = self.ident("a variable")?;
        let span = variable.span;
        Ok(MatchPattern { kind: PatternKind::Variable(variable), span })
    }
}

fn one_or(
    mut all: Vec<MatchPattern>,
    several: impl FnOnce(Vec<MatchPattern>) -> MatchPattern,
) -> MatchPattern {
    match (all.len(), all.pop()) {
        (1, Some(one)) => one,
        (_, Some(last)) => {
            all.push(last);
            several(all)
        }
        (_, None) => several(all),
    }
}
