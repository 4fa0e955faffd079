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

/// The same as `java.util.Calendar` does it: where clocks were set back it is the later one.
#[must_use]
pub fn from_local_by_calendar(zone: Tz, local: Moment) -> Moment {
    let second = DateTime::from_timestamp_millis(local.ms)
        .map(|at| zone.offset_from_local_datetime(&at.naive_utc()));
    match second {
        Some(LocalResult::Ambiguous(_, offset)) => {
            let offset = i64::from(offset.fix().local_minus_utc()) * 1000;
            Moment { ms: local.ms.saturating_sub(offset), nanos: local.nanos }
        }
        _ => from_local(zone, local),
    }
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

/// A zone by name, as `ZoneId.of`: of the zone database, or an offset of whole hours such as
/// `GMT+02:00` or `+02:00`.
#[must_use]
pub fn named(name: &str) -> Option<Tz> {
    if let Ok(zone) = name.parse() {
        return Some(zone);
    }
    if matches!(name, "Z" | "UT") {
        return Some(Tz::UTC);
    }
    let offset = ["GMT", "UTC", "UT"].iter().find_map(|prefix| name.strip_prefix(prefix));
    whole_hours(offset.unwrap_or(name))
}

/// A zone by name, as `TimeZone.getTimeZone`: with the old abbreviations, and GMT for what is unknown.
#[must_use]
pub fn by_calendar(name: &str) -> Tz {
    let long = match name {
        "ACT" => "Australia/Darwin",
        "AET" => "Australia/Sydney",
        "AGT" => "America/Argentina/Buenos_Aires",
        "ART" => "Africa/Cairo",
        "AST" => "America/Anchorage",
        "BET" => "America/Sao_Paulo",
        "BST" => "Asia/Dhaka",
        "CAT" => "Africa/Harare",
        "CNT" => "America/St_Johns",
        "CST" => "America/Chicago",
        "CTT" => "Asia/Shanghai",
        "EAT" => "Africa/Addis_Ababa",
        "ECT" => "Europe/Paris",
        "IET" => "America/Indiana/Indianapolis",
        "IST" => "Asia/Kolkata",
        "JST" => "Asia/Tokyo",
        "MIT" => "Pacific/Apia",
        "NET" => "Asia/Yerevan",
        "NST" => "Pacific/Auckland",
        "PLT" => "Asia/Karachi",
        "PNT" => "America/Phoenix",
        "PRT" => "America/Puerto_Rico",
        "PST" => "America/Los_Angeles",
        "SST" => "Pacific/Guadalcanal",
        "VST" => "Asia/Ho_Chi_Minh",
        name => name,
    };
    let known = long.parse().ok();
    known.or_else(|| whole_hours(name.strip_prefix("GMT")?)).unwrap_or(Tz::UTC)
}

/// The zone of an offset such as `+02:00`, `-3` or `+0900`, if it is one of whole hours.
fn whole_hours(offset: &str) -> Option<Tz> {
    let (sign, digits) = match offset.split_at_checked(1)? {
        ("+", digits) => ('-', digits),
        // The names of such zones count westwards.
        ("-", digits) => ('+', digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None => digits.split_at_checked(digits.len().min(2))?,
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(hours) || !matches!(minutes, "" | "00") {
        return None;
    }
    format!("Etc/GMT{sign}{}", hours.parse::<u8>().ok()?).parse().ok()
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
