//! Dates and times as Flink's casts read them.

use super::{DAY_MS, days_of, days_of_month, is_date, moment::Moment};

fn number(text: &str) -> Option<i32> {
    let text = text.trim();
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// A DATE: `2024`, `2024-2`, `2024-2-29`; what follows a blank does not count.
#[must_use]
pub fn date(text: &str) -> Option<i32> {
    let text = match text.find(' ') {
        Some(blank) if blank > 0 => &text[..blank],
        _ => text,
    };
    let mut parts = text.splitn(3, '-');
    let year = number(parts.next()?)?;
    let month = parts.next().map_or(Some(1), number)?;
    let day = parts.next().map_or(Some(1), number)?;
    is_date(year, month, day).then(|| days_of(year, month, day))
}

/// A TIME in milliseconds: `12`, `12:34`, `12:34:56.789`, perhaps with an offset.
#[must_use]
pub fn time(text: &str) -> Option<i32> {
    let (sign, zone) = match (text.find('-'), text.find('+')) {
        (Some(at), _) => (-1, Some(at)),
        (None, at) => (1, at),
    };
    let (zone_hour, zone_minute) = match zone.map(|at| &text[at + 1..]) {
        None => (0, 0),
        Some(zone) => match zone.split_once(':') {
            None => (number(zone)?, 0),
            Some((hour, minute)) => (number(hour)?, number(minute)?),
        },
    };
    let mut parts = text[..zone.unwrap_or(text.len())].splitn(3, ':');
    let hour = number(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), number)?;
    let (second, ms) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once('.') {
            None => (number(seconds)?, 0),
            Some((second, fraction)) => (number(second)?, milliseconds(fraction.trim())),
        },
    };
    let valid = hour <= 23 && minute <= 59 && second <= 59 && zone_hour <= 23 && zone_minute <= 59;
    valid.then(|| {
        (hour + sign * zone_hour) * 3_600_000
            + (minute + sign * zone_minute) * 60_000
            + second * 1000
            + ms
    })
}

/// The digits behind a second, rounded to three.
fn milliseconds(fraction: &str) -> i32 {
    let digit = |index: usize| match fraction.as_bytes().get(index) {
        Some(byte) if byte.is_ascii_digit() => i32::from(byte - b'0'),
        _ => 0,
    };
    let up = fraction.as_bytes().get(3).is_some_and(|byte| *byte >= b'5');
    digit(0) * 100 + digit(1) * 10 + digit(2) + i32::from(up)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn digits(&mut self, least: usize, most: usize) -> Option<i32> {
        let count = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(digits.iter().fold(0, |value, byte| value * 10 + i32::from(byte - b'0')))
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        (*first == byte).then(|| self.0 = rest)
    }
}

/// A TIMESTAMP: `2024-2-29` or `2024-02-29 12:34:56`, with up to 9 digits behind a point. Digits beyond
/// the precision are cut off. A day that its month does not have is the last that it has.
#[must_use]
pub fn timestamp(text: &str, precision: u8) -> Option<Moment> {
    let mut reader = Reader(text.as_bytes());
    let year = reader.digits(4, 4)?;
    reader.skip(b'-')?;
    let month = reader.digits(1, 2).filter(|month| (1..=12).contains(month))?;
    reader.skip(b'-')?;
    let day = reader.digits(1, 2).filter(|day| (1..=31).contains(day))?;
    let days = days_of(year, month, day.min(days_of_month(year, month)));
    let mut ms = i64::from(days) * DAY_MS;
    let mut nanos = 0;
    if !reader.0.is_empty() {
        reader.skip(b' ')?;
        let hour = reader.digits(1, 2).filter(|hour| *hour <= 23)?;
        reader.skip(b':')?;
        let minute = reader.digits(1, 2).filter(|minute| *minute <= 59)?;
        reader.skip(b':')?;
        let second = reader.digits(1, 2).filter(|second| *second <= 59)?;
        ms += i64::from((hour * 60 + minute) * 60 + second) * 1000;
        if reader.skip(b'.').is_some() {
            let count = reader.0.len();
            let fraction = reader.digits(0, 9)?.unsigned_abs();
            nanos = fraction * 10u32.pow(9u32.saturating_sub(u32::try_from(count).ok()?));
        }
    }
    if !reader.0.is_empty() {
        return None;
    }
    let unit = 10u32.pow(u32::from(9 - precision.min(9)));
    let nanos = nanos / unit * unit;
    Some(Moment { ms: ms + i64::from(nanos / 1_000_000), nanos: nanos % 1_000_000 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_by_flinks_casts() {
        assert_eq!(date("2024-02-29"), Some(19_782));
        assert_eq!(date("2024-2-29 and more"), Some(19_782));
        for wrong in ["", "2024-13-01", "2023-02-29", "-7", "12.50", "x", "99999999999"] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
        assert_eq!(time("12:34:56.7896"), Some(45_296_790));
        assert_eq!(time("24:00:00"), None);
        let print = |text: &str, precision| {
            timestamp(text, precision).map(|at| {
                let mut out = String::new();
                at.print(precision, &mut out);
                out
            })
        };
        assert_eq!(print("2024-02-29", 3).unwrap(), "2024-02-29 00:00:00.000");
        assert_eq!(print("2024-2-9 1:2:3.45", 3).unwrap(), "2024-02-09 01:02:03.450");
        assert_eq!(
            print("2024-02-29 01:02:03.123456789", 9).unwrap(),
            "2024-02-29 01:02:03.123456789"
        );
        assert_eq!(print("1969-07-20 20:17:40.5", 0).unwrap(), "1969-07-20 20:17:40");
        for wrong in
            ["", "2024-02-29 10:11", "29.02.2024", "2024-13-01 00:00:00", "2024-01-01T00:00:00"]
        {
            assert_eq!(print(wrong, 3), None, "{wrong}");
        }
    }
}
