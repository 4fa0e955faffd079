//! What the planner and the translation ask of tables.

use std::sync::Arc;

use arrow_schema::Schema;
use hurtig_sql_common::{ChangelogMode, RowKind};
use hurtig_sql_functions::{api::Kernel, cast};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};
use hurtig_sql_planner::{
    bind::BoundInsert,
    catalog::{ColumnDefinitionKind, ObjectPath, TableColumn, TableDefinition, TableRef},
    optimize::physical_expression,
    stream::{
        PartitionCondition, PartitionListing, ScanFilter, ScannedField, SinkTraits, SourceTraits,
        StreamPlanError, StreamPlanResult, TableTraits,
    },
};
use hurtig_sql_runtime::config::LengthRule;
use indexmap::IndexMap;

use crate::{
    SqlError,
    connectors::{
        ColumnFilter, Connectors, PartitionFilter, ScanColumn, TableSink, TableSource, TableSpec,
        gate::SourceGate,
    },
};

/// The tables of a statement.
pub(crate) struct SessionTables<'a> {
    /// Where they are.
    pub connectors: &'a Connectors,
    /// What is written.
    pub inserts: &'a [BoundInsert],
    /// `table.exec.source.cdc-events-duplicate`
    pub duplicate_changes: bool,
    /// What holds the sources.
    pub gate: Option<&'a SourceGate>,
}

fn refused(text: String) -> StreamPlanError {
    StreamPlanError(text)
}

/// A table as connectors want it.
fn spec(
    path: &ObjectPath,
    table: &TableDefinition,
    options: &IndexMap<String, String>,
) -> TableSpec {
    let physical = table.columns.iter().filter(|one| one.kind == ColumnDefinitionKind::Physical);
    TableSpec {
        identifier: path.to_string(),
        columns: physical.map(|one| (one.name.clone(), one.data_type.clone())).collect(),
        partition_keys: table.partition_keys.clone(),
        primary_key: table.primary_key.as_ref().map(|key| key.columns.clone()).unwrap_or_default(),
        options: options.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
    }
}

/// What a scan reads, as connectors want it.
fn scan_column(table: &TableRef, read: &ScannedField) -> StreamPlanResult<ScanColumn> {
    let position = table.columns.get(read.field).copied();
    let column = position.and_then(|position| table.table.columns.get(position));
    let (Some(position), Some(column)) = (position, column) else {
        return Err(refused("internal: a scan of columns that are not there".to_owned()));
    };
    Ok(match &column.kind {
        ColumnDefinitionKind::Metadata { key, .. } => {
            ScanColumn::Metadata(key.clone().unwrap_or_else(|| column.name.clone()))
        }
        _ => {
            let before = table.table.columns.iter().take(position);
            let physical = before.filter(|one| one.kind == ColumnDefinitionKind::Physical);
            ScanColumn::Physical { column: physical.count(), path: read.path.clone() }
        }
    })
}

fn column_filter(table: &TableRef, filter: &ScanFilter) -> StreamPlanResult<ColumnFilter> {
    let value = filter.value.to_array().map_err(StreamPlanError::from)?;
    Ok(ColumnFilter { column: scan_column(table, &filter.field)?, value })
}

/// How metadata that a source has becomes a column as it was declared; nothing if it is it already.
fn metadata_cast(
    table: &TableRef,
    known: &[(String, SqlDataType)],
    column: &TableColumn,
) -> StreamPlanResult<Option<Arc<dyn Kernel>>> {
    let ColumnDefinitionKind::Metadata { key, .. } = &column.kind else { return Ok(None) };
    let (name, path) = (&column.name, &table.path);
    let key = key.as_ref().unwrap_or(name);
    let Some((_, given)) = known.iter().find(|(one, _)| one == key) else {
        let keys = known.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
        return Err(refused(format!(
            "Invalid metadata key '{key}' in column '{name}' of table '{path}'. \
             The source has the metadata: [{keys}]"
        )));
    };
    if given.kind == column.data_type.kind {
        return Ok(None);
    }
    cast(given, &column.data_type, false).map(Some).map_err(|_| {
        refused(format!(
            "Invalid data type for metadata column '{name}' of table '{path}'. The column cannot be \
             declared as '{}' because the type must be castable from metadata type '{given}'.",
            column.data_type
        ))
    })
}

