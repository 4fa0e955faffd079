//! Patterns of dates and times: those of Java's `DateTimeFormatter` and `SimpleDateFormat`.

use super::{DAY_MS, date_of, days_of, days_of_month, moment::Moment, units};

/// Whose rules hold where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `DateTimeFormatter`: strict about digits and about what is left over.
    Formatter,
    /// `SimpleDateFormat`: lenient.
    Simple,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    dialect: Dialect,
    parts: Vec<Part>,
    step_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(char, usize),
}

/// The most digits that a number is filled up to.
const MOST_DIGITS: usize = 64;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const QUARTERS: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// See [`Pattern::step_ms`].
fn step_of(parts: &[Part]) -> Option<i64> {
    let step = |part: &Part| match part {
        Part::Text(_) => DAY_MS,
        Part::Field(letter, _) => match letter {
            'G' | 'y' | 'Y' | 'u' | 'M' | 'L' | 'd' | 'D' | 'w' | 'E' | 'e' | 'c' => DAY_MS,
            'a' | 'H' | 'k' | 'K' | 'h' => 3_600_000,
            'm' => 60_000,
            's' => 1000,
            _ => 0,
        },
    };
    parts.iter().map(step).min().filter(|step| *step > 0)
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub fn new(text: &str, dialect: Dialect) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut characters = text.chars().peekable();
        let literal = |parts: &mut Vec<Part>, c: char| match parts.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            _ => parts.push(Part::Text(c.to_string())),
        };
        while let Some(c) = characters.next() {
            match c {
                '\'' if characters.next_if_eq(&'\'').is_some() => literal(&mut parts, '\''),
                '\'' => loop {
                    match characters.next() {
                        None => return Err(format!("Unterminated quote in pattern '{text}'")),
                        Some('\'') if characters.next_if_eq(&'\'').is_some() => {
                            literal(&mut parts, '\'');
                        }
                        Some('\'') => break,
                        Some(c) => literal(&mut parts, c),
                    }
                },
                // What is optional is always printed.
                '[' | ']' if dialect == Dialect::Formatter => {}
                c if c.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while characters.next_if_eq(&c).is_some() {
                        count += 1;
                    }
                    let letters = match dialect {
                        Dialect::Simple => "GyYuMLwWDdEFaHkKhmsSzZX",
                        Dialect::Formatter => "GyYuMLQqwWDdEFaHkKhmsSnNzZXxVOeAc",
                    };
                    if !letters.contains(c) {
                        return Err(format!("Unknown pattern letter '{c}' in '{text}'"));
                    }
                    parts.push(Part::Field(c, count));
                }
                c => literal(&mut parts, c),
            }
        }
        let step_ms = step_of(&parts);
        Ok(Self { dialect, parts, step_ms })
    }

    /// True if it prints how far the zone is from UTC.
    #[must_use]
    pub fn has_offset(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field('Z' | 'X' | 'x', _)))
    }

    /// For how many milliseconds, from each multiple of it on, it prints the same; at least one. Not
    /// known where the zone counts.
    #[must_use]
    pub fn step_ms(&self) -> Option<i64> {
        self.step_ms
    }

    /// True if it prints the zone, which local times do not have.
    #[must_use]
    pub fn has_zone(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Field('z' | 'Z' | 'X' | 'x' | 'V' | 'O', _)))
    }

    /// Prints a local time; `offset_ms` is that of its zone, `zone` the zone's name.
    pub fn print(&self, at: Moment, offset_ms: i64, zone: &str, out: &mut String) {
        let days = at.ms.div_euclid(DAY_MS) as i32;
        let (year, month, day) = date_of(days);
        let of_day = at.ms.rem_euclid(DAY_MS);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let second = of_day / 1000 % 60;
        let weekday = (days + 3).rem_euclid(7);
        for part in &self.parts {
            let (letter, count) = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Field(letter, count) => (*letter, *count),
            };
            let mut number =
                |value: i64, width: usize| print_number(value, width.min(MOST_DIGITS), out);
            match letter {
                'Y' if count == 2 => number(i64::from(units::us_week(days).0.rem_euclid(100)), 2),
                'Y' => number(i64::from(units::us_week(days).0), count),
                'y' if count == 2 => number(i64::from(year.rem_euclid(100)), 2),
                'y' => number(i64::from(year), count),
                'Q' | 'q' => {
                    let quarter = (i64::from(month) + 2) / 3;
                    match count {
                        1 | 2 => number(quarter, count),
                        3 => out.push_str(&format!("Q{quarter}")),
                        _ => out.push_str(QUARTERS[quarter as usize - 1]),
                    }
                }
                'u' if self.dialect == Dialect::Simple => number(i64::from(weekday) + 1, count),
                'u' => number(i64::from(year), count),
                'M' | 'L' => match count {
                    1 | 2 => number(i64::from(month), count),
                    3 => out.push_str(&MONTHS[month as usize - 1][..3]),
                    _ => out.push_str(MONTHS[month as usize - 1]),
                },
                'd' => number(i64::from(day), count),
                'D' => number(i64::from(days - days_of(year, 1, 1) + 1), count),
                'w' => number(i64::from(units::us_week(days).1), count),
                'W' => {
                    let first = units::sunday_before(days_of(year, month, 1));
                    number(i64::from((days - first) / 7 + 1), count);
                }
                'E' => match count {
                    1..=3 => out.push_str(&DAYS[weekday as usize][..3]),
                    _ => out.push_str(DAYS[weekday as usize]),
                },
                'e' | 'c' => number(i64::from((weekday + 1) % 7) + 1, count),
                'a' => out.push_str(if hour < 12 { "AM" } else { "PM" }),
                'H' => number(hour, count),
                'k' => number(if hour == 0 { 24 } else { hour }, count),
                'K' => number(hour % 12, count),
                'h' => number((hour + 11) % 12 + 1, count),
                'm' => number(minute, count),
                's' => number(second, count),
                'S' if self.dialect == Dialect::Simple => number(of_day % 1000, count),
                'S' => {
                    let digits = format!("{:09}", at.nanos_of_second());
                    out.push_str(&digits[..count.min(9)]);
                }
                'n' => number(i64::from(at.nanos_of_second()), count),
                'A' => number(of_day, count),
                'G' => out.push_str(if year > 0 { "AD" } else { "BC" }),
                'z' | 'V' => out.push_str(zone),
                'Z' => print_offset(offset_ms, "", false, out),
                'X' => print_offset(offset_ms, if count >= 3 { ":" } else { "" }, true, out),
                'x' => print_offset(offset_ms, if count >= 3 { ":" } else { "" }, false, out),
                _ => {}
            }
        }
    }

    /// Reads a local time. Fields that the pattern does not have are those of 1970-01-01 00:00.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<Moment> {
        let mut fields = Fields::default();
        let mut rest = text;
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Field(letter, count) => {
                    let next_is_number = matches!(
                        self.parts.get(index + 1),
                        Some(Part::Field(next, count)) if is_number(*next, *count)
                    );
                    rest = self.field(&mut fields, *letter, *count, next_is_number, rest)?;
                }
            }
        }
        if self.dialect == Dialect::Formatter && !rest.is_empty() {
            return None;
        }
        fields.moment(self.dialect)
    }

    fn field<'a>(
        &self,
        fields: &mut Fields,
        letter: char,
        count: usize,
        adjacent: bool,
        text: &'a str,
    ) -> Option<&'a str> {
        match letter {
            'M' | 'L' if count >= 3 => {
                let (month, rest) = word(text, &MONTHS)?;
                fields.month = i64::from(month) + 1;
                return Some(rest);
            }
            'E' => return word(text, &DAYS).map(|(_, rest)| rest),
            'a' => {
                let head = text.get(..2)?;
                fields.afternoon = Some(head.eq_ignore_ascii_case("PM"));
                let known = head.eq_ignore_ascii_case("AM") || head.eq_ignore_ascii_case("PM");
                return known.then(|| &text[2..]);
            }
            'G' => return text.get(2..),
            _ => {}
        }
        if !is_number(letter, count) {
            return None;
        }
        let simple = self.dialect == Dialect::Simple;
        let text = if simple { text.trim_start_matches(' ') } else { text };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        // One letter takes what there is; more fix the number of digits. The lenient dialect fixes it
        // only before another number.
        let (least, most) = match (simple, letter, count) {
            (true, _, _) if adjacent => (count, count),
            (true, _, _) => (1, 18),
            (false, 'S', count) => (count, count),
            (false, 'y' | 'u', 2) => (2, 2),
            (false, 'y' | 'u', count) if adjacent => (count, count),
            (false, 'y' | 'u', count) => (count, 10),
            (false, _, 1) => (1, 18),
            (false, _, count) => (count, count),
        };
        let taken = digits.min(most);
        if taken < least {
            return None;
        }
        let (number, rest) = text.split_at(taken);
        let value: i64 = number.parse().ok()?;
        match letter {
            'y' | 'Y' | 'u' if count == 2 && taken <= 2 => fields.year = century(value, simple),
            'y' | 'Y' | 'u' => fields.year = value,
            'M' | 'L' => fields.month = value,
            'd' => fields.day = value,
            'D' => fields.day_of_year = Some(value),
            'H' => fields.hour = value,
            'k' => fields.hour = value % 24,
            'K' => fields.half_hour = Some(value),
            'h' => fields.half_hour = Some(value % 12),
            'm' => fields.minute = value,
            's' => fields.second = value,
            'S' if simple => fields.nanos = value.checked_mul(1_000_000)?,
            'S' => fields.nanos = value * 10i64.pow(9u32.saturating_sub(taken as u32)),
            _ => {}
        }
        Some(rest)
    }
}

