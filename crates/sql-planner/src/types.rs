//! Columns of plans: data types, time attributes, and the fields that carry both.

use std::sync::Arc;

use arrow_schema::Field;
use datafusion_common::{DFSchema, DFSchemaRef, metadata::FieldMetadata};
use hurtig_sql_common::columns::{self, TIME_ATTRIBUTE, TYPE};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::PlanResult;

/// A column that streams are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeAttribute {
    /// Event time: watermarks follow it.
    Rowtime,
    /// Processing time: the clock's.
    Proctime,
}

impl TimeAttribute {
    /// As in the metadata of fields.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rowtime => "rowtime",
            Self::Proctime => "proctime",
        }
    }
}

/// Which time attribute a field is. The empty text says that it was one before a projection.
#[must_use]
pub fn time_attribute(field: &Field) -> Option<TimeAttribute> {
    match field.metadata().get(TIME_ATTRIBUTE).map(String::as_str) {
        Some("rowtime") => Some(TimeAttribute::Rowtime),
        Some("proctime") => Some(TimeAttribute::Proctime),
        _ => None,
    }
}

/// A field of a plan.
pub fn plan_field(
    name: &str,
    data_type: &SqlDataType,
    time: Option<TimeAttribute>,
) -> PlanResult<Field> {
    let mut field = columns::field(name, data_type)?;
    if let Some(time) = time {
        let mut metadata = field.metadata().clone();
        metadata.insert(TIME_ATTRIBUTE.to_owned(), time.name().to_owned());
        field.set_metadata(metadata);
    }
    Ok(field)
}

/// The metadata of a literal or an alias.
pub(crate) fn metadata(data_type: &SqlDataType, time: Option<&str>) -> FieldMetadata {
    let mut entries = std::collections::BTreeMap::new();
    entries.insert(TYPE.to_owned(), data_type.to_string());
    if let Some(time) = time {
        entries.insert(TIME_ATTRIBUTE.to_owned(), time.to_owned());
    }
    FieldMetadata::from(entries)
}

/// A schema of fields without qualifiers.
pub(crate) fn schema_of(fields: Vec<Arc<Field>>) -> PlanResult<DFSchemaRef> {
    let fields = fields.into_iter().map(|field| (None, field)).collect();
    Ok(Arc::new(DFSchema::new_with_metadata(fields, std::collections::HashMap::new())?))
}

/// As in Flink's messages: the names of Calcite's types.
#[must_use]
pub(crate) fn calcite_name(data_type: &SqlDataType) -> String {
    let name = match &data_type.kind {
        SqlTypeKind::Int => "INTEGER".to_owned(),
        SqlTypeKind::Varchar(length) => format!("VARCHAR({length})"),
        SqlTypeKind::Varbinary(length) => format!("VARBINARY({length})"),
        SqlTypeKind::TimestampLtz(precision) => {
            format!("TIMESTAMP_WITH_LOCAL_TIME_ZONE({precision})")
        }
        other => SqlDataType::nullable(other.clone()).to_string(),
    };
    if data_type.nullable { name } else { format!("{name} NOT NULL") }
}

/// The type with or without NULL.
#[must_use]
pub(crate) fn with_nullability(data_type: &SqlDataType, nullable: bool) -> SqlDataType {
    SqlDataType { kind: data_type.kind.clone(), nullable }
}
