//! Parts of times, rounding, differences, patterns, and the clock.

use arrow_array::types::{
    Date32Type, DurationMillisecondType, Float64Type, Int32Type, Int64Type, IntervalYearMonthType,
    Time32MillisecondType,
};
use hurtig_sql_common::{EvalError, SqlContext, current_watermark};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::arithmetic::{milliseconds, unit_of};
use crate::{
    api::CallError,
    calendar::{
        self, DAY_MS,
        moment::Moment,
        parse,
        pattern::{Dialect, Pattern},
        units, zone,
    },
    call::{Builtin, Call, Resolved, Stability, Want, pure},
    columns::{Columns, Evaluated},
    types::{self, STRING, is_datetime, is_text, is_timestamp, of},
};

use Want::Text;

/// The pattern of texts without one.
const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

const fn clock(name: &'static str, resolve: fn(&Call<'_>) -> Resolved) -> Builtin {
    Builtin { name, signature: name, stability: Stability::Volatile, resolve }
}

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("EXTRACT", "EXTRACT(unit FROM time)", |call| {
        call.count(2, 2)?;
        let unit = call.literal_text(0).ok_or_else(|| call.mismatch())?.to_uppercase();
        extract(call, 1, unit)
    }),
    pure("YEAR", "YEAR(date)", |call| part(call, "YEAR")),
    pure("QUARTER", "QUARTER(date)", |call| part(call, "QUARTER")),
    pure("MONTH", "MONTH(date)", |call| part(call, "MONTH")),
    pure("WEEK", "WEEK(date)", |call| part(call, "WEEK")),
    pure("DAYOFYEAR", "DAYOFYEAR(date)", |call| part(call, "DOY")),
    pure("DAYOFMONTH", "DAYOFMONTH(date)", |call| part(call, "DAY")),
    pure("DAYOFWEEK", "DAYOFWEEK(date)", |call| part(call, "DOW")),
    pure("HOUR", "HOUR(timestamp)", |call| part(call, "HOUR")),
    pure("MINUTE", "MINUTE(timestamp)", |call| part(call, "MINUTE")),
    pure("SECOND", "SECOND(timestamp)", |call| part(call, "SECOND")),
    pure("TIMESTAMPADD", "TIMESTAMPADD(unit, count, time)", timestamp_add),
    pure("TIMESTAMPDIFF", "TIMESTAMPDIFF(unit, time1, time2)", timestamp_diff),
    pure("OVERLAPS", "(time1, end1) OVERLAPS (time2, end2)", overlaps),
    pure("DATE_FORMAT", "DATE_FORMAT(timestamp, pattern)", date_format),
    pure("TO_DATE", "TO_DATE(string[, pattern])", to_date),
    pure("TO_TIMESTAMP", "TO_TIMESTAMP(string[, pattern])", to_timestamp),
    pure("TO_TIMESTAMP_LTZ", "TO_TIMESTAMP_LTZ(numeric[, precision])", to_timestamp_ltz),
    pure("FROM_UNIXTIME", "FROM_UNIXTIME(numeric[, pattern])", from_unixtime),
    Builtin {
        name: "UNIX_TIMESTAMP",
        signature: "UNIX_TIMESTAMP([string[, pattern]])",
        stability: Stability::Volatile,
        resolve: unix_timestamp,
    },
    pure("CONVERT_TZ", "CONVERT_TZ(string, zone1, zone2)", convert_tz),
    clock("CURRENT_DATE", |call| {
        now(call, SqlTypeKind::Date, |c, at| {
            let days = local(c.context, at).ms.div_euclid(DAY_MS) as i32;
            c.make_numbers::<Date32Type>(|_| Some(days))
        })
    }),
    clock("CURRENT_TIME", |call| now(call, SqlTypeKind::Time(0), time_of_day)),
    clock("LOCALTIME", |call| now(call, SqlTypeKind::Time(0), time_of_day)),
    clock("LOCALTIMESTAMP", |call| {
        now(call, SqlTypeKind::Timestamp(3), |c, at| {
            let at = local(c.context, at);
            c.make_moments(3, false, |_| Some(at))
        })
    }),
    clock("CURRENT_TIMESTAMP", instant),
    clock("NOW", instant),
    clock("CURRENT_ROW_TIMESTAMP", instant),
    clock("PROCTIME", instant),
    Builtin {
        name: "CURRENT_WATERMARK",
        signature: "CURRENT_WATERMARK(rowtime)",
        stability: Stability::Volatile,
        resolve: watermark,
    },
];

