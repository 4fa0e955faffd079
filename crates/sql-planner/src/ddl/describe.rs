//! DESCRIBE, SHOW COLUMNS, SHOW CREATE.

use std::fmt::Write;

use hurtig_sql_parser::{
    ast::{DescribeTarget, ObjectKind, ObjectName},
    types::SqlDataType,
};
use indexmap::IndexMap;

use super::{Definitions, StatementOutcome};
use crate::{
    PlanError, PlanResult,
    catalog::{CatalogEntry, ColumnDefinitionKind, ObjectPath, TableDefinition, ViewDefinition},
};

type TextRow = Vec<Option<String>>;

impl Definitions<'_> {
    pub(super) fn describe(&self, target: &DescribeTarget) -> PlanResult<StatementOutcome> {
        let DescribeTarget::Object { object, name } = target else {
            return Err(PlanError::new("DESCRIBE JOB is not supported"));
        };
        match object {
            ObjectKind::Table | ObjectKind::View => self.columns(name, &|_| true),
            ObjectKind::Database => {
                let (catalog, database) = self.catalogs.database_path(Some(name))?;
                let definition = self.catalogs.catalog(&catalog)?.database(&database);
                let definition = definition.ok_or_else(|| {
                    PlanError::at(name.span(), format!("Database {database} does not exist"))
                })?;
                Ok(pairs([
                    ("catalog_name", Some(catalog)),
                    ("database_name", Some(database)),
                    ("comment", definition.comment),
                ]))
            }
            ObjectKind::Catalog => {
                self.catalogs.catalog(name.last())?;
                Ok(pairs([
                    ("name", Some(name.last().to_owned())),
                    ("type", Some("generic_in_memory".to_owned())),
                    ("comment", None),
                ]))
            }
            _ => Err(PlanError::at(name.span(), "this DESCRIBE is not supported")),
        }
    }

    /// The columns of a table or view that are wanted, a row each.
    pub(super) fn columns(
        &self,
        name: &ObjectName,
        wanted: &dyn Fn(&str) -> bool,
    ) -> PlanResult<StatementOutcome> {
        let (_, entry) = self.catalogs.lookup(name)?;
        let mut comments = false;
        let mut rows: Vec<TextRow> = match &entry {
            CatalogEntry::View(view) => {
                let row = |(name, data_type): &(String, SqlDataType)| {
                    row(name, data_type, None, None, None, None)
                };
                view.columns.iter().map(row).collect()
            }
            CatalogEntry::Table(table) => {
                comments = table.columns.iter().any(|column| column.comment.is_some());
                table_rows(table)
            }
        };
        rows.retain(|row| row[0].as_deref().is_some_and(wanted));
        let names = ["name", "type", "null", "key", "extras", "watermark", "comment"];
        let count = if comments { 7 } else { 6 };
        rows.iter_mut().for_each(|row| row.truncate(count));
        let columns = names[..count].iter().map(|name| (*name).to_owned()).collect();
        Ok(StatementOutcome::Rows { columns, rows })
    }

    pub(super) fn show_create(
        &self,
        object: ObjectKind,
        name: &ObjectName,
    ) -> PlanResult<StatementOutcome> {
        if object == ObjectKind::Catalog {
            self.catalogs.catalog(name.last())?;
            let text = format!(
                "CREATE CATALOG `{}`\nWITH (\n  'type' = 'generic_in_memory'\n)\n",
                name.last()
            );
            return Ok(one("result", text));
        }
        let (path, entry) = self.catalogs.lookup(name)?;
        let temporary = self.catalogs.entry(&path).is_some_and(|(_, temporary)| temporary);
        let text = match (&entry, object) {
            (CatalogEntry::Table(table), ObjectKind::Table) => create_table(&path, table, temporary),
            (CatalogEntry::View(view), ObjectKind::View) => create_view(&path, view, temporary),
            (CatalogEntry::View(_), _) => {
                let message = format!("SHOW CREATE TABLE is only supported for tables, but {path} is a view.");
                return Err(PlanError::at(name.span(), message).hint("SHOW CREATE VIEW"));
            }
            (CatalogEntry::Table(_), _) => {
                let message = format!("SHOW CREATE VIEW is only supported for views, but {path} is a table.");
                return Err(PlanError::at(name.span(), message).hint("SHOW CREATE TABLE"));
            }
        };
        Ok(one("result", text))
    }
}

fn one(column: &str, value: String) -> StatementOutcome {
    StatementOutcome::Rows { columns: vec![column.to_owned()], rows: vec![vec![Some(value)]] }
}

fn pairs<const N: usize>(pairs: [(&str, Option<String>); N]) -> StatementOutcome {
    let rows = pairs.into_iter().map(|(key, value)| vec![Some(key.to_owned()), value]);
    let columns = vec!["info name".to_owned(), "info value".to_owned()];
    StatementOutcome::Rows { columns, rows: rows.collect() }
}

