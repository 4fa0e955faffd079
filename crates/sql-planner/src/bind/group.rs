//! GROUP BY: keys, grouping sets, older group windows, and the aggregates of one SELECT.

use std::{mem::discriminant, sync::Arc};

use datafusion_common::Column;
use datafusion_expr::{Aggregate, Expr, LogicalPlan, expr::AggregateFunction};
use hurtig_sql_parser::{
    ast::{self, ExprKind, FunctionCall, FunctionValue, GroupingElement, NamedWindow},
    types::{SqlDataType, SqlTypeKind},
};

use super::{
    Binder, BoundExpression, ScopeColumn, WindowColumn, expression::ExpressionBinder, literal,
    output::Item, over::PlannedOver,
};
use crate::{
    PlanError, PlanResult,
    plan::{StreamingNode, StreamingNodeKind},
    types::{plan_field, schema_of, with_nullability},
};

/// CUBE makes two to the power of so many sets.
const MAX_CUBE: usize = 10;
/// The most grouping sets of one query.
const MAX_SETS: usize = 1 << MAX_CUBE;

/// The aggregates and OVER calls of one SELECT, in the order that they are met.
#[derive(Debug, Default)]
pub(super) struct Collector {
    /// WINDOW
    pub windows: Vec<NamedWindow>,
    /// Calls over the input, and the columns that hold them.
    pub aggregates: Vec<(Expr, ScopeColumn)>,
    /// GROUPING and GROUPING_ID: positions of keys, and the column.
    pub groupings: Vec<(Vec<usize>, ScopeColumn)>,
    /// Calls over windows of rows.
    pub overs: Vec<PlannedOver>,
}

impl Collector {
    /// The column of a call; equal calls have one.
    pub fn aggregate(
        &mut self,
        binder: &Binder<'_>,
        name: &str,
        expr: Expr,
        data_type: SqlDataType,
    ) -> BoundExpression {
        if let Some((_, column)) = self.aggregates.iter().find(|(known, _)| *known == expr) {
            return column.bound();
        }
        let column = binder.column(name, data_type);
        let bound = column.bound();
        self.aggregates.push((expr, column));
        bound
    }
}

/// What can be named behind GROUP BY.
#[derive(Debug, Default)]
pub(super) struct Grouping {
    /// The keys, each once.
    pub keys: Vec<GroupKey>,
    /// Positions of keys; `None`: all of them.
    pub sets: Option<Vec<Vec<usize>>>,
    /// Older group windows.
    pub windows: Vec<GroupWindow>,
}

/// A key.
#[derive(Debug)]
pub(super) struct GroupKey {
    kind: ExprKind,
    input: BoundExpression,
    output: ScopeColumn,
}

/// TUMBLE, HOP or SESSION in GROUP BY.
#[derive(Debug)]
pub(super) struct GroupWindow {
    name: String,
    arguments: Vec<ast::FunctionArgument>,
    start: BoundExpression,
    end: BoundExpression,
    time: BoundExpression,
}

impl Grouping {
    /// Whether there is a group without rows.
    pub fn may_be_empty(&self) -> bool {
        match &self.sets {
            Some(sets) => sets.iter().any(Vec::is_empty),
            None => self.keys.is_empty(),
        }
    }

    /// The key that an expression is, if it is one. A column that is none is an error.
    pub fn key(
        &self,
        binder: &ExpressionBinder<'_, '_>,
        expr: &ast::Expr,
    ) -> PlanResult<Option<BoundExpression>> {
        let input = ExpressionBinder { grouping: None, collector: None, ..*binder };
        if let ExprKind::Name(name) = &expr.kind {
            let Some(resolved) = binder.scope.resolve(&name.0)? else { return Ok(None) };
            let mut value = resolved.value;
            let mut key = self.key_of(&value);
            for field in resolved.fields {
                value = input.field(value, field)?;
                key = match key {
                    Some(key) => Some(input.field(key, field)?),
                    None => self.key_of(&value),
                };
            }
            return match key {
                Some(key) => Ok(Some(key)),
                None => Err(not_grouped(expr)),
            };
        }
        let kind = discriminant(&expr.kind);
        if !self.keys.iter().any(|key| discriminant(&key.kind) == kind) {
            return Ok(None);
        }
        // What cannot be bound over the input, such as an aggregate, is no key.
        Ok(input.bind(expr).ok().and_then(|bound| self.key_of(&bound)))
    }

