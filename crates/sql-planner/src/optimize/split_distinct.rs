//! Aggregates with DISTINCT in two steps, so that the values of one large group are told apart in many
//! places (`table.optimizer.distinct-agg.split.enabled`).
//!
//! As Flink 2.3's `SplitAggregateRule`:
//!
//! 1. Behind each value that a function tells apart (DISTINCT, MIN, MAX) comes its bucket: its hash
//!    modulo `bucket-num`.
//! 2. If functions tell different values apart, each row comes once for each of them ([`Expand`]), with
//!    the buckets of the others NULL, and FILTERs see to it that each function counts its own rows.
//! 3. Partial aggregates by group and buckets, final ones by group over these. AVG is a sum and a
//!    count, which are divided at the end.
//!
//! Sums that would be rounded twice are DOUBLE in between. Other than in Flink, functions to which the
//! order of rows matters (FIRST_VALUE, LAST_VALUE, LISTAGG) have no buckets, so that their results are
//! those of one step: buckets arrive in any order.
//!
//! Not split: windows of processing time and sessions, as in Flink, and what has nothing in buckets.
//!
//! [`Expand`]: StreamingNodeKind::Expand

mod calls;
mod typed;

use std::{collections::BTreeSet, sync::Arc};

use datafusion_common::{
    ScalarValue,
    tree_node::{Transformed, TreeNode},
};
use datafusion_expr::{Aggregate, Expr, Filter, LogicalPlan, Operator, Projection, expr::Case};
use hurtig_sql_common::SqlContext;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use self::{
    calls::{Call, Family, splittable},
    typed::{Typed, aggregate_call, binary, cast_to, column, literal, name_of, scalar_call},
};
use super::{all_of, data_type_of};
use crate::{
    PlanError, PlanResult,
    plan::{StreamingNode, StreamingNodeKind},
    types::{plan_field, schema_of, time_attribute, with_nullability},
};

/// Settings of the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DistinctSplit {
    /// `table.optimizer.distinct-agg.split.bucket-num`; at least 1.
    pub buckets: i32,
}

/// The plan with its aggregates split.
pub(crate) fn split_distinct(
    plan: LogicalPlan,
    split: DistinctSplit,
    context: &Arc<SqlContext>,
) -> PlanResult<LogicalPlan> {
    let mut failed = None;
    let whole = plan.transform_up(|node| {
        let LogicalPlan::Aggregate(aggregate) = &node else { return Ok(Transformed::no(node)) };
        let Some(calls) = splittable(aggregate) else { return Ok(Transformed::no(node)) };
        match (Splitter { aggregate, calls, split, context }).plan() {
            Ok(Some(plan)) => Ok(Transformed::yes(plan)),
            Ok(None) => Ok(Transformed::no(node)),
            Err(error) => {
                failed.get_or_insert(error);
                Ok(Transformed::no(node))
            }
        }
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(whole?.data),
    }
}

/// A projection that grows.
#[derive(Default)]
struct Columns {
    names: Vec<String>,
    expressions: Vec<Typed>,
}

impl Columns {
    /// Adds a column; gives it as an expression over what the projection gives.
    fn add(&mut self, name: String, value: Typed) -> Typed {
        let column = Typed { expr: column(&name), data_type: value.data_type.clone() };
        if !self.names.contains(&name) {
            self.names.push(name);
            self.expressions.push(value);
        }
        column
    }
}

/// Turns one aggregate into two.
struct Splitter<'a> {
    aggregate: &'a Aggregate,
    calls: Vec<Call<'a>>,
    split: DistinctSplit,
    context: &'a Arc<SqlContext>,
}

/// A call of the first step: which call it belongs to, and which buckets it has.
struct Partial {
    name: &'static str,
    arguments: Vec<Typed>,
    distinct: bool,
    filter: Option<String>,
    set: BTreeSet<usize>,
}

