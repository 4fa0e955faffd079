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
    scientific(&format!("{value:e}"), value == 0.0 || (1e-3..1e7).contains(&value.abs()), out);
}

/// `Float.toString`.
pub fn print_float(value: f32, out: &mut String) {
    if value.is_nan() || value.is_infinite() {
        return print_double(f64::from(value), out);
    }
    scientific(&format!("{value:e}"), value == 0.0 || (1e-3..1e7).contains(&value.abs()), out);
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
    fn doubles_are_read_as_in_java() {
        assert_eq!(parse_double(" 1.5f "), Some(1.5));
        assert_eq!(parse_double("-Infinity"), Some(f64::NEG_INFINITY));
        assert_eq!(parse_double(".5"), Some(0.5));
        for wrong in ["", "inf", "nan", "infinity", "1_0", "abc", "--1", "e5"] {
            assert_eq!(parse_double(wrong), None, "{wrong}");
        }
    }
}
