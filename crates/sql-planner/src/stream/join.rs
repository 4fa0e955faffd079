//! Joins: which kind, by which columns.

use datafusion_common::{DFSchemaRef, JoinType, NullEquality};
use datafusion_expr::{BinaryExpr, Expr, Join, Operator};

use super::{
    EquiKeys, ExecNode, ExecNodeKind, StreamPlanResult, StreamPlanner,
    convert::hinted_ttl,
    expressions::{
        ColumnsBefore, TimeAttribute, column_of, conjunction, conjuncts, milliseconds, position,
        select, time_attribute, time_of, unaliased,
    },
    keys::{unique_by, upsert_keys},
    refused,
    windows::window_columns,
};
use crate::plan::StreamingNode;

/// One column of each side, and whether NULL equals NULL.
struct Equality(Expr, Expr, bool);

impl StreamPlanner<'_> {
    pub(super) fn join(&self, join: &Join) -> StreamPlanResult<ExecNode> {
        let left = self.convert(&join.left, &None)?;
        let right = self.convert(&join.right, &None)?;
        let null_equals = join.null_equality == NullEquality::NullEqualsNull;
        let of_on = join.on.iter().map(|(l, r)| Equality(l.clone(), r.clone(), null_equals));
        let mut equalities: Vec<Equality> = of_on.collect();
        let mut others = Vec::new();
        for term in join.filter.iter().flat_map(conjuncts) {
            match equality(&term, &left.schema, &right.schema) {
                Some(equality) if !join.null_aware => equalities.push(equality),
                _ => others.push(term),
            }
        }
        if join.null_aware {
            // NOT IN: no row is given if anything is NULL on either side.
            for Equality(l, r, _) in equalities.drain(..) {
                let equal = l.clone().eq(r.clone());
                others.push(equal.or(l.is_null()).or(r.is_null()));
            }
        }
        let (widths, sides) = sides(left, right, &equalities)?;
        let Sides { left, right, keys } = sides;
        let join_type = join.join_type;
        if let JoinType::RightSemi
        | JoinType::RightAnti
        | JoinType::LeftMark
        | JoinType::RightMark = join_type
        {
            return refused(format!("internal: a join of type {join_type}"));
        }
        let node = if let Some(node) = window_join(&left, &right, &keys, join_type, &others)? {
            node
        } else if let Some(node) = interval_join(&left, &right, &keys, join_type, &others) {
            node
        } else {
            let condition = conjunction(others);
            let null_aware = join.null_aware;
            ExecNodeKind::Join { join_type, keys, condition, null_aware }
        };
        let ttl_ms = [hinted_ttl(&join.left), hinted_ttl(&join.right)];
        joined(node, (left, right), ttl_ms, join_type, widths, &join.schema)
    }

    pub(super) fn temporal_join(
        &self,
        left: ExecNode,
        right: ExecNode,
        join_type: JoinType,
        keys: usize,
        node: &StreamingNode,
    ) -> StreamPlanResult<ExecNode> {
        let expressions = &node.expressions;
        if expressions.len() < 1 + 2 * keys {
            return refused("internal: a temporal join without its keys");
        }
        let (of_left, of_right) = expressions[1..=2 * keys].split_at(keys);
        let pairs = of_left.iter().zip(of_right);
        let equalities: Vec<Equality> =
            pairs.map(|(l, r)| Equality(l.clone(), r.clone(), false)).collect();
        let condition = conjunction(expressions[1 + 2 * keys..].to_vec());
        let Some(left_time) = column_of(&expressions[0], &left.schema) else {
            return refused(
                "Temporal table join currently only supports 'FOR SYSTEM_TIME AS OF' left table's \
                 time attribute field",
            );
        };
        if time_attribute(&left.schema, left_time) == Some(TimeAttribute::Proctime) {
            return refused(
                "Processing-time temporal join is not supported: the versioned table is joined at \
                 the event time of the left table",
            );
        }
        let rowtime =
            |index: &usize| time_attribute(&right.schema, *index) == Some(TimeAttribute::Rowtime);
        let Some(right_time) = (0..right.schema.fields().len()).find(rowtime) else {
            return refused(
                "Event-Time Temporal Table Join requires both primary key and row time attribute in \
                 versioned table, but no row time attribute can be found.",
            );
        };
        let (widths, Sides { left, right, keys }) = sides(left, right, &equalities)?;
        let of_right = upsert_keys(&right);
        if of_right.is_empty() {
            return refused(
                "Temporal Table Join requires primary key in versioned table, but no primary key \
                 can be found.",
            );
        }
        if !unique_by(&of_right, &keys.right) {
            return refused(
                "Temporal table's primary key must be included in the equivalence condition of \
                 temporal join",
            );
        }
        let kind = ExecNodeKind::TemporalJoin {
            join_type,
            keys,
            condition,
            left_time,
            right_time: Some(right_time),
        };
        joined(kind, (left, right), [None; 2], join_type, widths, &node.schema)
    }
}

struct Sides {
    left: ExecNode,
    right: ExecNode,
    keys: EquiKeys,
}