impl Splitter<'_> {
    /// A name that is unique in the statement, since that of the call is.
    fn named(&self, what: &str, number: usize, call: &str) -> String {
        match call.split_once('#') {
            Some((_, unique)) => format!("${what}{number}#{unique}"),
            None => format!("${what}{number}#{call}"),
        }
    }

    fn plan(&self) -> PlanResult<Option<LogicalPlan>> {
        let Some(first) = self.calls.first() else { return Ok(None) };
        let (of_statement, schema) = (first.name, self.aggregate.input.schema());
        let groups: Vec<String> = self.aggregate.group_expr.iter().map(name_of).collect();
        // 1. What is needed of a row, and buckets.
        let mut below = Columns::default();
        let passed = |below: &mut Columns, name: &str| -> PlanResult<Typed> {
            let data_type = data_type_of(&column(name), schema)?;
            Ok(below.add(name.to_owned(), Typed { expr: column(name), data_type }))
        };
        for group in &groups {
            passed(&mut below, group)?;
        }
        let mut told_apart: Vec<String> = Vec::new();
        for call in &self.calls {
            for name in call.columns() {
                passed(&mut below, name)?;
                let new = !groups.iter().chain(&told_apart).any(|one| one == name);
                if call.uses_buckets() && new {
                    told_apart.push(name.to_owned());
                }
            }
            if let Some(filter) = &call.call.params.filter {
                passed(&mut below, &name_of(filter))?;
            }
        }
        if told_apart.is_empty() {
            return Ok(None);
        }
        let mut buckets = Vec::new();
        for (number, name) in told_apart.iter().enumerate() {
            let value = passed(&mut below, name)?;
            let bucket = self.bucket(value)?;
            buckets.push(below.add(self.named("bucket", number, of_statement), bucket));
        }
        let partials = self.partials(&mut below, &told_apart)?;
        let mut plan = self.project(below.expressions, &below.names, &self.aggregate.input)?;
        // 2. Each row for each set of buckets.
        let all: BTreeSet<usize> = (0..buckets.len()).collect();
        let in_buckets = self.calls.iter().filter(|one| one.uses_buckets());
        let sets: BTreeSet<BTreeSet<usize>> =
            in_buckets.map(|one| set_of(one, &told_apart)).collect();
        let ordered = self.calls.iter().any(|one| one.family == Family::Ordered);
        let expands = sets.len() > 1 || ordered;
        let mut filters = Vec::new();
        if expands {
            let sets = partials.iter().flatten().map(|one| one.set.clone());
            let sets: BTreeSet<BTreeSet<usize>> = sets.collect();
            let id = self.named("e", 0, of_statement);
            plan = expanded(plan, &buckets, &sets, &id)?;
            (plan, filters) = self.filtered(plan, &partials, &id, all.len(), of_statement)?;
        }
        // 3. The two steps.
        let mut number = 0;
        let mut calls = Vec::new();
        let mut given = Vec::new();
        for (index, of_call) in partials.iter().enumerate() {
            let mut columns = Vec::new();
            for partial in of_call {
                let filter = match filters.get(number) {
                    Some(filter) => Some(column(filter)),
                    None => partial.filter.as_deref().map(column),
                };
                let (arguments, distinct) = (partial.arguments.clone(), partial.distinct);
                let call = aggregate_call(partial.name, arguments, distinct, filter, None)?;
                let name = self.named("partial", number, self.calls[index].name);
                number += 1;
                columns.push(Typed { expr: column(&name), data_type: call.data_type.clone() });
                calls.push((name, call));
            }
            given.push(columns);
        }
        let mut keys: Vec<Typed> = Vec::new();
        for name in &groups {
            let data_type = data_type_of(&column(name), plan.schema())?;
            keys.push(Typed { expr: column(name), data_type });
        }
        let finals = keys.clone();
        keys.extend(buckets.iter().map(|one| Typed {
            expr: one.expr.clone(),
            data_type: with_nullability(&one.data_type, expands || one.data_type.nullable),
        }));
        plan = self.aggregated(plan, &keys, calls)?;
        self.finished(plan, &finals, &given, expands).map(Some)
    }

    /// The bucket of a value.
    fn bucket(&self, value: Typed) -> PlanResult<Typed> {
        let hash = self.call("$HASH_CODE", "HASH_CODE", vec![value])?;
        let buckets = ScalarValue::Int32(Some(self.split.buckets.max(1)));
        self.call("MOD", "MOD", vec![hash, literal(buckets, SqlTypeKind::Int)])
    }

    /// The calls of the first step, for each call.
    fn partials(
        &self,
        below: &mut Columns,
        told_apart: &[String],
    ) -> PlanResult<Vec<Vec<Partial>>> {
        let mut all = Vec::new();
        for call in &self.calls {
            let params = &call.call.params;
            let mut arguments = Vec::new();
            for (argument, given) in params.args.iter().zip(call.coat.arguments()) {
                let data_type = given.data_type.clone();
                arguments.push(Typed { expr: argument.clone(), data_type });
            }
            if let (Some(kind), [argument]) = (call.wide(), &mut *arguments) {
                let wide = self.cast(argument.clone(), kind)?;
                *argument = match wide.expr {
                    Expr::Literal(..) => wide,
                    _ => below.add(self.named("wide", 0, call.name), wide),
                };
            }
            let names: &[&'static str] = match call.family {
                Family::Count => &["COUNT"],
                Family::Average => &["$SUM0", "COUNT"],
                Family::Sum if call.call.func.name() == "SUM" => &["SUM"],
                Family::Sum => &["$SUM0"],
                Family::Extreme if call.call.func.name() == "MIN" => &["MIN"],
                Family::Extreme => &["MAX"],
                Family::Ordered => match call.call.func.name() {
                    "FIRST_VALUE" => &["FIRST_VALUE"],
                    "LAST_VALUE" => &["LAST_VALUE"],
                    _ => &["LISTAGG"],
                },
            };
            let filter = params.filter.as_ref().map(|one| name_of(one));
            let partial = |name: &&'static str| Partial {
                name,
                arguments: arguments.clone(),
                distinct: params.distinct,
                filter: filter.clone(),
                set: if call.uses_buckets() { set_of(call, told_apart) } else { BTreeSet::new() },
            };
            all.push(names.iter().map(partial).collect());
        }
        Ok(all)
    }

    /// Adds the filters of the calls of the first step; gives their names, one a call.
    fn filtered(
        &self,
        plan: LogicalPlan,
        partials: &[Vec<Partial>],
        id: &str,
        buckets: usize,
        of_statement: &str,
    ) -> PlanResult<(LogicalPlan, Vec<String>)> {
        let mut above = Columns::default();
        for field in plan.schema().fields() {
            let data_type = data_type_of(&column(field.name()), plan.schema())?;
            above.add(field.name().clone(), Typed { expr: column(field.name()), data_type });
        }
        let mut known: Vec<((u64, Option<&str>), String)> = Vec::new();
        let mut names = Vec::new();
        for partial in partials.iter().flatten() {
            let wanted = (id_of(&partial.set, buckets), partial.filter.as_deref());
            if let Some((_, name)) = known.iter().find(|(one, _)| *one == wanted) {
                names.push(name.clone());
                continue;
            }
            let number = ScalarValue::Int64(Some(i64::try_from(wanted.0).unwrap_or(i64::MAX)));
            let mut expr =
                binary(column(id), Operator::Eq, literal(number, SqlTypeKind::BigInt).expr);
            let mut data_type = SqlDataType::not_null(SqlTypeKind::Boolean);
            if let Some(filter) = wanted.1 {
                expr = binary(expr, Operator::And, column(filter));
                data_type.nullable = true;
            }
            let name = self.named("g_", known.len(), of_statement);
            above.add(name.clone(), Typed { expr, data_type });
            known.push((wanted, name.clone()));
            names.push(name);
        }
        let plan = self.project(above.expressions, &above.names, &Arc::new(plan))?;
        Ok((plan, names))
    }

    /// The second step, and what turns its columns into those of the whole.
    fn finished(
        &self,
        plan: LogicalPlan,
        keys: &[Typed],
        given: &[Vec<Typed>],
        expands: bool,
    ) -> PlanResult<LogicalPlan> {
        let mut calls = Vec::new();
        let mut results = Vec::new();
        let mut whole_rows = Vec::new();
        let mut plain = true;
        for (call, columns) in self.calls.iter().zip(given) {
            let function = match call.family {
                Family::Count | Family::Average => "$SUM0",
                _ if call.call.func.name() == "SUM0" => "$SUM0",
                _ => call.call.func.name(),
            };
            // The parts of a row may come one after the other: it has a NULL until all are there.
            let result = call.coat.result();
            let late = expands && !result.nullable && call.family != Family::Count;
            let wanted = with_nullability(result, result.nullable || (late && function != "$SUM0"));
            let mut parts = Vec::new();
            for (number, one) in columns.iter().enumerate() {
                let part = aggregate_call(function, vec![one.clone()], false, None, Some(&wanted))?;
                let alone = columns.len() == 1 && part.data_type == *result;
                plain &= alone;
                let name = match alone {
                    true => call.name.to_owned(),
                    false => self.named("final", number, call.name),
                };
                parts.push(Typed { expr: column(&name), data_type: part.data_type.clone() });
                calls.push((name, part));
            }
            match (late, &*parts) {
                (true, [_, count]) => {
                    let nought = literal(ScalarValue::Int64(Some(0)), SqlTypeKind::BigInt);
                    whole_rows.push(binary(count.expr.clone(), Operator::NotEq, nought.expr));
                }
                (true, [one]) if function != "$SUM0" => {
                    whole_rows.push(Expr::IsNotNull(Box::new(one.expr.clone())));
                }
                _ => {}
            }
            results.push(self.result(call, parts)?);
        }
        let mut plan = self.aggregated(plan, keys, calls)?;
        if let Some(condition) = all_of(whole_rows) {
            plan = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?);
        }
        if plain {
            return Ok(plan);
        }
        let schema = self.aggregate.schema.clone();
        let values = keys.iter().map(|one| one.expr.clone()).chain(results);
        let values = values.zip(schema.fields()).map(|(expr, field)| match &expr {
            Expr::Column(column) if column.name == *field.name() => expr,
            _ => expr.alias(field.name()),
        });
        let values = values.collect();
        Ok(LogicalPlan::Projection(Projection::try_new_with_schema(
            values,
            Arc::new(plan),
            schema,
        )?))
    }

    /// The result of a call, of what the second step gives.
    fn result(&self, call: &Call<'_>, parts: Vec<Typed>) -> PlanResult<Expr> {
        let wanted = call.coat.result().kind.clone();
        let mut parts = parts.into_iter();
        let internal = || PlanError::new("internal: an aggregate without parts");
        let first = parts.next().ok_or_else(internal)?;
        let Some(count) = parts.next() else { return Ok(self.cast(first, wanted)?.expr) };
        let nought = literal(ScalarValue::Int64(Some(0)), SqlTypeKind::BigInt);
        let none = binary(count.expr.clone(), Operator::Eq, nought.expr);
        let divided = self.call("/", "/", vec![first, count])?;
        let average = self.cast(divided, wanted.clone())?;
        let nullable = SqlDataType::nullable(wanted.clone());
        let null = ScalarValue::try_from(&hurtig_sql_common::columns::arrow_type(&nullable)?)?;
        let branches = vec![(Box::new(none), Box::new(literal(null, wanted).expr))];
        Ok(Expr::Case(Case::new(None, branches, Some(Box::new(average.expr)))))
    }

    fn aggregated(
        &self,
        plan: LogicalPlan,
        keys: &[Typed],
        calls: Vec<(String, Typed)>,
    ) -> PlanResult<LogicalPlan> {
        let mut fields = Vec::new();
        for key in keys {
            // Times of windows stay times.
            let name = name_of(&key.expr);
            let before = plan.schema().field_with_unqualified_name(&name)?;
            fields.push(Arc::new(plan_field(&name, &key.data_type, time_attribute(before))?));
        }
        for (name, call) in &calls {
            fields.push(Arc::new(plan_field(name, &call.data_type, None)?));
        }
        let group = keys.iter().map(|one| one.expr.clone()).collect();
        let calls = calls.into_iter().map(|(name, call)| call.expr.alias(name)).collect();
        let schema = schema_of(fields)?;
        Ok(LogicalPlan::Aggregate(Aggregate::try_new_with_schema(
            Arc::new(plan),
            group,
            calls,
            schema,
        )?))
    }

    fn project(
        &self,
        expressions: Vec<Typed>,
        names: &[String],
        input: &Arc<LogicalPlan>,
    ) -> PlanResult<LogicalPlan> {
        let (mut fields, mut all) = (Vec::new(), Vec::new());
        for (name, value) in names.iter().zip(expressions) {
            let time = match &value.expr {
                Expr::Column(column) => {
                    time_attribute(input.schema().field_with_unqualified_name(&column.name)?)
                }
                _ => None,
            };
            fields.push(Arc::new(plan_field(name, &value.data_type, time)?));
            all.push(match &value.expr {
                Expr::Column(column) if column.name == *name => value.expr,
                _ => value.expr.alias(name),
            });
        }
        let schema = schema_of(fields)?;
        let projection = Projection::try_new_with_schema(all, input.clone(), schema)?;
        Ok(LogicalPlan::Projection(projection))
    }

    fn call(&self, name: &str, shown: &str, arguments: Vec<Typed>) -> PlanResult<Typed> {
        scalar_call(self.context, name, shown, arguments)
    }

    fn cast(&self, value: Typed, kind: SqlTypeKind) -> PlanResult<Typed> {
        cast_to(self.context, value, kind)
    }
}

