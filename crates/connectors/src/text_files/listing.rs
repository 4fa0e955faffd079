//! Finds the files that a path means; the rules are in the parent module.
//!
//! Invariant: every file that is returned could be opened a moment ago, and appears once.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::TextFileError;

/// Files by path, with their length in bytes.
pub(super) type Files = BTreeMap<PathBuf, u64>;

/// Lists what `path` means. `vanishing` if files may disappear at any time and nothing need be
/// there yet.
pub(super) fn list(path: &Path, recursive: bool, vanishing: bool) -> Result<Files, TextFileError> {
    let mut walk =
        Walk { recursive, vanishing, files: Files::new(), seen_directories: HashSet::new() };
    match fs::metadata(path) {
        Ok(_) => walk.add_root(path)?,
        Err(_) if is_pattern(path) => walk.add_matches(path)?,
        Err(source) => return Err(open_error(path, source)),
    }
    Ok(walk.files)
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

pub(super) fn open_error(path: &Path, source: io::Error) -> TextFileError {
    let path = path.display().to_string();
    TextFileError::Open { path, source }
}

struct Walk {
    recursive: bool,
    vanishing: bool,
    files: Files,
    /// Resolved, so that a link to a parent does not lead around forever.
    seen_directories: HashSet<PathBuf>,
}

impl Walk {
    fn add_matches(&mut self, pattern: &Path) -> Result<(), TextFileError> {
        let text = pattern
            .to_str()
            .ok_or_else(|| TextFileError::PathNotUtf8 { path: pattern.display().to_string() })?;
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let matches = glob::glob_with(text, options)
            .map_err(|source| TextFileError::Pattern { pattern: text.to_owned(), source })?;
        let mut any = false;
        for matched in matches {
            let path = matched.map_err(|e| {
                let path = e.path().to_owned();
                open_error(&path, e.into())
            })?;
            if !is_hidden(&path) {
                any = true;
                self.add_root(&path)?;
            }
        }
        if any || self.vanishing {
            return Ok(());
        }
        Err(TextFileError::NoMatch { pattern: text.to_owned() })
    }

    /// A path that was named, so a directory is entered whatever `recursive` says.
    fn add_root(&mut self, path: &Path) -> Result<(), TextFileError> {
        let result = fs::metadata(path).and_then(|metadata| {
            if metadata.is_dir() {
                return Ok(true);
            }
            self.add_file(path).map(|()| false)
        });
        match result {
            Ok(true) => self.add_directory(path),
            Ok(false) => Ok(()),
            Err(e) => self.forgive(path, e),
        }
    }

    fn add_file(&mut self, path: &Path) -> io::Result<()> {
        // Opening it now names an unreadable file when the job starts, not in the middle.
        let bytes = File::open(path)?.metadata()?.len();
        self.files.insert(path.to_owned(), bytes);
        Ok(())
    }

    fn add_directory(&mut self, root: &Path) -> Result<(), TextFileError> {
        let mut open = vec![root.to_owned()];
        while let Some(directory) = open.pop() {
            let entries = match self.enter(&directory) {
                Ok(entries) => entries,
                Err(e) => {
                    self.forgive(&directory, e)?;
                    continue;
                }
            };
            for path in entries {
                let result = fs::metadata(&path).and_then(|metadata| {
                    if !metadata.is_dir() {
                        self.add_file(&path)
                    } else {
                        if self.recursive {
                            open.push(path.clone());
                        }
                        Ok(())
                    }
                });
                if let Err(e) = result {
                    self.forgive(&path, e)?;
                }
            }
        }
        Ok(())
    }

    /// What is in a directory and not hidden; nothing if it was entered before.
    fn enter(&mut self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        if !self.seen_directories.insert(directory.canonicalize()?) {
            return Ok(Vec::new());
        }
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if !is_hidden(&path) {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    fn forgive(&self, path: &Path, error: io::Error) -> Result<(), TextFileError> {
        if self.vanishing && error.kind() == io::ErrorKind::NotFound {
            return Ok(());
        }
        Err(open_error(path, error))
    }
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.as_encoded_bytes());
    name.is_some_and(|name| name.starts_with(b".") || name.starts_with(b"_"))
}
