//! Calls of functions: arguments, tables as arguments, FILTER, OVER and what else follows.

use super::{Parsed, Parser};
use crate::{
    ast::{
        Expr, ExprKind, FunctionArgument, FunctionCall, FunctionValue, Ident, NullTreatment,
        ObjectName, OverClause, SelectQuantifier, SqlQuery, SqlQueryBody, TableArgument,
    },
    lexer::{Symbol, TokenKind},
    span::Span,
};

/// Functions that take IGNORE NULLS and ORDER BY within their parentheses.
const ORDERED: [&str; 4] = ["ARRAY_AGG", "ARRAY_CONCAT_AGG", "GROUP_CONCAT", "STRING_AGG"];

impl Parser<'_> {
    /// The identifier that a reserved word is as a function.
    pub(super) fn reserved_name(&mut self) -> Ident {
        let token = self.bump();
        Ident { value: self.text_of(token).to_owned(), quoted: false, span: token.span }
    }

    /// A call whose name was taken.
    pub(super) fn function(&mut self, name: ObjectName, start: Span) -> Parsed<Expr> {
        let call = self.call(name)?;
        Ok(Expr::new(ExprKind::Function(Box::new(call)), self.since(start)))
    }

    /// A call whose name was taken, with what may follow it.
    pub(super) fn call(&mut self, name: ObjectName) -> Parsed<FunctionCall> {
        let mut call = self.plain_call(name)?;
        if let Some(treatment) = self.null_treatment() {
            call.null_treatment = Some(treatment);
        }
        if self.is_words(&["WITHIN", "DISTINCT"]) {
            self.bump();
            self.bump();
            call.within_distinct = self.parenthesized(Self::expr)?;
        }
        if self.is_words(&["WITHIN", "GROUP"]) {
            self.bump();
            self.bump();
            self.expect(Symbol::LeftParen)?;
            call.within_group = self.order_by()?;
            self.expect(Symbol::RightParen)?;
        }
        call.filter = self.filter_clause()?;
        if self.is_word("OVER") {
            self.bump();
            call.over = Some(if self.is_symbol(Symbol::LeftParen) {
                OverClause::Window(Box::new(self.window_specification()?))
            } else {
                OverClause::Named(self.ident("a window")?)
            });
        }
        Ok(call)
    }

    /// `IGNORE NULLS`, `RESPECT NULLS` or nothing.
    fn null_treatment(&mut self) -> Option<NullTreatment> {
        let treatment = if self.is_words(&["IGNORE", "NULLS"]) {
            NullTreatment::Ignore
        } else if self.is_words(&["RESPECT", "NULLS"]) {
            NullTreatment::Respect
        } else {
            return None;
        };
        self.bump();
        self.bump();
        Some(treatment)
    }

    /// `FILTER (WHERE ...)`
    pub(super) fn filter_clause(&mut self) -> Parsed<Option<Expr>> {
        if !self.is_word("FILTER") {
            return Ok(None);
        }
        self.bump();
        self.expect(Symbol::LeftParen)?;
        self.expect_word("WHERE")?;
        let filter = self.expr()?;
        self.expect(Symbol::RightParen)?;
        Ok(Some(filter))
    }

    /// Arguments alone: functions that give tables have nothing behind them.
    pub(super) fn plain_call(&mut self, name: ObjectName) -> Parsed<FunctionCall> {
        if name.is_word("SUBSTRING") {
            return self.substring(name);
        }
        let mut call = FunctionCall::simple(name, Vec::new());
        self.expect(Symbol::LeftParen)?;
        if self.is_symbol(Symbol::Star) && self.is_symbol_at(1, Symbol::RightParen) {
            let span = self.bump().span;
            let value = FunctionValue::Expr(Expr::new(ExprKind::Wildcard(Vec::new()), span));
            call.arguments.push(FunctionArgument { name: None, value, span });
        } else if !self.is_symbol(Symbol::RightParen) {
            call.quantifier = self.set_quantifier();
            call.arguments = self.comma_separated(Self::argument)?;
            if ORDERED.iter().any(|name| call.name.is_word(name)) {
                call.null_treatment = self.null_treatment();
                if self.is_word("ORDER") {
                    call.order_by = self.order_by()?;
                }
            }
        }
        self.expect(Symbol::RightParen)?;
        Ok(call)
    }

    /// ALL, DISTINCT or nothing.
    pub(super) fn set_quantifier(&mut self) -> SelectQuantifier {
        if self.eat_word("DISTINCT") {
            SelectQuantifier::Distinct
        } else if self.eat_word("ALL") {
            SelectQuantifier::All
        } else {
            SelectQuantifier::None
        }
    }

    fn argument(&mut self) -> Parsed<FunctionArgument> {
        let start = self.peek().span;
        let named = self.is_ident_at(0) && self.is_symbol_at(1, Symbol::Arrow);
        let name = if named {
            let name = self.ident("a parameter")?;
            self.expect(Symbol::Arrow)?;
            Some(name)
        } else {
            None
        };
        let value = self.nested(Self::argument_value)?;
        Ok(FunctionArgument { name, value, span: self.since(start) })
    }

    fn argument_value(&mut self) -> Parsed<FunctionValue> {
        let start = self.peek().span;
        if self.is_word("TABLE") {
            self.bump();
            let name = self.object_name("a table")?;
            let span = name.span();
            let source = Box::new(SqlQuery::of(SqlQueryBody::Table(name), span));
            return Ok(FunctionValue::Table(self.table_argument(source, start)?));
        }
        if self.is_word("DEFAULT") {
            self.bump();
            return Ok(FunctionValue::Default);
        }
        if self.is_word("DESCRIPTOR") && self.is_symbol_at(1, Symbol::LeftParen) {
            self.bump();
            return Ok(FunctionValue::Descriptor(
                self.parenthesized(|parser| parser.ident("a column"))?,
            ));
        }
        let model = matches!(self.peek_at(1).kind, TokenKind::Word | TokenKind::QuotedIdentifier);
        if self.is_word("MODEL") && model && self.is_ident_at(1) {
            self.bump();
            return Ok(FunctionValue::Model(self.object_name("a model")?));
        }
        if self.at_query() {
            let query = Box::new(self.query()?);
            return Ok(FunctionValue::Table(self.table_argument(query, start)?));
        }
        let expr = self.expr()?;
        let partitioned = self.is_words(&["PARTITION", "BY"]) || self.is_words(&["ORDER", "BY"]);
        match expr.kind {
            ExprKind::Query(query) if partitioned => {
                Ok(FunctionValue::Table(self.table_argument(query, start)?))
            }
            kind => Ok(FunctionValue::Expr(Expr { kind, span: expr.span })),
        }
    }

    fn table_argument(&mut self, source: Box<SqlQuery>, start: Span) -> Parsed<TableArgument> {
        let mut argument =
            TableArgument { source, partition_by: Vec::new(), order_by: Vec::new(), span: start };
        if self.eat_words(&["PARTITION", "BY"]) {
            argument.partition_by = if self.is_symbol(Symbol::LeftParen) {
                self.parenthesized(|parser| parser.ident("a column"))?
            } else {
                vec![self.ident("a column")?]
            };
        }
        if self.eat_words(&["ORDER", "BY"]) {
            argument.order_by = if self.is_symbol(Symbol::LeftParen) {
                self.parenthesized(Self::order_item)?
            } else {
                vec![self.order_item()?]
            };
        }
        argument.span = self.since(start);
        Ok(argument)
    }

    /// `TABLE( f(...) )`, `CALL f(...)`: a call by name, whose name may be a reserved word.
    pub(super) fn named_call(&mut self) -> Parsed<FunctionCall> {
        let name = self.object_name("a function")?;
        self.plain_call(name)
    }
}
