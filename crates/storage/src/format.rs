//! The bytes of a file.
//!
//! ```text
//! header   magic 8 | version u16 | kind u8 | compression u8 | check u32
//! frame    content length u32 | stored length u32 | check u64 | stored bytes     (repeated)
//! trailer  0 u32 | 0 u32 | frames u64 | length u64 | checksum u64 | check u64
//! ```
//! Numbers are little-endian. A frame holds up to [`FRAME_BYTES`] bytes of content; if its stored
//! length is smaller than its content length, it is compressed with LZ4. Each check is an XXH3 over
//! everything that stands in its part, a frame's also over its position. `length` and `checksum`
//! are those of the whole content. Nothing follows the trailer.
//!
//! So every bit is covered: a changed, missing, doubled or moved byte is an error. Input is
//! hostile: no panic, and no allocation beyond one frame on its word.

use hurtig_types::snapshot::state_checksum;
use xxhash_rust::xxh3::Xxh3;

const MAGIC: [u8; 8] = *b"HURTIGST";
/// Version that is written; readers of all earlier ones are kept.
pub const FORMAT_VERSION: u16 = 1;
const HEADER_BYTES: usize = 16;
const FRAME_HEAD_BYTES: usize = 16;
/// Length of the trailer in bytes.
pub const TRAILER_BYTES: usize = 40;
/// Most bytes of content in a frame.
pub const FRAME_BYTES: usize = 256 * 1024;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// State.
    State = 1,
    /// Metadata of a checkpoint.
    Metadata = 2,
}

/// How frames are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None = 0,
    /// LZ4 blocks, where that makes them smaller.
    #[default]
    Lz4 = 1,
}

/// Why bytes are no intact file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It begins with something else.
    #[error("it does not begin as a file of this format")]
    Magic,
    /// A later release wrote it.
    #[error("it has format version {0}, this release reads up to {FORMAT_VERSION}")]
    Version(u16),
    /// It is something else.
    #[error("it is of kind {found}, not {expected}")]
    Kind {
        /// In the file.
        found: u8,
        /// What is asked for.
        expected: u8,
    },
    /// A checksum does not fit.
    #[error("{part} at byte {offset} does not match its checksum")]
    Checksum {
        /// Which part.
        part: &'static str,
        /// Where it begins.
        offset: u64,
    },
    /// A length that cannot be.
    #[error("the frame at byte {offset} has impossible lengths")]
    FrameLength {
        /// Where it begins.
        offset: u64,
    },
    /// A frame cannot be decompressed.
    #[error("the frame at byte {offset} cannot be decompressed")]
    Decompress {
        /// Where it begins.
        offset: u64,
    },
    /// It ends too soon.
    #[error("it ends at byte {length}, before its trailer")]
    Truncated {
        /// Its length.
        length: u64,
    },
    /// Something follows the trailer.
    #[error("{extra} bytes follow its trailer")]
    Trailing {
        /// How many.
        extra: usize,
    },
}

/// Length and checksum of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentSummary {
    /// Bytes.
    pub length: u64,
    /// XXH3-64.
    pub checksum: u64,
}

/// Turns content into the bytes of a file, piece by piece.
pub struct FileEncoder {
    compression: Compression,
    frame: Vec<u8>,
    frames: u64,
    length: u64,
    content: Xxh3,
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = Xxh3::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.digest()
}

pub(crate) fn frame_check(index: u64, lengths: &[u8], stored: &[u8]) -> u64 {
    hash(&[b"frame", &index.to_le_bytes(), lengths, stored])
}

