//! CREATE TABLE.

use std::sync::Arc;

use hurtig_sql_parser::{
    Span,
    ast::{
        ColumnDefinition, ColumnKind, CreateTable, DistributionSpec, Ident, InsertStatement,
        ObjectName, TableConstraint, TableElements, TableSchema, WatermarkSpec,
    },
    types::{SqlDataType, SqlTypeKind},
};
use indexmap::IndexMap;

use super::{Definitions, StatementOutcome, exists_unless, options_of};
use crate::{
    PlanError, PlanResult,
    catalog::{
        CatalogEntry, ColumnDefinitionKind, PrimaryKey, TableColumn, TableDefinition, TableWatermark,
    },
};

/// A table under construction: what LIKE has taken over, then what the statement says.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub columns: Vec<DraftColumn>,
    pub watermark: Option<WatermarkSpec>,
    pub primary_key: Option<PrimaryKey>,
    pub partition_keys: Vec<String>,
    pub distribution: Option<DistributionSpec>,
    pub options: IndexMap<String, String>,
    pub comment: Option<String>,
}

/// A column; the type of a computed one is not known yet.
#[derive(Clone, Debug)]
pub(super) struct DraftColumn {
    pub name: String,
    pub data_type: Option<SqlDataType>,
    pub kind: ColumnDefinitionKind,
    pub comment: Option<String>,
    pub span: Span,
}

