//! The values of a field for some rows.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float32Array, Float64Array,
    ListArray, MapArray, PrimitiveArray, StringArray, StructArray, types,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, IntervalUnit, TimeUnit};

use super::field::{FieldGenerator, Kind};

/// A random number, the same for the same row and seed.
fn random(seed: u64, row: u64) -> u64 {
    let mut z = seed.wrapping_add(row.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from 0 up to, but not including, 1.
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1u64 << 53) as f64
}

/// The column; `now_ms` is the wall time.
pub(super) fn of(
    field: &FieldGenerator,
    rows: &[u64],
    now_ms: i64,
) -> Result<ArrayRef, ArrowError> {
    let seed = field.seed;
    let at = |row: &u64| random(seed, *row);
    let nulls = (field.null_rate > 0).then(|| {
        let valid = |row: &u64| random(!seed, *row) >> 32 >= field.null_rate;
        NullBuffer::from_iter(rows.iter().map(valid))
    });
    let wanted = field.field.data_type();
    Ok(match &field.kind {
        Kind::Boolean => {
            let values = rows.iter().map(|row| at(row) & 1 == 1).collect::<Vec<_>>();
            Arc::new(BooleanArray::new(values.into(), nulls))
        }
        Kind::Integer { min, max } => {
            // Of DECIMALs the distance of the extremes is no i128.
            let span = max.abs_diff(*min) + 1;
            let value = |row: &u64| {
                let wide = u128::from(at(row)) << 64 | u128::from(random(!at(row), *row));
                min.wrapping_add((wide % span) as i128)
            };
            integers(wanted, rows.iter().map(value), nulls)?
        }
        Kind::Sequence { start, .. } => sequence(wanted, *start, rows, nulls)?,
        Kind::Float { min, max } => {
            // Halves first: the distance of the extremes is no number.
            let value = |row: &u64| {
                let share = unit(at(row));
                min * (1.0 - share) + max * share
            };
            if *wanted == DataType::Float32 {
                let values = rows.iter().map(|row| value(row) as f32).collect::<Vec<_>>();
                Arc::new(Float32Array::new(values.into(), nulls))
            } else {
                let values = rows.iter().map(value).collect::<Vec<_>>();
                Arc::new(Float64Array::new(values.into(), nulls))
            }
        }
        Kind::Length { length, varies } => texts(wanted, *length, *varies, seed, rows, nulls)?,
        Kind::Now => {
            let of_day = now_ms.rem_euclid(86_400_000);
            let value = match wanted {
                DataType::Date32 => now_ms.div_euclid(86_400_000),
                _ => of_day,
            };
            integers(wanted, rows.iter().map(|_| i128::from(value)), nulls)?
        }
        Kind::Past { max_past_ms } => {
            let per_ms: i128 = match wanted {
                DataType::Timestamp(TimeUnit::Nanosecond, _) => 1_000_000,
                DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
                _ => 1,
            };
            let value = |row: &u64| {
                let past = if *max_past_ms == 0 { 0 } else { at(row) % max_past_ms };
                (i128::from(now_ms) - i128::from(past)) * per_ms
            };
            integers(wanted, rows.iter().map(value), nulls)?
        }
        Kind::Row(fields) => {
            let DataType::Struct(types) = wanted else { return Err(wrong(wanted)) };
            let columns = fields.iter().map(|field| of(field, rows, now_ms));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            Arc::new(StructArray::try_new_with_length(types.clone(), columns, nulls, rows.len())?)
        }
        Kind::List { length, element } => {
            let DataType::List(inner) = wanted else { return Err(wrong(wanted)) };
            let values = of(element, &spread(rows, *length), now_ms)?;
            let offsets = OffsetBuffer::from_lengths(rows.iter().map(|_| *length as usize));
            Arc::new(ListArray::try_new(inner.clone(), offsets, values, nulls)?)
        }
        Kind::Map { length, key, value } => {
            let DataType::Map(entries, sorted) = wanted else { return Err(wrong(wanted)) };
            let DataType::Struct(types) = entries.data_type() else { return Err(wrong(wanted)) };
            let inner = spread(rows, *length);
            let columns = vec![of(key, &inner, now_ms)?, of(value, &inner, now_ms)?];
            let all = StructArray::try_new(types.clone(), columns, None)?;
            let offsets = OffsetBuffer::from_lengths(rows.iter().map(|_| *length as usize));
            Arc::new(MapArray::try_new(entries.clone(), offsets, all, nulls, *sorted)?)
        }
    })
}

