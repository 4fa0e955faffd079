//! Gateways between processes, through real sockets.

#![allow(clippy::unwrap_used)] // every function here belongs to a test

#[path = "../../../tls/tests/it/authority.rs"]
mod authority;
mod contract;
mod exports;
mod fabricate;
mod hostile;
mod recorder;
mod roles;
mod support;
mod tls;
mod wire;
