//! Snapshots of real jobs, read back.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod jobs;
