//! Types of SQL that Rust does not have.
//!
//! Each is a struct of one field, whose name in serde begins with [`MARK`] and goes on with the SQL
//! type: so it is found by [`super::data_type_of`], and is a plain number in state and on the way.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// How the names of their fields begin.
pub(super) const MARK: &str = "hurtig.sql/";
/// Digits behind the point of [`Decimal`].
pub(super) const DECIMAL_SCALE: u8 = 18;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $field:ident: $type:ty, $mark:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        pub struct $name {
            #[serde(rename = $mark)]
            $field: $type,
        }
    };
}

number!(
    /// TIMESTAMP(3): a date and a time of day, in no zone.
    Timestamp, millis: i64, "hurtig.sql/TIMESTAMP(3)"
);
number!(
    /// TIMESTAMP_LTZ(3): a moment.
    TimestampLtz, millis: i64, "hurtig.sql/TIMESTAMP_LTZ(3)"
);
number!(
    /// DATE
    Date, days: i32, "hurtig.sql/DATE"
);
number!(
    /// TIME(3)
    Time, millis: i32, "hurtig.sql/TIME(3)"
);
number!(
    /// DECIMAL(38, 18)
    Decimal, unscaled: i128, "hurtig.sql/DECIMAL(38, 18)"
);

impl Timestamp {
    /// So many milliseconds after midnight of 1970-01-01.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self { millis }
    }

    /// Milliseconds after midnight of 1970-01-01.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.millis
    }
}

impl TimestampLtz {
    /// So many milliseconds after midnight UTC of 1970-01-01.
    #[must_use]
    pub fn from_epoch_millis(millis: i64) -> Self {
        Self { millis }
    }

    /// Milliseconds after midnight UTC of 1970-01-01.
    #[must_use]
    pub fn epoch_millis(self) -> i64 {
        self.millis
    }
}

impl Date {
    /// So many days after 1970-01-01.
    #[must_use]
    pub fn from_epoch_days(days: i32) -> Self {
        Self { days }
    }

    /// Days after 1970-01-01.
    #[must_use]
    pub fn epoch_days(self) -> i32 {
        self.days
    }
}

impl Time {
    /// So many milliseconds after midnight.
    #[must_use]
    pub fn from_millis_of_day(millis: i32) -> Self {
        Self { millis }
    }

    /// Milliseconds after midnight.
    #[must_use]
    pub fn millis_of_day(self) -> i32 {
        self.millis
    }
}

impl Decimal {
    /// A number in units of its 18th digit behind the point.
    #[must_use]
    pub fn from_unscaled(unscaled: i128) -> Self {
        Self { unscaled }
    }

    /// The number in units of its 18th digit behind the point.
    #[must_use]
    pub fn unscaled(self) -> i128 {
        self.unscaled
    }
}

impl From<NaiveDateTime> for Timestamp {
    fn from(value: NaiveDateTime) -> Self {
        Self { millis: value.and_utc().timestamp_millis() }
    }
}

impl From<DateTime<Utc>> for TimestampLtz {
    fn from(value: DateTime<Utc>) -> Self {
        Self { millis: value.timestamp_millis() }
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self { unscaled: i128::from(value) * 10i128.pow(u32::from(DECIMAL_SCALE)) }
    }
}

impl Timestamp {
    /// As chrono has it; `None` for years that it does not have.
    #[must_use]
    pub fn to_naive(self) -> Option<NaiveDateTime> {
        DateTime::from_timestamp_millis(self.millis).map(|one| one.naive_utc())
    }
}

impl TimestampLtz {
    /// As chrono has it; `None` for years that it does not have.
    #[must_use]
    pub fn to_utc(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.millis)
    }
}

impl Date {
    /// As chrono has it; `None` for years that it does not have.
    #[must_use]
    pub fn to_naive(self) -> Option<NaiveDate> {
        let epoch = NaiveDate::default();
        let days = Days::new(u64::from(self.days.unsigned_abs()));
        if self.days < 0 { epoch.checked_sub_days(days) } else { epoch.checked_add_days(days) }
    }
}

impl From<NaiveDate> for Date {
    fn from(value: NaiveDate) -> Self {
        // chrono's years are too few for more days than fit.
        let days = value.signed_duration_since(NaiveDate::default()).num_days();
        Self { days: i32::try_from(days).unwrap_or(i32::MAX) }
    }
}

impl Time {
    /// As chrono has it; `None` beyond a day.
    #[must_use]
    pub fn to_naive(self) -> Option<NaiveTime> {
        let midnight = NaiveTime::default();
        let (time, days) =
            midnight.overflowing_add_signed(TimeDelta::milliseconds(i64::from(self.millis)));
        (days == 0).then_some(time)
    }
}

impl From<NaiveTime> for Time {
    fn from(value: NaiveTime) -> Self {
        let millis = value.num_seconds_from_midnight() * 1000 + value.nanosecond() / 1_000_000;
        // A day has fewer milliseconds than an `i32` counts.
        Self { millis: i32::try_from(millis).unwrap_or(i32::MAX) }
    }
}