fn wrong(data_type: &DataType) -> ArrowError {
    ArrowError::SchemaError(format!("no generator gives {data_type}"))
}

/// The rows of the elements of rows.
fn spread(rows: &[u64], length: u32) -> Vec<u64> {
    let length = u64::from(length);
    rows.iter().flat_map(|row| (0..length).map(move |nth| row.wrapping_mul(length) + nth)).collect()
}

fn integers(
    wanted: &DataType,
    values: impl Iterator<Item = i128>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    macro_rules! array {
        ($kind:ident) => {{
            // Within the bounds of the type, which the options were checked for.
            let values: Vec<_> = values.map(|value| value as _).collect();
            Arc::new(
                PrimitiveArray::<types::$kind>::new(values.into(), nulls)
                    .with_data_type(wanted.clone()),
            )
        }};
    }
    Ok(match wanted {
        DataType::Int8 => array!(Int8Type),
        DataType::Int16 => array!(Int16Type),
        DataType::Int32 => array!(Int32Type),
        DataType::Int64 => array!(Int64Type),
        DataType::Date32 => array!(Date32Type),
        DataType::Time32(TimeUnit::Millisecond) => array!(Time32MillisecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => array!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => array!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => array!(TimestampNanosecondType),
        DataType::Interval(IntervalUnit::YearMonth) => array!(IntervalYearMonthType),
        DataType::Duration(TimeUnit::Millisecond) => array!(DurationMillisecondType),
        DataType::Decimal128(..) => {
            let values: Vec<i128> = values.collect();
            let array = Decimal128Array::new(values.into(), nulls);
            Arc::new(array.with_data_type(wanted.clone()))
        }
        other => return Err(wrong(other)),
    })
}

fn sequence(
    wanted: &DataType,
    start: i64,
    rows: &[u64],
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let values = rows.iter().map(|row| i128::from(start) + i128::from(*row));
    Ok(match wanted {
        DataType::Float32 => {
            let values = values.map(|value| value as f32).collect::<Vec<_>>();
            Arc::new(Float32Array::new(values.into(), nulls))
        }
        DataType::Float64 => {
            let values = values.map(|value| value as f64).collect::<Vec<_>>();
            Arc::new(Float64Array::new(values.into(), nulls))
        }
        DataType::Utf8 => {
            let texts = StringArray::from_iter_values(values.map(|value| value.to_string()));
            let (offsets, bytes, _) = texts.into_parts();
            Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
        }
        DataType::Binary => {
            let texts = BinaryArray::from_iter_values(values.map(|value| value.to_string()));
            let (offsets, bytes, _) = texts.into_parts();
            Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
        }
        DataType::Decimal128(precision, scale) => {
            let factor = 10i128.pow(u32::try_from(*scale).unwrap_or(0));
            let limit = 10i128.pow(u32::from(*precision).min(38));
            let scaled =
                values.map(|value| value.checked_mul(factor).filter(|value| value.abs() < limit));
            let array: Decimal128Array = scaled.collect();
            let nulls = NullBuffer::union(array.nulls(), nulls.as_ref());
            let array = Decimal128Array::new(array.values().clone(), nulls);
            Arc::new(array.with_data_type(wanted.clone()))
        }
        _ => integers(wanted, values, nulls)?,
    })
}

/// Texts of hexadecimal digits, as Flink's, or bytes.
fn texts(
    wanted: &DataType,
    length: u32,
    varies: bool,
    seed: u64,
    rows: &[u64],
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let length_of = |row: u64| {
        let drawn = || 1 + (random(seed ^ 0xa5a5, row) % u64::from(length.max(1))) as usize;
        if varies { drawn().min(length as usize) } else { length as usize }
    };
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| length_of(*row)));
    let mut bytes = Vec::with_capacity(offsets.last().map_or(0, |end| *end as usize));
    let text = *wanted == DataType::Utf8;
    for row in rows {
        let (mut left, mut nth) = (length_of(*row), 0u64);
        let base = random(seed, *row);
        while left > 0 {
            let mut word = random(base, nth);
            nth += 1;
            for _ in 0..left.min(if text { 16 } else { 8 }) {
                if text {
                    bytes.push(b"0123456789abcdef"[(word & 15) as usize]);
                    word >>= 4;
                } else {
                    bytes.push(word as u8);
                    word >>= 8;
                }
                left -= 1;
            }
        }
    }
    Ok(if text {
        Arc::new(StringArray::try_new(offsets, bytes.into(), nulls)?)
    } else {
        Arc::new(BinaryArray::try_new(offsets, bytes.into(), nulls)?)
    })
}
