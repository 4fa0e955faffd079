//! Tables drawn with characters, as Flink's client draws them.
//!
//! A changelog is printed as it comes, so its columns are as wide as their types need; values that
//! are wider are cut. A complete table's columns are as wide as its values.

use std::io::{self, Write};

use hurtig_sql_common::RowKind;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{ChangelogOutput, ResultColumn, TextRow};

const NULL: &str = "<NULL>";
/// The widest that a column of texts is, in characters (`sql-client.display.max-column-width`).
const MAX_WIDTH: usize = 30;
/// The widest that a column can be made: each row is filled up to it.
const MOST_WIDTH: usize = 10_000;

/// A changelog, row by row, with what each does in the column `op`.
pub struct Tableau<W> {
    out: W,
    names: Vec<String>,
    widths: Vec<usize>,
    rows: u64,
}

impl<W: Write> Tableau<W> {
    /// Prints to `out`; nothing but what there is to print before the first row.
    pub fn new(out: W, columns: &[ResultColumn], max_width: Option<usize>) -> Self {
        let max_width = max_width.unwrap_or(MAX_WIDTH).min(MOST_WIDTH);
        let names = std::iter::once("op".to_owned());
        let names: Vec<_> = names.chain(columns.iter().map(|one| one.name.clone())).collect();
        let of_types = columns.iter().map(|one| width_of(&one.data_type, max_width));
        let of_types = std::iter::once(2).chain(of_types.map(|width| width.max(NULL.len())));
        let widths = of_types.zip(&names).map(|(width, name)| width.max(name.width())).collect();
        Self { out, names, widths, rows: 0 }
    }
}

impl<W: Write> ChangelogOutput for Tableau<W> {
    fn changes(&mut self, changes: &[(RowKind, TextRow)]) -> io::Result<()> {
        for (kind, row) in changes {
            if self.rows == 0 {
                let names: Vec<_> = self.names.iter().map(String::as_str).collect();
                print_head(&mut self.out, &names, &self.widths)?;
            }
            self.rows += 1;
            let values = row.iter().map(|value| value.as_deref().unwrap_or(NULL));
            let values: Vec<_> = std::iter::once(kind.short()).chain(values).collect();
            print_row(&mut self.out, &values, &self.widths)?;
        }
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            writeln!(self.out, "Empty set")?;
        } else {
            print_border(&mut self.out, &self.widths)?;
            let noun = if self.rows == 1 { "row" } else { "rows" };
            writeln!(self.out, "Received a total of {} {noun}", self.rows)?;
        }
        self.out.flush()
    }
}

/// A whole table, and how many rows it has.
pub fn print_table(out: &mut impl Write, names: &[String], rows: &[TextRow]) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "Empty set");
    }
    let text = |value: &Option<String>| value.as_deref().unwrap_or(NULL).to_owned();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(text).collect()).collect();
    let mut widths: Vec<_> = names.iter().map(|name| name.width()).collect();
    for row in &rows {
        for (width, value) in widths.iter_mut().zip(row) {
            // A value of many lines (a plan, a statement) is as wide as its longest.
            let widest = value.lines().map(UnicodeWidthStr::width).max().unwrap_or(0);
            *width = (*width).max(widest);
        }
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    print_head(out, &names, &widths)?;
    for row in &rows {
        let values: Vec<_> = row.iter().map(String::as_str).collect();
        print_row(out, &values, &widths)?;
    }
    print_border(out, &widths)?;
    let noun = if rows.len() == 1 { "row" } else { "rows" };
    writeln!(out, "{} {noun} in set", rows.len())
}

fn print_head(out: &mut impl Write, names: &[&str], widths: &[usize]) -> io::Result<()> {
    print_border(out, widths)?;
    print_row(out, names, widths)?;
    print_border(out, widths)
}

fn print_border(out: &mut impl Write, widths: &[usize]) -> io::Result<()> {
    write!(out, "+")?;
    widths.iter().try_for_each(|width| write!(out, "{}+", "-".repeat(width + 2)))?;
    writeln!(out)
}

