//! FROM: tables, views, common tables, queries, and joins from left to right.

use std::rc::Rc;

use datafusion_expr::LogicalPlan;
use hurtig_sql_parser::{
    Span,
    ast::{
        self, FromClause, Ident, JoinKind, ObjectName, SqlQuery, TableAlias, TableFactor,
        TableFactorKind, TableHint,
    },
};

use super::{
    Binder, Scope, ScopeColumn,
    expression::ExpressionBinder,
    scope::{ScopeTable, duplicate},
    unnest::LateralJoin,
};
use crate::{
    PlanError, PlanResult,
    catalog::{CatalogEntry, ViewDefinition},
};

/// The most columns of all tables that one statement names. Common tables and views are bound
/// wherever they are named, so that a few lines can name very many.
const MAX_COLUMNS: u64 = 200_000;

/// The tables of WITH, the nearest first. Each sees those behind it.
#[derive(Debug)]
pub(super) struct CommonTables {
    name: String,
    columns: Vec<Ident>,
    query: SqlQuery,
    next: Option<Rc<Self>>,
}

impl CommonTables {
    /// One more table.
    pub fn new(table: &ast::CommonTable, next: Option<Rc<Self>>) -> Self {
        let (name, columns) = (table.name.value.clone(), table.columns.clone());
        Self { name, columns, query: (*table.query).clone(), next }
    }
}

/// A plan with what can be named of it.
pub(super) type Source = (LogicalPlan, Scope);

impl Binder<'_> {
    /// FROM
    pub(super) fn from(&self, from: &FromClause, outer: &[&Scope]) -> PlanResult<Source> {
        let mut left = self.factor(&from.first, outer, None)?;
        for join in &from.joins {
            left = self.join(left, join, outer)?;
        }
        Ok(left)
    }

    /// A table. `left` is what stands before it, which lateral ones see.
    pub(super) fn factor(
        &self,
        factor: &TableFactor,
        outer: &[&Scope],
        left: Option<&Scope>,
    ) -> PlanResult<Source> {
        self.count_table().map_err(|error| error.within(factor.span))?;
        if self.names.get() > MAX_COLUMNS {
            let message = format!("the statement's tables have more than {MAX_COLUMNS} columns");
            return Err(PlanError::at(factor.span, message));
        }
        if factor.sample.is_some() {
            return Err(PlanError::at(factor.span, "TABLESAMPLE is not supported"));
        }
        let (plan, mut scope) = match &factor.kind {
            TableFactorKind::Table { name, hints, .. } => self.table(name, hints)?,
            TableFactorKind::Query { query, lateral } => {
                let mut all = outer.to_vec();
                all.extend(left.filter(|_| *lateral));
                let relation = self.query(query, &all)?;
                (relation.plan, Scope::of(Vec::new(), relation.columns))
            }
            TableFactorKind::Function { call, .. } if self.is_user_table_function(call)? => {
                let join = LateralJoin { alias: factor.alias.as_ref(), ..LateralJoin::default() };
                let one = (one_row()?, Scope::default());
                return self.lateral_call(one, call, join, outer, factor.span);
            }
            TableFactorKind::Function { call, .. } => {
                self.table_function(call, outer, factor.span)?
            }
            TableFactorKind::Unnest { operands, ordinality } => {
                let alias = factor.alias.as_ref();
                let empty = Scope::default();
                let plan = one_row()?;
                let (plan, scope) =
                    self.unnest((plan, empty), operands, *ordinality, alias, false, None, outer)?;
                return Ok((plan, scope));
            }
            TableFactorKind::Joins(from) => return self.from(from, outer),
            TableFactorKind::Match { input, clause } => {
                let (_, scope) = self.factor(input, outer, left)?;
                let binder = ExpressionBinder::plain(self, &scope, outer, "MATCH_RECOGNIZE");
                let first =
                    clause.order_by.first().map(|item| binder.bind(&item.expr)).transpose()?;
                if first.is_none_or(|first| first.time.is_none()) {
                    let message = "You must specify either rowtime or proctime for order by as the first one.";
                    return Err(PlanError::at(factor.span, message));
                }
                return Err(PlanError::at(factor.span, "MATCH_RECOGNIZE is not supported yet"));
            }
        };
        if let Some(alias) = &factor.alias {
            scope = renamed(scope, alias)?;
        }
        let plan = self.hinted(plan, factor)?;
        Ok((plan, scope))
    }

    fn is_user_table_function(&self, call: &ast::FunctionCall) -> PlanResult<bool> {
        Ok(self.library.table(&self.function_name(call)?).is_some())
    }

    /// A table, view or common table by its name.
    pub(super) fn table(&self, name: &ObjectName, hints: &[TableHint]) -> PlanResult<Source> {
        if let [only] = &*name.0 {
            let mut common = self.common.as_ref();
            while let Some(table) = common {
                if table.name == only.value {
                    return self.common_table(table, only.span);
                }
                common = table.next.as_ref();
            }
        }
        let (path, entry) = self.catalogs.lookup(name)?;
        let qualifier = vec![path.catalog.clone(), path.database.clone(), path.name.clone()];
        match entry {
            CatalogEntry::Table(table) => {
                let relation = self.scan(&path, &table, hints, name.span())?;
                Ok((relation.plan, Scope::of(qualifier, relation.columns)))
            }
            CatalogEntry::View(view) => {
                let (plan, columns) = self.view(&view).map_err(|mut error| {
                    // Its positions are those of another text.
                    error.span = Some(name.span());
                    error
                })?;
                Ok((plan, Scope::of(qualifier, columns)))
            }
        }
    }

    fn common_table(&self, table: &CommonTables, span: Span) -> PlanResult<Source> {
        let binder = Self { common: table.next.clone(), ..self.clone() };
        let mut relation = binder.query(&table.query, &[])?;
        if !table.columns.is_empty() {
            rename(&mut relation.columns, &table.columns, span)?;
        } else if let Some(name) = duplicate(relation.columns.iter().map(|one| &*one.name)) {
            let message =
                format!("Column has duplicate column name '{name}' and no column list specified");
            return Err(PlanError::at(span, message));
        }
        Ok((relation.plan, Scope::of(vec![table.name.clone()], relation.columns)))
    }

    fn view(&self, view: &ViewDefinition) -> PlanResult<(LogicalPlan, Vec<ScopeColumn>)> {
        let catalogs = self.catalogs.at(&view.current);
        let binder = self.within_view(&catalogs)?;
        let mut relation = binder.query(&view.query, &[])?;
        if relation.columns.len() != view.columns.len() {
            return Err(PlanError::new("the view's query has other columns than it had"));
        }
        for (column, (name, _)) in relation.columns.iter_mut().zip(&view.columns) {
            column.name.clone_from(name);
        }
        Ok((relation.plan, relation.columns))
    }

    /// Two tables and what stands between them.
    fn join(&self, left: Source, join: &ast::FromJoin, outer: &[&Scope]) -> PlanResult<Source> {
        match &join.right.kind {
            TableFactorKind::Unnest { operands, ordinality } => {
                let LateralJoin { alias, is_outer, on } = lateral_join(join, "UNNEST")?;
                self.unnest(left, operands, *ordinality, alias, is_outer, on, outer)
            }
            TableFactorKind::Function { call, .. } if self.is_user_table_function(call)? => {
                let how = lateral_join(join, "a table function")?;
                self.lateral_call(left, call, how, outer, join.right.span)
            }
            TableFactorKind::Table { system_time: Some(time), .. } => {
                self.temporal_join(left, join, time, outer)
            }
            _ => {
                let mut right = self.factor(&join.right, outer, Some(&left.1))?;
                let mut conditions = Vec::new();
                if matches!(join.right.kind, TableFactorKind::Query { lateral: true, .. })
                    && !right.0.all_out_ref_exprs().is_empty()
                {
                    if matches!(join.kind, JoinKind::Right | JoinKind::Full) {
                        let message = "LATERAL can be joined by CROSS, INNER and LEFT JOIN only";
                        return Err(PlanError::at(join.span, message));
                    }
                    let opened = crate::optimize::lateral(right.0, &left.0);
                    (right.0, conditions) =
                        opened.map_err(|error| error.within(join.right.span))?;
                }
                self.regular_join(left, right, join, conditions, outer)
            }
        }
    }
}