fn local(context: &SqlContext, at: Moment) -> Moment {
    zone::to_local(context.zone, at)
}

fn now(call: &Call<'_>, kind: SqlTypeKind, of: fn(&Columns<'_>, Moment) -> Evaluated) -> Resolved {
    call.optional(0, &[], SqlDataType::not_null(kind), move |c| {
        of(c, Moment::of_ms(c.context.clock.now_ms()))
    })
}

fn instant(call: &Call<'_>) -> Resolved {
    now(call, SqlTypeKind::TimestampLtz(3), |c, at| c.make_moments(3, true, |_| Some(at)))
}

/// Where event time is; that the argument is a rowtime is for the planner to see.
fn watermark(call: &Call<'_>) -> Resolved {
    call.count(1, 1)?;
    let zoned = matches!(call.kind(0), SqlTypeKind::TimestampLtz(_));
    let kind = match call.kind(0) {
        SqlTypeKind::Timestamp(_) => SqlTypeKind::Timestamp(3),
        SqlTypeKind::TimestampLtz(_) => SqlTypeKind::TimestampLtz(3),
        _ => return Err(call.mismatch()),
    };
    Ok(call.settled(call.types(), SqlDataType::nullable(kind), move |c| {
        let at = current_watermark().map(Moment::of_ms);
        c.make_moments(3, zoned, |_| at)
    }))
}

fn time_of_day(c: &Columns<'_>, at: Moment) -> Evaluated {
    let ms = local(c.context, at).ms.rem_euclid(DAY_MS) as i32 / 1000 * 1000;
    c.make_numbers::<Time32MillisecondType>(|_| Some(ms))
}

/// A point in time for each row, local if the type has a zone; `None`: another type.
fn local_moments<'a>(
    c: &Columns<'a>,
    index: usize,
    kind: &SqlTypeKind,
) -> Result<Box<dyn Fn(usize) -> Option<Moment> + 'a>, EvalError> {
    if is_timestamp(kind) {
        let times = c.moments(index)?;
        let zoned = matches!(kind, SqlTypeKind::TimestampLtz(_));
        let context = c.context;
        return Ok(Box::new(move |row| {
            let at = times.get(row)?;
            Some(if zoned { local(context, at) } else { at })
        }));
    }
    let ms = milliseconds(c, index)?;
    Ok(Box::new(move |row| ms(row).map(Moment::of_ms)))
}

fn part(call: &Call<'_>, unit: &'static str) -> Resolved {
    call.count(1, 1)?;
    extract(call, 0, unit.to_owned())
}

fn extract(call: &Call<'_>, index: usize, unit: String) -> Resolved {
    let kind = call.kind(index).clone();
    if let SqlTypeKind::Interval(resolution, _) = kind {
        return extract_interval(call, index, unit, resolution.is_year_month());
    }
    let supported = match &kind {
        SqlTypeKind::Date => !matches!(&*unit, "MICROSECOND" | "NANOSECOND"),
        SqlTypeKind::Time(_) => matches!(&*unit, "HOUR" | "MINUTE" | "SECOND" | "MILLISECOND"),
        kind => is_timestamp(kind),
    };
    if !supported || units::extract(&unit, 0, 0).is_none() {
        return Err(call.mismatch());
    }
    let result = of(SqlTypeKind::BigInt, call.nullable());
    // Of a date Flink takes the number of its day for milliseconds where the unit is within a day.
    let within = matches!(&*unit, "HOUR" | "MINUTE" | "SECOND" | "MILLISECOND");
    if kind == SqlTypeKind::Date && within {
        return Ok(call.settled(call.types(), result, move |c| {
            let days = c.numbers::<Date32Type>(index)?;
            c.make_numbers::<Int64Type>(|row| units::extract(&unit, i64::from(days.get(row)?), 0))
        }));
    }
    Ok(call.settled(call.types(), result, move |c| {
        let times = local_moments(c, index, &kind)?;
        c.make_numbers::<Int64Type>(|row| {
            let at = times(row)?;
            units::extract(&unit, at.ms, at.nanos)
        })
    }))
}

