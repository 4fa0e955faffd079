//! Who may speak with whom, over connections in memory.

#![allow(clippy::unwrap_used)] // every function here belongs to a test

mod authority;
mod handshake;
mod rest;
