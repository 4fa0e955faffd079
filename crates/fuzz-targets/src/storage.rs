//! Files of checkpoints, and their metadata.

use hurtig_checkpoint::assign_states;
use hurtig_storage::{
    Compression,
    format::{self, FileDecoder, FileKind},
    metadata::{decode, encode},
};
use hurtig_types::codec;

use crate::samples;

const DIRECTORY: &str = "file:///d/savepoint-1";
const URL: &str = "file:///d/savepoint-1/_metadata";
/// Bytes of the version in front of metadata.
const VERSION_BYTES: usize = 4;

/// The format of files, as it is on the disk. Whole or in pieces, it says the same.
pub fn state_file(bytes: &[u8]) {
    for kind in [FileKind::State, FileKind::Metadata] {
        let whole = format::decode(kind, bytes);
        let mut decoder = FileDecoder::new(kind);
        let mut content = Vec::new();
        let mut failed = false;
        // Lengths of pieces come from the bytes, too.
        let piece = 1 + usize::from(bytes.first().copied().unwrap_or(0)) * 7;
        for piece in bytes.chunks(piece) {
            decoder.push(piece);
            while !failed {
                match decoder.next_chunk() {
                    Ok(Some(chunk)) => content.extend(chunk),
                    Ok(None) => break,
                    Err(_) => failed = true,
                }
            }
        }
        let summary = decoder.finish();
        match whole {
            Ok((expected, expected_summary)) => {
                assert!(!failed, "in pieces it is damaged");
                assert_eq!(content, expected);
                assert!(summary.is_ok_and(|summary| summary == expected_summary));
            }
            Err(_) => assert!(failed || summary.is_err(), "in pieces it is intact"),
        }
    }
}

/// Intact files.
pub fn state_files() -> Vec<Vec<u8>> {
    let long: Vec<u8> = (0..200_000usize).map(|at| (at / 7) as u8).collect();
    let mut files = Vec::new();
    for compression in [Compression::None, Compression::Lz4] {
        for content in [&b""[..], b"ab", &long[..500], &long] {
            files.push(format::encode(FileKind::State, compression, content));
        }
    }
    files
}

/// Metadata in an intact file. What can be read can be written and read again, and assigned to
/// subtasks or refused.
pub fn metadata(content: &[u8]) {
    let bytes = format::encode(FileKind::Metadata, Compression::None, content);
    let Ok(metadata) = decode(&bytes, URL, DIRECTORY) else { return };
    // Maps that name a key twice, and the like, are written in one way only.
    let again = encode(&metadata, DIRECTORY).expect("what was read can be written");
    let read = decode(&again, URL, DIRECTORY).expect("what was written can be read");
    assert_eq!(read, metadata);
    for parallelism in [1, 2, 5] {
        // An error names operator and state.
        let _ = assign_states(&metadata, &samples::topology(parallelism), true);
        let _ = assign_states(&metadata, &samples::topology(parallelism), false);
    }
}

/// Metadata of checkpoints, as [`metadata`] takes it.
pub fn metadata_contents() -> Vec<Vec<u8>> {
    let files = [vec![], vec![samples::file("file:///d/shared/a")]];
    let contents = files.map(|files| {
        let mut content = 1u32.to_le_bytes().to_vec();
        debug_assert_eq!(content.len(), VERSION_BYTES);
        content.extend(codec::encode(&samples::metadata(files)).expect("plain data"));
        content
    });
    contents.into()
}
