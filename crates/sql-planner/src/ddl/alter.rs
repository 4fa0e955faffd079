//! ALTER of tables, views and databases.

use std::sync::Arc;

use hurtig_sql_parser::ast::{
    AlterAction, AlterTable, ColumnPosition, Ident, ObjectKind, ObjectName, SchemaChange,
};

use super::{DdlContext, create, define_view, options_of};
use crate::{
    PlanError, PlanResult,
    catalog::{CatalogEntry, Catalogs, ColumnDefinitionKind, ObjectPath, TableDefinition},
};

pub(super) fn alter_table(
    catalogs: &mut Catalogs,
    context: &DdlContext<'_>,
    alter: &AlterTable,
) -> PlanResult<()> {
    let path = catalogs.path(&alter.name)?;
    let Some((CatalogEntry::Table(kept), temporary)) = catalogs.entry(&path)? else {
        if alter.if_exists {
            return Ok(());
        }
        return catalogs.lookup(&alter.name).map(|_| ()).and_then(|()| {
            Err(PlanError::at(
                alter.name.span(),
                format!("ALTER TABLE for a view is not allowed: '{path}'"),
            ))
        });
    };
    if let AlterAction::Rename(to) = &alter.action {
        return rename(catalogs, &path, to, CatalogEntry::Table(kept), temporary);
    }
    let mut table = (*kept).clone();
    change(catalogs, context, &mut table, &alter.action)?;
    create::check(&table)?;
    catalogs.replace(&path, CatalogEntry::Table(Arc::new(table)))
}

fn rename(
    catalogs: &mut Catalogs,
    from: &ObjectPath,
    to: &ObjectName,
    entry: CatalogEntry,
    temporary: bool,
) -> PlanResult<()> {
    // A name without database stays in its database.
    let to = match &*to.0 {
        [name] => ObjectPath { name: name.value.clone(), ..from.clone() },
        _ => catalogs.path(to)?,
    };
    if to.catalog != from.catalog || to.database != from.database {
        return Err(PlanError::new("a table can only be renamed within its database"));
    }
    if !catalogs.create(&to, entry, temporary, false)? {
        return Err(create::exists(&to, temporary));
    }
    catalogs.drop(from, temporary).map(|_| ())
}

fn change(
    catalogs: &Catalogs,
    context: &DdlContext<'_>,
    table: &mut TableDefinition,
    action: &AlterAction,
) -> PlanResult<()> {
    match action {
        AlterAction::RenameColumn { from, to } => rename_column(table, from, to)?,
        AlterAction::SetOptions(options) => table.options.extend(options_of(options)),
        AlterAction::ResetOptions(keys) => {
            if keys.iter().any(|key| key == "connector") {
                return Err(PlanError::new(
                    "ALTER TABLE RESET does not support changing 'connector'",
                ));
            }
            table.options.retain(|key, _| !keys.contains(key));
        }
        AlterAction::Comment(comment) => table.comment = Some(comment.clone()),
        AlterAction::Add(change) => add(catalogs, context, table, change)?,
        AlterAction::Modify(change) => modify(catalogs, context, table, change)?,
        AlterAction::AddDistribution(spec) | AlterAction::ModifyDistribution(spec) => {
            table.distribution = Some(spec.clone());
        }
        AlterAction::DropDistribution => table.distribution = None,
        AlterAction::DropColumns(names) => {
            for name in names {
                drop_column(table, name)?;
            }
            create::type_computed(catalogs, context, table)?;
        }
        AlterAction::DropPrimaryKey => {
            if table.primary_key.take().is_none() {
                return Err(PlanError::new("The base table does not define any primary key."));
            }
        }
        AlterAction::DropConstraint(name) => match &table.primary_key {
            Some(key) if key.name == name.value => table.primary_key = None,
            _ => {
                let message = format!(
                    "The base table does not define a primary key constraint named '{}'.",
                    name.value
                );
                return Err(PlanError::at(name.span, message));
            }
        },
        AlterAction::DropWatermark => {
            if table.watermark.take().is_none() {
                return Err(PlanError::new(
                    "The base table does not define any watermark strategy.",
                ));
            }
        }
        _ => return Err(PlanError::new("this ALTER is not supported for tables")),
    }
    Ok(())
}

/// The position of a column that must be there.
fn find(table: &TableDefinition, name: &ObjectName) -> PlanResult<usize> {
    let found = table.column(name.last()).map(|(position, _)| position);
    found.ok_or_else(|| {
        let message = format!("The column `{}` does not exist in the base table.", name.last());
        let names = table.columns.iter().map(|one| &*one.name);
        PlanError::at(name.span(), message).nearest(name.last(), names)
    })
}

fn rename_column(
    table: &mut TableDefinition,
    from: &ObjectName,
    to: &ObjectName,
) -> PlanResult<()> {
    let position = find(table, from)?;
    let (old, new) = (from.last().to_owned(), to.last().to_owned());
    if table.column(&new).is_some() {
        return Err(PlanError::at(
            to.span(),
            format!("The column `{new}` already existed in table schema."),
        ));
    }
    refuse_if_used(table, from, "rename")?;
    table.columns[position].name.clone_from(&new);
    let renamed = |name: &mut String| {
        if *name == old {
            name.clone_from(&new);
        }
    };
    table.partition_keys.iter_mut().for_each(renamed);
    if let Some(key) = &mut table.primary_key {
        key.columns.iter_mut().for_each(renamed);
    }
    Ok(())
}

