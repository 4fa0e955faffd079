//! A changelog folded into the rows that it leaves.

use std::collections::BTreeMap;

use hurtig_sql_common::RowKind;

use super::TextRow;

/// A row was taken back that was not there: a fault of the engine or of a changelog that it read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row was taken back that was not there: {0:?}")]
pub struct RetractionWithoutRow(pub TextRow);

impl From<RetractionWithoutRow> for std::io::Error {
    fn from(error: RetractionWithoutRow) -> Self {
        Self::other(error)
    }
}

/// The rows of a result as a multiset, in the order in which they came. A changed row stays where
/// it was: one that follows its own retraction takes its place.
#[derive(Debug, Default)]
pub struct FoldedRows {
    rows: BTreeMap<u64, TextRow>,
    places: std::collections::HashMap<TextRow, Vec<u64>>,
    next: u64,
    /// Where the last retraction has left a place.
    freed: Option<u64>,
}

impl FoldedRows {
    /// Takes a change.
    pub fn change(&mut self, kind: RowKind, row: TextRow) -> Result<(), RetractionWithoutRow> {
        if kind.adds() {
            let freed = self.freed.take().filter(|_| kind == RowKind::UpdateAfter);
            let place = freed.unwrap_or_else(|| {
                self.next += 1;
                self.next
            });
            self.places.entry(row.clone()).or_default().push(place);
            self.rows.insert(place, row);
            return Ok(());
        }
        let Some(places) = self.places.get_mut(&row) else { return Err(RetractionWithoutRow(row)) };
        let place = places.pop();
        if places.is_empty() {
            self.places.remove(&row);
        }
        let Some(place) = place else { return Err(RetractionWithoutRow(row)) };
        self.rows.remove(&place);
        self.freed = (kind == RowKind::UpdateBefore).then_some(place);
        Ok(())
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &TextRow> {
        self.rows.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> TextRow {
        vec![Some(text.to_owned())]
    }

    fn shown(rows: &FoldedRows) -> Vec<&str> {
        rows.iter().map(|row| row[0].as_deref().unwrap()).collect()
    }

    #[test]
    fn an_updated_row_stays_in_its_place_and_equal_rows_count() {
        let mut rows = FoldedRows::default();
        for text in ["a", "b", "a", "c"] {
            rows.change(RowKind::Insert, row(text)).unwrap();
        }
        rows.change(RowKind::UpdateBefore, row("b")).unwrap();
        rows.change(RowKind::UpdateAfter, row("B")).unwrap();
        assert_eq!(shown(&rows), ["a", "B", "a", "c"]);
        rows.change(RowKind::Delete, row("a")).unwrap();
        rows.change(RowKind::UpdateAfter, row("d")).unwrap();
        assert_eq!(shown(&rows), ["a", "B", "c", "d"]);
        rows.change(RowKind::Delete, row("a")).unwrap();
        let missing = rows.change(RowKind::Delete, row("a"));
        assert_eq!(missing, Err(RetractionWithoutRow(row("a"))));
    }
}
