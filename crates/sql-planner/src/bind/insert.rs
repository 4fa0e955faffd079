//! INSERT.

use std::sync::Arc;

use datafusion_expr::LogicalPlan;
use hurtig_sql_parser::{ast::InsertStatement, types::SqlDataType};
use indexmap::IndexMap;

use super::{
    Binder, BoundExpression, Relation, Scope,
    expression::ExpressionBinder,
    literal,
    scan::{reference, with_hints},
};
use crate::{
    PlanError, PlanResult,
    catalog::{CatalogEntry, ObjectPath, TableColumn, TableDefinition},
    plan::{StreamingNode, StreamingNodeKind},
};

/// An INSERT as a plan.
#[derive(Clone, Debug)]
pub struct BoundInsert {
    /// The plan, which ends in the sink.
    pub plan: LogicalPlan,
    /// The table.
    pub path: ObjectPath,
    /// Its definition.
    pub table: Arc<TableDefinition>,
    /// Its options with those of an OPTIONS hint.
    pub options: IndexMap<String, String>,
}

impl Binder<'_> {
    /// INSERT INTO, INSERT OVERWRITE
    pub fn bind_insert(&self, insert: &InsertStatement) -> PlanResult<BoundInsert> {
        let (path, entry) = self.catalogs.lookup(&insert.table)?;
        let CatalogEntry::Table(table) = entry else {
            let message = format!("'{path}' is a view: nothing can be inserted into it");
            return Err(PlanError::at(insert.table.span(), message));
        };
        let options = with_hints(&table.options, &insert.hints, insert.span)?;
        let columns: Vec<&TableColumn> = table.persisted().collect();
        let mut fixed: IndexMap<String, BoundExpression> = IndexMap::new();
        if let Some(partition) = &insert.partition {
            let scope = Scope::default();
            let binder = ExpressionBinder::plain(self, &scope, &[], "PARTITION");
            for (name, value) in &partition.entries {
                if !table.partition_keys.contains(&name.value) {
                    let message = format!("'{}' is no partition key of '{path}'", name.value);
                    return Err(PlanError::at(name.span, message));
                }
                if let Some(value) = value {
                    fixed.insert(name.value.clone(), binder.bind(value)?);
                }
            }
        }
        let named = self.target(insert, &path, &columns, &fixed)?;
        let relation = self.ordered_query(&insert.query, &[])?;
        if relation.columns.len() != named.len() {
            return Err(mismatch(&path, "Different number of columns.", &relation, &named)
                .within(insert.query.span));
        }
        let mut items = Vec::new();
        for column in &columns {
            let value = match named.iter().position(|one| one.name == column.name) {
                Some(position) => relation.columns[position].bound(),
                None => match fixed.get(&column.name) {
                    Some(value) => value.clone(),
                    None => {
                        if !column.data_type.nullable {
                            let name = &column.name;
                            let message = format!(
                                "Column '{name}' has no default value and does not allow NULLs"
                            );
                            return Err(PlanError::at(insert.span, message));
                        }
                        literal::null_of(&column.data_type)?
                    }
                },
            };
            let position = items.len();
            let value = self.sink_value(value, &column.data_type).ok_or_else(|| {
                let cause = format!(
                    "Incompatible types for sink column '{}' at position {position}.",
                    column.name
                );
                mismatch(&path, &cause, &relation, &named).within(insert.query.span)
            })??;
            items.push((column.name.clone(), value));
        }
        let plan = self.project(relation.plan, items)?.plan;
        let kind = StreamingNodeKind::Sink { table: reference(&path), overwrite: insert.overwrite };
        let schema = plan.schema().clone();
        let node = StreamingNode { kind, inputs: vec![plan], expressions: Vec::new(), schema };
        Ok(BoundInsert { plan: node.into_plan(), path, table, options })
    }

    /// The value as the sink's type, without NOT NULL: the sink enforces that when it runs.
    fn sink_value(
        &self,
        value: BoundExpression,
        to: &SqlDataType,
    ) -> Option<PlanResult<BoundExpression>> {
        if value.data_type.kind == to.kind {
            return Some(Ok(value));
        }
        let known = value.data_type.kind == hurtig_sql_parser::types::SqlTypeKind::Null
            || self.library.can_implicitly_cast(&value.data_type, to);
        known.then(|| self.cast(value, to, false))
    }

    /// The columns that the query's are for.
    fn target<'c>(
        &self,
        insert: &InsertStatement,
        path: &ObjectPath,
        columns: &[&'c TableColumn],
        fixed: &IndexMap<String, BoundExpression>,
    ) -> PlanResult<Vec<&'c TableColumn>> {
        if insert.columns.is_empty() {
            let free = columns.iter().filter(|column| !fixed.contains_key(&column.name));
            return Ok(free.copied().collect());
        }
        let mut named: Vec<&TableColumn> = Vec::with_capacity(insert.columns.len());
        for name in &insert.columns {
            let found = columns.iter().find(|column| column.name == name.last());
            let found = found.ok_or_else(|| {
                let message = format!("Unknown target column '{}' of '{path}'", name.last());
                let names = columns.iter().map(|column| &*column.name);
                PlanError::at(name.span(), message).nearest(name.last(), names)
            })?;
            if named.iter().any(|one| one.name == found.name) {
                let message = format!("Target column '{}' is assigned more than once", found.name);
                return Err(PlanError::at(name.span(), message));
            }
            named.push(found);
        }
        Ok(named)
    }
}

fn mismatch(path: &ObjectPath, cause: &str, query: &Relation, sink: &[&TableColumn]) -> PlanError {
    let show = |all: Vec<String>| all.join(", ");
    let found =
        query.columns.iter().map(|one| format!("{}: {}", one.name, one.data_type)).collect();
    let wanted = sink.iter().map(|one| format!("{}: {}", one.name, one.data_type)).collect();
    PlanError::new(format!(
        "Column types of query result and sink for '{path}' do not match.\nCause: {cause}\n\nQuery schema: [{}]\nSink schema:  [{}]",
        show(found),
        show(wanted)
    ))
}
