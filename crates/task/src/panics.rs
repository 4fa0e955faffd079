//! Panics of user code as failures of an attempt.
//!
//! Deliberately absent: what becomes of what the panicking code has left behind. Callers drop it,
//! or use it only to close it.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use hurtig_types::{FlowError, FlowResult};

/// A panic as a failure of user code.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> FlowError {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned());
    FlowError::user(format!("panicked: {text}"))
}

/// Calls user code; a panic in it is an error.
pub(crate) fn caught<R>(f: impl FnOnce() -> FlowResult<R>) -> FlowResult<R> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}
