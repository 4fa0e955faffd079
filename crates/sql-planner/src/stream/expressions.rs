//! Small questions about expressions and columns.

use std::{collections::HashMap, sync::Arc};

use arrow_schema::{FieldRef, Schema};
use datafusion_common::{
    Column, DFSchema, DFSchemaRef, ScalarValue,
    tree_node::{Transformed, TreeNode},
};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use hurtig_sql_common::columns::TIME_ATTRIBUTE;

use super::{ExecNode, ExecNodeKind, StreamPlanError, StreamPlanResult, WindowColumns};

/// An expression without the names that it was given.
pub(super) fn unaliased(expression: &Expr) -> &Expr {
    match expression {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// The position of the column that an expression is.
pub(super) fn column_of(expression: &Expr, schema: &DFSchema) -> Option<usize> {
    match unaliased(expression) {
        Expr::Column(column) => position(schema, &column.name),
        _ => None,
    }
}

/// The column whose nested field an expression is, and the names that lead there.
pub(super) fn nested_field(expression: &Expr) -> Option<(&Expr, Vec<String>)> {
    let mut names = Vec::new();
    let mut next = unaliased(expression);
    loop {
        match next {
            Expr::ScalarFunction(call) if call.func.name() == "FIELD" => {
                let [of, name] = call.args.as_slice() else { return None };
                let Expr::Literal(ScalarValue::Utf8(Some(name)), _) = unaliased(name) else {
                    return None;
                };
                names.push(name.clone());
                next = unaliased(of);
            }
            Expr::Column(_) if !names.is_empty() => {
                names.reverse();
                return Some((next, names));
            }
            _ => return None,
        }
    }
}

/// The position of a column of that name.
pub(super) fn position(schema: &DFSchema, name: &str) -> Option<usize> {
    schema.fields().iter().position(|field| field.name() == name)
}

/// The column at a position, as an expression.
pub(super) fn column(schema: &DFSchema, position: usize) -> Expr {
    Expr::Column(Column::new_unqualified(schema.field(position).name()))
}

/// All columns, as expressions.
pub(super) fn all_columns(schema: &DFSchema) -> Vec<Expr> {
    (0..schema.fields().len()).map(|index| column(schema, index)).collect()
}

/// The terms of a conjunction.
pub(super) fn conjuncts(expression: &Expr) -> Vec<Expr> {
    let mut terms = Vec::new();
    let mut waiting = vec![expression];
    while let Some(next) = waiting.pop() {
        match unaliased(next) {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                waiting.push(right);
                waiting.push(left);
            }
            other => terms.push(other.clone()),
        }
    }
    terms
}

/// The conjunction of terms.
pub(super) fn conjunction(terms: Vec<Expr>) -> Option<Expr> {
    crate::optimize::all_of(terms)
}

/// Which time attribute a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeAttribute {
    Rowtime,
    Proctime,
}

pub(super) fn time_attribute(schema: &DFSchema, position: usize) -> Option<TimeAttribute> {
    match schema.field(position).metadata().get(TIME_ATTRIBUTE)?.as_str() {
        "rowtime" => Some(TimeAttribute::Rowtime),
        "proctime" => Some(TimeAttribute::Proctime),
        _ => None,
    }
}

/// Which time attribute a column of a node is. A regular join takes its rows in any order, so that times
/// are plain values above it, whatever the schema says.
pub(super) fn time_of(node: &ExecNode, position: usize) -> Option<TimeAttribute> {
    time_attribute(&node.schema, position).filter(|_| !passed_a_join(node, position))
}

fn passed_a_join(node: &ExecNode, position: usize) -> bool {
    use ExecNodeKind::{
        Calc, ChangelogNormalize, Correlate, Deduplicate, IntervalJoin, Join, Limit, OverNode,
        Rank, SortLimit, TemporalJoin, TemporalSort, Union, WatermarkAssigner, WindowDeduplicate,
        WindowJoin, WindowRank, WindowTableFunction,
    };
    let below = |input: usize, position: usize| match node.inputs.get(input) {
        Some(input) if position < input.schema.fields().len() => passed_a_join(input, position),
        _ => false,
    };
    match &node.kind {
        Join { .. } => true,
        Calc { projection, .. } => {
            let source = node.inputs.first().zip(projection.get(position));
            let source = source.and_then(|(input, value)| column_of(value, &input.schema));
            source.is_some_and(|source| below(0, source))
        }
        WatermarkAssigner { time, .. } => position != *time && below(0, position),
        Union => (0..node.inputs.len()).any(|input| below(input, position)),
        IntervalJoin { .. } | WindowJoin { .. } | TemporalJoin { .. } => {
            let width = node.inputs.first().map_or(0, |left| left.schema.fields().len());
            match position.checked_sub(width) {
                Some(of_right) => below(1, of_right),
                None => below(0, position),
            }
        }
        Rank { .. }
        | Deduplicate { .. }
        | WindowRank { .. }
        | WindowDeduplicate { .. }
        | WindowTableFunction { .. }
        | SortLimit { .. }
        | TemporalSort { .. }
        | Limit { .. }
        | OverNode(_)
        | Correlate { .. }
        | ChangelogNormalize { .. } => below(0, position),
        _ => false,
    }
}

/// A schema of fields without qualifiers.
pub(super) fn schema_of(fields: Vec<FieldRef>) -> StreamPlanResult<DFSchemaRef> {
    let schema = Schema::new(fields);
    Ok(Arc::new(DFSchema::try_from(schema).map_err(StreamPlanError::from)?))
}

