//! Arguments as columns, and results made of them row by row.
//!
//! A [`View`] hides whether an argument is a column or a constant. The `make_` functions ask a closure
//! for the value of each row; `None` is NULL. What can be done with a kernel of Arrow's is.

use std::{cell::Cell, fmt, sync::Arc};

use arrow_array::{
    Array, ArrayAccessor, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, PrimitiveArray,
    StringArray, UInt32Array,
    builder::{BinaryBuilder, BooleanBuilder, PrimitiveBuilder, StringBuilder},
};
use arrow_select::take::take;
use hurtig_sql_common::{EvalError, SqlContext};

use crate::api::{Kernel, Operand};

/// The result of an evaluation.
pub(crate) type Evaluated = Result<ArrayRef, EvalError>;

/// The arguments of one call for one batch.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    /// The arguments.
    pub operands: &'a [Operand],
    /// How many rows.
    pub rows: usize,
    /// The session.
    pub context: &'a SqlContext,
}

/// An argument whose values can be asked for by row.
pub(crate) struct View<'a, A> {
    array: &'a A,
    constant: bool,
}

impl<'a, A> View<'a, A>
where
    &'a A: ArrayAccessor,
{
    /// The value of a row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<<&'a A as ArrayAccessor>::Item> {
        let row = if self.constant { 0 } else { row };
        let array = self.array;
        (!array.is_null(row)).then(|| ArrayAccessor::value(&array, row))
    }

    /// The value of all rows, if there is one.
    pub fn constant(&self) -> Option<<&'a A as ArrayAccessor>::Item> {
        if self.constant { self.get(0) } else { None }
    }
}

/// Numbers, dates and times.
pub(crate) type Numbers<'a, T> = View<'a, PrimitiveArray<T>>;

impl<'a> Columns<'a> {
    /// How many arguments.
    pub fn len(&self) -> usize {
        self.operands.len()
    }

    /// An argument as it came, and whether it is a constant.
    pub fn raw(&self, index: usize) -> Result<(&'a ArrayRef, bool), EvalError> {
        match self.operands.get(index) {
            Some(Operand::Column(array)) if array.len() == self.rows => Ok((array, false)),
            Some(Operand::Constant(array)) if array.len() == 1 => Ok((array, true)),
            Some(Operand::Column(array) | Operand::Constant(array)) => {
                let (found, wanted) = (array.len(), self.rows);
                Err(EvalError::Internal(format!("argument {index}: {found} of {wanted} rows")))
            }
            None => Err(EvalError::Internal(format!("there is no argument {index}"))),
        }
    }

    /// An argument as a column of all rows.
    pub fn full(&self, index: usize) -> Evaluated {
        let (array, constant) = self.raw(index)?;
        if constant { repeat(array, self.rows) } else { Ok(array.clone()) }
    }

    fn view<A: Array + 'static>(&self, index: usize) -> Result<View<'a, A>, EvalError> {
        let (array, constant) = self.raw(index)?;
        Ok(View { array: downcast(array)?, constant })
    }

