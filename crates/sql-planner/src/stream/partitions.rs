//! Which partitions of a table are read: conditions on the columns of PARTITIONED BY go to the source.
//!
//! As Flink 2.3's `PushPartitionIntoTableSourceScanRule`. A condition over nothing but such columns
//! leaves the calc above the scan. Of others it is used what follows from them: of
//! `(p = 1 AND x > 2) OR (p = 3 AND x > 4)` that p is 1 or 3. What fails, for some partition, only
//! counts where the condition has left the calc.
//!
//! Not done here: finding partitions and looking at their values, which is the source's, so that
//! partitions that come later are chosen by the same condition. A scan that makes watermarks reads
//! everything, as in Flink: rows that nobody asks for move event time, too.

use std::{fmt, sync::Arc};

use datafusion_common::{
    DFSchema, DFSchemaRef,
    tree_node::{TreeNode, TreeNodeRecursion},
};
use datafusion_expr::{BinaryExpr, Expr, Operator, Volatility};
use hurtig_sql_parser::types::SqlTypeKind;

use super::{
    StreamPlanResult, TableTraits,
    expressions::{conjunction, conjuncts, position, schema_of, unaliased},
    print::{plain, readable},
};
use crate::catalog::TableRef;

/// Lists the partitions of a table, for EXPLAIN.
pub trait PartitionListing: Send + Sync {
    /// The values of the keys of those that are there now and that the condition leaves; `None` if
    /// nobody knows them, or others may come.
    fn remaining(&self, condition: &PartitionCondition) -> Option<Vec<Vec<Option<String>>>>;
}

/// What must hold of the keys of a partition that is read.
#[derive(Clone)]
pub struct PartitionCondition {
    /// The keys, in order.
    pub keys: DFSchemaRef,
    /// Decides: nobody looks at it again.
    pub exact: Option<Expr>,
    /// Each holds of all rows that are wanted. Where one cannot be computed, it says nothing.
    pub hints: Vec<PartitionHint>,
    pub(super) listing: Arc<dyn PartitionListing>,
}

/// A condition over the first keys of a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionHint {
    /// How many of the keys it needs.
    pub keys: usize,
    /// It.
    pub condition: Expr,
}

/// Partitions that EXPLAIN shows.
const SHOWN_PARTITIONS: usize = 100;

impl PartitionCondition {
    /// The partitions that are read, as in Flink; the condition, where nobody knows them yet.
    pub(super) fn chosen(&self) -> String {
        let Some(found) = self.listing.remaining(self) else {
            let hints = self.hints.iter().map(|hint| readable(&hint.condition));
            let mut all: Vec<String> = Vec::new();
            for text in self.exact.iter().flat_map(conjuncts).map(|one| readable(&one)).chain(hints)
            {
                if !all.contains(&text) {
                    all.push(text);
                }
            }
            return all.join(" AND ");
        };
        let keys: Vec<&str> = self.keys.fields().iter().map(|one| plain(one.name())).collect();
        let one = |values: &Vec<Option<String>>| {
            let pairs = keys.iter().zip(values);
            let pairs =
                pairs.map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("null")));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        };
        let mut texts: Vec<String> = found.iter().take(SHOWN_PARTITIONS).map(one).collect();
        if found.len() > SHOWN_PARTITIONS {
            texts.push(format!("{} in all", found.len()));
        }
        texts.join(", ")
    }
}

/// Says what the condition is: plans are compared by it.
impl fmt::Debug for PartitionCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("PartitionCondition");
        all.field("exact", &self.exact).field("hints", &self.hints).finish()
    }
}

/// Takes from a calc's condition what is about the partitions of the table below.
pub(super) fn take_partitions(
    condition: &mut Option<Expr>,
    table: &TableRef,
    tables: &dyn TableTraits,
) -> StreamPlanResult<Option<PartitionCondition>> {
    let Some(all) = condition.as_ref() else { return Ok(None) };
    let Some(keys) = keys_of(table)? else { return Ok(None) };
    let (mut exact, mut hints, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for term in conjuncts(all) {
        match first_keys(&term, &keys) {
            Some(count) => {
                // Some directories need not be entered for it.
                if count < keys.fields().len() {
                    hints.push(PartitionHint { keys: count, condition: term.clone() });
                }
                exact.push(term);
            }
            None => {
                if let Some(implied) = implied(&term, &keys)
                    && let Some(count) = first_keys(&implied, &keys)
                {
                    hints.push(PartitionHint { keys: count, condition: implied });
                }
                rest.push(term);
            }
        }
    }
    if exact.is_empty() && hints.is_empty() {
        return Ok(None);
    }
    let Some(listing) = tables.partitions(table)? else { return Ok(None) };
    *condition = conjunction(rest);
    Ok(Some(PartitionCondition { keys, exact: conjunction(exact), hints, listing }))
}

/// The columns of PARTITIONED BY, if their values can be told from texts.
fn keys_of(table: &TableRef) -> StreamPlanResult<Option<DFSchemaRef>> {
    let mut fields = Vec::new();
    for key in &table.table.partition_keys {
        let Some((position, column)) = table.table.column(key) else { return Ok(None) };
        let field = table.columns.iter().position(|one| *one == position);
        match field {
            Some(field) if is_told_by_text(&column.data_type.kind) => {
                fields.push(Arc::new(table.schema.field(field).clone()));
            }
            _ => return Ok(None),
        }
    }
    if fields.is_empty() {
        return Ok(None);
    }
    schema_of(fields).map(Some)
}

fn is_told_by_text(kind: &SqlTypeKind) -> bool {
    use SqlTypeKind::*;
    matches!(
        kind,
        Char(_)
            | Varchar(_)
            | Boolean
            | TinyInt
            | SmallInt
            | Int
            | BigInt
            | Float
            | Double
            | Decimal { .. }
            | Date
            | Time(_)
            | Timestamp(_)
            | TimestampLtz(_)
    )
}

/// How many of the first keys an expression needs; nothing if it needs more than keys, or gives
/// something else each time.
fn first_keys(expression: &Expr, keys: &DFSchema) -> Option<usize> {
    let (mut needed, mut fits) = (0, true);
    let walked = expression.apply(|one| {
        fits &= match one {
            Expr::Column(column) => match position(keys, &column.name) {
                Some(at) => {
                    needed = needed.max(at + 1);
                    true
                }
                None => false,
            },
            Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
            Expr::Literal(..)
            | Expr::Alias(_)
            | Expr::BinaryExpr(_)
            | Expr::Not(_)
            | Expr::InList(_)
            | Expr::Between(_)
            | Expr::Like(_)
            | Expr::SimilarTo(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_) => true,
            _ => false,
        };
        Ok(if fits { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    (walked.is_ok() && fits && needed > 0).then_some(needed)
}

/// What of the keys must hold where the expression holds.
fn implied(expression: &Expr, keys: &DFSchema) -> Option<Expr> {
    if first_keys(expression, keys).is_some() {
        return Some(expression.clone());
    }
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = unaliased(expression) else {
        return None;
    };
    let sides = (implied(left, keys), implied(right, keys));
    match (op, sides) {
        (Operator::And | Operator::Or, (Some(left), Some(right))) => {
            Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), *op, Box::new(right))))
        }
        (Operator::And, (Some(one), None) | (None, Some(one))) => Some(one),
        _ => None,
    }
}
