//! Queries and expressions as trees of the crate `sqlparser`, which DataFusion plans from.
//!
//! A planner binds what is Flink's alone (windows, temporal joins, changelog functions) from
//! [`ast`](crate::ast), and can hand on any query or expression that is ordinary SQL. What has no
//! counterpart there becomes a call of a function by a name that is fixed here:
//!
//! | here | there |
//! |---|---|
//! | `a BETWEEN SYMMETRIC b AND c` | `between_symmetric(a, b, c)` |
//! | `TIMESTAMPADD(DAY, a, b)`, `TIMESTAMPDIFF(DAY, a, b)` | the same with the unit as a text |
//! | `(a - b) DAY`, `INTERVAL a DAY` | `interval_between('DAY', a, b)`, `interval_of('DAY', a)` |
//! | `a IS JSON OBJECT` | `is_json_object(a)` |
//! | `ROW(a, b)`, `MAP[a, b]` | `row(a, b)`, `map(a, b)` |
//! | `POSITION(a IN b FROM c)` | `position(a, b, c)` |
//! | a function of JSON with clauses | the same with the clauses as texts behind the arguments |
//! | a type | a custom type whose name is the summary string |
//! | a constant interval | an interval of months, or of seconds with nanoseconds |
//!
//! Identifiers come quoted, so that nobody changes their case; names of functions do not. Positions
//! are lines and columns of the source. Chains of AND, OR and set operations become balanced trees.
//!
//! Refused, since they mean nothing to an ordinary planner: MATCH_RECOGNIZE, tables and columns as
//! arguments, TABLESAMPLE, hints of SELECT, WITHIN DISTINCT, quantified lists, multisets' operators.

mod expr;
mod from;
mod function;
mod query;

use sqlparser::{
    ast as sql,
    tokenizer::{Location, Span as SqlSpan},
};

use crate::{
    ast::{Expr, Ident, ObjectName, SqlQuery},
    error::SqlParseError,
    span::Span,
};

/// What lowering gives, or where is what cannot be lowered.
type Lowered<T> = std::result::Result<T, SqlParseError>;

/// Characters are counted ahead once per so many bytes.
const BLOCK_BYTES: usize = 1024;

/// Lowers trees of one source.
pub struct Lowering<'a> {
    source: &'a str,
    /// The byte at which each line begins.
    lines: Vec<u32>,
    /// Characters before each block of bytes.
    blocks: Vec<u64>,
}

impl<'a> Lowering<'a> {
    /// For trees that were parsed from this source.
    #[must_use]
    pub fn new(source: &'a str) -> Self {
        let mut lines = vec![0];
        let mut blocks = Vec::new();
        let mut characters = 0;
        for (at, byte) in source.bytes().enumerate() {
            if at % BLOCK_BYTES == 0 {
                blocks.push(characters);
            }
            characters += u64::from(begins_character(byte));
            if byte == b'\n' {
                lines.push(u32::try_from(at + 1).unwrap_or(u32::MAX));
            }
        }
        Self { source, lines, blocks }
    }

    /// A query.
    pub fn query(&self, query: &SqlQuery) -> Lowered<sql::Query> {
        self.lower_query(query)
    }

    /// An expression.
    pub fn expr(&self, expr: &Expr) -> Lowered<sql::Expr> {
        self.lower_expr(expr)
    }

    /// A position.
    #[must_use]
    pub fn span(&self, span: Span) -> SqlSpan {
        SqlSpan::new(self.location(span.start), self.location(span.end))
    }

    fn location(&self, offset: u32) -> Location {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied();
        let column = self.characters(offset) - self.characters(start.unwrap_or_default());
        Location::new(line as u64, column + 1)
    }

    /// Characters before a byte.
    fn characters(&self, offset: u32) -> u64 {
        let offset = (offset as usize).min(self.source.len());
        let block = offset / BLOCK_BYTES;
        let Some(before) = self.blocks.get(block).or(self.blocks.last()) else { return 0 };
        let from = block.min(self.blocks.len() - 1) * BLOCK_BYTES;
        let bytes = &self.source.as_bytes()[from..offset];
        before + bytes.iter().filter(|byte| begins_character(**byte)).count() as u64
    }

    fn ident(&self, ident: &Ident) -> sql::Ident {
        sql::Ident::with_quote_and_span('`', self.span(ident.span), ident.value.clone())
    }

    fn object_name(&self, name: &ObjectName) -> sql::ObjectName {
        name.0.iter().map(|part| self.ident(part)).collect::<Vec<_>>().into()
    }

    fn refuse<T>(&self, span: Span, what: &str) -> Lowered<T> {
        Err(SqlParseError::invalid(span, format!("{what} cannot be handed on to another planner")))
    }
}

/// Whether a byte is the first of a character.
fn begins_character(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// All of them joined by an associative operator, as a tree of the least height.
fn balanced<T>(mut all: Vec<T>, join: &impl Fn(T, T) -> T) -> Option<T> {
    while all.len() > 1 {
        let mut pairs = Vec::with_capacity(all.len().div_ceil(2));
        let mut rest = all.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => join(left, right),
                None => left,
            });
        }
        all = pairs;
    }
    all.pop()
}
