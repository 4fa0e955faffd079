//! Coats: Flink's functions as functions of DataFusion's expressions.
//!
//! - [`FunctionLibrary`]: where functions, casts and common types come from.
//! - [`ScalarCoat`], [`AggregateCoat`]: resolved calls in the shape that plans want.
//!
//! Invariant: a coat is made for the types of one call, so that two are equal if name, types and
//! kernel are; what more a call depends on stands among its arguments.

mod aggregate;
mod builtin;
mod library;
mod scalar;

pub use aggregate::AggregateCoat;
pub use builtin::BuiltinFunctions;
pub use library::{FunctionLibrary, ResolvedTableFunction, SqlTableFunction};
pub use scalar::ScalarCoat;
pub(crate) use scalar::{VOLATILE, scalar_of};
