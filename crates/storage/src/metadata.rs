//! The bytes of a metadata file, and the paths in it.
//!
//! The content is the version of the metadata as u32 and its fields in the record codec, in a file
//! of [`crate::format`]. Files beneath the metadata file's own directory are named relative to it,
//! so that a savepoint can be moved; others by their URL.

use std::sync::Arc;

use hurtig_checkpoint::{CheckpointMetadata, model::METADATA_FORMAT_VERSION};
use hurtig_types::{CodecError, StateLocation, codec};

use crate::{
    error::StorageError,
    format::{self, Compression, FileKind},
};

/// The bytes of the metadata file in `directory`.
pub fn encode(metadata: &CheckpointMetadata, directory: &str) -> Result<Vec<u8>, CodecError> {
    let mut metadata = metadata.clone();
    let directory = format!("{}/", directory.trim_end_matches('/'));
    for file in metadata.files_mut() {
        if let StateLocation::Absolute(url) = &file.location
            && let Some(path) = url.strip_prefix(&*directory)
        {
            file.location = StateLocation::Relative(path.into());
        }
    }
    let mut content = METADATA_FORMAT_VERSION.to_le_bytes().to_vec();
    codec::encode_into(&metadata, &mut content)?;
    Ok(format::encode(FileKind::Metadata, Compression::Lz4, &content))
}

/// Reads the metadata file `url` in `directory`; every path becomes a URL.
pub fn decode(
    bytes: &[u8],
    url: &str,
    directory: &str,
) -> Result<CheckpointMetadata, StorageError> {
    let (content, _) = format::decode(FileKind::Metadata, bytes)
        .map_err(|source| StorageError::Damaged { url: url.to_owned(), source })?;
    let no_metadata = |source| StorageError::Metadata { url: url.to_owned(), source };
    let Some((version, fields)) = content.split_first_chunk::<4>() else {
        return Err(no_metadata(CodecError::Malformed("it has no version".to_owned())));
    };
    let found = u32::from_le_bytes(*version);
    if found != METADATA_FORMAT_VERSION {
        let supported = METADATA_FORMAT_VERSION;
        return Err(StorageError::Version { url: url.to_owned(), found, supported });
    }
    let mut metadata: CheckpointMetadata = codec::decode(fields).map_err(no_metadata)?;
    let directory = directory.trim_end_matches('/');
    for file in metadata.files_mut() {
        if let StateLocation::Relative(path) = &file.location {
            if !is_inside(path) {
                let path = path.to_string();
                return Err(StorageError::Path { url: url.to_owned(), path });
            }
            let absolute: Arc<str> = format!("{directory}/{path}").into();
            file.location = StateLocation::Absolute(absolute);
        }
    }
    Ok(metadata)
}

/// A path that stays within the directory that it starts from.
fn is_inside(path: &str) -> bool {
    path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}
