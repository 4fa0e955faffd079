//! Queries and SELECT.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use datafusion_expr::{Distinct, EmptyRelation, Expr, Filter, Limit, LogicalPlan, Sort, SortExpr};
use hurtig_sql_parser::{
    Span,
    ast::{
        self, ExprKind, NullOrder, OrderItem, SelectQuantifier, SqlQuery, SqlQueryBody, SqlSelect,
    },
};

use super::{
    Binder, BoundExpression, Inside, MAX_QUERY_DEPTH, Relation, Scope, ScopeColumn,
    expression::ExpressionBinder,
    from::CommonTables,
    group::{Collector, Grouping},
    hints::StateTtlHint,
    literal,
    output::{Item, Names, name_of, unique_names},
};
use crate::{PlanError, PlanResult, types::schema_of};

/// What a SELECT's items are, under their names.
type Items = Vec<(Option<String>, BoundExpression)>;

impl Binder<'_> {
    /// A query within others, whose columns it can name. Its order is lost, so it needs none, unless
    /// it says which rows there are.
    pub(crate) fn query(&self, query: &SqlQuery, outer: &[&Scope]) -> PlanResult<Relation> {
        if query.order_by.is_empty() || query.limit.is_some() || query.offset.is_some() {
            return self.ordered_query(query, outer);
        }
        let unordered = SqlQuery { order_by: Vec::new(), ..query.clone() };
        self.ordered_query(&unordered, outer)
    }

    /// A query whose order is seen.
    pub(crate) fn ordered_query(&self, query: &SqlQuery, outer: &[&Scope]) -> PlanResult<Relation> {
        if let Some(with) = &query.with {
            if with.recursive {
                return Err(PlanError::at(query.span, "WITH RECURSIVE is not supported"));
            }
            let mut binder = self.clone();
            for table in &with.tables {
                let next = CommonTables::new(table, binder.common.take());
                binder.common = Some(Rc::new(next));
            }
            let inner = SqlQuery { with: None, ..query.clone() };
            return binder.ordered_query(&inner, outer);
        }
        let _inside = Inside::enter(&self.depth.queries, MAX_QUERY_DEPTH, "queries")
            .map_err(|error| error.within(query.span))?;
        let mut relation = match &query.body {
            SqlQueryBody::Select(select) => return self.select(select, query, outer),
            body => self.body(body, outer)?,
        };
        if !query.order_by.is_empty() {
            let scope = Scope::of(Vec::new(), relation.columns.clone());
            let binder = ExpressionBinder::plain(self, &scope, outer, "ORDER BY");
            let mut sort = Vec::new();
            for item in &query.order_by {
                let bound = match ordinal(&item.expr, relation.columns.len())? {
                    Some(position) => relation.columns[position].bound(),
                    None => binder.bind(&item.expr)?,
                };
                sort.push(sort_by(item, bound.expr));
            }
            relation.plan = sorted(relation.plan, sort);
        }
        relation.plan = self.limited(relation.plan, query)?;
        Ok(relation)
    }

    pub(super) fn body(&self, body: &SqlQueryBody, outer: &[&Scope]) -> PlanResult<Relation> {
        match body {
            SqlQueryBody::Select(select) => {
                let query = SqlQuery {
                    with: None,
                    body: SqlQueryBody::Values(Vec::new()),
                    order_by: Vec::new(),
                    offset: None,
                    limit: None,
                    span: select.span,
                };
                self.select(select, &query, outer)
            }
            SqlQueryBody::Values(rows) => self.values(rows, outer),
            SqlQueryBody::Table(name) => {
                let (plan, scope) = self.table(name, &[])?;
                let columns = scope.columns().cloned().collect();
                Ok(Relation { plan, columns })
            }
            SqlQueryBody::Query(query) => self.query(query, outer),
            SqlQueryBody::SetOperation { operator, quantifier, inputs } => {
                self.set_operation(*operator, *quantifier, inputs, outer)
            }
        }
    }

    /// SELECT with the ORDER BY and LIMIT of its query.
    fn select(
        &self,
        select: &SqlSelect,
        query: &SqlQuery,
        outer: &[&Scope],
    ) -> PlanResult<Relation> {
        super::hints::check(&select.hints)?;
        let hint = StateTtlHint::of(&select.hints)?.map(Rc::new);
        let (mut plan, scope) = match &select.from {
            Some(from) => {
                let binder = Self { ttl: hint.clone(), ..self.clone() };
                let source = binder.from(from, outer)?;
                hint.as_deref().map_or(Ok(()), StateTtlHint::check)?;
                source
            }
            None => {
                let schema = schema_of(Vec::new())?;
                let one = EmptyRelation { produce_one_row: true, schema };
                (LogicalPlan::EmptyRelation(one), Scope::default())
            }
        };
        if let Some(filter) = &select.filter {
            let binder = ExpressionBinder::plain(self, &scope, outer, "WHERE");
            plan = filtered(plan, binder.condition(filter)?)?;
        }
        let collector =
            RefCell::new(Collector { windows: select.windows.clone(), ..Collector::default() });
        let binder = ExpressionBinder {
            collector: Some(&collector),
            ..ExpressionBinder::plain(self, &scope, outer, "SELECT")
        };
        let mut grouping = None;
        if let Some(group_by) = &select.group_by {
            let (bound, below) = Grouping::bind(&binder, group_by, plan)?;
            (grouping, plan) = (Some(bound), below);
        } else if select.having.is_some() {
            grouping = Some(Grouping::default());
        }
        let mut parts = Parts::bind(
            &ExpressionBinder { grouping: grouping.as_ref(), ..binder },
            select,
            query,
        )?;
        if grouping.is_none() && !collector.borrow().aggregates.is_empty() {
            // Aggregates without GROUP BY: all rows are one group, and no column has a name.
            let windows = select.windows.clone();
            *collector.borrow_mut() = Collector { windows, ..Collector::default() };
            grouping = Some(Grouping::default());
            parts = Parts::bind(
                &ExpressionBinder { grouping: grouping.as_ref(), ..binder },
                select,
                query,
            )?;
        }
        let mut collector = collector.into_inner();
        if let Some(grouping) = &grouping {
            plan = grouping.build(self, &collector, plan)?;
        }
        if let Some(having) = parts.having {
            plan = filtered(plan, having)?;
        }
        let overs = std::mem::take(&mut collector.overs);
        if let Some(qualify) = &parts.qualify
            && !overs.iter().any(|over| over.is_in(&qualify.expr))
        {
            let span = select.qualify.as_ref().map(|one| one.span).unwrap_or_default();
            return Err(PlanError::at(span, "QUALIFY expression must contain a window function"));
        }
        plan = self.over_nodes(overs, plan)?;
        if let Some(qualify) = parts.qualify {
            plan = filtered(plan, qualify)?;
        }
        let named = parts.items.into_iter().enumerate();
        let named = named.map(|(position, (name, bound))| {
            (name.unwrap_or_else(|| format!("EXPR${position}")), bound)
        });
        let (names, bound): (Vec<String>, Vec<_>) = named.unzip();
        // Names that are equal differ in the plan.
        let unique = unique_names(names.iter().cloned());
        let named = unique.iter().zip(names).zip(bound).map(|((unique, name), bound)| {
            let mut item = self.item(unique, bound);
            item.column.name = name;
            item
        });
        let items: Vec<Item> = named.collect();
        let columns: Vec<ScopeColumn> = items.iter().map(|item| item.column.clone()).collect();
        let distinct = select.quantifier == SelectQuantifier::Distinct;
        self.finish(plan, items, columns, parts.order, query, distinct)
    }

    /// Projection, DISTINCT, ORDER BY and LIMIT. What is ordered by and not selected is a column
    /// that is there for the order only.
    fn finish(
        &self,
        plan: LogicalPlan,
        mut items: Vec<Item>,
        mut columns: Vec<ScopeColumn>,
        order: Vec<SortBy>,
        query: &SqlQuery,
        distinct: bool,
    ) -> PlanResult<Relation> {
        let selected = items.len();
        let mut sort = Vec::new();
        for (item, by) in query.order_by.iter().zip(order) {
            let position = match by {
                SortBy::Item(position) => position,
                SortBy::Value(bound) => {
                    match items.iter().position(|known| known.expr == bound.expr) {
                        Some(position) => position,
                        None => {
                            items.push(self.item("$o", bound));
                            items.len() - 1
                        }
                    }
                }
            };
            sort.push(sort_by(item, items[position].column.bound().expr));
        }
        if distinct && items.len() > selected {
            let span = query.order_by.first().map_or(query.span, |item| item.expr.span);
            let message = "with DISTINCT, ORDER BY can only be of what is selected";
            return Err(PlanError::at(span, message));
        }
        let hidden = items.len() > selected;
        let mut plan = self.project_items(plan, items)?;
        if distinct {
            plan = LogicalPlan::Distinct(Distinct::All(Arc::new(plan)));
            columns.iter_mut().for_each(|column| column.time = None);
        }
        if !sort.is_empty() {
            plan = sorted(plan, sort);
        }
        plan = self.limited(plan, query)?;
        if hidden {
            let pass = columns
                .iter()
                .map(|column| Item { expr: column.bound().expr, column: column.clone() });
            plan = self.project_items(plan, pass.collect())?;
        }
        Ok(Relation { plan, columns })
    }

    fn limited(&self, plan: LogicalPlan, query: &SqlQuery) -> PlanResult<LogicalPlan> {
        if query.limit.is_none() && query.offset.is_none() {
            return Ok(plan);
        }
        let count = |expr: &Option<ast::Expr>| match expr {
            None => Ok(None),
            Some(ast::Expr { kind: ExprKind::Literal(ast::Literal::Number(digits, _)), span }) => {
                let count: i64 = digits
                    .parse()
                    .map_err(|_| PlanError::at(*span, "a number of rows is expected here"))?;
                Ok(Some(Box::new(literal::big_int(count).expr)))
            }
            Some(other) => Err(PlanError::at(other.span, "a number of rows is expected here")),
        };
        let (skip, fetch) = (count(&query.offset)?, count(&query.limit)?);
        Ok(LogicalPlan::Limit(Limit { skip, fetch, input: Arc::new(plan) }))
    }
}