/// Columns that a computed column or the watermark names keep their names.
fn refuse_if_used(table: &TableDefinition, name: &ObjectName, verb: &str) -> PlanResult<()> {
    let quoted = format!("`{}`", name.last());
    let mentions = |text: String| {
        let words = |c: char| !c.is_alphanumeric() && c != '_';
        text.contains(&quoted) || text.split(words).any(|word| word == name.last())
    };
    for column in &table.columns {
        if let ColumnDefinitionKind::Computed(expr) = &column.kind
            && mentions(expr.to_string())
        {
            let message = format!(
                "Failed to {verb} column `{}`: it is referenced by computed column `{}`.",
                name.last(),
                column.name
            );
            return Err(PlanError::at(name.span(), message));
        }
    }
    if let Some(watermark) = &table.watermark
        && (watermark.column == name.last() || mentions(watermark.expression.to_string()))
    {
        let message = format!(
            "Failed to {verb} column `{}`: it is referenced by watermark expression.",
            name.last()
        );
        return Err(PlanError::at(name.span(), message));
    }
    Ok(())
}

fn drop_column(table: &mut TableDefinition, name: &ObjectName) -> PlanResult<()> {
    let position = find(table, name)?;
    refuse_if_used(table, name, "drop")?;
    let is_key = |keys: &[String]| keys.iter().any(|key| key == name.last());
    if table.primary_key.as_ref().is_some_and(|key| is_key(&key.columns)) {
        let message =
            format!("Failed to drop column `{}`: it is used as the primary key.", name.last());
        return Err(PlanError::at(name.span(), message));
    }
    if is_key(&table.partition_keys) {
        let message =
            format!("Failed to drop column `{}`: it is used as the partition keys.", name.last());
        return Err(PlanError::at(name.span(), message));
    }
    table.columns.remove(position);
    Ok(())
}

fn place(table: &TableDefinition, position: Option<&ColumnPosition>) -> PlanResult<Option<usize>> {
    Ok(match position {
        None => None,
        Some(ColumnPosition::First) => Some(0),
        Some(ColumnPosition::After(name)) => Some(find(table, name)? + 1),
    })
}

fn add(
    catalogs: &Catalogs,
    context: &DdlContext<'_>,
    table: &mut TableDefinition,
    change: &SchemaChange,
) -> PlanResult<()> {
    for added in &change.columns {
        let at = place(table, added.position.as_ref())?;
        create::add_column(table, &added.column)?;
        if let Some(at) = at {
            table.columns[at..].rotate_right(1);
        }
    }
    for constraint in &change.constraints {
        if let Some(key) = &table.primary_key {
            let message = format!(
                "The base table has already defined the primary key constraint {:?}.",
                key.columns
            );
            return Err(PlanError::at(constraint.span, message));
        }
        create::set_key(table, constraint)?;
    }
    create::type_computed(catalogs, context, table)?;
    if let Some(watermark) = &change.watermark {
        if table.watermark.is_some() {
            let message = "The base table has already defined the watermark strategy.";
            return Err(PlanError::at(watermark.span, message));
        }
        create::set_watermark(catalogs, context, table, watermark)?;
    }
    Ok(())
}

fn modify(
    catalogs: &Catalogs,
    context: &DdlContext<'_>,
    table: &mut TableDefinition,
    change: &SchemaChange,
) -> PlanResult<()> {
    for changed in &change.columns {
        let from = find(table, &changed.column.name)?;
        let mut column = create::column_of(&changed.column);
        let old = table.columns.remove(from);
        column.comment = column.comment.or(old.comment);
        let at = place(table, changed.position.as_ref())?.unwrap_or(from);
        table.columns.insert(at, column);
    }
    for constraint in &change.constraints {
        if table.primary_key.take().is_none() {
            let message = "The base table does not define any primary key constraint. You might want to add a new one.";
            return Err(PlanError::at(constraint.span, message));
        }
        create::set_key(table, constraint)?;
    }
    create::type_computed(catalogs, context, table)?;
    if let Some(watermark) = &change.watermark {
        if table.watermark.is_none() {
            let message =
                "The base table does not define any watermark. You might want to add a new one.";
            return Err(PlanError::at(watermark.span, message));
        }
        create::set_watermark(catalogs, context, table, watermark)?;
    }
    Ok(())
}

pub(super) fn alter_other(
    catalogs: &mut Catalogs,
    context: &DdlContext<'_>,
    object: ObjectKind,
    if_exists: bool,
    name: &ObjectName,
    action: &AlterAction,
) -> PlanResult<()> {
    match (object, action) {
        (ObjectKind::View, action) => {
            let path = catalogs.path(name)?;
            let Some((CatalogEntry::View(view), temporary)) = catalogs.entry(&path)? else {
                if if_exists {
                    return Ok(());
                }
                return Err(PlanError::at(name.span(), format!("View {path} does not exist.")));
            };
            match action {
                AlterAction::Rename(to) => {
                    rename(catalogs, &path, to, CatalogEntry::View(view), temporary)
                }
                AlterAction::Query(query) => {
                    let names: [Ident; 0] = [];
                    let view = define_view(catalogs, context, query, &names, view.comment.clone())?;
                    catalogs.replace(&path, CatalogEntry::View(Arc::new(view)))
                }
                _ => Err(PlanError::new("this ALTER is not supported for views")),
            }
        }
        (ObjectKind::Database, AlterAction::SetOptions(options)) => {
            let (catalog, database) = catalogs.database_path(Some(name))?;
            let kept = catalogs.catalog(&catalog)?;
            let mut definition = kept.database(&database)?.ok_or_else(|| {
                PlanError::new(format!("Database {database} does not exist in Catalog {catalog}."))
            })?;
            definition.options.extend(options_of(options));
            kept.put_database(&database, definition)
        }
        _ => Err(PlanError::new("this ALTER is not supported")),
    }
}
