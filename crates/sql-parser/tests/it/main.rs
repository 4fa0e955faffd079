//! The parser from outside: the oracle's scripts, every family of statements, errors, hostile text.

mod errors;
mod hostile;
mod oracle;
mod queries;
mod statements;
mod support;
mod types;
