//! End-to-end tests of the embedded engine, in `tests/it`: whole jobs that fail, are cancelled,
//! lose TaskExecutors, grow wide, or are wrong from the start.
//!
//! They see the engine as a user does, through the `hurtig` crate, and look at what no single crate
//! can promise. Deliberately absent: anything that a test of one crate can show.
