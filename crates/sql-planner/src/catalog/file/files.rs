//! Files of definitions, one for each name.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::{PlanError, PlanResult};

/// Largest definition.
const LARGEST_BYTES: u64 = 16 << 20;
/// Most definitions in one directory.
const MOST_FILES: usize = 100_000;
/// Longest name of a file, as file systems have it, without what stands around it.
const LONGEST_NAME: usize = 200;

/// What a name is called on disk.
pub(in crate::catalog) fn file_name(name: &str) -> PlanResult<String> {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => encoded.push(byte as char),
            other => encoded.push_str(&format!("%{other:02x}")),
        }
    }
    if encoded.is_empty() || encoded.len() > LONGEST_NAME {
        return Err(PlanError::new(format!("'{name}' is no name for an object kept in a file")));
    }
    Ok(encoded)
}

/// The name that a file has; `None`: the file is none of ours.
fn name_of(file: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(file.len());
    let mut rest = file.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (code, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?);
        rest = after;
    }
    let name = String::from_utf8(bytes).ok()?;
    // Only the one spelling that we give counts: of two files, one would never be found.
    (file_name(&name).ok()? == file).then_some(name)
}

fn failed(path: &Path, what: &str, error: &io::Error) -> PlanError {
    PlanError::new(format!("{} cannot be {what}: {error}", path.display()))
}

/// The entries of a directory that is perhaps not there: names, and whether they are directories.
fn list(directory: &Path) -> PlanResult<Vec<(String, bool)>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(directory, "read", &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(directory, "read", &error))?;
        let is_directory =
            entry.file_type().map_err(|error| failed(&entry.path(), "read", &error))?.is_dir();
        // Other names are none of ours.
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, is_directory));
        }
        if found.len() > MOST_FILES {
            let path = directory.display();
            return Err(PlanError::new(format!("{path} holds more than {MOST_FILES} files")));
        }
    }
    found.sort();
    Ok(found)
}

/// The names that directories have, in order.
pub(super) fn directories(directory: &Path) -> PlanResult<Vec<String>> {
    let found = list(directory)?.into_iter();
    Ok(found
        .filter(|(_, is_directory)| *is_directory)
        .filter_map(|(one, _)| name_of(&one))
        .collect())
}

/// The files of one directory, which is made when something is written.
pub(in crate::catalog) struct Files {
    directory: PathBuf,
    extension: &'static str,
}

impl Files {
    pub(in crate::catalog) fn in_directory(directory: PathBuf, extension: &'static str) -> Self {
        Self { directory, extension }
    }

    fn path(&self, name: &str) -> PlanResult<PathBuf> {
        Ok(self.directory.join(format!("{}.{}", file_name(name)?, self.extension)))
    }

    /// The names that there are, in order.
    pub(in crate::catalog) fn names(&self) -> PlanResult<Vec<String>> {
        let mut names = Vec::new();
        for (file, is_directory) in list(&self.directory)? {
            let stem = file.strip_suffix(self.extension).and_then(|stem| stem.strip_suffix('.'));
            if !is_directory && let Some(name) = stem.and_then(name_of) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn exists(&self, name: &str) -> PlanResult<bool> {
        let path = self.path(name)?;
        path.try_exists().map_err(|error| failed(&path, "read", &error))
    }

    /// The content of a file and where it is; `None` if there is none.
    pub(in crate::catalog) fn read(&self, name: &str) -> PlanResult<Option<(PathBuf, Vec<u8>)>> {
        // A name that no file can have is one that nothing has.
        let Ok(path) = self.path(name) else { return Ok(None) };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, "read", &error)),
        };
        let mut bytes = Vec::new();
        let read = file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| failed(&path, "read", &error))?;
        if bytes.len() as u64 > LARGEST_BYTES {
            let path = path.display();
            return Err(PlanError::new(format!("{path} has more than {LARGEST_BYTES} bytes")));
        }
        Ok(Some((path, bytes)))
    }

    /// Writes a file, in one step for all who read.
    pub(in crate::catalog) fn write(&self, name: &str, bytes: &[u8]) -> PlanResult<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let path = self.path(name)?;
        if bytes.len() as u64 > LARGEST_BYTES {
            let message = format!("the definition of '{name}' has more than {LARGEST_BYTES} bytes");
            return Err(PlanError::new(message));
        }
        fs::create_dir_all(&self.directory)
            .map_err(|error| failed(&self.directory, "made", &error))?;
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Relaxed));
        let beside = self.directory.join(format!(".{process}-{count}.inprogress"));
        let written = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        written().map_err(|error| {
            // It is no part of the catalog, and says so by its name.
            let _ = fs::remove_file(&beside);
            failed(&path, "written", &error)
        })
    }

    /// Removes a file; nothing happens if there is none.
    pub(in crate::catalog) fn remove(&self, name: &str) -> PlanResult<()> {
        let path = self.path(name)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed(&path, "removed", &error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_files_are_one_to_one() {
        for name in ["orders", "Ä b", "../../etc/passwd", "a.b", "%41", "CON", "x/y", "\0"] {
            let file = file_name(name).unwrap();
            assert!(
                file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-%".contains(&byte))
            );
            assert_eq!(name_of(&file).as_deref(), Some(name));
        }
        for file in ["%4", "%zz", "%ff", "a.b", "%41", ".hidden", "%C3%84"] {
            assert_eq!(name_of(file), None, "{file} is no name that we give");
        }
        assert!(file_name(&"x".repeat(1000)).is_err());
        assert!(file_name("").is_err());
    }
}
