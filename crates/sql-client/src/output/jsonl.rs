//! One JSON text a line: for programs.

use std::io::{self, Write};

use hurtig_sql_common::RowKind;

use super::{ChangelogOutput, FoldedRows, TextRow};

/// `{"op":"+I","row":["1",null]}`: the changelog.
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> ChangelogOutput for JsonLines<W> {
    fn changes(&mut self, changes: &[(RowKind, TextRow)]) -> io::Result<()> {
        for (kind, row) in changes {
            write!(self.out, r#"{{"op":"{}","row":"#, kind.short())?;
            serde_json::to_writer(&mut self.out, row)?;
            self.out.write_all(b"}\n")?;
        }
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// `["1",null]`: the rows that the changelog leaves, sorted by code points, at its end.
pub struct MaterializedJsonLines<W> {
    out: W,
    rows: FoldedRows,
}

impl<W: Write> MaterializedJsonLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, rows: FoldedRows::default() }
    }
}

impl<W: Write> ChangelogOutput for MaterializedJsonLines<W> {
    fn changes(&mut self, changes: &[(RowKind, TextRow)]) -> io::Result<()> {
        changes.iter().try_for_each(|(kind, row)| Ok(self.rows.change(*kind, row.clone())?))
    }

    fn end(&mut self) -> io::Result<()> {
        let lines = self.rows.iter().map(serde_json::to_string);
        let mut lines = lines.collect::<Result<Vec<_>, _>>()?;
        // UTF-8 sorts as its code points do.
        lines.sort_unstable();
        lines.iter().try_for_each(|line| writeln!(self.out, "{line}"))?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> Vec<(RowKind, TextRow)> {
        let row = |text: &str| vec![Some(text.to_owned()), None];
        vec![
            (RowKind::Insert, row("b\n\"é")),
            (RowKind::Insert, row("a")),
            (RowKind::UpdateBefore, row("a")),
            (RowKind::UpdateAfter, row("c")),
        ]
    }

    fn written(make: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        make(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn changes_are_lines() {
        let text = written(|out| {
            let mut lines = JsonLines::new(out);
            lines.changes(&changes()).unwrap();
            lines.end().unwrap();
        });
        expect_test::expect![[r#"
            {"op":"+I","row":["b\n\"é",null]}
            {"op":"+I","row":["a",null]}
            {"op":"-U","row":["a",null]}
            {"op":"+U","row":["c",null]}
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn what_is_left_comes_sorted_at_the_end() {
        let text = written(|out| {
            let mut lines = MaterializedJsonLines::new(out);
            lines.changes(&changes()).unwrap();
            lines.end().unwrap();
        });
        assert_eq!(text, "[\"b\\n\\\"é\",null]\n[\"c\",null]\n");
    }
}
