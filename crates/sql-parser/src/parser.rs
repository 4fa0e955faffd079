//! The grammar: from tokens to trees, by recursive descent without backtracking.
//!
//! [`Parser`] holds the tokens of one statement and what was expected at the current one. One file
//! per family of the grammar adds to it. Where Flink's grammar looks ahead without bound (is this
//! parenthesis a query, a row, an expression?) a piece is read once and its meaning decided by what
//! follows, so parsing takes time in proportion to the text.
//!
//! Recursion goes through [`Parser::nested`], which counts depth and the height of the tree.

mod alter;
mod builtin;
mod create;
mod cursor;
mod dml;
mod expr;
mod from;
mod function;
mod insert;
mod json;
mod literal;
mod matching;
mod primary;
mod query;
mod schema;
mod show;
mod statement;
mod table;
mod types;
mod window;

use crate::{
    error::{SqlErrorKind, SqlParseError},
    lexer::{Lexer, Token, TokenKind},
    limits::SqlLimits,
    span::Span,
};

/// The result of a rule of the grammar.
pub(crate) type Parsed<T> = std::result::Result<T, SqlParseError>;

/// The tokens of one statement, and how far they were read.
pub(crate) struct Parser<'a> {
    source: &'a str,
    limits: SqlLimits,
    tokens: Vec<Token>,
    at: usize,
    /// What the grammar asked for at the token `expected_at`, in vain.
    expected: Vec<&'static str>,
    expected_at: usize,
    /// The same of the token before, which may have been taken for a name though it was a typo.
    expected_before: Vec<&'static str>,
    nesting: u32,
    /// The height of the tallest tree that was read inside of the current level.
    height_below: u32,
}

impl<'a> Parser<'a> {
    /// A parser of a part of a source.
    pub fn new(source: &'a str, part: Span, limits: SqlLimits) -> Parsed<Self> {
        let (start, end) = (part.start as usize, part.end as usize);
        if end - start > limits.statement_bytes {
            let message = format!("the statement has {} bytes", end - start);
            return Err(SqlParseError::new(SqlErrorKind::Limit, part, message)
                .hint(format!("at most {} are allowed", limits.statement_bytes)));
        }
        let mut lexer = Lexer::new(source.get(..end).unwrap_or_default(), start);
        let mut tokens = Vec::new();
        loop {
            let token = lexer.next_token()?;
            tokens.push(token);
            if token.kind == TokenKind::End {
                break;
            }
            if tokens.len() > limits.statement_tokens {
                let message = format!("the statement has more than {} words", tokens.len() - 1);
                return Err(SqlParseError::new(SqlErrorKind::Limit, token.span, message));
            }
        }
        Ok(Self {
            source,
            limits,
            tokens,
            at: 0,
            expected: Vec::new(),
            expected_at: 0,
            expected_before: Vec::new(),
            nesting: 0,
            height_below: 0,
        })
    }

    /// Reads one level of a tree deeper. Everything that can contain itself goes through here.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= self.limits.nesting {
            return Err(self.too_deep("nested", self.limits.nesting));
        }
        let beside = std::mem::take(&mut self.height_below);
        self.nesting += 1;
        let result = read(self)?;
        self.nesting -= 1;
        self.grow()?;
        self.height_below = self.height_below.max(beside);
        Ok(result)
    }

    /// What was read at this level is put below another node of the tree.
    fn grow(&mut self) -> Parsed<()> {
        self.height_below += 1;
        if self.height_below > self.limits.tree_height {
            return Err(self.too_deep("chained", self.limits.tree_height));
        }
        Ok(())
    }

    fn too_deep(&self, how: &str, bound: u32) -> SqlParseError {
        let message = format!("the statement is {how} more than {bound} levels deep");
        SqlParseError::new(SqlErrorKind::Limit, self.peek().span, message)
    }
}
