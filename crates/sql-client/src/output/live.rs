//! A table on the terminal that is drawn anew as it changes.
//!
//! It shows the newest rows that fit and says how many there are in all. It is drawn at most once
//! in a while, and once more at its end, when it stays.

use std::io::{self, Write};

use hurtig_sql_common::RowKind;

use super::{ChangelogOutput, FoldedRows, ResultColumn, TextRow, print_table};

/// What the table is drawn on.
pub trait Screen {
    /// How many lines it has.
    fn lines(&self) -> usize;
    /// Milliseconds of some clock that never goes back.
    fn now_ms(&self) -> u64;
}

/// Pause between two drawings.
const REDRAW_MS: u64 = 100;

/// Draws the rows that a changelog leaves.
pub struct LiveTable<W, S> {
    out: W,
    screen: S,
    names: Vec<String>,
    rows: FoldedRows,
    /// Lines of the last drawing, which the next one goes over.
    drawn: usize,
    drawn_at: Option<u64>,
}

impl<W: Write, S: Screen> LiveTable<W, S> {
    /// Draws on `out`, which is that screen.
    pub fn new(out: W, screen: S, columns: &[ResultColumn]) -> Self {
        let names = columns.iter().map(|column| column.name.clone()).collect();
        Self { out, screen, names, rows: FoldedRows::default(), drawn: 0, drawn_at: None }
    }

    fn draw(&mut self, rows: usize) -> io::Result<()> {
        if self.drawn > 0 {
            // To the first line of the last drawing, and away with all below.
            write!(self.out, "\x1b[{}F\x1b[J", self.drawn)?;
        }
        let skipped = self.rows.len().saturating_sub(rows);
        let shown: Vec<_> = self.rows.iter().skip(skipped).cloned().collect();
        let mut text = Vec::new();
        if skipped > 0 {
            writeln!(text, "... {skipped} rows before these")?;
        }
        print_table(&mut text, &self.names, &shown)?;
        self.drawn = text.iter().filter(|byte| **byte == b'\n').count();
        self.out.write_all(&text)?;
        self.out.flush()
    }
}

impl<W: Write, S: Screen> ChangelogOutput for LiveTable<W, S> {
    fn changes(&mut self, changes: &[(RowKind, TextRow)]) -> io::Result<()> {
        for (kind, row) in changes {
            self.rows.change(*kind, row.clone())?;
        }
        let now = self.screen.now_ms();
        if self.drawn_at.is_none_or(|last| now >= last + REDRAW_MS) {
            self.drawn_at = Some(now);
            // A frame, the count, a line for what is skipped, one for the cursor.
            self.draw(self.screen.lines().saturating_sub(7).max(1))?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.draw(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use hurtig_sql_parser::SqlParser;

    use super::*;

    struct Scripted(std::cell::Cell<u64>);

    impl Screen for Scripted {
        fn lines(&self) -> usize {
            9
        }

        fn now_ms(&self) -> u64 {
            self.0.replace(self.0.get() + 60)
        }
    }

    #[test]
    fn it_is_drawn_over_itself_and_not_too_often() {
        let data_type = SqlParser::default().data_type("INT").unwrap();
        let columns = [ResultColumn { name: "n".to_owned(), data_type }];
        let mut out = Vec::new();
        let mut table = LiveTable::new(&mut out, Scripted(std::cell::Cell::new(0)), &columns);
        for n in 1..=3 {
            table.changes(&[(RowKind::Insert, vec![Some(n.to_string())])]).unwrap();
        }
        table.end().unwrap();
        let text = String::from_utf8(out).unwrap();
        let drawings: Vec<_> = text.split("\x1b[").collect();
        // At 0 and at 120 ms, and at the end: each moves up and clears what the last has drawn.
        assert_eq!(drawings.len(), 5, "{text:?}");
        assert_eq!(drawings[0].lines().count(), 6);
        assert!(drawings[1].starts_with("6F"));
        assert!(drawings[2].contains("... 1 rows before these"), "{text:?}");
        assert!(drawings[4].contains("3 rows in set"), "{text:?}");
    }
}
