//! A resolved aggregate as an aggregate function of DataFusion's.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow_schema::{DataType, Field, FieldRef};
use datafusion_common::{Result, not_impl_err};
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, TypeSignature, Volatility,
    function::AccumulatorArgs,
};
use hurtig_sql_functions::api::{CallArgument, ResolvedAggregate, SqlAggregateFunction};
use hurtig_sql_parser::types::SqlDataType;

use crate::{PlanResult, types::plan_field};

/// An aggregate in a plan. DataFusion never runs it: the operators of streams do.
pub struct AggregateCoat {
    function: Arc<dyn SqlAggregateFunction>,
    arguments: Vec<CallArgument>,
    result: SqlDataType,
    field: FieldRef,
    signature: Signature,
    identity: String,
}

impl AggregateCoat {
    /// A coat of a call with those arguments, already cast; `result` is the type of the call in its
    /// query, which may be nullable where the function's own is not (no group, FILTER).
    pub fn new(
        function: Arc<dyn SqlAggregateFunction>,
        arguments: Vec<CallArgument>,
        result: SqlDataType,
    ) -> PlanResult<Self> {
        let field = Arc::new(plan_field("", &result, None)?);
        let types: Vec<String> = arguments.iter().map(|one| one.data_type.to_string()).collect();
        let identity = format!("{}({}):{result}", function.name(), types.join(","));
        let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
        Ok(Self { function, arguments, result, field, signature, identity })
    }

    /// As a function.
    #[must_use]
    pub fn into_udf(self) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(self))
    }

    /// Settles it for rows that are only added, or also taken away.
    pub fn resolve(&self, retracts: bool) -> PlanResult<ResolvedAggregate> {
        let mut resolved = self.function.resolve(&self.arguments, retracts)?;
        resolved.result = self.result.clone();
        Ok(resolved)
    }

    /// The types of the arguments.
    #[must_use]
    pub fn arguments(&self) -> &[CallArgument] {
        &self.arguments
    }

    /// The type of the result.
    #[must_use]
    pub fn result(&self) -> &SqlDataType {
        &self.result
    }
}

impl fmt::Debug for AggregateCoat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.identity)
    }
}

impl PartialEq for AggregateCoat {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for AggregateCoat {}

impl Hash for AggregateCoat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}

impl AggregateUDFImpl for AggregateCoat {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field(&self, _arguments: &[FieldRef]) -> Result<FieldRef> {
        Ok(Arc::new(Field::clone(&self.field).with_name(self.function.name())))
    }

    fn is_nullable(&self) -> bool {
        self.result.nullable
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arguments.to_vec())
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("{} runs in operators of streams only", self.function.name())
    }
}
