//! Bytes with a checksum: what bulky records look like.
//!
//! `HRHA`, a format byte, the XXH3-64 of the content (little endian), the content.

use bytes::{BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8] = b"HRHA";
const FORMAT: u8 = 1;
const HEADER_BYTES: usize = MAGIC.len() + 1 + 8;

pub(crate) fn seal(content: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + content.len());
    bytes.put_slice(MAGIC);
    bytes.put_u8(FORMAT);
    bytes.put_u64_le(xxh3_64(content));
    bytes.put_slice(content);
    bytes.freeze()
}

pub(crate) fn open(bytes: &Bytes) -> Result<Bytes, String> {
    let Some((header, content)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err(format!("{} bytes are too few", bytes.len()));
    };
    if &header[..MAGIC.len()] != MAGIC {
        return Err("it does not begin as it should".to_owned());
    }
    if header[MAGIC.len()] != FORMAT {
        return Err(format!("format {} is not known", header[MAGIC.len()]));
    }
    let mut sum = [0; 8];
    sum.copy_from_slice(&header[MAGIC.len() + 1..]);
    if u64::from_le_bytes(sum) != xxh3_64(content) {
        return Err("its checksum does not fit".to_owned());
    }
    Ok(bytes.slice(HEADER_BYTES..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_or_cut_is_not_opened() {
        let sealed = seal(b"graph");
        assert_eq!(open(&sealed).unwrap(), Bytes::from_static(b"graph"));
        for length in 0..sealed.len() {
            assert!(open(&sealed.slice(..length)).is_err(), "cut to {length}");
        }
        for index in 0..sealed.len() {
            let mut bytes = sealed.to_vec();
            bytes[index] ^= 1;
            assert!(open(&bytes.into()).is_err(), "changed at {index}");
        }
    }
}