    /// The key that has that value.
    pub fn key_of(&self, value: &BoundExpression) -> Option<BoundExpression> {
        let key = self.keys.iter().find(|key| key.input.expr == value.expr)?;
        Some(key.output.bound())
    }

    /// GROUPING, and what belongs to older group windows.
    pub fn auxiliary(
        &self,
        binder: &ExpressionBinder<'_, '_>,
        name: &str,
        call: &FunctionCall,
    ) -> PlanResult<Option<BoundExpression>> {
        if matches!(name, "GROUPING" | "GROUPING_ID") {
            return self.grouping_call(binder, name, call).map(Some);
        }
        // It would tell equal sets apart, which Flink does not do.
        if name == "GROUP_ID" && call.arguments.is_empty() {
            return Ok(Some(literal::big_int(0)));
        }
        let Some((function, what)) = name.rsplit_once('_') else { return Ok(None) };
        if !matches!(function, "TUMBLE" | "HOP" | "SESSION") {
            return Ok(None);
        }
        let window = self
            .windows
            .iter()
            .find(|window| window.name == function && window.arguments == call.arguments);
        let window = window.ok_or_else(|| {
            PlanError::new(format!("Call to auxiliary group function '{name}' must have matching call to group function '{function}' in GROUP BY clause"))
        })?;
        Ok(Some(match what {
            "START" => window.start.clone(),
            "END" => window.end.clone(),
            "ROWTIME" | "PROCTIME" => {
                let mut time = window.time.clone();
                // Flink's older windows promise no time.
                time.data_type.nullable = what == "ROWTIME";
                time
            }
            _ => return Ok(None),
        }))
    }

    fn grouping_call(
        &self,
        binder: &ExpressionBinder<'_, '_>,
        name: &str,
        call: &FunctionCall,
    ) -> PlanResult<BoundExpression> {
        let input = ExpressionBinder { grouping: None, collector: None, ..*binder };
        let mut positions = Vec::new();
        for argument in input.arguments(call)? {
            let position = self.keys.iter().position(|key| key.input.expr == argument.expr);
            positions.push(position.ok_or_else(|| {
                PlanError::new(format!(
                    "Argument to operator '{name}' must be a grouped expression"
                ))
            })?);
        }
        let Some(collector) = binder.collector.filter(|_| self.sets.is_some()) else {
            return Ok(literal::big_int(0));
        };
        let mut collector = collector.borrow_mut();
        if let Some((_, column)) = collector.groupings.iter().find(|(known, _)| *known == positions)
        {
            return Ok(column.bound());
        }
        let column = binder.binder.column(name, SqlDataType::not_null(SqlTypeKind::BigInt));
        let bound = column.bound();
        collector.groupings.push((positions, column));
        Ok(bound)
    }

