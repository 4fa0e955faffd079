//! The API as a user meets it: whole jobs in an embedded cluster.

#![allow(clippy::unwrap_used)]

mod examples;
