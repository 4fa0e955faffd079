//! Dates and times: the proleptic Gregorian calendar, with Flink's arithmetic.
//!
//! Flink computes dates in 32 bits that wrap around, and cuts points in time before 1970 towards
//! zero in some places and downwards in others. Both show in results, so both are kept.

pub mod moment;
pub mod parse;
pub mod pattern;
pub mod units;
pub mod zone;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
const EPOCH_JULIAN: i32 = 2_440_588;

/// Days since 1970 of a date.
#[must_use]
pub fn days_of(year: i32, month: i32, day: i32) -> i32 {
    julian_of(year, month, day).wrapping_sub(EPOCH_JULIAN)
}

fn julian_of(year: i32, month: i32, day: i32) -> i32 {
    let a = 14i32.wrapping_sub(month) / 12;
    let y = year.wrapping_add(4800).wrapping_sub(a);
    let m = month.wrapping_add(a.wrapping_mul(12)).wrapping_sub(3);
    day.wrapping_add(m.wrapping_mul(153).wrapping_add(2) / 5)
        .wrapping_add(y.wrapping_mul(365))
        .wrapping_add(y / 4)
        .wrapping_sub(y / 100)
        .wrapping_add(y / 400)
        .wrapping_sub(32_045)
}

/// Year, month and day of days since 1970.
#[must_use]
pub fn date_of(days: i32) -> (i32, i32, i32) {
    // In 64 bits: nothing of an INT of days is lost.
    let j = i64::from(days.wrapping_add(EPOCH_JULIAN)) + 32_044;
    let (g, dg) = (j / 146_097, j % 146_097);
    let c = (dg / 36_524 + 1) * 3 / 4;
    let dc = dg - c * 36_524;
    let (b, db) = (dc / 1461, dc % 1461);
    let a = (db / 365 + 1) * 3 / 4;
    let da = db - a * 365;
    let y = g * 400 + c * 100 + b * 4 + a;
    let m = (da * 5 + 308) / 153 - 2;
    let d = da - (m + 4) * 153 / 5 + 122;
    ((y - 4800 + (m + 2) / 12) as i32, ((m + 2) % 12 + 1) as i32, (d + 1) as i32)
}

fn is_leap(year: i32) -> bool {
    year % 400 == 0 || (year % 4 == 0 && year % 100 != 0)
}

/// Days of a month.
#[must_use]
pub fn days_of_month(year: i32, month: i32) -> i32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether there is such a day.
#[must_use]
pub fn is_date(year: i32, month: i32, day: i32) -> bool {
    (0..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of_month(year, month)).contains(&day)
}

/// A date so many months later, on the last day of the month if it has no such day.
#[must_use]
pub fn add_months(days: i32, months: i32) -> i32 {
    let (year, month, day) = date_of(days);
    let total = i64::from(year) * 12 + i64::from(month - 1) + i64::from(months);
    let (year, month) = (total.div_euclid(12) as i32, total.rem_euclid(12) as i32 + 1);
    days_of(year, month, day.min(days_of_month(year, month)))
}

/// A point in time so many months later.
#[must_use]
pub fn add_months_ms(ms: i64, months: i32) -> i64 {
    let day = ms.div_euclid(DAY_MS) as i32;
    i64::from(add_months(day, months)) * DAY_MS + ms.rem_euclid(DAY_MS)
}

/// Whole months from one point in time to another.
#[must_use]
pub fn months_between(later: i64, earlier: i64) -> i32 {
    let (day, time) = (later.div_euclid(DAY_MS) as i32, later.rem_euclid(DAY_MS));
    let (other_day, other_time) = (earlier.div_euclid(DAY_MS) as i32, earlier.rem_euclid(DAY_MS));
    let mut months = months_between_days(day, other_day);
    if add_months(other_day, months) == day && time < other_time {
        months -= 1;
    }
    months
}

fn months_between_days(day: i32, other: i32) -> i32 {
    if day < other {
        return -months_between_days(other, day);
    }
    let mut months = (i64::from(day) - i64::from(other)) as i32 / 31;
    // A month has at most 31 days, so that the estimate is low, by one month in five years.
    loop {
        if add_months(other, months) >= day || add_months(other, months + 1) > day {
            return months;
        }
        months += 1;
    }
}

fn two(value: i32, out: &mut String) {
    let digit = |value: i32| char::from(b'0' + value.rem_euclid(10) as u8);
    out.push(digit(value / 10));
    out.push(digit(value));
}

/// `2024-02-29`
pub fn print_date(days: i32, out: &mut String) {
    let (year, month, day) = date_of(days);
    two(year / 100, out);
    two(year % 100, out);
    out.push('-');
    two(month, out);
    out.push('-');
    two(day, out);
}

/// `12:34:56`, with as many digits of the second as are not zero, at most `precision` and at least
/// one, if the precision is not 0.
pub fn print_time(ms: i32, precision: u8, out: &mut String) {
    let ms = i64::from(ms).rem_euclid(DAY_MS) as i32;
    print_clock(ms / 1000, out);
    let mut rest = ms % 1000;
    if precision == 0 {
        return;
    }
    out.push('.');
    for _ in 0..precision {
        out.push(char::from(b'0' + (rest / 100) as u8));
        rest = rest % 100 * 10;
        if rest == 0 {
            break;
        }
    }
}

/// `12:34:56` of seconds of a day.
pub fn print_clock(seconds: i32, out: &mut String) {
    two(seconds / 3600, out);
    out.push(':');
    two(seconds / 60 % 60, out);
    out.push(':');
    two(seconds % 60, out);
}

/// `+1-02`
pub fn print_months(months: i32, out: &mut String) {
    out.push(if months >= 0 { '+' } else { '-' });
    let months = months.unsigned_abs();
    out.push_str(&format!("{}-{:02}", months / 12, months % 12));
}

/// `+1 02:03:04.500`
pub fn print_duration(ms: i64, out: &mut String) {
    out.push(if ms >= 0 { '+' } else { '-' });
    let ms = ms.unsigned_abs();
    let (days, rest) = (ms / DAY_MS as u64, ms % DAY_MS as u64);
    out.push_str(&days.to_string());
    out.push(' ');
    print_clock((rest / 1000) as i32, out);
    out.push_str(&format!(".{:03}", rest % 1000));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days, "{year}-{month}-{day}");
        }
        assert_eq!(date_of(0), (1970, 1, 1));
        assert_eq!(days_of(2024, 2, 29), 19_782);
    }

    #[test]
    fn months_end_with_their_last_day() {
        let printed = |days| {
            let mut out = String::new();
            print_date(days, &mut out);
            out
        };
        assert_eq!(printed(add_months(days_of(2023, 12, 31), 2)), "2024-02-29");
        assert_eq!(printed(add_months(days_of(2024, 2, 29), -13)), "2023-01-29");
        let at = |y, m, d| i64::from(days_of(y, m, d)) * DAY_MS;
        assert_eq!(months_between(at(2024, 3, 31), at(2024, 2, 29)), 1);
        assert_eq!(months_between(at(2024, 2, 28), at(1970, 1, 1)) / 12, 54);
        assert_eq!(months_between(at(2024, 3, 31), at(2024, 10, 27)), -6);
    }
}
