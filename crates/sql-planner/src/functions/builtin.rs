//! Flink's own functions.

use std::sync::Arc;

use hurtig_sql_functions::{
    api::{CallError, Kernel, ScalarFunction, SqlAggregateFunction},
    registry, types,
};
use hurtig_sql_parser::types::SqlDataType;

use super::FunctionLibrary;

/// Flink's own functions.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltinFunctions;

impl FunctionLibrary for BuiltinFunctions {
    fn scalar(&self, name: &str) -> Option<Arc<dyn ScalarFunction>> {
        registry::lookup_scalar(name)
    }

    fn aggregate(&self, name: &str) -> Option<Arc<dyn SqlAggregateFunction>> {
        registry::lookup_aggregate(name)
    }

    fn names(&self) -> Vec<String> {
        registry::functions().into_iter().map(|one| one.name.to_owned()).collect()
    }

    fn common_type(&self, all: &[SqlDataType]) -> Option<SqlDataType> {
        types::least_restrictive(all)
    }

    fn can_implicitly_cast(&self, from: &SqlDataType, to: &SqlDataType) -> bool {
        types::can_implicitly_cast(from, to)
    }

    fn cast(
        &self,
        from: &SqlDataType,
        to: &SqlDataType,
        is_try: bool,
    ) -> Result<Arc<dyn Kernel>, CallError> {
        hurtig_sql_functions::cast(from, to, is_try)
    }
}
