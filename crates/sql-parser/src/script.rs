//! Scripts: from a text to its statements.
//!
//! Statements end at semicolons, but not at those in strings, comments, quoted identifiers, and
//! between `STATEMENT SET BEGIN` and `END`. Splitting needs no grammar, so that a client can run
//! what stands before a mistake, and an interactive one can tell whether a statement is whole.

use crate::{
    error::{SqlErrorKind, SqlParseError},
    lexer::{Lexer, Symbol, Token, TokenKind},
    limits::SqlLimits,
    span::Span,
};

/// A statement's place in its script.
#[derive(Clone, Copy, Debug)]
pub struct ScriptPart {
    /// From its first word to its last, without the semicolon.
    pub span: Span,
    /// Whether a semicolon ends it. Only the last statement of a script can lack it.
    pub terminated: bool,
}

/// Splits a script. Empty statements are left out.
pub(crate) struct Splitter<'a> {
    source: &'a str,
    lexer: Lexer<'a>,
    limits: SqlLimits,
}

impl<'a> Splitter<'a> {
    pub fn new(source: &'a str, limits: SqlLimits) -> Result<Self, SqlParseError> {
        if source.len() > limits.script_bytes {
            let message = format!("the script has {} bytes", source.len());
            let span = Span::default();
            return Err(SqlParseError::new(SqlErrorKind::Limit, span, message)
                .hint(format!("at most {} are allowed", limits.script_bytes)));
        }
        Ok(Self { source, lexer: Lexer::new(source, 0), limits })
    }

    /// The next statement.
    pub fn next_part(&mut self) -> Result<Option<ScriptPart>, SqlParseError> {
        let mut span: Option<Span> = None;
        // How many of the words STATEMENT SET BEGIN were seen in a row.
        let mut opening = 0;
        let mut in_set = false;
        let mut after_semicolon = false;
        loop {
            let token = self.lexer.next_token()?;
            match token.kind {
                TokenKind::End => {
                    return Ok(span.map(|span| ScriptPart { span, terminated: false }));
                }
                TokenKind::Symbol(Symbol::Semicolon) if !in_set => match span {
                    Some(span) => return Ok(Some(ScriptPart { span, terminated: true })),
                    None => continue,
                },
                _ => {}
            }
            if in_set && after_semicolon && self.is_word(token, "END") {
                in_set = false;
            }
            after_semicolon = token.kind == TokenKind::Symbol(Symbol::Semicolon);
            opening = match opening {
                1 if self.is_word(token, "SET") => 2,
                2 if self.is_word(token, "BEGIN") => {
                    in_set = true;
                    0
                }
                _ => usize::from(self.is_word(token, "STATEMENT")),
            };
            let whole = span.map_or(token.span, |span| span.to(token.span));
            if (whole.end - whole.start) as usize > self.limits.statement_bytes {
                let most = self.limits.statement_bytes;
                let message = format!("the statement has more than {most} bytes");
                let start = Span { start: whole.start, end: whole.start + 1 };
                return Err(SqlParseError::new(SqlErrorKind::Limit, start, message));
            }
            span = Some(whole);
        }
    }

    fn is_word(&self, token: Token, word: &str) -> bool {
        token.kind == TokenKind::Word && token.span.text(self.source).eq_ignore_ascii_case(word)
    }
}
