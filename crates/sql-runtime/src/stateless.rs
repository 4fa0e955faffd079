//! Operators without state: calc, expand, correlate, kinds, NOT NULL.

use arrow_array::{Array, BooleanArray, RecordBatch, UInt32Array, cast::AsArray, new_null_array};
use arrow_select::{concat::concat, filter::filter_record_batch, take::take};
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output, SourcePoll};
use hurtig_sql_common::{ChangelogBatch, EvalError, RowKind};
use hurtig_sql_functions::api::Expression;
use hurtig_types::{BoxedPayload, FlowError, FlowResult};

use crate::{
    config::{Calc, Correlate, DropUpdateBefore, Expand, NotNullEnforcer, Values},
    rows::{arrow_error, eval_error, make_rows, rows_of},
};

/// Batch in, batch out.
trait Stateless: Send + 'static {
    fn apply(&self, batch: ChangelogBatch, out: &mut dyn Output) -> FlowResult;
}

struct StatelessOperator<S>(S);

impl<S: Stateless> Operator for StatelessOperator<S> {
    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let batch = rows_of(batch)?;
        if batch.rows.num_rows() == 0 { Ok(()) } else { self.0.apply(batch, out) }
    }
}

macro_rules! stateless_factories {
    ($($name:ident),*) => {$(
        impl OperatorFactory for $name {
            fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
                Ok(Box::new(StatelessOperator(self.clone())))
            }
        }
    )*};
}
stateless_factories!(Calc, DropUpdateBefore, Expand, Correlate, NotNullEnforcer);

/// The value of a condition for each row.
pub(crate) fn condition(
    expression: &dyn Expression,
    rows: &RecordBatch,
) -> FlowResult<BooleanArray> {
    let value = expression.evaluate(rows).map_err(eval_error)?;
    let value = value.as_boolean_opt().ok_or_else(|| {
        FlowError::internal(format!("a condition has the type {}", value.data_type()))
    })?;
    if value.len() != rows.num_rows() {
        return Err(FlowError::internal("a condition gave another number of values than of rows"));
    }
    Ok(value.clone())
}

/// The rows for which a mask is true.
pub(crate) fn filter(batch: ChangelogBatch, mask: &BooleanArray) -> FlowResult<ChangelogBatch> {
    let kept = mask.true_count();
    if kept == mask.len() {
        return Ok(batch);
    }
    let rows = if batch.rows.num_columns() == 0 {
        make_rows(&batch.rows.schema(), Vec::new(), kept)?
    } else {
        filter_record_batch(&batch.rows, mask).map_err(arrow_error)?
    };
    Ok(match batch.kinds {
        None => ChangelogBatch::inserts(rows),
        Some(kinds) => {
            let is_kept = |row: &usize| mask.is_valid(*row) && mask.value(*row);
            let kinds = kinds.iter().enumerate().filter(|(row, _)| is_kept(row));
            ChangelogBatch::new(rows, kinds.map(|(_, kind)| *kind).collect())
        }
    })
}

impl Stateless for Calc {
    fn apply(&self, batch: ChangelogBatch, out: &mut dyn Output) -> FlowResult {
        let batch = match &self.condition {
            Some(expression) => filter(batch.clone(), &condition(&**expression, &batch.rows)?)?,
            None => batch,
        };
        if batch.rows.num_rows() == 0 {
            return Ok(());
        }
        let Some(projection) = &self.projection else {
            let (columns, rows) = (batch.rows.columns().to_vec(), batch.rows.num_rows());
            let rows = make_rows(&self.schema, columns, rows)?;
            return out.emit(ChangelogBatch { rows, kinds: batch.kinds }.boxed());
        };
        in_parts(batch, projection, |batch| {
            let columns = projection.iter().map(|one| one.evaluate(&batch.rows));
            let mut bytes = 0;
            let bounded = columns.map(|column| {
                let column = column?;
                bytes += column.get_array_memory_size();
                if bytes > MAX_BATCH_BYTES {
                    let text =
                        format!("the columns of a batch take more than {MAX_BATCH_BYTES} bytes");
                    return Err(EvalError::Value(text));
                }
                Ok(column)
            });
            let columns = bounded.collect::<Result<Vec<_>, _>>().map_err(eval_error)?;
            let rows = make_rows(&self.schema, columns, batch.rows.num_rows())?;
            out.emit(ChangelogBatch { rows, kinds: batch.kinds }.boxed())
        })
    }
}

