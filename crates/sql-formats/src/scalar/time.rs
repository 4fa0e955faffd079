//! Dates and times, as the formatters of Flink's `TimeFormats` read and write them.

use arrow_schema::TimeUnit;

/// Nanoseconds of a day.
const DAY_NS: i64 = 86_400_000_000_000;

/// What stands between date and time, and whether a `Z` follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimestampFormat {
    /// `yyyy-MM-dd HH:mm:ss.s`
    Sql,
    /// `yyyy-MM-ddTHH:mm:ss.s`
    Iso8601,
}

/// Two digits.
#[inline]
fn two(text: &[u8], at: usize) -> Option<i64> {
    match text.get(at..at + 2)? {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(i64::from(a - b'0') * 10 + i64::from(b - b'0')),
        _ => None,
    }
}

/// Days since 1970-01-01.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that leap days are last; 400 years have 146097 days.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let years = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + years + i64::from(month <= 2), month, day)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// `ISO_LOCAL_DATE` at the start of a text: the days, and how long it is. `clamp`: days that the
/// month has not are its last one (the formatters that Flink builds are lenient there), else none.
fn date_at(text: &[u8], clamp: bool) -> Option<(i64, usize)> {
    let (sign, start) = match text.first()? {
        b'-' => (-1, 1),
        b'+' => (1, 1),
        _ => (1, 0),
    };
    let digits = text[start..].iter().take_while(|b| b.is_ascii_digit()).count();
    // More than four digits need a sign, as in Java.
    if !(4..=9).contains(&digits) || (digits > 4 && start == 0) || (digits == 4 && text[0] == b'+')
    {
        return None;
    }
    let year = sign * super::integer(&text[start..start + digits])?;
    let at = start + digits;
    if text.get(at) != Some(&b'-') || text.get(at + 3) != Some(&b'-') {
        return None;
    }
    let (month, mut day) = (two(text, at + 1)?, two(text, at + 4)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let length = month_length(year, month);
    if day > length {
        if !clamp {
            return None;
        }
        day = length;
    }
    Some((days(year, month, day), at + 6))
}

/// A whole text that is an `ISO_LOCAL_DATE`, in days.
pub(crate) fn iso_date(text: &[u8]) -> Option<i32> {
    let (days, end) = date_at(text, false)?;
    if end != text.len() {
        return None;
    }
    i32::try_from(days).ok()
}

/// As `java.sql.Date.valueOf`: one or two digits of month and day, and days that roll over.
pub(crate) fn lenient_date(text: &[u8]) -> Option<i32> {
    let mut parts = trimmed_text(text)?.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let fits = year.len() == 4 && (1..=2).contains(&month.len()) && (1..=2).contains(&day.len());
    if parts.next().is_some() || !fits || !digits(year) || !digits(month) || !digits(day) {
        return None;
    }
    let (year, month, day) = (year.parse().ok()?, month.parse().ok()?, day.parse::<i64>().ok()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    i32::try_from(days(year, month, 1) + day - 1).ok()
}

fn trimmed_text(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(super::trim(text)).ok()
}

/// Nanoseconds of the day, how long the text of the time is, and whether it is 24:00:00.
fn time_at(text: &[u8], seconds_needed: bool) -> Option<(i64, usize, bool)> {
    let (hour, minute) = (two(text, 0)?, two(text, 3)?);
    if text.get(2) != Some(&b':') || hour > 24 || minute > 59 {
        return None;
    }
    let mut end = 5;
    let (mut second, mut nanos) = (0, 0);
    if text.get(5) == Some(&b':') {
        second = two(text, 6)?;
        end = 8;
        if text.get(8) == Some(&b'.') {
            end = 9;
            let mut unit = 100_000_000;
            while let Some(digit @ b'0'..=b'9') = text.get(end)
                && unit > 0
            {
                nanos += i64::from(digit - b'0') * unit;
                unit /= 10;
                end += 1;
            }
        }
    } else if seconds_needed {
        return None;
    }
    if second > 59 {
        return None;
    }
    let midnight = hour == 24;
    if midnight && (minute, second, nanos) != (0, 0, 0) {
        return None;
    }
    let hour = if midnight { 0 } else { hour };
    Some((((hour * 60 + minute) * 60 + second) * 1_000_000_000 + nanos, end, midnight))
}

/// `HH:mm:ss.s` in whole seconds, as JSON's TIME, in milliseconds.
pub(crate) fn sql_time(text: &[u8]) -> Option<i32> {
    let (nanos, end, _) = time_at(text, true)?;
    (end == text.len()).then_some((nanos / 1_000_000_000 * 1000) as i32)
}

/// `LocalTime.parse`: seconds may be missing, in milliseconds.
pub(crate) fn local_time(text: &[u8]) -> Option<i32> {
    let (nanos, end, midnight) = time_at(text, false)?;
    (end == text.len() && !midnight).then_some((nanos / 1_000_000) as i32)
}

/// A timestamp in a unit since 1970. `zoned`: a `Z` must follow.
pub(crate) fn timestamp(
    text: &[u8],
    format: TimestampFormat,
    zoned: bool,
    unit: TimeUnit,
) -> Option<i64> {
    let (days, at) = date_at(text, true)?;
    let iso = format == TimestampFormat::Iso8601;
    match text.get(at)? {
        b' ' if !iso => {}
        b'T' | b't' if iso => {}
        _ => return None,
    }
    let (nanos, length, midnight) = time_at(&text[at + 1..], !iso)?;
    let rest = &text[at + 1 + length..];
    if rest != if zoned { &b"Z"[..] } else { b"" } {
        return None;
    }
    let days = days + i64::from(midnight);
    let (per_day, per_unit) = match unit {
        TimeUnit::Second => (86_400, 1_000_000_000),
        TimeUnit::Millisecond => (86_400_000, 1_000_000),
        TimeUnit::Microsecond => (86_400_000_000, 1_000),
        TimeUnit::Nanosecond => (DAY_NS, 1),
    };
    days.checked_mul(per_day)?.checked_add(nanos / per_unit)
}

/// Appends a date.
pub(crate) fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    match year {
        0..=9999 => put(out, year, 4),
        10_000.. => {
            out.push(b'+');
            put(out, year, 5);
        }
        _ => {
            out.push(b'-');
            put(out, -year, 4);
        }
    }
    out.push(b'-');
    put(out, month, 2);
    out.push(b'-');
    put(out, day, 2);
}

/// Appends a number with at least so many digits.
fn put(out: &mut Vec<u8>, value: i64, digits: usize) {
    let mut text = [b'0'; 20];
    let (mut at, mut rest) = (text.len(), value.unsigned_abs());
    while rest > 0 || text.len() - at < digits {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text[at..]);
}

/// Appends `HH:mm:ss`.
pub(crate) fn write_time(seconds: i64, out: &mut Vec<u8>) {
    put(out, seconds / 3600, 2);
    out.push(b':');
    put(out, seconds / 60 % 60, 2);
    out.push(b':');
    put(out, seconds % 60, 2);
}

/// Appends the fraction of a second: a point and as many digits as it needs but at least so many;
/// nothing if that is none.
pub(crate) fn write_fraction(nanos: i64, least: usize, out: &mut Vec<u8>) {
    let (mut rest, mut digits) = (nanos, 9);
    while digits > least && rest % 10 == 0 {
        rest /= 10;
        digits -= 1;
    }
    if digits > 0 {
        out.push(b'.');
        put(out, rest, digits);
    }
}

/// Days and nanoseconds of the day of a timestamp.
pub(crate) fn split(value: i64, unit: TimeUnit) -> (i64, i64) {
    let per_day = match unit {
        TimeUnit::Second => 86_400,
        TimeUnit::Millisecond => 86_400_000,
        TimeUnit::Microsecond => 86_400_000_000,
        TimeUnit::Nanosecond => DAY_NS,
    };
    (value.div_euclid(per_day), value.rem_euclid(per_day) * (DAY_NS / per_day))
}

/// Appends a timestamp in a format, with the digits of its fraction that are not 0.
pub(crate) fn write_timestamp(
    value: i64,
    unit: TimeUnit,
    format: TimestampFormat,
    zoned: bool,
    out: &mut Vec<u8>,
) {
    let (days, nanos) = split(value, unit);
    write_date(days, out);
    out.push(if format == TimestampFormat::Sql { b' ' } else { b'T' });
    write_time(nanos / 1_000_000_000, out);
    write_fraction(nanos % 1_000_000_000, 0, out);
    if zoned {
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> Option<i64> {
        timestamp(text.as_bytes(), TimestampFormat::Sql, false, TimeUnit::Millisecond)
    }

    #[test]
    fn timestamps_are_read_and_written() {
        for (text, ms) in [
            ("1970-01-01 00:00:00", 0),
            ("1970-01-01 00:00:00.001", 1),
            ("1969-12-31 23:59:59.999", -1),
            ("2024-02-29 12:30:15.25", 1_709_209_815_250),
            ("-0001-03-01 00:00:00", -62_193_657_600_000),
        ] {
            assert_eq!(sql(text), Some(ms), "{text}");
            let mut out = Vec::new();
            write_timestamp(ms, TimeUnit::Millisecond, TimestampFormat::Sql, false, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        assert_eq!(sql("2024-02-31 00:00:00"), sql("2024-02-29 00:00:00"), "the last of the month");
        assert_eq!(sql("2024-02-28 24:00:00"), sql("2024-02-29 00:00:00"));
        for text in [
            "2024-02-29",
            "2024-02-29T00:00:00",
            "2024-02-29 00:00",
            "24-02-29 00:00:00",
            "2024-13-01 00:00:00",
            "2024-02-29 00:00:00Z",
            "2024-02-29 25:00:00",
            "",
            "2024-02-29 ",
        ] {
            assert_eq!(sql(text), None, "{text}");
        }
        let iso = |text: &str, zoned| {
            timestamp(text.as_bytes(), TimestampFormat::Iso8601, zoned, TimeUnit::Microsecond)
        };
        assert_eq!(iso("1970-01-01T00:00:01.5Z", true), Some(1_500_000));
        assert_eq!(iso("1970-01-01T00:01", false), Some(60_000_000));
        assert_eq!(iso("1970-01-01T00:00:01.5", true), None);
    }

    #[test]
    fn dates_and_times() {
        assert_eq!(iso_date(b"2024-02-29"), Some(19_782));
        assert_eq!(iso_date(b"2023-02-29"), None);
        assert_eq!(iso_date(b"2024-2-9"), None);
        assert_eq!(lenient_date(b"2023-2-29"), Some(19_417));
        assert_eq!(lenient_date(b"2023-2-32"), None);
        assert_eq!(sql_time(b"12:30:15.999"), Some(45_015_000));
        assert_eq!(local_time(b"12:30"), Some(45_000_000));
        assert_eq!(local_time(b"12:30:15.999"), Some(45_015_999));
        for day in (-1_000_000..1_000_000).step_by(997) {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }
}
