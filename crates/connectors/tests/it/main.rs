//! The connectors as the engine drives them, without the engine.

mod driver;
mod line_files;
mod sockets;
mod text_files;
mod values;