fn extract_interval(call: &Call<'_>, index: usize, unit: String, months: bool) -> Resolved {
    if months
        != matches!(&*unit, "YEAR" | "QUARTER" | "MONTH" | "DECADE" | "CENTURY" | "MILLENNIUM")
    {
        return Err(call.mismatch());
    }
    let result = of(SqlTypeKind::BigInt, call.nullable());
    Ok(call.settled(call.types(), result, move |c| {
        if months {
            let values = c.numbers::<IntervalYearMonthType>(index)?;
            return c.make_numbers::<Int64Type>(|row| {
                let months = i64::from(values.get(row)?);
                match &*unit {
                    "YEAR" => Some(months / 12),
                    "QUARTER" => Some(months % 12 / 3 + 1),
                    "MONTH" => Some(months % 12),
                    _ => None,
                }
            });
        }
        let values = c.numbers::<DurationMillisecondType>(index)?;
        c.make_numbers::<Int64Type>(|row| {
            let ms = values.get(row)?;
            if unit == "DAY" { Some(ms / DAY_MS) } else { units::extract(&unit, ms, 0) }
        })
    }))
}

/// FLOOR and CEIL of a time to a unit; see the arithmetic ones.
pub(super) fn round_time(call: &Call<'_>, up: bool) -> Resolved {
    call.count(2, 2)?;
    let unit = call.literal_text(1).ok_or_else(|| call.mismatch())?.to_uppercase();
    let kind = call.kind(0).clone();
    if !is_datetime(&kind) || units::round_ms(&unit, 0, false).is_none() {
        return Err(call.mismatch());
    }
    let result = call.arguments[0].data_type.clone();
    Ok(call.settled(call.types(), result, move |c| match &kind {
        SqlTypeKind::Date => {
            let dates = c.numbers::<Date32Type>(0)?;
            c.make_numbers::<Date32Type>(|row| {
                let days = dates.get(row)?;
                // Units within a day do not change it; Flink's next day is always another one.
                let next = i32::from(up && unit == "DAY");
                Some(units::round_date(&unit, days, up).unwrap_or(days) + next)
            })
        }
        SqlTypeKind::Time(_) => {
            let times = c.numbers::<Time32MillisecondType>(0)?;
            c.make_numbers::<Time32MillisecondType>(|row| {
                let ms = units::round_ms(&unit, i64::from(times.get(row)?), up)?;
                Some(ms as i32)
            })
        }
        SqlTypeKind::Timestamp(precision) | SqlTypeKind::TimestampLtz(precision) => {
            let zoned = matches!(kind, SqlTypeKind::TimestampLtz(_));
            let times = c.moments(0)?;
            c.make_moments(*precision, zoned, |row| {
                let at = times.get(row)?;
                let offset = if zoned { zone::offset_ms(c.context.zone, at.ms) } else { 0 };
                Some(Moment::of_ms(units::round_ms(&unit, at.ms + offset, up)? - offset))
            })
        }
        other => Err(EvalError::Internal(format!("{other} is no time"))),
    }))
}

fn timestamp_add(call: &Call<'_>) -> Resolved {
    call.count(3, 3)?;
    let unit = call.literal_text(0).map(str::to_uppercase).ok_or_else(|| call.mismatch())?;
    let (size, months) = unit_of(&unit).ok_or_else(|| call.mismatch())?;
    let count = call.want(1, Want::BigInt)?;
    let kind = call.kind(2).clone();
    if !is_datetime(&kind) {
        return Err(call.mismatch());
    }
    let fine = size < DAY_MS && !months;
    let result = match &kind {
        SqlTypeKind::Date if fine => {
            SqlTypeKind::Timestamp(if unit == "MILLISECOND" { 3 } else { 6 })
        }
        kind => kind.clone(),
    };
    let target = result.clone();
    let mut arguments = call.types();
    arguments[1] = count;
    let result = of(result, call.nullable());
    Ok(call.settled(arguments, result, move |c| {
        let count = c.numbers::<Int64Type>(1)?;
        let moved = |ms: i64, count: i64| {
            let by = count.wrapping_mul(size);
            if months { calendar::add_months_ms(ms, by as i32) } else { ms.wrapping_add(by) }
        };
        let ms = (!is_timestamp(&kind)).then(|| milliseconds(c, 2)).transpose()?;
        let shifted = |row: usize| Some(moved(ms.as_ref()?(row)?, count.get(row)?));
        match &target {
            SqlTypeKind::Date => {
                c.make_numbers::<Date32Type>(|row| Some(shifted(row)?.div_euclid(DAY_MS) as i32))
            }
            SqlTypeKind::Time(_) => c.make_numbers::<Time32MillisecondType>(|row| {
                Some(shifted(row)?.rem_euclid(DAY_MS) as i32)
            }),
            SqlTypeKind::Timestamp(precision) | SqlTypeKind::TimestampLtz(precision)
                if is_timestamp(&kind) =>
            {
                let zoned = matches!(target, SqlTypeKind::TimestampLtz(_));
                let times = c.moments(2)?;
                c.make_moments(*precision, zoned, |row| {
                    let at = times.get(row)?;
                    Some(Moment { ms: moved(at.ms, count.get(row)?), nanos: at.nanos })
                })
            }
            SqlTypeKind::Timestamp(precision) => {
                c.make_moments(*precision, false, |row| shifted(row).map(Moment::of_ms))
            }
            other => Err(EvalError::Internal(format!("{other} is no time"))),
        }
    }))
}