/// Both inputs with the columns that are compared; how many columns they had before.
fn sides(
    left: ExecNode,
    right: ExecNode,
    equalities: &[Equality],
) -> StreamPlanResult<((usize, usize), Sides)> {
    let widths = (left.schema.fields().len(), right.schema.fields().len());
    let mut of_left = ColumnsBefore::after_all(&left.schema);
    let mut of_right = ColumnsBefore::after_all(&right.schema);
    let mut keys = EquiKeys::default();
    for Equality(l, r, null_equals) in equalities {
        keys.left.push(of_left.position(l)?);
        keys.right.push(of_right.position(r)?);
        keys.null_equals.push(*null_equals);
    }
    let (left, right) = (of_left.behind(left)?, of_right.behind(right)?);
    Ok((widths, Sides { left, right, keys }))
}

/// The node, without columns that were added for its keys.
fn joined(
    kind: ExecNodeKind,
    (left, right): (ExecNode, ExecNode),
    state_ttl_ms: [Option<i64>; 2],
    join_type: JoinType,
    (left_width, right_width): (usize, usize),
    schema: &DFSchemaRef,
) -> StreamPlanResult<ExecNode> {
    let one_sided = matches!(join_type, JoinType::LeftSemi | JoinType::LeftAnti);
    let with_keys = left.schema.fields().len();
    let mut positions: Vec<usize> = (0..left_width).collect();
    if !one_sided {
        positions.extend((0..right_width).map(|column| with_keys + column));
    }
    // Fields as the logical plan has them (outer joins make columns nullable), added ones between.
    let mut fields: Vec<_> = schema.fields().iter().take(left_width).cloned().collect();
    fields.extend(left.schema.fields().iter().skip(left_width).cloned());
    if !one_sided {
        fields.extend(schema.fields().iter().skip(left_width).cloned());
        fields.extend(right.schema.fields().iter().skip(right_width).cloned());
    }
    let nullable = fields.into_iter().enumerate().map(|(index, field)| {
        let given = positions.contains(&index);
        if given { field } else { std::sync::Arc::new(field.as_ref().clone().with_nullable(true)) }
    });
    let given = super::expressions::schema_of(nullable.collect())?;
    let node = ExecNode { state_ttl_ms, ..ExecNode::new(kind, vec![left, right], given) };
    Ok(select(node, &positions, schema.clone()))
}

/// `left = right` of expressions that are each over one side.
fn equality(term: &Expr, left: &DFSchemaRef, right: &DFSchemaRef) -> Option<Equality> {
    let Expr::BinaryExpr(BinaryExpr { left: a, op, right: b }) = term else { return None };
    let null_equals = match op {
        Operator::Eq => false,
        Operator::IsNotDistinctFrom => true,
        _ => return None,
    };
    let is_of = |expression: &Expr, schema: &DFSchemaRef| {
        let columns = expression.column_refs();
        !columns.is_empty() && columns.iter().all(|one| position(schema, &one.name).is_some())
    };
    if is_of(a, left) && is_of(b, right) {
        Some(Equality(a.as_ref().clone(), b.as_ref().clone(), null_equals))
    } else if is_of(b, left) && is_of(a, right) {
        Some(Equality(b.as_ref().clone(), a.as_ref().clone(), null_equals))
    } else {
        None
    }
}

/// A join of windows, if starts and ends are compared.
fn window_join(
    left: &ExecNode,
    right: &ExecNode,
    keys: &EquiKeys,
    join_type: JoinType,
    others: &[Expr],
) -> StreamPlanResult<Option<ExecNodeKind>> {
    let (Some(of_left), Some(of_right)) = (window_columns(left), window_columns(right)) else {
        return Ok(None);
    };
    let compares = |l: &[usize], r: &[usize]| {
        keys.left.iter().zip(&keys.right).position(|(a, b)| l.contains(a) && r.contains(b))
    };
    let start = compares(&of_left.start, &of_right.start);
    let end = compares(&of_left.end, &of_right.end);
    let (Some(start), Some(end)) = (start, end) else { return Ok(None) };
    // Of different windows it is a join like others.
    if of_left.window != of_right.window {
        return Ok(None);
    }
    let mut rest = EquiKeys::default();
    for index in (0..keys.left.len()).filter(|index| *index != start && *index != end) {
        rest.left.push(keys.left[index]);
        rest.right.push(keys.right[index]);
        rest.null_equals.push(keys.null_equals[index]);
    }
    Ok(Some(ExecNodeKind::WindowJoin {
        join_type,
        left_end: keys.left[end],
        right_end: keys.right[end],
        keys: rest,
        condition: conjunction(others.to_vec()),
        event_time: of_left.window.event_time,
    }))
}

