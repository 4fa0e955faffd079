//! What literals and quoted identifiers mean.

use std::borrow::Cow;

/// The text between quotes, where a doubled quote is one.
pub(crate) fn unquote(token: &str, quote: char) -> Cow<'_, str> {
    let inner = token.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let inner = inner.unwrap_or_default();
    let doubled = if quote == '`' { "``" } else { "''" };
    if inner.contains(doubled) {
        Cow::Owned(inner.replace(doubled, &doubled[1..]))
    } else {
        Cow::Borrowed(inner)
    }
}

/// `\0041` and `\+000041` in a `U&'...'` literal; `\\` is the escape character itself. The error is
/// the byte of the text, and what is wrong there.
pub(crate) fn unescape_unicode(text: &str, escape: char) -> Result<String, (usize, &'static str)> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    // Pairs of surrogates are written as two escapes, as in Java's strings.
    let mut high: Option<u32> = None;
    while let Some(c) = rest.chars().next() {
        let at = text.len() - rest.len();
        rest = &rest[c.len_utf8()..];
        let code = if c != escape {
            u32::from(c)
        } else if let Some(after) = rest.strip_prefix(escape) {
            rest = after;
            u32::from(c)
        } else {
            let (digits, start) = if rest.starts_with('+') { (6, 1) } else { (4, 0) };
            let hex = rest.get(start..start + digits);
            let hex = hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let Some(code) = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()) else {
                return Err((at, "an escape has four hexadecimal digits, or + and six"));
            };
            rest = &rest[start + digits..];
            code
        };
        let code = match (high.take(), code) {
            (None, 0xd800..=0xdbff) => {
                high = Some(code);
                continue;
            }
            (Some(high), 0xdc00..=0xdfff) => 0x1_0000 + ((high - 0xd800) << 10) + (code - 0xdc00),
            (Some(_), _) => return Err((at, "half of a surrogate pair is missing")),
            (None, code) => code,
        };
        result.push(char::from_u32(code).ok_or((at, "this is no Unicode character"))?);
    }
    if high.is_some() {
        return Err((text.len(), "half of a surrogate pair is missing"));
    }
    Ok(result)
}

/// The text of `E'...'`: escapes of C, `\u` and `\x`. The error is the byte, and what is wrong.
pub(crate) fn unescape_c(text: &str) -> Result<String, (usize, &'static str)> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let at = text.len() - rest.len();
        rest = &rest[c.len_utf8()..];
        if c == '\'' {
            rest = rest.strip_prefix('\'').unwrap_or(rest);
        }
        if c != '\\' {
            result.push(c);
            continue;
        }
        let Some(escaped) = rest.chars().next() else {
            return Err((at, "nothing follows the backslash"));
        };
        rest = &rest[escaped.len_utf8()..];
        let digits = match escaped {
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'x' => Err(2),
            'u' => Err(4),
            'U' => Err(8),
            other => Ok(other),
        };
        let digits = match digits {
            Ok(c) => {
                result.push(c);
                continue;
            }
            Err(digits) => digits,
        };
        let hex = rest.get(..digits);
        let hex = hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let Some(c) = code.and_then(char::from_u32) else {
            return Err((at, "the escape lacks hexadecimal digits, or is no Unicode character"));
        };
        result.push(c);
        rest = &rest[digits..];
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_quotes_are_one() {
        assert_eq!(unquote("'it''s'", '\''), "it's");
        assert_eq!(unquote("`a``b`", '`'), "a`b");
        assert_eq!(unquote("''''", '\''), "'");
    }

    #[test]
    fn unicode_escapes_give_characters_and_pairs_one() {
        assert_eq!(unescape_unicode("\\00e9t\\+0000e9\\\\", '\\').unwrap(), "été\\");
        assert_eq!(unescape_unicode("!d83d!de00", '!').unwrap(), "😀");
        assert_eq!(unescape_unicode("ab\\00g0", '\\').unwrap_err().0, 2);
        assert!(unescape_unicode("\\d83d", '\\').is_err());
        assert!(unescape_unicode("\\d83dx", '\\').is_err());
        assert!(unescape_unicode("\\de00", '\\').is_err());
        assert!(unescape_unicode("\\é", '\\').is_err());
    }

    #[test]
    fn escapes_of_c_are_replaced() {
        assert_eq!(unescape_c("a\\n\\'\\u00e9''\\\\").unwrap(), "a\n'é'\\");
        assert!(unescape_c("\\u00").is_err());
        assert!(unescape_c("\\").is_err());
    }
}