impl FileEncoder {
    /// Begins a file: its header goes to `out`.
    pub fn new(kind: FileKind, compression: Compression, out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&[kind as u8, compression as u8]);
        let check = state_checksum(&out[start..]) as u32;
        out.extend_from_slice(&check.to_le_bytes());
        let frame = Vec::new();
        Self { compression, frame, frames: 0, length: 0, content: Xxh3::new() }
    }

    /// Adds content; whole frames go to `out`.
    pub fn write(&mut self, mut content: &[u8], out: &mut Vec<u8>) {
        self.length += content.len() as u64;
        self.content.update(content);
        while !content.is_empty() {
            let room = FRAME_BYTES - self.frame.len();
            let (now, later) = content.split_at(room.min(content.len()));
            self.frame.extend_from_slice(now);
            content = later;
            if self.frame.len() == FRAME_BYTES {
                self.end_frame(out);
            }
        }
    }

    /// Bytes of content so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    fn end_frame(&mut self, out: &mut Vec<u8>) {
        let compressed = match self.compression {
            Compression::None => None,
            Compression::Lz4 => Some(lz4_flex::block::compress(&self.frame)),
        };
        let compressed = compressed.filter(|bytes| bytes.len() < self.frame.len());
        let stored = compressed.as_deref().unwrap_or(&self.frame);
        let start = out.len();
        out.extend_from_slice(&(self.frame.len() as u32).to_le_bytes());
        out.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        let check = frame_check(self.frames, &out[start..], stored);
        out.extend_from_slice(&check.to_le_bytes());
        out.extend_from_slice(stored);
        self.frames += 1;
        self.frame.clear();
    }

    /// Ends the file: the rest goes to `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) -> ContentSummary {
        if !self.frame.is_empty() {
            self.end_frame(out);
        }
        let summary = ContentSummary { length: self.length, checksum: self.content.digest() };
        let start = out.len();
        out.extend_from_slice(&[0; 8]);
        for number in [self.frames, summary.length, summary.checksum] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let check = hash(&[b"trailer", &out[start..]]);
        out.extend_from_slice(&check.to_le_bytes());
        summary
    }
}

/// The bytes of a file with that content.
pub fn encode(kind: FileKind, compression: Compression, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() / 2 + HEADER_BYTES + TRAILER_BYTES);
    let mut encoder = FileEncoder::new(kind, compression, &mut out);
    encoder.write(content, &mut out);
    encoder.finish(&mut out);
    out
}

/// Turns the bytes of a file back into content, piece by piece.
///
/// Content that comes out is intact; that it is complete is known only after [`Self::finish`].
pub struct FileDecoder {
    kind: FileKind,
    input: Vec<u8>,
    /// Bytes of `input` that are done with.
    done: usize,
    /// Bytes of the file before `input`.
    before: u64,
    compression: Option<u8>,
    frames: u64,
    length: u64,
    content: Xxh3,
    summary: Option<ContentSummary>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at).map(u64::from_le_bytes)
}

impl FileDecoder {
    /// A decoder of files of that kind.
    pub fn new(kind: FileKind) -> Self {
        Self {
            kind,
            input: Vec::new(),
            done: 0,
            before: 0,
            compression: None,
            frames: 0,
            length: 0,
            content: Xxh3::new(),
            summary: None,
        }
    }

