//! INSERT, and partitions of tables.

use super::{Parsed, Parser};
use crate::{
    ast::{ConflictAction, InsertStatement, PartitionSpec},
    error::SqlParseError,
    lexer::Symbol,
};

impl Parser<'_> {
    /// INSERT and UPSERT.
    pub(super) fn insert(&mut self) -> Parsed<InsertStatement> {
        let start = self.peek().span;
        let upsert = self.eat_word("UPSERT");
        if !upsert {
            self.expect_word("INSERT")?;
        }
        let at = self.peek().span;
        let overwrite = self.eat_word("OVERWRITE");
        if !overwrite {
            self.expect_word("INTO")?;
        } else if upsert {
            return Err(SqlParseError::syntax(at, "OVERWRITE stands behind INSERT only"));
        }
        let table = self.object_name("a table")?;
        let hints = if self.is_symbol(Symbol::HintStart) { self.hints()? } else { Vec::new() };
        let partition =
            if self.eat_word("PARTITION") { Some(self.partition_spec(true)?) } else { None };
        // `(a, b)` are columns, `(SELECT ...)` and `((SELECT ...))` a query.
        let columns = if self.is_symbol(Symbol::LeftParen) && self.is_ident_at(1) {
            self.parenthesized(|parser| parser.object_name("a column"))?
        } else {
            Vec::new()
        };
        let query = Box::new(self.query()?);
        let on_conflict = if self.eat_words(&["ON", "CONFLICT", "DO"]) {
            Some(if self.eat_word("ERROR") {
                ConflictAction::Error
            } else if self.eat_word("NOTHING") {
                ConflictAction::Nothing
            } else {
                self.expect_word("DEDUPLICATE")?;
                ConflictAction::Deduplicate
            })
        } else {
            None
        };
        Ok(InsertStatement {
            upsert,
            overwrite,
            table,
            hints,
            partition,
            columns,
            query,
            on_conflict,
            span: self.since(start),
        })
    }

    /// `(a = 1, b = 'x')`; without values if they may be missing.
    pub(super) fn partition_spec(&mut self, values: bool) -> Parsed<PartitionSpec> {
        let start = self.peek().span;
        let entries = self.parenthesized(|parser| {
            let column = parser.ident("a column")?;
            if !values && !parser.is_symbol(Symbol::Equal) {
                return Ok((column, None));
            }
            parser.expect(Symbol::Equal)?;
            Ok((column, Some(parser.literal()?)))
        })?;
        Ok(PartitionSpec { entries, span: self.since(start) })
    }

    /// A constant, perhaps with a sign.
    fn literal(&mut self) -> Parsed<crate::ast::Expr> {
        let expr = self.expr_from(crate::print::precedence::SIGN)?;
        let inner = match &expr.kind {
            crate::ast::ExprKind::Unary(_, inner) => &inner.kind,
            kind => kind,
        };
        if matches!(inner, crate::ast::ExprKind::Literal(_)) {
            return Ok(expr);
        }
        Err(SqlParseError::syntax(expr.span, "a constant is expected here"))
    }
}
