//! FROM: tables, joins, hints.

use super::{Parsed, Parser};
use crate::{
    ast::{
        FromClause, FromJoin, Ident, JoinConstraint, JoinKind, TableAlias, TableFactor,
        TableFactorKind, TableHint, TableHintOptions, TableSample,
    },
    error::SqlParseError,
    lexer::{Symbol, TokenKind},
    span::Span,
};

/// What stood between the parentheses of FROM.
enum TableParen {
    Query(crate::ast::SqlQuery),
    Joins(FromClause),
}

impl Parser<'_> {
    /// Tables with joins and commas between them.
    pub(super) fn table_list(&mut self) -> Parsed<FromClause> {
        let first = self.table_factor()?;
        self.joins(first, true)
    }

    fn joins(&mut self, first: TableFactor, commas: bool) -> Parsed<FromClause> {
        let mut joins = Vec::new();
        loop {
            let start = self.peek().span;
            if commas && self.eat(Symbol::Comma) {
                let right = self.table_factor()?;
                let span = self.since(start);
                let kind = JoinKind::Comma;
                joins.push(FromJoin { kind, natural: false, right, constraint: None, span });
                continue;
            }
            let natural = self.eat_word("NATURAL");
            let kind = match self.join_kind()? {
                Some(kind) => kind,
                None if natural => return Err(self.unexpected()),
                None => return Ok(FromClause { first, joins }),
            };
            let right = self.table_factor()?;
            let constraint = if self.eat_word("ON") {
                Some(JoinConstraint::On(self.expr()?))
            } else if self.eat_word("USING") {
                let columns = self.parenthesized(|parser| parser.ident("a column"))?;
                Some(JoinConstraint::Using(columns))
            } else {
                None
            };
            let span = self.since(start);
            if constraint.is_some() && (natural || kind == JoinKind::Cross) {
                let message = "a natural or cross join has no condition";
                return Err(SqlParseError::syntax(span, message));
            }
            if constraint.is_none() && !natural && kind != JoinKind::Cross {
                return Err(self.unexpected());
            }
            joins.push(FromJoin { kind, natural, right, constraint, span });
        }
    }

    fn join_kind(&mut self) -> Parsed<Option<JoinKind>> {
        if self.eat_word("JOIN") {
            return Ok(Some(JoinKind::Inner));
        }
        let kinds = [
            ("INNER", JoinKind::Inner),
            ("CROSS", JoinKind::Cross),
            ("LEFT", JoinKind::Left),
            ("RIGHT", JoinKind::Right),
            ("FULL", JoinKind::Full),
        ];
        for (word, kind) in kinds {
            if self.eat_word(word) {
                if !matches!(kind, JoinKind::Inner | JoinKind::Cross) {
                    self.eat_word("OUTER");
                }
                if self.is_word("SEMI") || self.is_word("ANTI") {
                    let message = "there is no such join";
                    return Err(SqlParseError::syntax(self.peek().span, message)
                        .hint("write WHERE [NOT] EXISTS (...) or [NOT] IN (...)"));
                }
                self.expect_word("JOIN")?;
                return Ok(Some(kind));
            }
        }
        Ok(None)
    }

    fn table_factor(&mut self) -> Parsed<TableFactor> {
        self.nested(|parser| {
            let start = parser.peek().span;
            let lateral = parser.eat_word("LATERAL");
            let kind = parser.factor_kind(lateral)?;
            let mut factor =
                TableFactor { kind, alias: None, sample: None, span: parser.since(start) };
            if parser.is_word("MATCH_RECOGNIZE") {
                let clause = Box::new(parser.match_recognize()?);
                let kind = TableFactorKind::Match { input: Box::new(factor), clause };
                factor = TableFactor { kind, alias: None, sample: None, span: start };
            }
            parser.factor_end(factor, start)
        })
    }

    /// Alias and sample.
    fn factor_end(&mut self, mut factor: TableFactor, start: Span) -> Parsed<TableFactor> {
        factor.alias = self.table_alias()?;
        if self.eat_word("TABLESAMPLE") {
            factor.sample = Some(self.table_sample()?);
        }
        factor.span = self.since(start);
        Ok(factor)
    }

    fn factor_kind(&mut self, lateral: bool) -> Parsed<TableFactorKind> {
        if self.is_symbol(Symbol::LeftParen) {
            return Ok(match self.table_paren()? {
                TableParen::Query(query) => {
                    TableFactorKind::Query { query: Box::new(query), lateral }
                }
                TableParen::Joins(_) if lateral => return Err(self.unexpected()),
                TableParen::Joins(joins) => TableFactorKind::Joins(Box::new(joins)),
            });
        }
        if self.eat_word("UNNEST") {
            let operands = match self.paren_list()? {
                super::primary::ParenContent::Exprs(operands) => operands,
                super::primary::ParenContent::Query(query) => {
                    let span = query.span;
                    let kind = crate::ast::ExprKind::Query(query);
                    vec![crate::ast::Expr::new(kind, span)]
                }
            };
            let ordinality = self.eat_words(&["WITH", "ORDINALITY"]);
            return Ok(TableFactorKind::Unnest { operands, ordinality });
        }
        if self.eat_word("TABLE") {
            self.expect(Symbol::LeftParen)?;
            let call = Box::new(self.named_call()?);
            self.expect(Symbol::RightParen)?;
            return Ok(TableFactorKind::Function { call, lateral, wrapped: true });
        }
        if lateral {
            self.missed("(");
            return Err(self.unexpected());
        }
        let name = self.object_name("a table")?;
        if self.is_symbol(Symbol::LeftParen) {
            let call = Box::new(self.plain_call(name)?);
            return Ok(TableFactorKind::Function { call, lateral, wrapped: false });
        }
        let hints = if self.is_symbol(Symbol::HintStart) { self.hints()? } else { Vec::new() };
        let system_time = if self.is_words(&["FOR", "SYSTEM_TIME"]) {
            self.bump();
            self.bump();
            self.expect_words(&["AS", "OF"])?;
            Some(Box::new(self.expr()?))
        } else {
            None
        };
        Ok(TableFactorKind::Table { name, hints, system_time })
    }

    /// A query or joins in parentheses. Read once, whatever it is.
    fn table_paren(&mut self) -> Parsed<TableParen> {
        self.nested(|parser| {
            let start = parser.peek().span;
            parser.expect(Symbol::LeftParen)?;
            let content = if parser.at_query() {
                TableParen::Query(parser.query()?)
            } else if parser.is_symbol(Symbol::LeftParen) {
                let inner = parser.peek().span;
                match parser.table_paren()? {
                    TableParen::Query(query) if parser.is_symbol(Symbol::RightParen) => {
                        TableParen::Query(query)
                    }
                    TableParen::Query(query) if parser.continues_query() => {
                        TableParen::Query(parser.query_behind(query)?)
                    }
                    content => {
                        let kind = match content {
                            TableParen::Query(query) => {
                                TableFactorKind::Query { query: Box::new(query), lateral: false }
                            }
                            TableParen::Joins(joins) => TableFactorKind::Joins(Box::new(joins)),
                        };
                        let factor = TableFactor { kind, alias: None, sample: None, span: inner };
                        let factor = parser.factor_end(factor, inner)?;
                        TableParen::Joins(parser.joins(factor, false)?)
                    }
                }
            } else {
                let first = parser.table_factor()?;
                TableParen::Joins(parser.joins(first, false)?)
            };
            parser.expect(Symbol::RightParen)?;
            Ok(match content {
                TableParen::Query(query) => {
                    TableParen::Query(crate::ast::SqlQuery { span: parser.since(start), ..query })
                }
                joins @ TableParen::Joins(_) => joins,
            })
        })
    }

    fn table_alias(&mut self) -> Parsed<Option<TableAlias>> {
        if !(self.eat_word("AS") || self.is_ident_at(0)) {
            return Ok(None);
        }
        let name = self.ident("a name")?;
        let columns = if self.is_symbol(Symbol::LeftParen) {
            self.parenthesized(|parser| parser.ident("a column"))?
        } else {
            Vec::new()
        };
        Ok(Some(TableAlias { name, columns }))
    }

    fn table_sample(&mut self) -> Parsed<TableSample> {
        let bernoulli = self.eat_word("BERNOULLI");
        if !bernoulli {
            self.expect_word("SYSTEM")?;
        }
        self.expect(Symbol::LeftParen)?;
        let percentage = self.unsigned_number()?;
        self.expect(Symbol::RightParen)?;
        let seed = if self.eat_word("REPEATABLE") {
            self.expect(Symbol::LeftParen)?;
            let seed = self.unsigned_number()?;
            self.expect(Symbol::RightParen)?;
            Some(seed)
        } else {
            None
        };
        Ok(TableSample { bernoulli, percentage, seed })
    }

    /// `/*+ ... */`
    pub(super) fn hints(&mut self) -> Parsed<Vec<TableHint>> {
        self.expect(Symbol::HintStart)?;
        let hints = self.comma_separated(Self::hint)?;
        self.expect(Symbol::HintEnd)?;
        Ok(hints)
    }

    fn hint(&mut self) -> Parsed<TableHint> {
        let name = self.ident("a hint")?;
        if !self.eat(Symbol::LeftParen) {
            return Ok(TableHint { name, options: TableHintOptions::None });
        }
        if self.eat(Symbol::RightParen) {
            return Ok(TableHint { name, options: TableHintOptions::None });
        }
        let options = if self.is_symbol_at(1, Symbol::Equal) {
            TableHintOptions::KeyValues(self.comma_separated(|parser| {
                let key = if parser.is_text() {
                    let span = parser.peek().span;
                    let value = parser.text()?;
                    Ident { value, quoted: true, span }
                } else {
                    parser.ident("a key")?
                };
                parser.expect(Symbol::Equal)?;
                Ok((key, parser.text()?))
            })?)
        } else if self.is_ident_at(0) {
            TableHintOptions::Names(self.comma_separated(|parser| parser.ident("a name"))?)
        } else {
            TableHintOptions::Literals(self.comma_separated(|parser| match parser.peek().kind {
                TokenKind::Symbol(Symbol::Minus | Symbol::Plus) => parser.expr(),
                _ if parser.is_text() => parser.text_literal(),
                _ => parser.unsigned_number(),
            })?)
        };
        self.expect(Symbol::RightParen)?;
        Ok(TableHint { name, options })
    }
}