/// The most bytes of the columns that are computed of one batch.
const MAX_BATCH_BYTES: usize = 2 << 30;
/// Bytes of constants in a batch: a long constant is repeated for each row.
const CONSTANT_BYTES_PER_BATCH: usize = 64 << 20;

/// Gives a batch on in one part, or in as many as the constants of expressions ask for.
fn in_parts(
    batch: ChangelogBatch,
    expressions: &[std::sync::Arc<dyn Expression>],
    mut each: impl FnMut(ChangelogBatch) -> FlowResult,
) -> FlowResult {
    let per_row: usize = expressions.iter().map(|one| one.constant_bytes()).sum();
    let most = CONSTANT_BYTES_PER_BATCH.checked_div(per_row).unwrap_or(usize::MAX).max(1);
    let rows = batch.rows.num_rows();
    if rows <= most {
        return each(batch);
    }
    for from in (0..rows).step_by(most) {
        let length = most.min(rows - from);
        let kinds = batch.kinds.as_ref().map(|kinds| kinds[from..from + length].into());
        each(ChangelogBatch { rows: batch.rows.slice(from, length), kinds })?;
    }
    Ok(())
}

impl Stateless for DropUpdateBefore {
    fn apply(&self, batch: ChangelogBatch, out: &mut dyn Output) -> FlowResult {
        let Some(kinds) = &batch.kinds else { return out.emit(batch.boxed()) };
        let mask: Vec<bool> = kinds.iter().map(|kind| *kind != RowKind::UpdateBefore).collect();
        out.emit(filter(batch, &BooleanArray::from(mask))?.boxed())
    }
}

impl Stateless for Expand {
    fn apply(&self, batch: ChangelogBatch, out: &mut dyn Output) -> FlowResult {
        let rows = batch.rows.num_rows();
        for projection in &self.projections {
            let columns =
                projection.iter().map(|one| one.evaluate(&batch.rows).map_err(eval_error));
            let columns = columns.collect::<FlowResult<Vec<_>>>()?;
            let rows = make_rows(&self.schema, columns, rows)?;
            out.emit(ChangelogBatch { rows, kinds: batch.kinds.clone() }.boxed())?;
        }
        Ok(())
    }
}

impl Stateless for Correlate {
    fn apply(&self, batch: ChangelogBatch, out: &mut dyn Output) -> FlowResult {
        let rows = batch.rows.num_rows();
        let arguments =
            self.arguments.iter().map(|one| one.evaluate(&batch.rows).map_err(eval_error));
        let arguments = arguments.collect::<FlowResult<Vec<_>>>()?;
        let (mut origins, mut made) =
            self.function.evaluate(&arguments, rows).map_err(eval_error)?;
        let inputs = batch.rows.num_columns();
        if made.len() + inputs != self.schema.fields().len() {
            return Err(FlowError::internal("a table function gave another number of columns"));
        }
        let joined = |origins: &[u32], made: Vec<arrow_array::ArrayRef>| {
            let at = UInt32Array::from(origins.to_vec());
            let left = batch.rows.columns().iter().map(|column| take(column, &at, None));
            let mut columns = left.collect::<Result<Vec<_>, _>>().map_err(arrow_error)?;
            columns.extend(made);
            make_rows(&self.schema, columns, origins.len())
        };
        if let Some(expression) = &self.condition {
            let pairs = joined(&origins, made.clone())?;
            let mask = condition(&**expression, &pairs)?;
            let kept = (0..origins.len()).filter(|row| mask.is_valid(*row) && mask.value(*row));
            let kept: Vec<u32> = kept.map(|row| row as u32).collect();
            let at = UInt32Array::from(kept.clone());
            made = made
                .iter()
                .map(|column| take(column, &at, None))
                .collect::<Result<_, _>>()
                .map_err(arrow_error)?;
            origins = kept.iter().map(|row| origins[*row as usize]).collect();
        }
        if self.outer {
            // Rows without any come where they belong, with the NULL that is appended to the columns.
            let null = origins.len() as u32;
            let (mut all, mut at) = (Vec::new(), Vec::new());
            let mut next = 0;
            for row in 0..rows as u32 {
                let before = all.len();
                while next < origins.len() && origins[next] == row {
                    all.push(row);
                    at.push(next as u32);
                    next += 1;
                }
                if all.len() == before {
                    all.push(row);
                    at.push(null);
                }
            }
            let at = UInt32Array::from(at);
            let padded = made.iter().map(|column| {
                let column = concat(&[column, &new_null_array(column.data_type(), 1)])?;
                take(&column, &at, None)
            });
            made = padded.collect::<Result<_, _>>().map_err(arrow_error)?;
            origins = all;
        }
        if origins.is_empty() {
            return Ok(());
        }
        let rows = joined(&origins, made)?;
        let kinds = batch.kinds.as_ref();
        let kinds = kinds.map(|kinds| origins.iter().map(|row| kinds[*row as usize]).collect());
        out.emit(ChangelogBatch { rows, kinds }.boxed())
    }
}

