//! Values: what a text means as a number, a duration, a size, a word of a list.
//!
//! Texts are those of Flink: a duration without unit counts milliseconds, a size without unit
//! bytes, lists are separated by `;`, maps by `,` and `:`. Words of enumerations are found without
//! regard to case, and `_` equals `-`.
//!
//! Invariant: `parse(to_text(value))` is `value`. Texts come from users: no parser panics or
//! overflows.

use std::{fmt, num::NonZeroU32};

mod collection;
mod duration;
mod memory;
mod ports;
mod word;

pub use duration::MAX_DURATION;
pub use memory::MemorySize;
pub use ports::PortRange;
pub use word::{
    CheckpointStorageKind, HighAvailabilityType, RestartStrategyType, SchedulerExecutionMode,
    SchedulerType, StateBackendType, TaskManagerLoadBalanceMode,
};

/// What is wrong with a text, beyond not being what was expected. May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueError(pub String);

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A type that options may have.
pub trait ConfigValue: Sized {
    /// True for maps, whose entries may be given one by one.
    const IS_MAP: bool = false;

    /// Its name, as in Flink's documentation.
    fn type_name() -> &'static str;

    /// What a text of it looks like, after "expected".
    fn expected() -> String;

    /// Reads a text.
    fn parse(text: &str) -> Result<Self, ValueError>;

    /// Writes a text that [`ConfigValue::parse`] reads as the same value.
    fn to_text(&self) -> String;

    /// The value of an option that is not set and has no default.
    fn absent() -> Option<Self> {
        None
    }

    /// True for the value that stands for none.
    fn is_absent(&self) -> bool {
        false
    }
}

/// What is wrong with a number that is followed by something that is no unit.
fn not_a_unit(unit: &str, of: &str) -> ValueError {
    if unit.starts_with(['.', ',']) {
        return ValueError("the number must be whole".to_owned());
    }
    ValueError(format!("{unit:?} is no unit of {of}"))
}

/// An option that need not have a value.
impl<T: ConfigValue> ConfigValue for Option<T> {
    const IS_MAP: bool = T::IS_MAP;

    fn type_name() -> &'static str {
        T::type_name()
    }

    fn expected() -> String {
        T::expected()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        T::parse(text).map(Some)
    }

    fn to_text(&self) -> String {
        self.as_ref().map(T::to_text).unwrap_or_default()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl ConfigValue for String {
    fn type_name() -> &'static str {
        "String"
    }

    fn expected() -> String {
        "a text".to_owned()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        Ok(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }
}

impl ConfigValue for bool {
    fn type_name() -> &'static str {
        "Boolean"
    }

    fn expected() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(ValueError::default()),
        }
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

macro_rules! whole_numbers {
    ($($type:ty, $name:literal;)*) => {$(
        impl ConfigValue for $type {
            fn type_name() -> &'static str {
                $name
            }

            fn expected() -> String {
                format!("a whole number from {} to {}", <$type>::MIN, <$type>::MAX)
            }

            fn parse(text: &str) -> Result<Self, ValueError> {
                text.trim().parse().map_err(|_| ValueError::default())
            }

            fn to_text(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

whole_numbers! {
    i32, "Integer";
    u16, "Integer";
    u32, "Integer";
    u64, "Long";
    NonZeroU32, "Integer";
}

fn finite(text: &str) -> Result<f64, ValueError> {
    let number: f64 = text.trim().parse().map_err(|_| ValueError::default())?;
    if number.is_finite() { Ok(number) } else { Err(ValueError("it is not finite".to_owned())) }
}

impl ConfigValue for f64 {
    fn type_name() -> &'static str {
        "Double"
    }

    fn expected() -> String {
        "a number".to_owned()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        finite(text)
    }

    fn to_text(&self) -> String {
        format!("{self:?}")
    }
}

/// A share of a whole, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Fraction(f64);

impl Fraction {
    /// A share; `None` if it is not from 0 to 1.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl ConfigValue for Fraction {
    fn type_name() -> &'static str {
        "Double"
    }

    fn expected() -> String {
        "a number from 0 to 1".to_owned()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        Self::new(finite(text)?).ok_or_else(ValueError::default)
    }

    fn to_text(&self) -> String {
        self.0.to_text()
    }
}
