//! Forms with files (`multipart/form-data`, RFC 7578), parsed as they come: pure, and bounded
//! whatever is sent.
//!
//! A form is parts between lines of `--boundary`; each has a few header lines, an empty line, and
//! its content. Bytes are fed in as they arrive, and come out as [`FormEvent`]s. What is kept is at
//! most one fed piece, and a header or a boundary of which only the beginning has come.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

/// Longest header of a part, in bytes.
const LONGEST_HEADER: usize = 8 * 1024;

/// Longest boundary, as RFC 2046 has it.
const LONGEST_BOUNDARY: usize = 70;

/// Most parts of a form.
const MOST_PARTS: usize = 32;

/// What is found in a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FormEvent {
    /// A part; of a file, with the name that the client gave.
    PartBegins {
        /// The name of the file.
        file_name: Option<String>,
    },
    /// Some content.
    Data(Bytes),
    /// The part is over.
    PartEnds,
    /// The form is over; what follows is ignored.
    End,
}

/// Why bytes are no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the content type is not multipart/form-data with a boundary")]
    ContentType,
    #[error("it ends in the middle")]
    Truncated,
    #[error("the header of a part is longer than {LONGEST_HEADER} bytes")]
    LongHeader,
    #[error("the header of a part is not text, or names no field")]
    BadHeader,
    #[error("there are more than {MOST_PARTS} parts")]
    ManyParts,
    #[error("a boundary is followed by neither a line end nor two hyphens")]
    BadBoundary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// The first boundary; what comes before is ignored.
    Beginning,
    /// What follows a boundary: a line end, or two hyphens at the end of the form.
    AfterBoundary,
    Header,
    Content,
    Nothing,
}

/// Parses one form.
pub(crate) struct FormParser {
    /// `\r\n--boundary`.
    delimiter: Vec<u8>,
    buffer: BytesMut,
    expect: Expect,
    parts: usize,
}

impl FormParser {
    /// For a request of that content type.
    pub(crate) fn new(content_type: &str) -> Result<Self, FormError> {
        let mut parameters = content_type.split(';').map(str::trim);
        let essence = parameters.next().unwrap_or_default();
        if !essence.eq_ignore_ascii_case("multipart/form-data") {
            return Err(FormError::ContentType);
        }
        let boundary = parameters.find_map(|p| attribute(p, "boundary"));
        let boundary = boundary.filter(|b| !b.is_empty() && b.len() <= LONGEST_BOUNDARY);
        let boundary = boundary.ok_or(FormError::ContentType)?;
        // The first boundary needs no line end before it: one is put there.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        Ok(Self { delimiter, buffer, expect: Expect::Beginning, parts: 0 })
    }

    /// More bytes have come.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.expect != Expect::Nothing {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// What is found next; `None` if more bytes are needed.
    pub(crate) fn next_event(&mut self) -> Result<Option<FormEvent>, FormError> {
        loop {
            match self.expect {
                Expect::Beginning => match memmem::find(&self.buffer, &self.delimiter) {
                    Some(at) => {
                        self.buffer.advance(at + self.delimiter.len());
                        self.expect = Expect::AfterBoundary;
                    }
                    None => {
                        self.buffer.advance(self.buffer.len() - self.undecided());
                        return Ok(None);
                    }
                },
                Expect::AfterBoundary => match self.buffer.get(..2) {
                    Some(b"--") => {
                        self.buffer.clear();
                        self.expect = Expect::Nothing;
                        return Ok(Some(FormEvent::End));
                    }
                    Some(b"\r\n") => self.expect = Expect::Header,
                    Some(_) => return Err(FormError::BadBoundary),
                    None => return Ok(None),
                },
                Expect::Header => return self.header(),
                Expect::Content => return Ok(self.content()),
                Expect::Nothing => return Ok(Some(FormEvent::End)),
            }
        }
    }