/// The year of two digits: in this century, or for the lenient dialect within 80 years before.
fn century(value: i64, simple: bool) -> i64 {
    if simple && value > 45 { 1900 + value } else { 2000 + value }
}

fn is_number(letter: char, count: usize) -> bool {
    "yYuDdHkKhmsS".contains(letter) || (matches!(letter, 'M' | 'L') && count < 3)
}

/// A name, whole or its first three letters.
fn word<'a>(text: &'a str, names: &[&str]) -> Option<(u8, &'a str)> {
    let starts =
        |name: &str| text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    for (index, name) in names.iter().enumerate() {
        if starts(name) {
            return Some((index as u8, &text[name.len()..]));
        }
    }
    let index = names.iter().position(|name| starts(&name[..3]))?;
    Some((index as u8, &text[3..]))
}

struct Fields {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: Option<i64>,
    hour: i64,
    half_hour: Option<i64>,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    nanos: i64,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            year: 1970,
            month: 1,
            day: 1,
            day_of_year: None,
            hour: 0,
            half_hour: None,
            afternoon: None,
            minute: 0,
            second: 0,
            nanos: 0,
        }
    }
}

impl Fields {
    fn moment(&self, dialect: Dialect) -> Option<Moment> {
        let hour = match self.half_hour {
            Some(hour) => hour + if self.afternoon == Some(true) { 12 } else { 0 },
            None => self.hour,
        };
        let days = if dialect == Dialect::Formatter {
            let valid = (1..=12).contains(&self.month)
                && (1..=31).contains(&self.day)
                && hour <= 23
                && self.minute <= 59
                && self.second <= 59;
            if !valid {
                return None;
            }
            let (year, month) = (i32::try_from(self.year).ok()?, self.month as i32);
            // A day that the month does not have is its last.
            i64::from(days_of(year, month, (self.day as i32).min(days_of_month(year, month))))
        } else {
            // Beyond the end of a month or a year it goes on in the next.
            let months = self.year.checked_mul(12)?.checked_add(self.month - 1)?;
            let year = i32::try_from(months.div_euclid(12)).ok()?;
            i64::from(days_of(year, months.rem_euclid(12) as i32 + 1, 1))
                .checked_add(self.day - 1)?
        };
        let days = match self.day_of_year {
            Some(day) => i64::from(days_of(i32::try_from(self.year).ok()?, 1, 1)) + day - 1,
            None => days,
        };
        let seconds = hour.checked_mul(3600)?.checked_add(self.minute.checked_mul(60)?)?;
        let seconds = seconds.checked_add(self.second)?;
        let ms = days.checked_mul(DAY_MS)?.checked_add(seconds.checked_mul(1000)?)?;
        let ms = ms.checked_add(self.nanos / 1_000_000)?;
        Some(Moment { ms, nanos: (self.nanos % 1_000_000) as u32 })
    }
}

