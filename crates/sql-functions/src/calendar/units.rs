//! Units of time: their parts of a point in time, and rounding to them.

use super::{DAY_MS, date_of, days_of, days_of_month};

/// A part of a point in time; `None`: there is no such unit.
#[must_use]
pub fn extract(unit: &str, ms: i64, nanos: u32) -> Option<i64> {
    // Cut towards zero, as in Flink: before 1970 parts of the day are negative.
    Some(match unit {
        "EPOCH" => ms / 1000,
        "HOUR" => ms % DAY_MS / 3_600_000,
        "MINUTE" => ms % 3_600_000 / 60_000,
        "SECOND" => ms % 60_000 / 1000,
        "MILLISECOND" => ms % 1000,
        "MICROSECOND" => ms % 1000 * 1000 + i64::from(nanos / 1000),
        "NANOSECOND" => ms % 1000 * 1_000_000 + i64::from(nanos),
        _ => return extract_date(unit, (ms / DAY_MS) as i32),
    })
}

/// A part of a date; `None`: dates have no such unit.
#[must_use]
pub fn extract_date(unit: &str, days: i32) -> Option<i64> {
    let (year, month, day) = date_of(days);
    let weekday = |first: i32| (days - first).rem_euclid(7) + 1;
    // 1970-01-01 was a Thursday.
    let rounded =
        |years: i32| if year > 0 { (year + years - 1) / years } else { (year - years + 1) / years };
    Some(i64::from(match unit {
        "YEAR" => year,
        "MONTH" => month,
        "DAY" => day,
        "QUARTER" => (month + 2) / 3,
        "DOW" => weekday(-4),
        "ISODOW" => weekday(-3),
        "DOY" => days - days_of(year, 1, 1) + 1,
        "WEEK" => iso_week(days).1,
        "ISOYEAR" => iso_week(days).0,
        "DECADE" => year / 10,
        "CENTURY" => rounded(100),
        "MILLENNIUM" => rounded(1000),
        "EPOCH" => return Some(i64::from(days) * 86_400),
        _ => return None,
    }))
}

/// Year and number of a date's ISO week.
#[must_use]
pub fn iso_week(days: i32) -> (i32, i32) {
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let (year, _, _) = date_of(thursday);
    (year, (thursday - days_of(year, 1, 1)) / 7 + 1)
}

/// The Sunday with which a date's week begins in the United States.
#[must_use]
pub fn sunday_before(days: i32) -> i32 {
    days - (days + 4).rem_euclid(7)
}

/// Year and number of a date's week in the United States, whose first one has the first of January.
#[must_use]
pub fn us_week(days: i32) -> (i32, i32) {
    let sunday = sunday_before(days);
    let (year, _, _) = date_of(sunday + 6);
    (year, (sunday - sunday_before(days_of(year, 1, 1))) / 7 + 1)
}

/// Rounds a date to the begin of a unit.
#[must_use]
pub fn round_date(unit: &str, days: i32, up: bool) -> Option<i32> {
    let (mut year, mut month, day) = date_of(days);
    let inside = month > 1 || day > 1;
    Some(match unit {
        "MILLENNIUM" => days_of(1000 * ((year + 999) / 1000) + if up { 1 } else { -999 }, 1, 1),
        "CENTURY" => days_of(100 * ((year + 99) / 100) + if up { 1 } else { -99 }, 1, 1),
        "DECADE" => days_of(10 * (year / 10 + i32::from(up)), 1, 1),
        "YEAR" => days_of(year + i32::from(up && inside), 1, 1),
        "QUARTER" => {
            let quarter = (month + 2) / 3 + i32::from(up && inside);
            days_of(year, quarter * 3 - 2, 1)
        }
        "MONTH" => {
            month += i32::from(up && day > 1);
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
            debug_assert!(days_of_month(year, month) >= 28);
            days_of(year, month, 1)
        }
        "WEEK" => {
            let since_sunday = (days + 4).rem_euclid(7);
            if up && since_sunday > 0 { days + 7 - since_sunday } else { days - since_sunday }
        }
        "DAY" => days,
        _ => return None,
    })
}

/// Rounds milliseconds to the begin of a unit.
#[must_use]
pub fn round_ms(unit: &str, ms: i64, up: bool) -> Option<i64> {
    let size = match unit {
        "NANOSECOND" | "MICROSECOND" | "MILLISECOND" => 1,
        "SECOND" => 1000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => DAY_MS,
        _ => {
            let days = round_date(unit, (ms / DAY_MS) as i32, up)?;
            return Some(i64::from(days) * DAY_MS);
        }
    };
    let rest = ms.rem_euclid(size);
    Some(if up && rest > 0 { ms - rest + size } else { ms - rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_are_those_of_iso() {
        assert_eq!(iso_week(days_of(2024, 2, 29)), (2024, 9));
        assert_eq!(iso_week(days_of(2000, 1, 1)), (1999, 52));
        assert_eq!(iso_week(days_of(2199, 12, 31)), (2200, 1));
        assert_eq!(us_week(days_of(2023, 12, 31)), (2024, 1));
        assert_eq!(us_week(days_of(2024, 10, 27)), (2024, 44));
        assert_eq!(extract_date("DOW", days_of(2024, 10, 27)), Some(1));
        assert_eq!(extract_date("DOW", 0), Some(5));
        assert_eq!(extract_date("DOY", days_of(2023, 12, 31)), Some(365));
    }

    #[test]
    fn rounding_goes_to_the_begin_or_the_next() {
        let day = |y, m, d| days_of(y, m, d);
        assert_eq!(round_date("YEAR", day(1970, 1, 1), true), Some(0));
        assert_eq!(round_date("YEAR", day(2024, 2, 29), true), Some(day(2025, 1, 1)));
        assert_eq!(round_date("MONTH", day(2023, 12, 31), true), Some(day(2024, 1, 1)));
        assert_eq!(round_ms("HOUR", -1, false), Some(-3_600_000));
        assert_eq!(round_ms("DAY", 1, true), Some(DAY_MS));
    }
}
