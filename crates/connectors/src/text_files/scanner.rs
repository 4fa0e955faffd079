//! Finds lines in a stream of bytes.
//!
//! A [`LineScanner`] keeps one buffer, which grows only for a line that does not fit it. Lines are
//! taken many at a time: first their ends are collected, then the whole stretch is checked to be
//! UTF-8 at once, then the lines are copied out of it.
//!
//! Invariants: `start <= scanned <= end <= buffer.len()`; there is no `\n` in
//! `buffer[start..scanned]`; `buffer[start]` is at `offset` of the content.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter};

/// Size of the buffer at first, and about the most that is read at once.
pub(super) const BUFFER_BYTES: usize = 256 << 10;

/// Blocks that [`LineScanner::skip_to_line`] reads before it gives way.
const BLOCKS_PER_SKIP: usize = 16;

/// What is a line and what is an error.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineRules {
    pub(super) max_line_bytes: usize,
    pub(super) lossy: bool,
}

/// Why there is no next line.
#[derive(Debug)]
pub(super) enum LineError {
    Read { offset: u64, source: io::Error },
    TooLong { offset: u64 },
    InvalidUtf8 { offset: u64 },
}

pub(super) struct LineScanner<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    scanned: usize,
    end: usize,
    offset: u64,
    at_eof: bool,
    /// Ends of the lines being taken; kept for its memory.
    breaks: Vec<usize>,
}

impl<R: Read> LineScanner<R> {
    /// Scans `input`, whose first byte is at `offset` of the content.
    pub(super) fn new(input: R, offset: u64) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            scanned: 0,
            end: 0,
            offset,
            at_eof: false,
            breaks: Vec::new(),
        }
    }

    /// Where the next line, or what is skipped, begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes on to the first line that starts at `position` or later. False if it is not there yet
    /// and wants to be called again.
    pub(super) fn skip_to_line(&mut self, position: u64) -> Result<bool, LineError> {
        // A line starts at `position` exactly if the byte before it ends one, so that byte decides.
        let Some(before) = position.checked_sub(1) else {
            return Ok(true);
        };
        for _ in 0..BLOCKS_PER_SKIP {
            if self.start == self.end {
                self.fill()?;
                if self.at_eof {
                    return Ok(true);
                }
            }
            let ahead = before.saturating_sub(self.offset);
            let ahead = usize::try_from(ahead).unwrap_or(usize::MAX);
            self.consume_to(self.start.saturating_add(ahead).min(self.end));
            if let Some(at) = memchr(b'\n', &self.buffer[self.start..self.end]) {
                self.consume_to(self.start + at + 1);
                return Ok(true);
            }
            self.consume_to(self.end);
        }
        Ok(false)
    }

    /// Appends up to `max` lines that start before `limit`. True if there are no more of them.
    pub(super) fn take_lines(
        &mut self,
        max: usize,
        limit: u64,
        rules: LineRules,
        lines: &mut Vec<String>,
    ) -> Result<bool, LineError> {
        loop {
            if self.offset >= limit {
                return Ok(true);
            }
            let taken = self.find_breaks(max, limit, rules)?;
            if taken > self.start {
                self.copy_lines(taken, rules, lines)?;
                self.consume_to(taken);
                return Ok(self.offset >= limit);
            }
            let pending = self.end - self.start;
            // One more byte may be the `\r` of the line's end, if that is still to come.
            let spare = usize::from(!self.at_eof);
            if pending > rules.max_line_bytes.saturating_add(spare) {
                return Err(LineError::TooLong { offset: self.offset });
            }
            if self.at_eof {
                if pending > 0 {
                    let line = self.text_of(self.start, self.end, rules)?;
                    lines.push(line);
                    self.consume_to(self.end);
                }
                return Ok(true);
            }
            self.fill()?;
        }
    }

    /// Collects the ends of complete lines and returns where the last of them ends.
    fn find_breaks(
        &mut self,
        max: usize,
        limit: u64,
        rules: LineRules,
    ) -> Result<usize, LineError> {
        self.breaks.clear();
        // Lines that start in the buffer from here on belong to others.
        let stop = usize::try_from(limit - self.offset)
            .map_or(usize::MAX, |ahead| self.start.saturating_add(ahead));
        let mut line = self.start;
        for found in memchr_iter(b'\n', &self.buffer[self.scanned..self.end]) {
            let at = self.scanned + found;
            let length = at - line;
            if length > rules.max_line_bytes
                && (length > rules.max_line_bytes + 1 || self.buffer[at - 1] != b'\r')
            {
                let offset = self.offset + (line - self.start) as u64;
                return Err(LineError::TooLong { offset });
            }
            self.breaks.push(at);
            line = at + 1;
            if line >= stop || self.breaks.len() >= max {
                break;
            }
        }
        if self.breaks.is_empty() {
            self.scanned = self.end;
        }
        Ok(line)
    }

    fn copy_lines(
        &self,
        taken: usize,
        rules: LineRules,
        lines: &mut Vec<String>,
    ) -> Result<(), LineError> {
        lines.reserve(self.breaks.len());
        let mut line = self.start;
        if rules.lossy {
            for at in &self.breaks {
                lines.push(self.text_of(line, without_return(&self.buffer, line, *at), rules)?);
                line = at + 1;
            }
            return Ok(());
        }
        let text = std::str::from_utf8(&self.buffer[self.start..taken])
            .map_err(|e| self.invalid_at(self.start + e.valid_up_to()))?;
        for at in &self.breaks {
            let end = without_return(&self.buffer, line, *at);
            lines.push(text[line - self.start..end - self.start].to_owned());
            line = at + 1;
        }
        Ok(())
    }

    fn text_of(&self, from: usize, to: usize, rules: LineRules) -> Result<String, LineError> {
        let bytes = &self.buffer[from..to];
        if rules.lossy {
            return Ok(String::from_utf8_lossy(bytes).into_owned());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(e) => Err(self.invalid_at(from + e.valid_up_to())),
        }
    }

    fn invalid_at(&self, at: usize) -> LineError {
        LineError::InvalidUtf8 { offset: self.offset + (at - self.start) as u64 }
    }

    fn consume_to(&mut self, at: usize) {
        self.offset += (at - self.start) as u64;
        self.start = at;
        self.scanned = at;
    }

    /// Reads once, behind what is there.
    fn fill(&mut self) -> Result<(), LineError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.scanned -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            // Callers give up on a line beyond the limit, so this ends at twice that.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_eof = true,
                Ok(n) => self.end += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    let offset = self.offset + self.end as u64;
                    return Err(LineError::Read { offset, source });
                }
            }
            return Ok(());
        }
    }
}

