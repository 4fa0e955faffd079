//! Where functions come from.

use std::sync::Arc;

use hurtig_sql_functions::api::{CallError, Kernel, ScalarFunction, SqlAggregateFunction};
use hurtig_sql_parser::types::SqlDataType;

/// Functions by name, and what is between types. Names come in capitals.
pub trait FunctionLibrary: Send + Sync {
    /// A scalar function or an operator.
    fn scalar(&self, name: &str) -> Option<Arc<dyn ScalarFunction>>;
    /// An aggregate function.
    fn aggregate(&self, name: &str) -> Option<Arc<dyn SqlAggregateFunction>>;
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
