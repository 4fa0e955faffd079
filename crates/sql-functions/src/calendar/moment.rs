//! Points in time of any precision, and columns of them.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, TimeUnit};
use hurtig_sql_common::{EvalError, columns::time_unit};

use super::{DAY_MS, print_clock, print_date};
use crate::columns::{Columns, Evaluated, downcast};

/// Milliseconds since 1970 and nanoseconds beside them, as Flink's `TimestampData`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub ms: i64,
    /// Nanoseconds of the millisecond.
    pub nanos: u32,
}

impl Moment {
    /// A point in time of whole milliseconds.
    #[must_use]
    pub fn of_ms(ms: i64) -> Self {
        Self { ms, nanos: 0 }
    }

    /// Nanoseconds of the second.
    #[must_use]
    pub fn nanos_of_second(self) -> u32 {
        self.ms.rem_euclid(1000) as u32 * 1_000_000 + self.nanos
    }

    /// With fewer digits of the second: towards zero, as Flink cuts.
    #[must_use]
    pub fn truncated(self, precision: u8) -> Self {
        match precision {
            0..=3 => {
                let unit = 10i64.pow(u32::from(3 - precision));
                Self::of_ms(self.ms / unit * unit)
            }
            4..=8 => {
                let unit = 10u32.pow(u32::from(9 - precision));
                Self { ms: self.ms, nanos: self.nanos / unit * unit }
            }
            _ => self,
        }
    }

    /// `2024-02-29 12:34:56.789` with `precision` digits.
    pub fn print(self, precision: u8, out: &mut String) {
        print_date(self.ms.div_euclid(DAY_MS) as i32, out);
        out.push(' ');
        print_clock((self.ms.rem_euclid(DAY_MS) / 1000) as i32, out);
        if precision > 0 {
            let digits = format!("{:09}", self.nanos_of_second());
            out.push('.');
            out.push_str(&digits[..usize::from(precision.min(9))]);
        }
    }
}

/// A column of points in time.
pub struct Moments<'a> {
    values: &'a [i64],
    array: &'a dyn Array,
    unit: TimeUnit,
    constant: bool,
}

impl<'a> Moments<'a> {
    /// Of a column of any unit.
    pub fn of(array: &'a ArrayRef, constant: bool) -> Result<Self, EvalError> {
        let (values, unit): (&[i64], _) = match array.data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                (downcast::<TimestampMillisecondArray>(array)?.values(), TimeUnit::Millisecond)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                (downcast::<TimestampMicrosecondArray>(array)?.values(), TimeUnit::Microsecond)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                (downcast::<TimestampNanosecondArray>(array)?.values(), TimeUnit::Nanosecond)
            }
            other => return Err(EvalError::Internal(format!("a column of {other}, not of times"))),
        };
        Ok(Self { values, array, unit, constant })
    }

    /// The value of a row.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> Option<Moment> {
        let row = if self.constant { 0 } else { row };
        if self.array.is_null(row) {
            return None;
        }
        let value = self.values[row];
        let per_ms = match self.unit {
            TimeUnit::Nanosecond => 1_000_000,
            TimeUnit::Microsecond => 1_000,
            _ => return Some(Moment::of_ms(value)),
        };
        let nanos = value.rem_euclid(per_ms) * (1_000_000 / per_ms);
        Some(Moment { ms: value.div_euclid(per_ms), nanos: nanos as u32 })
    }
}

/// A column of points in time with that precision; with `zoned` of TIMESTAMP_LTZ.
pub fn moments(
    rows: usize,
    precision: u8,
    zoned: bool,
    mut of: impl FnMut(usize) -> Result<Option<Moment>, EvalError>,
) -> Evaluated {
    let unit = time_unit(precision);
    let (per_ms, nanos_per) = match unit {
        TimeUnit::Nanosecond => (1_000_000, 1),
        TimeUnit::Microsecond => (1_000, 1_000),
        _ => (1, 1_000_000),
    };
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        values.push(match of(row)? {
            None => None,
            Some(moment) => {
                let fraction = i64::from(moment.nanos / nanos_per);
                let value = moment.ms.checked_mul(per_ms).and_then(|ms| ms.checked_add(fraction));
                Some(value.ok_or_else(|| {
                    let what = format!("{} ms since 1970", moment.ms);
                    EvalError::Value(format!("TIMESTAMP({precision}) has no room for {what}"))
                })?)
            }
        });
    }
    let zone = zoned.then(|| Arc::from("UTC"));
    Ok(match unit {
        TimeUnit::Nanosecond => {
            Arc::new(TimestampNanosecondArray::from(values).with_timezone_opt::<Arc<str>>(zone))
        }
        TimeUnit::Microsecond => {
            Arc::new(TimestampMicrosecondArray::from(values).with_timezone_opt::<Arc<str>>(zone))
        }
        _ => Arc::new(TimestampMillisecondArray::from(values).with_timezone_opt::<Arc<str>>(zone)),
    })
}

impl<'a> Columns<'a> {
    /// An argument of points in time.
    pub(crate) fn moments(&self, index: usize) -> Result<Moments<'a>, EvalError> {
        let (array, constant) = self.raw(index)?;
        Moments::of(array, constant)
    }

    /// Points in time of that precision.
    pub(crate) fn make_moments(
        &self,
        precision: u8,
        zoned: bool,
        mut of: impl FnMut(usize) -> Option<Moment>,
    ) -> Evaluated {
        moments(self.rows, precision, zoned, |row| Ok(of(row)))
    }
}
