//! Decimal values: unscaled, with their scale beside them. Rounding is half up, away from zero.

use arrow_buffer::i256;

use crate::types::decimal::Digits;

/// Powers of ten that fit.
const POWERS: [i128; 39] = {
    let mut powers = [1i128; 39];
    let mut index = 1;
    while index < 39 {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// 10 to that power; `None` beyond 38.
#[must_use]
pub fn power(exponent: u32) -> Option<i128> {
    POWERS.get(exponent as usize).copied()
}

/// Whether it has at most so many digits.
#[must_use]
pub fn fits(value: i128, precision: u8) -> bool {
    power(u32::from(precision)).is_none_or(|bound| value < bound && value > -bound)
}

/// Divides, rounding half up.
fn divide_rounded(value: i256, divisor: i256) -> Option<i256> {
    let quotient = value.checked_div(divisor)?;
    let rest = value.checked_rem(divisor)?;
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    if twice < divisor.wrapping_abs() {
        return Some(quotient);
    }
    let up = (value < i256::ZERO) == (divisor < i256::ZERO);
    quotient.checked_add(i256::from_i128(if up { 1 } else { -1 }))
}

fn wide_power(exponent: u32) -> Option<i256> {
    match exponent {
        0..=38 => power(exponent).map(i256::from_i128),
        39..=76 => i256::from_i128(POWERS[38]).checked_mul(i256::from_i128(power(exponent - 38)?)),
        _ => None,
    }
}

/// The value with another scale, if it has at most `precision` digits then.
#[must_use]
pub fn rescale(value: i128, scale: u8, (precision, wanted): Digits) -> Option<i128> {
    let result = if wanted >= scale {
        value.checked_mul(power(u32::from(wanted - scale))?)?
    } else {
        let divisor = power(u32::from(scale - wanted))?;
        let (quotient, rest) = (value / divisor, value % divisor);
        // Half of a power of ten is whole.
        if rest.abs() >= divisor / 2 { quotient + rest.signum() } else { quotient }
    };
    fits(result, precision).then_some(result)
}

fn rescale_wide(value: i256, scale: u32, (precision, wanted): Digits) -> Option<i128> {
    let wanted = u32::from(wanted);
    let result = if wanted >= scale {
        value.checked_mul(wide_power(wanted - scale)?)?
    } else {
        divide_rounded(value, wide_power(scale - wanted)?)?
    };
    result.to_i128().filter(|value| fits(*value, precision))
}

/// A sum of values with scales.
#[must_use]
pub fn add((a, s1): (i128, u8), (b, s2): (i128, u8), digits: Digits) -> Option<i128> {
    let scale = s1.max(s2);
    let left = i256::from_i128(a).checked_mul(wide_power(u32::from(scale - s1))?)?;
    let right = i256::from_i128(b).checked_mul(wide_power(u32::from(scale - s2))?)?;
    rescale_wide(left.checked_add(right)?, u32::from(scale), digits)
}

/// A product.
#[must_use]
pub fn multiply((a, s1): (i128, u8), (b, s2): (i128, u8), digits: Digits) -> Option<i128> {
    let product = i256::from_i128(a).checked_mul(i256::from_i128(b))?;
    rescale_wide(product, u32::from(s1) + u32::from(s2), digits)
}

/// A quotient; the divisor is not zero.
#[must_use]
pub fn divide((a, s1): (i128, u8), (b, s2): (i128, u8), digits: Digits) -> Option<i128> {
    let (precision, scale) = digits;
    let shift = i32::from(scale) + i32::from(s2) - i32::from(s1);
    let (mut numerator, mut divisor) = (i256::from_i128(a), i256::from_i128(b));
    if shift < 0 {
        divisor = divisor.checked_mul(wide_power(shift.unsigned_abs())?)?;
    } else if let Some(wide) =
        wide_power(shift.unsigned_abs()).and_then(|p| numerator.checked_mul(p))
    {
        numerator = wide;
    } else {
        return divide_digits(a, b, shift.unsigned_abs(), precision);
    }
    divide_rounded(numerator, divisor)?.to_i128().filter(|value| fits(*value, precision))
}

/// A quotient with so many more digits, one after the other: for shifts beyond 256 bits.
fn divide_digits(a: i128, b: i128, digits: u32, precision: u8) -> Option<i128> {
    let negative = (a < 0) != (b < 0);
    let divisor = i256::from_i128(b).wrapping_abs();
    let start = i256::from_i128(a).wrapping_abs();
    let ten = i256::from_i128(10);
    let mut quotient = start.checked_div(divisor)?;
    let mut rest = start.checked_rem(divisor)?;
    for _ in 0..digits {
        rest = rest.checked_mul(ten)?;
        quotient = quotient.checked_mul(ten)?.checked_add(rest.checked_div(divisor)?)?;
        rest = rest.checked_rem(divisor)?;
    }
    if rest.checked_mul(i256::from_i128(2))? >= divisor {
        quotient = quotient.checked_add(i256::ONE)?;
    }
    let value = quotient.to_i128()?;
    fits(value, precision).then_some(if negative { -value } else { value })
}

/// A remainder, with the sign of the dividend; the divisor is not zero.
#[must_use]
pub fn modulo((a, s1): (i128, u8), (b, s2): (i128, u8), digits: Digits) -> Option<i128> {
    let scale = s1.max(s2);
    let left = i256::from_i128(a).checked_mul(wide_power(u32::from(scale - s1))?)?;
    let right = i256::from_i128(b).checked_mul(wide_power(u32::from(scale - s2))?)?;
    rescale_wide(left.checked_rem(right)?, u32::from(scale), digits)
}

/// Rounds to so many digits behind the point, perhaps fewer than none; the scale stays.
#[must_use]
pub fn round(value: i128, scale: u8, digits: i32, truncate: bool) -> Option<i128> {
    let drop = i32::from(scale).saturating_sub(digits);
    if drop <= 0 {
        return Some(value);
    }
    let Some(unit) = power(drop.unsigned_abs()) else { return Some(0) };
    let rest = value % unit;
    let up = !truncate && rest.abs() >= unit / 2;
    (value - rest).checked_add(if up { rest.signum().checked_mul(unit)? } else { 0 })
}

/// As the nearest DOUBLE.
#[must_use]
pub fn to_double(value: i128, scale: u8) -> f64 {
    if let (true, Some(divisor)) = (fits(value, 15), power(u32::from(scale).min(22)))
        && scale <= 22
    {
        return value as f64 / divisor as f64;
    }
    format!("{value}e-{scale}").parse().unwrap_or(f64::NAN)
}

/// As BIGINT: without what is behind the point, wrapping around.
#[must_use]
pub fn to_integer(value: i128, scale: u8) -> i64 {
    power(u32::from(scale)).map_or(0, |divisor| (value / divisor) as i64)
}

/// The text, with as many digits behind the point as the scale says.
pub fn print(value: i128, scale: u8, out: &mut String) {
    if value < 0 {
        out.push('-');
    }
    let digits = value.unsigned_abs().to_string();
    let scale = usize::from(scale);
    if scale == 0 {
        out.push_str(&digits);
        return;
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    out.push_str(whole);
    out.push('.');
    out.push_str(fraction);
}

/// Reads a number as `java.math.BigDecimal` does: sign, digits, point, exponent.
#[must_use]
pub fn parse(text: &str, digits: Digits) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Digits beyond those that the type keeps decide only about rounding.
    let mut point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    let mut all = whole.bytes().chain(fraction.bytes()).peekable();
    if !all.clone().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    while all.next_if_eq(&b'0').is_some() {
        point -= 1;
    }
    let keep = point + i64::from(digits.1);
    if all.peek().is_none() || keep < 0 {
        return Some(0);
    }
    let mut value: i128 = 0;
    for _ in 0..keep {
        let digit = all.next().map_or(0, |byte| i128::from(byte - b'0'));
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    if all.next().is_some_and(|byte| byte >= b'5') {
        value += 1;
    }
    fits(value, digits.0).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: Option<i128>, scale: u8) -> String {
        let mut out = String::new();
        match value {
            Some(value) => print(value, scale, &mut out),
            None => out.push_str("NULL"),
        }
        out
    }

    #[test]
    fn quotients_round_half_up() {
        assert_eq!(text(divide((1050, 2), (3, 0), (14, 6)), 6), "3.500000");
        assert_eq!(text(divide((-1055, 2), (3, 0), (14, 6)), 6), "-3.516667");
        assert_eq!(text(divide((1, 0), (1050, 2), (23, 11)), 11), "0.09523809524");
        let large = 10i128.pow(37);
        assert_eq!(divide((large, 0), (3, 38), (38, 38)), None);
        assert_eq!(text(divide((1, 38), (3, 38), (38, 30)), 6), "333333333333333333333333.333333");
    }

    #[test]
    fn texts_are_read_and_rounded() {
        let read = |text: &str| parse(text, (6, 1));
        assert_eq!(read("12.50"), Some(125));
        assert_eq!(read("-7"), Some(-70));
        assert_eq!(read("0.05"), Some(1));
        assert_eq!(read("1.2e2"), Some(1200));
        assert_eq!(read("123456"), None);
        assert_eq!(read("1e999999999"), None);
        assert_eq!(read("0e999999999"), Some(0));
        assert_eq!(read("1e-999999999"), Some(0));
        for wrong in ["", "-", ".", "1.2.3", "x", "1 ", "1e", "+-1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
