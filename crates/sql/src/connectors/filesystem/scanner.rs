//! Finds records in a stream of bytes, in one buffer that grows only for a record that does not
//! fit it.
//!
//! A record ends at a line feed (a carriage return before it is not part of it), or at the end of
//! the file; in CSV, line feeds between quotes are part of the record.
//!
//! Invariants: `start <= scanned <= end <= buffer.len()`; no record ends in `buffer[start..scanned]`;
//! `buffer[start]` is at `offset` of the content.

use std::{
    io::{self, Read},
    ops::Range,
};

use hurtig_sql_formats::Framing;
use memchr::{memchr, memchr3};

/// Size of the buffer at first, and about the most that is read at once.
const BUFFER_BYTES: usize = 512 << 10;
/// The longest record, unless `source.max-record-size` says otherwise.
pub(super) const MAX_RECORD_BYTES: usize = 16 << 20;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record: where it is in [`Scanner::bytes`].
    Record(Range<usize>),
    /// A record that is too long begins there; it is left out.
    TooLong(u64),
    /// No record starts before the limit any more.
    End,
}

pub(super) struct Scanner {
    input: Box<dyn Read + Send>,
    framing: Framing,
    longest: usize,
    buffer: Vec<u8>,
    start: usize,
    scanned: usize,
    end: usize,
    offset: u64,
    at_eof: bool,
    /// Between quotes, at `scanned`.
    quoted: bool,
    /// The rest of the record is left out.
    skipping: bool,
}

impl Scanner {
    /// Scans `input`, whose first byte is at `offset`. Records are at most `longest` bytes.
    pub(super) fn new(
        input: Box<dyn Read + Send>,
        framing: Framing,
        longest: usize,
        offset: u64,
    ) -> Self {
        Self {
            input,
            framing,
            longest,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            scanned: 0,
            end: 0,
            offset,
            at_eof: false,
            quoted: false,
            skipping: false,
        }
    }

