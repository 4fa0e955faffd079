//! What a field of generated rows is, from its options.

use arrow_schema::Field;
use hurtig_sql_common::columns;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::super::{
    api::TableError,
    options::{TableOptions, invalid},
};

/// Length of STRING and BYTES, and elements of collections, if nothing is said.
const DEFAULT_LENGTH: u32 = 100;
const DEFAULT_ELEMENTS: u32 = 3;
/// Longest text, and most elements.
const MAX_LENGTH: u32 = 16 << 20;
const MAX_ELEMENTS: u32 = 1 << 16;

/// One field, with its type as a field of Arrow's.
#[derive(Clone, Debug)]
pub(super) struct FieldGenerator {
    pub(super) field: Field,
    pub(super) seed: u64,
    /// The share of rows without a value, out of 2^32.
    pub(super) null_rate: u64,
    pub(super) kind: Kind,
}

/// What its values are.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// One after the other.
    Sequence {
        start: i64,
        end: i64,
    },
    Boolean,
    /// Numbers between two, both included (unscaled for decimals).
    Integer {
        min: i128,
        max: i128,
    },
    Float {
        min: f64,
        max: f64,
    },
    /// Texts or bytes; `varies`: from one on to that many.
    Length {
        length: u32,
        varies: bool,
    },
    /// Today, or now.
    Now,
    /// Before now, by so many milliseconds at most.
    Past {
        max_past_ms: u64,
    },
    Row(Vec<FieldGenerator>),
    List {
        length: u32,
        element: Box<FieldGenerator>,
    },
    Map {
        length: u32,
        key: Box<FieldGenerator>,
        value: Box<FieldGenerator>,
    },
}

impl FieldGenerator {
    /// The field of that name, as its options say.
    pub(super) fn of(
        options: TableOptions<'_>,
        name: &str,
        data_type: &SqlDataType,
    ) -> Result<Self, TableError> {
        let field = columns::field(name.rsplit('.').next().unwrap_or(name), data_type);
        let field = field.map_err(|error| TableError(error.to_string()))?;
        let null_key = format!("fields.{name}.null-rate");
        let null_rate = options.parsed::<f64>(&null_key)?.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&null_rate) {
            return Err(invalid(&null_key, &null_rate.to_string(), &"it must be between 0 and 1"));
        }
        if null_rate > 0.0 && !data_type.nullable {
            return Err(invalid(&null_key, &null_rate.to_string(), &"the field is NOT NULL"));
        }
        let kind_key = format!("fields.{name}.kind");
        let kind = match options.text(&kind_key).unwrap_or("random") {
            "random" => random(options, name, data_type)?,
            "sequence" => sequence(options, name, data_type)?,
            other => {
                return Err(TableError(format!(
                    "Unsupported generator kind: {other}. Supported are 'random' and 'sequence'."
                )));
            }
        };
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Ok(Self { field, seed, null_rate: (null_rate * 4_294_967_296.0) as u64, kind })
    }

    /// How many rows it has values for.
    pub(super) fn rows(&self) -> Option<u64> {
        match self.kind {
            Kind::Sequence { start, end } => {
                Some(u64::try_from(i128::from(end) - i128::from(start) + 1).unwrap_or(u64::MAX))
            }
            _ => None,
        }
    }

    /// The field that a path of positions leads to.
    pub(super) fn inside(&self, path: &[usize]) -> Option<Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self.clone()) };
        let Kind::Row(fields) = &self.kind else { return None };
        let mut found = fields.get(*first)?.inside(rest)?;
        if self.null_rate > 0 {
            found.field = found.field.with_nullable(true);
        }
        Some(found)
    }
}

