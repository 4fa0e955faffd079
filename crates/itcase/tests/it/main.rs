//! Whole jobs in an embedded cluster, and what becomes of them.

#![allow(clippy::unwrap_used)]

mod failures;
mod support;
