//! Tests of the planner against texts: names, types, errors, plans.

#![allow(clippy::unwrap_used)]

mod oracle;
mod plans;
mod queries;
mod support;