    /// The header of a part, whose line end of the boundary is still in the buffer.
    fn header(&mut self) -> Result<Option<FormEvent>, FormError> {
        let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") else {
            let long = self.buffer.len() > LONGEST_HEADER;
            return if long { Err(FormError::LongHeader) } else { Ok(None) };
        };
        if end > LONGEST_HEADER {
            return Err(FormError::LongHeader);
        }
        let header = self.buffer.split_to(end + 4);
        let header = std::str::from_utf8(&header).map_err(|_| FormError::BadHeader)?;
        let disposition = header.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
        });
        let disposition = disposition.ok_or(FormError::BadHeader)?;
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(FormError::ManyParts);
        }
        // A semicolon within a quoted name splits it; such a name loses its end, nothing more.
        let file_name = disposition.split(';').find_map(|p| attribute(p.trim(), "filename"));
        self.expect = Expect::Content;
        Ok(Some(FormEvent::PartBegins { file_name }))
    }

    fn content(&mut self) -> Option<FormEvent> {
        match memmem::find(&self.buffer, &self.delimiter) {
            Some(0) => {
                self.buffer.advance(self.delimiter.len());
                self.expect = Expect::AfterBoundary;
                Some(FormEvent::PartEnds)
            }
            Some(at) => Some(FormEvent::Data(self.buffer.split_to(at).freeze())),
            None => {
                let sure = self.buffer.len() - self.undecided();
                (sure > 0).then(|| FormEvent::Data(self.buffer.split_to(sure).freeze()))
            }
        }
    }

    /// Bytes at the end of the buffer that may be the beginning of a delimiter.
    fn undecided(&self) -> usize {
        let longest = self.buffer.len().min(self.delimiter.len() - 1);
        let starts = |length: &usize| self.buffer.ends_with(&self.delimiter[..*length]);
        (1..=longest).rev().find(starts).unwrap_or(0)
    }
}

/// The value of `name=value` or `name="value"`.
fn attribute(text: &str, name: &str) -> Option<String> {
    let (key, value) = text.split_once('=')?;
    let value = value.trim();
    let quoted = value.strip_prefix('"').map(|v| v.strip_suffix('"').unwrap_or(v));
    key.trim().eq_ignore_ascii_case(name).then(|| quoted.unwrap_or(value).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; boundary=\"xyz\"";

    /// The parts of a form that is fed in pieces: names and contents.
    fn parse(pieces: &[&[u8]]) -> Result<Vec<(Option<String>, Vec<u8>)>, FormError> {
        let mut parser = FormParser::new(TYPE)?;
        let mut pieces = pieces.iter();
        let mut parts = Vec::new();
        loop {
            match parser.next_event()? {
                Some(FormEvent::PartBegins { file_name }) => parts.push((file_name, Vec::new())),
                Some(FormEvent::Data(data)) => {
                    assert!(!data.is_empty());
                    parts.last_mut().expect("content comes after a header").1.extend(data);
                }
                Some(FormEvent::PartEnds) => {}
                Some(FormEvent::End) => return Ok(parts),
                None => parser.feed(pieces.next().ok_or(FormError::Truncated)?),
            }
        }
    }

    fn form(content: &[u8]) -> Vec<u8> {
        let mut form = b"ignored\r\n--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\
            \r\n--xyz\r\ncontent-disposition: form-data; name=\"f\"; filename=\"my job\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n"
            .to_vec();
        form.extend_from_slice(content);
        form.extend_from_slice(b"\r\n--xyz--\r\nignored too");
        form
    }

    fn expected(content: &[u8]) -> Vec<(Option<String>, Vec<u8>)> {
        vec![(None, b"1".to_vec()), (Some("my job".to_owned()), content.to_vec())]
    }

    proptest! {
        #[test]
        fn a_form_reads_the_same_however_it_is_cut(
            content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), any::<u8>()], 0..80),
            cut in 1..40usize,
        ) {
            prop_assume!(memmem::find(&content, b"\r\n--xyz").is_none());
            let bytes = form(&content);
            let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
            prop_assert_eq!(parse(&pieces), Ok(expected(&content)));
        }

        #[test]
        fn random_bytes_are_an_error_or_a_form(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let parsed = parse(&[b"\r\n--xyz\r\n", &bytes]);
            prop_assert!(parsed.is_err(), "no boundary ends it: {parsed:?}");
        }
    }

    #[test]
    fn near_boundaries_are_content() {
        let content = b"\r\n--xy\r\n--xY\r\r\n-";
        assert_eq!(parse(&[&form(content)]), Ok(expected(content)));
    }

    #[test]
    fn limits_hold() {
        let parse_after = |header: &str| parse(&[b"--xyz\r\n", header.as_bytes()]).unwrap_err();
        let endless = "a: b\r\n".repeat(LONGEST_HEADER);
        assert_eq!(parse_after(&endless), FormError::LongHeader);
        let part = "Content-Disposition: form-data\r\n\r\n\r\n--xyz\r\n";
        assert_eq!(parse_after(&part.repeat(MOST_PARTS + 1)), FormError::ManyParts);
        assert_eq!(parse_after("no colon\r\n\r\n"), FormError::BadHeader);
        assert_eq!(parse(&[b"--xyzzy"]), Err(FormError::BadBoundary));
        assert_eq!(parse(&[b"--xyz\r\n"]), Err(FormError::Truncated));
        for wrong in
            ["", "text/plain; boundary=x", "multipart/form-data", "multipart/form-data; boundary="]
        {
            assert_eq!(FormParser::new(wrong).err(), Some(FormError::ContentType), "{wrong}");
        }
    }
}
