//! Finds the files and the partitions of a table.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use hurtig_types::BoxError;

use super::super::partitions::{Partition, PartitionFilter};

/// Most files of one table; more are an error.
pub(super) const MAX_FILES: usize = 1 << 20;

/// Why files cannot be found.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListError {
    /// The path of the table leads nowhere.
    #[error("File {0} does not exist or the user has insufficient permissions to access it.")]
    Missing(String),
    /// Something below it cannot be read.
    #[error("cannot list {path}")]
    Io {
        /// What.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A name that cannot be written into a split.
    #[error("the path {0} is not UTF-8")]
    NotUtf8(String),
    /// Nobody can tell whether a partition is wanted.
    #[error("cannot decide whether the partition {path} is read")]
    Undecided {
        /// Its directory.
        path: String,
        /// Why.
        source: BoxError,
    },
    /// More than [`MAX_FILES`].
    #[error("{0} has more than {MAX_FILES} files")]
    TooMany(String),
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundFile {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) modified_ms: i64,
    pub(super) partition: Partition,
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ListError + '_ {
    move |source| match source.kind() {
        io::ErrorKind::NotFound => ListError::Missing(path.display().to_string()),
        _ => ListError::Io { path: path.display().to_string(), source },
    }
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.as_encoded_bytes());
    name.is_some_and(|name| name.starts_with(b".") || name.starts_with(b"_"))
}

/// All files at or below a path, in the order of their paths. `vanishing`: the path need not be
/// there, and what goes away meanwhile is no error.
pub(super) fn files(
    root: &Path,
    partition: &Partition,
    vanishing: bool,
    out: &mut Vec<FoundFile>,
) -> Result<(), ListError> {
    let mut open = vec![root.to_owned()];
    // Resolved, so that a link to a parent does not lead around for ever.
    let mut entered = HashSet::new();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        let looked = look(&path, &mut open, &mut entered);
        match looked {
            Ok(Some(metadata)) => {
                let text =
                    path.to_str().ok_or_else(|| ListError::NotUtf8(path.display().to_string()))?;
                let modified = metadata.modified().ok();
                let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                found.push(FoundFile {
                    path: text.to_owned(),
                    size: metadata.len(),
                    modified_ms: modified.map_or(0, |since| since.as_millis() as i64),
                    partition: partition.clone(),
                });
                if out.len() + found.len() > MAX_FILES {
                    return Err(ListError::TooMany(root.display().to_string()));
                }
            }
            Ok(None) => {}
            Err(error) if vanishing && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error(&path)(error)),
        }
    }
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    out.append(&mut found);
    Ok(())
}

/// What a file is; a directory's content is added to what is open.
fn look(
    path: &Path,
    open: &mut Vec<PathBuf>,
    entered: &mut HashSet<PathBuf>,
) -> io::Result<Option<fs::Metadata>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Ok(Some(metadata));
    }
    if entered.insert(path.canonicalize()?) {
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            if !is_hidden(&path) {
                open.push(path);
            }
        }
    }
    Ok(None)
}

/// The partitions below a path that a filter leaves, with their directories, in the order of their
/// paths. What it does not leave is not entered.
pub(super) fn partitions(
    root: &Path,
    keys: &[String],
    default: &str,
    filter: Option<&PartitionFilter>,
) -> Result<Vec<(Partition, PathBuf)>, ListError> {
    let mut level = vec![(Vec::new(), root.to_owned())];
    for key in keys {
        let mut next = Vec::new();
        for (values, directory) in level {
            let mut entries = Vec::new();
            for entry in fs::read_dir(&directory).map_err(io_error(&directory))? {
                entries.push(entry.map_err(io_error(&directory))?.path());
            }
            entries.sort_unstable();
            for path in entries.into_iter().filter(|path| !is_hidden(path) && path.is_dir()) {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let Some((found, value)) = name.split_once('=') else { continue };
                if unescape(found) != *key {
                    continue;
                }
                let value = unescape(value);
                let mut values: Partition = Vec::clone(&values);
                values.push((value != default).then_some(value));
                if let Some(filter) = filter {
                    let path = path.display().to_string();
                    let passes = filter.passes(&values);
                    if !passes.map_err(|source| ListError::Undecided { path, source })? {
                        continue;
                    }
                }
                next.push((values, path));
                if next.len() > MAX_FILES {
                    return Err(ListError::TooMany(root.display().to_string()));
                }
            }
        }
        level = next;
    }
    Ok(level)
}

/// The characters that may not stand in the name of a directory for themselves.
const ESCAPED: &str = "\"#%'*/:=?\\\u{7f}{[]^";

/// Appends a key or value as a part of a directory's name, as Hive and Flink do.
pub(super) fn escape(text: &str, out: &mut String) {
    use std::fmt::Write;
    for character in text.chars() {
        if character < ' ' || ESCAPED.contains(character) {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{:02X}", character as u32);
        } else {
            out.push(character);
        }
    }
}

fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = match (first, behind) {
            (b'%', [a, b, ..]) => (*a as char).to_digit(16).zip((*b as char).to_digit(16)),
            _ => None,
        };
        match code {
            Some((a, b)) => {
                out.push((a * 16 + b) as u8);
                rest = &behind[2..];
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_partitions_are_escaped_and_back() {
        for (value, name) in [("2024-01-01", "2024-01-01"), ("a/b=c%", "a%2Fb%3Dc%25"), ("é", "é")]
        {
            let mut escaped = String::new();
            escape(value, &mut escaped);
            assert_eq!(escaped, name);
            assert_eq!(unescape(&escaped), value);
        }
        assert_eq!(unescape("50%"), "50%");
    }
}
