//! Time zones: points in time as local times and back, as `java.time` does it.

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::moment::Moment;

/// Milliseconds that local time is ahead.
#[must_use]
pub fn offset_ms(zone: Tz, ms: i64) -> i64 {
    if zone == Tz::UTC {
        return 0;
    }
    DateTime::from_timestamp_millis(ms).map_or(0, |at| {
        i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()) * 1000
    })
}

/// The local time, as if it were one of UTC.
#[must_use]
pub fn to_local(zone: Tz, at: Moment) -> Moment {
    Moment { ms: at.ms.saturating_add(offset_ms(zone, at.ms)), nanos: at.nanos }
}

/// The point in time of a local time. Where clocks were set back it is the earlier one; where they
/// were set forward, and there is no such time, it is as much later.
#[must_use]
pub fn from_local(zone: Tz, local: Moment) -> Moment {
    if zone == Tz::UTC {
        return local;
    }
    let offset = DateTime::from_timestamp_millis(local.ms)
        .map_or(0, |at| local_offset_ms(zone, at.naive_utc()));
    Moment { ms: local.ms.saturating_sub(offset), nanos: local.nanos }
}

fn local_offset_ms(zone: Tz, local: NaiveDateTime) -> i64 {
    match zone.offset_from_local_datetime(&local) {
        LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => {
            i64::from(offset.fix().local_minus_utc()) * 1000
        }
        LocalResult::None => {
            // Of the day before: gaps are far shorter.
            offset_ms(zone, local.and_utc().timestamp_millis() - super::DAY_MS)
        }
    }
}

/// A zone by name: of the zone database, or an offset such as `GMT+02:00`. Java takes unknown names
/// for GMT.
#[must_use]
pub fn named(name: &str) -> Option<Tz> {
    if let Ok(zone) = name.parse() {
        return Some(zone);
    }
    matches!(name, "Z" | "UT").then_some(Tz::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_overlaps_are_as_in_java() {
        let berlin: Tz = "Europe/Berlin".parse().unwrap();
        let at = |text: &str| {
            let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
            let ms = from_local(berlin, Moment::of_ms(local.and_utc().timestamp_millis())).ms;
            DateTime::from_timestamp_millis(ms).unwrap().format("%H:%M").to_string()
        };
        assert_eq!(at("2024-03-31 01:40"), "00:40");
        assert_eq!(at("2024-03-31 02:30"), "01:30");
        assert_eq!(at("2024-10-27 02:30"), "00:30");
    }
}
