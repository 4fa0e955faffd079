//! A resolved call as a scalar function.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow_array::{Array, ArrayRef, UInt32Array, cast::AsArray};
use arrow_schema::{DataType, Field, FieldRef};
use arrow_select::take::take;
use datafusion_common::{DataFusionError, Result, ScalarValue, exec_datafusion_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use hurtig_sql_common::{EvalError, SqlContext};
use hurtig_sql_functions::api::{Operand, ResolvedCall};

use crate::types::plan_field;

/// A function of DataFusion's that runs a kernel.
pub struct ScalarCoat {
    name: String,
    call: ResolvedCall,
    field: FieldRef,
    signature: Signature,
    context: Arc<SqlContext>,
    /// What tells it from others: the types and the kernel.
    identity: String,
}

impl ScalarCoat {
    /// A coat of that call. `volatility` is what may be folded.
    pub fn new(
        name: &str,
        call: ResolvedCall,
        volatility: Volatility,
        context: Arc<SqlContext>,
    ) -> crate::PlanResult<Self> {
        let field = Arc::new(plan_field("", &call.result, None)?);
        let arguments: Vec<String> = call.arguments.iter().map(ToString::to_string).collect();
        let identity =
            format!("{}({}):{}:{:?}", name, arguments.join(","), call.result, call.kernel);
        let signature = Signature::new(TypeSignature::UserDefined, volatility);
        Ok(Self { name: name.to_owned(), call, field, signature, context, identity })
    }

    /// As a function.
    #[must_use]
    pub fn into_udf(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(self))
    }

    /// The call.
    #[must_use]
    pub fn call(&self) -> &ResolvedCall {
        &self.call
    }
}

/// What the debug text of a function that gives something else each time ends with.
pub(crate) const VOLATILE: &str = " (volatile)";

impl fmt::Debug for ScalarCoat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.identity)?;
        if self.signature.volatility == Volatility::Volatile {
            f.write_str(VOLATILE)?;
        }
        Ok(())
    }
}

impl PartialEq for ScalarCoat {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for ScalarCoat {}

impl Hash for ScalarCoat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}

impl ScalarUDFImpl for ScalarCoat {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::clone(&self.field).with_name(&self.name)))
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        // The binder has cast them.
        Ok(arguments.to_vec())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let constant = arguments.args.iter().all(|one| matches!(one, ColumnarValue::Scalar(_)))
            && self.signature.volatility == Volatility::Immutable;
        let operands = arguments.args.into_iter().map(|argument| match argument {
            ColumnarValue::Array(values) => Ok(Operand::Column(values)),
            ColumnarValue::Scalar(value) => Ok(Operand::Constant(value.to_array_of_size(1)?)),
        });
        let operands = operands.collect::<Result<Vec<_>>>()?;
        let (batch, rows) = (rows, if constant { 1 } else { rows });
        let values = self.call.kernel.evaluate(&operands, rows, &self.context).map_err(external)?;
        if values.len() != rows || values.data_type() != self.field.data_type() {
            return Err(exec_datafusion_err!(
                "{} gave {} values of {}, not {} of {}",
                self.name,
                values.len(),
                values.data_type(),
                rows,
                self.field.data_type()
            ));
        }
        if constant {
            let value = scalar_of(&values)?;
            if value.data_type() == *self.field.data_type() {
                return Ok(ColumnarValue::Scalar(value));
            }
            // DataFusion's constants forget what fields of collections know of their types.
            let places = UInt32Array::from(vec![0; batch]);
            return Ok(ColumnarValue::Array(take(values.as_ref(), &places, None)?));
        }
        Ok(ColumnarValue::Array(values))
    }
}

/// The first value of a column. DataFusion's own way would forget what the fields of arrays say.
pub(crate) fn scalar_of(values: &ArrayRef) -> Result<ScalarValue> {
    match values.as_list_opt::<i32>() {
        Some(list) if !list.is_empty() => Ok(ScalarValue::List(Arc::new(list.slice(0, 1)))),
        _ => ScalarValue::try_from_array(values, 0),
    }
}

/// The error travels through DataFusion and is taken out again by [`crate::optimize`].
fn external(error: EvalError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
