//! Where functions come from.

use std::sync::Arc;

use hurtig_sql_functions::api::{
    CallArgument, CallError, Kernel, ScalarFunction, SqlAggregateFunction,
};
use hurtig_sql_parser::types::SqlDataType;
use hurtig_sql_runtime::config::TableFunction;

/// A function that makes rows of a row's values.
pub trait SqlTableFunction: Send + Sync {
    /// Its name, in capitals.
    fn name(&self) -> &str;
    /// Settles a call.
    fn resolve(&self, arguments: &[CallArgument]) -> Result<ResolvedTableFunction, CallError>;
}

/// A call of a table function whose types are settled.
#[derive(Clone)]
pub struct ResolvedTableFunction {
    /// What the arguments must be cast to.
    pub arguments: Vec<SqlDataType>,
    /// The columns that it gives.
    pub columns: Vec<(String, SqlDataType)>,
    /// What computes it.
    pub function: Arc<dyn TableFunction>,
}

/// Functions by name, and what is between types. Names come in capitals.
pub trait FunctionLibrary: Send + Sync {
    /// A scalar function or an operator.
    fn scalar(&self, name: &str) -> Option<Arc<dyn ScalarFunction>>;
    /// An aggregate function.
    fn aggregate(&self, name: &str) -> Option<Arc<dyn SqlAggregateFunction>>;
    /// A table function of a user's.
    fn table(&self, name: &str) -> Option<Arc<dyn SqlTableFunction>> {
        let _ = name;
        None
    }
    /// All names, for hints and SHOW FUNCTIONS.
    fn names(&self) -> Vec<String>;

    /// What all of the types can be cast to without loss.
    fn common_type(&self, types: &[SqlDataType]) -> Option<SqlDataType>;

    /// Whether a value is cast without CAST.
    fn can_implicitly_cast(&self, from: &SqlDataType, to: &SqlDataType) -> bool;

    /// The kernel of a cast.
    fn cast(
        &self,
        from: &SqlDataType,
        to: &SqlDataType,
        is_try: bool,
    ) -> Result<Arc<dyn Kernel>, CallError>;
}
