//! A factory from a closure.

use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory};
use hurtig_types::FlowResult;

/// Creates operators by calling a function.
pub struct FnOperatorFactory<F>(pub F);

impl<F> OperatorFactory for FnOperatorFactory<F>
where
    F: Fn(&OperatorContext) -> FlowResult<Box<dyn Operator>> + Send + Sync,
{
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        (self.0)(context)
    }
}
