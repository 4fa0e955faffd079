//! What a process writes: kept in files that roll, its last words in memory.
//!
//! `NAME` is written until it is full; then it becomes `NAME.1`, what was `NAME.1` becomes `NAME.2`,
//! and so on, and the oldest is deleted. A process that writes without end fills its share of the
//! disk and no more. One that writes faster than the disk takes it waits.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{io::AsyncReadExt, net::unix::pipe};

/// Bytes of a stream that are remembered, to be shown with an error.
const LAST_WORDS_BYTES: usize = 4096;
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// Where output goes, and how much of it is kept.
#[derive(Clone, Debug)]
pub struct OutputOptions {
    /// The directory; created if it is not there.
    pub directory: PathBuf,
    /// Files are `NAME.out` and `NAME.err`.
    pub name: String,
    /// Bytes after which a file is full.
    pub file_bytes: u64,
    /// Most full files that are kept of each.
    pub full_files: u32,
}

/// A file that rolls.
#[derive(Debug)]
pub struct RollingFile {
    path: PathBuf,
    file: File,
    written: u64,
    file_bytes: u64,
    full_files: u32,
}

impl RollingFile {
    /// Opens a file, to go on where it ends.
    pub fn open(path: PathBuf, file_bytes: u64, full_files: u32) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let written = file.metadata()?.len();
        Ok(Self { path, file, written, file_bytes: file_bytes.max(1), full_files })
    }

    fn full(&self, number: u32) -> PathBuf {
        numbered(&self.path, number)
    }

    fn roll(&mut self) -> io::Result<()> {
        for number in (1..self.full_files).rev() {
            match fs::rename(self.full(number), self.full(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.full_files > 0 {
            fs::rename(&self.path, self.full(1))?;
        }
        self.file = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path)?;
        self.written = 0;
        Ok(())
    }

    /// Adds bytes, which may be spread over several files.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.written >= self.file_bytes {
                self.roll()?;
            }
            let room = usize::try_from(self.file_bytes - self.written).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.file.write_all(now)?;
            self.written += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// The last words of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWords(Arc<Mutex<VecDeque<u8>>>);

impl LastWords {
    fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock();
        let bytes = &bytes[bytes.len().saturating_sub(LAST_WORDS_BYTES)..];
        let excess = (kept.len() + bytes.len()).saturating_sub(LAST_WORDS_BYTES);
        kept.drain(..excess);
        kept.extend(bytes);
    }

    /// As text, from the beginning of a line on if there is one.
    pub(crate) fn text(&self) -> String {
        let mut kept = self.0.lock();
        let cut = kept.len() == LAST_WORDS_BYTES;
        let text = String::from_utf8_lossy(kept.make_contiguous());
        let whole = text.split_once('\n').filter(|(_, rest)| cut && !rest.is_empty());
        whole.map_or(&*text, |(_, rest)| rest).trim_end().to_owned()
    }
}

/// Moves what comes out of a pipe into a file, until the pipe ends.
pub(crate) async fn keep(mut pipe: pipe::Receiver, mut file: RollingFile, words: LastWords) {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut broken = false;
    loop {
        let read = match pipe.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        words.add(&chunk[..read]);
        if broken {
            // Still read, so that the process is not held up by a disk that is full.
            continue;
        }
        let written = tokio::task::spawn_blocking(move || {
            let written = file.write(&chunk[..read]);
            (file, chunk, written)
        });
        let Ok((same_file, same_chunk, result)) = written.await else { return };
        (file, chunk) = (same_file, same_chunk);
        if let Err(error) = result {
            tracing::warn!(path = %file.path.display(), %error, "output of a process is lost");
            broken = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_rolls_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("host.out");
        let mut file = RollingFile::open(path.clone(), 4, 2).unwrap();
        file.write(b"aaaabbbbccccdd").unwrap();
        file.write(b"d").unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(read(&path), "ddd");
        assert_eq!(read(&numbered(&path, 1)), "cccc");
        assert_eq!(read(&numbered(&path, 2)), "bbbb");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
        let mut again = RollingFile::open(path.clone(), 4, 0).unwrap();
        again.write(b"ef").unwrap();
        assert_eq!(read(&path), "f");
    }

    #[test]
    fn last_words_are_bounded_and_begin_with_a_line() {
        let words = LastWords::default();
        words.add(b"hello\n");
        assert_eq!(words.text(), "hello");
        words.add(&[b'x'; LAST_WORDS_BYTES]);
        words.add(b"\nlast\n");
        assert_eq!(words.text(), "last");
        words.add(&vec![b'y'; 3 * LAST_WORDS_BYTES]);
        assert_eq!(words.text().len(), LAST_WORDS_BYTES);
    }
}
