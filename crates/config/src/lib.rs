//! Configuration: Flink's keys with their types, defaults and meaning, and where values come from.
//!
//! - [`catalogue`]: every option, declared once; [`ConfigOption`] is the handle to read it by.
//! - [`value`]: durations, sizes, lists, words, and their texts.
//! - [`Configuration`]: the values that are set, at three levels: a file, `-D` properties, the
//!   program. The higher level wins; what nobody sets has its default.
//! - [`Explanation`]: a key's value, origin, status and meaning, for people and tools.
//!
//! # Life of a value
//!
//! 1. A file (`config.yaml`), `-D key=value` or the program gives a key and a text.
//! 2. The key is looked up. An unknown one is an error that names the nearest known key; a
//!    deprecated one counts as its successor.
//! 3. The text is checked against the option's type.
//! 4. `get` asks the levels from the top, then fallback keys, then the default.
//! 5. `validate` checks what concerns several options.
//!
//! Nothing is ignored in silence: options that do not change anything yet say so
//! ([`OptionStatus`]), and [`Configuration::warnings`] lists those that are set.
//!
//! Deliberately absent: environment variables, and anything that acts on a value. One function
//! reads a file ([`Configuration::load`]); the rest is pure.

pub mod catalogue;
mod configuration;
mod dynamic;
mod error;
mod explain;
mod file;
mod option;
mod validate;
pub mod value;
mod yaml;

pub use configuration::{ConfigLevel, Configuration};
pub use dynamic::split_dynamic_properties;
pub use error::{ConfigError, ConfigErrors, ConfigOrigin, HIDDEN, is_sensitive};
pub use explain::Explanation;
pub use file::{CONFIG_FILE_NAME, MOST_FILE_BYTES};
pub use option::{ConfigOption, OptionPrefix, OptionSpec, OptionStatus};
pub use value::{ConfigValue, Fraction, MemorySize, ValueError};
