//! Every decoder of foreign bytes as a function of bytes: checkpoints, records of high
//! availability, SQL, records of formats.
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
pub mod sql;
pub mod state;
pub mod storage;
pub mod text_files;

pub use mutate::Mutator;

/// Inputs that the tests give to each target.
pub const INPUTS_PER_TEST: u64 = 20_000;

/// Scripts of SQL that a test plans: each is many statements.
pub const SCRIPTS_PER_TEST: u64 = 1_000;

/// One decoder.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Decodes any bytes.
    pub run: fn(&[u8]),
    /// Valid inputs.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// How many changed inputs the tests give to it.
    pub inputs: u64,
    /// Inputs are texts, which are changed word by word.
    pub words: bool,
}

impl Target {
    const fn new(name: &'static str, run: fn(&[u8]), corpus: fn() -> Vec<Vec<u8>>) -> Self {
        Self { name, run, corpus, inputs: INPUTS_PER_TEST, words: false }
    }

    /// The changed input of a seed.
    pub fn input(&self, seed: u64, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut mutator = Mutator::new(seed);
        // Bytes that are no words come up, too.
        if self.words && !seed.is_multiple_of(8) {
            mutator.mutated_words(corpus)
        } else {
            mutator.mutated(corpus)
        }
    }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target::new("state_file", storage::state_file, storage::state_files),
    Target::new("metadata", storage::metadata, storage::metadata_contents),
    Target::new("keyed_state", state::keyed_state, state::keyed_states),
    Target::new("operator_lists", state::operator_lists, state::lists),
    Target::new("in_flight", state::in_flight, state::in_flight_elements),
    Target::new("source_states", sources::states, sources::snapshots),
    Target {
        inputs: SCRIPTS_PER_TEST,
        words: true,
        ..Target::new("sql_scripts", sql::scripts, sql::script_texts)
    },
    Target::new("sql_functions", sql::functions, sql::calls),
    Target::new("sql_json", sql::json, sql::jsons),
    Target::new("sql_csv", sql::csv, sql::csvs),
    Target::new("sql_raw", sql::raw, sql::raws),
    Target::new("sql_debezium", sql::debezium, sql::debeziums),
    Target::new("sql_canal", sql::canal, sql::canals),
    Target::new("sql_maxwell", sql::maxwell, sql::maxwells),
    Target::new("text_files", text_files::states, text_files::snapshots),
    Target::new("records", records::records, records::samples),
];
