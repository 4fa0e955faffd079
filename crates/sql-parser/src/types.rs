//! Data types, all of Flink's, with nullability at every level.
//!
//! [`SqlDataType`] is a type as a statement names it. Its display is Flink's summary string
//! (`ARRAY<ROW<`a` INT NOT NULL>> NOT NULL`), which this crate also parses. Lengths, precisions and
//! scales are within Flink's bounds in every value that the parser gives; [`bounds`] names them.
//!
//! What is between types (casts, common types, arithmetic) belongs to the planner.

pub mod bounds;
mod display;
mod interval;

pub use interval::{IntervalPrecisions, IntervalResolution};

use crate::ast::ObjectName;

/// A type, and whether its values may be NULL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SqlDataType {
    /// The type.
    pub kind: SqlTypeKind,
    /// Whether NULL is one of its values.
    pub nullable: bool,
}

impl SqlDataType {
    /// A type whose values may be NULL.
    #[must_use]
    pub fn nullable(kind: SqlTypeKind) -> Self {
        Self { kind, nullable: true }
    }

    /// A type without NULL.
    #[must_use]
    pub fn not_null(kind: SqlTypeKind) -> Self {
        Self { kind, nullable: false }
    }
}

/// The types. Those with `Char` have characters, those with `Binary` bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlTypeKind {
    /// Texts of a fixed length.
    Char(u32),
    /// Texts of at most a length; STRING is the longest.
    Varchar(u32),
    /// TRUE and FALSE.
    Boolean,
    /// Bytes of a fixed length.
    Binary(u32),
    /// Bytes of at most a length; BYTES is the longest.
    Varbinary(u32),
    /// Decimal numbers.
    Decimal {
        /// Digits.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// 1 byte.
    TinyInt,
    /// 2 bytes.
    SmallInt,
    /// 4 bytes.
    Int,
    /// 8 bytes.
    BigInt,
    /// 4 bytes, binary floating point; also called REAL.
    Float,
    /// 8 bytes, binary floating point.
    Double,
    /// Days.
    Date,
    /// Times of day, with digits of a second.
    Time(u8),
    /// Date and time of day, with digits of a second.
    Timestamp(u8),
    /// Date and time of day in a zone. Flink has the type but no syntax for it in statements.
    TimestampWithTimeZone(u8),
    /// Points in time, shown in the session's zone, with digits of a second.
    TimestampLtz(u8),
    /// Intervals of months or of time.
    Interval(IntervalResolution, IntervalPrecisions),
    /// Sequences.
    Array(Box<SqlDataType>),
    /// Bags.
    Multiset(Box<SqlDataType>),
    /// From keys to values.
    Map(Box<SqlDataType>, Box<SqlDataType>),
    /// Fields in order.
    Row(Vec<RowField>),
    /// A class of Java with attributes; Flink's inline structured type.
    Structured {
        /// The class.
        class: String,
        /// Its attributes.
        fields: Vec<RowField>,
    },
    /// Values of any shape, JSON's and more.
    Variant,
    /// Bytes that only a serializer of Java understands.
    Raw {
        /// The class.
        class: String,
        /// The serializer's snapshot, in base 64.
        serializer: String,
    },
    /// The type of NULL alone. No statement can name it.
    Null,
    /// A type by name, which a catalog would have to know.
    Named(ObjectName),
}

/// A field of a row or structured type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowField {
    /// The name, unique in its row.
    pub name: String,
    /// The type.
    pub data_type: SqlDataType,
    /// What it means, for people.
    pub description: Option<String>,
}
