//! Operands: constants, names, parentheses, constructors, CASE and CAST.

use super::{Parsed, Parser};
use crate::{
    ast::{
        ArrayConstructor, BinaryOperator, CastKind, Expr, ExprKind, Literal, ObjectName, SqlQuery,
    },
    error::SqlParseError,
    keywords::{is_context_variable, is_reserved, is_reserved_function},
    lexer::{Symbol, TokenKind},
    print::precedence as level,
    span::Span,
};

/// What stood between parentheses.
pub(super) enum ParenContent {
    /// A query.
    Query(Box<SqlQuery>),
    /// One expression or more.
    Exprs(Vec<Expr>),
}

impl Parser<'_> {
    /// An operand.
    pub(super) fn primary(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        match token.kind {
            TokenKind::Integer | TokenKind::Decimal | TokenKind::Approximate => {
                Ok(self.number_literal())
            }
            TokenKind::Text
            | TokenKind::PrefixedText
            | TokenKind::UnicodeText
            | TokenKind::EscapedText
            | TokenKind::Binary => self.text_literal(),
            TokenKind::Symbol(Symbol::LeftParen) => self.parenthesis(),
            TokenKind::QuotedIdentifier => self.name_or_call(),
            TokenKind::Word => self.word_operand(),
            TokenKind::Symbol(Symbol::Question) => {
                let message = "parameters (`?`) have no values here";
                Err(SqlParseError::syntax(token.span, message))
            }
            _ => {
                self.missed("an expression");
                Err(self.unexpected())
            }
        }
    }

    fn word_operand(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        let word = self.upper();
        let called = self.is_symbol_at(1, Symbol::LeftParen);
        let constant = |kind| Ok(Expr::new(ExprKind::Literal(kind), token.span));
        match &*word {
            "TRUE" | "FALSE" => {
                self.bump();
                return constant(Literal::Boolean(&*word == "TRUE"));
            }
            "NULL" => {
                self.bump();
                return constant(Literal::Null);
            }
            "UNKNOWN" => {
                self.bump();
                return constant(Literal::Unknown);
            }
            "DATE" | "TIME" | "TIMESTAMP" if !called => return self.datetime_literal(&word),
            "INTERVAL" => return self.interval(),
            "CASE" => return self.case(),
            "CAST" | "TRY_CAST" if called => return self.cast(&word),
            "EXISTS" | "UNIQUE" if called => return self.exists(&word),
            "ROW" if called => {
                self.bump();
                let ParenContent::Exprs(fields) = self.paren_list()? else {
                    return Err(SqlParseError::syntax(token.span, "a row has no query in it"));
                };
                let kind = ExprKind::Row { explicit: true, fields };
                return Ok(Expr::new(kind, self.since(token.span)));
            }
            "ARRAY" | "MULTISET" => return self.collection(&word),
            "MAP" if called || self.is_symbol_at(1, Symbol::LeftBracket) => {
                return self.collection(&word);
            }
            _ => {}
        }
        if called && let Some(builtin) = self.builtin_call(&word)? {
            let span = self.since(token.span);
            return Ok(Expr::new(ExprKind::Builtin(Box::new(builtin)), span));
        }
        if let Some(builtin) = self.semantics(&word)? {
            let span = self.since(token.span);
            return Ok(Expr::new(ExprKind::Builtin(Box::new(builtin)), span));
        }
        let text = self.text_of(token);
        if is_reserved(text) {
            if called && is_reserved_function(text) {
                let name = self.reserved_name();
                return self.function(ObjectName(vec![name]), token.span);
            }
            if is_context_variable(text) {
                let name = self.reserved_name();
                let mut call = crate::ast::FunctionCall::simple(ObjectName(vec![name]), Vec::new());
                call.parentheses = false;
                return Ok(Expr::new(ExprKind::Function(Box::new(call)), token.span));
            }
            self.missed("an expression");
            let error = self.unexpected();
            return Err(if error.hint.is_some() {
                error
            } else {
                error.hint(format!("`{text}` is a reserved word; as a name it needs back-ticks"))
            });
        }
        self.name_or_call()
    }

    /// A name with points, a call, or `t.*` where a wildcard is allowed by the caller.
    fn name_or_call(&mut self) -> Parsed<Expr> {
        let name = self.object_name("an expression")?;
        let span = name.span();
        if self.is_symbol(Symbol::LeftParen) {
            return self.function(name, span);
        }
        Ok(Expr::new(ExprKind::Name(name), span))
    }

    /// Everything that begins with a parenthesis.
    fn parenthesis(&mut self) -> Parsed<Expr> {
        let start = self.peek().span;
        let content = self.nested(Self::paren_list)?;
        self.close(content, start)
    }

    /// The meaning of a parenthesis that was closed: what follows may give it another.
    fn close(&mut self, content: ParenContent, start: Span) -> Parsed<Expr> {
        let span = self.since(start);
        let fields = match content {
            ParenContent::Query(query) => {
                return Ok(Expr::new(ExprKind::Query(query), span));
            }
            ParenContent::Exprs(fields) => fields,
        };
        let single = <[Expr; 1]>::try_from(fields);
        let [single] = match single {
            Ok(single) => single,
            Err(fields) => {
                return Ok(Expr::new(ExprKind::Row { explicit: false, fields }, span));
            }
        };
        // `(a - b) DAY`
        if self.at_interval_qualifier()
            && let ExprKind::Binary(left, BinaryOperator::Minus, right) = single.kind
        {
            let qualifier = self.interval_qualifier()?;
            let kind = ExprKind::IntervalBetween { left, right, qualifier };
            return Ok(Expr::new(kind, self.since(start)));
        }
        Ok(single)
    }

    /// A query, or expressions, in parentheses. Read once, whatever it is.
    pub(super) fn paren_list(&mut self) -> Parsed<ParenContent> {
        self.expect(Symbol::LeftParen)?;
        if self.at_query() {
            let query = Box::new(self.query()?);
            self.expect(Symbol::RightParen)?;
            return Ok(ParenContent::Query(query));
        }
        let first = if self.is_symbol(Symbol::LeftParen) {
            let start = self.peek().span;
            let content = self.nested(Self::paren_list)?;
            match content {
                // `((SELECT ...))`
                ParenContent::Query(query) if self.is_symbol(Symbol::RightParen) => {
                    self.bump();
                    return Ok(ParenContent::Query(query));
                }
                // `((SELECT ...) UNION ...)`
                ParenContent::Query(query) if self.continues_query() => {
                    let query = Box::new(self.query_behind(*query)?);
                    self.expect(Symbol::RightParen)?;
                    return Ok(ParenContent::Query(query));
                }
                content => {
                    let first = self.close(content, start)?;
                    self.operators(first, level::LOWEST)?
                }
            }
        } else {
            self.expr()?
        };
        let mut all = vec![first];
        while self.eat(Symbol::Comma) {
            all.push(self.expr()?);
        }
        self.expect(Symbol::RightParen)?;
        Ok(ParenContent::Exprs(all))
    }

    fn exists(&mut self, word: &str) -> Parsed<Expr> {
        let start = self.bump().span;
        let at = self.peek().span;
        let ParenContent::Query(query) = self.paren_list()? else {
            let message = format!("{word} asks for a query in parentheses");
            return Err(SqlParseError::syntax(at, message));
        };
        let kind = if word == "EXISTS" { ExprKind::Exists(query) } else { ExprKind::Unique(query) };
        Ok(Expr::new(kind, self.since(start)))
    }

    /// `ARRAY[...]`, `MAP[...]`, `MULTISET[...]`, or of a query in parentheses.
    fn collection(&mut self, word: &str) -> Parsed<Expr> {
        let start = self.bump().span;
        let content = if self.eat(Symbol::LeftBracket) {
            let elements =
                if self.is_symbol(Symbol::RightBracket) { Vec::new() } else { self.expr_list()? };
            self.expect(Symbol::RightBracket)?;
            ArrayConstructor::Elements(elements)
        } else if self.is_symbol(Symbol::LeftParen) && self.is_symbol_at(1, Symbol::RightParen) {
            self.bump();
            self.bump();
            ArrayConstructor::Elements(Vec::new())
        } else if self.is_symbol(Symbol::LeftParen) {
            match self.paren_list()? {
                ParenContent::Query(query) => ArrayConstructor::Query(query),
                ParenContent::Exprs(elements) => ArrayConstructor::Elements(elements),
            }
        } else {
            return Err(self.unexpected());
        };
        let kind = match word {
            "ARRAY" => ExprKind::Array(content),
            "MAP" => ExprKind::Map(content),
            _ => ExprKind::Multiset(content),
        };
        Ok(Expr::new(kind, self.since(start)))
    }

    fn case(&mut self) -> Parsed<Expr> {
        let start = self.bump().span;
        let operand = if self.is_word("WHEN") { None } else { Some(Box::new(self.expr()?)) };
        let mut branches = Vec::new();
        self.expect_word("WHEN")?;
        loop {
            let at = self.peek().span;
            let mut values = self.expr_list()?;
            let when = match values.len() {
                1 => values.remove(0),
                _ => {
                    let span = self.since(at);
                    Expr::new(ExprKind::Row { explicit: false, fields: values }, span)
                }
            };
            self.expect_word("THEN")?;
            branches.push((when, self.expr()?));
            if !self.eat_word("WHEN") {
                break;
            }
        }
        let otherwise = if self.eat_word("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        self.expect_word("END")?;
        let kind = ExprKind::Case { operand, branches, otherwise };
        Ok(Expr::new(kind, self.since(start)))
    }

    fn cast(&mut self, word: &str) -> Parsed<Expr> {
        let start = self.bump().span;
        let kind = if word == "CAST" { CastKind::Cast } else { CastKind::TryCast };
        self.expect(Symbol::LeftParen)?;
        let operand = Box::new(self.expr()?);
        self.expect_word("AS")?;
        let at = self.peek().span;
        let data_type = self.data_type()?;
        let type_span = self.since(at);
        self.expect(Symbol::RightParen)?;
        let kind = ExprKind::Cast { kind, operand, data_type, type_span };
        Ok(Expr::new(kind, self.since(start)))
    }
}
