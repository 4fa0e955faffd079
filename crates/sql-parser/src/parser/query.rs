//! Queries.

use super::{Parsed, Parser};
use crate::{
    ast::{
        CommonTable, Expr, ExprKind, GroupByClause, GroupingElement, NamedWindow, NullOrder,
        OrderItem, SelectItem, SelectQuantifier, SetOperator, SqlQuery, SqlQueryBody, SqlSelect,
        WithClause,
    },
    error::SqlParseError,
    lexer::Symbol,
    span::Span,
};

/// How strongly UNION and EXCEPT bind; INTERSECT binds stronger by one.
const UNION_BINDING: u8 = 1;

impl SqlQuery {
    /// A query with nothing around its body.
    pub(crate) fn of(body: SqlQueryBody, span: Span) -> Self {
        Self { with: None, body, order_by: Vec::new(), offset: None, limit: None, span }
    }
}

impl Parser<'_> {
    /// Whether a query begins here that is not in parentheses.
    pub(super) fn at_query(&self) -> bool {
        match &*self.upper() {
            "SELECT" | "VALUES" | "WITH" => true,
            "VALUE" => self.is_symbol_at(1, Symbol::LeftParen),
            // `TABLE(f(x))` is a function.
            "TABLE" => self.is_ident_at(1),
            _ => false,
        }
    }

    /// Whether what comes behind a query in parentheses makes it part of another.
    pub(super) fn continues_query(&self) -> bool {
        let words = ["UNION", "INTERSECT", "EXCEPT", "MINUS", "ORDER", "LIMIT", "OFFSET", "FETCH"];
        let word = self.upper();
        words.contains(&&*word)
    }

    /// A query with WITH, ORDER BY and limits.
    pub fn query(&mut self) -> Parsed<SqlQuery> {
        self.nested(|parser| {
            let start = parser.peek().span;
            let with = if parser.is_word("WITH") { Some(parser.with_clause()?) } else { None };
            let leaf = parser.query_leaf()?;
            let body = parser.set_operations(leaf, UNION_BINDING)?;
            parser.query_end(with, body, start)
        })
    }

    /// The rest of a query that begins with another one in parentheses.
    pub(super) fn query_behind(&mut self, first: SqlQuery) -> Parsed<SqlQuery> {
        self.nested(|parser| {
            let start = first.span;
            let leaf = SqlQueryBody::Query(Box::new(first));
            let body = parser.set_operations(leaf, UNION_BINDING)?;
            parser.query_end(None, body, start)
        })
    }

    fn query_end(
        &mut self,
        with: Option<WithClause>,
        body: SqlQueryBody,
        start: Span,
    ) -> Parsed<SqlQuery> {
        let mut query = SqlQuery::of(body, start);
        query.with = with;
        if self.is_word("ORDER") {
            query.order_by = self.order_by()?;
        } else {
            self.missed("ORDER");
        }
        if self.eat_word("LIMIT") {
            if !self.eat_word("ALL") {
                query.limit = Some(self.unsigned_number()?);
                if self.is_symbol(Symbol::Comma) {
                    let message = "LIMIT takes one number";
                    return Err(SqlParseError::syntax(self.peek().span, message)
                        .hint("write LIMIT count OFFSET start"));
                }
            }
            if self.eat_word("OFFSET") {
                query.offset = Some(self.offset()?);
            }
        } else if self.eat_word("OFFSET") {
            query.offset = Some(self.offset()?);
            if self.is_word("LIMIT") {
                let message = "LIMIT stands before OFFSET";
                return Err(SqlParseError::syntax(self.peek().span, message)
                    .hint("write LIMIT count OFFSET start"));
            }
            if self.eat_word("FETCH") {
                query.limit = Some(self.fetch()?);
            }
        } else if self.eat_word("FETCH") {
            query.limit = Some(self.fetch()?);
        }
        query.span = self.since(start);
        Ok(query)
    }

    fn offset(&mut self) -> Parsed<Expr> {
        let offset = self.unsigned_number()?;
        if !self.eat_word("ROWS") {
            self.eat_word("ROW");
        }
        Ok(offset)
    }

    /// What follows FETCH.
    fn fetch(&mut self) -> Parsed<Expr> {
        if !self.eat_word("FIRST") {
            self.expect_word("NEXT")?;
        }
        let limit = self.unsigned_number()?;
        if !self.eat_word("ROWS") {
            self.expect_word("ROW")?;
        }
        self.expect_word("ONLY")?;
        Ok(limit)
    }

    fn with_clause(&mut self) -> Parsed<WithClause> {
        self.expect_word("WITH")?;
        let recursive = self.eat_word("RECURSIVE");
        let tables = self.comma_separated(|parser| {
            let name = parser.ident("a name")?;
            let columns = if parser.is_symbol(Symbol::LeftParen) {
                parser.parenthesized(|parser| parser.ident("a column"))?
            } else {
                Vec::new()
            };
            parser.expect_word("AS")?;
            let query = Box::new(parser.parenthesized_query()?);
            Ok(CommonTable { name, columns, query })
        })?;
        Ok(WithClause { recursive, tables })
    }

    /// A query in parentheses, where nothing else can be.
    pub(super) fn parenthesized_query(&mut self) -> Parsed<SqlQuery> {
        let at = self.peek().span;
        match self.paren_list()? {
            super::primary::ParenContent::Query(query) => Ok(*query),
            super::primary::ParenContent::Exprs(_) => {
                Err(SqlParseError::syntax(self.since(at), "a query is expected here"))
            }
        }
    }

    /// A query without set operations.
    fn query_leaf(&mut self) -> Parsed<SqlQueryBody> {
        match &*self.upper() {
            "SELECT" => Ok(SqlQueryBody::Select(Box::new(self.select()?))),
            "VALUES" | "VALUE" => {
                self.bump();
                Ok(SqlQueryBody::Values(self.comma_separated(Self::expr)?))
            }
            "TABLE" => {
                self.bump();
                Ok(SqlQueryBody::Table(self.object_name("a table")?))
            }
            _ if self.is_symbol(Symbol::LeftParen) => {
                Ok(SqlQueryBody::Query(Box::new(self.parenthesized_query()?)))
            }
            _ => {
                self.missed("a query");
                self.missed("SELECT");
                Err(self.unexpected())
            }
        }
    }

    fn set_operator(&self) -> Option<(SetOperator, u8)> {
        match &*self.upper() {
            "UNION" => Some((SetOperator::Union, UNION_BINDING)),
            "EXCEPT" | "MINUS" => Some((SetOperator::Except, UNION_BINDING)),
            "INTERSECT" => Some((SetOperator::Intersect, UNION_BINDING + 1)),
            _ => None,
        }
    }

    fn set_operations(&mut self, mut left: SqlQueryBody, least: u8) -> Parsed<SqlQueryBody> {
        loop {
            let Some((operator, binding)) = self.set_operator() else {
                self.missed("UNION");
                return Ok(left);
            };
            if binding < least {
                return Ok(left);
            }
            let token = self.peek();
            if self.is_word("MINUS") {
                return Err(SqlParseError::syntax(token.span, "MINUS is not of this dialect")
                    .hint("write EXCEPT"));
            }
            self.bump();
            let quantifier = self.set_quantifier();
            let leaf = self.query_leaf()?;
            let right = self.set_operations(leaf, binding + 1)?;
            left = match left {
                // A row of the same operations is one node. EXCEPT takes from the left, too.
                SqlQueryBody::SetOperation { operator: o, quantifier: q, mut inputs }
                    if (o, q) == (operator, quantifier) =>
                {
                    inputs.push(right);
                    SqlQueryBody::SetOperation { operator, quantifier, inputs }
                }
                left => {
                    self.grow()?;
                    let inputs = vec![left, right];
                    SqlQueryBody::SetOperation { operator, quantifier, inputs }
                }
            };
        }
    }

    fn select(&mut self) -> Parsed<SqlSelect> {
        let start = self.peek().span;
        self.expect_word("SELECT")?;
        let hints = if self.is_symbol(Symbol::HintStart) { self.hints()? } else { Vec::new() };
        let quantifier = self.set_quantifier();
        let items = self.comma_separated(Self::select_item)?;
        let mut select = SqlSelect {
            hints,
            quantifier,
            items,
            from: None,
            filter: None,
            group_by: None,
            having: None,
            windows: Vec::new(),
            qualify: None,
            span: start,
        };
        if self.eat_word("FROM") {
            select.from = Some(self.table_list()?);
            if self.eat_word("WHERE") {
                select.filter = Some(self.expr()?);
            }
            if self.is_word("GROUP") {
                select.group_by = Some(self.group_by()?);
            } else {
                self.missed("GROUP");
            }
            if self.eat_word("HAVING") {
                select.having = Some(self.expr()?);
            }
            if self.eat_word("WINDOW") {
                select.windows = self.comma_separated(|parser| {
                    let name = parser.ident("a window")?;
                    parser.expect_word("AS")?;
                    Ok(NamedWindow { name, window: parser.window_specification()? })
                })?;
            }
            if self.eat_word("QUALIFY") {
                select.qualify = Some(self.expr()?);
            }
        }
        select.span = self.since(start);
        Ok(select)
    }

    fn select_item(&mut self) -> Parsed<SelectItem> {
        if let Some(wildcard) = self.wildcard()? {
            return Ok(SelectItem { expr: wildcard, alias: None });
        }
        let expr = self.expr()?;
        let named = self.eat_word("AS") || self.is_ident_at(0);
        let alias = if named { Some(self.ident("a name")?) } else { None };
        Ok(SelectItem { expr, alias })
    }

    /// `*` or `t.*`
    fn wildcard(&mut self) -> Parsed<Option<Expr>> {
        let start = self.peek().span;
        let mut parts = 0;
        while self.is_ident_at(2 * parts) && self.is_symbol_at(2 * parts + 1, Symbol::Dot) {
            parts += 1;
        }
        if !self.is_symbol_at(2 * parts, Symbol::Star) {
            return Ok(None);
        }
        let mut qualifier = Vec::new();
        for _ in 0..parts {
            qualifier.push(self.ident("a table")?);
            self.bump();
        }
        self.bump();
        Ok(Some(Expr::new(ExprKind::Wildcard(qualifier), self.since(start))))
    }

    fn group_by(&mut self) -> Parsed<GroupByClause> {
        let start = self.peek().span;
        self.expect_words(&["GROUP", "BY"])?;
        let quantifier = if self.is_word("ALL") || self.is_word("DISTINCT") {
            self.set_quantifier()
        } else {
            SelectQuantifier::None
        };
        let elements = self.comma_separated(Self::grouping_element)?;
        Ok(GroupByClause { quantifier, elements, span: self.since(start) })
    }

    fn grouping_element(&mut self) -> Parsed<GroupingElement> {
        if self.is_words(&["GROUPING", "SETS"]) {
            self.bump();
            self.bump();
            let sets = self.nested(|parser| parser.parenthesized(Self::grouping_element))?;
            return Ok(GroupingElement::GroupingSets(sets));
        }
        if self.eat_word("ROLLUP") {
            return Ok(GroupingElement::Rollup(self.parenthesized(Self::expr)?));
        }
        if self.eat_word("CUBE") {
            return Ok(GroupingElement::Cube(self.parenthesized(Self::expr)?));
        }
        if self.is_symbol(Symbol::LeftParen) && self.is_symbol_at(1, Symbol::RightParen) {
            self.bump();
            self.bump();
            return Ok(GroupingElement::Empty);
        }
        Ok(GroupingElement::Expr(self.expr()?))
    }

    /// `ORDER BY ...`
    pub(super) fn order_by(&mut self) -> Parsed<Vec<OrderItem>> {
        self.expect_words(&["ORDER", "BY"])?;
        self.comma_separated(Self::order_item)
    }

    pub(super) fn order_item(&mut self) -> Parsed<OrderItem> {
        let expr = self.expr()?;
        let descending = self.eat_word("DESC");
        if !descending {
            self.eat_word("ASC");
        }
        let nulls = if self.eat_word("NULLS") {
            if self.eat_word("FIRST") {
                Some(NullOrder::First)
            } else {
                self.expect_word("LAST")?;
                Some(NullOrder::Last)
            }
        } else {
            None
        };
        Ok(OrderItem { expr, descending, nulls })
    }
}
