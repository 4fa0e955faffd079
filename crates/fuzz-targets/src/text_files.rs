//! Snapshots of the source of text files, over a file of this crate. A split names its file, so a
//! changed one is read only if it names that one: who can change a checkpoint can have a job read
//! any file, and a fuzzer is not to.

use std::path::PathBuf;

use hurtig_connector_api::{ReadStatus, Source, SourceOutput, SourceSplit};
use hurtig_connectors::{TextFileSource, text_files::TextFileSplit};
use hurtig_types::{BoxError, codec};

use crate::sources::{PARALLELISM, READS, RECORDS_PER_READ, ask, context, in_runtime};

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("lines/lines.txt")
}

/// Splits of a few bytes each.
fn source() -> TextFileSource {
    TextFileSource::new(file()).split_size_bytes(16)
}

fn restore_enumerator(state: &[u8]) -> Result<(), BoxError> {
    let mut restored = source().restore_enumerator(PARALLELISM, state)?;
    ask(&mut *restored)?;
    // It looks at the directory, with whatever it believes to have made.
    restored.start(&mut Vec::new())?;
    restored.snapshot()?;
    Ok(())
}

fn restore_reader(split: &[u8]) -> Result<(), BoxError> {
    let split = codec::decode::<TextFileSplit>(split)?;
    let again: TextFileSplit = codec::decode(&codec::encode(&split)?)?;
    assert_eq!(split, again, "what was read is written and read again");
    let path = file();
    if split.split_id().rsplit_once('@').is_none_or(|(of, _)| path.to_str() != Some(of)) {
        return Ok(());
    }
    let mut reader = source().create_reader(context())?;
    reader.add_splits(vec![split])?;
    let mut lines = 0;
    for _ in 0..READS {
        let mut out = SourceOutput::default();
        let status = reader.read(RECORDS_PER_READ, &mut out)?;
        lines += out.values.len();
        if status != ReadStatus::More {
            break;
        }
        codec::encode(&reader.snapshot())?;
    }
    assert!(lines <= 6, "the file has six lines, and {lines} were read");
    reader.close()
}

/// Enumerators and readers from any bytes. The first byte says which.
pub fn states(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    in_runtime(|| {
        // Whatever is refused is refused by an error.
        let _ = if which % 2 == 0 { restore_enumerator(bytes) } else { restore_reader(bytes) };
        Ok(())
    });
}

/// Snapshots of an enumerator and of readers.
pub fn snapshots() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    in_runtime(|| {
        let mut enumerator = source().create_enumerator(PARALLELISM)?;
        enumerator.start(&mut Vec::new())?;
        all.push([vec![0], enumerator.snapshot()?].concat());
        for split in ask(&mut *enumerator)? {
            all.push([vec![1], codec::encode(&split)?].concat());
        }
        all.push([vec![0], enumerator.snapshot()?].concat());
        Ok(())
    });
    all
}
