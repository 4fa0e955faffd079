//! The metadata of messages, as columns.

use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::Dialect;
use crate::{
    column::{Column, Data},
    fault::{Fault, FaultKind},
    format::TableFormatError,
    json::{
        cursor::Cursor,
        value::{Context, Reader},
    },
    scalar,
};

/// Which object of a message has the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The message as a whole.
    Root,
    /// The change in it.
    Payload,
    /// The object `source` of the change.
    Source,
}

/// What becomes of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Text,
    Texts,
    TextMap,
    IntMap,
    /// A point in time, counted in so many milliseconds.
    Time(i64),
}

/// One kind of metadata.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metadata {
    pub(super) key: &'static str,
    pub(super) place: Place,
    pub(super) field: &'static str,
    meaning: Meaning,
}

const fn entry(key: &'static str, place: Place, field: &'static str, meaning: Meaning) -> Metadata {
    Metadata { key, place, field, meaning }
}

const DEBEZIUM: &[Metadata] = &[
    entry("schema", Place::Root, "schema", Meaning::Text),
    entry("ingestion-timestamp", Place::Payload, "ts_ms", Meaning::Time(1)),
    entry("source.timestamp", Place::Source, "ts_ms", Meaning::Time(1)),
    entry("source.database", Place::Source, "db", Meaning::Text),
    entry("source.schema", Place::Source, "schema", Meaning::Text),
    entry("source.table", Place::Source, "table", Meaning::Text),
    entry("source.properties", Place::Payload, "source", Meaning::TextMap),
];

const CANAL: &[Metadata] = &[
    entry("database", Place::Payload, "database", Meaning::Text),
    entry("table", Place::Payload, "table", Meaning::Text),
    entry("sql-type", Place::Payload, "sqlType", Meaning::IntMap),
    entry("pk-names", Place::Payload, "pkNames", Meaning::Texts),
    entry("ingestion-timestamp", Place::Payload, "ts", Meaning::Time(1)),
    entry("event-timestamp", Place::Payload, "es", Meaning::Time(1)),
];

const MAXWELL: &[Metadata] = &[
    entry("database", Place::Payload, "database", Meaning::Text),
    entry("table", Place::Payload, "table", Meaning::Text),
    entry("primary-key-columns", Place::Payload, "primary_key_columns", Meaning::Texts),
    entry("ingestion-timestamp", Place::Payload, "ts", Meaning::Time(1000)),
];

const OGG: &[Metadata] = &[
    entry("table", Place::Payload, "table", Meaning::Text),
    entry("primary-keys", Place::Payload, "primary_keys", Meaning::Texts),
];

/// All metadata of a dialect.
pub(super) fn all(dialect: Dialect) -> &'static [Metadata] {
    match dialect {
        Dialect::Debezium => DEBEZIUM,
        Dialect::Canal => CANAL,
        Dialect::Maxwell => MAXWELL,
        Dialect::Ogg => OGG,
    }
}

impl Metadata {
    /// The type of its column.
    pub(super) fn data_type(self) -> SqlDataType {
        let text = || Box::new(SqlDataType::nullable(SqlTypeKind::Varchar(i32::MAX as u32)));
        SqlDataType::nullable(match self.meaning {
            Meaning::Text => return *text(),
            Meaning::Texts => SqlTypeKind::Array(text()),
            Meaning::TextMap => SqlTypeKind::Map(text(), text()),
            Meaning::IntMap => {
                SqlTypeKind::Map(text(), Box::new(SqlDataType::nullable(SqlTypeKind::Int)))
            }
            Meaning::Time(_) => SqlTypeKind::TimestampLtz(3),
        })
    }
}

/// The column of one kind of metadata.
pub(super) struct MetadataColumn {
    pub(super) metadata: Metadata,
    reader: Reader,
    pub(super) column: Column,
}

impl MetadataColumn {
    pub(super) fn new(dialect: Dialect, key: &str) -> Result<Self, TableFormatError> {
        let found = all(dialect).iter().find(|one| one.key == key);
        let metadata = *found.ok_or_else(|| {
            TableFormatError(format!("The format {} has no metadata '{key}'.", dialect.name()))
        })?;
        let data_type = metadata.data_type();
        Ok(Self {
            metadata,
            reader: Reader::new(&data_type).map_err(TableFormatError)?,
            column: Column::new(&data_type).map_err(|e| TableFormatError(e.to_string()))?,
        })
    }

    /// Appends the value at a position of the message, or NULL if there is none.
    pub(super) fn append(
        &mut self,
        record: &[u8],
        at: Option<usize>,
        context: &mut Context,
    ) -> Result<(), Fault> {
        let Some(at) = at else {
            return self.column.append_null().map_err(|kind| kind.at(0));
        };
        let mut cursor = Cursor { bytes: record, at };
        let Meaning::Time(unit_ms) = self.metadata.meaning else {
            return self.reader.read_nullable(&mut cursor, &mut self.column, context, 1);
        };
        cursor.skip(1)?;
        let text = record[at..cursor.at].trim_ascii();
        let text =
            text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
        let millis = scalar::integer(text).and_then(|value| value.checked_mul(unit_ms));
        let Data::Timestamp { values, .. } = &mut self.column.data else {
            return Err(FaultKind::Internal.at(at));
        };
        match millis {
            Some(millis) => {
                values.push(millis);
                self.column.added();
                Ok(())
            }
            None if context.ignore_parse_errors => {
                self.column.append_null().map_err(|kind| kind.at(at))
            }
            None => Err(FaultKind::Value("number of milliseconds").at(at)),
        }
    }
}
