//! A sink that writes lines into part files of a directory.
//!
//! # Life of a part file
//!
//! 1. A writer writes its records into a hidden file,
//!    `.part-<subtask>-<n>.<attempt>.inprogress`. A subtask without records has none.
//! 2. [`SinkWriter::prepare_commit`] brings it to the disk, closes it, and returns it as
//!    [`PendingLineFile`]; the next record begins file `n + 1`.
//! 3. The committer renames it to `part-<subtask>-<n>`. A file that has been renamed before is left
//!    alone, so committing again changes nothing.
//! 4. A writer that is closed in between removes the file that it was writing.
//! 5. With checkpoints, files end at every checkpoint, and are committed when it is complete. A
//!    writer that goes on from a checkpoint numbers its files on from there, and removes hidden
//!    files of its own that came later: they belong to no checkpoint.
//!
//! So a reader of the directory sees whole files, and only what was committed.
//!
//! # Output of others
//!
//! A subtask leaves a hidden file `.part-<subtask>.job` with the job's id. Part files without one
//! of this job are the output of another run: the writer fails, or, with
//! [`LineFileSink::overwrite`], each subtask removes its own and the first those beyond the number
//! of subtasks. A later attempt of the same job replaces its own files.
//!
//! Invariant: a subtask commits only after it has left its mark, so no other subtask of the job
//! takes its files for those of another run.

use std::{
    fs::{self, File},
    io::{self, Write},
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
};

use hurtig_connector_api::{Committer, Sink, SinkWriter, WriterContext, WriterState};
use hurtig_types::{Batch, BoxError, Record, codec};
use serde::{Deserialize, Serialize};

/// Bytes that a writer keeps before it writes them.
const BUFFER_BYTES: usize = 256 << 10;

/// Writes lines into part files.
pub struct LineFileSink<T, F> {
    directory: PathBuf,
    format: Arc<F>,
    overwrite: bool,
    types: PhantomData<fn(T)>,
}

impl<T, F> LineFileSink<T, F>
where
    T: Record,
    F: Fn(&T, &mut Vec<u8>) + Send + Sync + 'static,
{
    /// For each record a line of what `format` appends to the buffer, into files of `directory`,
    /// which is created if it does not exist.
    pub fn new(directory: impl Into<PathBuf>, format: F) -> Self {
        Self {
            directory: directory.into(),
            format: Arc::new(format),
            overwrite: false,
            types: PhantomData,
        }
    }

    /// Whether the output of another run is removed; if not, it is an error.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }
}

/// A file that is complete and waits to be renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingLineFile {
    /// Where it is.
    pub in_progress: String,
    /// Where it is to be.
    pub committed: String,
}

/// Why lines cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LineFileError {
    /// The file system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The directory is not empty.
    #[error("{path} is the output of another run; remove it or allow to overwrite it")]
    Exists {
        /// One of the files.
        path: String,
    },
    /// The directory cannot be written into a committable.
    #[error("the path {path} is not UTF-8")]
    PathNotUtf8 {
        /// As much of it as can be shown.
        path: String,
    },
    /// A file to be committed has disappeared.
    #[error("{in_progress} is to become {committed}, but neither exists")]
    Lost {
        /// Where it should be before.
        in_progress: String,
        /// Where it should be after.
        committed: String,
    },
}

impl LineFileError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { action, path, source }
    }
}

impl<T, F> Sink for LineFileSink<T, F>
where
    T: Record,
    F: Fn(&T, &mut Vec<u8>) + Send + Sync + 'static,
{
    type Input = T;
    type Committable = PendingLineFile;

    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<T, PendingLineFile>>, BoxError> {
        let Some(directory) = self.directory.to_str() else {
            let path = self.directory.display().to_string();
            return Err(LineFileError::PathNotUtf8 { path }.into());
        };
        claim(&self.directory, &context, self.overwrite)?;
        let number = match &context.restored {
            None => 0,
            Some(state) => {
                let numbers = state.union.iter().map(|state| codec::decode::<u64>(state));
                let numbers: Vec<u64> = numbers.collect::<Result<_, _>>()?;
                let number = numbers.into_iter().max().unwrap_or(0);
                remove_abandoned(&self.directory, context.subtask, number)?;
                number
            }
        };
        Ok(Box::new(LineFileWriter::<F> {
            directory: directory.to_owned(),
            format: self.format.clone(),
            subtask: context.subtask,
            attempt: context.attempt,
            number,
            file: None,
            buffer: Vec::new(),
        }))
    }

    fn create_committer(
        &self,
        _: &WriterContext,
    ) -> Result<Option<Box<dyn Committer<PendingLineFile>>>, BoxError> {
        Ok(Some(Box::new(Renamer)))
    }
}