    /// Reads GROUP BY. Older group windows become a node above the plan.
    pub fn bind(
        binder: &ExpressionBinder<'_, '_>,
        clause: &ast::GroupByClause,
        plan: LogicalPlan,
    ) -> PlanResult<(Self, LogicalPlan)> {
        let mut grouping = Self::default();
        let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
        let mut plain = true;
        let mut window = None;
        for element in &clause.elements {
            if let GroupingElement::Expr(expr) = element
                && let ExprKind::Function(call) = &expr.kind
                && super::window::is_group_window(call)
            {
                if window.replace(call).is_some() {
                    return Err(PlanError::at(expr.span, "Only one group window is allowed"));
                }
                continue;
            }
            plain &= matches!(element, GroupingElement::Expr(_) | GroupingElement::Empty);
            let more = grouping.element_sets(binder, element)?;
            if sets.len().saturating_mul(more.len()) > MAX_SETS {
                return Err(PlanError::at(
                    clause.span,
                    format!("more than {MAX_SETS} grouping sets"),
                ));
            }
            let product =
                sets.iter().flat_map(|one| more.iter().map(move |two| [&**one, two].concat()));
            sets = product.collect();
        }
        let mut plan = plan;
        if let Some(call) = window {
            let from = grouping.keys.len();
            plan = grouping.window(binder, call, plan)?;
            let added: Vec<usize> = (from..grouping.keys.len()).collect();
            sets.iter_mut().for_each(|set| set.extend(&added));
        }
        for set in &mut sets {
            set.sort_unstable();
            set.dedup();
        }
        if clause.quantifier == ast::SelectQuantifier::Distinct {
            let mut seen = std::collections::HashSet::new();
            sets.retain(|set| seen.insert(set.clone()));
        }
        if !plain {
            for (position, key) in grouping.keys.iter_mut().enumerate() {
                if sets.iter().any(|set| !set.contains(&position)) {
                    key.output.data_type.nullable = true;
                }
            }
            grouping.sets = Some(sets);
        }
        Ok((grouping, plan))
    }

    fn element_sets(
        &mut self,
        binder: &ExpressionBinder<'_, '_>,
        element: &GroupingElement,
    ) -> PlanResult<Vec<Vec<usize>>> {
        Ok(match element {
            GroupingElement::Empty => vec![Vec::new()],
            GroupingElement::Expr(expr) => vec![self.add(binder, expr)?],
            GroupingElement::GroupingSets(elements) => {
                let mut all = Vec::new();
                for element in elements {
                    all.extend(self.element_sets(binder, element)?);
                }
                all
            }
            GroupingElement::Rollup(exprs) => {
                let parts = exprs.iter().map(|expr| self.add(binder, expr));
                let parts = parts.collect::<PlanResult<Vec<_>>>()?;
                (0..=parts.len()).rev().map(|length| parts[..length].concat()).collect()
            }
            GroupingElement::Cube(exprs) => {
                if exprs.len() > MAX_CUBE {
                    return Err(PlanError::new(format!("CUBE of more than {MAX_CUBE} columns")));
                }
                let parts = exprs.iter().map(|expr| self.add(binder, expr));
                let parts = parts.collect::<PlanResult<Vec<_>>>()?;
                let sets = (0..1usize << parts.len()).rev();
                let chosen = |mask: usize| {
                    let last = parts.len();
                    let some = parts.iter().enumerate();
                    let some = some.filter(move |(at, _)| mask >> (last - 1 - at) & 1 == 1);
                    some.flat_map(|(_, part)| part.iter().copied()).collect()
                };
                sets.map(chosen).collect()
            }
        })
    }

    /// Positions of an expression, or of those of a row.
    fn add(
        &mut self,
        binder: &ExpressionBinder<'_, '_>,
        expr: &ast::Expr,
    ) -> PlanResult<Vec<usize>> {
        if let ExprKind::Row { explicit: false, fields } = &expr.kind {
            let all = fields.iter().map(|field| self.add(binder, field));
            return Ok(all.collect::<PlanResult<Vec<_>>>()?.concat());
        }
        let input = ExpressionBinder { clause: "GROUP BY", collector: None, ..*binder };
        let bound = input.bind(expr)?;
        let name = super::output::name_of(expr).unwrap_or("k");
        Ok(vec![self.add_bound(binder.binder, name, expr.kind.clone(), bound)])
    }

