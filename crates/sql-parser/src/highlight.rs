//! The words of a text by what they look like, for those who colour it while it is written.
//!
//! Works on any text, finished or not: what has no end reaches to the end.

use crate::{
    keywords::is_reserved,
    lexer::{Lexer, TokenKind},
    span::Span,
};

/// What a part of a text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextClass {
    /// A reserved word.
    Keyword,
    /// Another word.
    Word,
    /// A name in back-ticks.
    QuotedName,
    /// A text or bytes in quotes.
    Text,
    /// A number.
    Number,
    /// A comment.
    Comment,
    /// Punctuation, and what belongs to nothing.
    Other,
}

/// The parts of a text in order; what is between them is blank.
#[must_use]
pub fn classify(text: &str) -> Vec<(Span, TextClass)> {
    let mut parts = Vec::new();
    let mut lexer = Lexer::new(text, 0);
    let mut done = 0;
    loop {
        let token = lexer.next_token();
        let (span, class) = match &token {
            Ok(token) => (token.span, class_of(text, token.kind, token.span)),
            // What cannot be read begins behind what could, blanks and comments aside.
            Err(error) => (Span::new(error.span.start as usize, text.len()), None),
        };
        put_comments(text, done, span.start as usize, &mut parts);
        match (token, class) {
            (Ok(_), Some(class)) => parts.push((span, class)),
            (Ok(_), None) => return parts,
            (Err(_), _) => {
                let rest = text.get(span.start as usize..).unwrap_or_default();
                let class = match rest.as_bytes().first() {
                    Some(b'\'') => TextClass::Text,
                    Some(b'`') => TextClass::QuotedName,
                    Some(b'/') => TextClass::Comment,
                    _ => TextClass::Other,
                };
                parts.push((span, class));
                return parts;
            }
        }
        done = span.end as usize;
    }
}

fn class_of(text: &str, kind: TokenKind, span: Span) -> Option<TextClass> {
    Some(match kind {
        TokenKind::Word => {
            let word = text.get(span.start as usize..span.end as usize).unwrap_or_default();
            if is_reserved(word) { TextClass::Keyword } else { TextClass::Word }
        }
        TokenKind::QuotedIdentifier => TextClass::QuotedName,
        TokenKind::Integer | TokenKind::Decimal | TokenKind::Approximate => TextClass::Number,
        TokenKind::Text
        | TokenKind::PrefixedText
        | TokenKind::UnicodeText
        | TokenKind::EscapedText
        | TokenKind::Binary => TextClass::Text,
        TokenKind::Symbol(_) => TextClass::Other,
        TokenKind::End => return None,
    })
}

/// What the lexer has skipped and is not blank is a comment.
fn put_comments(text: &str, from: usize, to: usize, parts: &mut Vec<(Span, TextClass)>) {
    let Some(gap) = text.get(from..to) else { return };
    let start = from + (gap.len() - gap.trim_start().len());
    let end = from + gap.trim_end().len();
    if start < end {
        parts.push((Span::new(start, end), TextClass::Comment));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(text: &str) -> Vec<(&str, TextClass)> {
        let parts = classify(text).into_iter();
        parts.map(|(span, class)| (&text[span.start as usize..span.end as usize], class)).collect()
    }

    #[test]
    fn words_have_classes_also_in_what_is_not_finished() {
        use TextClass::*;
        assert_eq!(
            classes("select /* c */ a, 1.5 -- d\n from `t` where x = 'y"),
            [
                ("select", Keyword),
                ("/* c */", Comment),
                ("a", Word),
                (",", Other),
                ("1.5", Number),
                ("-- d", Comment),
                ("from", Keyword),
                ("`t`", QuotedName),
                ("where", Keyword),
                ("x", Word),
                ("=", Other),
                ("'y", Text),
            ]
        );
        assert_eq!(classes("a /* b"), [("a", Word), ("/* b", Comment)]);
        assert_eq!(classes("a ☃"), [("a", Word), ("☃", Other)]);
        assert_eq!(classes(""), []);
    }
}
