//! The built-in connectors: sources and sinks that need nothing but the machine they run on.
//!
//! | Source | Reads | Resumes |
//! |---|---|---|
//! | [`SequenceSource`] | the integers of a range | exactly |
//! | [`CollectionSource`] | values given by the program | exactly |
//! | [`DataGeneratorSource`] | what a function of the index returns, at a rate | exactly |
//! | [`NexmarkSource`] | Nexmark events, or a view of them | exactly |
//! | [`TextFileSource`] | lines of files, directories, globs, gzip | exactly |
//! | [`SocketTextSource`] | lines of a TCP connection | not at all |
//!
//! | Sink | Writes | Twice after a failure? |
//! |---|---|---|
//! | [`PrintSink`] | to standard output or error | yes |
//! | [`BlackHoleSink`] | nowhere | |
//! | [`FileSink`] | part files on a disk or object store | no: visible when committed |
//! | [`TwoPhaseCommitSink`] | to a system with transactions | no: committed with the checkpoint |
//! | [`WriteAheadSink`] | to a system without | no, if it takes segments whole |
//! | [`LineFileSink`] | part files in a directory | no: renamed when committed |
//!
//! [`splits`] holds the enumerators that they share, for other connectors to use.
//!
//! Deliberately absent: connectors with heavy dependencies (message queues, databases), which are crates of their own, and formats other than lines.

pub mod black_hole;
pub mod collection;
pub mod file_sink;
pub mod generator;
pub mod lines;
pub mod nexmark;
pub mod print;
pub mod sequence;
pub mod socket;
pub mod splits;
pub mod text_files;
pub mod two_phase_commit;
pub mod write_ahead;

pub use black_hole::BlackHoleSink;
pub use collection::CollectionSource;
pub use file_sink::FileSink;
pub use generator::{DataGeneratorSource, GeneratorSplit};
pub use lines::LineFileSink;
pub use nexmark::{NexmarkSource, NexmarkViewSource};
pub use print::PrintSink;
pub use sequence::SequenceSource;
pub use socket::SocketTextSource;
pub use splits::{SplitQueue, StaticEnumerator};
pub use text_files::TextFileSource;
pub use two_phase_commit::{TwoPhaseCommit, TwoPhaseCommitSink};
pub use write_ahead::{CheckpointCommitter, WriteAheadSink, WriteAheadTarget};