impl Stateless for NotNullEnforcer {
    fn apply(&self, batch: ChangelogBatch, out: &mut dyn Output) -> FlowResult {
        let mut mask: Option<Vec<bool>> = None;
        for (column, name) in &self.columns {
            let nulls = batch.rows.column(*column).logical_nulls();
            let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else { continue };
            if !self.drop {
                return Err(FlowError::user(format!(
                    "Column '{name}' is NOT NULL, however, a null value is being written into it. You \
                     can set job configuration 'table.exec.sink.not-null-enforcer'='DROP' to \
                     suppress this exception and drop such records silently."
                )));
            }
            let mask = mask.get_or_insert_with(|| vec![true; batch.rows.num_rows()]);
            mask.iter_mut().zip(nulls.iter()).for_each(|(keep, valid)| *keep &= valid);
        }
        match mask {
            None => out.emit(batch.boxed()),
            Some(mask) => out.emit(filter(batch, &BooleanArray::from(mask))?.boxed()),
        }
    }
}

/// Gives constant rows, once. After a restore that came later, it gives none.
struct ValuesSource {
    rows: Option<ChangelogBatch>,
}

/// Name of the state that says that the rows were given.
const GIVEN: &str = "given";

impl Operator for ValuesSource {
    fn process(&mut self, _: usize, _: BoxedPayload, _: &mut dyn Output) -> FlowResult {
        Err(FlowError::internal("a source has no input"))
    }

    fn poll_source(&mut self, out: &mut dyn Output) -> FlowResult<SourcePoll> {
        if let Some(rows) = self.rows.take() {
            out.emit(rows.boxed())?;
        }
        Ok(SourcePoll::Ended)
    }

    fn begin_capture(
        &mut self,
        _: hurtig_types::CheckpointId,
        _: Option<u32>,
    ) -> FlowResult<hurtig_operator_api::Captured> {
        let mode = hurtig_types::RedistributionMode::Union;
        let elements = if self.rows.is_none() {
            vec![hurtig_types::codec::encode(&true)?]
        } else {
            Vec::new()
        };
        let state = hurtig_operator_api::ListStateData { name: GIVEN.to_owned(), mode, elements };
        Ok(hurtig_operator_api::Captured {
            operator_states: vec![state],
            metas: vec![hurtig_types::StateMeta::of_elements::<bool>(GIVEN, mode)],
            ..hurtig_operator_api::Captured::default()
        })
    }
}

impl OperatorFactory for Values {
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let restored = context.restored.as_ref();
        let given = restored.is_some_and(|restored| restored.list(GIVEN).next().is_some());
        let rows = (context.subtask == 0 && !given).then(|| self.rows.clone());
        Ok(Box::new(ValuesSource { rows }))
    }
}
