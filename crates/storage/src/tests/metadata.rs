//! Metadata files: paths, damage, and bytes that are intact but make no sense.

use hurtig_checkpoint::assign_states;
use hurtig_types::{StateFile, StateLocation, StateScope, codec};
use proptest::prelude::*;

use super::sample::{metadata, topology};
use crate::{
    StorageError,
    format::{self, Compression, FileKind},
    metadata::{decode, encode},
};

const DIRECTORY: &str = "file:///d/savepoint-1";
const URL: &str = "file:///d/savepoint-1/_metadata";

fn named(url: &str) -> StateFile {
    let location = StateLocation::Absolute(url.into());
    StateFile { location, scope: StateScope::Exclusive, length: 1, checksum: 2 }
}

#[test]
fn files_of_the_own_directory_move_with_it() {
    let metadata = metadata(3, vec![named("file:///d/savepoint-1/a"), named("file:///d/shared/b")]);
    let bytes = encode(&metadata, DIRECTORY).unwrap();
    assert_eq!(decode(&bytes, URL, DIRECTORY).unwrap(), metadata);
    let moved = decode(&bytes, "s3://b/m/_metadata", "s3://b/m/").unwrap();
    let urls: Vec<&str> = moved.files().filter_map(|f| f.url().map(|url| &**url)).collect();
    assert_eq!(urls, ["s3://b/m/a", "file:///d/shared/b"]);
}

#[test]
fn a_path_out_of_the_directory_is_refused() {
    for path in ["../a", "/a", "a//b", "a/../../b", "", "."] {
        let mut metadata = metadata(3, vec![named("x")]);
        for file in metadata.files_mut().filter(|file| file.url().is_some()) {
            file.location = StateLocation::Relative(path.into());
        }
        let bytes = encode(&metadata, DIRECTORY).unwrap();
        let error = decode(&bytes, URL, DIRECTORY).unwrap_err();
        assert!(matches!(error, StorageError::Path { .. }), "{path}: {error}");
        assert!(error.to_string().contains(URL));
    }
}

#[test]
fn a_later_version_is_refused_by_name() {
    let content = 7u32.to_le_bytes();
    let bytes = format::encode(FileKind::Metadata, Compression::None, &content);
    let error = decode(&bytes, URL, DIRECTORY).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{URL} has format version 7, this release reads up to 1")
    );
    assert!(!error.is_damage(), "it must not be passed over");
}

#[test]
fn every_flipped_bit_and_every_cut_names_the_file() {
    let bytes = encode(&metadata(3, vec![named("file:///d/shared/b")]), DIRECTORY).unwrap();
    let refused = |bytes: &[u8]| {
        let error = decode(bytes, URL, DIRECTORY).expect_err("damaged");
        assert!(error.is_damage() && error.to_string().contains(URL), "{error}");
    };
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&flipped);
    }
    (0..bytes.len()).for_each(|cut| refused(&bytes[..cut]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Fields that were changed before the checksums were computed: decoding and assigning give an
    /// error or something sound.
    #[test]
    fn nonsense_in_an_intact_file_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        parallelism in 1u32..5,
    ) {
        let mut content = 1u32.to_le_bytes().to_vec();
        let metadata = metadata(3, vec![named("file:///d/shared/b")]);
        content.extend_from_slice(&codec::encode(&metadata).unwrap());
        for (at, with) in changes {
            let at = 4 + at.index(content.len() - 4);
            content[at] = with;
        }
        let bytes = format::encode(FileKind::Metadata, Compression::None, &content);
        if let Ok(metadata) = decode(&bytes, URL, DIRECTORY) {
            let _ = assign_states(&metadata, &topology(parallelism), true);
        }
    }

    #[test]
    fn random_content_never_panics(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut with_version = 1u32.to_le_bytes().to_vec();
        with_version.extend_from_slice(&content);
        for content in [content, with_version] {
            let bytes = format::encode(FileKind::Metadata, Compression::None, &content);
            let _ = decode(&bytes, URL, DIRECTORY);
        }
    }
}
