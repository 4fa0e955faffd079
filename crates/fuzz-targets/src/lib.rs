//! Every decoder of checkpoint bytes, and of the records of high availability, as a function of
//! bytes.
//!
//! A [`Target`] takes any bytes, panics if what it calls breaks a promise (a panic there, a result
//! that does not fit into the bytes, a round trip that changes something), and comes with valid
//! inputs to begin from. Two drivers use them:
//! - `fuzz/` has one libFuzzer target for each; it is a workspace of its own, since it needs
//!   a nightly toolchain. `cargo +nightly fuzz run <name>`.
//! - [`mutate`] changes the valid inputs; the tests of this crate run each target for
//!   [`INPUTS_PER_TEST`] of them, so that none of them rots.
//!
//! Where a format has checksums, what is fuzzed is the content, and the checksums are made to fit:
//! else nothing would come past them. The format of files itself is a target of its own.
//!
//! # To add a target
//!
//! A function and its inputs in a module here, a line in [`TARGETS`], and a file in
//! `fuzz/fuzz_targets`; a test compares the two lists.

pub mod mutate;
pub mod records;
mod samples;
pub mod sources;
pub mod state;
pub mod storage;
pub mod text_files;

pub use mutate::Mutator;

/// Inputs that the tests give to each target.
pub const INPUTS_PER_TEST: u64 = 20_000;

/// One decoder.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Decodes any bytes.
    pub run: fn(&[u8]),
    /// Valid inputs.
    pub corpus: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "state_file", run: storage::state_file, corpus: storage::state_files },
    Target { name: "metadata", run: storage::metadata, corpus: storage::metadata_contents },
    Target { name: "keyed_state", run: state::keyed_state, corpus: state::keyed_states },
    Target { name: "operator_lists", run: state::operator_lists, corpus: state::lists },
    Target { name: "in_flight", run: state::in_flight, corpus: state::in_flight_elements },
    Target { name: "source_states", run: sources::states, corpus: sources::snapshots },
    Target { name: "text_files", run: text_files::states, corpus: text_files::snapshots },
    Target { name: "records", run: records::records, corpus: records::samples },
];
