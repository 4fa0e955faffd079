//! The connectors as the engine drives them, without the engine.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod driver;
mod file_sink;
mod hostile;
mod line_files;
mod sink_bases;
mod sockets;
mod text_files;
mod values;