/// How a unit of differences is made of seconds.
#[derive(Clone, Copy)]
enum OfSeconds {
    /// So many are one second.
    Times(i32),
    /// One is so many seconds.
    In(i32),
}

fn timestamp_diff(call: &Call<'_>) -> Resolved {
    call.count(3, 3)?;
    let unit = call.literal_text(0).map(str::to_uppercase).ok_or_else(|| call.mismatch())?;
    let (size, months) = unit_of(&unit).ok_or_else(|| call.mismatch())?;
    if !(1..3).all(|index| is_datetime(call.kind(index)) || *call.kind(index) == SqlTypeKind::Null)
    {
        return Err(call.mismatch());
    }
    if let [_, from, to] = call.arguments
        && !types::are_same_times(&from.data_type.kind, &to.data_type.kind)
    {
        return Err(call.mismatch());
    }
    let mut arguments = call.types();
    for argument in &mut arguments[1..] {
        if argument.kind == SqlTypeKind::Null {
            argument.kind = SqlTypeKind::Timestamp(3);
        }
    }
    let of_seconds = match &*unit {
        "WEEK" => Some(OfSeconds::In(7 * 86_400)),
        "MILLISECOND" => Some(OfSeconds::Times(1000)),
        _ => None,
    };
    let result = of(SqlTypeKind::Int, call.nullable());
    Ok(call.settled(arguments, result, move |c| {
        let (from, to) = (milliseconds(c, 1)?, milliseconds(c, 2)?);
        c.make_numbers::<Int32Type>(|row| {
            let (from, to) = (from(row)?, to(row)?);
            let between = to.wrapping_sub(from);
            // Some units are computed from seconds, which are 32 bits wide, as in Flink.
            let seconds = (between / 1000) as i32;
            Some(match of_seconds {
                _ if months => calendar::months_between(to, from) / size as i32,
                Some(OfSeconds::Times(count)) => seconds.wrapping_mul(count),
                Some(OfSeconds::In(count)) => seconds / count,
                None => (between / size) as i32,
            })
        })
    }))
}

fn overlaps(call: &Call<'_>) -> Resolved {
    call.count(4, 4)?;
    let interval = |index: usize| matches!(call.kind(index), SqlTypeKind::Interval(..));
    let intervals = [interval(1), interval(3)];
    let months = [types::is_month_interval(call.kind(1)), types::is_month_interval(call.kind(3))];
    let times =
        (0..4).all(|index| is_datetime(call.kind(index)) || (index % 2 == 1 && interval(index)));
    if !times {
        return Err(call.mismatch());
    }
    let result = of(SqlTypeKind::Boolean, call.nullable());
    Ok(call.settled(call.types(), result, move |c| {
        let end = |index: usize| -> Result<Box<dyn Fn(usize, i64) -> Option<i64> + '_>, EvalError> {
            let which = index / 2;
            Ok(if !intervals[which] {
                let end = milliseconds(c, index)?;
                Box::new(move |row, _| end(row))
            } else if months[which] {
                let by = c.numbers::<IntervalYearMonthType>(index)?;
                Box::new(move |row, start| Some(calendar::add_months_ms(start, by.get(row)?)))
            } else {
                let by = c.numbers::<DurationMillisecondType>(index)?;
                Box::new(move |row, start| Some(start.wrapping_add(by.get(row)?)))
            })
        };
        let (first, second) = (milliseconds(c, 0)?, milliseconds(c, 2)?);
        let (first_end, second_end) = (end(1)?, end(3)?);
        c.make_booleans(|row| {
            let (a, b) = (first(row)?, second(row)?);
            let (a_end, b_end) = (first_end(row, a)?, second_end(row, b)?);
            let (a, a_end) = (a.min(a_end), a.max(a_end));
            let (b, b_end) = (b.min(b_end), b.max(b_end));
            Some(a_end >= b && b_end >= a)
        })
    }))
}