/// The buckets of a call, by their numbers.
fn set_of(call: &Call<'_>, told_apart: &[String]) -> BTreeSet<usize> {
    call.columns().filter_map(|name| told_apart.iter().position(|one| one == name)).collect()
}

/// What a set of buckets is called in the rows of Expand, as in Flink: a bit for each that is missing.
fn id_of(set: &BTreeSet<usize>, buckets: usize) -> u64 {
    (0..buckets).fold(0, |id, one| id << 1 | u64::from(!set.contains(&one)))
}

/// Each row once for each set, the buckets of the others NULL.
fn expanded(
    plan: LogicalPlan,
    buckets: &[Typed],
    sets: &BTreeSet<BTreeSet<usize>>,
    id: &str,
) -> PlanResult<LogicalPlan> {
    let big_int = SqlDataType::not_null(SqlTypeKind::BigInt);
    let names: Vec<String> = buckets.iter().map(|one| name_of(&one.expr)).collect();
    let (mut fields, mut expressions) = (Vec::new(), Vec::new());
    for field in plan.schema().fields() {
        let mut data_type = data_type_of(&column(field.name()), plan.schema())?;
        data_type.nullable |= names.contains(field.name());
        fields.push(Arc::new(plan_field(field.name(), &data_type, time_attribute(field))?));
    }
    fields.push(Arc::new(plan_field(id, &big_int, None)?));
    for set in sets {
        for field in plan.schema().fields() {
            let bucket = names.iter().position(|one| one == field.name());
            expressions.push(match bucket {
                Some(bucket) if !set.contains(&bucket) => {
                    literal(ScalarValue::Int32(None), SqlTypeKind::Int).expr
                }
                _ => column(field.name()),
            });
        }
        let number = i64::try_from(id_of(set, buckets.len())).unwrap_or(i64::MAX);
        expressions.push(literal(ScalarValue::Int64(Some(number)), SqlTypeKind::BigInt).expr);
    }
    let kind = StreamingNodeKind::Expand { sets: sets.len() };
    let schema = schema_of(fields)?;
    Ok(StreamingNode { kind, inputs: vec![plan], expressions, schema }.into_plan())
}
