//! Numbers as Java reads and writes them.

/// `Double.toString`: `1.0`, `1.0E10`, `NaN`.
pub fn print_double(value: f64, out: &mut String) {
    if value.is_nan() || value.is_infinite() {
        out.push_str(if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        });
        return;
    }
    let digits = whole_digits(value, f64::MANTISSA_DIGITS);
    let digits = digits.unwrap_or_else(|| format!("{value:e}"));
    scientific(&digits, value == 0.0 || (1e-3..1e7).contains(&value.abs()), out);
}

/// `Float.toString`.
pub fn print_float(value: f32, out: &mut String) {
    if value.is_nan() || value.is_infinite() {
        return print_double(f64::from(value), out);
    }
    let digits = whole_digits(f64::from(value), f32::MANTISSA_DIGITS);
    let digits = digits.unwrap_or_else(|| format!("{value:e}"));
    scientific(&digits, value == 0.0 || (1e-3..1e7).contains(&value.abs()), out);
}

/// Java (before 19) writes large whole numbers with more digits than tell them apart: with all those that
/// lie above the last bit of the mantissa.
fn whole_digits(value: f64, mantissa_bits: u32) -> Option<String> {
    let magnitude = value.abs();
    // The exponent of the first bit.
    let exponent = (magnitude.to_bits() >> 52) as i32 - 1023;
    if exponent < mantissa_bits as i32 || exponent > 62 {
        return None;
    }
    let bits_below = exponent as u32 - mantissa_bits;
    // What is below them is less than one of the last of these digits.
    let dropped = match bits_below {
        0..=2 => 0,
        bits => (f64::from(bits - 1) * std::f64::consts::LOG10_2) as u32,
    };
    let whole = magnitude as u64;
    let unit = 10_u64.pow(dropped);
    let (mut kept, rest) = (whole / unit, whole % unit);
    if dropped > 0 && rest >= unit / 2 {
        kept += 1;
    }
    let digits = kept.to_string();
    let places = digits.len() - 1 + dropped as usize;
    let (first, rest) = digits.split_at(1);
    let sign = if value < 0.0 { "-" } else { "" };
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    Some(format!("{sign}{first}{point}{rest}e{places}"))
}

/// `%.3f` of a value that is not negative: its shortest digits, rounded half up.
pub fn print_fixed(value: f64, places: usize) -> String {
    let shortest = format!("{value}");
    let Some((whole, fraction)) = shortest.split_once('.') else {
        return format!("{value:.places$}");
    };
    let up = fraction.as_bytes().get(places).is_some_and(|digit| *digit >= b'5');
    if fraction.len() <= places {
        return format!("{whole}.{fraction:0<places$}");
    }
    let mut digits: Vec<u8> = [whole, &fraction[..places]].concat().into_bytes();
    let mut carry = up;
    for digit in digits.iter_mut().rev() {
        if !carry {
            break;
        }
        carry = *digit == b'9';
        *digit = if carry { b'0' } else { *digit + 1 };
    }
    let mut text: String = if carry { "1".to_owned() } else { String::new() };
    text.extend(digits.into_iter().map(char::from));
    if places > 0 {
        text.insert(text.len() - places, '.');
    }
    text
}

/// `new BigDecimal(Double.toString(value)).toString()`: JSON's numbers. What is no number stays a word.
pub fn print_big_decimal(value: f64, out: &mut String) {
    let mut text = String::new();
    print_double(value, &mut text);
    let Some((mantissa, exponent)) = text.split_once('E') else {
        out.push_str(&text);
        return;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    // Digits behind the point, if it were written out.
    let scale = digits.len() as i32 - 1 - exponent;
    out.push_str(sign);
    if scale == 0 {
        out.push_str(&digits);
    } else if scale > 0 && exponent >= -6 {
        let digits = format!("{digits:0>width$}", width = scale.unsigned_abs() as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale.unsigned_abs() as usize);
        out.push_str(&format!("{whole}.{fraction}"));
    } else {
        out.push_str(&format!("{mantissa}E{exponent:+}"));
    }
}

/// Java's text of the shortest digits, as Rust prints them with an exponent.
fn scientific(text: &str, plain: bool, out: &mut String) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    out.push_str(sign);
    if !plain {
        let rest = if rest.is_empty() { "0" } else { rest };
        out.push_str(&format!("{first}.{rest}E{exponent}"));
        return;
    }
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
        out.push_str(first);
        out.push_str(rest);
        return;
    }
    let whole = exponent.unsigned_abs() as usize;
    out.push_str(first);
    for index in 0..whole {
        out.push(rest.as_bytes().get(index).map_or('0', |byte| char::from(*byte)));
    }
    out.push('.');
    out.push_str(rest.get(whole..).filter(|rest| !rest.is_empty()).unwrap_or("0"));
}

/// The text that `Double.parseDouble` would read, in the syntax of Rust.
fn number_text(text: &str) -> Option<&str> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == "NaN" || unsigned == "Infinity" {
        return Some(text);
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    (number.contains(|c: char| c.is_ascii_digit()) && number.chars().all(plain)).then_some(number)
}

/// `Double.parseDouble`, but for hexadecimal numbers.
#[must_use]
pub fn parse_double(text: &str) -> Option<f64> {
    number_text(text)?.parse().ok()
}

/// `Float.parseFloat`, but for hexadecimal numbers.
#[must_use]
pub fn parse_float(text: &str) -> Option<f32> {
    number_text(text)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_look_as_in_java() {
        let cases = [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1e10, "1.0E10"),
            (1234567.125, "1234567.125"),
            (1e7, "1.0E7"),
            (0.001, "0.001"),
            (0.00012, "1.2E-4"),
            (-1000000.125, "-1000000.125"),
            (1e300, "1.0E300"),
            (100.0, "100.0"),
            (f64::INFINITY, "Infinity"),
        ];
        for (value, expected) in cases {
            let mut out = String::new();
            print_double(value, &mut out);
            assert_eq!(out, expected);
        }
        let mut out = String::new();
        print_float(1.6777216E7, &mut out);
        assert_eq!(out, "1.6777216E7");
    }

    #[test]
    fn big_decimals_look_as_in_java() {
        let cases = [
            (1.5, "1.5"),
            (16777216.0, "16777216"),
            (-1.25e7, "-1.25E+7"),
            (1e300, "1.0E+300"),
            (1.2e-4, "0.00012"),
            (1e-7, "1.0E-7"),
            (123456789.125, "123456789.125"),
        ];
        for (value, expected) in cases {
            let mut out = String::new();
            print_big_decimal(value, &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn doubles_are_read_as_in_java() {
        assert_eq!(parse_double(" 1.5f "), Some(1.5));
        assert_eq!(parse_double("-Infinity"), Some(f64::NEG_INFINITY));
        assert_eq!(parse_double(".5"), Some(0.5));
        for wrong in ["", "inf", "nan", "infinity", "1_0", "abc", "--1", "e5"] {
            assert_eq!(parse_double(wrong), None, "{wrong}");
        }
    }
}