/// Patterns by row; a constant is compiled once, and so is one that repeats.
struct Patterns {
    dialect: Dialect,
    last: Option<(String, Result<Pattern, String>)>,
    /// What the last pattern has printed last, and in which of its steps.
    printed: Option<(i64, String)>,
}

impl Patterns {
    fn new(dialect: Dialect) -> Self {
        Self { dialect, last: None, printed: None }
    }

    fn get(&mut self, text: &str) -> Result<&Pattern, EvalError> {
        if self.last.as_ref().is_none_or(|(known, _)| known != text) {
            self.last = Some((text.to_owned(), Pattern::new(text, self.dialect)));
            self.printed = None;
        }
        match &self.last {
            Some((_, Ok(pattern))) => Ok(pattern),
            Some((_, Err(why))) => Err(EvalError::Value(why.clone())),
            None => Err(EvalError::Internal("no pattern".to_owned())),
        }
    }
}

impl Patterns {
    /// A local time as a pattern prints it. Rows come mostly in the order of time, so that the next one
    /// has the same day, or minute.
    fn print(
        &mut self,
        pattern: &str,
        at: Moment,
        zone: chrono_tz::Tz,
    ) -> Result<String, EvalError> {
        let step = self.get(pattern)?.step_ms().map(|step| at.ms.div_euclid(step));
        if let (Some(step), Some((known, printed))) = (step, &self.printed)
            && step == *known
        {
            return Ok(printed.clone());
        }
        let is_local = self.dialect == Dialect::Formatter;
        let pattern = self.get(pattern)?;
        // What prints the zone has no steps, so that it always comes to this place.
        if is_local && pattern.has_zone() {
            let why = "a local time has no zone that its pattern could show";
            return Err(EvalError::Value(why.to_owned()));
        }
        let mut text = String::new();
        let offset_ms = if pattern.has_offset() { zone::offset_ms(zone, at.ms) } else { 0 };
        pattern.print(at, offset_ms, zone.name(), &mut text);
        self.printed = step.map(|step| (step, text.clone()));
        Ok(text)
    }
}

fn date_format(call: &Call<'_>) -> Resolved {
    call.count(2, 2)?;
    let kind = call.kind(0).clone();
    let text = is_text(&kind) || kind == SqlTypeKind::Null;
    if !text && !is_timestamp(&kind) {
        return Err(call.mismatch());
    }
    let first = if text { call.want(0, Text)? } else { call.arguments[0].data_type.clone() };
    let arguments = vec![first, call.want(1, Text)?];
    Ok(call.settled(arguments, SqlDataType::nullable(STRING), move |c| {
        let pattern = c.texts(1)?;
        let dialect = if text { Dialect::Simple } else { Dialect::Formatter };
        let mut patterns = Patterns::new(dialect);
        let mut sources = Patterns::new(Dialect::Simple);
        let texts = text.then(|| c.texts(0)).transpose()?;
        let times = (!text).then(|| local_moments(c, 0, &kind)).transpose()?;
        c.try_texts(|row| {
            let Some(pattern) = pattern.get(row) else { return Ok(None) };
            let at = match (&texts, &times) {
                (Some(texts), _) => match texts.get(row) {
                    Some(text) => sources.get(DEFAULT_PATTERN)?.parse(text),
                    None => None,
                },
                (None, Some(times)) => times(row),
                (None, None) => None,
            };
            let Some(at) = at else { return Ok(None) };
            patterns.print(pattern, at, c.context.zone).map(Some)
        })
    }))
}

