//! Operators that are not there yet: their creation is refused.

use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory};
use hurtig_types::{FlowError, FlowResult};

macro_rules! pending {
    ($($name:ident),*) => {$(
        impl OperatorFactory for crate::config::$name {
            fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
                Err(FlowError::fatal(concat!("the operator ", stringify!($name), " is not there yet")))
            }
        }
    )*};
}

pending!(
    OverAggregate, WindowTableFunction, WindowAggregate, IntervalJoin,
    TemporalJoin, WindowJoin, TemporalSort, WindowRank,
    WindowDeduplicate
);
