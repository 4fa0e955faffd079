//! Batches: the unit in which records move, and [`Payload`], the little that the runtime knows of
//! them.
//!
//! A [`Batch<T>`] holds values of a user's type and, if the stream has them, one timestamp per
//! value. The runtime (network, chaining, watermarks, checkpoints) handles it as a boxed
//! [`Payload`]: everything dynamic happens once per batch, every loop over records is monomorphic.
//!
//! Invariant: `timestamps` is either absent or as long as `values`.

use std::{any::Any, fmt};

use serde::{Serialize, de::DeserializeOwned};

use crate::codec::{CodecError, decode_prefix, encode_into, encoded_len};

/// What a type must be to travel as a record: ordinary Rust with serde derives.
pub trait Record: Clone + Send + Serialize + DeserializeOwned + 'static {}
impl<T: Clone + Send + Serialize + DeserializeOwned + 'static> Record for T {}

/// A payload of any layout.
pub type BoxedPayload = Box<dyn Payload>;

/// A batch of records as the runtime sees it.
pub trait Payload: Any + Send + fmt::Debug {
    /// Number of records.
    fn len(&self) -> usize;

    /// True if there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Estimate of the memory it holds, in bytes: the number that buffer accounting uses.
    fn size_bytes(&self) -> usize;

    /// Splits the records from `at` on off into a batch of their own.
    fn split_off(&mut self, at: usize) -> BoxedPayload;

    /// Appends `other` if it is of the same layout and type, or gives it back.
    fn append(&mut self, other: BoxedPayload) -> Result<(), BoxedPayload>;

    /// A copy, for a second receiver.
    fn clone_payload(&self) -> BoxedPayload;

    /// Appends the encoded batch to `out`; [`Batch::decode`] is the inverse for typed batches.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// For the operator that knows the type.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;

    /// The Rust type of the records, for messages.
    fn type_name(&self) -> &'static str;
}

/// Values of one type with their event times.
#[derive(Clone, PartialEq)]
pub struct Batch<T> {
    /// The records.
    pub values: Vec<T>,
    /// Their event times in milliseconds, if the stream has any.
    pub timestamps: Option<Vec<i64>>,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { values: Vec::new(), timestamps: None }
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch<{}>[{}]", std::any::type_name::<T>(), self.values.len())
    }
}

impl<T: Record> Batch<T> {
    /// A batch without timestamps.
    pub fn new(values: Vec<T>) -> Self {
        Self { values, timestamps: None }
    }

    /// A batch whose values have these timestamps, one each.
    pub fn with_timestamps(values: Vec<T>, timestamps: Vec<i64>) -> Self {
        assert_eq!(values.len(), timestamps.len(), "one timestamp per value");
        Self { values, timestamps: Some(timestamps) }
    }

    /// Boxes it for the runtime.
    pub fn boxed(self) -> BoxedPayload {
        Box::new(self)
    }

    /// Takes a payload that must hold values of `T`. The error names both types: it means that
    /// the graph was wired wrongly.
    pub fn from_payload(payload: BoxedPayload) -> Result<Self, CodecError> {
        let found = payload.type_name();
        match payload.into_any().downcast::<Batch<T>>() {
            Ok(batch) => Ok(*batch),
            Err(_) => Err(CodecError::Malformed(format!(
                "expected records of type {}, got {found}",
                std::any::type_name::<T>()
            ))),
        }
    }

    /// Decodes what [`Payload::encode`] wrote; the whole of `bytes` must be one batch.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let total = bytes.len();
        let ((count, timed), mut rest) = decode_prefix::<(u64, bool)>(bytes, total)?;
        // A value may take no byte at all (unit types), so the count is bounded on its own.
        if count > MAX_RECORDS_PER_BATCH as u64 {
            return Err(CodecError::Malformed(format!(
                "{count} records in one batch, the limit is {MAX_RECORDS_PER_BATCH}"
            )));
        }
        let count = count as usize;
        let timestamps = if timed {
            let Some((head, tail)) = rest.split_at_checked(count * 8) else {
                return Err(CodecError::Malformed(format!(
                    "{count} timestamps do not fit the batch"
                )));
            };
            rest = tail;
            let (chunks, _) = head.as_chunks::<8>();
            Some(chunks.iter().map(|c| i64::from_le_bytes(*c)).collect())
        } else {
            None
        };
        let mut values = Vec::with_capacity(count.min(rest.len().max(16)));
        for _ in 0..count {
            let (value, tail) = decode_prefix::<T>(rest, total)?;
            values.push(value);
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(CodecError::Trailing {
                type_name: std::any::type_name::<T>(),
                extra: rest.len(),
            });
        }
        Ok(Self { values, timestamps })
    }

    /// The timestamp of record `index`, or `i64::MIN` if the stream has none.
    #[inline]
    pub fn timestamp(&self, index: usize) -> i64 {
        self.timestamps.as_ref().map_or(crate::MIN_TIMESTAMP, |t| t[index])
    }
}