/// What Flink's TO_DATE gives for a text that does not fit its pattern: the least point in time, in
/// a calendar of 32 bits.
fn no_date() -> i32 {
    calendar::days_of(-292_275_055, 5, 16)
}

fn to_date(call: &Call<'_>) -> Resolved {
    call.partial(1, &[Text, Text], SqlTypeKind::Date, |c| {
        let text = c.texts(0)?;
        if c.len() == 1 {
            return c.make_numbers::<Date32Type>(|row| parse::date(text.get(row)?));
        }
        let pattern = c.texts(1)?;
        let mut patterns = Patterns::new(Dialect::Simple);
        c.try_numbers::<Date32Type>(|row| {
            let (Some(text), Some(pattern)) = (text.get(row), pattern.get(row)) else {
                return Ok(None);
            };
            let at = patterns.get(pattern)?.parse(text);
            Ok(Some(at.map_or_else(no_date, |at| at.ms.div_euclid(DAY_MS) as i32)))
        })
    })
}

/// As `java.sql.Timestamp.valueOf` and `java.sql.Date.valueOf` read it.
fn plain_timestamp(text: &str) -> Option<Moment> {
    let text = text.trim();
    parse::timestamp(text, 3)
}

fn parsed(patterns: &mut Patterns, text: &str, pattern: &str) -> Option<Moment> {
    // A wrong pattern gives NULL.
    let pattern = patterns.get(pattern).ok()?;
    let at = pattern.parse(text).or_else(|| plain_timestamp(text))?;
    Some(Moment::of_ms(at.ms))
}

fn to_timestamp(call: &Call<'_>) -> Resolved {
    call.partial(1, &[Text, Text], SqlTypeKind::Timestamp(3), |c| {
        let text = c.texts(0)?;
        if c.len() == 1 {
            return c.make_moments(3, false, |row| parse::timestamp(text.get(row)?, 3));
        }
        let pattern = c.texts(1)?;
        let mut patterns = Patterns::new(Dialect::Formatter);
        c.make_moments(3, false, |row| parsed(&mut patterns, text.get(row)?, pattern.get(row)?))
    })
}

/// Seconds from year 1 to 9999, which TIMESTAMP_LTZ has in Flink.
const SECONDS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

fn to_timestamp_ltz(call: &Call<'_>) -> Resolved {
    call.count(1, 3)?;
    let result = SqlTypeKind::TimestampLtz(3);
    if is_text(call.kind(0)) {
        return call.partial(1, &[Text, Text, Text], result, |c| {
            let text = c.texts(0)?;
            let pattern = (c.len() > 1).then(|| c.texts(1)).transpose()?;
            let zones = (c.len() > 2).then(|| c.texts(2)).transpose()?;
            let mut patterns = Patterns::new(Dialect::Formatter);
            // What cannot be read is NULL with a pattern, and an error without one.
            if pattern.is_none()
                && let Some(wrong) = (0..c.rows)
                    .filter_map(|row| text.get(row))
                    .find(|text| parse::timestamp(text, 3).is_none())
            {
                let message = format!("Text '{wrong}' could not be parsed as a timestamp");
                return Err(EvalError::Value(message));
            }
            c.make_moments(3, true, |row| {
                let text = text.get(row)?;
                let at = match &pattern {
                    Some(pattern) => parsed(&mut patterns, text, pattern.get(row)?)?,
                    None => parse::timestamp(text, 3)?,
                };
                let zone = match &zones {
                    Some(zones) => zone::named(zones.get(row)?)?,
                    None => chrono_tz::UTC,
                };
                Some(zone::from_local(zone, at))
            })
        });
    }
    let scale = match call.len() {
        1 => 3,
        _ => call.literal_int(1).unwrap_or(3),
    };
    let digits = u8::try_from(scale).ok().filter(|digits| *digits <= 9);
    let Some(digits) = digits else {
        return Err(CallError(format!(
            "The precision value '{scale}' for function TO_TIMESTAMP_LTZ(numeric, precision) must \
             be between 0 and 9."
        )));
    };
    let result = SqlTypeKind::TimestampLtz(digits.max(3));
    let exact = !types::is_approximate(call.kind(0));
    let number = if exact { SqlTypeKind::BigInt } else { SqlTypeKind::Double };
    call.want(0, Want::Number)?;
    let mut arguments = call.types();
    arguments[0].kind = number;
    Ok(call.settled(arguments, SqlDataType::nullable(result), move |c| {
        let whole = exact.then(|| c.numbers::<Int64Type>(0)).transpose()?;
        let broken = (!exact).then(|| c.numbers::<Float64Type>(0)).transpose()?;
        // Nanoseconds of one.
        let unit = 10i128.pow(9 - u32::from(digits));
        c.make_moments(digits.max(3), true, |row| {
            let nanos = match (&whole, &broken) {
                (Some(whole), _) => i128::from(whole.get(row)?) * unit,
                // Of a fraction milliseconds count.
                (None, Some(broken)) => {
                    ((broken.get(row)? * (unit as f64 / 1e6)) as i128).checked_mul(1_000_000)?
                }
                (None, None) => return None,
            };
            let ms = i64::try_from(nanos.div_euclid(1_000_000)).ok()?;
            let rest = nanos.rem_euclid(1_000_000) as u32;
            SECONDS.contains(&ms.div_euclid(1000)).then_some(Moment { ms, nanos: rest })
        })
    }))
}

