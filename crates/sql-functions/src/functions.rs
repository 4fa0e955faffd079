//! The functions, a file for each family.

mod arithmetic;
mod compare;
mod comparison;
mod logic;
mod operate;

use crate::call::Builtin;

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Builtin> {
    const FAMILIES: &[&[Builtin]] =
        &[arithmetic::FUNCTIONS, comparison::FUNCTIONS, logic::FUNCTIONS];
    FAMILIES.iter().copied().flatten()
}
