//! Lengths of what follows, in few bytes: seven bits a byte, the low ones first; a set high bit says that
//! more follow.

/// Most bytes of a length.
pub const MOST_LENGTH_BYTES: usize = 10;

/// How many bytes a length takes.
#[inline]
pub fn length_bytes(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize
}

/// Writes a length.
#[inline]
pub fn write_length(mut length: usize, out: &mut [u8; MOST_LENGTH_BYTES]) -> &[u8] {
    let mut at = 0;
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        out[at] = low | if length > 0 { 0x80 } else { 0 };
        at += 1;
        if length == 0 {
            return &out[..at];
        }
    }
}

/// Reads a length; with what follows. Nothing where there is none.
#[inline]
pub fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (mut length, mut at) = (0_usize, 0);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        at += 1;
        if byte & 0x80 == 0 {
            return Some((length, &bytes[at..]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_come_back() {
        for bit in 0..usize::BITS {
            for length in [1 << bit, (1 << bit) - 1, usize::MAX >> bit] {
                let mut out = [0; MOST_LENGTH_BYTES];
                let mut bytes = write_length(length, &mut out).to_vec();
                assert_eq!(bytes.len(), length_bytes(length));
                bytes.push(7);
                assert_eq!(read_length(&bytes), Some((length, &[7][..])));
                bytes.truncate(bytes.len() - 2);
                assert_eq!(read_length(&bytes), None);
            }
        }
        assert_eq!(read_length(&[0x80; 20]), None);
    }
}