fn print_row(out: &mut impl Write, values: &[&str], widths: &[usize]) -> io::Result<()> {
    write!(out, "|")?;
    for (value, width) in values.iter().zip(widths) {
        let (text, taken) = fit(value, *width);
        write!(out, " {}{text} |", " ".repeat(width - taken))?;
    }
    writeln!(out)
}

/// The value within a width, and how wide it is. Line breaks and what else would move the cursor are
/// shown as spaces.
fn fit(value: &str, width: usize) -> (String, usize) {
    let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let taken = value.width();
    if taken <= width {
        return (value, taken);
    }
    let room = width.saturating_sub(3);
    let (mut cut, mut taken) = (String::new(), 0);
    for c in value.chars() {
        let wide = c.width().unwrap_or(0);
        if taken + wide > room {
            break;
        }
        cut.push(c);
        taken += wide;
    }
    let dots = width.min(3);
    cut.push_str(&"..."[..dots]);
    (cut, taken + dots)
}

/// How many characters the values of a type need, with a sign and a point.
fn width_of(data_type: &SqlDataType, max_width: usize) -> usize {
    let fraction = |precision: u8| if precision == 0 { 0 } else { usize::from(precision) + 1 };
    match data_type.kind {
        SqlTypeKind::TinyInt => 4,
        SqlTypeKind::SmallInt => 6,
        SqlTypeKind::Int => 11,
        SqlTypeKind::BigInt => 20,
        SqlTypeKind::Decimal { precision, .. } => usize::from(precision) + 2,
        SqlTypeKind::Boolean => 5,
        SqlTypeKind::Date => 10,
        SqlTypeKind::Time(precision) => 8 + fraction(precision),
        SqlTypeKind::Timestamp(precision) | SqlTypeKind::TimestampLtz(precision) => {
            19 + fraction(precision)
        }
        _ => max_width,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use hurtig_sql_parser::SqlParser;

    use super::*;

    fn column(name: &str, data_type: &str) -> ResultColumn {
        let data_type = SqlParser::default().data_type(data_type).unwrap();
        ResultColumn { name: name.to_owned(), data_type }
    }

    #[test]
    fn a_changelog_is_drawn_as_it_comes() {
        let columns = [column("n", "INT"), column("d", "DECIMAL(4, 2)"), column("text", "STRING")];
        let mut out = Vec::new();
        let mut tableau = Tableau::new(&mut out, &columns, Some(8));
        let row =
            |n: &str, text: Option<&str>| vec![Some(n.to_owned()), None, text.map(str::to_owned)];
        tableau.changes(&[(RowKind::Insert, row("1", Some("数据流处理引擎")))]).unwrap();
        tableau.changes(&[(RowKind::Delete, row("-2147483648", Some("a\nb")))]).unwrap();
        tableau.end().unwrap();
        expect![[r#"
            +----+-------------+--------+----------+
            | op |           n |      d |     text |
            +----+-------------+--------+----------+
            | +I |           1 | <NULL> |  数据... |
            | -D | -2147483648 | <NULL> |      a b |
            +----+-------------+--------+----------+
            Received a total of 2 rows
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn no_setting_makes_a_column_endlessly_wide() {
        let mut out = Vec::new();
        let columns = [column("text", "STRING")];
        let mut tableau = Tableau::new(&mut out, &columns, Some(usize::MAX));
        tableau.changes(&[(RowKind::Insert, vec![Some("a\u{1b}[2Jb".to_owned())])]).unwrap();
        tableau.end().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.len() < 20_000));
        assert!(text.contains("a [2Jb |") && !text.contains('\u{1b}'));
    }

    #[test]
    fn a_table_is_as_wide_as_its_values() {
        let mut out = Vec::new();
        let rows = [vec![Some("default_catalog".to_owned()), None]];
        print_table(&mut out, &["catalog name".to_owned(), "x".to_owned()], &rows).unwrap();
        print_table(&mut out, &["table name".to_owned()], &[]).unwrap();
        expect![[r#"
            +-----------------+--------+
            |    catalog name |      x |
            +-----------------+--------+
            | default_catalog | <NULL> |
            +-----------------+--------+
            1 row in set
            Empty set
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }
}
