//! Queries.

use sqlparser::ast::{self as sql, helpers::attached_token::AttachedToken};

use super::{Lowered, Lowering, balanced};
use crate::{
    ast::{
        ExprKind, GroupByClause, GroupingElement, SelectItem, SelectQuantifier, SetOperator,
        SqlQuery, SqlQueryBody, SqlSelect, TableAlias,
    },
    span::Span,
};

impl Lowering<'_> {
    pub(super) fn lower_query(&self, query: &SqlQuery) -> Lowered<sql::Query> {
        let with = match &query.with {
            None => None,
            Some(with) => Some(sql::With {
                with_token: AttachedToken::empty(),
                recursive: with.recursive,
                cte_tables: with
                    .tables
                    .iter()
                    .map(|table| {
                        let (name, columns) = (table.name.clone(), table.columns.clone());
                        Ok(sql::Cte {
                            alias: sql::TableAlias {
                                explicit: false,
                                ..self.alias(&TableAlias { name, columns })
                            },
                            query: Box::new(self.lower_query(&table.query)?),
                            from: None,
                            materialized: None,
                            closing_paren_token: AttachedToken::empty(),
                        })
                    })
                    .collect::<Lowered<_>>()?,
            }),
        };
        let order_by = if query.order_by.is_empty() {
            None
        } else {
            let kind = sql::OrderByKind::Expressions(self.order_items(&query.order_by)?);
            Some(sql::OrderBy { kind, interpolate: None })
        };
        let limit_clause = if query.limit.is_none() && query.offset.is_none() {
            None
        } else {
            let offset = self.optional(query.offset.as_ref())?;
            Some(sql::LimitClause::LimitOffset {
                limit: self.optional(query.limit.as_ref())?,
                offset: offset.map(|value| sql::Offset { value, rows: sql::OffsetRows::None }),
                limit_by: Vec::new(),
            })
        };
        let body = self.body(&query.body, query.span)?;
        Ok(sql::Query { with, order_by, limit_clause, ..plain_query(body) })
    }

    fn body(&self, body: &SqlQueryBody, span: Span) -> Lowered<sql::SetExpr> {
        Ok(match body {
            SqlQueryBody::Select(select) => sql::SetExpr::Select(Box::new(self.select(select)?)),
            SqlQueryBody::Values(rows) => {
                let rows = rows.iter().map(|row| match &row.kind {
                    ExprKind::Row { fields, .. } => self.all(fields),
                    _ => Ok(vec![self.lower_expr(row)?]),
                });
                let rows = rows.map(|row| {
                    row.map(|content| sql::Parens {
                        opening_token: AttachedToken::empty(),
                        content,
                        closing_token: AttachedToken::empty(),
                    })
                });
                sql::SetExpr::Values(sql::Values {
                    explicit_row: false,
                    value_keyword: false,
                    rows: rows.collect::<Lowered<_>>()?,
                })
            }
            SqlQueryBody::Table(name) => sql::SetExpr::Select(Box::new(self.select_all(name))),
            SqlQueryBody::Query(query) => sql::SetExpr::Query(Box::new(self.lower_query(query)?)),
            SqlQueryBody::SetOperation { operator, quantifier, inputs } => {
                let inputs = inputs.iter().map(|input| self.body(input, span));
                let inputs = inputs.collect::<Lowered<Vec<_>>>()?;
                self.set_operation(*operator, *quantifier, inputs, span)?
            }
        })
    }

    /// UNION and INTERSECT are associative; what is taken away in turn is taken away together.
    fn set_operation(
        &self,
        operator: SetOperator,
        quantifier: SelectQuantifier,
        mut inputs: Vec<sql::SetExpr>,
        span: Span,
    ) -> Lowered<sql::SetExpr> {
        let set_quantifier = match quantifier {
            SelectQuantifier::None => sql::SetQuantifier::None,
            SelectQuantifier::All => sql::SetQuantifier::All,
            SelectQuantifier::Distinct => sql::SetQuantifier::Distinct,
        };
        let join = |op: sql::SetOperator| {
            move |left: sql::SetExpr, right: sql::SetExpr| sql::SetExpr::SetOperation {
                left: Box::new(left),
                op,
                set_quantifier,
                right: Box::new(right),
            }
        };
        let joined = match operator {
            SetOperator::Union => balanced(inputs, &join(sql::SetOperator::Union)),
            SetOperator::Intersect => balanced(inputs, &join(sql::SetOperator::Intersect)),
            SetOperator::Except => {
                let taken = inputs.split_off(1.min(inputs.len()));
                let several = taken.len() > 1;
                let taken = balanced(taken, &join(sql::SetOperator::Union)).map(|taken| {
                    if several { sql::SetExpr::Query(Box::new(plain_query(taken))) } else { taken }
                });
                inputs
                    .pop()
                    .zip(taken)
                    .map(|(from, taken)| join(sql::SetOperator::Except)(from, taken))
            }
        };
        joined.map_or_else(|| self.refuse(span, "an empty set operation"), Ok)
    }

    fn select(&self, select: &SqlSelect) -> Lowered<sql::Select> {
        if !select.hints.is_empty() {
            return self.refuse(select.span, "a hint of SELECT");
        }
        let items = select.items.iter().map(|item| self.item(item));
        let mut lowered = empty_select(items.collect::<Lowered<_>>()?);
        lowered.distinct = match select.quantifier {
            SelectQuantifier::None => None,
            SelectQuantifier::All => Some(sql::Distinct::All),
            SelectQuantifier::Distinct => Some(sql::Distinct::Distinct),
        };
        if let Some(from) = &select.from {
            lowered.from = vec![self.tables_of(from)?];
        }
        lowered.selection = self.optional(select.filter.as_ref())?;
        if let Some(group_by) = &select.group_by {
            lowered.group_by = self.group_by(group_by)?;
        }
        lowered.having = self.optional(select.having.as_ref())?;
        let windows = select.windows.iter().map(|named| {
            let window = sql::NamedWindowExpr::WindowSpec(self.window(&named.window)?);
            Ok(sql::NamedWindowDefinition(self.ident(&named.name), window))
        });
        lowered.named_window = windows.collect::<Lowered<_>>()?;
        lowered.qualify = self.optional(select.qualify.as_ref())?;
        lowered.window_before_qualify = true;
        Ok(lowered)
    }

    /// `TABLE t`
    fn select_all(&self, name: &crate::ast::ObjectName) -> sql::Select {
        let options = sql::WildcardAdditionalOptions::default();
        let mut select = empty_select(vec![sql::SelectItem::Wildcard(options)]);
        let relation = self.table(name);
        select.from = vec![sql::TableWithJoins { relation, joins: Vec::new() }];
        select
    }

    fn item(&self, item: &SelectItem) -> Lowered<sql::SelectItem> {
        if let ExprKind::Wildcard(parts) = &item.expr.kind {
            let options = sql::WildcardAdditionalOptions::default();
            if parts.is_empty() {
                return Ok(sql::SelectItem::Wildcard(options));
            }
            let name: Vec<sql::Ident> = parts.iter().map(|part| self.ident(part)).collect();
            let name = sql::SelectItemQualifiedWildcardKind::ObjectName(name.into());
            return Ok(sql::SelectItem::QualifiedWildcard(name, options));
        }
        let expr = self.lower_expr(&item.expr)?;
        Ok(match &item.alias {
            Some(alias) => sql::SelectItem::ExprWithAlias { expr, alias: self.ident(alias) },
            None => sql::SelectItem::UnnamedExpr(expr),
        })
    }

    fn group_by(&self, clause: &GroupByClause) -> Lowered<sql::GroupByExpr> {
        if clause.quantifier == SelectQuantifier::Distinct {
            return self.refuse(clause.span, "GROUP BY DISTINCT");
        }
        let elements = clause.elements.iter().map(|element| match element {
            GroupingElement::Empty => Ok(sql::Expr::GroupingSets(vec![Vec::new()])),
            GroupingElement::Expr(expr) => self.lower_expr(expr),
            GroupingElement::Rollup(exprs) => Ok(sql::Expr::Rollup(self.sets(exprs)?)),
            GroupingElement::Cube(exprs) => Ok(sql::Expr::Cube(self.sets(exprs)?)),
            GroupingElement::GroupingSets(sets) => {
                let sets = sets.iter().map(|set| match set {
                    GroupingElement::Empty => Ok(Vec::new()),
                    GroupingElement::Expr(expr) => match &expr.kind {
                        ExprKind::Row { explicit: false, fields } => self.all(fields),
                        _ => Ok(vec![self.lower_expr(expr)?]),
                    },
                    _ => self.refuse(clause.span, "grouping sets in grouping sets"),
                });
                Ok(sql::Expr::GroupingSets(sets.collect::<Lowered<_>>()?))
            }
        });
        Ok(sql::GroupByExpr::Expressions(elements.collect::<Lowered<_>>()?, Vec::new()))
    }

    fn sets(&self, exprs: &[crate::ast::Expr]) -> Lowered<Vec<Vec<sql::Expr>>> {
        exprs
            .iter()
            .map(|expr| match &expr.kind {
                ExprKind::Row { explicit: false, fields } => self.all(fields),
                _ => Ok(vec![self.lower_expr(expr)?]),
            })
            .collect()
    }
}

/// A query with nothing around its body.
fn plain_query(body: sql::SetExpr) -> sql::Query {
    sql::Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

fn empty_select(projection: Vec<sql::SelectItem>) -> sql::Select {
    sql::Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from: Vec::new(),
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: sql::GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: sql::SelectFlavor::Standard,
    }
}
