//! JSON: documents, paths in them, and values as JSON.

pub(crate) mod path;
pub(crate) mod write;

use serde_json::Value;

/// Reads a document. What follows it after a blank does not count, as in Flink.
pub(crate) fn parse(text: &str) -> Option<Value> {
    serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok()
}