/// What ORDER BY is of.
enum SortBy {
    /// What is selected, by position.
    Item(usize),
    /// A value.
    Value(BoundExpression),
}

/// The clauses of a SELECT that see its aggregates.
struct Parts {
    items: Items,
    having: Option<BoundExpression>,
    qualify: Option<BoundExpression>,
    order: Vec<SortBy>,
}

impl Parts {
    fn bind(
        binder: &ExpressionBinder<'_, '_>,
        select: &SqlSelect,
        query: &SqlQuery,
    ) -> PlanResult<Self> {
        let mut items: Items = Vec::new();
        let mut names = Names::default();
        for item in &select.items {
            match &item.expr.kind {
                ExprKind::Wildcard(qualifier) => {
                    for (name, bound) in wildcard(binder, qualifier, item.expr.span)? {
                        // Only names that nobody wrote are made different.
                        items.push((Some(names.free(name)), bound));
                    }
                }
                _ => {
                    let bound = binder.bind(&item.expr)?;
                    if bound.data_type.kind == hurtig_sql_parser::types::SqlTypeKind::Null {
                        let error = PlanError::at(item.expr.span, "Illegal use of 'NULL'");
                        return Err(error.hint("CAST(NULL AS type)"));
                    }
                    let alias = item.alias.as_ref().map(|alias| &*alias.value);
                    let name = alias.or_else(|| name_of(&item.expr)).map(str::to_owned);
                    name.iter().for_each(|name| names.keep(name));
                    items.push((name, bound));
                }
            }
        }
        let clause = |clause| ExpressionBinder { clause, ..*binder };
        let having =
            select.having.as_ref().map(|one| clause("HAVING").condition(one)).transpose()?;
        let by_alias = |expr: &ast::Expr| {
            let name = expr.as_ident()?;
            items.iter().position(|(alias, _)| alias.as_deref() == Some(&*name.value))
        };
        let qualify = select.qualify.as_ref().map(|one| match one.as_ident().and(by_alias(one)) {
            Some(position) => Ok(items[position].1.clone()),
            None => qualify(&clause("QUALIFY"), one, &select.items),
        });
        let qualify = qualify.transpose()?;
        let mut order = Vec::new();
        for item in &query.order_by {
            let alias = by_alias(&item.expr).filter(|first| {
                let name = &items[*first].0;
                items.iter().filter(|(other, _)| other == name).count() == 1
            });
            order.push(match (ordinal(&item.expr, items.len())?, alias) {
                (Some(position), _) | (None, Some(position)) => SortBy::Item(position),
                (None, None) => SortBy::Value(clause("ORDER BY").bind(&item.expr)?),
            });
        }
        Ok(Self { items, having, qualify, order })
    }
}

