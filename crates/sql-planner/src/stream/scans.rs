//! What a source can do itself: fields of ROWS instead of whole ones, rows of one kind instead of all,
//! the rows of some partitions, or the first rows.
//!
//! A calc above a scan tells what is needed of it. Conditions that a source takes over (a column
//! equals a constant) leave the calc, and the constant takes the column's place in all that is
//! computed, the watermark included: with that, more of a row may turn out not to be needed.

use std::{collections::HashMap, sync::Arc};

use arrow_schema::DataType;
use datafusion_common::{
    DFSchema, ScalarValue,
    tree_node::{Transformed, TreeNode, TreeNodeRecursion},
};
use datafusion_expr::{BinaryExpr, Expr, Operator, expr::Case};

use hurtig_sql_common::ChangelogMode;

use super::{
    ExecNode, ExecNodeKind, ScanFilter, ScannedField, StreamPlanResult, TableTraits,
    expressions::{
        column, column_of, conjunction, conjuncts, field_of, nested_field, position, schema_of,
        unaliased,
    },
    partitions::take_partitions,
};
use crate::optimize::constant_value;

/// The plan with as much as possible done by its sources.
pub(super) fn push_into_scans(
    mut node: ExecNode,
    tables: &dyn TableTraits,
) -> StreamPlanResult<ExecNode> {
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for input in std::mem::take(&mut node.inputs) {
        inputs.push(push_into_scans(input, tables)?);
    }
    node.inputs = inputs;
    if let (ExecNodeKind::Limit { offset, limit }, [input]) =
        (&node.kind, node.inputs.as_mut_slice())
    {
        limit_scan(input, offset.saturating_add(*limit), tables)?;
    }
    let reads_scan = matches!(
        (&node.kind, node.inputs.as_slice()),
        (ExecNodeKind::Calc { .. }, [ExecNode { kind: ExecNodeKind::TableSourceScan { .. }, .. }])
    );
    if !reads_scan {
        return Ok(node);
    }
    filter(&mut node, tables)?;
    choose_partitions(&mut node, tables)?;
    narrow(&mut node)?;
    Ok(node)
}

/// A calc and the scan below it.
struct Pair<'n> {
    projection: &'n mut Vec<Expr>,
    condition: &'n mut Option<Expr>,
    scan: &'n mut ExecNode,
}

fn pair(node: &mut ExecNode) -> Option<Pair<'_>> {
    match (&mut node.kind, node.inputs.as_mut_slice()) {
        (ExecNodeKind::Calc { projection, condition }, [scan]) => {
            Some(Pair { projection, condition, scan })
        }
        _ => None,
    }
}

/// Gives the source the conditions that it takes.
fn filter(node: &mut ExecNode, tables: &dyn TableTraits) -> StreamPlanResult<()> {
    let Some(Pair { projection, condition, scan }) = pair(node) else { return Ok(()) };
    let schema = scan.schema.clone();
    let ExecNodeKind::TableSourceScan { table, columns, filters, watermark, .. } = &mut scan.kind
    else {
        return Ok(());
    };
    let Some(all) = condition.take() else { return Ok(()) };
    let mut known = HashMap::new();
    let mut rest = Vec::new();
    for term in conjuncts(&all) {
        if let Some((at, value, literal)) = equality(&term, &schema)
            && let Some(field) = columns.get(at)
        {
            let taken = ScanFilter { field: field.clone(), value };
            if tables.takes_filter(table, &taken)? {
                known.insert(column(&schema, at), literal);
                filters.push(taken);
                continue;
            }
        }
        rest.push(term);
    }
    *condition = conjunction(rest);
    if known.is_empty() {
        return Ok(());
    }
    for expression in projection.iter_mut().chain(condition).chain(watermark) {
        *expression = folded(with(expression.clone(), &known)?)?;
    }
    Ok(())
}