/// A number with zeros in front up to a width, as `{value:0>width$}` prints it.
fn print_number(value: i64, width: usize, out: &mut String) {
    let mut digits = [0_u8; 20];
    let mut rest = value.unsigned_abs();
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let sign = usize::from(value < 0);
    (digits.len() - at + sign..width).for_each(|_| out.push('0'));
    if sign == 1 {
        out.push('-');
    }
    digits[at..].iter().for_each(|digit| out.push(char::from(*digit)));
}

fn print_offset(offset_ms: i64, colon: &str, zulu: bool, out: &mut String) {
    if zulu && offset_ms == 0 {
        out.push('Z');
        return;
    }
    let minutes = offset_ms / 60_000;
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.abs();
    out.push_str(&format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        super::super::parse::timestamp(text, 9).unwrap()
    }

    #[test]
    fn times_are_printed_as_by_java() {
        let print = |pattern: &str, time: &str| {
            let mut out = String::new();
            let pattern = Pattern::new(pattern, Dialect::Formatter).unwrap();
            pattern.print(at(time), 0, "UTC", &mut out);
            out
        };
        let time = "2024-02-29 13:04:05.678";
        assert_eq!(print("yyyy/MM/dd HH:mm", time), "2024/02/29 13:04");
        assert_eq!(print("EEE d MMM yy, hh:mm a", time), "Thu 29 Feb 24, 01:04 PM");
        assert_eq!(print("EEEE, MMMM 'of' '' D", time), "Thursday, February of ' 60");
        assert_eq!(print("SSS SSSSSS", time), "678 678000");
        assert!(Pattern::new("yyyy 'x", Dialect::Formatter).is_err());
    }

    #[test]
    fn within_a_step_all_times_print_the_same() {
        for letter in "GyYuMLwWDdEFaHkKhmsSnNzZXxVOeAc".chars() {
            for count in 1..5 {
                let text: String = std::iter::repeat_n(letter, count).collect();
                let pattern = Pattern::new(&format!("{text} yyyy"), Dialect::Formatter).unwrap();
                let Some(step) = pattern.step_ms() else { continue };
                let print = |ms: i64| {
                    let mut out = String::new();
                    pattern.print(Moment::of_ms(ms), 0, "UTC", &mut out);
                    out
                };
                for start in [-3, 0, 17, 19_000].map(|day| day * DAY_MS) {
                    for within in [1, step / 2, step - 1] {
                        assert_eq!(print(start), print(start + within), "{text} {within}");
                    }
                }
            }
        }
        assert_eq!(Pattern::new("HH:mm", Dialect::Formatter).unwrap().step_ms(), Some(60_000));
    }

    #[test]
    fn texts_are_read_as_by_java() {
        let read = |pattern: &str, dialect, text: &str| {
            Pattern::new(pattern, dialect).unwrap().parse(text).map(|at| {
                let mut out = String::new();
                at.print(3, &mut out);
                out
            })
        };
        let formatter = |pattern: &str, text: &str| read(pattern, Dialect::Formatter, text);
        assert_eq!(
            formatter("dd.MM.yyyy HH:mm", "29.02.2024 10:11").unwrap(),
            "2024-02-29 10:11:00.000"
        );
        assert_eq!(formatter("dd.MM.yyyy HH:mm", "2024-02-29"), None);
        assert_eq!(
            formatter("yyyyMMddHHmmss", "20240229101112").unwrap(),
            "2024-02-29 10:11:12.000"
        );
        assert_eq!(formatter("yyyy-MM-dd", "2024-02-29 "), None);
        let simple = |pattern: &str, text: &str| read(pattern, Dialect::Simple, text);
        assert_eq!(simple("yyyy-MM-dd", "2024-2-30 x").unwrap(), "2024-03-01 00:00:00.000");
        assert_eq!(simple("yyyyMMdd", "20241301").unwrap(), "2025-01-01 00:00:00.000");
        assert_eq!(simple("yyyy-MM-dd HH:mm:ss", "nothing"), None);
    }
}