impl Definitions<'_> {
    pub(super) fn create_table(
        &mut self,
        create: &CreateTable,
        span: Span,
    ) -> PlanResult<StatementOutcome> {
        let path = self.catalogs.path(&create.name)?;
        let mut draft = match &create.like {
            Some(like) => self.like(like)?,
            None => Draft::default(),
        };
        match &create.elements {
            TableElements::None => {}
            TableElements::Schema(schema) => draft.add_schema(schema)?,
            TableElements::Names(_) if create.query.is_some() => {}
            TableElements::Names(_) => {
                return Err(PlanError::at(span, "columns need their types"));
            }
        }
        if let Some(query) = &create.query {
            self.columns_of_query(create, query, &mut draft)?;
        }
        if !create.partitioned_by.is_empty() {
            draft.partition_keys =
                create.partitioned_by.iter().map(|key| key.value.clone()).collect();
        }
        draft.distribution = create.distribution.clone().or(draft.distribution);
        draft.comment = create.comment.clone().or(draft.comment);
        let own = options_of(&create.options)?;
        draft.options.extend(own);
        let table = self.finish(draft, span)?;
        let entry = CatalogEntry::Table(Arc::new(table));
        let replace = create.or_replace || create.replace;
        let made = self.catalogs.create(&path, entry, create.temporary, replace)?;
        exists_unless(made || create.if_not_exists, "Table", &path.to_string(), &create.name)?;
        match &create.query {
            Some(query) if made => Ok(StatementOutcome::Insert(Box::new(InsertStatement {
                upsert: false,
                overwrite: false,
                table: create.name.clone(),
                hints: Vec::new(),
                partition: None,
                columns: Vec::new(),
                query: query.clone(),
                on_conflict: None,
                span,
            }))),
            _ => Ok(StatementOutcome::Done),
        }
    }

    /// CREATE TABLE AS: the columns of the query, in the order that the statement may name.
    fn columns_of_query(
        &self,
        create: &CreateTable,
        query: &hurtig_sql_parser::ast::SqlQuery,
        draft: &mut Draft,
    ) -> PlanResult<()> {
        let bound = self.binder().bind_query(query)?;
        let mut given: Vec<(String, SqlDataType)> =
            bound.columns.into_iter().map(|(name, _, data_type)| (name, data_type)).collect();
        if let TableElements::Names(names) = &create.elements {
            if names.len() != given.len() {
                let message = format!(
                    "the table names {} columns, its query gives {}",
                    names.len(),
                    given.len()
                );
                return Err(PlanError::at(query.span, message));
            }
            let mut ordered = Vec::new();
            for name in names {
                let position = given.iter().position(|(own, _)| own == name.last());
                let position = position.ok_or_else(|| {
                    let message = format!("the query gives no column '{name}'");
                    PlanError::at(name.span(), message)
                })?;
                ordered.push(given.remove(position));
            }
            given = ordered;
        }
        for (name, data_type) in given {
            if draft.columns.iter().any(|column| column.name == name) {
                continue;
            }
            let kind = ColumnDefinitionKind::Physical;
            let column = DraftColumn {
                name,
                data_type: Some(data_type),
                kind,
                comment: None,
                span: query.span,
            };
            draft.columns.push(column);
        }
        Ok(())
    }

    /// Binds what is computed, checks the rest.
    pub(super) fn finish(&self, draft: Draft, span: Span) -> PlanResult<TableDefinition> {
        let mut known = Vec::new();
        for column in &draft.columns {
            if let Some(data_type) = &column.data_type {
                known.push(TableColumn {
                    name: column.name.clone(),
                    data_type: data_type.clone(),
                    kind: column.kind.clone(),
                    comment: column.comment.clone(),
                });
            }
        }
        let mut columns = Vec::new();
        for column in draft.columns {
            let data_type = match (&column.data_type, &column.kind) {
                (Some(data_type), _) => data_type.clone(),
                (None, ColumnDefinitionKind::Computed(expr)) => {
                    let bound = self.binder().bind_expression(&known, expr);
                    bound.map_err(|error| error.within(column.span))?.1
                }
                (None, _) => return Err(PlanError::at(column.span, "the column has no type")),
            };
            let DraftColumn { name, kind, comment, .. } = column;
            columns.push(TableColumn { name, data_type, kind, comment });
        }
        let watermark = draft.watermark.map(|spec| self.watermark(&columns, &spec)).transpose()?;
        if let Some(key) = &draft.primary_key {
            self::check_key(key, &mut columns, span)?;
        }
        for key in &draft.partition_keys {
            if !columns.iter().any(|column| column.name == *key) {
                let message = format!("Partition column '{key}' not defined in the table schema.");
                let names = columns.iter().map(|column| column.name.as_str());
                return Err(PlanError::at(span, message).nearest(key, names));
            }
        }
        Ok(TableDefinition {
            columns,
            watermark,
            primary_key: draft.primary_key,
            partition_keys: draft.partition_keys,
            distribution: draft.distribution,
            options: draft.options,
            comment: draft.comment,
        })
    }

    fn watermark(
        &self,
        columns: &[TableColumn],
        spec: &WatermarkSpec,
    ) -> PlanResult<TableWatermark> {
        let name = spec.column.to_string().replace('`', "");
        let Some(column) = columns.iter().find(|column| column.name == name) else {
            let message = format!(
                "The rowtime attribute field '{name}' is not defined in the table schema"
            );
            let names = columns.iter().map(|column| column.name.as_str());
            return Err(PlanError::at(spec.column.span(), message).nearest(&name, names));
        };
        match column.data_type.kind {
            SqlTypeKind::Timestamp(0..=3) | SqlTypeKind::TimestampLtz(0..=3) => {}
            _ => {
                let message = format!(
                    "Invalid data type of time field for watermark definition: '{name}' must be TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p from 0 to 3, but it is {}",
                    column.data_type
                );
                return Err(PlanError::at(spec.column.span(), message));
            }
        }
        let (_, data_type) = self.binder().bind_expression(columns, &spec.expr)?;
        match data_type.kind {
            SqlTypeKind::Timestamp(0..=3) | SqlTypeKind::TimestampLtz(0..=3) => {}
            _ => {
                let message = format!(
                    "the watermark must be TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p from 0 to 3, but it is {data_type}"
                );
                return Err(PlanError::at(spec.expr.span, message));
            }
        }
        Ok(TableWatermark { column: name, expression: spec.expr.clone(), data_type })
    }
}

