//! JSON: documents, paths in them, and values as JSON.

pub(crate) mod document;
pub(crate) mod path;
pub(crate) mod write;

pub(crate) use document::Json;