/// A join of times that are near, if both bounds are there.
fn interval_join(
    left: &ExecNode,
    right: &ExecNode,
    keys: &EquiKeys,
    join_type: JoinType,
    others: &[Expr],
) -> Option<ExecNodeKind> {
    if !matches!(join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full) {
        return None;
    }
    let mut bounds = Bounds::default();
    // An equality of times bounds, and is a key no more.
    let mut rest_keys = EquiKeys::default();
    for (index, (l, r)) in keys.left.iter().zip(&keys.right).enumerate() {
        let times = (time_attribute(&left.schema, *l), time_attribute(&right.schema, *r));
        if let (Some(of_left), Some(of_right)) = times
            && of_left == of_right
            && bounds.add(&Term { left: *l, right: *r, lower: Some(0), upper: Some(0) })
        {
            continue;
        }
        rest_keys.left.push(*l);
        rest_keys.right.push(*r);
        rest_keys.null_equals.push(keys.null_equals[index]);
    }
    let mut rest = Vec::new();
    for term in others {
        let used = bound(term, &left.schema, &right.schema);
        if !used.is_some_and(|used| used.iter().all(|one| bounds.add(one))) {
            rest.push(term.clone());
        }
    }
    let (left_time, right_time) = bounds.times?;
    time_of(right, right_time)?;
    let event_time = time_of(left, left_time)? == TimeAttribute::Rowtime;
    Some(ExecNodeKind::IntervalJoin {
        join_type,
        keys: rest_keys,
        condition: conjunction(rest),
        left_time,
        right_time,
        lower_ms: bounds.lower?,
        upper_ms: bounds.upper?,
        event_time,
    })
}

/// The left's time minus the right's.
#[derive(Default)]
struct Bounds {
    times: Option<(usize, usize)>,
    lower: Option<i64>,
    upper: Option<i64>,
}

struct Term {
    left: usize,
    right: usize,
    lower: Option<i64>,
    upper: Option<i64>,
}

impl Bounds {
    /// False for other times than those before.
    fn add(&mut self, term: &Term) -> bool {
        if *self.times.get_or_insert((term.left, term.right)) != (term.left, term.right) {
            return false;
        }
        if let Some(lower) = term.lower {
            self.lower = Some(self.lower.map_or(lower, |other| other.max(lower)));
        }
        if let Some(upper) = term.upper {
            self.upper = Some(self.upper.map_or(upper, |other| other.min(upper)));
        }
        true
    }
}

/// The bounds that a comparison of times is.
fn bound(term: &Expr, left: &DFSchemaRef, right: &DFSchemaRef) -> Option<Vec<Term>> {
    match unaliased(term) {
        Expr::Between(between) if !between.negated => {
            let low = comparison(&between.expr, Operator::GtEq, &between.low, left, right)?;
            let high = comparison(&between.expr, Operator::LtEq, &between.high, left, right)?;
            Some(vec![low, high])
        }
        Expr::BinaryExpr(BinaryExpr { left: a, op, right: b }) => {
            Some(vec![comparison(a, *op, b, left, right)?])
        }
        _ => None,
    }
}

fn comparison(
    a: &Expr,
    op: Operator,
    b: &Expr,
    left: &DFSchemaRef,
    right: &DFSchemaRef,
) -> Option<Term> {
    if let (Some(of_left), Some(of_right)) = (moment(a, left), moment(b, right)) {
        return term(of_left, op, of_right, left, right);
    }
    let (of_left, of_right) = (moment(b, left)?, moment(a, right)?);
    term(of_left, op.swap()?, of_right, left, right)
}

fn term(
    (l, plus_left): (usize, i64),
    op: Operator,
    (r, plus_right): (usize, i64),
    left: &DFSchemaRef,
    right: &DFSchemaRef,
) -> Option<Term> {
    if time_attribute(left, l)? != time_attribute(right, r)? {
        return None;
    }
    // left + a OP right + b: left - right OP b - a.
    let difference = plus_right.checked_sub(plus_left)?;
    let (lower, upper) = match op {
        Operator::Eq => (Some(difference), Some(difference)),
        Operator::GtEq => (Some(difference), None),
        Operator::Gt => (Some(difference.checked_add(1)?), None),
        Operator::LtEq => (None, Some(difference)),
        Operator::Lt => (None, Some(difference.checked_sub(1)?)),
        _ => return None,
    };
    Some(Term { left: l, right: r, lower, upper })
}

/// A column of times, and the milliseconds that are added to it.
fn moment(expression: &Expr, schema: &DFSchemaRef) -> Option<(usize, i64)> {
    let expression = unaliased(expression);
    if let Some(column) = column_of(expression, schema) {
        time_attribute(schema, column)?;
        return Some((column, 0));
    }
    let (name, a, b) = match expression {
        Expr::ScalarFunction(call) => match call.args.as_slice() {
            [a, b] => (call.func.name().to_owned(), a, b),
            _ => return None,
        },
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => (op.to_string(), &**left, &**right),
        _ => return None,
    };
    match name.as_str() {
        "+" => match (milliseconds(a), milliseconds(b)) {
            (None, Some(ms)) => {
                let (column, plus) = moment(a, schema)?;
                Some((column, plus.checked_add(ms)?))
            }
            (Some(ms), None) => {
                let (column, plus) = moment(b, schema)?;
                Some((column, plus.checked_add(ms)?))
            }
            _ => None,
        },
        "-" => {
            let (column, plus) = moment(a, schema)?;
            Some((column, plus.checked_sub(milliseconds(b)?)?))
        }
        _ => None,
    }
}
