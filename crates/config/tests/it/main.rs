//! Configuration as its users meet it.

#![allow(clippy::unwrap_used)]

mod catalogue;
mod explain;
mod levels;
mod validation;
mod values;
mod yaml;
