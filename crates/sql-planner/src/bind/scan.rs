//! Tables of catalogs as plans: scan, computed columns, watermark.

use std::{collections::BTreeSet, sync::Arc};

use arrow_schema::Schema;
use datafusion_common::TableReference;
use datafusion_expr::{LogicalPlan, TableScan};
use hurtig_sql_parser::{
    Span,
    ast::{TableHint, TableHintOptions},
    types::SqlDataType,
};
use indexmap::IndexMap;

use super::{
    Binder, BoundExpression, Relation, Scope, ScopeColumn, expression::ExpressionBinder,
    output::Item,
};
use crate::{
    PlanError, PlanResult,
    catalog::{ColumnDefinitionKind, ObjectPath, TableColumn, TableDefinition, TableRef},
    plan::{StreamingNode, StreamingNodeKind},
    types::{TimeAttribute, plan_field, schema_of},
};

impl Binder<'_> {
    /// A table: `TableScan`, a projection with the computed columns, the watermark.
    pub(super) fn scan(
        &self,
        path: &ObjectPath,
        table: &Arc<TableDefinition>,
        hints: &[TableHint],
        span: Span,
    ) -> PlanResult<Relation> {
        let options = with_hints(&table.options, hints, span)?;
        let mut positions = Vec::new();
        let mut read = Vec::new();
        let mut fields = Vec::new();
        for (position, column) in table.columns.iter().enumerate() {
            if matches!(column.kind, ColumnDefinitionKind::Computed(_)) {
                continue;
            }
            let own = self.column(&column.name, column.data_type.clone());
            fields.push(Arc::new(plan_field(&own.column, &own.data_type, None)?));
            positions.push(position);
            read.push(own);
        }
        let schema =
            Schema::new(fields.iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>());
        let source = TableRef::new(path.clone(), table.clone(), options, positions, schema);
        let plan = LogicalPlan::TableScan(TableScan {
            table_name: reference(path),
            source: Arc::new(source),
            projection: None,
            projected_schema: schema_of(fields)?,
            filters: Vec::new(),
            fetch: None,
            statistics_requests: BTreeSet::new(),
        });
        let relation = self.computed(table, plan, read)?;
        self.watermark(table, relation)
    }

    /// The projection with the computed columns, in the order that the table has.
    fn computed(
        &self,
        table: &TableDefinition,
        plan: LogicalPlan,
        read: Vec<ScopeColumn>,
    ) -> PlanResult<Relation> {
        if read.len() == table.columns.len() {
            return Ok(Relation { plan, columns: read });
        }
        let scope = Scope::of(vec![], read.clone());
        let mut items = Vec::new();
        let mut columns = read.into_iter();
        for column in &table.columns {
            items.push(match &column.kind {
                ColumnDefinitionKind::Computed(expr) => {
                    let binder = ExpressionBinder::plain(self, &scope, &[], "a computed column");
                    self.item(&column.name, binder.bind(expr)?)
                }
                _ => {
                    let column = columns.next();
                    let column =
                        column.ok_or_else(|| PlanError::new("internal: a column is missing"))?;
                    Item { expr: column.bound().expr, column }
                }
            });
        }
        let columns = items.iter().map(|item| item.column.clone()).collect();
        Ok(Relation { plan: self.project_items(plan, items)?, columns })
    }

    fn watermark(&self, table: &TableDefinition, mut relation: Relation) -> PlanResult<Relation> {
        let Some(watermark) = &table.watermark else { return Ok(relation) };
        let scope = Scope::of(vec![], relation.columns.clone());
        let binder = ExpressionBinder::plain(self, &scope, &[], "WATERMARK");
        let bound = binder.bind(&watermark.expression)?;
        let position = relation.columns.iter().position(|one| one.name == watermark.column);
        let position =
            position.ok_or_else(|| PlanError::new("the column of the watermark is missing"))?;
        let time = relation.columns[position].bound();
        let value = self.coerce(bound, &time.data_type)?;
        relation.columns[position].time = Some(TimeAttribute::Rowtime);
        let mut fields = Vec::new();
        for column in &relation.columns {
            fields.push(Arc::new(plan_field(&column.column, &column.data_type, column.time)?));
        }
        let kind = StreamingNodeKind::Watermark;
        let (inputs, expressions) = (vec![relation.plan], vec![time.expr, value.expr]);
        let schema = schema_of(fields)?;
        let plan = StreamingNode { kind, inputs, expressions, schema }.into_plan();
        Ok(Relation { plan, columns: relation.columns })
    }

    /// An expression over the columns of a table: of computed columns, of a watermark.
    pub fn bind_expression(
        &self,
        columns: &[TableColumn],
        expr: &hurtig_sql_parser::ast::Expr,
    ) -> PlanResult<(BoundExpression, SqlDataType)> {
        let columns =
            columns.iter().map(|column| self.column(&column.name, column.data_type.clone()));
        let scope = Scope::of(Vec::new(), columns.collect());
        let bound = ExpressionBinder::plain(self, &scope, &[], "a column").bind(expr)?;
        let data_type = bound.data_type.clone();
        Ok((bound, data_type))
    }
}

/// A path as DataFusion names tables.
pub(crate) fn reference(path: &ObjectPath) -> TableReference {
    TableReference::full(&*path.catalog, &*path.database, &*path.name)
}

/// Options with those of OPTIONS hints.
pub(super) fn with_hints(
    options: &IndexMap<String, String>,
    hints: &[TableHint],
    span: Span,
) -> PlanResult<IndexMap<String, String>> {
    super::hints::check(hints)?;
    let mut options = options.clone();
    for hint in hints {
        if !hint.name.value.eq_ignore_ascii_case("OPTIONS") {
            continue;
        }
        let TableHintOptions::KeyValues(entries) = &hint.options else {
            return Err(PlanError::at(span, "OPTIONS hint only support key value options"));
        };
        for (key, value) in entries {
            options.insert(key.value.clone(), value.clone());
        }
    }
    Ok(options)
}
