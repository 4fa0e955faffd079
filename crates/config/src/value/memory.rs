//! Sizes of memory: a number and a unit of powers of 1024 (`64 mb`, `1g`), or a bare number of
//! bytes.

use std::fmt;

use super::{ConfigValue, ValueError, not_a_unit};

/// A number of bytes, at most the largest signed 64-bit number, which stands for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemorySize(u64);

/// Bytes of each unit, the largest first; the first name of a unit is the one written.
const UNITS: &[(u64, &[&str])] = &[
    (1 << 40, &["tb", "t", "tebibytes"]),
    (1 << 30, &["gb", "g", "gibibytes"]),
    (1 << 20, &["mb", "m", "mebibytes"]),
    (1 << 10, &["kb", "k", "kibibytes"]),
    (1, &["bytes", "b"]),
];

impl MemorySize {
    /// No limit.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// A number of bytes; more than [`MemorySize::MAX`] is that.
    pub const fn of_bytes(bytes: u64) -> Self {
        if bytes > Self::MAX.0 { Self::MAX } else { Self(bytes) }
    }

    /// A number of mebibytes.
    pub const fn of_mebibytes(mebibytes: u64) -> Self {
        Self::of_bytes(mebibytes.saturating_mul(1 << 20))
    }

    /// The bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl ConfigValue for MemorySize {
    fn type_name() -> &'static str {
        "MemorySize"
    }

    fn expected() -> String {
        "a size such as 64 mb, 1g, 32 kb, or a number of bytes".to_owned()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        if number.is_empty() {
            return Err(ValueError::default());
        }
        let lower = unit.trim().to_lowercase();
        let known = UNITS.iter().find(|(_, names)| names.contains(&lower.as_str()));
        let length = match known {
            Some((length, _)) => *length,
            None if lower.is_empty() => 1,
            None => return Err(not_a_unit(unit.trim(), "memory")),
        };
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(length));
        let bytes = bytes.filter(|bytes| *bytes <= Self::MAX.0);
        bytes.map(Self).ok_or_else(|| ValueError("it is too large".to_owned()))
    }

    fn to_text(&self) -> String {
        if self.0 == 0 {
            return "0 bytes".to_owned();
        }
        let whole = UNITS.iter().find(|(length, _)| self.0.is_multiple_of(*length));
        whole.map_or(format!("{} bytes", self.0), |(length, names)| {
            format!("{} {}", self.0 / length, names[0])
        })
    }
}