    /// An argument of texts.
    pub fn texts(&self, index: usize) -> Result<View<'a, StringArray>, EvalError> {
        self.view(index)
    }

    /// An argument of bytes.
    pub fn bytes(&self, index: usize) -> Result<View<'a, BinaryArray>, EvalError> {
        self.view(index)
    }

    /// An argument of truth values.
    pub fn booleans(&self, index: usize) -> Result<View<'a, BooleanArray>, EvalError> {
        self.view(index)
    }

    /// An argument of numbers.
    pub fn numbers<T: ArrowPrimitiveType>(
        &self,
        index: usize,
    ) -> Result<Numbers<'a, T>, EvalError> {
        self.view(index)
    }

    /// Texts.
    pub fn make_texts<S: AsRef<str>>(&self, mut of: impl FnMut(usize) -> Option<S>) -> Evaluated {
        self.try_texts(|row| Ok(of(row)))
    }

    /// Texts, or an error.
    pub fn try_texts<S: AsRef<str>>(
        &self,
        mut of: impl FnMut(usize) -> Result<Option<S>, EvalError>,
    ) -> Evaluated {
        let mut builder = StringBuilder::with_capacity(self.rows, self.rows * 16);
        for row in 0..self.rows {
            let Some(text) = of(row)? else {
                builder.append_null();
                continue;
            };
            check_bytes(builder.values_slice().len(), text.as_ref().len())?;
            builder.append_value(text);
        }
        count_made(builder.values_slice().len())?;
        Ok(Arc::new(builder.finish()))
    }

    /// Bytes.
    pub fn make_bytes<S: AsRef<[u8]>>(&self, mut of: impl FnMut(usize) -> Option<S>) -> Evaluated {
        let mut builder = BinaryBuilder::with_capacity(self.rows, self.rows * 16);
        for row in 0..self.rows {
            let Some(bytes) = of(row) else {
                builder.append_null();
                continue;
            };
            check_bytes(builder.values_slice().len(), bytes.as_ref().len())?;
            builder.append_value(bytes);
        }
        count_made(builder.values_slice().len())?;
        Ok(Arc::new(builder.finish()))
    }

    /// Truth values.
    pub fn make_booleans(&self, mut of: impl FnMut(usize) -> Option<bool>) -> Evaluated {
        let mut builder = BooleanBuilder::with_capacity(self.rows);
        for row in 0..self.rows {
            builder.append_option(of(row));
        }
        Ok(Arc::new(builder.finish()))
    }

    /// Numbers.
    pub fn make_numbers<T: ArrowPrimitiveType>(
        &self,
        mut of: impl FnMut(usize) -> Option<T::Native>,
    ) -> Evaluated {
        self.try_numbers::<T>(|row| Ok(of(row)))
    }

    /// Numbers, or an error.
    pub fn try_numbers<T: ArrowPrimitiveType>(
        &self,
        mut of: impl FnMut(usize) -> Result<Option<T::Native>, EvalError>,
    ) -> Evaluated {
        let mut builder = PrimitiveBuilder::<T>::with_capacity(self.rows);
        for row in 0..self.rows {
            builder.append_option(of(row)?);
        }
        Ok(Arc::new(builder.finish()))
    }
}

/// The most bytes of one column of texts or bytes of a batch.
const MAX_COLUMN_BYTES: usize = 512 << 20;
/// The most bytes of texts that an expression makes of one batch, with all in between.
const MAX_EVALUATION_BYTES: usize = 1 << 30;

thread_local! {
    /// Bytes of texts that the evaluation under way has made.
    static MADE: Cell<usize> = const { Cell::new(0) };
}

/// Begins the evaluation of an expression for a batch: what it makes is counted from here on.
pub fn begin_evaluation() {
    MADE.set(0);
}

/// Counts a column of texts or bytes that was made.
pub(crate) fn count_made(bytes: usize) -> Result<(), EvalError> {
    let made = MADE.get().saturating_add(bytes);
    MADE.set(made);
    if made <= MAX_EVALUATION_BYTES {
        return Ok(());
    }
    let text = format!("an expression makes more than {MAX_EVALUATION_BYTES} bytes of a batch");
    Err(EvalError::Value(text))
}

/// Refuses one value more where all together would take too much memory.
pub(crate) fn check_bytes(before: usize, more: usize) -> Result<(), EvalError> {
    if before.saturating_add(more) <= MAX_COLUMN_BYTES {
        return Ok(());
    }
    Err(EvalError::Value(format!("the texts of a batch are longer than {MAX_COLUMN_BYTES} bytes")))
}

/// A value, repeated.
pub(crate) fn repeat(value: &ArrayRef, rows: usize) -> Evaluated {
    if value.len() == 1 && rows == 1 {
        return Ok(value.clone());
    }
    let bytes = value.to_data().get_slice_memory_size()?.saturating_mul(rows);
    check_bytes(0, bytes)?;
    count_made(bytes)?;
    Ok(take(value, &UInt32Array::from(vec![0; rows]), None)?)
}

/// An array of a type that the plan promises.
pub(crate) fn downcast<A: Array + 'static>(array: &ArrayRef) -> Result<&A, EvalError> {
    array.as_any().downcast_ref().ok_or_else(|| {
        let wanted = std::any::type_name::<A>();
        EvalError::Internal(format!("a column of {} instead of {wanted}", array.data_type()))
    })
}

struct Computed<F> {
    name: &'static str,
    compute: F,
}

impl<F> fmt::Debug for Computed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<F> Kernel for Computed<F>
where
    F: Fn(&Columns<'_>) -> Evaluated + Send + Sync,
{
    fn evaluate(&self, operands: &[Operand], rows: usize, context: &SqlContext) -> Evaluated {
        (self.compute)(&Columns { operands, rows, context })
    }
}

/// A kernel that is a closure.
pub(crate) fn kernel<F>(name: &'static str, compute: F) -> Arc<dyn Kernel>
where
    F: Fn(&Columns<'_>) -> Evaluated + Send + Sync + 'static,
{
    Arc::new(Computed { name, compute })
}
