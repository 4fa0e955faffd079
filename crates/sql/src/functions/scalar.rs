//! Scalar functions.

use std::{fmt, sync::Arc};

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use hurtig_sql_common::{EvalError, SqlContext, columns::arrow_type};
use hurtig_sql_functions::api::{
    CallArgument, CallError, Kernel, Operand, ResolvedCall, ScalarFunction,
};
use hurtig_sql_parser::types::SqlDataType;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    arguments::{ArgumentColumn, Arguments},
    casts, may_be_skipped, value_error,
};
use crate::values::{ColumnReader, ColumnWriter, RowValueError, data_type_of};

/// Computes as many values as there are rows; the name is for errors.
type Run =
    dyn Fn(&str, &[Operand], usize, &SqlContext) -> Result<ArrayRef, EvalError> + Send + Sync;
/// A function of whole columns.
type Vectorized = dyn Fn(&[ArrayRef], &SqlContext) -> Result<ArrayRef, EvalError> + Send + Sync;

#[derive(Clone)]
pub(super) struct ScalarDefinition {
    parameters: Vec<SqlDataType>,
    result: SqlDataType,
    run: Arc<Run>,
}

impl ScalarDefinition {
    pub(super) fn new<A, R>(
        f: impl Fn(A) -> Result<R, EvalError> + Send + Sync + 'static,
    ) -> Result<Self, RowValueError>
    where
        A: Arguments,
        R: Serialize + DeserializeOwned + 'static,
    {
        let parameters = A::types()?;
        let result = data_type_of::<R>()?;
        let column = arrow_type(&result).map_err(|error| RowValueError(error.to_string()))?;
        let nullable: Vec<bool> = parameters.iter().map(|one| one.nullable).collect();
        let run = move |name: &str, operands: &[Operand], rows: usize, _: &SqlContext| {
            by_row(name, operands, &nullable, rows, &column, &f)
        };
        Ok(Self { parameters, result, run: Arc::new(run) })
    }

    pub(super) fn vectorized(
        parameters: Vec<SqlDataType>,
        result: SqlDataType,
        f: Arc<Vectorized>,
    ) -> Self {
        // It sees NULL in every column, and may give it.
        let parameters = parameters.into_iter().map(|one| SqlDataType::nullable(one.kind));
        let run = move |_: &str, operands: &[Operand], rows: usize, context: &SqlContext| {
            let columns = operands.iter().map(|operand| whole(operand, rows));
            f(&columns.collect::<Result<Vec<_>, _>>()?, context)
        };
        Self { parameters: parameters.collect(), result, run: Arc::new(run) }
    }

    pub(super) fn named(&self, name: &str, deterministic: bool) -> NamedScalar {
        NamedScalar { name: name.into(), definition: self.clone(), deterministic }
    }
}

/// A constant as a column.
fn whole(operand: &Operand, rows: usize) -> Result<ArrayRef, EvalError> {
    match operand {
        Operand::Column(values) => Ok(values.clone()),
        Operand::Constant(value) => {
            let places = arrow_array::UInt32Array::from(vec![0; rows]);
            Ok(arrow_select::take::take(value.as_ref(), &places, None)?)
        }
    }
}

fn by_row<A, R>(
    name: &str,
    operands: &[Operand],
    nullable: &[bool],
    rows: usize,
    column: &DataType,
    f: &(impl Fn(A) -> Result<R, EvalError> + Send + Sync),
) -> Result<ArrayRef, EvalError>
where
    A: Arguments,
    R: Serialize + DeserializeOwned,
{
    let wrong = |error: RowValueError| value_error(name, &error);
    if operands.len() != nullable.len() {
        return Err(EvalError::Internal(format!("{name} has another number of arguments")));
    }
    let columns = operands.iter().zip(nullable).map(|(operand, nullable)| {
        let (values, constant) = match operand {
            Operand::Column(values) => (values, false),
            Operand::Constant(value) => (value, true),
        };
        Ok(ArgumentColumn::new(ColumnReader::of(values)?, constant, *nullable))
    });
    let columns = columns.collect::<Result<Vec<_>, RowValueError>>().map_err(wrong)?;
    let mut writer = ColumnWriter::new(column).map_err(wrong)?;
    for row in 0..rows {
        if columns.iter().any(|column| column.forbids(row)) {
            writer.write_null();
            continue;
        }
        let arguments = A::read(&columns, row).map_err(wrong)?;
        writer.write(&f(arguments)?).map_err(wrong)?;
    }
    writer.finish().map_err(wrong)
}

pub(super) struct NamedScalar {
    name: Arc<str>,
    definition: ScalarDefinition,
    deterministic: bool,
}

impl ScalarFunction for NamedScalar {
    fn name(&self) -> &str {
        &self.name
    }

    fn resolve(&self, arguments: &[CallArgument]) -> Result<ResolvedCall, CallError> {
        let ScalarDefinition { parameters, result, run } = &self.definition;
        let casts = casts(&self.name, arguments, parameters)?;
        let nullable = result.nullable || may_be_skipped(arguments, parameters);
        let kernel = UserKernel { name: self.name.clone(), run: run.clone() };
        Ok(ResolvedCall {
            arguments: casts,
            result: SqlDataType { kind: result.kind.clone(), nullable },
            kernel: Arc::new(kernel),
        })
    }

    fn is_deterministic(&self) -> bool {
        self.deterministic
    }
}

struct UserKernel {
    name: Arc<str>,
    run: Arc<Run>,
}

impl fmt::Debug for UserKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKernel({})", self.name)
    }
}

impl Kernel for UserKernel {
    fn evaluate(
        &self,
        arguments: &[Operand],
        rows: usize,
        context: &SqlContext,
    ) -> Result<ArrayRef, EvalError> {
        (self.run)(&self.name, arguments, rows, context)
    }
}
