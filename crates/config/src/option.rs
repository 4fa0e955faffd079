//! What an option is: its key, its type, its default and what it does.
//!
//! An option is declared once, in a table of [`crate::catalogue`]; its description is also its
//! documentation. [`ConfigOption`] is the typed handle by which code reads it, [`OptionSpec`] the
//! same without the type, for tables and for people.
//!
//! Invariants, checked by tests: every default is a value of its type; every key, old or new,
//! leads to one option.

use std::marker::PhantomData;

use crate::value::{ConfigValue, ValueError};

/// Whether setting an option changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptionStatus {
    /// It does.
    Effective,
    /// Accepted and checked; what it controls is not built yet.
    Planned,
    /// Accepted so that Flink's files can be used; it has no meaning without a JVM.
    Inapplicable,
}

impl OptionStatus {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Effective => "effective",
            Self::Planned => "accepted, without effect yet",
            Self::Inapplicable => "accepted, without meaning here",
        }
    }
}

/// An option, whatever its type.
#[derive(Debug)]
pub struct OptionSpec {
    /// The key.
    pub key: &'static str,
    /// Older keys, which still work.
    pub deprecated: &'static [&'static str],
    /// Keys of other options that are asked in turn when this one is not set.
    pub fallback: &'static [&'static str],
    /// The default as text; `None` if there is none.
    pub default: Option<&'static str>,
    /// Does it change anything?
    pub status: OptionStatus,
    raw_description: &'static str,
    type_name: fn() -> &'static str,
    expected: fn() -> String,
    check: fn(&str) -> Result<(), ValueError>,
    map: bool,
}

impl OptionSpec {
    /// What it does, in words.
    pub fn description(&self) -> String {
        self.raw_description.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Name of the type, as in Flink's documentation.
    pub fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    /// What a value looks like.
    pub fn expected(&self) -> String {
        (self.expected)()
    }

    /// Checks that a text is a value.
    pub fn check(&self, text: &str) -> Result<(), ValueError> {
        (self.check)(text)
    }

    /// True if the value is a map, whose entries may also be given one by one below the key.
    pub fn is_map(&self) -> bool {
        self.map
    }
}

/// The typed handle of an option.
pub struct ConfigOption<T> {
    spec: OptionSpec,
    value: PhantomData<fn() -> T>,
}

fn check<T: ConfigValue>(text: &str) -> Result<(), ValueError> {
    T::parse(text).map(drop)
}

impl<T: ConfigValue> ConfigOption<T> {
    /// An option. Called by the tables of the catalogue only.
    pub(crate) const fn new(
        key: &'static str,
        default: Option<&'static str>,
        status: OptionStatus,
        raw_description: &'static str,
    ) -> Self {
        let spec = OptionSpec {
            key,
            deprecated: &[],
            fallback: &[],
            default,
            status,
            raw_description,
            type_name: T::type_name,
            expected: T::expected,
            check: check::<T>,
            map: T::IS_MAP,
        };
        Self { spec, value: PhantomData }
    }

    pub(crate) const fn was(mut self, deprecated: &'static [&'static str]) -> Self {
        self.spec.deprecated = deprecated;
        self
    }

    pub(crate) const fn or(mut self, fallback: &'static [&'static str]) -> Self {
        self.spec.fallback = fallback;
        self
    }
}

impl<T> ConfigOption<T> {
    /// The option without its type.
    pub const fn spec(&self) -> &OptionSpec {
        &self.spec
    }

    /// The key.
    pub const fn key(&self) -> &'static str {
        self.spec.key
    }
}

impl<T> std::fmt::Debug for ConfigOption<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.spec.fmt(f)
    }
}

/// Keys of which only the beginning is known, such as `metrics.reporter.<name>.class`.
#[derive(Debug)]
pub struct OptionPrefix {
    /// The beginning, with its last dot.
    pub prefix: &'static str,
    /// Do the options change anything?
    pub status: OptionStatus,
    /// What they do, in words.
    pub description: &'static str,
}

/// Declares the options of a file: a `static` for each, and `OPTIONS`, the table of all.
macro_rules! options {
    ($(
        $(#[doc = $doc:literal])+
        $status:ident $name:ident: $type:ty = $key:literal
        $(, default $default:literal)?
        $(, was [$($old:literal),+])?
        $(, else [$($fallback:literal),+])?
        ;
    )*) => {
        $(
            $(#[doc = $doc])+
            pub static $name: crate::option::ConfigOption<$type> =
                crate::option::ConfigOption::<$type>::new(
                    $key,
                    crate::option::default_text!($($default)?),
                    crate::option::OptionStatus::$status,
                    concat!($($doc),+),
                )
                $(.was(&[$($old),+]))?
                $(.or(&[$($fallback),+]))?;
        )*

        pub(crate) static OPTIONS: &[&crate::option::OptionSpec] = &[$($name.spec()),*];
    };
}

macro_rules! default_text {
    () => {
        None
    };
    ($default:literal) => {
        Some($default)
    };
}

pub(crate) use {default_text, options};