/// Makes sure that the directory is there and that what is in it is this job's, as far as this
/// subtask is concerned; then leaves its mark.
fn claim(directory: &Path, context: &WriterContext, overwrite: bool) -> Result<(), LineFileError> {
    fs::create_dir_all(directory).map_err(LineFileError::io("create", directory))?;
    let job = context.job.to_string();
    let is_ours = |subtask| {
        let mark = fs::read_to_string(mark_of(directory, subtask));
        mark.is_ok_and(|mark| mark == job)
    };
    let mine = context.subtask;
    if is_ours(mine) {
        return Ok(());
    }
    let entries = fs::read_dir(directory).map_err(LineFileError::io("list", directory))?;
    for entry in entries {
        let path = entry.map_err(LineFileError::io("list", directory))?.path();
        let Some(part) = path.file_name().and_then(|n| n.to_str()).and_then(parse) else {
            continue;
        };
        let subtask = part.subtask;
        if !overwrite {
            if part.committed && !is_ours(subtask) {
                let path = path.display().to_string();
                return Err(LineFileError::Exists { path });
            }
        } else if subtask == mine || (mine == 0 && subtask >= context.parallelism) {
            remove(&path)?;
        }
    }
    let mark = mark_of(directory, mine);
    fs::write(&mark, job).map_err(LineFileError::io("write", &mark))
}

/// Removes the hidden files of a subtask from number `first` on.
fn remove_abandoned(directory: &Path, subtask: u32, first: u64) -> Result<(), LineFileError> {
    let prefix = format!(".part-{subtask}-");
    let entries = fs::read_dir(directory).map_err(LineFileError::io("list", directory))?;
    for entry in entries {
        let path = entry.map_err(LineFileError::io("list", directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name
            .and_then(|name| name.strip_prefix(&prefix))
            .and_then(|rest| rest.split('.').next())
            .and_then(|number| number.parse::<u64>().ok());
        if number.is_some_and(|number| number >= first) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), LineFileError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(LineFileError::io("remove", path)(e)),
        _ => Ok(()),
    }
}

fn mark_of(directory: &Path, subtask: u32) -> PathBuf {
    directory.join(format!(".part-{subtask}.job"))
}

struct PartName {
    subtask: u32,
    committed: bool,
}

/// What a file name says, if it is one of this sink's.
fn parse(name: &str) -> Option<PartName> {
    let committed = name.strip_prefix("part-");
    let (subtask, rest) = match committed {
        Some(rest) => rest.split_once('-')?,
        None => name.strip_prefix(".part-")?.split_once(['-', '.'])?,
    };
    if committed.is_some() && !rest.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(PartName { subtask: subtask.parse().ok()?, committed: committed.is_some() })
}

struct LineFileWriter<F> {
    directory: String,
    format: Arc<F>,
    subtask: u32,
    attempt: u32,
    /// Of the current or next file.
    number: u64,
    file: Option<(File, String)>,
    /// Formatted and not yet written to `file`.
    buffer: Vec<u8>,
}

impl<F> LineFileWriter<F> {
    fn write_buffer(&mut self) -> Result<(), LineFileError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let (file, path) = match &mut self.file {
            Some(open) => open,
            none => {
                let path = format!(
                    "{}/.part-{}-{}.{}.inprogress",
                    self.directory, self.subtask, self.number, self.attempt
                );
                let file =
                    File::create(&path).map_err(LineFileError::io("create", Path::new(&path)))?;
                none.insert((file, path))
            }
        };
        file.write_all(&self.buffer).map_err(LineFileError::io("write", Path::new(path)))?;
        self.buffer.clear();
        Ok(())
    }
}

impl<T, F> SinkWriter<T, PendingLineFile> for LineFileWriter<F>
where
    T: Record,
    F: Fn(&T, &mut Vec<u8>) + Send + Sync,
{
    fn write(&mut self, batch: Batch<T>) -> Result<(), BoxError> {
        for value in &batch.values {
            (self.format)(value, &mut self.buffer);
            self.buffer.push(b'\n');
            if self.buffer.len() >= BUFFER_BYTES {
                self.write_buffer()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, _: bool) -> Result<(), BoxError> {
        Ok(self.write_buffer()?)
    }

    fn prepare_commit(&mut self) -> Result<Vec<PendingLineFile>, BoxError> {
        self.write_buffer()?;
        let Some((file, in_progress)) = &self.file else {
            return Ok(Vec::new());
        };
        file.sync_data().map_err(LineFileError::io("sync", Path::new(in_progress)))?;
        let pending = PendingLineFile {
            in_progress: in_progress.clone(),
            committed: format!("{}/part-{}-{}", self.directory, self.subtask, self.number),
        };
        self.file = None;
        self.number += 1;
        Ok(vec![pending])
    }

    fn snapshot(&mut self) -> Result<WriterState, BoxError> {
        Ok(WriterState { union: vec![codec::encode(&self.number)?], ..WriterState::default() })
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.buffer = Vec::new();
        match self.file.take() {
            Some((_, path)) => Ok(remove(Path::new(&path))?),
            None => Ok(()),
        }
    }
}

/// Renames files.
struct Renamer;

impl Committer<PendingLineFile> for Renamer {
    fn commit(&mut self, committables: Vec<PendingLineFile>) -> Result<(), BoxError> {
        for PendingLineFile { in_progress, committed } in committables {
            match fs::rename(&in_progress, &committed) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    if !Path::new(&committed).exists() {
                        let lost = LineFileError::Lost { in_progress, committed };
                        return Err(lost.into());
                    }
                }
                Err(e) => {
                    return Err(LineFileError::io("commit", Path::new(&in_progress))(e).into());
                }
            }
        }
        Ok(())
    }
}