/// The field of an expression, with its metadata.
pub(super) fn field_of(expression: &Expr, schema: &DFSchema) -> StreamPlanResult<FieldRef> {
    let (_, field) = expression.to_field(schema)?;
    Ok(field)
}

/// A whole number that a literal is.
pub(super) fn integer(expression: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = unaliased(expression) else { return None };
    match value {
        ScalarValue::Int8(Some(n)) => Some(i64::from(*n)),
        ScalarValue::Int16(Some(n)) => Some(i64::from(*n)),
        ScalarValue::Int32(Some(n)) => Some(i64::from(*n)),
        ScalarValue::Int64(Some(n)) => Some(*n),
        ScalarValue::UInt64(Some(n)) => i64::try_from(*n).ok(),
        ScalarValue::Decimal128(Some(n), _, 0) => i64::try_from(*n).ok(),
        _ => None,
    }
}

/// The milliseconds of an interval of time that a literal is.
pub(super) fn milliseconds(expression: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = unaliased(expression) else { return None };
    match value {
        ScalarValue::DurationMillisecond(Some(ms)) => Some(*ms),
        ScalarValue::DurationSecond(Some(seconds)) => seconds.checked_mul(1000),
        ScalarValue::DurationMicrosecond(Some(us)) => Some(us / 1000),
        _ => None,
    }
}

/// Adds columns to what a node gives, unless they are there: a [`ExecNodeKind::Calc`] in front of
/// operators that work on columns. Gives the positions of `wanted`.
pub(super) struct ColumnsBefore {
    projection: Vec<Expr>,
    fields: Vec<FieldRef>,
    positions: HashMap<Expr, usize>,
    schema: DFSchemaRef,
    plain: bool,
    added: usize,
}

impl ColumnsBefore {
    /// With all columns of the input in front.
    pub(super) fn after_all(schema: &DFSchemaRef) -> Self {
        let mut columns = Self::none(schema);
        for index in 0..schema.fields().len() {
            let expression = column(schema, index);
            columns.positions.insert(expression.clone(), index);
            columns.projection.push(expression);
            columns.fields.push(schema.fields()[index].clone());
        }
        columns
    }

    /// Without any.
    pub(super) fn none(schema: &DFSchemaRef) -> Self {
        Self {
            projection: Vec::new(),
            fields: Vec::new(),
            positions: HashMap::new(),
            schema: schema.clone(),
            plain: true,
            added: 0,
        }
    }

    /// The position of an expression's value.
    pub(super) fn position(&mut self, expression: &Expr) -> StreamPlanResult<usize> {
        let bare = unaliased(expression).clone();
        if let Some(position) = self.positions.get(&bare) {
            return Ok(*position);
        }
        let field = field_of(expression, &self.schema)?;
        let field = match &bare {
            Expr::Column(_) => field,
            _ => {
                self.plain = false;
                self.added += 1;
                // Unique within the statement, since the names of its columns are.
                let name = format!("{}${}", field.name(), self.added);
                Arc::new(field.as_ref().clone().with_name(name))
            }
        };
        let position = self.projection.len();
        self.projection.push(bare.clone());
        self.fields.push(field);
        self.positions.insert(bare, position);
        Ok(position)
    }

    /// True if there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.projection.is_empty()
    }

    /// Columns of windows of the input, as they are behind.
    pub(super) fn moved(&self, windows: &WindowColumns) -> Option<WindowColumns> {
        windows.clone().map(|column| {
            let all = self.projection.iter().enumerate();
            let here = all.filter(|(_, one)| column_of(one, &self.schema) == Some(column));
            here.map(|(position, _)| position).collect()
        })
    }

    /// The node, with a Calc behind it if one is needed.
    pub(super) fn behind(self, input: ExecNode) -> StreamPlanResult<ExecNode> {
        let same = self.plain
            && self.projection.len() == self.schema.fields().len()
            && self
                .projection
                .iter()
                .enumerate()
                .all(|(index, one)| column_of(one, &self.schema) == Some(index));
        if same {
            return Ok(input);
        }
        // Two columns of one name (a key that is an argument, too) would not be told apart.
        let schema = schema_of(self.fields)?;
        let kind = ExecNodeKind::Calc { projection: self.projection, condition: None };
        Ok(ExecNode::new(kind, vec![input], schema))
    }
}

/// An expression over what a projection gives, as one over what it takes.
pub(super) fn substituted(
    expression: &Expr,
    schema: &DFSchemaRef,
    projection: &[Expr],
) -> Option<Expr> {
    let replaced = expression.clone().transform(|one| {
        Ok(match &one {
            Expr::Column(column) => match position(schema, &column.name) {
                Some(position) => Transformed::yes(projection[position].clone()),
                None => Transformed::no(one),
            },
            _ => Transformed::no(one),
        })
    });
    replaced.ok().map(|transformed| transformed.data)
}

/// A Calc that gives some columns of a node, under the names of a schema.
pub(super) fn select(input: ExecNode, positions: &[usize], schema: DFSchemaRef) -> ExecNode {
    let same = positions.len() == input.schema.fields().len()
        && positions.iter().enumerate().all(|(index, position)| {
            index == *position && input.schema.field(index) == schema.field(index)
        });
    if same {
        return input;
    }
    let projection = positions.iter().map(|index| column(&input.schema, *index)).collect();
    ExecNode::new(ExecNodeKind::Calc { projection, condition: None }, vec![input], schema)
}
