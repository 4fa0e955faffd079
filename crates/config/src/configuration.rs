//! The values that are set, by level.
//!
//! Invariants: every key in a level is the current key of an option (never a deprecated one), an
//! entry of a map option, or begins with a known prefix; every value is of its option's type.

use std::collections::BTreeMap;

use crate::{
    catalogue::{self, Known},
    error::{ConfigError, ConfigErrors, ConfigOrigin, is_sensitive, shown},
    option::{ConfigOption, OptionSpec},
    value::ConfigValue,
    yaml,
};

/// Who set a value; a later level wins over an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigLevel {
    /// The cluster's file.
    File,
    /// `-D key=value`.
    DynamicProperty,
    /// The program.
    Program,
}

impl ConfigLevel {
    /// All levels, the one that wins first.
    pub(crate) const FROM_THE_TOP: [Self; 3] = [Self::Program, Self::DynamicProperty, Self::File];
}

/// A value that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigSetting {
    pub(crate) value: String,
    pub(crate) origin: ConfigOrigin,
    /// The deprecated key under which it was given.
    pub(crate) spelled: Option<&'static str>,
}

/// Values of options, at three levels over the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    levels: [BTreeMap<String, ConfigSetting>; 3],
}

impl Configuration {
    /// Nothing is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of an option: that of the highest level, else of its fallback keys, else its
    /// default.
    ///
    /// # Errors
    /// If it is not set and the option has no default, or a fallback key has another type of value.
    pub fn get<T: ConfigValue>(&self, option: &ConfigOption<T>) -> Result<T, ConfigError> {
        let spec = option.spec();
        if let Some((key, text, origin)) = self.effective(spec) {
            return T::parse(&text).map_err(|e| value_error(spec, key, &text, e, origin));
        }
        let default = spec.default.map(T::parse).and_then(Result::ok).or_else(T::absent);
        default.ok_or(ConfigError::Missing { key: spec.key, expected: spec.expected() })
    }

    /// The value of an option at one level only, without fallback keys and default.
    pub fn get_at<T: ConfigValue>(
        &self,
        level: ConfigLevel,
        option: &ConfigOption<T>,
    ) -> Result<Option<T>, ConfigError> {
        let spec = option.spec();
        let Some(setting) = self.levels[level as usize].get(spec.key) else {
            return Ok(None);
        };
        let origin = setting.origin.clone();
        let value = T::parse(&setting.value)
            .map_err(|e| value_error(spec, spec.key, &setting.value, e, origin))?;
        Ok(Some(value))
    }

    /// True if somebody set the option or one of its fallback keys.
    pub fn is_set<T: ConfigValue>(&self, option: &ConfigOption<T>) -> bool {
        self.effective(option.spec()).is_some()
    }

    /// Sets an option as the program; `None` takes back what the program set.
    pub fn set<T: ConfigValue>(&mut self, option: &ConfigOption<T>, value: T) -> &mut Self {
        if value.is_absent() {
            self.levels[ConfigLevel::Program as usize].remove(option.key());
            return self;
        }
        let (value, origin) = (value.to_text(), ConfigOrigin::Program);
        let setting = ConfigSetting { value, origin, spelled: None };
        self.levels[ConfigLevel::Program as usize].insert(option.key().to_owned(), setting);
        self
    }

    /// Sets a key as the program.
    pub fn set_text(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        self.put(ConfigLevel::Program, key, value, ConfigOrigin::Program)
    }

    /// Sets a key as a `-D` argument does. The last one of a key wins.
    pub fn set_dynamic(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        self.put(ConfigLevel::DynamicProperty, key, value, ConfigOrigin::DynamicProperty)
    }

    /// Adds the text of a file; errors call it `path`. A later file wins over an earlier one.
    pub fn add_yaml(&mut self, text: &str, path: &str) -> Result<(), ConfigErrors> {
        let mut file = Self::new();
        let mut errors = Vec::new();
        for entry in yaml::read(text, path)? {
            let put = file.put(ConfigLevel::File, &entry.key, &entry.value, entry.origin);
            errors.extend(put.err());
        }
        ConfigErrors::check(errors)?;
        self.merge(file);
        Ok(())
    }

