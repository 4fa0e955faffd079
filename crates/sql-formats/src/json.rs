//! JSON.
//!
//! - `cursor` walks over the bytes of a record, without a tree.
//! - `shape` is what of an object is wanted, `value` puts values into columns, `tree` writes
//!   objects and arrays that go into columns of text.
//! - `decode` is the format `json`, `encode` writes it.
//!
//! Fields that nobody wants are skipped: only their brackets and quotes are looked at. The order of
//! an object's keys is remembered, so that a key is usually found by one comparison.

pub(crate) mod cursor;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod shape;
mod tree;
pub(crate) mod value;
