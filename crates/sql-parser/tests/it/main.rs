//! The parser from outside: the oracle's scripts, every family of statements, errors, hostile text.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod errors;
mod hostile;
mod lower;
mod oracle;
mod queries;
mod statements;
mod support;
mod types;
