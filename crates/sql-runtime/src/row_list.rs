//! Rows of which none is taken away, in one allocation.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::Visitor};

use crate::varint::{MOST_LENGTH_BYTES, read_length, write_length};

/// Rows as bytes, each behind its length, in the order of their arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowList(Vec<u8>);

impl RowList {
    pub(crate) fn push(&mut self, row: &[u8]) {
        let mut length = [0; MOST_LENGTH_BYTES];
        let length = write_length(row.len(), &mut length);
        let needed = length.len() + row.len();
        if self.0.capacity() - self.0.len() < needed {
            // Most lists are short, and there are many: none has much more room than it needs.
            self.0.reserve_exact(needed.max(self.0.len() / 4));
        }
        self.0.extend_from_slice(length);
        self.0.extend_from_slice(row);
    }

    pub(crate) fn iter(&self) -> RowListIter<'_> {
        RowListIter(&self.0)
    }
}

/// The rows of a [`RowList`].
#[derive(Clone, Debug, Default)]
pub(crate) struct RowListIter<'a>(&'a [u8]);

impl<'a> RowListIter<'a> {
    /// The next row and what is behind it; nothing at the end, or where the bytes are no list.
    fn split(&self) -> Option<(&'a [u8], &'a [u8])> {
        let (length, rest) = read_length(self.0)?;
        rest.split_at_checked(length)
    }
}

impl<'a> Iterator for RowListIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (row, rest) = self.split()?;
        self.0 = rest;
        Some(row)
    }
}

impl Serialize for RowList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for RowList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = RowList;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("rows behind their lengths")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<RowList, E> {
                let mut rows = RowListIter(bytes);
                while rows.next().is_some() {}
                if !rows.0.is_empty() {
                    return Err(E::custom("the last of a list of rows is incomplete"));
                }
                Ok(RowList(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hurtig_types::codec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back_in_order(
            rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40)
        ) {
            let mut list = RowList::default();
            rows.iter().for_each(|row| list.push(row));
            prop_assert!(list.iter().eq(rows.iter().map(Vec::as_slice)));
            let back: RowList = codec::decode(&codec::encode(&list).unwrap()).unwrap();
            prop_assert_eq!(back, list);
        }

        #[test]
        fn other_bytes_are_no_list(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let read: Result<RowList, _> = codec::decode(&codec::encode(&RowList(bytes.clone())).unwrap());
            if let Ok(list) = read {
                let mut again = RowList::default();
                list.iter().for_each(|row| again.push(row));
                prop_assert!(again.0.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn a_cut_list_is_refused() {
        let mut list = RowList::default();
        list.push(b"whole");
        list.push(b"cut");
        list.0.pop();
        assert!(codec::decode::<RowList>(&codec::encode(&list).unwrap()).is_err());
    }
}
