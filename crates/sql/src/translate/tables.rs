//! What the planner and the translation ask of tables.

use std::sync::Arc;

use hurtig_sql_common::{ChangelogMode, RowKind};
use hurtig_sql_planner::{
    bind::BoundInsert,
    catalog::{ColumnDefinitionKind, ObjectPath, TableDefinition, TableRef},
    stream::{
        ScanFilter, ScannedField, SinkTraits, SourceTraits, StreamPlanError, StreamPlanResult,
        TableTraits,
    },
};
use indexmap::IndexMap;

use crate::{
    SqlError,
    connectors::{ColumnFilter, Connectors, ScanColumn, TableSink, TableSource, TableSpec},
};

/// The tables of a statement.
pub(crate) struct SessionTables<'a> {
    /// Where they are.
    pub connectors: &'a Connectors,
    /// What is written.
    pub inserts: &'a [BoundInsert],
    /// `table.exec.source.cdc-events-duplicate`
    pub duplicate_changes: bool,
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
    ) -> Result<(Arc<dyn TableSource>, Vec<ScanColumn>, Vec<ColumnFilter>), SqlError> {
        let columns = columns.iter().map(|one| scan_column(table, one));
        let columns = columns.collect::<StreamPlanResult<_>>()?;
        let filters = filters.iter().map(|one| column_filter(table, one));
        let filters = filters.collect::<StreamPlanResult<_>>()?;
        Ok((self.source_of(table)?, columns, filters))
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
}

impl TableTraits for SessionTables<'_> {
    fn source(&self, table: &TableRef, fields: &[&str]) -> StreamPlanResult<SourceTraits> {
        let source = self.source_of(table)?;
        let mode = source.changelog_mode();
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
            makes_watermarks: true,
            reads_nested: source.reads_nested(),
        })
    }

    fn takes_filter(&self, table: &TableRef, filter: &ScanFilter) -> StreamPlanResult<bool> {
        Ok(self.source_of(table)?.takes_filter(&column_filter(table, filter)?))
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