/// One row without columns.
fn one_row() -> PlanResult<LogicalPlan> {
    let schema = crate::types::schema_of(Vec::new())?;
    let one = datafusion_expr::EmptyRelation { produce_one_row: true, schema };
    Ok(LogicalPlan::EmptyRelation(one))
}

/// How something that makes rows of a row's values is joined.
fn lateral_join<'a>(join: &'a ast::FromJoin, what: &str) -> PlanResult<LateralJoin<'a>> {
    let is_outer = match join.kind {
        JoinKind::Comma | JoinKind::Cross | JoinKind::Inner => false,
        JoinKind::Left => true,
        JoinKind::Right | JoinKind::Full => {
            let message = format!("{what} can be joined by CROSS, INNER and LEFT JOIN only");
            return Err(PlanError::at(join.span, message));
        }
    };
    let on = match &join.constraint {
        None => None,
        Some(ast::JoinConstraint::On(on)) => Some(on),
        Some(ast::JoinConstraint::Using(_)) => {
            return Err(PlanError::at(join.span, format!("USING cannot be with {what}")));
        }
    };
    Ok(LateralJoin { alias: join.right.alias.as_ref(), is_outer, on })
}

/// The scope under an alias.
pub(super) fn renamed(scope: Scope, alias: &TableAlias) -> PlanResult<Scope> {
    let all = scope.all();
    let mut columns: Vec<ScopeColumn> = scope.columns().cloned().collect();
    if !scope.merged.is_empty() {
        columns.retain(|column| all.iter().any(|(_, bound)| bound.expr == column.bound().expr));
    }
    if !alias.columns.is_empty() {
        rename(&mut columns, &alias.columns, alias.name.span)?;
    }
    let qualifier = vec![alias.name.value.clone()];
    Ok(Scope { tables: vec![ScopeTable { qualifier, columns }], merged: Vec::new() })
}

/// Gives columns other names.
pub(super) fn rename(columns: &mut [ScopeColumn], names: &[Ident], span: Span) -> PlanResult<()> {
    if columns.len() != names.len() {
        return Err(PlanError::at(
            span,
            format!(
                "List of column aliases must have same degree as table; table has {} columns, whereas alias list has {} columns",
                columns.len(),
                names.len()
            ),
        ));
    }
    if let Some(name) = duplicate(names.iter().map(|name| &*name.value)) {
        let message = format!("Duplicate name '{name}' in column alias list");
        return Err(PlanError::at(span, message));
    }
    for (column, name) in columns.iter_mut().zip(names) {
        column.name.clone_from(&name.value);
    }
    Ok(())
}