    /// The buffer, for the ranges of records.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Where the next record begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes on to the first line that starts at `position` or later.
    pub(super) fn skip_to_line(&mut self, position: u64) -> io::Result<()> {
        // A line starts at `position` exactly if the byte before it ends one, so that byte decides.
        let Some(before) = position.checked_sub(1) else { return Ok(()) };
        loop {
            if self.start == self.end {
                self.fill()?;
                if self.at_eof {
                    return Ok(());
                }
            }
            let ahead = usize::try_from(before.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            self.consume_to(self.start.saturating_add(ahead).min(self.end));
            if let Some(at) = memchr(b'\n', &self.buffer[self.start..self.end]) {
                self.consume_to(self.start + at + 1);
                return Ok(());
            }
            self.consume_to(self.end);
        }
    }

    /// Goes on to a position at which a record is known to begin.
    pub(super) fn skip_bytes(&mut self, position: u64) -> io::Result<()> {
        while self.offset < position && !(self.at_eof && self.start == self.end) {
            if self.start == self.end {
                self.fill()?;
            }
            let ahead = usize::try_from(position - self.offset).unwrap_or(usize::MAX);
            self.consume_to(self.start.saturating_add(ahead).min(self.end));
        }
        Ok(())
    }

    /// The next record that starts before `limit`.
    pub(super) fn next(&mut self, limit: u64) -> io::Result<Step> {
        loop {
            if self.offset >= limit && !self.skipping {
                return Ok(Step::End);
            }
            if let Some(at) = self.find_end() {
                let (range, offset) = (self.start..at, self.offset);
                self.consume_to(at + 1);
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                if range.len() > self.longest {
                    return Ok(Step::TooLong(offset));
                }
                return Ok(Step::Record(self.without_return(range)));
            }
            if self.end - self.start > self.longest && !self.skipping {
                self.skipping = true;
                // Quotes that are not closed must not swallow the rest of the file.
                self.quoted = false;
                let offset = self.offset;
                self.drop_scanned();
                return Ok(Step::TooLong(offset));
            }
            if self.skipping {
                self.drop_scanned();
            }
            if self.at_eof {
                let range = self.start..self.end;
                self.consume_to(self.end);
                if range.is_empty() || self.skipping {
                    return Ok(Step::End);
                }
                return Ok(Step::Record(range));
            }
            self.fill()?;
        }
    }

    fn without_return(&self, range: Range<usize>) -> Range<usize> {
        let ends = !range.is_empty() && self.buffer[range.end - 1] == b'\r';
        range.start..range.end - usize::from(ends)
    }

    /// Where the line feed is that ends the record at `start`, if it is in the buffer.
    fn find_end(&mut self) -> Option<usize> {
        let Framing::QuotedLines { delimiter, quote, escape } = self.framing else {
            let found = memchr(b'\n', &self.buffer[self.scanned..self.end]);
            let at = found.map(|found| self.scanned + found);
            self.scanned = at.unwrap_or(self.end);
            return at;
        };
        let escape = escape.unwrap_or(quote);
        while let Some(found) = memchr3(b'\n', quote, escape, &self.buffer[self.scanned..self.end])
        {
            let at = self.scanned + found;
            let byte = self.buffer[at];
            if byte == quote && self.quoted {
                if at + 1 >= self.end && !self.at_eof {
                    // Whether it is doubled is not known yet.
                    self.scanned = at;
                    return None;
                }
                if self.buffer[at + 1..self.end].first() == Some(&quote) {
                    self.scanned = at + 2;
                    continue;
                }
                self.quoted = false;
            } else if byte == quote {
                // Within a field it is a character like others.
                self.quoted = at == self.start || self.buffer[at - 1] == delimiter;
            } else if byte == escape {
                if at + 1 >= self.end && !self.at_eof {
                    // What it escapes is not there yet.
                    self.scanned = at;
                    return None;
                }
                self.scanned = (at + 2).min(self.end);
                continue;
            } else if !self.quoted || self.skipping {
                self.quoted = false;
                self.scanned = at;
                return Some(at);
            }
            self.scanned = at + 1;
        }
        self.scanned = self.end;
        None
    }

    fn consume_to(&mut self, at: usize) {
        self.offset += (at - self.start) as u64;
        self.start = at;
        self.scanned = at;
    }

    fn drop_scanned(&mut self) {
        self.consume_to(self.scanned);
    }

    /// Reads once, behind what is there.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.scanned -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            // Records beyond the limit are given up, so this ends at about twice that.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_eof = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte per read.
    struct Drip(Vec<u8>);

    impl Read for Drip {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(out.len()).min(1);
            out[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    fn records(text: &[u8], framing: Framing, from: u64, limit: u64) -> Vec<String> {
        let text = text.to_vec();
        let inputs: [Box<dyn Read + Send>; 2] =
            [Box::new(io::Cursor::new(text.clone())), Box::new(Drip(text))];
        let read = inputs.map(|input| {
            let mut scanner = Scanner::new(input, framing, MAX_RECORD_BYTES, 0);
            scanner.skip_to_line(from).unwrap();
            let mut found = Vec::new();
            while let Step::Record(range) = scanner.next(limit).unwrap() {
                found.push(String::from_utf8_lossy(&scanner.bytes()[range]).into_owned());
            }
            found
        });
        let [whole, dripped] = read;
        assert_eq!(whole, dripped, "however the bytes arrive");
        whole
    }

    #[test]
    fn records_are_lines() {
        let text = b"ab\r\n\ncd\nef";
        assert_eq!(records(text, Framing::Lines, 0, u64::MAX), ["ab", "", "cd", "ef"]);
        // Whatever the cut, each line belongs to one side.
        for cut in 0..=text.len() as u64 {
            let mut both = records(text, Framing::Lines, 0, cut);
            both.extend(records(text, Framing::Lines, cut, u64::MAX));
            assert_eq!(both, ["ab", "", "cd", "ef"], "cut at {cut}");
        }
    }

    #[test]
    fn quoted_line_ends_are_part_of_a_record() {
        let quoted = Framing::QuotedLines { delimiter: b',', quote: b'"', escape: None };
        let text = b"1,\"a\nb\"\n2,\"say \"\"hi\"\"\"\n3";
        assert_eq!(records(text, quoted, 0, u64::MAX), ["1,\"a\nb\"", "2,\"say \"\"hi\"\"\"", "3"]);
        assert_eq!(records(b"1,a\"\n2,\"\"\n3", quoted, 0, u64::MAX), ["1,a\"", "2,\"\"", "3"]);
        let escape = Some(b'\\');
        let escaped = Framing::QuotedLines { delimiter: b',', quote: b'"', escape };
        assert_eq!(records(b"1,\\\"a\n2", escaped, 0, u64::MAX), ["1,\\\"a", "2"]);
    }

    #[test]
    fn a_record_that_is_too_long_is_left_out() {
        let mut text = b"first\n".to_vec();
        text.resize(MAX_RECORD_BYTES * 2, b'x');
        text.extend_from_slice(b"\nlast\n");
        let input = Box::new(io::Cursor::new(text));
        let mut scanner = Scanner::new(input, Framing::Lines, MAX_RECORD_BYTES, 0);
        assert!(matches!(scanner.next(u64::MAX).unwrap(), Step::Record(range) if range.len() == 5));
        assert_eq!(scanner.next(u64::MAX).unwrap(), Step::TooLong(6));
        let Step::Record(range) = scanner.next(u64::MAX).unwrap() else { panic!("no record") };
        assert_eq!(&scanner.bytes()[range], b"last");
        assert_eq!(scanner.next(u64::MAX).unwrap(), Step::End);
    }
}
