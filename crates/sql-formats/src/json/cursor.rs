//! A walk over the bytes of one JSON text. Whoever walks must know that they are UTF-8.

use memchr::memchr2;

use crate::fault::{Fault, FaultKind};

/// How deep objects and arrays may be nested, as Jackson's limit.
pub(crate) const MAX_DEPTH: usize = 1000;

/// A position in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

/// A string as it stands there, without its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawText<'a> {
    pub(crate) bytes: &'a [u8],
    /// Where it begins.
    pub(crate) at: usize,
    /// Whether it has escapes.
    pub(crate) escaped: bool,
}

/// A number as it stands there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawNumber<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether it has a point or an exponent.
    pub(crate) float: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A fault here.
    pub(crate) fn fault(&self, kind: FaultKind) -> Fault {
        kind.at(self.at)
    }

    /// What is here cannot be here.
    fn unexpected(&self) -> Fault {
        self.fault(
            self.bytes.get(self.at).map_or(FaultKind::End, |byte| FaultKind::Unexpected(*byte)),
        )
    }

    /// Skips blanks; the byte that follows them, which is not consumed.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<u8, Fault> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Ok(*byte);
            }
            self.at += 1;
        }
        Err(self.fault(FaultKind::End))
    }

    /// Consumes a byte that must be next, behind blanks.
    #[inline]
    pub(crate) fn expect(&mut self, wanted: u8) -> Result<(), Fault> {
        if self.peek()? != wanted {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    /// Behind the opening brace or an entry: the key of the next entry with its colon consumed, or
    /// `None` with the closing brace consumed.
    #[inline]
    pub(crate) fn next_key(&mut self, first: bool) -> Result<Option<RawText<'a>>, Fault> {
        let mut byte = self.peek()?;
        if byte == b'}' {
            self.at += 1;
            return Ok(None);
        }
        if !first {
            self.expect(b',')?;
            byte = self.peek()?;
        }
        if byte != b'"' {
            return Err(self.unexpected());
        }
        let key = self.text()?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// Behind the opening bracket or an element: whether an element follows; if not, the closing
    /// bracket is consumed.
    #[inline]
    pub(crate) fn next_element(&mut self, first: bool) -> Result<bool, Fault> {
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(false);
        }
        if !first {
            self.expect(b',')?;
            self.peek()?;
        }
        Ok(true)
    }

    /// A string; its quote is next.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<RawText<'a>, Fault> {
        let start = self.at + 1;
        let (mut from, mut escaped) = (start, false);
        loop {
            let rest = self.bytes.get(from..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                self.at = self.bytes.len();
                return Err(self.fault(FaultKind::End));
            };
            let at = from + found;
            if self.bytes[at] == b'"' {
                self.at = at + 1;
                return Ok(RawText { bytes: &self.bytes[start..at], at: start, escaped });
            }
            escaped = true;
            from = at + 2;
        }
    }

    /// A number; its first byte is next.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<RawNumber<'a>, Fault> {
        let start = self.at;
        if self.bytes[start] == b'-' {
            self.at += 1;
        }
        let digits = self.digits();
        if digits == 0 || (digits > 1 && self.bytes[self.at - digits] == b'0') {
            return Err(self.unexpected());
        }
        let mut float = false;
        if self.bytes.get(self.at) == Some(&b'.') {
            float = true;
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.unexpected());
            }
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            float = true;
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.unexpected());
            }
        }
        Ok(RawNumber { bytes: &self.bytes[start..self.at], float })
    }

    #[inline]
    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.at - start
    }

    /// `true`, `false` or `null`.
    #[inline]
    pub(crate) fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        match self.bytes.get(self.at..self.at + word.len()) {
            Some(found) if found == word => {
                self.at += word.len();
                Ok(())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Consumes `null` if it is next.
    #[inline]
    pub(crate) fn take_null(&mut self) -> Result<bool, Fault> {
        if self.peek()? != b'n' {
            return Ok(false);
        }
        self.literal(b"null")?;
        Ok(true)
    }

    /// Goes behind the next value, whatever it is. `depth` objects and arrays are open.
    pub(crate) fn skip(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek()? {
            b'"' => self.text().map(|_| ()),
            b'{' => {
                let depth = self.deeper(depth)?;
                self.at += 1;
                let mut first = true;
                while self.next_key(first)?.is_some() {
                    self.skip(depth)?;
                    first = false;
                }
                Ok(())
            }
            b'[' => {
                let depth = self.deeper(depth)?;
                self.at += 1;
                let mut first = true;
                while self.next_element(first)? {
                    self.skip(depth)?;
                    first = false;
                }
                Ok(())
            }
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            _ => Err(self.unexpected()),
        }
    }

    /// One level down, if that is allowed.
    pub(crate) fn deeper(&self, depth: usize) -> Result<usize, Fault> {
        if depth >= MAX_DEPTH {
            return Err(self.fault(FaultKind::Depth));
        }
        Ok(depth + 1)
    }
}

impl RawText<'_> {
    /// Appends what it means.
    pub(crate) fn unescape(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if !self.escaped {
            out.extend_from_slice(self.bytes);
            return Ok(());
        }
        let mut rest = self.bytes;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            let here = self.at + self.bytes.len() - rest.len() + at;
            let fault = || FaultKind::Value("escape sequence").at(here);
            let simple = match rest.get(at + 1).ok_or_else(fault)? {
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                byte @ (b'"' | b'\\' | b'/') => *byte,
                b'u' => {
                    let (unit, length) = unicode(&rest[at..]).ok_or_else(fault)?;
                    let mut utf8 = [0; 4];
                    out.extend_from_slice(unit.encode_utf8(&mut utf8).as_bytes());
                    rest = &rest[at + length..];
                    continue;
                }
                _ => return Err(fault()),
            };
            out.push(simple);
            rest = &rest[at + 2..];
        }
        out.extend_from_slice(rest);
        Ok(())
    }
}

