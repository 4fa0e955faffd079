//! Floating-point numbers as Java writes them.

/// As Java's `Double.toString`.
pub fn write_double(value: f64, out: &mut Vec<u8>) {
    if !special(value, out) {
        java(value.abs() >= 1e-3 && value.abs() < 1e7, &format!("{value:e}"), out);
    }
}

/// As Java's `Float.toString`.
pub fn write_float(value: f32, out: &mut Vec<u8>) {
    if !special(f64::from(value), out) {
        java(value.abs() >= 1e-3 && value.abs() < 1e7, &format!("{value:e}"), out);
    }
}

fn special(value: f64, out: &mut Vec<u8>) -> bool {
    let text: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value.is_infinite() {
        if value > 0.0 { b"Infinity" } else { b"-Infinity" }
    } else if value == 0.0 {
        if value.is_sign_negative() { b"-0.0" } else { b"0.0" }
    } else {
        return false;
    };
    out.extend_from_slice(text);
    true
}

/// From the shortest digits, as in `-1.25e-7`, to Java's text of them.
fn java(plain: bool, shortest: &str, out: &mut Vec<u8>) {
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let digits = match mantissa.strip_prefix('-') {
        Some(rest) => {
            out.push(b'-');
            rest
        }
        None => mantissa,
    };
    let (first, rest) = digits.split_once('.').unwrap_or((digits, ""));
    if !plain {
        out.extend_from_slice(first.as_bytes());
        out.push(b'.');
        out.extend_from_slice(if rest.is_empty() { b"0" } else { rest.as_bytes() });
        out.push(b'E');
        out.extend_from_slice(exponent.as_bytes());
        return;
    }
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent - 1) as usize, b'0');
        out.extend_from_slice(first.as_bytes());
        out.extend_from_slice(rest.as_bytes());
        return;
    }
    let exponent = exponent as usize;
    out.extend_from_slice(first.as_bytes());
    if rest.len() <= exponent {
        out.extend_from_slice(rest.as_bytes());
        out.resize(out.len() + exponent - rest.len(), b'0');
        out.extend_from_slice(b".0");
    } else {
        out.extend_from_slice(&rest.as_bytes()[..exponent]);
        out.push(b'.');
        out.extend_from_slice(&rest.as_bytes()[exponent..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floating_point_numbers_look_like_java_s() {
        let double = |value| {
            let mut out = Vec::new();
            write_double(value, &mut out);
            String::from_utf8(out).unwrap()
        };
        for (value, text) in [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (100.0, "100.0"),
            (1234567.125, "1234567.125"),
            (1e7, "1.0E7"),
            (0.001, "0.001"),
            (0.00025, "2.5E-4"),
            (1e300, "1.0E300"),
            (-0.0, "-0.0"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(double(value), text);
        }
        let mut out = Vec::new();
        write_float(16_777_216.0, &mut out);
        assert_eq!(out, b"1.6777216E7");
    }
}