/// Tells the source how many rows are needed, as Flink's `PushLimitIntoTableSourceScanRule`, if every
/// row of the source is one of the result. The limit stays: several readers give as many each.
fn limit_scan(node: &mut ExecNode, rows: u64, tables: &dyn TableTraits) -> StreamPlanResult<()> {
    match (&mut node.kind, node.inputs.as_mut_slice()) {
        (ExecNodeKind::Calc { condition: None, .. }, [input]) => limit_scan(input, rows, tables),
        (ExecNodeKind::TableSourceScan { table, limit, mode, .. }, _)
            if *mode == ChangelogMode::INSERT_ONLY && tables.takes_limit(table)? =>
        {
            *limit = Some(rows);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Tells the source which partitions are wanted.
fn choose_partitions(node: &mut ExecNode, tables: &dyn TableTraits) -> StreamPlanResult<()> {
    let Some(Pair { condition, scan, .. }) = pair(node) else { return Ok(()) };
    if let ExecNodeKind::TableSourceScan { table, partitions, watermark: None, .. } = &mut scan.kind
    {
        *partitions = take_partitions(condition, table, tables)?;
    }
    Ok(())
}

/// A column that equals a constant of its own type, and the constant.
fn equality(term: &Expr, schema: &DFSchema) -> Option<(usize, ScalarValue, Expr)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = unaliased(term) else {
        return None;
    };
    let sides = [(left, right), (right, left)];
    sides.into_iter().find_map(|(one, other)| {
        let at = column_of(one, schema)?;
        let Expr::Literal(value, _) = unaliased(other) else { return None };
        let same = value.data_type() == *schema.field(at).data_type() && !value.is_null();
        same.then(|| (at, value.clone(), unaliased(other).clone()))
    })
}

/// Expressions replaced by others, from the outside in.
fn with(expression: Expr, others: &HashMap<Expr, Expr>) -> StreamPlanResult<Expr> {
    let replaced = expression.transform_down(|one| {
        Ok(match others.get(&one) {
            Some(other) => Transformed::new(other.clone(), true, TreeNodeRecursion::Jump),
            None => Transformed::no(one),
        })
    })?;
    Ok(replaced.data)
}

/// With what is constant computed, and branches that are never taken left out.
fn folded(expression: Expr) -> StreamPlanResult<Expr> {
    let folded = expression.transform_up(|one| {
        if let Expr::Case(case) = &one
            && let Some(simpler) = simpler_case(case)
        {
            return Ok(Transformed::yes(simpler));
        }
        // A call of constants alone may mean to fail when it runs; comparisons do not fail.
        let comparison = matches!(&one, Expr::BinaryExpr(_) | Expr::Not(_) | Expr::InList(_));
        Ok(match constant_value(&one).filter(|value| comparison && is_boolean(value)) {
            Some(value) => Transformed::yes(Expr::Literal(value, None)),
            None => Transformed::no(one),
        })
    })?;
    Ok(folded.data)
}

fn is_boolean(value: &ScalarValue) -> bool {
    value.data_type() == DataType::Boolean
}

/// `CASE WHEN ...` without the branches that are never taken, up to one that always is.
fn simpler_case(case: &Case) -> Option<Expr> {
    if case.expr.is_some() {
        return None;
    }
    let mut kept = Vec::new();
    let mut otherwise = case.else_expr.clone();
    for (when, then) in &case.when_then_expr {
        match unaliased(when) {
            Expr::Literal(ScalarValue::Boolean(Some(true)), _) => {
                otherwise = Some(then.clone());
                break;
            }
            Expr::Literal(ScalarValue::Boolean(_), _) => {}
            _ => kept.push((when.clone(), then.clone())),
        }
    }
    if kept.len() == case.when_then_expr.len() {
        return None;
    }
    match (kept.is_empty(), otherwise) {
        // The type of a NULL would have to be the type of the branches.
        (true, None) => None,
        (true, Some(otherwise)) => Some(*otherwise),
        (false, otherwise) => Some(Expr::Case(Case::new(None, kept, otherwise))),
    }
}

/// Lets the source read only what is needed: columns, and fields of ROWs.
fn narrow(node: &mut ExecNode) -> StreamPlanResult<()> {
    let Some(Pair { projection, condition, scan }) = pair(node) else { return Ok(()) };
    let schema = scan.schema.clone();
    let ExecNodeKind::TableSourceScan {
        columns, watermark, primary_key, reads_nested: true, ..
    } = &mut scan.kind
    else {
        return Ok(());
    };
    let used = || projection.iter().chain(&*condition).chain(&*watermark);
    // Per column: whether all of it is read, and the fields that are.
    let mut needs: Vec<(bool, Vec<Expr>)> = vec![(false, Vec::new()); schema.fields().len()];
    for expression in used() {
        expression.apply(|one| {
            if let Some((of, _)) = nested_field(one)
                && let Some(at) = column_of(of, &schema)
            {
                let (_, fields) = &mut needs[at];
                if !fields.contains(one) {
                    fields.push(one.clone());
                }
                return Ok(TreeNodeRecursion::Jump);
            }
            if let Expr::Column(column) = one
                && let Some(at) = position(&schema, &column.name)
            {
                needs[at].0 = true;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    // Rows must be counted, also where nobody looks at them.
    if needs.iter().all(|(whole, fields)| !whole && fields.is_empty()) {
        needs[0].0 = true;
    }
    let (mut read, mut fields, mut moved) = (Vec::new(), Vec::new(), HashMap::new());
    let mut kept = HashMap::new();
    for (at, (whole, nested)) in needs.iter().enumerate() {
        let Some(before) = columns.get(at) else { continue };
        if *whole {
            kept.insert(at, read.len());
            read.push(before.clone());
            fields.push(schema.fields()[at].clone());
            continue;
        }
        for expression in nested {
            let Some((_, names)) = nested_field(expression) else { continue };
            // One that is inside of another comes with it.
            let inside = nested.iter().filter_map(nested_field);
            if inside
                .into_iter()
                .any(|(_, other)| names.len() > other.len() && names.starts_with(&other))
            {
                continue;
            }
            let Some(path) = path_of(schema.field(at).data_type(), &names) else {
                return Ok(());
            };
            let (base, number) = match schema.field(at).name().split_once('#') {
                Some((base, number)) => (base, format!("#{number}")),
                None => (schema.field(at).name().as_str(), String::new()),
            };
            let name = format!("{base}.{}{number}", names.join("."));
            let field = field_of(expression, &schema)?.as_ref().clone();
            fields.push(Arc::new(field.with_name(&name).with_nullable(true)));
            let path = [before.path.as_slice(), &path].concat();
            read.push(ScannedField { field: before.field, path });
            let leaf = Expr::Column(datafusion_common::Column::new_unqualified(name));
            moved.insert(expression.clone(), leaf);
        }
    }
    *columns = read;
    *primary_key = primary_key
        .take()
        .and_then(|key| key.iter().map(|at| kept.get(at).copied()).collect::<Option<Vec<usize>>>());
    for expression in projection.iter_mut().chain(condition).chain(watermark) {
        *expression = with(expression.clone(), &moved)?;
    }
    scan.schema = schema_of(fields)?;
    Ok(())
}

/// The positions of nested fields.
fn path_of(data_type: &DataType, names: &[String]) -> Option<Vec<usize>> {
    let mut path = Vec::new();
    let mut data_type = data_type;
    for name in names {
        let DataType::Struct(fields) = data_type else { return None };
        let at = fields.iter().position(|field| field.name() == name)?;
        path.push(at);
        data_type = fields[at].data_type();
    }
    Some(path)
}
