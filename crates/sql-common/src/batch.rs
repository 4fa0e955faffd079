//! Rows as columns, each with what it does: the unit in which tables move.

use std::{any::Any, collections::HashMap};

use arrow_array::{Array, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::{
    reader::read_record_batch,
    root_as_message,
    writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions},
};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use hurtig_types::{BoxedPayload, CodecError, Payload};

use crate::RowKind;

/// Rows of one schema, and what each of them does. Event times are columns.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangelogBatch {
    /// The rows.
    pub rows: RecordBatch,
    /// What they do, as many as there are rows; `None`: all are inserts.
    pub kinds: Option<Vec<RowKind>>,
}

impl ChangelogBatch {
    /// Rows that are all new.
    #[must_use]
    pub fn inserts(rows: RecordBatch) -> Self {
        Self { rows, kinds: None }
    }

    /// Rows with as many kinds.
    #[must_use]
    pub fn new(rows: RecordBatch, kinds: Vec<RowKind>) -> Self {
        debug_assert_eq!(rows.num_rows(), kinds.len(), "one kind per row");
        let plain = kinds.iter().all(|kind| *kind == RowKind::Insert);
        Self { rows, kinds: (!plain).then_some(kinds) }
    }

    /// What row `index` does.
    #[inline]
    #[must_use]
    pub fn kind(&self, index: usize) -> RowKind {
        self.kinds.as_ref().map_or(RowKind::Insert, |kinds| kinds[index])
    }

    /// Some of its rows, without copying them.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        let kinds = self.kinds.as_ref().map(|kinds| kinds[offset..offset + length].to_vec());
        Self { rows: self.rows.slice(offset, length), kinds }
    }

    /// Boxes it for the runtime.
    #[must_use]
    pub fn boxed(self) -> BoxedPayload {
        Box::new(self)
    }

    /// Takes a payload that must hold such rows. The error means that the graph was wired wrongly.
    pub fn from_payload(payload: BoxedPayload) -> Result<Self, CodecError> {
        let found = payload.type_name();
        match payload.into_any().downcast::<Self>() {
            Ok(batch) => Ok(*batch),
            Err(_) => Err(CodecError::Malformed(format!("expected rows of a table, got {found}"))),
        }
    }

    /// Decodes what [`Payload::encode`] wrote of rows of that schema.
    pub fn decode(schema: &SchemaRef, bytes: &[u8]) -> Result<Self, CodecError> {
        let malformed = |why: String| CodecError::Malformed(format!("rows of a table: {why}"));
        let (header, rest) = section(bytes)?;
        let (body, kinds) = section(rest)?;
        let message = root_as_message(header).map_err(|error| malformed(error.to_string()))?;
        let batch = message.header_as_record_batch();
        let batch = batch.ok_or_else(|| malformed("the message is no batch".to_owned()))?;
        // The kernels want alignment, so the body moves into a buffer of its own.
        let body = Buffer::from(body);
        let none = HashMap::new();
        let rows = read_record_batch(&body, batch, schema.clone(), &none, None, &message.version())
            .map_err(|error| malformed(error.to_string()))?;
        if kinds.is_empty() {
            return Ok(Self::inserts(rows));
        }
        if kinds.len() != rows.num_rows() {
            let (found, wanted) = (kinds.len(), rows.num_rows());
            return Err(malformed(format!("{found} kinds for {wanted} rows")));
        }
        let kinds = kinds.iter().map(|byte| RowKind::of(*byte)).collect::<Option<Vec<_>>>();
        let kinds = kinds.ok_or_else(|| malformed("there is no such kind of a row".to_owned()))?;
        Ok(Self { rows, kinds: Some(kinds) })
    }
}

/// A length of four bytes and as many bytes as it says; what is left.
fn section(bytes: &[u8]) -> Result<(&[u8], &[u8]), CodecError> {
    let truncated = || CodecError::Malformed("rows of a table: truncated".to_owned());
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(truncated)?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(truncated)
}