/// The end of the line `from..at` without the `\r` of a `\r\n`.
fn without_return(buffer: &[u8], from: usize, at: usize) -> usize {
    if at > from && buffer[at - 1] == b'\r' { at - 1 } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte per read.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(out.len()).min(1);
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    const RULES: LineRules = LineRules { max_line_bytes: 4, lossy: false };

    fn all(input: impl Read, rules: LineRules) -> Result<Vec<String>, LineError> {
        let mut scanner = LineScanner::new(input, 0);
        let mut lines = Vec::new();
        while !scanner.take_lines(2, u64::MAX, rules, &mut lines)? {}
        Ok(lines)
    }

    #[test]
    fn lines_are_found_however_the_bytes_arrive() {
        let text = "ab\r\n\n\r\nabcd\r\nabcd\ncd\r\r\n\u{e9}t".as_bytes();
        let expected = ["ab", "", "", "abcd", "abcd", "cd\r", "\u{e9}t"];
        assert_eq!(all(text, RULES).unwrap(), expected);
        assert_eq!(all(Drip(text), RULES).unwrap(), expected);
        assert_eq!(all(&b"a\r"[..], RULES).unwrap(), ["a\r"]);
    }

    #[test]
    fn a_line_over_the_limit_is_an_error_at_its_start() {
        for text in ["ab\nabcde\n", "ab\nabcde", "ab\nabcd\r", "ab\nabcdefgh"] {
            for error in [
                all(text.as_bytes(), RULES).unwrap_err(),
                all(Drip(text.as_bytes()), RULES).unwrap_err(),
            ] {
                assert!(matches!(error, LineError::TooLong { offset: 3 }), "{text}");
            }
        }
    }

    #[test]
    fn bad_bytes_are_an_error_at_their_place_or_replaced() {
        for (text, at) in [(&b"ab\nc\xffd\n"[..], 4), (b"\xc3", 0), (b"a\n\xc3\nb", 2)] {
            let error = all(text, RULES).unwrap_err();
            assert!(matches!(error, LineError::InvalidUtf8 { offset } if offset == at));
            let lossy = LineRules { lossy: true, ..RULES };
            let lines = all(text, lossy).unwrap();
            assert!(lines.iter().any(|line| line.contains('\u{fffd}')));
        }
    }
}
