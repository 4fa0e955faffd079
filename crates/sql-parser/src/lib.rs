//! Flink SQL as typed statements that know their positions.
//!
//! - [`SqlParser`]: from a script, a statement, a query, an expression or a type to its tree.
//! - [`ast`]: the trees. Plain data; `Display` gives SQL that parses to an equal one.
//! - [`types`]: data types with Flink's bounds; their display is Flink's summary string.
//! - [`SqlParseError`]: what is wrong, where, and what may help; rendered with a caret.
//! - [`lower`]: queries and expressions as trees of the crate `sqlparser`, for DataFusion.
//! - [`highlight`]: words by what they look like, for those who colour them.
//! - [`SqlLimits`]: what a text may ask for.
//!
//! The grammar is that of Flink 2.3, which is Calcite's with Flink's statements and types: its
//! precedence, its reserved words, its restrictions (no `!=`, no MINUS, no LIMIT of two numbers).
//!
//! Any text gives a tree or an error, in time and memory in proportion to its length and with a
//! bounded stack. Whoever walks a tree may recurse: its height is bounded, too.
//!
//! Deliberately absent: catalogs, names of tables and columns that exist, types of expressions, and
//! all else that needs to know more than the text. Statements that this engine does not run are
//! parsed, and say so: [`ast::StatementKind::unsupported`].

pub mod ast;
mod datetime;
mod error;
pub mod highlight;
pub mod keywords;
mod lexer;
mod limits;
pub mod lower;
mod parser;
mod print;
mod script;
mod span;
pub mod types;

pub use datetime::IntervalValue;
pub use error::{SqlErrorKind, SqlParseError};
pub use limits::SqlLimits;
pub use script::ScriptPart;
pub use span::{LineColumn, Span};

use ast::{Expr, SqlQuery, SqlStatement};
use parser::Parser;
use script::Splitter;
use types::SqlDataType;

/// What a parser gives, or why not.
type ParseResult<T> = std::result::Result<T, SqlParseError>;

/// Parses texts within limits. Positions in what it gives are those of the text that it was given.
#[derive(Clone, Copy, Debug, Default)]
pub struct SqlParser {
    limits: SqlLimits,
}

impl SqlParser {
    /// A parser with other limits than [`SqlLimits::DEFAULT`].
    #[must_use]
    pub fn with_limits(limits: SqlLimits) -> Self {
        Self { limits }
    }

    /// The statements of a script, unread. Fails where a string or comment has no end.
    pub fn split(&self, script: &str) -> ParseResult<Vec<ScriptPart>> {
        let mut splitter = Splitter::new(script, self.limits)?;
        let mut parts = Vec::new();
        while let Some(part) = splitter.next_part()? {
            parts.push(part);
        }
        Ok(parts)
    }

    /// All statements of a script.
    pub fn script(&self, script: &str) -> ParseResult<Vec<SqlStatement>> {
        let mut splitter = Splitter::new(script, self.limits)?;
        let mut statements = Vec::new();
        while let Some(part) = splitter.next_part()? {
            statements.push(self.part(script, part)?);
        }
        Ok(statements)
    }

    /// One of the statements that a script was split into.
    pub fn part(&self, script: &str, part: ScriptPart) -> ParseResult<SqlStatement> {
        Parser::new(script, part.span, self.limits)?.statement()
    }

    /// A single statement, with or without a semicolon.
    pub fn statement(&self, text: &str) -> ParseResult<SqlStatement> {
        Parser::new(text, whole(text), self.limits)?.statement()
    }

    /// A query.
    pub fn query(&self, text: &str) -> ParseResult<SqlQuery> {
        Parser::new(text, whole(text), self.limits)?.whole(Parser::query)
    }

    /// An expression.
    pub fn expression(&self, text: &str) -> ParseResult<Expr> {
        Parser::new(text, whole(text), self.limits)?.whole(Parser::expr)
    }

    /// A data type.
    pub fn data_type(&self, text: &str) -> ParseResult<SqlDataType> {
        Parser::new(text, whole(text), self.limits)?.whole(Parser::data_type)
    }
}

fn whole(text: &str) -> Span {
    Span::new(0, text.len())
}
