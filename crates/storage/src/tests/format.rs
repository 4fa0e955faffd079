//! The format of files against damage and hostile bytes.

use proptest::prelude::*;

use crate::format::{
    Compression, FRAME_BYTES, FileDecoder, FileEncoder, FileKind, FormatError, TRAILER_BYTES,
    decode, encode, frame_check, peek_trailer,
};

const KIND: FileKind = FileKind::State;

fn compression() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::None), Just(Compression::Lz4)]
}

/// Content that LZ4 likes, of several frames at times.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let short = prop::collection::vec(any::<u8>(), 0..300);
    let long = (0..3 * FRAME_BYTES, any::<u8>())
        .prop_map(|(len, step)| (0..len).map(|i| (i / 7) as u8 ^ step).collect());
    prop_oneof![4 => short, 1 => long]
}

#[test]
fn the_smallest_file_is_fixed() {
    let bytes = encode(KIND, Compression::None, b"ab");
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let header = "485552544947535401000100202a0521";
    let frame = "020000000200000068d0632bc545d4206162";
    let trailer =
        "0000000000000000010000000000000002000000000000005c73d5249c7173a8b2153a3d53c80961";
    assert_eq!(hex, format!("{header}{frame}{trailer}"));
}

#[test]
fn every_flipped_bit_is_found() {
    for compression in [Compression::None, Compression::Lz4] {
        let content: Vec<u8> = (0..200u8).map(|i| i / 50).collect();
        let bytes = encode(KIND, compression, &content);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(KIND, &flipped).is_err(), "bit {bit} of {}", bytes.len() * 8);
        }
    }
}

#[test]
fn every_cut_is_found() {
    let bytes = encode(KIND, Compression::Lz4, &[7; 1000]);
    for cut in 0..bytes.len() {
        assert!(decode(KIND, &bytes[..cut]).is_err(), "cut at {cut}");
        assert_eq!(peek_trailer(&bytes[..cut][cut.saturating_sub(TRAILER_BYTES)..]), None);
    }
    let last = &bytes[bytes.len() - TRAILER_BYTES..];
    assert_eq!(peek_trailer(last), Some(decode(KIND, &bytes).unwrap().1));
}

#[test]
fn frames_cannot_be_left_out_doubled_or_moved() {
    let content: Vec<u8> = (0..3 * FRAME_BYTES).map(|i| (i / FRAME_BYTES) as u8).collect();
    let bytes = encode(KIND, Compression::None, &content);
    let frame = |i: usize| &bytes[16 + i * (16 + FRAME_BYTES)..][..16 + FRAME_BYTES];
    let end = &bytes[16 + 3 * (16 + FRAME_BYTES)..];
    for order in [&[0, 1][..], &[0, 1, 1, 2], &[1, 0, 2], &[0, 2], &[]] {
        let mut file = bytes[..16].to_vec();
        order.iter().for_each(|i| file.extend_from_slice(frame(*i)));
        file.extend_from_slice(end);
        assert!(decode(KIND, &file).is_err(), "{order:?}");
    }
}

#[test]
fn a_file_of_another_kind_or_version_is_refused() {
    let bytes = encode(FileKind::Metadata, Compression::None, b"x");
    let error = decode(KIND, &bytes).unwrap_err();
    assert_eq!(error, FormatError::Kind { found: 2, expected: 1 });
    let mut later = bytes[..12].to_vec();
    later[8] = 9;
    let check = hurtig_types::snapshot::state_checksum(&later) as u32;
    later.extend_from_slice(&check.to_le_bytes());
    assert_eq!(decode(KIND, &later).unwrap_err(), FormatError::Version(9));
    assert_eq!(decode(KIND, b"PK\x03\x04 something").unwrap_err(), FormatError::Magic);
}

proptest! {
    #[test]
    fn content_round_trips_in_any_pieces(
        content in content(),
        compression in compression(),
        pieces in prop::collection::vec(1usize..100_000, 1..8),
    ) {
        let mut bytes = Vec::new();
        let mut encoder = FileEncoder::new(KIND, compression, &mut bytes);
        let mut rest = &content[..];
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            encoder.write(now, &mut bytes);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let summary = encoder.finish(&mut bytes);
        prop_assert_eq!(&bytes, &encode(KIND, compression, &content));
        let mut decoder = FileDecoder::new(KIND);
        let (mut decoded, mut rest) = (Vec::new(), &bytes[..]);
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            decoder.push(now);
            while let Some(chunk) = decoder.next_chunk().unwrap() {
                decoded.extend_from_slice(&chunk);
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(decoder.finish().unwrap(), summary);
        prop_assert_eq!(decoded, content);
    }

    #[test]
    fn damage_anywhere_is_found(
        content in content(),
        compression in compression(),
        at in any::<prop::sample::Index>(),
        with in 1u8..,
        damage in 0..4,
    ) {
        let bytes = encode(KIND, compression, &content);
        let at = at.index(bytes.len());
        let mut damaged = bytes.clone();
        match damage {
            0 => damaged[at] ^= with,
            1 => damaged.truncate(at),
            2 => damaged.insert(at, with),
            _ => {
                damaged.remove(at);
            }
        }
        prop_assert!(damaged == bytes || decode(KIND, &damaged).is_err());
    }

    #[test]
    fn random_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(decode(KIND, &bytes).is_err());
        let mut with_header = encode(KIND, Compression::Lz4, b"")[..16].to_vec();
        with_header.extend_from_slice(&bytes);
        prop_assert!(decode(KIND, &with_header).is_err());
    }

    /// Whoever can compute checksums can make us read nonsense, but not panic or use up memory.
    #[test]
    fn a_forged_frame_is_content_or_an_error(
        stored in prop::collection::vec(any::<u8>(), 0..500),
        length in 0u32..,
    ) {
        let mut file = encode(KIND, Compression::Lz4, b"")[..16].to_vec();
        let mut lengths = length.to_le_bytes().to_vec();
        lengths.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        let check = frame_check(0, &lengths, &stored);
        file.extend_from_slice(&lengths);
        file.extend_from_slice(&check.to_le_bytes());
        file.extend_from_slice(&stored);
        prop_assert!(decode(KIND, &file).is_err());
        let mut decoder = FileDecoder::new(KIND);
        decoder.push(&file);
        if let Ok(Some(chunk)) = decoder.next_chunk() {
            prop_assert_eq!(chunk.len(), length as usize);
        }
    }
}