/// Most records that one encoded batch may declare.
pub const MAX_RECORDS_PER_BATCH: usize = 1 << 24;

impl<T: Record> Payload for Batch<T> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn size_bytes(&self) -> usize {
        // What a record owns outside itself is estimated from the first one: cheap, and right on
        // average because batches are many.
        let outside = self.values.first().map_or(0, encoded_len);
        let stamp = if self.timestamps.is_some() { 8 } else { 0 };
        self.values.len() * (size_of::<T>().max(outside) + stamp)
    }

    fn split_off(&mut self, at: usize) -> BoxedPayload {
        let values = self.values.split_off(at);
        let timestamps = self.timestamps.as_mut().map(|t| t.split_off(at));
        Box::new(Self { values, timestamps })
    }

    fn append(&mut self, other: BoxedPayload) -> Result<(), BoxedPayload> {
        if (&*other as &dyn Any).type_id() != std::any::TypeId::of::<Self>() {
            return Err(other);
        }
        match other.into_any().downcast::<Self>() {
            Ok(mut other) if other.timestamps.is_some() == self.timestamps.is_some() => {
                self.values.append(&mut other.values);
                if let (Some(mine), Some(theirs)) = (&mut self.timestamps, &mut other.timestamps) {
                    mine.append(theirs);
                }
                Ok(())
            }
            Ok(other) => Err(other),
            Err(_) => unreachable!("the type id was just compared"),
        }
    }

    fn clone_payload(&self) -> BoxedPayload {
        Box::new(self.clone())
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        encode_into(&(self.values.len() as u64, self.timestamps.is_some()), out)?;
        if let Some(timestamps) = &self.timestamps {
            out.reserve(timestamps.len() * 8);
            for timestamp in timestamps {
                out.extend_from_slice(&timestamp.to_le_bytes());
            }
        }
        for value in &self.values {
            encode_into(value, out)?;
        }
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batches_round_trip(rows in prop::collection::vec((any::<i64>(), ".{0,9}", any::<i64>()), 0..40), timed: bool) {
            let values: Vec<_> = rows.iter().map(|r| (r.0, r.1.clone())).collect();
            let mut batch = Batch::new(values);
            batch.timestamps = timed.then(|| rows.iter().map(|r| r.2).collect());
            let mut bytes = Vec::new();
            batch.encode(&mut bytes).unwrap();
            prop_assert_eq!(Batch::decode(&bytes).unwrap(), batch);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Batch::<(u32, String)>::decode(&bytes);
        }
    }

    #[test]
    fn splitting_and_appending_keeps_order_and_times() {
        let mut batch = Batch::with_timestamps(vec![1u8, 2, 3], vec![10, 20, 30]);
        let tail = batch.split_off(1);
        assert_eq!((batch.len(), tail.len()), (1, 2));
        batch.append(tail).unwrap();
        assert_eq!(batch, Batch::with_timestamps(vec![1, 2, 3], vec![10, 20, 30]));
        assert!(batch.append(Batch::new(vec![9u8]).boxed()).is_err(), "untimed onto timed");
        assert!(batch.append(Batch::new(vec![9u16]).boxed()).is_err(), "another type");
    }

    #[test]
    fn a_wrong_type_is_named() {
        let error = Batch::<u16>::from_payload(Batch::new(vec![1u8]).boxed()).unwrap_err();
        assert!(error.to_string().contains("expected records of type u16, got u8"));
    }
}
