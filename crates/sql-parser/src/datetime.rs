//! What the texts of dates, times and intervals mean.
//!
//! Constants are checked when they are parsed, so that a mistake in one is shown where it stands.

use crate::ast::{IntervalLiteral, IntervalUnit};

/// Whether a text is a date of the calendar: `2024-02-29`.
pub(crate) fn is_date(text: &str) -> bool {
    let mut parts = text.trim().split('-');
    let (Some(year), Some(month), Some(day), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// Whether a text is a time of day: `23:59:59.999`.
pub(crate) fn is_time(text: &str) -> bool {
    let (clock, fraction) = match text.trim().split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text.trim(), None),
    };
    let mut parts = clock.split(':');
    let fields = [parts.next(), parts.next(), parts.next()];
    let within = |field: Option<&str>, most| {
        field.and_then(|field| number(field, 2)).is_some_and(|value| value <= most)
    };
    within(fields[0], 23)
        && within(fields[1], 59)
        && within(fields[2], 59)
        && parts.next().is_none()
        && fraction.is_none_or(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a text is a date and a time of day. The time may be missing.
pub(crate) fn is_timestamp(text: &str) -> bool {
    match text.trim().split_once(' ') {
        Some((date, time)) => is_date(date) && is_time(time),
        None => is_date(text),
    }
}

fn number(digits: &str, most: usize) -> Option<i64> {
    let valid = !digits.is_empty() && digits.len() <= most;
    let valid = valid && digits.bytes().all(|byte| byte.is_ascii_digit());
    if valid { digits.parse().ok() } else { None }
}

/// What an interval amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalValue {
    /// Months, of intervals with years, quarters and months.
    Months(i64),
    /// Nanoseconds, of all others.
    Nanoseconds(i128),
}

const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// Digits of a first field that names none.
const DEFAULT_LEADING_DIGITS: u8 = 2;
/// The most digits that a first field can have.
const MAX_LEADING_DIGITS: u8 = 10;
/// The most digits behind the second.
const MAX_FRACTION_DIGITS: u8 = 9;

impl IntervalLiteral {
    /// What it amounts to. The error is a sentence; the parser gives no literal that has one.
    pub fn value(&self) -> Result<IntervalValue, String> {
        let text = self.text.trim();
        let (minus, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text.strip_prefix('+').map_or(text, str::trim_start)),
        };
        let first = self.qualifier.first;
        let last = self.qualifier.last.unwrap_or(first);
        let fields = self.fields(digits, first, last)?;
        let sign = if self.negated != minus { -1 } else { 1 };
        if matches!(first, IntervalUnit::Year | IntervalUnit::Quarter | IntervalUnit::Month) {
            let months: i128 = fields
                .iter()
                .map(|(unit, value)| match unit {
                    IntervalUnit::Year => value * 12,
                    IntervalUnit::Quarter => value * 3,
                    _ => *value,
                })
                .sum();
            let months = i64::try_from(months * sign).map_err(|error| error.to_string())?;
            return Ok(IntervalValue::Months(months));
        }
        let nanos: i128 = fields
            .iter()
            .map(|(unit, value)| match unit {
                IntervalUnit::Week => value * 7 * 86_400 * NANOS_PER_SECOND,
                IntervalUnit::Day => value * 86_400 * NANOS_PER_SECOND,
                IntervalUnit::Hour => value * 3_600 * NANOS_PER_SECOND,
                IntervalUnit::Minute => value * 60 * NANOS_PER_SECOND,
                // Seconds come with their fraction.
                _ => *value,
            })
            .sum();
        Ok(IntervalValue::Nanoseconds(nanos * sign))
    }

    /// The fields with their values; seconds in nanoseconds.
    fn fields(
        &self,
        text: &str,
        first: IntervalUnit,
        last: IntervalUnit,
    ) -> Result<Vec<(IntervalUnit, i128)>, String> {
        let units: Vec<IntervalUnit> = match (first, last) {
            (IntervalUnit::Year, IntervalUnit::Month) => vec![first, last],
            (IntervalUnit::Quarter | IntervalUnit::Month | IntervalUnit::Week, _) => vec![first],
            _ => IntervalUnit::ALL
                .iter()
                .map(|(unit, _, _)| *unit)
                .filter(|unit| (first..=last).contains(unit))
                .collect(),
        };
        let mut rest = text;
        let mut fields = Vec::new();
        for (index, unit) in units.iter().enumerate() {
            let is_last = index + 1 == units.len();
            let separator = match unit {
                IntervalUnit::Year => '-',
                IntervalUnit::Day => ' ',
                _ => ':',
            };
            let (field, after) = if is_last {
                (rest, "")
            } else {
                rest.split_once(separator).ok_or_else(|| self.mismatch())?
            };
            rest = after.trim_start_matches(' ');
            fields.push((*unit, self.field(*unit, field, index == 0)?));
        }
        Ok(fields)
    }

    fn field(&self, unit: IntervalUnit, text: &str, first: bool) -> Result<i128, String> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if unit == IntervalUnit::Second => (whole, fraction),
            _ => (text, ""),
        };
        let most = if first {
            self.qualifier.leading.unwrap_or(DEFAULT_LEADING_DIGITS).min(MAX_LEADING_DIGITS)
        } else {
            DEFAULT_LEADING_DIGITS
        };
        let value = number(whole, MAX_LEADING_DIGITS.into()).ok_or_else(|| self.mismatch())?;
        if value >= 10_i64.pow(most.into()) {
            let unit = unit.word();
            return Err(format!("{unit} has at most {most} digits here; name more: {unit}(9)"));
        }
        let bound = match unit {
            IntervalUnit::Month => 11,
            IntervalUnit::Hour => 23,
            _ => 59,
        };
        if !first && value > bound {
            return Err(self.mismatch());
        }
        if unit != IntervalUnit::Second {
            return Ok(i128::from(value));
        }
        let most = self.qualifier.fraction.unwrap_or(MAX_FRACTION_DIGITS).min(MAX_FRACTION_DIGITS);
        let valid = fraction.bytes().all(|byte| byte.is_ascii_digit());
        if !valid || fraction.len() > usize::from(most) {
            return Err(self.mismatch());
        }
        let nanos: i128 = format!("{fraction:0<9}").parse().unwrap_or_default();
        Ok(i128::from(value) * NANOS_PER_SECOND + nanos)
    }

    fn mismatch(&self) -> String {
        format!("the text is no interval of {}", self.qualifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ast::IntervalQualifier, span::Span};

    #[test]
    fn dates_and_times_are_of_the_calendar() {
        assert!(is_date("2024-02-29") && is_date("2000-2-29") && is_date("0001-01-01"));
        assert!(!is_date("2023-02-29") && !is_date("1900-02-29") && !is_date("2024-13-01"));
        assert!(!is_date("2024-1") && !is_date("x-1-1") && !is_date("2024-04-31"));
        assert!(is_time("23:59:59") && is_time("0:0:0.123456789") && !is_time("24:00:00"));
        assert!(!is_time("12:00") && !is_time("12:00:00.x") && !is_time("12:00:00:00"));
        assert!(is_timestamp("2024-02-29 01:02:03.4") && is_timestamp("2024-02-29"));
        assert!(!is_timestamp("2024-02-29T01:02:03"));
    }

    fn value(text: &str, first: IntervalUnit, last: Option<IntervalUnit>) -> Option<IntervalValue> {
        let qualifier =
            IntervalQualifier { first, leading: None, last, fraction: None, span: Span::default() };
        IntervalLiteral { negated: false, text: text.to_owned(), qualifier }.value().ok()
    }

    #[test]
    fn intervals_are_sums_of_their_fields() {
        use IntervalUnit::{Day, Minute, Month, Second, Week, Year};
        let seconds = |count: i128| Some(IntervalValue::Nanoseconds(count * NANOS_PER_SECOND));
        assert_eq!(value("1-2", Year, Some(Month)), Some(IntervalValue::Months(14)));
        assert_eq!(value("-3", Year, None), Some(IntervalValue::Months(-36)));
        assert_eq!(value("2", Week, None), seconds(14 * 86_400));
        assert_eq!(value("5", Minute, None), seconds(300));
        assert_eq!(value("1:30", Minute, Some(Second)), seconds(90));
        assert_eq!(
            value("1 02:03:04.5", Day, Some(Second)),
            Some(IntervalValue::Nanoseconds(93_784_500_000_000))
        );
        for (text, first, last) in [
            ("", Minute, None),
            ("x", Minute, None),
            ("1-12", Year, Some(Month)),
            ("1 24:00:00", Day, Some(Second)),
            ("1", Day, Some(Second)),
            ("1.5", Minute, None),
            ("100", Day, None),
        ] {
            assert_eq!(value(text, first, last), None, "{text}");
        }
    }
}
