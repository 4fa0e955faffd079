//! What is wrong with a text, where, and what may help.

use std::fmt::Write;

use crate::span::{LineColumn, Span};

/// What kind of mistake an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlErrorKind {
    /// The text is not of the dialect's grammar.
    Syntax,
    /// The grammar is kept, but what it says cannot be: a precision out of range, a name twice.
    Invalid,
    /// The text ends where more must follow: a string, a comment or a block is open. An interactive
    /// client asks for another line.
    Incomplete,
    /// A bound of [`SqlLimits`](crate::SqlLimits) is exceeded.
    Limit,
}

/// An error with its position in the text that was parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlParseError {
    /// The kind of mistake.
    pub kind: SqlErrorKind,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// Where it is.
    pub span: Span,
    /// What may help.
    pub hint: Option<String>,
}

/// Characters of a line that are shown around a mistake: a line can be as long as a script.
const SHOWN_CHARACTERS: usize = 160;

impl SqlParseError {
    /// An error of a kind.
    pub(crate) fn new(kind: SqlErrorKind, span: Span, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), span, hint: None }
    }

    /// A mistake of grammar.
    pub(crate) fn syntax(span: Span, message: impl Into<String>) -> Self {
        Self::new(SqlErrorKind::Syntax, span, message)
    }

    /// A mistake of meaning.
    pub(crate) fn invalid(span: Span, message: impl Into<String>) -> Self {
        Self::new(SqlErrorKind::Invalid, span, message)
    }

    /// The same with a hint.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Line and column of its beginning.
    #[must_use]
    pub fn position(&self, source: &str) -> LineColumn {
        LineColumn::of(source, self.span.start)
    }

    /// The error for people: message, position, the line with a caret under the mistake, the hint.
    #[must_use]
    pub fn render(&self, source: &str) -> String {
        let at = self.position(source);
        let mut shown =
            format!("error: {}\n --> line {}, column {}\n", self.message, at.line, at.column);
        let line = source.split('\n').nth(at.line as usize - 1).unwrap_or_default();
        let caret = at.column as usize - 1;
        let skipped = caret.saturating_sub(SHOWN_CHARACTERS / 2);
        let visible: String =
            line.chars().skip(skipped).take(SHOWN_CHARACTERS).map(printable).collect();
        let visible = visible.trim_end();
        let length = self.span.text(source).split('\n').next().unwrap_or_default().chars().count();
        let left = visible.chars().count().saturating_sub(caret - skipped);
        let marks = length.clamp(1, left.max(1));
        let margin = at.line.to_string();
        let blank = " ".repeat(margin.len());
        let dots = if skipped > 0 { "..." } else { "" };
        let indent = " ".repeat(caret - skipped + dots.len());
        // Writing to a string cannot fail.
        let _ = write!(
            shown,
            "{blank} |\n{margin} | {dots}{visible}\n{blank} | {indent}{}\n",
            "^".repeat(marks)
        );
        if let Some(hint) = &self.hint {
            let _ = writeln!(shown, "hint: {hint}");
        }
        shown
    }
}

/// Control characters would move the caret, or worse, the terminal's.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_caret_stands_under_the_mistake() {
        let source = "SELECT a\nFORM t";
        let error = SqlParseError::syntax(Span::new(9, 13), "unexpected `FORM`").hint("FROM?");
        expect![[r#"
            error: unexpected `FORM`
             --> line 2, column 1
              |
            2 | FORM t
              | ^^^^
            hint: FROM?
        "#]]
        .assert_eq(&error.render(source));
    }

    #[test]
    fn long_lines_are_cut_and_control_characters_blanked() {
        let source = format!("{}\u{1b}[2Jx{}", "a".repeat(500), "b".repeat(100_000));
        let error = SqlParseError::syntax(Span::new(504, 90_000), "no");
        let shown = error.render(&source);
        assert!(shown.len() < 800 && !shown.contains('\u{1b}'), "{shown}");
        assert!(shown.contains("line 1, column 505"), "{shown}");
    }
}