    /// Adds what another configuration sets; at each level the other one wins.
    pub fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.levels.iter_mut().zip(other.levels) {
            mine.extend(theirs);
        }
    }

    /// All values below a prefix, by the rest of the key.
    pub fn with_prefix(&self, prefix: &str) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for level in &self.levels {
            let below = level.range(prefix.to_owned()..).take_while(|(k, _)| k.starts_with(prefix));
            for (key, setting) in below {
                values.insert(key[prefix.len()..].to_owned(), setting.value.clone());
            }
        }
        values
    }

    /// All values that are set, by key, without those of secret keys: for processes that run
    /// somebody else's code.
    pub fn without_secrets(&self) -> BTreeMap<String, String> {
        let settings = self.settings().into_iter().filter(|(key, _)| !is_sensitive(key));
        settings.map(|(key, setting)| (key.to_owned(), setting.value.clone())).collect()
    }

    fn put(
        &mut self,
        level: ConfigLevel,
        key: &str,
        value: &str,
        origin: ConfigOrigin,
    ) -> Result<(), ConfigError> {
        let (current, spelled) = match catalogue::lookup(key) {
            Some(Known::Option(spec)) => {
                spec.check(value).map_err(|e| value_error(spec, key, value, e, origin.clone()))?;
                let spelled = spec.deprecated.iter().find(|old| **old == key).copied();
                (spec.key, spelled)
            }
            Some(Known::MapEntry(_) | Known::Prefix(_)) => (key, None),
            None => {
                let nearest = catalogue::nearest(key).map(str::to_owned);
                return Err(ConfigError::UnknownKey { key: key.to_owned(), origin, nearest });
            }
        };
        let settings = &mut self.levels[level as usize];
        // The current key wins over its deprecated ones, whatever their order in a file.
        let stays = settings.get(current).is_some_and(|s| s.spelled.is_none());
        if spelled.is_none() || !stays {
            let setting = ConfigSetting { value: value.to_owned(), origin, spelled };
            settings.insert(current.to_owned(), setting);
        }
        Ok(())
    }

    /// The setting of exactly that key which wins.
    pub(crate) fn setting(&self, key: &str) -> Option<&ConfigSetting> {
        ConfigLevel::FROM_THE_TOP.iter().find_map(|level| self.levels[*level as usize].get(key))
    }

    /// All settings that win, by key.
    pub(crate) fn settings(&self) -> BTreeMap<&str, &ConfigSetting> {
        let levels = self.levels.iter().flatten();
        levels.map(|(key, setting)| (key.as_str(), setting)).collect()
    }

    /// The key that decides an option, its text and where it was set; `None` for the default.
    pub(crate) fn effective(
        &self,
        spec: &OptionSpec,
    ) -> Option<(&'static str, String, ConfigOrigin)> {
        if spec.is_map()
            && let Some((text, origin)) = self.effective_map(spec.key)
        {
            return Some((spec.key, text, origin));
        }
        [spec.key].iter().chain(spec.fallback).find_map(|key| {
            let setting = self.setting(key)?;
            Some((*key, setting.value.clone(), setting.origin.clone()))
        })
    }

    /// A map with the entries that were given one by one; those win.
    fn effective_map(&self, key: &'static str) -> Option<(String, ConfigOrigin)> {
        let entries = self.with_prefix(&format!("{key}."));
        let whole = self.setting(key);
        if entries.is_empty() {
            return None;
        }
        let text = whole.map_or("", |setting| &setting.value);
        let mut map = BTreeMap::<String, String>::parse(text).unwrap_or_default();
        let first = entries.keys().next().map(|entry| format!("{key}.{entry}"));
        let origin = whole.or_else(|| self.setting(&first?)).map(|s| s.origin.clone());
        map.extend(entries);
        Some((map.to_text(), origin.unwrap_or(ConfigOrigin::Default)))
    }
}

fn value_error(
    spec: &OptionSpec,
    key: &str,
    value: &str,
    error: crate::ValueError,
    origin: ConfigOrigin,
) -> ConfigError {
    let value = shown(key, value);
    // The detail may quote the value.
    let detail = if value == crate::error::HIDDEN { String::new() } else { error.0 };
    ConfigError::Value {
        key: key.into(),
        value: value.into(),
        expected: spec.expected().into(),
        detail: detail.into(),
        origin,
    }
}
