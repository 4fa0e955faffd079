//! AND and OR whose right side may fail.
//!
//! `x <> 0 AND 10 / x > 2` must not divide by zero: as in Flink, whose code looks at the right side
//! of a row only if the left side has not decided, the right side is evaluated for just those rows.
//! Where the right side cannot fail, all rows are evaluated at once, which is faster.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow_arith::boolean::{and_kleene, or_kleene};
use arrow_array::{Array, BooleanArray, RecordBatch, cast::AsArray};
use arrow_schema::{DataType, Schema};
use datafusion_common::{
    DataFusionError, Result,
    tree_node::{Transformed, TreeNode},
};
use datafusion_expr::{ColumnarValue, Operator};
use datafusion_physical_expr::{
    PhysicalExpr, ScalarFunctionExpr,
    expressions::{
        BinaryExpr, CaseExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, Literal, NotExpr,
    },
};

/// Functions that have a value for all arguments.
const NEVER_FAIL: &[&str] = &["FIELD", "+", "-", "*", "=", "<>", "<", "<=", ">", ">="];

/// The expression with guards where they are needed.
pub(super) fn guarded(expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let guarded = expr.transform_up(|one| {
        let Some(binary) = one.downcast_ref::<BinaryExpr>() else {
            return Ok(Transformed::no(one));
        };
        let decides = match binary.op() {
            Operator::And => false,
            Operator::Or => true,
            _ => return Ok(Transformed::no(one)),
        };
        if !may_fail(binary.right()) {
            return Ok(Transformed::no(one));
        }
        let (left, right) = (binary.left().clone(), binary.right().clone());
        Ok(Transformed::yes(Arc::new(Guard { decides, left, right })))
    })?;
    Ok(guarded.data)
}

fn may_fail(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let by_itself = match expr.downcast_ref::<ScalarFunctionExpr>() {
        Some(call) => !NEVER_FAIL.contains(&call.name()),
        None => {
            !(expr.is::<Column>()
                || expr.is::<Literal>()
                || expr.is::<BinaryExpr>()
                || expr.is::<NotExpr>()
                || expr.is::<IsNullExpr>()
                || expr.is::<IsNotNullExpr>()
                || expr.is::<InListExpr>()
                || expr.is::<CaseExpr>())
        }
    };
    by_itself || expr.children().into_iter().any(may_fail)
}

/// AND or OR: the right side is evaluated where the left one has not decided.
#[derive(Debug)]
struct Guard {
    /// The value of the left side that decides: false for AND, true for OR.
    decides: bool,
    left: Arc<dyn PhysicalExpr>,
    right: Arc<dyn PhysicalExpr>,
}

impl PartialEq for Guard {
    fn eq(&self, other: &Self) -> bool {
        self.decides == other.decides && self.left.eq(&other.left) && self.right.eq(&other.right)
    }
}

impl Eq for Guard {}

impl Hash for Guard {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.decides.hash(state);
        self.left.hash(state);
        self.right.hash(state);
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.decides { "OR" } else { "AND" };
        write!(f, "{} {word} {}", self.left, self.right)
    }
}

fn booleans(value: ColumnarValue, rows: usize) -> Result<BooleanArray> {
    let array = value.into_array(rows)?;
    array.as_boolean_opt().cloned().ok_or_else(|| {
        DataFusionError::Internal(format!("a condition has the type {}", array.data_type()))
    })
}

impl PhysicalExpr for Guard {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let left = booleans(self.left.evaluate(batch)?, rows)?;
        let is_open = |row| left.is_null(row) || left.value(row) != self.decides;
        let open: BooleanArray = (0..rows).map(|row| Some(is_open(row))).collect();
        if !open.has_true() {
            return Ok(ColumnarValue::Array(Arc::new(left)));
        }
        let right = booleans(self.right.evaluate_selection(batch, &open)?, rows)?;
        let both = if self.decides { or_kleene } else { and_kleene };
        Ok(ColumnarValue::Array(Arc::new(both(&left, &right)?)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.left, &self.right]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let Ok([left, right]) = <[_; 2]>::try_from(children) else {
            return Err(DataFusionError::Internal("a guard has two sides".to_owned()));
        };
        Ok(Arc::new(Self { decides: self.decides, left, right }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