/// The character of the `\uXXXX` at the start, or of two of them that are a pair, and how long
/// that is. Half a pair becomes `?`, as when Java encodes it.
fn unicode(text: &[u8]) -> Option<(char, usize)> {
    let first = unit(text)?;
    if !(0xd800..0xe000).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    if first < 0xdc00
        && let Some(second @ 0xdc00..0xe000) = text.get(6..).and_then(unit)
    {
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return Some((char::from_u32(code)?, 12));
    }
    Some(('?', 6))
}

fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |value, byte| Some(value << 4 | (*byte as char).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(text: &str) -> Result<usize, FaultKind> {
        let mut cursor = Cursor::new(text.as_bytes());
        cursor.skip(0).map(|()| cursor.at).map_err(|fault| fault.kind)
    }

    #[test]
    fn values_of_all_kinds_are_skipped() {
        for text in
            ["{}", "[]", " [1, -2.5e+3, \"a\\\"b\", {\"k\": [null, true]}, false]", "\"\\\\\"", "0"]
        {
            assert_eq!(skipped(text), Ok(text.len()), "{text}");
        }
        for text in [
            "", "{", "[1", "{\"a\"}", "{\"a\":}", "[1 2]", "[1,]", "{,}", "tru", "01", "-", "1.",
            "\"a\\\"", "[}",
        ] {
            assert!(skipped(text).is_err(), "{text}");
        }
        assert_eq!(skipped(&"[".repeat(100_000)), Err(FaultKind::Depth));
        assert_eq!(skipped(&"{\"a\":".repeat(100_000)), Err(FaultKind::Depth));
    }

    #[test]
    fn escapes_are_resolved() {
        let read = |text: &str| {
            let mut out = Vec::new();
            let raw = Cursor::new(text.as_bytes()).text()?;
            raw.unescape(&mut out).map(|()| String::from_utf8(out).unwrap())
        };
        let text = r#""a\n\u00e9\ud83d\ude00\/\\\ud83dx""#;
        assert_eq!(read(text).unwrap(), "a\né😀/\\?x");
        for text in [r#""\x""#, r#""\u12""#, r#""\u12g4""#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
