//! Definitions as JSON: what catalogs keep on disk, and what travels with a statement to a cluster.
//!
//! Names of fields are those of Flink's compiled plans. Types and expressions are SQL; what is read is
//! checked as CREATE TABLE checks it, so that nobody behind it meets what no statement could have
//! made. A later version of the format is refused, and so is a field that is not known: neither could
//! be kept when the definition is written again.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_sql_common::columns::type_of_text;
use hurtig_sql_parser::{
    Span, SqlParser,
    ast::{DistributionKind, DistributionSpec, Ident},
    types::{SqlDataType, SqlTypeKind},
};
use serde::{Deserialize, Serialize};

use super::{
    CatalogEntry, ColumnDefinitionKind, DatabaseDefinition, FunctionDefinition, PrimaryKey,
    TableColumn, TableDefinition, TableWatermark, ViewDefinition,
};
use crate::{PlanError, PlanResult, ddl::check_table};

/// The version of the format.
const VERSION: u32 = 1;

/// A table or view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoredEntry {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<StoredTable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<StoredView>,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoredFunction {
    version: u32,
    implementation: String,
    language: Option<String>,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StoredDatabase {
    version: u32,
    comment: Option<String>,
    options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredTable {
    columns: Vec<StoredColumn>,
    watermark: Option<StoredWatermark>,
    primary_key: Option<StoredKey>,
    #[serde(default)]
    partition_keys: Vec<String>,
    distribution: Option<StoredDistribution>,
    options: BTreeMap<String, String>,
    comment: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredColumn {
    name: String,
    kind: StoredKind,
    data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_key: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_virtual: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum StoredKind {
    Physical,
    Metadata,
    Computed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredWatermark {
    rowtime_attribute: String,
    expression: String,
    data_type: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredKey {
    name: String,
    columns: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredDistribution {
    kind: Option<StoredDistributionKind>,
    bucket_keys: Vec<String>,
    bucket_count: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum StoredDistributionKind {
    Hash,
    Range,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredView {
    query: String,
    /// What was current when it was made: its names are resolved there.
    catalog: String,
    database: String,
    columns: Vec<StoredViewColumn>,
    comment: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredViewColumn {
    name: String,
    data_type: String,
}

fn check_version(version: u32) -> PlanResult<()> {
    if version == VERSION {
        return Ok(());
    }
    Err(PlanError::new(format!(
        "the definition has version {version} of its format, and only {VERSION} is known"
    )))
}

fn read_type(text: &str) -> PlanResult<SqlDataType> {
    Ok(type_of_text(text)?)
}

/// Positions in a definition are those of no statement.
fn without_span<T>(parsed: Result<T, hurtig_sql_parser::SqlParseError>) -> PlanResult<T> {
    parsed.map_err(|error| PlanError::new(error.message))
}

impl From<&CatalogEntry> for StoredEntry {
    fn from(entry: &CatalogEntry) -> Self {
        let (table, view) = match entry {
            CatalogEntry::Table(table) => (Some(StoredTable::of(table)), None),
            CatalogEntry::View(view) => (None, Some(StoredView::of(view))),
        };
        Self { version: VERSION, table, view }
    }
}

impl StoredEntry {
    /// The definition, checked.
    ///
    /// # Errors
    /// If it is none that a statement could have made.
    pub fn read(self) -> PlanResult<CatalogEntry> {
        check_version(self.version)?;
        match (self.table, self.view) {
            (Some(table), None) => Ok(CatalogEntry::Table(Arc::new(table.read()?))),
            (None, Some(view)) => Ok(CatalogEntry::View(Arc::new(view.read()?))),
            _ => Err(PlanError::new("the definition is neither of a table nor of a view")),
        }
    }
}

impl StoredTable {
    fn of(table: &TableDefinition) -> Self {
        let distribution = table.distribution.as_ref().map(|one| StoredDistribution {
            kind: one.kind.map(|kind| match kind {
                DistributionKind::Hash => StoredDistributionKind::Hash,
                DistributionKind::Range => StoredDistributionKind::Range,
            }),
            bucket_keys: one.columns.iter().map(|one| one.value.clone()).collect(),
            bucket_count: one.buckets,
        });
        let options = table.options.iter().map(|(key, value)| (key.clone(), value.clone()));
        Self {
            columns: table.columns.iter().map(StoredColumn::of).collect(),
            watermark: table.watermark.as_ref().map(|one| StoredWatermark {
                rowtime_attribute: one.column.clone(),
                expression: one.expression.to_string(),
                data_type: one.data_type.to_string(),
            }),
            primary_key: table
                .primary_key
                .as_ref()
                .map(|key| StoredKey { name: key.name.clone(), columns: key.columns.clone() }),
            partition_keys: table.partition_keys.clone(),
            distribution,
            options: options.collect(),
            comment: table.comment.clone(),
        }
    }

    fn read(self) -> PlanResult<TableDefinition> {
        let columns = self.columns.into_iter().map(StoredColumn::read);
        let watermark = self.watermark.map(|one| {
            Ok::<_, PlanError>(TableWatermark {
                column: one.rowtime_attribute,
                expression: without_span(SqlParser::default().expression(&one.expression))?,
                data_type: read_type(&one.data_type)?,
            })
        });
        let ident = |value: String| Ident { value, quoted: true, span: Span::default() };
        let distribution = self.distribution.map(|one| DistributionSpec {
            kind: one.kind.map(|kind| match kind {
                StoredDistributionKind::Hash => DistributionKind::Hash,
                StoredDistributionKind::Range => DistributionKind::Range,
            }),
            columns: one.bucket_keys.into_iter().map(ident).collect(),
            buckets: one.bucket_count,
            span: Span::default(),
        });
        let key = self.primary_key;
        let table = TableDefinition {
            columns: columns.collect::<PlanResult<_>>()?,
            watermark: watermark.transpose()?,
            primary_key: key.map(|StoredKey { name, columns }| PrimaryKey { name, columns }),
            partition_keys: self.partition_keys,
            distribution,
            options: self.options.into_iter().collect(),
            comment: self.comment,
        };
        check_table(&table)?;
        check_time_and_key(&table)?;
        Ok(table)
    }
}

/// What statements see to when they set a watermark or a key.
fn check_time_and_key(table: &TableDefinition) -> PlanResult<()> {
    if let Some(watermark) = &table.watermark {
        let is_time = |one: &SqlDataType| {
            matches!(one.kind, SqlTypeKind::Timestamp(0..=3) | SqlTypeKind::TimestampLtz(0..=3))
        };
        let time = table.column(&watermark.column);
        if !time.is_some_and(|(_, column)| is_time(&column.data_type)) {
            let name = &watermark.column;
            return Err(PlanError::new(format!("the watermark's column '{name}' is no time")));
        }
    }
    for name in table.primary_key.iter().flat_map(|key| &key.columns) {
        let found = table.column(name).map(|(_, column)| column);
        let fits = |one: &TableColumn| {
            one.kind == ColumnDefinitionKind::Physical && !one.data_type.nullable
        };
        if !found.is_some_and(fits) {
            return Err(PlanError::new(format!(
                "'{name}' is in the primary key, but no physical column that is NOT NULL"
            )));
        }
    }
    Ok(())
}

impl StoredColumn {
    fn of(column: &TableColumn) -> Self {
        let (kind, expression, metadata_key, is_virtual) = match &column.kind {
            ColumnDefinitionKind::Physical => (StoredKind::Physical, None, None, false),
            ColumnDefinitionKind::Metadata { key, is_virtual } => {
                (StoredKind::Metadata, None, key.clone(), *is_virtual)
            }
            ColumnDefinitionKind::Computed(expr) => {
                (StoredKind::Computed, Some(expr.to_string()), None, false)
            }
        };
        Self {
            name: column.name.clone(),
            kind,
            data_type: column.data_type.to_string(),
            expression,
            metadata_key,
            is_virtual,
            comment: column.comment.clone(),
        }
    }

    fn read(self) -> PlanResult<TableColumn> {
        let kind = match (self.kind, self.expression) {
            (StoredKind::Physical, None) => ColumnDefinitionKind::Physical,
            (StoredKind::Metadata, None) => ColumnDefinitionKind::Metadata {
                key: self.metadata_key,
                is_virtual: self.is_virtual,
            },
            (StoredKind::Computed, Some(text)) => ColumnDefinitionKind::Computed(without_span(
                SqlParser::default().expression(&text),
            )?),
            (StoredKind::Computed, None) => {
                let message = format!("the computed column '{}' has no expression", self.name);
                return Err(PlanError::new(message));
            }
            (_, Some(_)) => {
                let message = format!("the column '{}' is not computed", self.name);
                return Err(PlanError::new(message));
            }
        };
        let data_type = read_type(&self.data_type)?;
        Ok(TableColumn { name: self.name, data_type, kind, comment: self.comment })
    }
}

impl StoredView {
    fn of(view: &ViewDefinition) -> Self {
        let columns = view.columns.iter().map(|(name, data_type)| StoredViewColumn {
            name: name.clone(),
            data_type: data_type.to_string(),
        });
        Self {
            query: view.query.to_string(),
            catalog: view.current.0.clone(),
            database: view.current.1.clone(),
            columns: columns.collect(),
            comment: view.comment.clone(),
        }
    }

    fn read(self) -> PlanResult<ViewDefinition> {
        let columns =
            self.columns.into_iter().map(|one| Ok((one.name, read_type(&one.data_type)?)));
        Ok(ViewDefinition {
            query: without_span(SqlParser::default().query(&self.query))?,
            current: (self.catalog, self.database),
            columns: columns.collect::<PlanResult<_>>()?,
            comment: self.comment,
        })
    }
}

impl From<&FunctionDefinition> for StoredFunction {
    fn from(function: &FunctionDefinition) -> Self {
        Self {
            version: VERSION,
            implementation: function.implementation.clone(),
            language: function.language.clone(),
        }
    }
}

impl StoredFunction {
    /// The definition, checked.
    ///
    /// # Errors
    /// If its format is not known.
    pub fn read(self) -> PlanResult<FunctionDefinition> {
        check_version(self.version)?;
        Ok(FunctionDefinition { implementation: self.implementation, language: self.language })
    }
}

impl From<&DatabaseDefinition> for StoredDatabase {
    fn from(database: &DatabaseDefinition) -> Self {
        let options = database.options.iter().map(|(key, value)| (key.clone(), value.clone()));
        let (version, comment) = (VERSION, database.comment.clone());
        Self { version, comment, options: options.collect() }
    }
}

impl StoredDatabase {
    pub(super) fn read(self) -> PlanResult<DatabaseDefinition> {
        check_version(self.version)?;
        let options = self.options.into_iter().collect();
        Ok(DatabaseDefinition { comment: self.comment, options })
    }
}
