//! Positions in the text of a statement or script.
//!
//! A [`Span`] is a range of bytes of the text that was given to the parser. Lines and columns, which
//! only errors need, are counted from the text when one is shown.

use std::hash::{Hash, Hasher};

/// A range of bytes of the source text.
///
/// Equal to every other span: where something was written is no part of what it means, so that two
/// expressions that read the same compare equal (a planner looks for those of GROUP BY among those
/// of SELECT). Compare `start` and `end` to compare positions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// From the first byte to before the other.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    /// From where this begins to where the other ends.
    #[must_use]
    pub fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end.max(self.start) }
    }

    /// What the span covers of its source; nothing if it belongs to another one.
    #[must_use]
    pub fn text(self, source: &str) -> &str {
        source.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Span {}

impl Hash for Span {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A line and a column, both from 1. Columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineColumn {
    /// The line.
    pub line: u32,
    /// The character in it.
    pub column: u32,
}

impl LineColumn {
    /// Where a byte of the source stands. A byte past the end stands at the end.
    #[must_use]
    pub fn of(source: &str, offset: u32) -> Self {
        let mut offset = (offset as usize).min(source.len());
        while !source.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &source[..offset];
        let line = before.bytes().filter(|byte| *byte == b'\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
        Self { line: narrow(line), column: narrow(column) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_begin_at_one() {
        let source = "né\nxyz";
        assert_eq!(LineColumn::of(source, 0), LineColumn { line: 1, column: 1 });
        assert_eq!(LineColumn::of(source, 3), LineColumn { line: 1, column: 3 });
        assert_eq!(LineColumn::of(source, 2), LineColumn { line: 1, column: 2 }, "inside of é");
        assert_eq!(LineColumn::of(source, 5), LineColumn { line: 2, column: 2 });
        assert_eq!(LineColumn::of(source, 99), LineColumn { line: 2, column: 4 });
    }
}
