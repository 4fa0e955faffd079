//! CREATE TABLE: columns, keys, watermarks; LIKE; AS.

use std::{collections::HashSet, sync::Arc};

use hurtig_sql_parser::{
    ast::{
        ColumnDefinition, ColumnKind, CreateTable, Ident, InsertStatement, ObjectName,
        TableConstraint, TableElements, TableSchema, WatermarkSpec,
    },
    types::{SqlDataType, SqlTypeKind},
};
use indexmap::IndexMap;

use super::{DdlContext, DdlOutcome, options_of};
use crate::{
    PlanError, PlanResult,
    catalog::{
        CatalogEntry, Catalogs, ColumnDefinitionKind, ObjectPath, PrimaryKey, TableColumn,
        TableDefinition, TableWatermark,
    },
};

/// The most columns of a table.
const MAX_COLUMNS: usize = 10_000;

pub(super) fn create_table(
    catalogs: &mut Catalogs,
    context: &DdlContext<'_>,
    create: &CreateTable,
) -> PlanResult<DdlOutcome> {
    let path = catalogs.path(&create.name)?;
    let exists_already = match catalogs.entry(&path)? {
        Some((_, temporary)) => temporary == create.temporary,
        None => false,
    };
    if exists_already && !create.or_replace && !create.replace {
        if create.if_not_exists {
            return Ok(DdlOutcome::Done);
        }
        return Err(exists(&path, create.temporary));
    }
    if create.replace && !exists_already {
        let message = format!("The table '{path}' to be replaced doesn't exist.");
        return Err(PlanError::at(create.name.span(), message).hint("CREATE OR REPLACE TABLE"));
    }
    let empty = TableSchema::default();
    let schema = match &create.elements {
        TableElements::Schema(schema) => schema,
        TableElements::None | TableElements::Names(_) => &empty,
    };
    let mut table = match &create.like {
        Some(like) => super::like::base(catalogs, like, schema, create)?,
        None => blank(),
    };
    // The columns that the query fills, if the table has more.
    let mut filled = Vec::new();
    if let Some(query) = &create.query {
        let bound = context.binder(catalogs).bind_query(query)?;
        let mut columns: Vec<TableColumn> = bound
            .columns
            .into_iter()
            .map(|(name, _, data_type)| physical(name, data_type))
            .collect();
        if let TableElements::Names(names) = &create.elements {
            columns = ordered(columns, names)?;
        }
        let own = TableSchema { columns: Vec::new(), ..schema.clone() };
        // New columns come first; those of the query keep their order.
        for column in &schema.columns {
            match columns.iter_mut().find(|one| one.name == column.name.last()) {
                Some(known) => {
                    if let ColumnKind::Physical(data_type) = &column.kind {
                        known.data_type = data_type.clone();
                    }
                }
                None => add_column(&mut table, column)?,
            }
        }
        if table.persisted().next().is_some() {
            let name = |one: &TableColumn| ObjectName(vec![Ident::new(one.name.clone())]);
            filled = columns.iter().map(name).collect();
        }
        table.columns.extend(columns);
        complete(catalogs, context, &mut table, &own)?;
    } else {
        for column in &schema.columns {
            add_column(&mut table, column)?;
        }
        complete(catalogs, context, &mut table, schema)?;
    }
    table.options.extend(options_of(&create.options));
    if !create.partitioned_by.is_empty() {
        table.partition_keys = create.partitioned_by.iter().map(|one| one.value.clone()).collect();
    }
    table.comment = create.comment.clone().or(table.comment);
    table.distribution = create.distribution.clone().or(table.distribution);
    check(&table)?;
    let replace = create.or_replace || create.replace;
    catalogs.create(&path, CatalogEntry::Table(Arc::new(table)), create.temporary, replace)?;
    let Some(query) = &create.query else { return Ok(DdlOutcome::Done) };
    let query = match &create.elements {
        TableElements::Names(names) => reordered(query, names),
        _ => (**query).clone(),
    };
    Ok(DdlOutcome::Insert(Box::new(InsertStatement {
        upsert: false,
        overwrite: false,
        table: create.name.clone(),
        hints: Vec::new(),
        partition: None,
        columns: filled,
        query: Box::new(query),
        on_conflict: None,
        span: create.name.span(),
    })))
}

/// `SELECT names FROM (query)`
fn reordered(
    query: &hurtig_sql_parser::ast::SqlQuery,
    names: &[hurtig_sql_parser::ast::ObjectName],
) -> hurtig_sql_parser::ast::SqlQuery {
    use hurtig_sql_parser::ast::{
        Expr, ExprKind, FromClause, SelectItem, SelectQuantifier, SqlQuery, SqlQueryBody,
        SqlSelect, TableFactor, TableFactorKind,
    };
    let span = query.span;
    let items = names.iter().map(|name| SelectItem {
        expr: Expr::new(ExprKind::Name(name.clone()), name.span()),
        alias: None,
    });
    let kind = TableFactorKind::Query { query: Box::new(query.clone()), lateral: false };
    let first = TableFactor { kind, alias: None, sample: None, span };
    let select = SqlSelect {
        hints: Vec::new(),
        quantifier: SelectQuantifier::None,
        items: items.collect(),
        from: Some(FromClause { first, joins: Vec::new() }),
        filter: None,
        group_by: None,
        having: None,
        windows: Vec::new(),
        qualify: None,
        span,
    };
    let body = SqlQueryBody::Select(Box::new(select));
    SqlQuery { with: None, body, order_by: Vec::new(), offset: None, limit: None, span }
}

