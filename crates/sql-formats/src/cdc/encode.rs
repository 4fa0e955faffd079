//! From rows with their kinds to messages. Nothing remembers the row before an update, so an update
//! is written as a delete and an insert, as Flink does.

use hurtig_sql_common::RowKind;

use super::Dialect;
use crate::{encoding::RowEncoder, format::TableFormatError, json::encode::JsonEncoder};

/// Writes rows as messages.
pub(crate) struct ChangeEncoder<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) inner: JsonEncoder<'a>,
}

impl RowEncoder for ChangeEncoder<'_> {
    fn encode(&self, row: usize, kind: RowKind, out: &mut Vec<u8>) -> Result<(), TableFormatError> {
        let nulls = !self.inner.ignores_nulls();
        let (before, behind): (&[u8], &[u8]) = match (self.dialect, kind.adds()) {
            (Dialect::Debezium, true) if nulls => (br#"{"before":null,"after":"#, br#","op":"c"}"#),
            (Dialect::Debezium, true) => (br#"{"after":"#, br#","op":"c"}"#),
            (Dialect::Debezium, false) if nulls => {
                (br#"{"before":"#, br#","after":null,"op":"d"}"#)
            }
            (Dialect::Debezium, false) => (br#"{"before":"#, br#","op":"d"}"#),
            (Dialect::Ogg, true) if nulls => (br#"{"before":null,"after":"#, br#","op_type":"I"}"#),
            (Dialect::Ogg, true) => (br#"{"after":"#, br#","op_type":"I"}"#),
            (Dialect::Ogg, false) if nulls => {
                (br#"{"before":"#, br#","after":null,"op_type":"D"}"#)
            }
            (Dialect::Ogg, false) => (br#"{"before":"#, br#","op_type":"D"}"#),
            (Dialect::Canal, true) => (br#"{"data":["#, br#"],"type":"INSERT"}"#),
            (Dialect::Canal, false) => (br#"{"data":["#, br#"],"type":"DELETE"}"#),
            (Dialect::Maxwell, true) => (br#"{"data":"#, br#","type":"insert"}"#),
            (Dialect::Maxwell, false) => (br#"{"data":"#, br#","type":"delete"}"#),
        };
        out.extend_from_slice(before);
        self.inner.object(row, out)?;
        out.extend_from_slice(behind);
        Ok(())
    }
}
