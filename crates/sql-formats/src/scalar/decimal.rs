//! Decimal numbers, as Java's `BigDecimal` and Flink's `DecimalData` read and write them.

/// The largest power of ten of an `i128`.
const MAX_EXPONENT: u32 = 38;
/// Exponents beyond this are no numbers that anybody means.
const MAX_WRITTEN_EXPONENT: i64 = 1_000_000;

/// The unscaled value of `text` at a scale, rounded half up. `None` if it is no number;
/// `Some(None)` if it has more digits than the precision, which Flink turns into NULL.
pub(crate) fn parse(text: &[u8], precision: u8, scale: u8) -> Option<Option<i128>> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (mantissa, exponent) = match digits.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&digits[..at], super::integer(&digits[at + 1..])?),
        None => (digits, 0),
    };
    if exponent.abs() > MAX_WRITTEN_EXPONENT {
        return None;
    }
    let (whole, fraction) = match mantissa.iter().position(|b| *b == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let all = || whole.iter().chain(fraction);
    if !all().all(u8::is_ascii_digit) {
        return None;
    }
    // The value is the digits without their leading zeros, times ten to the power of `shift`.
    let shift = exponent - fraction.len() as i64 + i64::from(scale);
    let leading = all().take_while(|b| **b == b'0').count();
    let significant = whole.len() + fraction.len() - leading;
    let kept = significant as i64 + shift.min(0);
    if kept > i64::from(MAX_EXPONENT) {
        return Some(None);
    }
    let kept = usize::try_from(kept).ok();
    let mut value: i128 = 0;
    for digit in all().skip(leading).take(kept.unwrap_or(0)) {
        value = value * 10 + i128::from(digit - b'0');
    }
    // The first digit that is left out decides; there is none in front of all of them.
    let next = kept.and_then(|kept| all().skip(leading).nth(kept));
    if shift < 0 && next.is_some_and(|digit| *digit >= b'5') {
        value += 1;
    }
    if shift > 0 && value != 0 {
        let factor = u32::try_from(shift).ok().filter(|shift| *shift <= MAX_EXPONENT);
        let Some(product) = factor.and_then(|shift| value.checked_mul(10i128.pow(shift))) else {
            return Some(None);
        };
        value = product;
    }
    let limit = 10i128.pow(u32::from(precision).min(MAX_EXPONENT));
    if value >= limit {
        return Some(None);
    }
    Some(Some(if negative { -value } else { value }))
}

/// Appends all digits: `-0.50`.
pub(crate) fn write_plain(value: i128, scale: u8, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let digits = value.unsigned_abs().to_string();
    let scale = usize::from(scale);
    if scale == 0 {
        out.extend_from_slice(digits.as_bytes());
    } else if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole.as_bytes());
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits.as_bytes());
    }
}

/// Without an exponent, and without zeros at the end of the fraction.
pub(crate) fn write_stripped(mut value: i128, mut scale: u8, out: &mut Vec<u8>) {
    while scale > 0 && value % 10 == 0 {
        value /= 10;
        scale -= 1;
    }
    write_plain(value, scale, out);
}

/// Appends it as `stripTrailingZeros().toString()` does: `12.5`, `1E+2`, `1E-7`.
pub(crate) fn write_short(value: i128, scale: u8, out: &mut Vec<u8>) {
    if value == 0 {
        out.push(b'0');
        return;
    }
    let (mut unscaled, mut scale) = (value, i32::from(scale));
    while unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    let digits = unscaled.unsigned_abs().to_string();
    let adjusted = digits.len() as i32 - 1 - scale;
    if scale >= 0 && adjusted >= -6 {
        write_plain(unscaled, scale as u8, out);
        return;
    }
    if unscaled < 0 {
        out.push(b'-');
    }
    let (first, rest) = digits.split_at(1);
    out.extend_from_slice(first.as_bytes());
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest.as_bytes());
    }
    out.extend_from_slice(format!("E{adjusted:+}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_half_up_to_the_scale() {
        let read = |text: &str| parse(text.as_bytes(), 10, 2);
        for (text, value) in [
            ("10.5", 1050),
            ("-10.555", -1056),
            ("0.004", 0),
            ("0.005", 1),
            ("0.0005", 0),
            (".5", 50),
            ("5.", 500),
            ("1e3", 100_000),
            ("12345e-3", 1235),
            ("99999999.99", 9_999_999_999),
            ("000000000000000000000000000000000000000000001", 100),
            ("9e-400", 0),
            ("0e999", 0),
        ] {
            assert_eq!(read(text), Some(Some(value)), "{text}");
        }
        for text in
            ["100000000", "99999999.995", "1e30", "123456789012345678901234567890123456789012"]
        {
            assert_eq!(read(text), Some(None), "{text}");
        }
        for text in ["", ".", "-", "1e", "1.2.3", "abc", " 1", "1e9999999999"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn both_texts_are_java_s() {
        let text = |value, scale| {
            let (mut plain, mut short) = (Vec::new(), Vec::new());
            write_plain(value, scale, &mut plain);
            write_short(value, scale, &mut short);
            format!("{} {}", String::from_utf8(plain).unwrap(), String::from_utf8(short).unwrap())
        };
        assert_eq!(text(1250, 2), "12.50 12.5");
        assert_eq!(text(10000, 2), "100.00 1E+2");
        assert_eq!(text(-12300, 0), "-12300 -1.23E+4");
        assert_eq!(text(5, 3), "0.005 0.005");
        assert_eq!(text(10, 8), "0.00000010 1E-7");
        assert_eq!(text(0, 2), "0.00 0");
    }
}