/// The condition of a scan on partitions, ready to run.
pub(crate) fn partition_filter(
    table: &TableDefinition,
    condition: &PartitionCondition,
) -> Result<PartitionFilter, SqlError> {
    let types = table.partition_keys.iter().filter_map(|key| {
        let (_, column) = table.column(key)?;
        Some(column.data_type.clone())
    });
    let keys = &condition.keys;
    let hints = condition.hints.iter();
    let hints = hints.map(|one| Ok((one.keys, physical_expression(&one.condition, keys)?)));
    let exact = condition.exact.as_ref().map(|one| physical_expression(one, keys));
    // A directory may stand for NULL whatever the column says.
    let fields = keys.fields().iter().map(|one| one.as_ref().clone().with_nullable(true));
    Ok(PartitionFilter {
        types: types.collect(),
        schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        exact: exact.transpose()?,
        hints: hints.collect::<Result<_, SqlError>>()?,
    })
}

/// The partitions of a table that are there.
struct Listing {
    source: Arc<dyn TableSource>,
    table: Arc<TableDefinition>,
}

impl PartitionListing for Listing {
    fn remaining(&self, condition: &PartitionCondition) -> Option<Vec<Vec<Option<String>>>> {
        let filter = partition_filter(&self.table, condition).ok()?;
        let mut found = self.source.partitions().ok()??;
        // One that cannot be decided fails the job, not EXPLAIN.
        found.retain(|partition| filter.passes(partition).unwrap_or(true));
        Some(found)
    }
}

/// What becomes of a scan.
pub(crate) struct Scanned {
    /// What is read.
    pub source: Arc<dyn TableSource>,
    /// What of it is read.
    pub columns: Vec<ScanColumn>,
    /// How columns become those of the table, where they are not.
    pub casts: Vec<Option<Arc<dyn Kernel>>>,
    /// The filters that it applies.
    pub filters: Vec<ColumnFilter>,
}

impl SessionTables<'_> {
    fn source_of(&self, table: &TableRef) -> StreamPlanResult<Arc<dyn TableSource>> {
        let spec = spec(&table.path, &table.table, &table.options);
        self.connectors.source(&spec).map_err(|error| refused(error.0))
    }

    /// The source of a scan, what is read of it, and the filters that it applies.
    pub fn scanned(
        &self,
        table: &TableRef,
        columns: &[ScannedField],
        filters: &[ScanFilter],
    ) -> Result<Scanned, SqlError> {
        let source = self.source_of(table)?;
        let known = source.metadata();
        let cast = |one: &ScannedField| {
            let position = table.columns.get(one.field)?;
            metadata_cast(table, &known, table.table.columns.get(*position)?).transpose()
        };
        let casts = columns.iter().map(|one| cast(one).transpose());
        let casts = casts.collect::<StreamPlanResult<_>>()?;
        let columns = columns.iter().map(|one| scan_column(table, one));
        let columns = columns.collect::<StreamPlanResult<_>>()?;
        let filters = filters.iter().map(|one| column_filter(table, one));
        let filters = filters.collect::<StreamPlanResult<_>>()?;
        Ok(Scanned { source, columns, casts, filters })
    }

    fn insert(&self, table: &str) -> StreamPlanResult<&BoundInsert> {
        let found = self.inserts.iter().find(|one| one.path.to_string() == table);
        found.ok_or_else(|| refused(format!("internal: nothing is inserted into {table}")))
    }

    /// The sink of a table that is written.
    pub fn sink_of(&self, table: &str) -> StreamPlanResult<Arc<dyn TableSink>> {
        let insert = self.insert(table)?;
        let spec = spec(&insert.path, &insert.table, &insert.options);
        self.connectors.sink(&spec).map_err(|error| refused(error.0))
    }

    /// The columns of a sink that must not be NULL, and their names.
    pub fn not_null(&self, table: &str) -> StreamPlanResult<Vec<(usize, String)>> {
        let columns = self.insert(table)?.table.persisted().enumerate();
        let strict = columns.filter(|(_, column)| !column.data_type.nullable);
        Ok(strict.map(|(position, column)| (position, column.name.clone())).collect())
    }

    /// The columns of a sink whose values have a length.
    pub fn lengths(&self, table: &str) -> StreamPlanResult<Vec<LengthRule>> {
        let columns = self.insert(table)?.table.persisted().enumerate();
        let rules = columns.filter_map(|(position, column)| {
            let (length, fixed) = length_of(&column.data_type.kind)?;
            let (name, length) = (column.name.clone(), usize::try_from(length).ok()?);
            Some(LengthRule { column: position, name, length, fixed })
        });
        Ok(rules.collect())
    }
}

