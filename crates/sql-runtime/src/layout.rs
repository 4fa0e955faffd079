//! Which columns the rows in an operator's state have.
//!
//! State holds rows as bytes, which say nothing of their columns. So each snapshot carries the names
//! and types of the columns, and an operator that starts from it compares. Rows fit if their types are
//! the same, one by one, and no column that both know by name has moved; a column may have another
//! name than before. Else the restore fails, and says what has changed.

use hurtig_operator_api::{ListStateData, OperatorContext};
use hurtig_types::{FlowError, FlowResult, RedistributionMode, StateMeta, codec};
use serde::{Deserialize, Serialize};

use crate::rows::RowCodec;

/// Name of the state that holds it.
const LAYOUT: &str = "_layout";

/// Columns of rows: names and types.
type Columns = Vec<(String, String)>;

/// The kinds of rows in an operator's state, each with its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout(Vec<(String, Columns)>);

impl Layout {
    /// Rows of a codec are in the state, as `what`.
    pub(crate) fn with(mut self, what: &str, codec: &RowCodec) -> Self {
        self.0.push((what.to_owned(), codec.layout().to_vec()));
        self
    }

    /// The same, if there is such a codec.
    pub(crate) fn with_some(self, what: &str, codec: Option<&RowCodec>) -> Self {
        match codec {
            Some(codec) => self.with(what, codec),
            None => self,
        }
    }

    /// Why rows of `written` cannot be read as these.
    fn difference(&self, written: &Self) -> Option<String> {
        let whats = |layout: &Self| -> Vec<String> {
            layout.0.iter().map(|(what, _)| what.clone()).collect()
        };
        if whats(self) != whats(written) {
            let (now, then) = (whats(self).join(", "), whats(written).join(", "));
            return Some(format!("it keeps {now} and kept {then}"));
        }
        let mut both = self.0.iter().zip(&written.0);
        both.find(|((_, now), (_, then))| !fits(now, then)).map(|((what, now), (_, then))| {
            format!("its {what} has the columns ({}) and had ({})", text(now), text(then))
        })
    }

    /// Describes the state that holds it.
    pub(crate) fn meta() -> StateMeta {
        StateMeta::of_elements::<Self>(LAYOUT, RedistributionMode::Union)
    }

    /// Compares with what a snapshot says.
    pub(crate) fn check(&self, context: &OperatorContext) -> FlowResult {
        let Some(restored) = &context.restored else { return Ok(()) };
        for written in restored.list(LAYOUT) {
            let written: Self = codec::decode(written)?;
            if let Some(difference) = self.difference(&written) {
                return Err(FlowError::user(format!(
                    "the state of the operator was written for other rows: {difference}"
                )));
            }
        }
        Ok(())
    }

    /// For a snapshot.
    pub(crate) fn captured(&self) -> Result<ListStateData, codec::CodecError> {
        let elements = vec![codec::encode(self)?];
        Ok(ListStateData { name: LAYOUT.to_owned(), mode: RedistributionMode::Union, elements })
    }
}

fn fits(now: &Columns, then: &Columns) -> bool {
    let types = |columns: &Columns| -> Vec<String> {
        columns.iter().map(|(_, data_type)| data_type.clone()).collect()
    };
    let place = |columns: &Columns, name: &str| columns.iter().position(|(one, _)| one == name);
    types(now) == types(then)
        && now.iter().enumerate().all(|(at, (name, _))| {
            place(then, name).is_none_or(|before| before == at) || place(now, name) != Some(at)
        })
}

fn text(columns: &Columns) -> String {
    let one = |(name, data_type): &(String, String)| format!("{name} {data_type}");
    columns.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str) -> Columns {
        let one = |column: &str| {
            let (name, data_type) = column.split_once(':').unwrap();
            (name.to_owned(), data_type.to_owned())
        };
        text.split_whitespace().map(one).collect()
    }

    #[test]
    fn columns_may_be_renamed_but_not_move_or_change() {
        for (now, then, expected) in [
            ("a:INT b:INT", "a:INT b:INT", true),
            ("a:INT c:INT", "a:INT b:INT", true),
            ("b:INT a:INT", "a:INT b:INT", false),
            ("a:INT c:INT b:INT", "a:INT b:INT", false),
            ("a:INT b:BIGINT", "a:INT b:INT", false),
            ("a:INT", "a:INT b:INT", false),
            // Names need not be unique.
            ("a:INT a:INT", "a:INT a:INT", true),
        ] {
            assert_eq!(fits(&columns(now), &columns(then)), expected, "{now} of {then}");
        }
    }

    #[test]
    fn differences_name_what_has_changed() {
        let layout = |row: &str| Layout(vec![("row".to_owned(), columns(row))]);
        let difference = layout("a:INT b:INT").difference(&layout("a:INT")).unwrap();
        assert_eq!(difference, "its row has the columns (a INT, b INT) and had (a INT)");
        let other = Layout(vec![("key".to_owned(), columns("a:INT"))]);
        assert_eq!(other.difference(&layout("a:INT")).unwrap(), "it keeps key and kept row");
        assert_eq!(layout("a:INT").difference(&layout("z:INT")), None);
    }
}
