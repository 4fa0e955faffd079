//! Expressions: operators and their precedence, which is Calcite's.

use super::{Parsed, Parser};
use crate::{
    ast::{
        BinaryOperator, Comparison, Expr, ExprKind, IsPredicate, LikeKind, Quantifier,
        SelectQuantifier, UnaryOperator,
    },
    lexer::{Symbol, TokenKind},
    print::precedence as level,
};

impl Parser<'_> {
    /// Any expression.
    pub fn expr(&mut self) -> Parsed<Expr> {
        self.expr_from(level::LOWEST)
    }

    /// An expression of operators that bind at least so strongly.
    pub(super) fn expr_from(&mut self, least: u8) -> Parsed<Expr> {
        self.nested(|parser| {
            let left = parser.prefixed()?;
            parser.operators(left, least)
        })
    }

    /// A list of expressions without parentheses.
    pub(super) fn expr_list(&mut self) -> Parsed<Vec<Expr>> {
        self.comma_separated(Self::expr)
    }

    fn prefixed(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        let (operator, least) = match token.kind {
            TokenKind::Symbol(Symbol::Minus) => (UnaryOperator::Minus, level::SIGN),
            TokenKind::Symbol(Symbol::Plus) => (UnaryOperator::Plus, level::SIGN),
            TokenKind::Word if self.is_word("NOT") => (UnaryOperator::Not, level::NOT),
            _ => return self.primary(),
        };
        self.bump();
        let operand = self.expr_from(least)?;
        let span = token.span.to(operand.span);
        Ok(Expr::new(ExprKind::Unary(operator, Box::new(operand)), span))
    }

    /// What follows an operand, as far as it binds strongly enough.
    pub(super) fn operators(&mut self, mut left: Expr, least: u8) -> Parsed<Expr> {
        loop {
            left = match self.postfix(left)? {
                (left, true) => {
                    self.grow()?;
                    left
                }
                (left, false) => match self.operator(left, least)? {
                    (left, true) => left,
                    (left, false) => return Ok(left),
                },
            };
        }
    }

    /// `[index]` and `.field`, which bind most strongly. Whether there was one.
    fn postfix(&mut self, left: Expr) -> Parsed<(Expr, bool)> {
        if self.is_symbol(Symbol::LeftBracket) {
            self.bump();
            let index = self.expr()?;
            self.expect(Symbol::RightBracket)?;
            let span = self.since(left.span);
            let kind = ExprKind::Item(Box::new(left), Box::new(index));
            return Ok((Expr::new(kind, span), true));
        }
        if self.is_symbol(Symbol::Dot) {
            self.bump();
            let field = self.ident("a field")?;
            let span = self.since(left.span);
            return Ok((Expr::new(ExprKind::Field(Box::new(left), field), span), true));
        }
        Ok((left, false))
    }

    /// One operator with its right operand. Whether there was one.
    fn operator(&mut self, left: Expr, least: u8) -> Parsed<(Expr, bool)> {
        let token = self.peek();
        if let TokenKind::Symbol(symbol) = token.kind {
            if symbol == Symbol::BangEqual {
                let error = crate::SqlParseError::syntax(token.span, "`!=` is not of this dialect");
                return Err(error.hint("write <>"));
            }
            let Some(operator) = symbol_operator(symbol) else { return Ok((left, false)) };
            return self.binary(left, operator, 1, least);
        }
        if token.kind != TokenKind::Word {
            return Ok((left, false));
        }
        let word = self.upper();
        match &*word {
            "AND" if least <= level::AND => self.conjunction(left, true),
            "OR" if least <= level::OR => self.conjunction(left, false),
            "IS" if least <= level::IS => self.is_predicate(left, least),
            "IN" | "BETWEEN" | "LIKE" | "ILIKE" | "RLIKE" | "SIMILAR" if least <= level::LIKE => {
                self.membership(left, false)
            }
            "NOT" if self.is_words(&["NOT", "SUBMULTISET", "OF"]) => {
                self.binary(left, BinaryOperator::NotSubmultisetOf, 3, least)
            }
            "NOT" if least <= level::LIKE => {
                let next = self.upper_at(1);
                let words = ["IN", "BETWEEN", "LIKE", "ILIKE", "RLIKE", "SIMILAR"];
                if !words.contains(&&*next) {
                    return Ok((left, false));
                }
                self.bump();
                self.membership(left, true)
            }
            "MEMBER" => self.binary(left, BinaryOperator::MemberOf, 2, least),
            "SUBMULTISET" => self.binary(left, BinaryOperator::SubmultisetOf, 2, least),
            "OVERLAPS" => self.binary(left, BinaryOperator::Overlaps, 1, least),
            "MULTISET" => self.multiset_operator(left, least),
            _ => Ok((left, false)),
        }
    }

    /// An operator of several words and its right operand.
    fn binary(
        &mut self,
        left: Expr,
        operator: BinaryOperator,
        words: usize,
        least: u8,
    ) -> Parsed<(Expr, bool)> {
        let binding = level::of_binary(operator);
        if binding < least {
            return Ok((left, false));
        }
        for _ in 0..words {
            self.bump();
        }
        if let BinaryOperator::Compare(comparison) = operator
            && let Some(quantifier) = self.quantifier()
        {
            let right = self.quantified_operand()?;
            let span = self.since(left.span);
            let (operand, right) = (Box::new(left), Box::new(right));
            let kind = ExprKind::Quantified { operand, comparison, quantifier, right };
            self.grow()?;
            return Ok((Expr::new(kind, span), true));
        }
        let right = self.expr_from(binding + 1)?;
        let span = left.span.to(right.span);
        self.grow()?;
        Ok((Expr::new(ExprKind::Binary(Box::new(left), operator, Box::new(right)), span), true))
    }

    fn quantifier(&mut self) -> Option<Quantifier> {
        if !self.is_symbol_at(1, Symbol::LeftParen) {
            return None;
        }
        let quantifier = match &*self.upper() {
            "ANY" | "SOME" => Quantifier::Any,
            "ALL" => Quantifier::All,
            _ => return None,
        };
        self.bump();
        Some(quantifier)
    }

    fn quantified_operand(&mut self) -> Parsed<Expr> {
        let start = self.peek().span;
        let content = self.paren_list()?;
        let span = self.since(start);
        let kind = match content {
            super::primary::ParenContent::Query(query) => ExprKind::Query(query),
            super::primary::ParenContent::Exprs(fields) => {
                ExprKind::Row { explicit: false, fields }
            }
        };
        Ok(Expr::new(kind, span))
    }

    /// All operands of AND or OR in a row: one node, however many there are.
    fn conjunction(&mut self, left: Expr, and: bool) -> Parsed<(Expr, bool)> {
        let (word, binding) = if and { ("AND", level::AND) } else { ("OR", level::OR) };
        let start = left.span;
        let mut operands = vec![left];
        while self.is_word(word) {
            self.bump();
            operands.push(self.expr_from(binding + 1)?);
        }
        self.grow()?;
        let span = self.since(start);
        let kind = if and { ExprKind::And(operands) } else { ExprKind::Or(operands) };
        Ok((Expr::new(kind, span), true))
    }

    fn is_predicate(&mut self, left: Expr, least: u8) -> Parsed<(Expr, bool)> {
        let negated = self.is_word_at(1, "NOT");
        let ahead = 1 + usize::from(negated);
        if self.is_word_at(ahead, "DISTINCT") {
            let operator = if negated {
                BinaryOperator::IsNotDistinctFrom
            } else {
                BinaryOperator::IsDistinctFrom
            };
            if !self.is_word_at(ahead + 1, "FROM") {
                for _ in 0..=ahead {
                    self.bump();
                }
                self.expect_word("FROM")?;
            }
            return self.binary(left, operator, ahead + 2, least);
        }
        for _ in 0..ahead {
            self.bump();
        }
        let predicate = self.predicate()?;
        let span = self.since(left.span);
        self.grow()?;
        let kind = ExprKind::Is { operand: Box::new(left), predicate, negated };
        Ok((Expr::new(kind, span), true))
    }

    fn predicate(&mut self) -> Parsed<IsPredicate> {
        const PLAIN: [(&str, IsPredicate); 5] = [
            ("NULL", IsPredicate::Null),
            ("TRUE", IsPredicate::True),
            ("FALSE", IsPredicate::False),
            ("UNKNOWN", IsPredicate::Unknown),
            ("EMPTY", IsPredicate::Empty),
        ];
        for (word, predicate) in PLAIN {
            if self.eat_word(word) {
                return Ok(predicate);
            }
        }
        if self.eat_words(&["A", "SET"]) {
            return Ok(IsPredicate::ASet);
        }
        self.missed("DISTINCT");
        self.missed("NOT");
        self.expect_word("JSON")?;
        Ok(if self.eat_word("OBJECT") {
            IsPredicate::JsonObject
        } else if self.eat_word("ARRAY") {
            IsPredicate::JsonArray
        } else if self.eat_word("SCALAR") {
            IsPredicate::JsonScalar
        } else {
            self.eat_word("VALUE");
            IsPredicate::JsonValue
        })
    }

    /// IN, BETWEEN and LIKE, behind a NOT that was taken.
    fn membership(&mut self, left: Expr, negated: bool) -> Parsed<(Expr, bool)> {
        let start = left.span;
        let operand = Box::new(left);
        let word = self.upper();
        self.bump();
        let kind = match &*word {
            "IN" => match self.paren_list()? {
                super::primary::ParenContent::Query(query) => {
                    ExprKind::InQuery { operand, negated, query }
                }
                super::primary::ParenContent::Exprs(list) => {
                    ExprKind::InList { operand, negated, list }
                }
            },
            "BETWEEN" => {
                let symmetric = self.eat_word("SYMMETRIC");
                if !symmetric {
                    self.eat_word("ASYMMETRIC");
                }
                let low = Box::new(self.expr_from(level::LIKE + 1)?);
                self.expect_word("AND")?;
                let high = Box::new(self.expr_from(level::LIKE + 1)?);
                ExprKind::Between { operand, negated, symmetric, low, high }
            }
            like => {
                let kind = match like {
                    "ILIKE" => LikeKind::ILike,
                    "RLIKE" => LikeKind::RLike,
                    "SIMILAR" => {
                        self.expect_word("TO")?;
                        LikeKind::SimilarTo
                    }
                    _ => LikeKind::Like,
                };
                let pattern = Box::new(self.expr_from(level::LIKE + 1)?);
                let escape = if self.eat_word("ESCAPE") {
                    Some(Box::new(self.expr_from(level::HIGHEST)?))
                } else {
                    None
                };
                ExprKind::Like { operand, kind, negated, pattern, escape }
            }
        };
        self.grow()?;
        let span = self.since(start);
        Ok((Expr::new(kind, span), true))
    }

    fn multiset_operator(&mut self, left: Expr, least: u8) -> Parsed<(Expr, bool)> {
        let quantifier = match &*self.upper_at(2) {
            "ALL" => SelectQuantifier::All,
            "DISTINCT" => SelectQuantifier::Distinct,
            _ => SelectQuantifier::None,
        };
        let operator = match &*self.upper_at(1) {
            "UNION" => BinaryOperator::MultisetUnion(quantifier),
            "INTERSECT" => BinaryOperator::MultisetIntersect(quantifier),
            "EXCEPT" => BinaryOperator::MultisetExcept(quantifier),
            _ => return Ok((left, false)),
        };
        let words = if quantifier == SelectQuantifier::None { 2 } else { 3 };
        self.binary(left, operator, words, least)
    }
}

fn symbol_operator(symbol: Symbol) -> Option<BinaryOperator> {
    Some(match symbol {
        Symbol::Equal => BinaryOperator::Compare(Comparison::Equal),
        Symbol::NotEqual => BinaryOperator::Compare(Comparison::NotEqual),
        Symbol::Less => BinaryOperator::Compare(Comparison::Less),
        Symbol::LessOrEqual => BinaryOperator::Compare(Comparison::LessOrEqual),
        Symbol::Greater => BinaryOperator::Compare(Comparison::Greater),
        Symbol::GreaterOrEqual => BinaryOperator::Compare(Comparison::GreaterOrEqual),
        Symbol::Plus => BinaryOperator::Plus,
        Symbol::Minus => BinaryOperator::Minus,
        Symbol::Star => BinaryOperator::Multiply,
        Symbol::Slash => BinaryOperator::Divide,
        Symbol::Percent => BinaryOperator::Modulo,
        Symbol::Concat => BinaryOperator::Concat,
        _ => return None,
    })
}
