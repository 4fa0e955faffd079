//! The bytes of a row or of a key of one.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

/// Most bytes that are kept in place: two numbers or moments, as `arrow-row` writes them, are no more.
const IN_PLACE: usize = 22;

/// A row, or the key of one, as bytes. Short ones need no allocation, and no step to another place
/// when they are compared.
#[derive(Clone)]
pub(crate) struct RowBytes(Form);

#[derive(Clone)]
enum Form {
    Short(u8, [u8; IN_PLACE]),
    Long(Box<[u8]>),
}

impl RowBytes {
    /// Its bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Short(length, bytes) => &bytes[..usize::from(*length)],
            Form::Long(bytes) => bytes,
        }
    }
}

impl Default for RowBytes {
    fn default() -> Self {
        Self(Form::Short(0, [0; IN_PLACE]))
    }
}

impl From<&[u8]> for RowBytes {
    #[inline]
    fn from(bytes: &[u8]) -> Self {
        if bytes.len() > IN_PLACE {
            return Self(Form::Long(bytes.into()));
        }
        let mut short = [0; IN_PLACE];
        short[..bytes.len()].copy_from_slice(bytes);
        Self(Form::Short(bytes.len() as u8, short))
    }
}

impl Deref for RowBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Borrow<[u8]> for RowBytes {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq for RowBytes {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for RowBytes {}

impl PartialOrd for RowBytes {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RowBytes {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

/// As that of the bytes, by which it is looked up.
impl Hash for RowBytes {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl fmt::Debug for RowBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.bytes())
    }
}

impl Serialize for RowBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.bytes())
    }
}

impl<'de> Deserialize<'de> for RowBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = RowBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a row")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<RowBytes, E> {
                Ok(bytes.into())
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hurtig_types::codec;

    #[test]
    fn short_and_long_ones_are_alike() {
        let all: Vec<Vec<u8>> = (0..60).map(|length| (0..length).collect()).collect();
        for one in &all {
            let bytes = RowBytes::from(one.as_slice());
            assert_eq!(&*bytes, one.as_slice());
            let back: RowBytes = codec::decode(&codec::encode(&bytes).unwrap()).unwrap();
            assert_eq!(back, bytes);
            for other in &all {
                let other_bytes = RowBytes::from(other.as_slice());
                assert_eq!(bytes.cmp(&other_bytes), one.cmp(other));
                assert_eq!(bytes == other_bytes, one == other);
            }
        }
    }

    #[test]
    fn it_is_no_larger_than_needed() {
        assert_eq!(size_of::<RowBytes>(), 24);
    }
}
