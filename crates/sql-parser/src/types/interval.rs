//! Interval types: which fields they have and how many digits.

/// The fields of an interval type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntervalResolution {
    /// YEAR
    Year,
    /// YEAR TO MONTH
    YearToMonth,
    /// MONTH
    Month,
    /// DAY
    Day,
    /// DAY TO HOUR
    DayToHour,
    /// DAY TO MINUTE
    DayToMinute,
    /// DAY TO SECOND
    DayToSecond,
    /// HOUR
    Hour,
    /// HOUR TO MINUTE
    HourToMinute,
    /// HOUR TO SECOND
    HourToSecond,
    /// MINUTE
    Minute,
    /// MINUTE TO SECOND
    MinuteToSecond,
    /// SECOND
    Second,
}

impl IntervalResolution {
    /// Whether it counts months, not time.
    #[must_use]
    pub fn is_year_month(self) -> bool {
        matches!(self, Self::Year | Self::YearToMonth | Self::Month)
    }

    /// Whether it begins with a year.
    #[must_use]
    pub fn has_years(self) -> bool {
        matches!(self, Self::Year | Self::YearToMonth)
    }

    /// Whether it begins with a day.
    #[must_use]
    pub fn has_days(self) -> bool {
        matches!(self, Self::Day | Self::DayToHour | Self::DayToMinute | Self::DayToSecond)
    }

    /// Whether it ends with a second.
    #[must_use]
    pub fn has_seconds(self) -> bool {
        matches!(self, Self::DayToSecond | Self::HourToSecond | Self::MinuteToSecond | Self::Second)
    }

    /// As Flink prints it, without digits: first field, and last if there is another.
    pub(crate) fn fields(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Year => ("YEAR", None),
            Self::YearToMonth => ("YEAR", Some("MONTH")),
            Self::Month => ("MONTH", None),
            Self::Day => ("DAY", None),
            Self::DayToHour => ("DAY", Some("HOUR")),
            Self::DayToMinute => ("DAY", Some("MINUTE")),
            Self::DayToSecond => ("DAY", Some("SECOND")),
            Self::Hour => ("HOUR", None),
            Self::HourToMinute => ("HOUR", Some("MINUTE")),
            Self::HourToSecond => ("HOUR", Some("SECOND")),
            Self::Minute => ("MINUTE", None),
            Self::MinuteToSecond => ("MINUTE", Some("SECOND")),
            Self::Second => ("SECOND", None),
        }
    }
}

/// Digits of an interval type's first field (years or days) and of its second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IntervalPrecisions {
    /// Digits of years or days; those of other first fields have no bound.
    pub leading: u8,
    /// Digits behind the second.
    pub fraction: u8,
}