    /// Adds bytes of the file. Call [`Self::next_chunk`] until it gives nothing before adding more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.drain(..self.done);
        self.before += self.done as u64;
        self.done = 0;
        self.input.extend_from_slice(bytes);
    }

    fn offset(&self) -> u64 {
        self.before + self.done as u64
    }

    /// The next piece of content; `None`: more bytes are needed, or the file has ended.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, FormatError> {
        if self.summary.is_some() || (self.compression.is_none() && !self.header()?) {
            return Ok(None);
        }
        let offset = self.offset();
        let rest = &self.input[self.done..];
        let (Some(length), Some(stored_length)) = (u32_at(rest, 0), u32_at(rest, 4)) else {
            return Ok(None);
        };
        if (length, stored_length) == (0, 0) {
            self.trailer()?;
            return Ok(None);
        }
        let (length, stored_length) = (length as usize, stored_length as usize);
        let compressed = stored_length < length;
        if stored_length == 0
            || stored_length > length
            || length > FRAME_BYTES
            || (compressed && self.compression != Some(Compression::Lz4 as u8))
        {
            return Err(FormatError::FrameLength { offset });
        }
        let end = FRAME_HEAD_BYTES + stored_length;
        let (Some(check), Some(stored)) = (u64_at(rest, 8), rest.get(FRAME_HEAD_BYTES..end)) else {
            return Ok(None);
        };
        if check != frame_check(self.frames, &rest[..8], stored) {
            return Err(FormatError::Checksum { part: "the frame", offset });
        }
        let content = if compressed {
            lz4_flex::block::decompress(stored, length)
                .ok()
                .filter(|content| content.len() == length)
                .ok_or(FormatError::Decompress { offset })?
        } else {
            stored.to_vec()
        };
        self.done += end;
        self.frames += 1;
        self.length += content.len() as u64;
        self.content.update(&content);
        Ok(Some(content))
    }

    /// Reads the header. False if more bytes are needed.
    fn header(&mut self) -> Result<bool, FormatError> {
        let begin = self.input.len().min(MAGIC.len());
        if self.input[..begin] != MAGIC[..begin] {
            return Err(FormatError::Magic);
        }
        if self.input.len() < HEADER_BYTES {
            return Ok(false);
        }
        let check = u32_at(&self.input, 12);
        if check != Some(state_checksum(&self.input[..12]) as u32) {
            return Err(FormatError::Checksum { part: "the header", offset: 0 });
        }
        let version = number(&self.input, 8).map_or(0, u16::from_le_bytes);
        if version != FORMAT_VERSION {
            return Err(FormatError::Version(version));
        }
        let (found, expected) = (self.input[10], self.kind as u8);
        if found != expected {
            return Err(FormatError::Kind { found, expected });
        }
        self.compression = Some(self.input[11]);
        self.done = HEADER_BYTES;
        Ok(true)
    }

    fn trailer(&mut self) -> Result<(), FormatError> {
        let offset = self.offset();
        let rest = &self.input[self.done..];
        let Some(trailer) = rest.get(..TRAILER_BYTES) else { return Ok(()) };
        let (frames, summary) =
            read_trailer(trailer).ok_or(FormatError::Checksum { part: "the trailer", offset })?;
        let content = ContentSummary { length: self.length, checksum: self.content.digest() };
        if frames != self.frames || summary != content {
            return Err(FormatError::Checksum { part: "the content before the trailer", offset });
        }
        if rest.len() > TRAILER_BYTES {
            return Err(FormatError::Trailing { extra: rest.len() - TRAILER_BYTES });
        }
        self.done += TRAILER_BYTES;
        self.summary = Some(summary);
        Ok(())
    }

    /// The file has ended: checks that it is whole.
    pub fn finish(self) -> Result<ContentSummary, FormatError> {
        let extra = self.input.len() - self.done;
        match self.summary {
            Some(_) if extra > 0 => Err(FormatError::Trailing { extra }),
            Some(summary) => Ok(summary),
            None => Err(FormatError::Truncated { length: self.before + self.input.len() as u64 }),
        }
    }
}

fn read_trailer(trailer: &[u8]) -> Option<(u64, ContentSummary)> {
    let body = trailer.get(..TRAILER_BYTES - 8)?;
    let check = u64_at(trailer, TRAILER_BYTES - 8)?;
    if body[..8] != [0; 8] || check != hash(&[b"trailer", body]) {
        return None;
    }
    let summary = ContentSummary { length: u64_at(body, 16)?, checksum: u64_at(body, 24)? };
    Some((u64_at(body, 8)?, summary))
}

/// What the last [`TRAILER_BYTES`] bytes of a file say of its content. A file that was cut has
/// none; that the rest is intact is not known.
pub fn peek_trailer(last: &[u8]) -> Option<ContentSummary> {
    (last.len() == TRAILER_BYTES).then(|| read_trailer(last)).flatten().map(|(_, summary)| summary)
}

/// The content of a file.
pub fn decode(kind: FileKind, bytes: &[u8]) -> Result<(Vec<u8>, ContentSummary), FormatError> {
    let mut decoder = FileDecoder::new(kind);
    decoder.push(bytes);
    let mut content = Vec::new();
    while let Some(chunk) = decoder.next_chunk()? {
        content.extend_from_slice(&chunk);
    }
    Ok((content, decoder.finish()?))
}