    fn add_bound(
        &mut self,
        binder: &Binder<'_>,
        name: &str,
        kind: ExprKind,
        input: BoundExpression,
    ) -> usize {
        if let Some(known) = self.keys.iter().position(|key| key.input.expr == input.expr) {
            return known;
        }
        let mut output = binder.column(name, input.data_type.clone());
        output.window = input.window;
        // Only the time of a window goes on with it.
        output.time = input.time.filter(|_| input.window == Some(WindowColumn::Time));
        self.keys.push(GroupKey { kind, input, output });
        self.keys.len() - 1
    }

    fn window(
        &mut self,
        binder: &ExpressionBinder<'_, '_>,
        call: &FunctionCall,
        plan: LogicalPlan,
    ) -> PlanResult<LogicalPlan> {
        let keys = self.keys.iter().map(|key| key.input.clone()).collect();
        let (plan, columns) = super::window::group_window(binder, call, plan, keys)?;
        let mut outputs = Vec::new();
        for column in columns {
            let name = column.name.clone();
            let kind = ExprKind::Name(ast::Ident::new(&*name).into());
            let position = self.add_bound(binder.binder, &name, kind, column.bound());
            outputs.push(self.keys[position].output.bound());
        }
        let [start, end, time] = <[_; 3]>::try_from(outputs)
            .map_err(|_| PlanError::new("internal: a window has three columns"))?;
        let name = call.name.last().to_uppercase();
        let arguments = call.arguments.clone();
        self.windows.push(GroupWindow { name, arguments, start, end, time });
        Ok(plan)
    }

    /// The aggregate above the plan.
    pub fn build(
        &self,
        binder: &Binder<'_>,
        collector: &Collector,
        plan: LogicalPlan,
    ) -> PlanResult<LogicalPlan> {
        let mut items = Vec::new();
        let mut before = Vec::new();
        for key in &self.keys {
            let mut column = key.output.clone();
            if self.sets.is_some() {
                column.column = binder.unique(&column.name);
                column.data_type = key.input.data_type.clone();
            }
            before.push(column.clone());
            items.push(Item { expr: key.input.expr.clone(), column });
        }
        let mut arguments: Vec<Item> = Vec::new();
        let mut calls = Vec::new();
        for (call, column) in &collector.aggregates {
            let Expr::AggregateFunction(call) = call else { continue };
            let mut call: AggregateFunction = call.clone();
            let params = &mut call.params;
            let inner =
                params.args.iter_mut().chain(params.filter.iter_mut().map(|one| &mut **one));
            for expr in inner.chain(params.order_by.iter_mut().map(|one| &mut one.expr)) {
                *expr = binder.as_column(&mut arguments, &plan, std::mem::take(expr))?;
            }
            calls.push((Expr::AggregateFunction(call), column.clone()));
        }
        if self.keys.is_empty() && calls.is_empty() {
            // A group without anything to know of it: there is one if there is a row.
            let scope = super::Scope::default();
            let empty = ExpressionBinder::plain(binder, &scope, &[], "GROUP BY");
            let (count, data_type) =
                empty.settle("COUNT", Vec::new(), None, false, true, Vec::new(), None)?;
            calls.push((count, binder.column("COUNT", data_type)));
        }
        let passed = arguments.iter().map(|one| one.column.clone()).collect();
        items.extend(arguments);
        let mut plan = if items.is_empty() { plan } else { binder.project_items(plan, items)? };
        let mut keys: Vec<ScopeColumn> = self.keys.iter().map(|key| key.output.clone()).collect();
        if let Some(sets) = &self.sets {
            plan = self.expand(binder, collector, sets, &before, passed, plan, &mut keys)?;
        }
        let mut fields = Vec::new();
        for column in keys.iter().chain(calls.iter().map(|(_, column)| column)) {
            fields.push(Arc::new(plan_field(&column.column, &column.data_type, column.time)?));
        }
        let group = keys.iter().map(|one| one.bound().expr).collect();
        let calls = calls.into_iter().map(|(call, column)| Item { expr: call, column }.aliased());
        let schema = schema_of(fields)?;
        let aggregate =
            Aggregate::try_new_with_schema(Arc::new(plan), group, calls.collect(), schema)?;
        Ok(LogicalPlan::Aggregate(aggregate))
    }