/// The columns of a key exist, are no computed ones, and have no NULL.
fn check_key(key: &PrimaryKey, columns: &mut [TableColumn], span: Span) -> PlanResult<()> {
    for name in &key.columns {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let Some(column) = columns.iter_mut().find(|column| column.name == *name) else {
            let message = format!("Primary key column '{name}' is not defined in the schema");
            let names = names.iter().map(String::as_str);
            return Err(PlanError::at(span, message).nearest(name, names));
        };
        if column.kind != ColumnDefinitionKind::Physical {
            let message = format!("Invalid primary key. Column '{name}' is not a physical column.");
            return Err(PlanError::at(span, message));
        }
        column.data_type.nullable = false;
    }
    Ok(())
}

impl Draft {
    /// Adds what a schema says.
    pub fn add_schema(&mut self, schema: &TableSchema) -> PlanResult<()> {
        for column in &schema.columns {
            let column = draft_column(column)?;
            if self.columns.iter().any(|known| known.name == column.name) {
                let message = format!("A column named '{}' already exists in the table.", column.name);
                return Err(PlanError::at(column.span, message));
            }
            self.columns.push(column);
        }
        for constraint in &schema.constraints {
            self.add_constraint(constraint)?;
        }
        if let Some(watermark) = &schema.watermark {
            self.watermark = Some(watermark.clone());
        }
        Ok(())
    }

    /// Adds a key.
    pub fn add_constraint(&mut self, constraint: &TableConstraint) -> PlanResult<()> {
        let at = |message: &str| PlanError::at(constraint.span, message);
        if !constraint.primary_key {
            return Err(at("UNIQUE constraint is not supported yet"));
        }
        if constraint.enforced != Some(false) {
            let error = at("Flink doesn't support ENFORCED mode for PRIMARY KEY constraint");
            return Err(error.hint("PRIMARY KEY (...) NOT ENFORCED"));
        }
        if self.primary_key.is_some() {
            return Err(at("Duplicate primary key definition"));
        }
        let columns: Vec<String> = constraint.columns.iter().map(|one| one.value.clone()).collect();
        let name = constraint.name.as_ref().map(|name: &Ident| name.value.clone());
        let name = name.unwrap_or_else(|| format!("PK_{}", columns.join("_")));
        self.primary_key = Some(PrimaryKey { name, columns });
        Ok(())
    }
}

/// A column as it is written.
pub(super) fn draft_column(column: &ColumnDefinition) -> PlanResult<DraftColumn> {
    let (data_type, kind) = match &column.kind {
        ColumnKind::Physical(data_type) => (Some(data_type.clone()), ColumnDefinitionKind::Physical),
        ColumnKind::Metadata { data_type, key, is_virtual } => {
            let kind = ColumnDefinitionKind::Metadata { key: key.clone(), is_virtual: *is_virtual };
            (Some(data_type.clone()), kind)
        }
        ColumnKind::Computed(expr) => (None, ColumnDefinitionKind::Computed(expr.clone())),
    };
    let name = simple(&column.name)?;
    Ok(DraftColumn { name, data_type, kind, comment: column.comment.clone(), span: column.span })
}

/// A name without dots.
pub(super) fn simple(name: &ObjectName) -> PlanResult<String> {
    match &*name.0 {
        [one] => Ok(one.value.clone()),
        _ => Err(PlanError::at(name.span(), "fields of nested rows cannot be changed")),
    }
}

/// A definition as a draft again, to be changed.
pub(super) fn draft_of(table: &TableDefinition) -> Draft {
    let columns = table.columns.iter().map(|column| DraftColumn {
        name: column.name.clone(),
        data_type: match column.kind {
            ColumnDefinitionKind::Computed(_) => None,
            _ => Some(column.data_type.clone()),
        },
        kind: column.kind.clone(),
        comment: column.comment.clone(),
        span: Span::default(),
    });
    let watermark = table.watermark.as_ref().map(|watermark| WatermarkSpec {
        column: ObjectName(vec![Ident::new(&watermark.column)]),
        expr: watermark.expression.clone(),
        span: Span::default(),
    });
    Draft {
        columns: columns.collect(),
        watermark,
        primary_key: table.primary_key.clone(),
        partition_keys: table.partition_keys.clone(),
        distribution: table.distribution.clone(),
        options: table.options.clone(),
        comment: table.comment.clone(),
    }
}
