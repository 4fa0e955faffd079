//! The record codec: how a value of a user's type becomes bytes on the wire, in state and in keys.
//!
//! The format is postcard's (compact, not self-describing, little-endian varints), chosen because
//! it is documented and stable; every place in the project that turns records into bytes goes
//! through these functions, so that it can be replaced in one place.
//!
//! Decoding treats its input as hostile: it never panics, never reads past the end, and never
//! reserves more memory than the input could justify.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes are not a value, or a value cannot become bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The value's `Serialize` refused, or uses what the format lacks (sequences of unknown length).
    #[error("cannot encode a value of type {type_name}: {reason}")]
    Encode {
        /// The Rust type.
        type_name: &'static str,
        /// The codec's words.
        reason: String,
    },
    /// The bytes are no value of the type.
    #[error("cannot decode a value of type {type_name} at byte {offset} of {len}: {reason}")]
    Decode {
        /// The Rust type.
        type_name: &'static str,
        /// Where the value began.
        offset: usize,
        /// Length of the input in bytes.
        len: usize,
        /// The codec's words.
        reason: String,
    },
    /// A value was followed by bytes that belong to nothing.
    #[error("{extra} bytes are left over after the value of type {type_name}")]
    Trailing {
        /// The Rust type.
        type_name: &'static str,
        /// How many bytes.
        extra: usize,
    },
    /// A header does not fit its payload.
    #[error("malformed batch: {0}")]
    Malformed(String),
}

struct VecFlavor<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for VecFlavor<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Appends the bytes of `value` to `out`. On an error `out` may hold a part of it.
#[inline]
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    postcard::serialize_with_flavor(value, VecFlavor(out)).map_err(|e| CodecError::Encode {
        type_name: std::any::type_name::<T>(),
        reason: e.to_string(),
    })
}

/// The bytes of `value`.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    encode_into(value, &mut out)?;
    Ok(out)
}

/// Length in bytes that `value` would have encoded; nothing is written.
pub fn encoded_len<T: Serialize + ?Sized>(value: &T) -> usize {
    postcard::serialize_with_flavor(value, CountFlavor(0)).unwrap_or(0)
}

struct CountFlavor(usize);

impl postcard::ser_flavors::Flavor for CountFlavor {
    type Output = usize;

    #[inline]
    fn try_push(&mut self, _: u8) -> postcard::Result<()> {
        self.0 += 1;
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0 += data.len();
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.0)
    }
}

/// Decodes one value from the front of `bytes` and returns it with the rest. `total` is the length
/// of the whole input, for the error's offset.
#[inline]
pub fn decode_prefix<T: DeserializeOwned>(
    bytes: &[u8],
    total: usize,
) -> Result<(T, &[u8]), CodecError> {
    postcard::take_from_bytes(bytes).map_err(|e| CodecError::Decode {
        type_name: std::any::type_name::<T>(),
        offset: total - bytes.len(),
        len: total,
        reason: e.to_string(),
    })
}

/// Decodes one value that must fill `bytes` exactly.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, rest) = decode_prefix(bytes, bytes.len())?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(CodecError::Trailing { type_name: std::any::type_name::<T>(), extra: rest.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_trip_and_bad_bytes_are_errors() {
        let value = (7u64, "sju".to_owned(), vec![Some(-1i32), None]);
        let bytes = encode(&value).unwrap();
        assert_eq!(bytes.len(), encoded_len(&value));
        assert_eq!(decode::<(u64, String, Vec<Option<i32>>)>(&bytes).unwrap(), value);
        for cut in 0..bytes.len() {
            assert!(decode::<(u64, String, Vec<Option<i32>>)>(&bytes[..cut]).is_err());
        }
        let mut long = bytes.clone();
        long.push(0);
        let error = decode::<(u64, String, Vec<Option<i32>>)>(&long).unwrap_err();
        assert!(matches!(error, CodecError::Trailing { extra: 1, .. }));
    }

    #[test]
    fn a_huge_declared_length_does_not_allocate() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3];
        assert!(decode::<Vec<u64>>(&bytes).is_err());
    }
}
