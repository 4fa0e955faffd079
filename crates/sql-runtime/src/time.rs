//! Times in columns, and watermarks.

use arrow_array::{Array, ArrayRef, Int64Array, cast::AsArray, types::*};
use arrow_schema::{DataType, TimeUnit};
use chrono::{Offset, TimeZone};
use chrono_tz::Tz;
use hurtig_types::{FlowError, FlowResult};

/// Milliseconds of a TIMESTAMP or TIMESTAMP_LTZ column (or of a BIGINT).
pub(crate) fn millis(column: &ArrayRef) -> FlowResult<Int64Array> {
    Ok(match column.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            column.as_primitive::<TimestampMillisecondType>().reinterpret_cast::<Int64Type>()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => column
            .as_primitive::<TimestampMicrosecondType>()
            .unary::<_, Int64Type>(|micros| micros.div_euclid(1_000)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => column
            .as_primitive::<TimestampNanosecondType>()
            .unary::<_, Int64Type>(|nanos| nanos.div_euclid(1_000_000)),
        DataType::Timestamp(TimeUnit::Second, _) => {
            column
                .as_primitive::<TimestampSecondType>()
                .unary::<_, Int64Type>(|seconds| seconds.saturating_mul(1_000))
        }
        DataType::Int64 => column.as_primitive::<Int64Type>().clone(),
        other => {
            return Err(FlowError::internal(format!("a time attribute of type {other}")));
        }
    })
}

/// The times of a rowtime column, which must be there.
pub(crate) fn rowtimes(column: &ArrayRef) -> FlowResult<Int64Array> {
    let times = millis(column)?;
    if times.null_count() > 0 {
        return Err(FlowError::user(
            "RowTime field should not be null, please convert it to a non-null long value.",
        ));
    }
    Ok(times)
}

/// A TIMESTAMP column of a field's type.
pub(crate) fn timestamps(millis: Vec<i64>, data_type: &DataType) -> FlowResult<ArrayRef> {
    let column = Int64Array::from(millis);
    Ok(match data_type {
        DataType::Timestamp(TimeUnit::Millisecond, zone) => std::sync::Arc::new(
            column.reinterpret_cast::<TimestampMillisecondType>().with_timezone_opt(zone.clone()),
        ),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => std::sync::Arc::new(
            column
                .unary::<_, TimestampMicrosecondType>(|ms| ms.saturating_mul(1_000))
                .with_timezone_opt(zone.clone()),
        ),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => std::sync::Arc::new(
            column
                .unary::<_, TimestampNanosecondType>(|ms| ms.saturating_mul(1_000_000))
                .with_timezone_opt(zone.clone()),
        ),
        DataType::Int64 => std::sync::Arc::new(column),
        other => return Err(FlowError::internal(format!("a window's time of type {other}"))),
    })
}

/// From a moment to what clocks in a zone show, as if that were UTC.
pub(crate) fn to_local(epoch_ms: i64, zone: Option<Tz>) -> i64 {
    let Some(zone) = zone.filter(|zone| *zone != chrono_tz::UTC) else { return epoch_ms };
    match chrono::DateTime::from_timestamp_millis(epoch_ms) {
        Some(moment) => {
            let offset = zone.offset_from_utc_datetime(&moment.naive_utc()).fix();
            epoch_ms + i64::from(offset.local_minus_utc()) * 1_000
        }
        None => epoch_ms,
    }
}

/// An hour, by which clocks are set.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// The moment when clocks in a zone show that. In a gap, that as long after it; of two the earlier.
/// For timers the end of the gap, and of two the later, so that a window ends when all of its time is
/// over (as Flink's `toEpochMillsForTimer`).
pub(crate) fn to_epoch(local_ms: i64, zone: Option<Tz>, for_timer: bool) -> i64 {
    let Some(zone) = zone.filter(|zone| *zone != chrono_tz::UTC) else { return local_ms };
    let Some(shown) = chrono::DateTime::from_timestamp_millis(local_ms) else { return local_ms };
    match zone.from_local_datetime(&shown.naive_utc()) {
        chrono::LocalResult::Single(moment) => moment.timestamp_millis(),
        chrono::LocalResult::Ambiguous(earlier, later) => {
            if for_timer {
                later.timestamp_millis()
            } else {
                earlier.timestamp_millis()
            }
        }
        chrono::LocalResult::None => {
            // The offset before the gap.
            let before = shown.naive_utc() - chrono::Duration::days(1);
            let offset = zone.offset_from_utc_datetime(&before).fix();
            let moment = local_ms - i64::from(offset.local_minus_utc()) * 1_000;
            if for_timer { moment - moment.rem_euclid(HOUR_MS) } else { moment }
        }
    }
}
