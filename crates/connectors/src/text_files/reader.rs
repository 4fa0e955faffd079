//! Reads splits, one after the other.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use hurtig_connector_api::{PendingInput, ReadStatus, SourceOutput, SourceReader};
use hurtig_types::BoxError;

use super::{
    TextFileError, TextFileSplit,
    listing::open_error,
    scanner::{BUFFER_BYTES, LineError, LineRules, LineScanner},
};

pub(super) struct TextFileReader {
    rules: LineRules,
    /// Not begun.
    splits: VecDeque<TextFileSplit>,
    current: Option<OpenSplit>,
    /// Number of the next split to be opened.
    number: u32,
}

impl TextFileReader {
    pub(super) fn new(rules: LineRules) -> Self {
        Self { rules, splits: VecDeque::new(), current: None, number: 0 }
    }
}

struct OpenSplit {
    split: TextFileSplit,
    number: u32,
    scanner: LineScanner<Box<dyn Read + Send>>,
    /// Whether the scanner is at the start of a line.
    at_line: bool,
}

impl OpenSplit {
    fn open(split: TextFileSplit, number: u32) -> io::Result<Self> {
        let mut file = File::open(&split.path)?;
        // The byte before the position tells whether a line starts there.
        let from = split.position.saturating_sub(1);
        let (input, offset): (Box<dyn Read + Send>, u64) = if split.gzip {
            let file = BufReader::with_capacity(BUFFER_BYTES, file);
            (Box::new(MultiGzDecoder::new(file)), 0)
        } else {
            file.seek(SeekFrom::Start(from))?;
            (Box::new(file), from)
        };
        Ok(Self { split, number, scanner: LineScanner::new(input, offset), at_line: false })
    }

    /// True if the split has ended.
    fn read(
        &mut self,
        max: usize,
        rules: LineRules,
        lines: &mut Vec<String>,
    ) -> Result<bool, LineError> {
        if !self.at_line {
            self.at_line = self.scanner.skip_to_line(self.split.position)?;
        }
        if !self.at_line {
            // Then all that lies ahead of the limit may be in the middle of one line.
            return Ok(self.scanner.offset() > self.split.end);
        }
        self.scanner.take_lines(max, self.split.end, rules, lines)
    }

    fn resumed(&self) -> TextFileSplit {
        let mut split = self.split.clone();
        split.position = split.position.max(self.scanner.offset());
        split
    }

    fn explain(&self, error: LineError, rules: LineRules) -> TextFileError {
        let path = self.split.path.clone();
        match error {
            LineError::Read { offset, source } => TextFileError::Read { path, offset, source },
            LineError::TooLong { offset } => {
                TextFileError::LineTooLong { path, offset, limit: rules.max_line_bytes }
            }
            LineError::InvalidUtf8 { offset } => TextFileError::InvalidUtf8 { path, offset },
        }
    }
}

impl SourceReader<String, TextFileSplit> for TextFileReader {
    fn add_splits(&mut self, splits: Vec<TextFileSplit>) -> Result<(), BoxError> {
        self.splits.extend(splits);
        Ok(())
    }

    fn read(
        &mut self,
        max_records: usize,
        out: &mut SourceOutput<String>,
    ) -> Result<ReadStatus, BoxError> {
        let current = match (&mut self.current, self.splits.front()) {
            (Some(current), _) => current,
            (None, None) => return Ok(ReadStatus::NeedSplit),
            (none, Some(next)) => {
                let opened = OpenSplit::open(next.clone(), self.number)
                    .map_err(|e| open_error(Path::new(&next.path), e))?;
                self.splits.pop_front();
                self.number = self.number.wrapping_add(1);
                none.insert(opened)
            }
        };
        out.split = current.number;
        let max = max_records.max(1);
        let before = current.scanner.offset();
        let read = current.read(max, self.rules, &mut out.values);
        out.bytes = current.scanner.offset().saturating_sub(before);
        match read {
            Ok(false) => Ok(ReadStatus::More),
            Ok(true) => {
                self.current = None;
                out.split_finished = true;
                Ok(ReadStatus::More)
            }
            Err(e) => Err(current.explain(e, self.rules).into()),
        }
    }

    fn snapshot(&self) -> Vec<TextFileSplit> {
        let current = self.current.iter().map(OpenSplit::resumed);
        current.chain(self.splits.iter().cloned()).collect()
    }

    fn pending(&self) -> PendingInput {
        let left = |split: &TextFileSplit, from: u64| split.end.saturating_sub(from);
        let waiting = self.splits.iter().map(|split| left(split, split.position));
        let mut bytes = waiting.fold(0, u64::saturating_add);
        if let Some(current) = &self.current {
            let position = current.split.position.max(current.scanner.offset());
            bytes = bytes.saturating_add(left(&current.split, position));
        }
        // Of a compressed file nobody knows how much is left before its end.
        let mut all = self.splits.iter().chain(self.current.iter().map(|current| &current.split));
        let known = all.all(|split| !split.gzip);
        PendingInput { records: None, bytes: known.then_some(bytes) }
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.current = None;
        Ok(())
    }
}
