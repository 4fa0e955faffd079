//! Expressions that run: over columns of a batch, or at once if they have none.

use std::{fmt, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use datafusion_common::{
    DFSchema, DataFusionError, ScalarValue,
    tree_node::{TreeNode, TreeNodeRecursion},
};
use datafusion_expr::{
    ColumnarValue, Expr, Volatility, execution_props::ExecutionProps,
    physical_planning_context::PhysicalPlanningContext,
};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use hurtig_sql_common::EvalError;
use hurtig_sql_functions::api::{Expression, begin_evaluation};

use super::guard::guarded;
use crate::{PlanResult, functions::scalar_of};

/// The most bytes of a constant that a call is folded to.
const MAX_FOLDED_BYTES: usize = 64 << 10;

/// A constant of more bytes counts for [`Expression::constant_bytes`].
const LONG_CONSTANT: usize = 1 << 10;

/// An expression of DataFusion's over batches whose columns are those of a plan's schema, in order.
struct PlannedExpression {
    expr: Arc<dyn PhysicalExpr>,
    schema: Arc<Schema>,
    constant_bytes: usize,
}

impl fmt::Debug for PlannedExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.expr)
    }
}

impl Expression for PlannedExpression {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, EvalError> {
        // The columns count, not the names that an operator gave them.
        let renamed;
        let rows = if Arc::ptr_eq(rows.schema_ref(), &self.schema) {
            rows
        } else {
            let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
            renamed = RecordBatch::try_new_with_options(
                self.schema.clone(),
                rows.columns().to_vec(),
                &options,
            )?;
            &renamed
        };
        begin_evaluation();
        let value = self.expr.evaluate(rows).map_err(evaluation)?;
        value.into_array(rows.num_rows()).map_err(evaluation)
    }

    fn constant_bytes(&self) -> usize {
        self.constant_bytes
    }
}

/// The bytes of long constants; short ones are like any column.
fn constant_bytes(expr: &Expr) -> PlanResult<usize> {
    let mut bytes = 0;
    expr.apply(|one| {
        if let Expr::Literal(value, _) = one {
            let size = value.size();
            bytes += if size > LONG_CONSTANT { size } else { 0 };
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(bytes)
}

/// An expression over columns of that schema, ready to run. Names stand for positions.
pub fn physical_expression(expr: &Expr, schema: &DFSchema) -> PlanResult<Arc<dyn Expression>> {
    planned(expr, schema, &given_schema(schema))
}

/// Expressions over columns of that schema, ready to run.
pub fn physical_expressions(
    exprs: &[Expr],
    schema: &DFSchema,
) -> PlanResult<Vec<Arc<dyn Expression>>> {
    let given = given_schema(schema);
    exprs.iter().map(|expr| planned(expr, schema, &given)).collect()
}

/// The schema of the batches that are given. They may hold NULL where a type says that there is none:
/// a sink checks, nobody else does.
fn given_schema(schema: &DFSchema) -> Arc<Schema> {
    let fields = schema.fields().iter().map(|one| one.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn planned(expr: &Expr, schema: &DFSchema, given: &Arc<Schema>) -> PlanResult<Arc<dyn Expression>> {
    let physical = create_physical_expr(
        expr,
        schema,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )?;
    let physical = guarded(physical)?;
    let constant_bytes = constant_bytes(expr)?;
    Ok(Arc::new(PlannedExpression { expr: physical, schema: given.clone(), constant_bytes }))
}

/// The value of an expression whose operands are constants; nothing if it depends on more, fails,
/// or is large.
pub(crate) fn constant_value(expr: &Expr) -> Option<ScalarValue> {
    let mut constant = true;
    expr.apply_children(|child| {
        constant &= matches!(child, Expr::Literal(..));
        Ok(TreeNodeRecursion::Continue)
    })
    .ok()?;
    let fixed = match expr {
        Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
        Expr::Case(_) | Expr::BinaryExpr(_) | Expr::Not(_) | Expr::InList(_) => true,
        Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::IsTrue(_) | Expr::IsFalse(_) => true,
        Expr::IsUnknown(_) | Expr::IsNotTrue(_) | Expr::IsNotFalse(_) | Expr::IsNotUnknown(_) => {
            true
        }
        _ => false,
    };
    if !constant || !fixed {
        return None;
    }
    let physical = create_physical_expr(
        expr,
        &DFSchema::empty(),
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )
    .ok()?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row =
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).ok()?;
    begin_evaluation();
    let value = match physical.evaluate(&row).ok()? {
        ColumnarValue::Scalar(value) => value,
        ColumnarValue::Array(values) => scalar_of(&values).ok()?,
    };
    (value.size() <= MAX_FOLDED_BYTES).then_some(value)
}

/// What went wrong, as it was before it travelled through DataFusion.
fn evaluation(error: DataFusionError) -> EvalError {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<EvalError>() {
            Ok(error) => *error,
            Err(other) => EvalError::Internal(other.to_string()),
        },
        DataFusionError::ArrowError(error, _) => EvalError::from(*error),
        DataFusionError::Context(_, inner) => evaluation(*inner),
        DataFusionError::Shared(inner) => match &*inner {
            DataFusionError::External(inner) => match inner.downcast_ref::<EvalError>() {
                Some(error) => error.clone(),
                None => EvalError::Internal(inner.to_string()),
            },
            other => EvalError::Internal(other.to_string()),
        },
        other => EvalError::Internal(other.to_string()),
    }
}
