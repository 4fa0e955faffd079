//! The outputs of hosts, as files that can be listed and read, and what else a process tells of
//! itself.

use std::{
    fs, io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use async_trait::async_trait;
use hurtig_cluster_api::{LogFile, LogSource, ProcessThread, RpcError, RpcResult};

use crate::threads;

/// Most bytes of one answer.
const CHUNK_BYTES: u32 = 1 << 20;
/// Most files that are listed, those that were written last.
const LISTED_FILES: usize = 1000;

/// A directory of logs.
#[derive(Clone, Debug)]
pub(crate) struct LogDirectory(pub(crate) PathBuf);

fn list(directory: &Path) -> io::Result<Vec<LogFile>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        // A file may roll away while it is looked at.
        let Ok(metadata) = entry.metadata() else { continue };
        let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
            files.push(LogFile {
                name,
                size_bytes: metadata.len(),
                modified_ms: modified.map_or(0, |since| since.as_millis() as i64),
            });
        }
    }
    files.sort_by(|a, b| (b.modified_ms, &a.name).cmp(&(a.modified_ms, &b.name)));
    files.truncate(LISTED_FILES);
    Ok(files)
}

fn read(path: &Path, offset: u64, length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length.min(CHUNK_BYTES) as usize];
    let mut read = 0;
    let file = fs::File::open(path)?;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], offset + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

#[async_trait]
impl LogSource for LogDirectory {
    async fn list_logs(&self) -> RpcResult<Vec<LogFile>> {
        let directory = self.0.clone();
        let listed = tokio::task::spawn_blocking(move || list(&directory)).await;
        let listed = listed.map_err(io::Error::other).and_then(|files| files);
        listed.map_err(|error| RpcError::Rejected(format!("the logs cannot be listed: {error}")))
    }

    async fn read_log(&self, name: String, offset: u64, length: u32) -> RpcResult<Vec<u8>> {
        let unknown = || RpcError::NotFound(format!("there is no log {name:?}"));
        if name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.') {
            return Err(unknown());
        }
        let path = self.0.join(&name);
        let bytes = tokio::task::spawn_blocking(move || read(&path, offset, length)).await;
        bytes.map_err(io::Error::other).and_then(|bytes| bytes).map_err(|error| {
            match error.kind() {
                io::ErrorKind::NotFound => unknown(),
                _ => RpcError::Rejected(format!("log {name:?} cannot be read: {error}")),
            }
        })
    }

    async fn threads(&self) -> RpcResult<Vec<ProcessThread>> {
        let read = tokio::task::spawn_blocking(threads::all).await;
        let read = read.map_err(io::Error::other).and_then(|threads| threads);
        read.map_err(|error| RpcError::Rejected(format!("threads cannot be listed: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn logs_are_read_from_their_directory_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("secret"), "x").unwrap();
        let logs = LogDirectory(directory.path().join("log"));
        assert_eq!(logs.list_logs().await.unwrap(), []);
        fs::create_dir(&logs.0).unwrap();
        fs::write(logs.0.join("host.out"), "hello").unwrap();
        let listed = logs.list_logs().await.unwrap();
        assert_eq!((listed.len(), &*listed[0].name, listed[0].size_bytes), (1, "host.out", 5));
        assert_eq!(logs.read_log("host.out".to_owned(), 1, 3).await.unwrap(), b"ell");
        assert_eq!(logs.read_log("host.out".to_owned(), 9, u32::MAX).await.unwrap(), b"");
        for name in ["../secret", "", "..", "none", "host.out/.."] {
            let answer = logs.read_log(name.to_owned(), 0, 1).await;
            assert!(matches!(answer, Err(RpcError::NotFound(_))), "{name}");
        }
    }
}
