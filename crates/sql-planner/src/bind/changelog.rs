//! TO_CHANGELOG and FROM_CHANGELOG: changes as rows, and rows as changes, as Flink 2.3's process table
//! functions of these names.

use hurtig_sql_common::RowKind;
use hurtig_sql_parser::{
    Span,
    ast::{self, ArrayConstructor, ExprKind, FunctionCall, FunctionValue, Ident, Literal},
    types::{SqlDataType, SqlTypeKind},
};

use super::{
    Binder, Scope, ScopeColumn,
    expression::ExpressionBinder,
    from::Source,
    join::fields_of,
    window::{by_parameter, table_name},
};
use crate::{
    PlanError, PlanResult,
    plan::{StreamingNode, StreamingNodeKind},
    types::{calcite_name, schema_of},
};

/// The kinds of changes by their names.
const KINDS: [(&str, RowKind); 4] = [
    ("INSERT", RowKind::Insert),
    ("UPDATE_BEFORE", RowKind::UpdateBefore),
    ("UPDATE_AFTER", RowKind::UpdateAfter),
    ("DELETE", RowKind::Delete),
];

/// The name of the column of codes if none is given.
const OP: &str = "op";

impl Binder<'_> {
    pub(super) fn changelog_function(
        &self,
        name: &str,
        call: &FunctionCall,
        outer: &[&Scope],
        span: Span,
    ) -> PlanResult<Source> {
        let to = name == "TO_CHANGELOG";
        let parameters: &[&str] = match to {
            true => &["INPUT", "OP", "OP_MAPPING", "UID"],
            false => &["INPUT", "OP", "OP_MAPPING", "ERROR_HANDLING", "UID"],
        };
        let arguments = by_parameter(name, parameters, call, span)?;
        let arguments: Vec<_> = arguments
            .into_iter()
            .map(|one| one.filter(|one| !matches!(one.value, FunctionValue::Default)))
            .collect();
        let Some(FunctionValue::Table(table)) = arguments[0].map(|one| &one.value) else {
            return Err(PlanError::at(span, format!("{name} needs a table: input => TABLE t")));
        };
        let op = match arguments[1] {
            None => None,
            Some(argument) => match &argument.value {
                FunctionValue::Descriptor(columns) if columns.len() == 1 => Some(&columns[0]),
                _ => {
                    let message =
                        "The descriptor for argument 'op' must contain exactly one column name.";
                    return Err(PlanError::at(argument.span, message));
                }
            },
        };
        let mapping = match arguments[2] {
            None => None,
            Some(argument) => Some(mapping_of(argument)?),
        };
        if !table.partition_by.is_empty() {
            let message = format!(
                "Only tables with set semantics may be partitioned. Invalid PARTITION BY clause in the 0-th operand of table function '{name}'"
            );
            return Err(PlanError::at(span, message));
        }
        let relation = self.query(&table.source, outer)?;
        let qualifier = vec![table_name(table)];
        let scope = Scope::of(qualifier.clone(), relation.columns.clone());
        let binder = ExpressionBinder::plain(self, &scope, &[], "PARTITION BY");
        let mut partition = Vec::new();
        for key in &table.partition_by {
            partition.push(binder.name(std::slice::from_ref(key))?.expr);
        }
        // Rows and their times go their own ways from here.
        let mut columns = relation.columns;
        for column in &mut columns {
            (column.time, column.window) = (None, None);
        }
        let is_key = |column: &ScopeColumn| partition.contains(&column.bound().expr);
        let (keys, others): (Vec<_>, Vec<_>) = columns.iter().cloned().partition(is_key);
        let (kind, expressions, fields, given) = if to {
            let data_type = SqlDataType::nullable(SqlTypeKind::Varchar(i32::MAX as u32));
            let code = self.column(op.map_or(OP, |op| &op.value), data_type);
            let fields: Vec<_> = [code.clone()].into_iter().chain(columns).collect();
            let given = keys.into_iter().chain([code]).chain(others).collect();
            let codes = codes_of(mapping.as_deref())?;
            (StreamingNodeKind::ToChangelog { codes }, partition, fields, given)
        } else {
            let code = op_column(op, &columns, span)?;
            let kinds = kinds_of(mapping.as_deref(), partition.is_empty())?;
            let skips_unknown = skips_unknown(arguments[3])?;
            let mut expressions = vec![code.bound().expr];
            expressions.extend(partition);
            let is_other = |one: &ScopeColumn| one.column != code.column;
            let fields = columns.iter().filter(|one| is_other(one)).cloned().collect();
            let given = keys.into_iter().chain(others).filter(is_other).collect();
            let kind = StreamingNodeKind::FromChangelog { kinds, skips_unknown };
            (kind, expressions, fields, given)
        };
        let schema = schema_of(fields_of(fields.iter())?)?;
        let node = StreamingNode { kind, inputs: vec![relation.plan], expressions, schema };
        Ok((node.into_plan(), Scope::of(qualifier, given)))
    }
}

