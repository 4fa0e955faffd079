//! Objects and arrays that become text, as Jackson writes its trees: without blanks, escapes only
//! where they must be, floating-point numbers as Java shows them.

use super::{cursor::Cursor, encode};
use crate::{
    fault::{Fault, FaultKind},
    scalar, text,
};

/// Appends the value that is next.
pub(super) fn write(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    match cursor.peek()? {
        b'{' => {
            let depth = cursor.deeper(depth)?;
            cursor.at += 1;
            out.push(b'{');
            let mut first = true;
            while let Some(key) = cursor.next_key(first)? {
                if !first {
                    out.push(b',');
                }
                let mut name = Vec::new();
                key.unescape(&mut name)?;
                encode::write_text(&name, out);
                out.push(b':');
                write(cursor, out, depth)?;
                first = false;
            }
            out.push(b'}');
        }
        b'[' => {
            let depth = cursor.deeper(depth)?;
            cursor.at += 1;
            out.push(b'[');
            let mut first = true;
            while cursor.next_element(first)? {
                if !first {
                    out.push(b',');
                }
                write(cursor, out, depth)?;
                first = false;
            }
            out.push(b']');
        }
        b'"' => {
            let raw = cursor.text()?;
            if raw.escaped {
                let mut text = Vec::new();
                raw.unescape(&mut text)?;
                encode::write_text(&text, out);
            } else {
                encode::write_text(raw.bytes, out);
            }
        }
        b'-' | b'0'..=b'9' => {
            let number = cursor.number()?;
            if number.float {
                let value = scalar::double(number.bytes);
                text::write_double(value.ok_or(cursor.fault(FaultKind::Value("DOUBLE")))?, out);
            } else {
                out.extend_from_slice(number.bytes);
            }
        }
        b't' => {
            cursor.literal(b"true")?;
            out.extend_from_slice(b"true");
        }
        b'f' => {
            cursor.literal(b"false")?;
            out.extend_from_slice(b"false");
        }
        b'n' => {
            cursor.literal(b"null")?;
            out.extend_from_slice(b"null");
        }
        other => return Err(cursor.fault(FaultKind::Unexpected(other))),
    }
    Ok(())
}