fn sequence(
    options: TableOptions<'_>,
    name: &str,
    data_type: &SqlDataType,
) -> Result<Kind, TableError> {
    let supported = matches!(
        data_type.kind,
        SqlTypeKind::Char(_)
            | SqlTypeKind::Varchar(_)
            | SqlTypeKind::Binary(_)
            | SqlTypeKind::Varbinary(_)
            | SqlTypeKind::Decimal { .. }
            | SqlTypeKind::TinyInt
            | SqlTypeKind::SmallInt
            | SqlTypeKind::Int
            | SqlTypeKind::BigInt
            | SqlTypeKind::Float
            | SqlTypeKind::Double
    );
    if !supported {
        return Err(TableError(format!("Unsupported type for sequence generator: {data_type}")));
    }
    let bound = |what: &str| {
        let key = format!("fields.{name}.{what}");
        options.parsed::<i64>(&key)?.ok_or_else(|| {
            TableError(format!("Could not find required property '{key}' for sequence generator."))
        })
    };
    let (start, end) = (bound("start")?, bound("end")?);
    if end < start {
        return Err(TableError(format!(
            "The start value {start} of field '{name}' cannot be greater than its end value {end}."
        )));
    }
    Ok(Kind::Sequence { start, end })
}

fn random(
    options: TableOptions<'_>,
    name: &str,
    data_type: &SqlDataType,
) -> Result<Kind, TableError> {
    let key = |what: &str| format!("fields.{name}.{what}");
    let integers = |low: i64, high: i64| {
        let min = options.parsed::<i64>(&key("min"))?.unwrap_or(low);
        let max = options.parsed::<i64>(&key("max"))?.unwrap_or(high);
        if min < low || max > high || min > max {
            return Err(invalid(&key("min"), &min.to_string(), &format!("not up to {max}")));
        }
        Ok(Kind::Integer { min: i128::from(min), max: i128::from(max) })
    };
    let floats = |low: f64, high: f64| {
        let min = options.parsed::<f64>(&key("min"))?.unwrap_or(low);
        let max = options.parsed::<f64>(&key("max"))?.unwrap_or(high);
        if !(min.is_finite() && max.is_finite() && min <= max) {
            return Err(invalid(&key("min"), &min.to_string(), &format!("not up to {max}")));
        }
        Ok(Kind::Float { min, max })
    };
    let fixed = |length: u32| {
        if options.text(&key("length")).is_some() {
            return Err(TableError(format!(
                "Custom length for fixed-length type (char, binary) field '{name}' is not supported."
            )));
        }
        Ok(Kind::Length { length: length.min(MAX_LENGTH), varies: false })
    };
    let variable = |declared: u32| {
        let unlimited = declared >= i32::MAX as u32;
        let length = options.parsed::<u32>(&key("length"))?;
        let default = if unlimited { DEFAULT_LENGTH } else { declared };
        let length = length.unwrap_or(default);
        if length > declared || length > MAX_LENGTH {
            return Err(TableError(format!(
                "Custom length '{length}' for variable-length type (varchar, string, varbinary, \
                 bytes) field '{name}' should be shorter than '{declared}' defined in the schema, \
                 and than {MAX_LENGTH}."
            )));
        }
        let varies = options.flag(&key("var-len"))?.unwrap_or(false);
        Ok(Kind::Length { length, varies })
    };
    let elements = || {
        let length = options.parsed::<u32>(&key("length"))?.unwrap_or(DEFAULT_ELEMENTS);
        if length > MAX_ELEMENTS {
            let why = format!("at most {MAX_ELEMENTS}");
            return Err(invalid(&key("length"), &length.to_string(), &why));
        }
        Ok(length)
    };
    let inner = |what: &str, data_type: &SqlDataType| {
        FieldGenerator::of(options, &format!("{name}.{what}"), data_type).map(Box::new)
    };
    Ok(match &data_type.kind {
        SqlTypeKind::Boolean => Kind::Boolean,
        SqlTypeKind::TinyInt => integers(i64::from(i8::MIN), i64::from(i8::MAX))?,
        SqlTypeKind::SmallInt => integers(i64::from(i16::MIN), i64::from(i16::MAX))?,
        SqlTypeKind::Int => integers(i64::from(i32::MIN), i64::from(i32::MAX))?,
        SqlTypeKind::BigInt => integers(i64::MIN, i64::MAX)?,
        SqlTypeKind::Interval(resolution, _) if columns::is_of_months(*resolution) => {
            integers(0, 120_000)?
        }
        SqlTypeKind::Interval(..) => integers(0, 999_999_999_999)?,
        SqlTypeKind::Float => floats(f64::from(f32::MIN), f64::from(f32::MAX))?,
        SqlTypeKind::Double => floats(f64::MIN, f64::MAX)?,
        SqlTypeKind::Decimal { precision, scale } => {
            let most = 10i128.pow(u32::from(*precision).min(38)) - 1;
            let bound = |what: &str, default: i128| -> Result<i128, TableError> {
                let Some(value) = options.parsed::<f64>(&key(what))? else { return Ok(default) };
                let unscaled = value * 10f64.powi(i32::from(*scale));
                Ok(unscaled.clamp(-(most as f64), most as f64) as i128)
            };
            let (min, max) = (bound("min", -most)?, bound("max", most)?);
            if min > max {
                return Err(invalid(
                    &key("min"),
                    &min.to_string(),
                    &"it is greater than the maximum",
                ));
            }
            Kind::Integer { min: min.max(-most), max: max.min(most) }
        }
        SqlTypeKind::Char(length) | SqlTypeKind::Binary(length) => fixed(*length)?,
        SqlTypeKind::Varchar(length) | SqlTypeKind::Varbinary(length) => variable(*length)?,
        SqlTypeKind::Date | SqlTypeKind::Time(_) => Kind::Now,
        SqlTypeKind::Timestamp(_) | SqlTypeKind::TimestampLtz(_) => {
            let past = options.duration(&key("max-past"))?.unwrap_or_default();
            Kind::Past { max_past_ms: u64::try_from(past.as_millis()).unwrap_or(u64::MAX) }
        }
        SqlTypeKind::Row(fields) => Kind::Row(
            fields
                .iter()
                .map(|field| inner(&field.name, &field.data_type).map(|made| *made))
                .collect::<Result<_, _>>()?,
        ),
        SqlTypeKind::Array(element) => {
            let (length, element) = (elements()?, inner("element", element)?);
            few(name, length, element.kind.values())?;
            Kind::List { length, element }
        }
        SqlTypeKind::Map(key, value) => {
            let (length, key, value) = (elements()?, inner("key", key)?, inner("value", value)?);
            few(name, length, key.kind.values().saturating_add(value.kind.values()))?;
            Kind::Map { length, key, value }
        }
        SqlTypeKind::Multiset(element) => {
            let count = SqlDataType::not_null(SqlTypeKind::Int);
            let mut value = inner("count", &count)?;
            value.kind = Kind::Integer { min: 1, max: 10 };
            Kind::Map { length: elements()?, key: inner("element", element)?, value }
        }
        _ => return Err(TableError(format!("Unsupported type: {data_type}"))),
    })
}

/// Refuses collections in collections that together have too many values.
fn few(name: &str, length: u32, inner: u64) -> Result<(), TableError> {
    if u64::from(length).saturating_mul(inner) <= u64::from(MAX_ELEMENTS) {
        return Ok(());
    }
    Err(TableError(format!("The field '{name}' would have more than {MAX_ELEMENTS} values a row.")))
}

impl Kind {
    /// Values that one row has.
    fn values(&self) -> u64 {
        match self {
            Self::Row(fields) => {
                fields.iter().fold(0, |sum: u64, field| sum.saturating_add(field.kind.values()))
            }
            Self::List { length, element } => {
                u64::from(*length).saturating_mul(element.kind.values())
            }
            Self::Map { length, key, value } => {
                let entry = key.kind.values().saturating_add(value.kind.values());
                u64::from(*length).saturating_mul(entry)
            }
            _ => 1,
        }
    }
}
