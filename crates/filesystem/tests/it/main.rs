//! Recoverable files, on the local disk and on object stores, by one contract.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod contract;
mod parts_store;
mod uploads;
