//! The functions, a file for each family.

mod arithmetic;
mod collection;
mod compare;
mod comparison;
mod conditional;
mod encoding;
mod json;
mod lists;
mod logic;
mod math;
mod operate;
mod printf;
mod regexp;
mod search;
mod strings;
mod temporal;
mod variant;

use crate::call::Builtin;

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Builtin> {
    const FAMILIES: &[&[Builtin]] = &[
        arithmetic::FUNCTIONS,
        collection::FUNCTIONS,
        comparison::FUNCTIONS,
        conditional::FUNCTIONS,
        encoding::FUNCTIONS,
        json::FUNCTIONS,
        logic::FUNCTIONS,
        math::FUNCTIONS,
        math::OF_DOUBLE,
        printf::FUNCTIONS,
        regexp::FUNCTIONS,
        search::FUNCTIONS,
        strings::FUNCTIONS,
        temporal::FUNCTIONS,
        variant::FUNCTIONS,
    ];
    FAMILIES.iter().copied().flatten()
}
