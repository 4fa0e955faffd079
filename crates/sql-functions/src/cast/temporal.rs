//! Casts to dates, times, points in time and intervals.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, Date32Array, DurationMillisecondArray,
    IntervalYearMonthArray, PrimitiveArray, StringArray, Time32MillisecondArray,
    cast::AsArray,
    types::{Date32Type, Int64Type, Time32MillisecondType},
};
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::{IntervalResolution, SqlTypeKind};

use super::{Mode, number};
use crate::{
    calendar::{
        DAY_MS,
        moment::{Moment, Moments, moments},
        parse, zone,
    },
    columns::{Evaluated, downcast},
    types::is_text,
};

/// To DATE, TIME, TIMESTAMP and TIMESTAMP_LTZ.
pub(super) fn to_time(
    array: &ArrayRef,
    from: &SqlTypeKind,
    to: &SqlTypeKind,
    mode: Mode<'_>,
) -> Evaluated {
    match to {
        SqlTypeKind::Date => to_date(array, from, mode),
        SqlTypeKind::Time(precision) => to_time_of_day(array, from, *precision, mode),
        SqlTypeKind::Timestamp(precision) => to_moment(array, from, *precision, false, mode),
        SqlTypeKind::TimestampLtz(precision) => to_moment(array, from, *precision, true, mode),
        other => Err(EvalError::Internal(format!("{other} is no time"))),
    }
}

fn read<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    mode: Mode<'_>,
    parse: impl Fn(&str) -> Option<T::Native>,
    why: impl Fn(&str) -> String,
) -> Result<PrimitiveArray<T>, EvalError> {
    let texts = downcast::<StringArray>(array)?;
    let mut builder = PrimitiveArray::<T>::builder(texts.len());
    for text in texts {
        builder.append_option(match text {
            None => None,
            Some(text) => mode.settle(parse(text), || why(text))?,
        });
    }
    Ok(builder.finish())
}

fn to_date(array: &ArrayRef, from: &SqlTypeKind, mode: Mode<'_>) -> Evaluated {
    if is_text(from) {
        let why = |text: &str| format!("For input string: '{text}'.");
        return Ok(Arc::new(read::<Date32Type>(array, mode, parse::date, why)?));
    }
    let times = Moments::of(array, false)?;
    let zoned = matches!(from, SqlTypeKind::TimestampLtz(_));
    let dates = (0..array.len()).map(|row| {
        times.get(row).map(|at| match zoned {
            true => zone::to_local(mode.context.zone, at).ms.div_euclid(DAY_MS) as i32,
            // Before 1970 a day later, as in Flink.
            false => (at.ms / DAY_MS) as i32,
        })
    });
    Ok(Arc::new(dates.collect::<Date32Array>()))
}

/// Cuts a time of day to its precision.
pub(crate) fn cut_time(ms: i32, precision: u8) -> i32 {
    let unit = 10i32.pow(3u32.saturating_sub(u32::from(precision)));
    ms / unit * unit
}

fn to_time_of_day(
    array: &ArrayRef,
    from: &SqlTypeKind,
    precision: u8,
    mode: Mode<'_>,
) -> Evaluated {
    if is_text(from) {
        let parse = |text: &str| parse::time(text).map(|ms| cut_time(ms, precision));
        let why =
            |text: &str| format!("Invalid time format: '{text}'. Expected format: HH:mm:ss[.fff]");
        return Ok(Arc::new(read::<Time32MillisecondType>(array, mode, parse, why)?));
    }
    if let SqlTypeKind::Time(_) = from {
        let times = downcast::<Time32MillisecondArray>(array)?;
        let times = times.unary::<_, Time32MillisecondType>(|ms| cut_time(ms, precision));
        return Ok(Arc::new(times));
    }
    let times = Moments::of(array, false)?;
    let zoned = matches!(from, SqlTypeKind::TimestampLtz(_));
    let times = (0..array.len()).map(|row| {
        let ms = times.get(row).map(|at| match zoned {
            true => zone::to_local(mode.context.zone, at).ms.rem_euclid(DAY_MS) as i32,
            // Before 1970 it is negative, as in Flink; printing adds the day.
            false => (at.ms % DAY_MS) as i32,
        });
        ms.map(|ms| cut_time(ms, precision))
    });
    Ok(Arc::new(times.collect::<Time32MillisecondArray>()))
}

fn to_moment(
    array: &ArrayRef,
    from: &SqlTypeKind,
    precision: u8,
    zoned: bool,
    mode: Mode<'_>,
) -> Evaluated {
    let local = mode.context.zone;
    let rows = array.len();
    // Of a local time.
    let settle = |at: Moment| if zoned { zone::from_local(local, at) } else { at };
    match from {
        kind if is_text(kind) => {
            let texts = downcast::<StringArray>(array)?;
            moments(rows, precision, zoned, |row| {
                if texts.is_null(row) {
                    return Ok(None);
                }
                let text = texts.value(row);
                mode.settle(parse::timestamp(text, precision).map(settle), || {
                    format!("Text '{text}' could not be parsed as a timestamp")
                })
            })
        }
        SqlTypeKind::Date => {
            let dates = downcast::<Date32Array>(array)?;
            moments(rows, precision, zoned, |row| {
                let ms = |row| i64::from(dates.value(row)) * DAY_MS;
                Ok(dates.is_valid(row).then(|| settle(Moment::of_ms(ms(row)))))
            })
        }
        SqlTypeKind::Time(_) => {
            let times = downcast::<Time32MillisecondArray>(array)?;
            moments(rows, precision, zoned, |row| {
                let ms = |row| i64::from(times.value(row));
                Ok(times.is_valid(row).then(|| settle(Moment::of_ms(ms(row)))))
            })
        }
        _ => {
            let times = Moments::of(array, false)?;
            let from_zoned = matches!(from, SqlTypeKind::TimestampLtz(_));
            moments(rows, precision, zoned, |row| {
                Ok(times.get(row).map(|at| {
                    let at = match (from_zoned, zoned) {
                        (true, false) => zone::to_local(local, at),
                        (false, true) => zone::from_local(local, at),
                        _ => at,
                    };
                    at.truncated(precision)
                }))
            })
        }
    }
}

/// To an interval, of numbers and of other intervals.
pub(super) fn to_interval(
    array: &ArrayRef,
    from: &SqlTypeKind,
    resolution: IntervalResolution,
    mode: Mode<'_>,
) -> Evaluated {
    if let SqlTypeKind::Interval(source, _) = from
        && source.is_year_month() == resolution.is_year_month()
    {
        return Ok(array.clone());
    }
    let numbers = number::to_number(array, from, &SqlTypeKind::BigInt, mode)?;
    let numbers = numbers.as_primitive::<Int64Type>().iter();
    Ok(if resolution.is_year_month() {
        Arc::new(
            numbers
                .map(|value| value.map(|value| value as i32))
                .collect::<IntervalYearMonthArray>(),
        )
    } else {
        Arc::new(numbers.collect::<DurationMillisecondArray>())
    })
}