fn row(
    name: &str,
    data_type: &SqlDataType,
    key: Option<String>,
    extras: Option<String>,
    watermark: Option<String>,
    comment: Option<String>,
) -> TextRow {
    let shown = SqlDataType { nullable: true, ..data_type.clone() };
    let mut text = shown.to_string();
    if watermark.is_some() {
        text.push_str(" *ROWTIME*");
    }
    let nullable = if data_type.nullable { "TRUE" } else { "FALSE" };
    let nullable = Some(nullable.to_owned());
    vec![Some(name.to_owned()), Some(text), nullable, key, extras, watermark, comment]
}

fn table_rows(table: &TableDefinition) -> Vec<TextRow> {
    let key = table.primary_key.as_ref();
    let rows = table.columns.iter().map(|column| {
        let in_key = key.filter(|key| key.columns.contains(&column.name));
        let in_key = in_key.map(|key| format!("PRI({})", key.columns.join(", ")));
        let watermark = table.watermark.as_ref().filter(|one| one.column == column.name);
        let watermark = watermark.map(|one| one.expression.to_string());
        let extras = extras(&column.kind);
        row(&column.name, &column.data_type, in_key, extras, watermark, column.comment.clone())
    });
    rows.collect()
}

/// What makes a column other than a physical one.
fn extras(kind: &ColumnDefinitionKind) -> Option<String> {
    match kind {
        ColumnDefinitionKind::Physical => None,
        ColumnDefinitionKind::Computed(expr) => Some(format!("AS {expr}")),
        ColumnDefinitionKind::Metadata { key, is_virtual } => {
            let from = key.as_ref().map(|key| format!(" FROM '{}'", key.replace('\'', "''")));
            let tail = if *is_virtual { " VIRTUAL" } else { "" };
            Some(format!("METADATA{}{tail}", from.unwrap_or_default()))
        }
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn quoted_list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn full_name(path: &ObjectPath) -> String {
    [&path.catalog, &path.database, &path.name].map(|part| quoted(part)).join(".")
}

fn create_table(path: &ObjectPath, table: &TableDefinition, temporary: bool) -> String {
    let temporary = if temporary { "TEMPORARY " } else { "" };
    let mut lines: Vec<String> = Vec::new();
    for column in &table.columns {
        let mut line = format!("  {} ", quoted(&column.name));
        match &column.kind {
            ColumnDefinitionKind::Computed(expr) => line += &format!("AS {expr}"),
            kind => {
                line += &column.data_type.to_string();
                if let Some(extras) = extras(kind) {
                    line += &format!(" {extras}");
                }
            }
        }
        if let Some(comment) = &column.comment {
            line += &format!(" COMMENT {}", text(comment));
        }
        lines.push(line);
    }
    if let Some(watermark) = &table.watermark {
        let column = quoted(&watermark.column);
        lines.push(format!("  WATERMARK FOR {column} AS {}", watermark.expression));
    }
    if let Some(key) = &table.primary_key {
        let columns = quoted_list(&key.columns);
        let name = quoted(&key.name);
        lines.push(format!("  CONSTRAINT {name} PRIMARY KEY ({columns}) NOT ENFORCED"));
    }
    let mut out =
        format!("CREATE {temporary}TABLE {} (\n{}\n)\n", full_name(path), lines.join(",\n"));
    if let Some(comment) = &table.comment {
        out += &format!("COMMENT {}\n", text(comment));
    }
    if !table.partition_keys.is_empty() {
        out += &format!("PARTITIONED BY ({})\n", quoted_list(&table.partition_keys));
    }
    out + &with(&table.options)
}

fn with(options: &IndexMap<String, String>) -> String {
    if options.is_empty() {
        return String::new();
    }
    let mut out = "WITH (\n".to_owned();
    for (position, (key, value)) in options.iter().enumerate() {
        let comma = if position + 1 == options.len() { "" } else { "," };
        // Writing to a string does not fail.
        let _ = writeln!(out, "  {} = {}{comma}", text(key), text(value));
    }
    out + ")\n"
}

fn create_view(path: &ObjectPath, view: &ViewDefinition, temporary: bool) -> String {
    let temporary = if temporary { "TEMPORARY " } else { "" };
    let names: Vec<String> = view.columns.iter().map(|(name, _)| format!("  {}", quoted(name))).collect();
    let comment = view.comment.as_ref().map(|comment| format!("COMMENT {}\n", text(comment)));
    format!(
        "CREATE {temporary}VIEW {} (\n{}\n)\n{}AS {}\n",
        full_name(path),
        names.join(",\n"),
        comment.unwrap_or_default(),
        view.query
    )
}