/// QUALIFY can name what is selected, as in `QUALIFY rn <= 2`.
fn qualify(
    binder: &ExpressionBinder<'_, '_>,
    expr: &ast::Expr,
    items: &[ast::SelectItem],
) -> PlanResult<BoundExpression> {
    match binder.condition(expr) {
        Ok(bound) => Ok(bound),
        Err(error) => {
            let ExprKind::Binary(left, operator, right) = &expr.kind else { return Err(error) };
            let replaced = |side: &ast::Expr| {
                let name = side.as_ident()?;
                let item = items.iter().find(|item| item.alias.as_ref() == Some(name))?;
                Some(item.expr.clone())
            };
            if replaced(left).is_none() && replaced(right).is_none() {
                return Err(error);
            }
            let left = replaced(left).unwrap_or_else(|| (**left).clone());
            let right = replaced(right).unwrap_or_else(|| (**right).clone());
            let kind = ExprKind::Binary(Box::new(left), *operator, Box::new(right));
            binder.condition(&ast::Expr::new(kind, expr.span))
        }
    }
}

fn wildcard(
    binder: &ExpressionBinder<'_, '_>,
    qualifier: &[ast::Ident],
    span: Span,
) -> PlanResult<Vec<(String, BoundExpression)>> {
    let all =
        if qualifier.is_empty() { binder.scope.all() } else { binder.scope.all_of(qualifier)? };
    if all.is_empty() {
        return Err(PlanError::at(span, "SELECT * requires a FROM clause"));
    }
    if let Some(name) = binder.scope.duplicate(qualifier) {
        return Err(PlanError::at(span, format!("Column '{name}' is ambiguous")));
    }
    let mut items = Vec::with_capacity(all.len());
    for (name, mut bound) in all {
        if let Some(grouping) = binder.grouping {
            bound = grouping.key_of(&bound).ok_or_else(|| {
                PlanError::at(span, format!("Expression '{name}' is not being grouped"))
            })?;
        }
        items.push((name, bound));
    }
    Ok(items)
}

/// The position that an expression of ORDER BY names by its number.
fn ordinal(expr: &ast::Expr, columns: usize) -> PlanResult<Option<usize>> {
    let ExprKind::Literal(ast::Literal::Number(digits, ast::NumberKind::Integer)) = &expr.kind
    else {
        return Ok(None);
    };
    let position = digits.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    match position.filter(|position| *position < columns) {
        Some(position) => Ok(Some(position)),
        None => Err(PlanError::at(expr.span, "Ordinal out of range")),
    }
}

fn sort_by(item: &OrderItem, expr: Expr) -> SortExpr {
    // Flink's NULL is the least of all values.
    let nulls_first = item.nulls.map_or(!item.descending, |nulls| nulls == NullOrder::First);
    SortExpr { expr, asc: !item.descending, nulls_first }
}

fn sorted(plan: LogicalPlan, expr: Vec<SortExpr>) -> LogicalPlan {
    LogicalPlan::Sort(Sort { expr, input: Arc::new(plan), fetch: None })
}

/// A filter above a plan.
pub(super) fn filtered(plan: LogicalPlan, condition: BoundExpression) -> PlanResult<LogicalPlan> {
    Ok(LogicalPlan::Filter(Filter::try_new(condition.expr, Arc::new(plan))?))
}