fn ordered(
    columns: Vec<TableColumn>,
    names: &[hurtig_sql_parser::ast::ObjectName],
) -> PlanResult<Vec<TableColumn>> {
    if names.len() != columns.len() {
        return Err(PlanError::new(
            "The number of columns in the column list must match the number of columns in the source schema",
        ));
    }
    let find = |name: &hurtig_sql_parser::ast::ObjectName| {
        let found = columns.iter().find(|one| one.name == name.last());
        found.cloned().ok_or_else(|| {
            let known = columns.iter().map(|one| &*one.name);
            PlanError::at(name.span(), format!("Column '{name}' not found in the source schema."))
                .nearest(name.last(), known)
        })
    };
    names.iter().map(find).collect()
}

pub(super) fn exists(path: &ObjectPath, temporary: bool) -> PlanError {
    if temporary {
        return PlanError::new(format!("Temporary table '{path}' already exists"));
    }
    let ObjectPath { catalog, database, name } = path;
    PlanError::new(format!(
        "Table (or view) {database}.{name} already exists in Catalog {catalog}."
    ))
}

pub(super) fn blank() -> TableDefinition {
    TableDefinition {
        columns: Vec::new(),
        watermark: None,
        primary_key: None,
        partition_keys: Vec::new(),
        distribution: None,
        options: IndexMap::new(),
        comment: None,
    }
}

fn physical(name: String, data_type: SqlDataType) -> TableColumn {
    TableColumn { name, data_type, kind: ColumnDefinitionKind::Physical, comment: None }
}

/// A column as it stands; what it computes gets its type later.
pub(super) fn column_of(column: &ColumnDefinition) -> TableColumn {
    let (data_type, kind) = match &column.kind {
        ColumnKind::Physical(data_type) => (data_type.clone(), ColumnDefinitionKind::Physical),
        ColumnKind::Metadata { data_type, key, is_virtual } => {
            let kind = ColumnDefinitionKind::Metadata { key: key.clone(), is_virtual: *is_virtual };
            (data_type.clone(), kind)
        }
        ColumnKind::Computed(expr) => {
            (SqlDataType::nullable(SqlTypeKind::Null), ColumnDefinitionKind::Computed(expr.clone()))
        }
    };
    let name = column.name.last().to_owned();
    TableColumn { name, data_type, kind, comment: column.comment.clone() }
}

pub(super) fn add_column(table: &mut TableDefinition, column: &ColumnDefinition) -> PlanResult<()> {
    let made = column_of(column);
    if table.columns.iter().any(|one| one.name == made.name) {
        let message = format!("A column named '{}' already exists in the table.", made.name);
        return Err(PlanError::at(column.span, message));
    }
    if let (ColumnDefinitionKind::Physical, SqlTypeKind::Interval(..)) =
        (&made.kind, &made.data_type.kind)
    {
        let message = "Incorrect syntax near the keyword 'INTERVAL': a column cannot be of it";
        return Err(PlanError::at(column.span, message));
    }
    table.columns.push(made);
    Ok(())
}

/// Keys and watermark of a schema, and the types of computed columns.
pub(super) fn complete(
    catalogs: &Catalogs,
    context: &DdlContext<'_>,
    table: &mut TableDefinition,
    schema: &TableSchema,
) -> PlanResult<()> {
    for constraint in &schema.constraints {
        set_key(table, constraint)?;
    }
    type_computed(catalogs, context, table)?;
    if let Some(watermark) = &schema.watermark {
        set_watermark(catalogs, context, table, watermark)?;
    }
    Ok(())
}

/// The types of computed columns, over those that are not computed.
pub(super) fn type_computed(
    catalogs: &Catalogs,
    context: &DdlContext<'_>,
    table: &mut TableDefinition,
) -> PlanResult<()> {
    let is_computed = |one: &TableColumn| matches!(one.kind, ColumnDefinitionKind::Computed(_));
    let read: Vec<TableColumn> =
        table.columns.iter().filter(|one| !is_computed(one)).cloned().collect();
    let binder = context.binder(catalogs);
    for column in &mut table.columns {
        if let ColumnDefinitionKind::Computed(expr) = &column.kind {
            let (_, data_type) = binder.bind_expression(&read, expr).map_err(|mut error| {
                error.message = format!(
                    "Invalid expression for computed column '{}': {}",
                    column.name, error.message
                );
                error
            })?;
            column.data_type = data_type;
        }
    }
    Ok(())
}

