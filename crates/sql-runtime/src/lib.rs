//! Columnar operators of SQL.
//!
//! Each operator takes and gives `ChangelogBatch`es and keeps what it must in the heap state
//! backend, so that snapshots, incremental captures, restores at another parallelism and times to
//! live work for all of them in one way.
//!
//! - [`config`]: what the planner says of each; each is the factory of its operator.

mod aggregates;
mod changelog;
mod compact;
pub mod config;
mod core;
mod edges;
mod group;
mod join;
mod keep;
mod layout;
mod lengths;
mod mini_batch;
mod over;
mod rank;
mod row_bytes;
mod rows;
mod sink;
mod small;
mod stateless;
mod time;
mod watermark;
mod window_aggregate;
mod window_local;
mod window_rows;
mod window_table;
mod windows;
