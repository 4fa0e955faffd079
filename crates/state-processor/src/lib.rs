//! Checkpoints and savepoints outside of the job that took them; the reading half of Flink's State
//! Processor API.
//!
//! - [`snapshot`]: a snapshot that was opened: its metadata, its operators by uid.
//! - [`inspect`], [`report`]: what is inside, for people and tools.
//! - [`reader`]: state as records: [`SavepointReader`].
//!   [`keyed`] reads one keyed state, [`function`] all states of a key with its timers, [`lists`]
//!   operator state, [`windows`] the slices of windows.
//! - [`records`], [`source`]: what a read gives: an iterator, or a bounded source for a job.
//!
//! Keyed state is read a range of key groups at a time, which is what has to fit into memory: that
//! of one subtask of the job that took the snapshot, or less if a source has more readers.
//!
//! Every file is checked, whole, before anything of it is given out, and nothing in it is believed:
//! damaged or hostile bytes are an error that names operator and state.
//!
//! Deliberately absent: writing snapshots; the formats themselves (crates `storage` and
//! `state-heap`); which snapshot a job starts from (crate `checkpoint`).

pub mod error;
pub mod function;
pub mod inspect;
pub mod keyed;
pub mod lists;
pub mod reader;
pub mod records;
pub mod report;
pub mod snapshot;
pub mod source;
pub mod windows;

#[cfg(test)]
mod tests;

pub use error::StateProcessorError;
pub use function::{KeyedStateReaderContext, KeyedStateReaderFunction};
pub use inspect::{InspectOptions, inspect};
pub use keyed::KeyedStateSpec;
pub use reader::SavepointReader;
pub use records::{SavepointRecords, StateRecords};
pub use report::SnapshotReport;
pub use snapshot::{OpenSnapshot, dispose, list_snapshots};
pub use source::SavepointSource;
