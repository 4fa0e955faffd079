//! The contract of the network stack, over every transport.
//!
//! Nothing here sleeps: tests wait for signals, and every wait ends in a failure after a limit.

#![allow(clippy::unwrap_used)] // every function here belongs to a test

#[path = "../../../tls/tests/it/authority.rs"]
mod authority;
mod credit_flow;
mod faults;
mod harness;
mod hostile;
mod local;
mod random;
mod remote;