pub(super) fn set_key(table: &mut TableDefinition, constraint: &TableConstraint) -> PlanResult<()> {
    let error = |message: String| PlanError::at(constraint.span, message);
    if !constraint.primary_key {
        return Err(error("UNIQUE constraint is not supported yet".to_owned()));
    }
    if constraint.enforced != Some(false) {
        return Err(error("Flink doesn't support ENFORCED mode for PRIMARY KEY constraint. ENFORCED/NOT ENFORCED  controls if the constraint checks are performed on the incoming/outgoing data. Flink does not own the data therefore the only supported mode is the NOT ENFORCED mode".to_owned())
            .hint("PRIMARY KEY (...) NOT ENFORCED"));
    }
    if table.primary_key.is_some() {
        return Err(error("Duplicate primary key definition".to_owned()));
    }
    let mut columns: Vec<String> = Vec::with_capacity(constraint.columns.len());
    for name in &constraint.columns {
        let found = table.columns.iter_mut().find(|one| one.name == name.value);
        let Some(column) = found else {
            let message =
                format!("Primary key column '{}' is not defined in the schema", name.value);
            let names = table.columns.iter().map(|one| &*one.name);
            return Err(PlanError::at(name.span, message).nearest(&name.value, names));
        };
        if !matches!(column.kind, ColumnDefinitionKind::Physical) {
            let message =
                format!("A column named '{}' in the primary key is no physical column", name.value);
            return Err(PlanError::at(name.span, message));
        }
        if columns.contains(&name.value) {
            return Err(PlanError::at(
                name.span,
                format!("'{}' is in the primary key twice", name.value),
            ));
        }
        column.data_type.nullable = false;
        columns.push(name.value.clone());
    }
    let name = constraint.name.as_ref().map(|one| one.value.clone());
    let name = name.unwrap_or_else(|| format!("PK_{}", columns.join("_")));
    table.primary_key = Some(PrimaryKey { name, columns });
    Ok(())
}

pub(super) fn set_watermark(
    catalogs: &Catalogs,
    context: &DdlContext<'_>,
    table: &mut TableDefinition,
    watermark: &WatermarkSpec,
) -> PlanResult<()> {
    let name = watermark.column.last();
    if watermark.column.0.len() > 1 {
        let message = "the time of a watermark must be a column, not a field of one";
        return Err(
            PlanError::at(watermark.column.span(), message).hint("make it a computed column")
        );
    }
    let Some((_, column)) = table.column(name) else {
        let message =
            format!("The rowtime attribute field '{name}' is not defined in the table schema");
        let names = table.columns.iter().map(|one| &*one.name);
        return Err(PlanError::at(watermark.column.span(), message).nearest(name, names));
    };
    let is_time = |data_type: &SqlDataType| {
        matches!(data_type.kind, SqlTypeKind::Timestamp(0..=3) | SqlTypeKind::TimestampLtz(0..=3))
    };
    if !is_time(&column.data_type) {
        let found = &column.data_type;
        return Err(PlanError::at(
            watermark.column.span(),
            format!(
                "Invalid data type of time field for watermark definition. The field must be of type TIMESTAMP(p) or TIMESTAMP_LTZ(p), the supported precision 'p' is from 0 to 3, but the time field type is {found}"
            ),
        ));
    }
    let (_, data_type) =
        context.binder(catalogs).bind_expression(&table.columns, &watermark.expr)?;
    if !is_time(&data_type) {
        return Err(PlanError::at(
            watermark.expr.span,
            format!(
                "Invalid data type of expression for watermark definition. The field must be of type TIMESTAMP(p) or TIMESTAMP_LTZ(p), the supported precision 'p' is from 0 to 3, but the watermark expression type is {data_type}"
            ),
        ));
    }
    table.watermark = Some(TableWatermark {
        column: name.to_owned(),
        expression: watermark.expr.clone(),
        data_type,
    });
    Ok(())
}

/// What must hold of every table.
pub(crate) fn check(table: &TableDefinition) -> PlanResult<()> {
    if table.columns.len() > MAX_COLUMNS {
        return Err(PlanError::new(format!("a table has at most {MAX_COLUMNS} columns")));
    }
    let mut seen = HashSet::new();
    for column in &table.columns {
        if !seen.insert(&*column.name) {
            return Err(PlanError::new(format!(
                "A column named '{}' already exists in the table.",
                column.name
            )));
        }
        hurtig_sql_common::columns::arrow_type(&column.data_type)?;
    }
    for key in &table.partition_keys {
        if table.column(key).is_none() {
            let error = PlanError::new(format!(
                "Partition column '{key}' not defined in the table schema."
            ));
            return Err(error.nearest(key, table.columns.iter().map(|one| &*one.name)));
        }
    }
    Ok(())
}
