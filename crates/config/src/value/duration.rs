//! Durations: a number and a unit (`10 s`, `200ms`, `1 min`), a bare number of milliseconds, or
//! ISO 8601 (`PT1M30S`).
//!
//! The longest is [`MAX_DURATION`], so that milliseconds always fit a signed 64-bit number. Months
//! and years have no fixed length and are not accepted.

use std::time::Duration;

use super::{ConfigValue, ValueError, not_a_unit};

/// The longest duration.
pub const MAX_DURATION: Duration = Duration::from_millis(i64::MAX as u64);

const MICRO: u128 = 1_000;
const MILLI: u128 = 1_000 * MICRO;
const SECOND: u128 = 1_000 * MILLI;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;
const DAY: u128 = 24 * HOUR;

/// Nanoseconds of each unit, the longest first; the first name of a unit is the one written.
const UNITS: &[(u128, &[&str])] = &[
    (DAY, &["d", "day", "days"]),
    (HOUR, &["h", "hour", "hours"]),
    (MINUTE, &["min", "m", "minute", "minutes"]),
    (SECOND, &["s", "sec", "secs", "second", "seconds"]),
    (MILLI, &["ms", "milli", "millis", "millisecond", "milliseconds"]),
    (MICRO, &["µs", "us", "micro", "micros", "microsecond", "microseconds"]),
    (1, &["ns", "nano", "nanos", "nanosecond", "nanoseconds"]),
];

fn of_nanos(nanos: Option<u128>) -> Result<Duration, ValueError> {
    let nanos = nanos.filter(|nanos| *nanos <= MAX_DURATION.as_nanos());
    let nanos = nanos.ok_or_else(|| ValueError("it is too long".to_owned()))?;
    Ok(Duration::new((nanos / SECOND) as u64, (nanos % SECOND) as u32))
}

/// A number of at most 30 digits, so that products with a unit are far from overflowing.
fn digits(text: &str) -> Result<u128, ValueError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ValueError::default());
    }
    if text.len() > 30 {
        return Err(ValueError("it is too long".to_owned()));
    }
    text.parse().map_err(|_| ValueError::default())
}

fn parse_with_unit(text: &str) -> Result<Duration, ValueError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (digits(&text[..end])?, text[end..].trim());
    if unit.is_empty() {
        return of_nanos(number.checked_mul(MILLI));
    }
    let lower = unit.to_lowercase().replace('μ', "µ");
    let length = UNITS.iter().find(|(_, names)| names.contains(&lower.as_str()));
    let Some((length, _)) = length else {
        return Err(not_a_unit(unit, "time"));
    };
    of_nanos(number.checked_mul(*length))
}

/// `P[nD][T[nH][nM][n[.n]S]]`, without a sign; `text` is what follows the `P`.
fn parse_iso(text: &str) -> Result<Duration, ValueError> {
    let text = text.to_ascii_uppercase();
    let (date, time) = match text.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return Err(ValueError::default()),
        None => (text.as_str(), ""),
    };
    let mut rest = date;
    let mut nanos = 0u128;
    let mut parts = 0;
    for (designator, length, of_time) in
        [('D', DAY, false), ('H', HOUR, true), ('M', MINUTE, true), ('S', SECOND, true)]
    {
        if of_time && designator == 'H' {
            if !rest.is_empty() {
                return Err(ValueError::default());
            }
            rest = time;
        }
        let Some((number, after)) = rest.split_once(designator) else {
            continue;
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if number.contains('.') && designator != 'S' || fraction.len() > 9 {
            return Err(ValueError::default());
        }
        let below = digits(fraction)? * 10u128.pow(9 - fraction.len() as u32);
        nanos += digits(whole)? * length + below;
        parts += 1;
        rest = after;
    }
    if parts == 0 || !rest.is_empty() {
        return Err(ValueError::default());
    }
    of_nanos(Some(nanos))
}

impl ConfigValue for Duration {
    fn type_name() -> &'static str {
        "Duration"
    }

    fn expected() -> String {
        "a duration such as 10 s, 200 ms, 1 min, 2 h, or a number of milliseconds".to_owned()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let text = text.trim();
        match text.strip_prefix(['P', 'p']) {
            Some(rest) => parse_iso(rest),
            None => parse_with_unit(text),
        }
    }

    fn to_text(&self) -> String {
        let nanos = self.as_nanos();
        if nanos == 0 {
            return "0 ms".to_owned();
        }
        let whole = UNITS.iter().find(|(length, _)| nanos.is_multiple_of(*length));
        whole.map_or(format!("{nanos} ns"), |(length, names)| {
            format!("{} {}", nanos / length, names[0])
        })
    }
}
