//! Constants, units of time and intervals.

use crate::span::Span;

/// A constant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Literal {
    /// A number without sign, as it was written: nothing of its precision is lost.
    Number(String, NumberKind),
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// TRUE or FALSE.
    Boolean(bool),
    /// UNKNOWN: NULL of the type BOOLEAN.
    Unknown,
    /// NULL
    Null,
    /// `DATE '2024-02-29'`: checked, as it was written.
    Date(String),
    /// `TIME '12:34:56.789'`: checked, as it was written.
    Time(String),
    /// `TIMESTAMP '2024-02-29 12:34:56.789'`: checked, as it was written.
    Timestamp(String),
    /// `TIMESTAMP WITH LOCAL TIME ZONE '...'`
    TimestampLtz(String),
    /// `INTERVAL '5' MINUTE`
    Interval(IntervalLiteral),
}

/// How a number is written, which gives its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// Digits alone.
    Integer,
    /// With a point.
    Decimal,
    /// With an exponent.
    Approximate,
}

/// A constant interval.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IntervalLiteral {
    /// A minus before the text. The text may have one too.
    pub negated: bool,
    /// The text, such as `1 02:03:04.5`.
    pub text: String,
    /// Its fields.
    pub qualifier: IntervalQualifier,
}

/// The fields of an interval and their digits, as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IntervalQualifier {
    /// The first field.
    pub first: IntervalUnit,
    /// Digits of the first field.
    pub leading: Option<u8>,
    /// The last field, if there is another.
    pub last: Option<IntervalUnit>,
    /// Digits behind the second.
    pub fraction: Option<u8>,
    /// Where they stand.
    pub span: Span,
}

/// Fields of intervals, from long to short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IntervalUnit {
    /// YEAR or YEARS
    Year,
    /// QUARTER or QUARTERS
    Quarter,
    /// MONTH or MONTHS
    Month,
    /// WEEK or WEEKS
    Week,
    /// DAY or DAYS
    Day,
    /// HOUR or HOURS
    Hour,
    /// MINUTE or MINUTES
    Minute,
    /// SECOND or SECONDS
    Second,
}

impl IntervalUnit {
    /// All, with singular and plural.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Year, "YEAR", "YEARS"),
        (Self::Quarter, "QUARTER", "QUARTERS"),
        (Self::Month, "MONTH", "MONTHS"),
        (Self::Week, "WEEK", "WEEKS"),
        (Self::Day, "DAY", "DAYS"),
        (Self::Hour, "HOUR", "HOURS"),
        (Self::Minute, "MINUTE", "MINUTES"),
        (Self::Second, "SECOND", "SECONDS"),
    ];

    /// Its word in the singular.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(unit, _, _)| *unit == self).map_or("", |(_, word, _)| word)
    }
}

macro_rules! time_units {
    ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
        /// Units of time that a function takes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum TimeUnit {
            $($(#[$doc])* $name,)*
        }

        impl TimeUnit {
            /// All, with their words.
            pub(crate) const ALL: &[(Self, &'static str)] = &[$((Self::$name, $text),)*];

            /// Its word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

time_units! {
    /// 1 / 1 000 000 000 of a second.
    Nanosecond "NANOSECOND",
    /// 1 / 1 000 000 of a second.
    Microsecond "MICROSECOND",
    /// 1 / 1 000 of a second.
    Millisecond "MILLISECOND",
    /// Seconds.
    Second "SECOND",
    /// Minutes.
    Minute "MINUTE",
    /// Hours.
    Hour "HOUR",
    /// Days.
    Day "DAY",
    /// Day of the week, from Sunday as 1.
    Dow "DOW",
    /// Day of the year, from 1.
    Doy "DOY",
    /// Day of the week, from Monday as 1.
    IsoDow "ISODOW",
    /// Year of the ISO week.
    IsoYear "ISOYEAR",
    /// Weeks.
    Week "WEEK",
    /// Months.
    Month "MONTH",
    /// Quarters.
    Quarter "QUARTER",
    /// Years.
    Year "YEAR",
    /// Seconds since 1970.
    Epoch "EPOCH",
    /// Decades.
    Decade "DECADE",
    /// Centuries.
    Century "CENTURY",
    /// Millennia.
    Millennium "MILLENNIUM",
}
