//! TableOptions of a table as text: which there may be, and what their texts mean.

use std::{collections::BTreeMap, fmt::Display, str::FromStr, time::Duration};

use hurtig_config::ConfigValue;

use super::api::{TableError, TableFactory, TableSpec};

/// TableOptions that tables of every connector with a source may have.
const OF_EVERY_TABLE: &[&str] = &[
    "connector",
    "property-version",
    "scan.watermark.emit.strategy",
    "scan.watermark.emit.on-event.gap",
    "scan.watermark.alignment.group",
    "scan.watermark.alignment.max-drift",
    "scan.watermark.alignment.update-interval",
    "scan.watermark.idle-timeout",
];

/// Checks that all required options are there, and no unknown ones.
pub(super) fn check(factory: &dyn TableFactory, table: &TableSpec) -> Result<(), TableError> {
    let missing: Vec<_> = factory
        .required_options()
        .iter()
        .filter(|key| !table.options.contains_key(**key))
        .copied()
        .collect();
    if !missing.is_empty() {
        return Err(TableError(format!(
            "One or more required options are missing. Missing required options are: {}.",
            missing.join(", ")
        )));
    }
    let prefix = table.options.get("format").filter(|_| factory.has_format());
    let prefix = prefix.map(|format| format!("{format}."));
    let known = || {
        factory.required_options().iter().chain(factory.optional_options()).chain(OF_EVERY_TABLE)
    };
    let unknown: Vec<_> = table
        .options
        .keys()
        .filter(|key| !prefix.as_ref().is_some_and(|prefix| key.starts_with(prefix)))
        .filter(|key| !known().any(|pattern| matches(pattern, key)))
        .map(String::as_str)
        .collect();
    let Some(first) = unknown.first() else {
        return Ok(());
    };
    let near = known()
        .map(|key| (strsim::damerau_levenshtein(key, first), *key))
        .filter(|(distance, _)| *distance <= 3)
        .min();
    let hint = near.map_or_else(String::new, |(_, key)| format!(" Did you mean '{key}'?"));
    let mut supported: Vec<_> = known().copied().collect();
    supported.sort_unstable();
    Err(TableError(format!(
        "Unsupported options found for '{}'. Unsupported options: {}.{hint} Supported options: {}.",
        factory.identifier(),
        unknown.join(", "),
        supported.join(", ")
    )))
}

/// Whether a key is of a pattern, in which `#` stands for one or more characters.
fn matches(pattern: &str, key: &str) -> bool {
    match pattern.split_once('#') {
        None => pattern == key,
        Some((before, behind)) => key
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(behind))
            .is_some_and(|middle| !middle.is_empty()),
    }
}

/// The values of options.
#[derive(Clone, Copy, Debug)]
pub struct TableOptions<'a>(pub &'a BTreeMap<String, String>);

impl TableOptions<'_> {
    /// A text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// A text that must be there.
    pub fn required(&self, key: &str) -> Result<&str, TableError> {
        self.text(key).ok_or_else(|| {
            TableError(format!(
                "One or more required options are missing. Missing required options are: {key}."
            ))
        })
    }

    /// A number or whatever else has a text form.
    pub fn parsed<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, TableError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|error| invalid(key, text, &error))
    }

    /// TRUE or FALSE, in any case.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, TableError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(invalid(key, text, &"expected either true or false")),
        }
    }

    /// A time such as `10 s`.
    pub fn duration(&self, key: &str) -> Result<Option<Duration>, TableError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        Duration::parse(text).map(Some).map_err(|error| invalid(key, text, &error))
    }

    /// A number of bytes such as `128 mb`.
    pub fn bytes(&self, key: &str) -> Result<Option<u64>, TableError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let size = hurtig_config::MemorySize::parse(text).map_err(|e| invalid(key, text, &e))?;
        Ok(Some(size.bytes()))
    }

    /// A number of subtasks.
    pub fn parallelism(&self, key: &str) -> Result<Option<u32>, TableError> {
        match self.parsed::<u32>(key)? {
            Some(0) => Err(invalid(key, "0", &"must be greater than 0")),
            other => Ok(other),
        }
    }
}

pub(super) fn invalid(key: &str, text: &str, why: &dyn Display) -> TableError {
    TableError(format!("Invalid value for option '{key}': could not read '{text}': {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_stands_for_a_name() {
        assert!(matches("fields.#.kind", "fields.a.b.kind"));
        assert!(!matches("fields.#.kind", "fields..kind"));
        assert!(!matches("fields.#.kind", "fields.kind"));
        assert!(matches("path", "path"));
    }
}
