//! The name of a blob: the hash of its content.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::id::ParseIdError;

/// SHA-256 of a blob's bytes. Prints, also in JSON, as 64 lower-case hexadecimal digits.
///
/// Whoever has an id can check what he is given under it, so it does not matter whom he asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(pub [u8; 32]);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

impl FromStr for BlobId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let mut id = [0; 32];
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let pairs = text.as_bytes().chunks_exact(2);
        if text.len() != 64 {
            return Err(ParseIdError::new("BlobId", 64, text));
        }
        for (byte, pair) in id.iter_mut().zip(pairs) {
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err(ParseIdError::new("BlobId", 64, text));
            };
            *byte = (high * 16 + low) as u8;
        }
        Ok(Self(id))
    }
}

impl Serialize for BlobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for BlobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Ok(Self(Deserialize::deserialize(deserializer)?));
        }
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_printed_and_nothing_else_is() {
        let id = BlobId(std::array::from_fn(|i| (i * 7) as u8));
        assert_eq!(id.to_string().parse::<BlobId>().unwrap(), id);
        let short = "00ff".parse::<BlobId>().unwrap_err().to_string();
        assert_eq!(short, r#"BlobId must be 64 hexadecimal digits, got "00ff""#);
        assert!("zz".repeat(32).parse::<BlobId>().is_err());
        assert!("é".repeat(32).parse::<BlobId>().is_err(), "64 bytes, but no digits");
    }
}
