//! Bounds of lengths, precisions and scales, as in Flink.

/// The longest CHAR, VARCHAR, BINARY and VARBINARY; STRING and BYTES have it.
pub const MAX_LENGTH: u32 = i32::MAX as u32;
/// The most digits of a DECIMAL.
pub const MAX_DECIMAL_PRECISION: u8 = 38;
/// Digits of a DECIMAL that names none.
pub const DEFAULT_DECIMAL_PRECISION: u8 = 10;
/// The most digits of a second.
pub const MAX_SECOND_PRECISION: u8 = 9;
/// Digits of a second of a TIMESTAMP that names none.
pub const DEFAULT_TIMESTAMP_PRECISION: u8 = 6;
/// Digits of a second of a TIME that names none.
pub const DEFAULT_TIME_PRECISION: u8 = 0;
/// The most digits of an interval's years.
pub const MAX_YEAR_PRECISION: u8 = 4;
/// Digits of an interval's years if none are named.
pub const DEFAULT_YEAR_PRECISION: u8 = 2;
/// The most digits of an interval's days.
pub const MAX_DAY_PRECISION: u8 = 6;
/// Digits of an interval's days if none are named.
pub const DEFAULT_DAY_PRECISION: u8 = 2;
/// Digits of an interval's second if none are named.
pub const DEFAULT_INTERVAL_SECOND_PRECISION: u8 = 6;