/// The length of a type's values, if it has one that counts, and whether it is exact.
fn length_of(kind: &SqlTypeKind) -> Option<(u32, bool)> {
    let unbounded = i32::MAX.unsigned_abs();
    match kind {
        SqlTypeKind::Char(length) | SqlTypeKind::Binary(length) => Some((*length, true)),
        SqlTypeKind::Varchar(length) | SqlTypeKind::Varbinary(length) => {
            (*length < unbounded).then_some((*length, false))
        }
        _ => None,
    }
}

impl TableTraits for SessionTables<'_> {
    fn source(&self, table: &TableRef, fields: &[&str]) -> StreamPlanResult<SourceTraits> {
        let source = self.source_of(table)?;
        let known = source.metadata();
        for column in &table.table.columns {
            metadata_cast(table, &known, column)?;
        }
        let mode = source.changelog_mode();
        if self.duplicate_changes
            && mode != ChangelogMode::INSERT_ONLY
            && table.table.primary_key.is_none()
        {
            let path = &table.path;
            return Err(refused(format!(
                "Configuration 'table.exec.source.cdc-events-duplicate' is enabled which requires the \
                 changelog sources to define a PRIMARY KEY. However, table '{path}' doesn't have a \
                 primary key."
            )));
        }
        // The plan's names of the key's columns, if all of them are read.
        let primary_key = table.table.primary_key.as_ref().and_then(|key| {
            let name = |column: &String| {
                let (position, _) = table.table.column(column)?;
                let field = table.columns.iter().position(|one| *one == position)?;
                let name = table.schema.field(field).name();
                fields.contains(&name.as_str()).then(|| name.clone())
            };
            key.columns.iter().map(name).collect::<Option<Vec<String>>>()
        });
        let upserts = mode.has(RowKind::UpdateAfter) && !mode.has(RowKind::UpdateBefore);
        let repeats = self.duplicate_changes
            && mode != ChangelogMode::INSERT_ONLY
            && table.table.primary_key.is_some();
        Ok(SourceTraits {
            mode,
            primary_key,
            normalize: upserts || repeats,
            makes_watermarks: source.makes_watermarks(),
            reads_nested: source.reads_nested(),
        })
    }

    fn takes_filter(&self, table: &TableRef, filter: &ScanFilter) -> StreamPlanResult<bool> {
        Ok(self.source_of(table)?.takes_filter(&column_filter(table, filter)?))
    }

    fn takes_limit(&self, table: &TableRef) -> StreamPlanResult<bool> {
        Ok(self.source_of(table)?.takes_limit())
    }

    fn partitions(&self, table: &TableRef) -> StreamPlanResult<Option<Arc<dyn PartitionListing>>> {
        let source = self.source_of(table)?;
        let listing = Listing { source: source.clone(), table: table.table.clone() };
        Ok(source.chooses_partitions().then(|| Arc::new(listing) as Arc<dyn PartitionListing>))
    }

    fn sink(&self, table: &str) -> StreamPlanResult<SinkTraits> {
        let insert = self.insert(table)?;
        let sink = self.sink_of(table)?;
        let names: Vec<&str> = insert.table.persisted().map(|one| &*one.name).collect();
        let key = insert.table.primary_key.iter().flat_map(|key| &key.columns);
        let primary_key = key.filter_map(|name| names.iter().position(|one| one == name)).collect();
        Ok(SinkTraits {
            name: insert.path.to_string(),
            columns: names.iter().map(|name| (*name).to_owned()).collect(),
            primary_key,
            accepts: Box::new(move |offered| sink.changelog_mode(offered)),
        })
    }
}