    #[expect(clippy::too_many_arguments, reason = "the columns before and after")]
    fn expand(
        &self,
        binder: &Binder<'_>,
        collector: &Collector,
        sets: &[Vec<usize>],
        before: &[ScopeColumn],
        passed: Vec<ScopeColumn>,
        plan: LogicalPlan,
        keys: &mut Vec<ScopeColumn>,
    ) -> PlanResult<LogicalPlan> {
        let big_int = || SqlDataType::not_null(SqlTypeKind::BigInt);
        let id = binder.column("$e", big_int());
        let mut expressions = Vec::new();
        for (number, set) in sets.iter().enumerate() {
            for (position, column) in before.iter().enumerate() {
                expressions.push(if set.contains(&position) {
                    column.bound().expr
                } else {
                    literal::null_of(&column.data_type)?.expr
                });
            }
            expressions.push(literal::big_int(i64::try_from(number).unwrap_or(i64::MAX)).expr);
            for (positions, _) in &collector.groupings {
                let bits = positions
                    .iter()
                    .fold(0_i64, |bits, position| bits << 1 | i64::from(!set.contains(position)));
                expressions.push(literal::big_int(bits).expr);
            }
            expressions.extend(passed.iter().map(|one| one.bound().expr));
        }
        keys.push(id);
        keys.extend(collector.groupings.iter().map(|(_, column)| column.clone()));
        let mut fields = Vec::new();
        for column in keys.iter().chain(&passed) {
            fields.push(Arc::new(plan_field(&column.column, &column.data_type, column.time)?));
        }
        let kind = StreamingNodeKind::Expand { sets: sets.len() };
        let schema = schema_of(fields)?;
        Ok(StreamingNode { kind, inputs: vec![plan], expressions, schema }.into_plan())
    }
}

impl Binder<'_> {
    /// A fresh column.
    pub(super) fn column(&self, name: &str, data_type: SqlDataType) -> ScopeColumn {
        let column = self.unique(name);
        ScopeColumn { name: name.to_owned(), column, data_type, time: None, window: None }
    }

    /// An expression as a column of a projection that is being collected. Constants stay.
    pub(super) fn as_column(
        &self,
        items: &mut Vec<Item>,
        input: &LogicalPlan,
        expr: Expr,
    ) -> PlanResult<Expr> {
        if matches!(expr, Expr::Literal(..)) {
            return Ok(expr);
        }
        if let Some(known) = items.iter().find(|item| item.expr == expr) {
            return Ok(known.column.bound().expr);
        }
        let item = match &expr {
            Expr::Column(column) => Item::pass(input, column)?,
            _ => {
                let data_type = crate::optimize::data_type_of(&expr, input.schema())?;
                Item { column: self.column("$f", data_type), expr }
            }
        };
        let column = Expr::Column(Column::new_unqualified(&*item.column.column));
        items.push(item);
        Ok(column)
    }
}

fn not_grouped(expr: &ast::Expr) -> PlanError {
    let shown = match &expr.kind {
        ExprKind::Name(name) => {
            name.0.iter().map(|part| &*part.value).collect::<Vec<_>>().join(".")
        }
        _ => expr.to_string(),
    };
    PlanError::at(expr.span, format!("Expression '{shown}' is not being grouped"))
}

/// The only expression of an argument.
pub(super) fn value_of(argument: &ast::FunctionArgument) -> PlanResult<&ast::Expr> {
    match &argument.value {
        FunctionValue::Expr(expr) => Ok(expr),
        _ => Err(PlanError::at(argument.span, "a value is expected here")),
    }
}

/// The type with NULL.
pub(super) fn nullable(data_type: &SqlDataType) -> SqlDataType {
    with_nullability(data_type, true)
}