fn put_section(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), CodecError> {
    let length = u32::try_from(bytes.len())
        .map_err(|_| CodecError::Malformed("a batch of more than 4 GiB".to_owned()))?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

impl Payload for ChangelogBatch {
    fn len(&self) -> usize {
        self.rows.num_rows()
    }

    fn size_bytes(&self) -> usize {
        let columns = self.rows.columns().iter();
        let held = columns.map(|column| column.to_data().get_slice_memory_size().unwrap_or(0));
        held.sum::<usize>() + self.kinds.as_ref().map_or(0, Vec::len)
    }

    fn split_off(&mut self, at: usize) -> BoxedPayload {
        let rest = self.slice(at, self.len() - at);
        *self = self.slice(0, at);
        rest.boxed()
    }

    fn append(&mut self, other: BoxedPayload) -> Result<(), BoxedPayload> {
        let other = Self::from_payload_or_back(other)?;
        if other.rows.schema() != self.rows.schema() {
            return Err(other.boxed());
        }
        let Ok(rows) = concat_batches(&self.rows.schema(), [&self.rows, &other.rows]) else {
            return Err(other.boxed());
        };
        if self.kinds.is_some() || other.kinds.is_some() {
            let (mine, theirs) = (self.len(), other.len());
            let mut kinds = self.kinds.take().unwrap_or_else(|| vec![RowKind::Insert; mine]);
            kinds.extend(other.kinds.unwrap_or_else(|| vec![RowKind::Insert; theirs]));
            self.kinds = Some(kinds);
        }
        self.rows = rows;
        Ok(())
    }

    fn clone_payload(&self) -> BoxedPayload {
        self.clone().boxed()
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut dictionaries = DictionaryTracker::new(false);
        let (_, data) = IpcDataGenerator::default()
            .encode(
                &self.rows,
                &mut dictionaries,
                &IpcWriteOptions::default(),
                &mut IpcWriteContext::default(),
            )
            .map_err(|error| CodecError::Malformed(format!("rows of a table: {error}")))?;
        put_section(out, &data.ipc_message)?;
        put_section(out, &data.arrow_data)?;
        out.extend(self.kinds.iter().flatten().map(|kind| *kind as u8));
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}

impl ChangelogBatch {
    fn from_payload_or_back(payload: BoxedPayload) -> Result<Self, BoxedPayload> {
        if payload.type_name() != std::any::type_name::<Self>() {
            return Err(payload);
        }
        match payload.into_any().downcast::<Self>() {
            Ok(batch) => Ok(*batch),
            Err(_) => unreachable!("its name is that of the type"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn batch() -> ChangelogBatch {
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("name", DataType::Utf8, true),
        ]));
        let ids = Int64Array::from(vec![Some(1), None, Some(3), Some(4)]);
        let names = StringArray::from(vec![Some("a"), Some("bc"), None, Some("")]);
        let rows = RecordBatch::try_new(schema, vec![Arc::new(ids), Arc::new(names)]).unwrap();
        use RowKind::{Delete, Insert, UpdateAfter, UpdateBefore};
        ChangelogBatch::new(rows, vec![Insert, UpdateBefore, UpdateAfter, Delete])
    }

    #[test]
    fn it_travels_whole_and_in_slices() {
        for (offset, length) in [(0, 4), (1, 2), (3, 1), (2, 0)] {
            let sent = batch().slice(offset, length);
            let mut bytes = Vec::new();
            sent.encode(&mut bytes).unwrap();
            let got = ChangelogBatch::decode(&sent.rows.schema(), &bytes).unwrap();
            assert_eq!(got.rows, sent.rows);
            assert!((0..length).all(|row| got.kind(row) == sent.kind(row)));
            for end in 0..bytes.len() {
                // Cut short it is refused, or (within the kinds) it does not fit the rows.
                let cut = ChangelogBatch::decode(&sent.rows.schema(), &bytes[..end]);
                assert!(cut.is_err() || cut.unwrap().kinds.is_none());
            }
        }
    }

    #[test]
    fn parts_make_a_whole_again() {
        let whole = batch();
        let mut first = whole.clone();
        let rest = first.split_off(1);
        assert_eq!((first.len(), rest.len()), (1, 3));
        first.append(rest).unwrap();
        assert_eq!(first, whole);
    }
}