fn from_unixtime(call: &Call<'_>) -> Resolved {
    call.partial(1, &[Want::BigInt, Text], STRING, |c| {
        let seconds = c.numbers::<Int64Type>(0)?;
        let pattern = (c.len() > 1).then(|| c.texts(1)).transpose()?;
        let mut patterns = Patterns::new(Dialect::Simple);
        c.try_texts(|row| {
            let Some(seconds) = seconds.get(row) else { return Ok(None) };
            let pattern = match &pattern {
                Some(pattern) => match pattern.get(row) {
                    Some(pattern) => pattern,
                    None => return Ok(None),
                },
                None => DEFAULT_PATTERN,
            };
            let at = Moment::of_ms(seconds.saturating_mul(1000));
            let zone = c.context.zone;
            let mut out = String::new();
            let offset = zone::offset_ms(zone, at.ms);
            patterns.get(pattern)?.print(local(c.context, at), offset, zone.name(), &mut out);
            Ok(Some(out))
        })
    })
}

fn unix_timestamp(call: &Call<'_>) -> Resolved {
    call.count(0, 2)?;
    if call.len() == 0 {
        let result = SqlDataType::not_null(SqlTypeKind::BigInt);
        return call.optional(0, &[], result, |c| {
            let seconds = c.context.clock.now_ms() / 1000;
            c.make_numbers::<Int64Type>(|_| Some(seconds))
        });
    }
    call.optional(1, &[Text, Text], of(SqlTypeKind::BigInt, call.nullable()), |c| {
        let text = c.texts(0)?;
        let pattern = (c.len() > 1).then(|| c.texts(1)).transpose()?;
        let mut patterns = Patterns::new(Dialect::Simple);
        c.try_numbers::<Int64Type>(|row| {
            let Some(text) = text.get(row) else { return Ok(None) };
            let pattern = match &pattern {
                Some(pattern) => match pattern.get(row) {
                    Some(pattern) => pattern,
                    None => return Ok(None),
                },
                None => DEFAULT_PATTERN,
            };
            // What does not fit is the least number there is, as in Flink.
            let at = patterns.get(pattern)?.parse(text);
            let seconds = |at| zone::from_local_by_calendar(c.context.zone, at).ms / 1000;
            Ok(Some(at.map_or(i64::MIN, seconds)))
        })
    })
}

fn convert_tz(call: &Call<'_>) -> Resolved {
    call.partial(3, &[Text, Text, Text], STRING, |c| {
        let (text, from, to) = (c.texts(0)?, c.texts(1)?, c.texts(2)?);
        let mut patterns = Patterns::new(Dialect::Simple);
        c.try_texts(|row| {
            let (Some(text), Some(from), Some(to)) = (text.get(row), from.get(row), to.get(row))
            else {
                return Ok(None);
            };
            let pattern = patterns.get(DEFAULT_PATTERN)?;
            let Some(at) = pattern.parse(text) else { return Ok(None) };
            let at = zone::from_local_by_calendar(zone::by_calendar(from), at);
            let at = zone::to_local(zone::by_calendar(to), at);
            let mut out = String::new();
            pattern.print(at, 0, to, &mut out);
            Ok(Some(out))
        })
    })
}
