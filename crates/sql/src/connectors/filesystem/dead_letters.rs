//! Records that cannot be decoded, kept beside the table.
//!
//! One file per job, operator and split: what was written behind the position of a checkpoint is cut
//! off when the split is resumed there, so each record is there once, whatever fails. At a checkpoint
//! the file is brought to the disk.
//!
//! A line is an object with the record's file and offset in it, what is wrong with it, and the
//! record: as `record` if it is text, else in base 64 as `record-base64`.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use hurtig_operator_api::OperatorContext;
use hurtig_sql_formats::text::{write_base64, write_json_text};

use super::enumerator::FileSplit;

/// What each line begins with; the offset follows.
const START: &str = "{\"offset\":";

/// The dead letters of one split.
pub(super) struct DeadLetters {
    directory: PathBuf,
    path: PathBuf,
    source: String,
    /// What lies behind this position, is none of this attempt's.
    position: u64,
    file: Option<BufWriter<File>>,
}

impl DeadLetters {
    /// For a split that is read from its position on. A file is made when there is something.
    pub(super) fn open(
        directory: &Path,
        split: &FileSplit,
        context: &OperatorContext,
    ) -> io::Result<Self> {
        let name = format!(
            "dead-{}-{}-{:016x}-{}.jsonl",
            context.job,
            context.operator,
            hurtig_types::key_hash::stable_hash(split.path.as_str()).unwrap_or_default(),
            split.start
        );
        let path = directory.join(name);
        let mut letters = Self {
            directory: directory.to_owned(),
            path,
            source: split.path.clone(),
            position: split.position,
            file: None,
        };
        if letters.path.exists() {
            letters.begin()?;
        }
        Ok(letters)
    }

    /// Opens the file and cuts it to what lies before the position.
    fn begin(&mut self) -> io::Result<&mut BufWriter<File>> {
        std::fs::create_dir_all(&self.directory)?;
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(&self.path)?;
        let mut keep = 0;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 || !line.ends_with(b"\n") || offset_of(&line) >= Some(self.position) {
                break;
            }
            keep += read as u64;
        }
        file.set_len(keep)?;
        file.seek(SeekFrom::Start(keep))?;
        Ok(self.file.insert(BufWriter::new(file)))
    }

    /// Adds a record.
    pub(super) fn add(&mut self, offset: u64, error: &str, record: &[u8]) -> io::Result<()> {
        let mut line = format!("{START}{offset},\"file\":").into_bytes();
        write_json_text(self.source.as_bytes(), &mut line);
        line.extend_from_slice(b",\"error\":");
        write_json_text(error.as_bytes(), &mut line);
        if std::str::from_utf8(record).is_ok() {
            line.extend_from_slice(b",\"record\":");
            write_json_text(record, &mut line);
        } else {
            line.extend_from_slice(b",\"record-base64\":\"");
            write_base64(record, &mut line);
            line.push(b'"');
        }
        line.extend_from_slice(b"}\n");
        match &mut self.file {
            Some(file) => file.write_all(&line),
            None => self.begin()?.write_all(&line),
        }
    }

    /// Brings everything to the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.flush()?;
        file.get_ref().sync_data()
    }
}

/// The offset that a line tells; a line that tells none is not ours, and ends what is kept.
fn offset_of(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(START.as_bytes())?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}
