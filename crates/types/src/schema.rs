//! The structure of a type, as it lies in state: what must not change between a snapshot and the
//! program that is restored from it.
//!
//! - [`schema_of`] asks a type's `Deserialize` what it would read, without any value of it.
//! - A schema has a text form (`{account: u64, notes: [string]}`), which is what snapshots keep, so
//!   that people can read it and later programs can parse it.
//! - [`describe_change`] names what differs between two of them; [`reads`] says whether one can
//!   read what was written with the other.
//!
//! Names of fields and variants belong to a schema, names of Rust types do not: a type may be
//! renamed and moved. A type whose structure cannot be found out (its `Deserialize` refuses every
//! sample value) is known by its Rust name.

mod difference;
mod text;
mod trace;

use std::{
    any::{TypeId, type_name},
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use serde::de::DeserializeOwned;

pub use difference::{describe_change, reads};

/// The structure of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// A number, text, bytes, truth value or character, by the name of the data model.
    Scalar(String),
    /// Perhaps.
    Option(Box<Schema>),
    /// Any number, in order.
    Sequence(Box<Schema>),
    /// So many of the same.
    Array(Box<Schema>, u32),
    /// Keys and values.
    Map(Box<Schema>, Box<Schema>),
    /// Fields by position.
    Tuple(Vec<Schema>),
    /// Fields by name.
    Struct(Vec<(String, Schema)>),
    /// One of several; a variant without content has an empty tuple.
    Enum(Vec<(String, Schema)>),
    /// The schema so many levels further out: a type that contains itself.
    Enclosing(u32),
    /// Known by its Rust name alone.
    Opaque(String),
}

/// The schema of a type.
pub fn schema_of<T: DeserializeOwned>() -> Schema {
    trace::trace::<T>().unwrap_or_else(|| Schema::Opaque(type_name::<T>().to_owned()))
}

/// The schema of a type as text. Types are traced once per process.
pub fn schema_text_of<T: DeserializeOwned + 'static>() -> Arc<str> {
    // Bounded by the number of types in the program.
    static KNOWN: LazyLock<Mutex<HashMap<TypeId, Arc<str>>>> = LazyLock::new(Mutex::default);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(text) = known().get(&TypeId::of::<T>()) {
        return text.clone();
    }
    // Not under the lock: this runs code of the user's.
    let text: Arc<str> = schema_of::<T>().to_string().into();
    known().insert(TypeId::of::<T>(), text.clone());
    text
}

#[cfg(test)]
mod tests;
