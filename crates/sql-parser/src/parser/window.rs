//! Windows of OVER.

use super::{Parsed, Parser};
use crate::{
    ast::{FrameBound, WindowFrame, WindowFrameUnit, WindowSpecification},
    lexer::Symbol,
};

impl Parser<'_> {
    /// A window in parentheses.
    pub(super) fn window_specification(&mut self) -> Parsed<WindowSpecification> {
        let start = self.peek().span;
        self.expect(Symbol::LeftParen)?;
        let base = if self.is_ident_at(0) { Some(self.ident("a window")?) } else { None };
        let partition_by =
            if self.eat_words(&["PARTITION", "BY"]) { self.expr_list()? } else { Vec::new() };
        let order_by = if self.is_word("ORDER") {
            self.order_by()?
        } else {
            self.missed("ORDER");
            Vec::new()
        };
        let frame = if self.eat_word("ROWS") {
            Some(self.frame(WindowFrameUnit::Rows)?)
        } else if self.eat_word("RANGE") {
            Some(self.frame(WindowFrameUnit::Range)?)
        } else {
            None
        };
        self.expect(Symbol::RightParen)?;
        let span = self.since(start);
        Ok(WindowSpecification { base, partition_by, order_by, frame, span })
    }

    fn frame(&mut self, unit: WindowFrameUnit) -> Parsed<WindowFrame> {
        if !self.eat_word("BETWEEN") {
            return Ok(WindowFrame { unit, start: self.frame_bound()?, end: None });
        }
        let start = self.frame_bound()?;
        self.expect_word("AND")?;
        Ok(WindowFrame { unit, start, end: Some(self.frame_bound()?) })
    }

    fn frame_bound(&mut self) -> Parsed<FrameBound> {
        if self.eat_words(&["CURRENT", "ROW"]) {
            return Ok(FrameBound::CurrentRow);
        }
        if self.eat_words(&["UNBOUNDED", "PRECEDING"]) {
            return Ok(FrameBound::UnboundedPreceding);
        }
        if self.eat_words(&["UNBOUNDED", "FOLLOWING"]) {
            return Ok(FrameBound::UnboundedFollowing);
        }
        // AND ends a bound.
        let expr = Box::new(self.expr_from(crate::print::precedence::AND + 1)?);
        if self.eat_word("PRECEDING") {
            return Ok(FrameBound::Preceding(expr));
        }
        self.expect_word("FOLLOWING")?;
        Ok(FrameBound::Following(expr))
    }
}