/// The pairs of a MAP of constant texts.
type Mapping = Vec<(String, String, Span)>;

fn mapping_of(argument: &ast::FunctionArgument) -> PlanResult<Mapping> {
    let wrong = || {
        let message = "The 'op_mapping' argument must be a constant MAP literal.";
        PlanError::at(argument.span, message)
    };
    let FunctionValue::Expr(expr) = &argument.value else { return Err(wrong()) };
    let ExprKind::Map(ArrayConstructor::Elements(elements)) = &expr.kind else {
        return Err(wrong());
    };
    if elements.is_empty() || elements.len() % 2 != 0 {
        return Err(wrong());
    }
    let text = |one: &ast::Expr| match &one.kind {
        ExprKind::Literal(Literal::Text(text)) => Ok(text.clone()),
        _ => Err(wrong()),
    };
    elements
        .chunks_exact(2)
        .map(|pair| Ok((text(&pair[0])?, text(&pair[1])?, pair[0].span)))
        .collect()
}

fn kind_of(name: &str, span: Span) -> PlanResult<RowKind> {
    let name = name.trim();
    let found = KINDS.iter().find(|(known, _)| *known == name);
    found.map(|(_, kind)| *kind).ok_or_else(|| {
        let message = format!("Unknown change operation '{name}' in argument 'op_mapping'");
        let names = KINDS.map(|(known, _)| known);
        PlanError::at(span, format!("{message}. Valid values are: {}.", names.join(", ")))
    })
}

fn twice(what: &str, span: Span) -> PlanError {
    PlanError::at(span, format!("Duplicate mapping of '{what}' in argument 'op_mapping'"))
}

/// From kinds, several of which may stand in one text, to codes.
fn codes_of(mapping: Option<&[(String, String, Span)]>) -> PlanResult<[Option<String>; 4]> {
    let mut codes: [Option<String>; 4] = Default::default();
    let Some(mapping) = mapping else {
        return Ok(KINDS.map(|(name, _)| Some(name.to_owned())));
    };
    for (names, code, span) in mapping {
        for name in names.split(',') {
            let slot = &mut codes[kind_of(name, *span)? as usize];
            if slot.replace(code.clone()).is_some() {
                return Err(twice(name.trim(), *span));
            }
        }
    }
    Ok(codes)
}

/// From codes, several of which may stand in one text, to kinds.
fn kinds_of(
    mapping: Option<&[(String, String, Span)]>,
    by_row: bool,
) -> PlanResult<Vec<(String, RowKind)>> {
    let Some(mapping) = mapping else {
        return Ok(KINDS.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect());
    };
    let mut kinds: Vec<(String, RowKind)> = Vec::new();
    for (codes, name, span) in mapping {
        let kind = kind_of(name, *span)?;
        for code in codes.split(',').map(str::trim) {
            if kinds.iter().any(|(known, _)| known == code) {
                return Err(twice(code, *span));
            }
            kinds.push((code.to_owned(), kind));
        }
    }
    let has = |wanted: RowKind| kinds.iter().any(|(_, kind)| *kind == wanted);
    let (before, after) = (has(RowKind::UpdateBefore), has(RowKind::UpdateAfter));
    if before && !after || after && !before && by_row {
        let message = "The 'op_mapping' argument must define both UPDATE_BEFORE and UPDATE_AFTER";
        let error = PlanError::at(mapping[0].2, message);
        return Err(if after { error.hint("or the input a PARTITION BY") } else { error });
    }
    Ok(kinds)
}

fn op_column(op: Option<&Ident>, columns: &[ScopeColumn], span: Span) -> PlanResult<ScopeColumn> {
    let (name, span) = op.map_or((OP, span), |op| (op.value.as_str(), op.span));
    let Some(column) = columns.iter().find(|one| one.name == name) else {
        let message = format!("The op column '{name}' does not exist in the input table.");
        let names = columns.iter().map(|one| one.name.as_str());
        return Err(PlanError::at(span, message).nearest(name, names));
    };
    if !matches!(column.data_type.kind, SqlTypeKind::Char(_) | SqlTypeKind::Varchar(_)) {
        let found = calcite_name(&column.data_type);
        let message = format!("The op column '{name}' must be of STRING type, but was '{found}'.");
        return Err(PlanError::at(span, message));
    }
    Ok(column.clone())
}

fn skips_unknown(argument: Option<&ast::FunctionArgument>) -> PlanResult<bool> {
    let Some(argument) = argument else { return Ok(false) };
    if let FunctionValue::Expr(expr) = &argument.value
        && let ExprKind::Literal(Literal::Text(text)) = &expr.kind
        && matches!(text.as_str(), "FAIL" | "SKIP")
    {
        return Ok(text == "SKIP");
    }
    Err(PlanError::at(argument.span, "The 'error_handling' argument must be 'FAIL' or 'SKIP'."))
}
