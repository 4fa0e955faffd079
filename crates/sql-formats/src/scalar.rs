//! Values from texts, by the rules of the Java classes that Flink reads them with.

pub(crate) mod base64;
pub(crate) mod decimal;
pub(crate) mod time;

/// As Java's `trim`: without bytes up to the blank at both ends.
#[inline]
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && *first <= b' '
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && *last <= b' '
    {
        text = rest;
    }
    text
}

/// As `Long.parseLong`: an optional sign and decimal digits, nothing else.
#[inline]
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    // Counted downwards, since there is one more negative number.
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// As `Double.parseDouble`, but for hexadecimal numbers.
pub(crate) fn double(text: &[u8]) -> Option<f64> {
    float_text(text)?.parse().ok().or_else(|| special(text))
}

/// As `Float.parseFloat`, likewise.
pub(crate) fn float(text: &[u8]) -> Option<f32> {
    float_text(text)?.parse().ok().or_else(|| special(text).map(|value| value as f32))
}

/// The text without what only Java allows, or "x", which is no number, for what only Rust does.
fn float_text(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(trim(text)).ok()?;
    let text = match text.as_bytes() {
        [rest @ .., b'd' | b'D' | b'f' | b'F'] if rest.last().is_some_and(|b| *b != b'n') => {
            &text[..text.len() - 1]
        }
        _ => text,
    };
    let number = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    Some(if number { text } else { "x" })
}

fn special(text: &[u8]) -> Option<f64> {
    match trim(text) {
        b"NaN" | b"+NaN" | b"-NaN" => Some(f64::NAN),
        b"Infinity" | b"+Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// As `Boolean.parseBoolean` of the trimmed text: whatever is not "true" is false.
pub(crate) fn boolean(text: &[u8]) -> bool {
    trim(text).eq_ignore_ascii_case(b"true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer(b"9223372036854775808"), None);
        assert_eq!(integer(b"+12"), Some(12));
        for text in [&b""[..], b"-", b"1.0", b" 1", b"1_0"] {
            assert_eq!(integer(text), None);
        }
        assert_eq!(double(b" 1e3 "), Some(1000.0));
        assert_eq!(double(b"1.5f"), Some(1.5));
        assert_eq!(double(b"-Infinity"), Some(f64::NEG_INFINITY));
        for text in [&b""[..], b"inf", b"nan", b"infinity", b"abc", b"1,5"] {
            assert_eq!(double(text), None);
        }
        assert!(boolean(b" TRUE ") && !boolean(b"1"));
    }
}
