//! Times and decimals as texts, in the forms of SQL and of RFC 3339.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat};

use super::{Date, RowValueError, Time};

fn wrong(what: &str, text: &str) -> RowValueError {
    RowValueError(format!("'{text}' is no {what}"))
}

/// Nanoseconds after 1970-01-01 00:00; a zone counts, if there is one.
pub(super) fn parse_timestamp(text: &str) -> Result<i128, RowValueError> {
    let trimmed = text.trim();
    let naive = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(trimmed, form).ok())
        .map(|found| found.and_utc());
    let zoned = || DateTime::parse_from_rfc3339(trimmed).ok().map(|found| found.to_utc());
    let date = || {
        let date = NaiveDate::parse_from_str(trimmed, "%Y-%m-%d").ok()?;
        Some(date.and_time(NaiveTime::default()).and_utc())
    };
    let found = naive.or_else(zoned).or_else(date).ok_or_else(|| wrong("timestamp", text))?;
    let seconds = i128::from(found.timestamp()) * 1_000_000_000;
    Ok(seconds + i128::from(found.timestamp_subsec_nanos()))
}

pub(super) fn parse_date(text: &str) -> Result<i32, RowValueError> {
    let found = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d");
    found.map(|date| Date::from(date).epoch_days()).map_err(|_| wrong("date", text))
}

pub(super) fn parse_time(text: &str) -> Result<i32, RowValueError> {
    let found = NaiveTime::parse_from_str(text.trim(), "%H:%M:%S%.f")
        .or_else(|_| NaiveTime::parse_from_str(text.trim(), "%H:%M"));
    found.map(|time| Time::from(time).millis_of_day()).map_err(|_| wrong("time", text))
}

/// As RFC 3339 has it, which is also what chrono reads; with a `Z` if `moment`.
pub(super) fn print_timestamp(nanos: i128, moment: bool) -> Result<String, RowValueError> {
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000));
    let within = u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0);
    let found = seconds.ok().and_then(|seconds| DateTime::from_timestamp(seconds, within));
    let found = found.ok_or_else(|| RowValueError("a timestamp beyond all years".to_owned()))?;
    if moment {
        return Ok(found.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    }
    Ok(found.naive_utc().format("%Y-%m-%dT%H:%M:%S%.f").to_string())
}

pub(super) fn print_date(days: i32) -> Result<String, RowValueError> {
    let found = Date::from_epoch_days(days).to_naive();
    let found = found.ok_or_else(|| RowValueError("a date beyond all years".to_owned()))?;
    Ok(found.format("%Y-%m-%d").to_string())
}

pub(super) fn print_time(millis: i32) -> Result<String, RowValueError> {
    let found = Time::from_millis_of_day(millis).to_naive();
    let found = found.ok_or_else(|| RowValueError("a time beyond the day".to_owned()))?;
    Ok(found.format("%H:%M:%S%.f").to_string())
}

/// A number of that many digits behind the point, in units of the last one; rounded half up.
pub(super) fn rescale(unscaled: i128, from: i8, to: i8) -> Option<i128> {
    let power = |digits: i16| 10i128.checked_pow(u32::try_from(digits).ok()?);
    let difference = i16::from(to) - i16::from(from);
    if difference >= 0 {
        return unscaled.checked_mul(power(difference)?);
    }
    let Some(unit) = power(-difference) else { return Some(0) };
    let (whole, rest) = (unscaled / unit, unscaled % unit);
    let up = rest.unsigned_abs() >= unit.unsigned_abs().div_ceil(2);
    Some(if up { whole + unscaled.signum() } else { whole })
}

/// A decimal's digits, in units of the last of `scale`.
pub(super) fn parse_decimal(text: &str, scale: i8) -> Result<i128, RowValueError> {
    let trimmed = text.trim();
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let good = !all.is_empty() && all.len() <= 76 && all.bytes().all(|one| one.is_ascii_digit());
    let found = good.then(|| all.parse::<i128>().ok()).flatten();
    let from = i8::try_from(fraction.len()).ok();
    let scaled = found.zip(from).and_then(|(found, from)| rescale(found, from, scale));
    let scaled = scaled.ok_or_else(|| wrong("decimal that fits", text))?;
    Ok(if negative { -scaled } else { scaled })
}

pub(super) fn print_decimal(unscaled: i128, scale: i8) -> String {
    let digits = usize::try_from(scale).unwrap_or(0);
    let sign = if unscaled < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", unscaled.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written_alike() {
        for text in ["2024-02-29T12:30:45.123", "1969-12-31T23:59:59", "2024-01-01T00:00:00.000001"]
        {
            assert_eq!(print_timestamp(parse_timestamp(text).unwrap(), false).unwrap(), text);
        }
        assert_eq!(parse_timestamp("2024-01-01").unwrap(), 1_704_067_200_000_000_000);
        assert_eq!(
            parse_timestamp("2024-01-01T01:00:00+01:00").unwrap(),
            parse_timestamp("2024-01-01 00:00:00").unwrap()
        );
        assert_eq!(print_timestamp(0, true).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(print_date(parse_date("1969-12-31").unwrap()).unwrap(), "1969-12-31");
        assert_eq!(print_time(parse_time("23:59:59.5").unwrap()).unwrap(), "23:59:59.500");
        assert!(parse_timestamp("yesterday").is_err());
    }

    #[test]
    fn decimals_are_rounded_half_up() {
        assert_eq!(parse_decimal("-1.005", 2).unwrap(), -101);
        assert_eq!(parse_decimal("1.004", 2).unwrap(), 100);
        assert_eq!(parse_decimal("7", 3).unwrap(), 7000);
        assert_eq!(print_decimal(-5, 2), "-0.05");
        assert_eq!(print_decimal(12, 0), "12");
        assert!(parse_decimal("1e5", 2).is_err());
        assert!(parse_decimal(&"9".repeat(60), 2).is_err());
        assert!(parse_decimal("", 2).is_err());
    }
}
