//! Tests of the planner against texts: names, types, errors, plans.

mod oracle;
mod queries;
mod support;
