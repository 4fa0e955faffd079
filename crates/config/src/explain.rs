//! What a configuration amounts to, for people and tools: each key with its value, where it was
//! set, whether it changes anything, and what it does. Secrets are not shown.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    ConfigValue, Configuration,
    catalogue::{self, Known, restart},
    error::{ConfigError, ConfigOrigin, shown},
    option::{OptionSpec, OptionStatus},
    value::RestartStrategyType,
};

/// One key of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The key.
    pub key: String,
    /// The value that counts; stars for a secret, `None` if there is none.
    pub value: Option<String>,
    /// Where the value was set.
    pub origin: ConfigOrigin,
    /// The other key that gave the value: a deprecated or a fallback key.
    pub through: Option<String>,
    /// The default.
    pub default: Option<&'static str>,
    /// Type of the value.
    pub type_name: &'static str,
    /// What a value looks like.
    pub expected: String,
    /// Does the option change anything?
    pub status: OptionStatus,
    /// Older keys, which still work.
    pub deprecated: &'static [&'static str],
    /// Keys of other options that are asked when this one is not set.
    pub fallback: &'static [&'static str],
    /// What it does.
    pub description: String,
}

impl Configuration {
    /// Explains a key.
    ///
    /// # Errors
    /// If the key is unknown; the error names the nearest one.
    pub fn explain(&self, key: &str) -> Result<Explanation, ConfigError> {
        match catalogue::lookup(key) {
            Some(Known::Option(spec)) => Ok(self.explain_option(spec)),
            Some(Known::MapEntry(spec)) => {
                Ok(self.explain_unlisted(key, spec.status, spec.description()))
            }
            Some(Known::Prefix(prefix)) => {
                Ok(self.explain_unlisted(key, prefix.status, prefix.description.to_owned()))
            }
            None => {
                let nearest = catalogue::nearest(key).map(str::to_owned);
                let (key, origin) = (key.to_owned(), ConfigOrigin::Program);
                Err(ConfigError::UnknownKey { key, origin, nearest })
            }
        }
    }

    /// Explains all options, and all other keys that are set, by key.
    pub fn list(&self) -> Vec<Explanation> {
        let mut all: Vec<Explanation> =
            catalogue::options().map(|spec| self.explain_option(spec)).collect();
        let unlisted = self.settings().into_keys().filter(|key| catalogue::option(key).is_none());
        all.extend(unlisted.filter_map(|key| self.explain(key).ok()));
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }

    /// What a person should know of this configuration: options that are set and change nothing,
    /// and deprecated keys.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (key, setting) in self.settings() {
            let Ok(explanation) = self.explain(key) else {
                continue;
            };
            if let Some(old) = setting.spelled {
                warnings.push(format!("{}: {old} is deprecated; use {key}", setting.origin));
            }
            if explanation.status != OptionStatus::Effective {
                let status = explanation.status.as_str();
                warnings.push(format!("{}: {key} is {status}", setting.origin));
            } else if let Some(strategy) = self.unused_strategy(key) {
                let of = restart::RESTART_STRATEGY.key();
                let origin = &setting.origin;
                warnings.push(format!("{origin}: {key} is not used: {of} is not {strategy}"));
            }
        }
        warnings
    }

    /// The restart strategy that a key belongs to, if another one is chosen.
    fn unused_strategy<'k>(&self, key: &'k str) -> Option<&'k str> {
        let (strategy, _) = key.strip_prefix("restart-strategy.")?.split_once('.')?;
        let chosen = self.get(&restart::RESTART_STRATEGY).ok()?;
        (chosen != RestartStrategyType::parse(strategy).ok()).then_some(strategy)
    }

    fn explain_option(&self, spec: &OptionSpec) -> Explanation {
        let effective = self.effective(spec);
        let spelled = self.setting(spec.key).and_then(|setting| setting.spelled);
        let (value, origin, through) = match effective {
            Some((key, text, origin)) => {
                let through = if key == spec.key { spelled } else { Some(key) };
                (Some(text), origin, through.map(str::to_owned))
            }
            None => (spec.default.map(str::to_owned), ConfigOrigin::Default, None),
        };
        Explanation {
            key: spec.key.to_owned(),
            value: value.map(|text| shown(spec.key, &text)),
            origin,
            through,
            default: spec.default,
            type_name: spec.type_name(),
            expected: spec.expected(),
            status: spec.status,
            deprecated: spec.deprecated,
            fallback: spec.fallback,
            description: spec.description(),
        }
    }

    fn explain_unlisted(&self, key: &str, status: OptionStatus, text: String) -> Explanation {
        let setting = self.setting(key);
        Explanation {
            key: key.to_owned(),
            value: setting.map(|setting| shown(key, &setting.value)),
            origin: setting.map_or(ConfigOrigin::Default, |setting| setting.origin.clone()),
            through: None,
            default: None,
            type_name: "String",
            expected: "a text".to_owned(),
            status,
            deprecated: &[],
            fallback: &[],
            description: text,
        }
    }
}

impl Explanation {
    /// One line: key, value, origin, and the status if the option changes nothing.
    pub fn to_line(&self) -> String {
        let value = self.value.as_deref().unwrap_or("(none)");
        let status = match self.status {
            OptionStatus::Effective => String::new(),
            other => format!(", {}", other.as_str()),
        };
        format!("{}: {value}  ({}{status})", self.key, self.origin)
    }

    /// All that is known, on several lines.
    pub fn to_text(&self) -> String {
        let through = self.through.as_ref().map_or(String::new(), |key| format!(" as {key}"));
        let mut text = format!("{}\n", self.key);
        let mut line = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<12}{value}");
        };
        line("value", self.value.as_deref().unwrap_or("(none)"));
        line("set by", &format!("{}{through}", self.origin));
        line("default", self.default.unwrap_or("(none)"));
        line("type", &format!("{}: {}", self.type_name, self.expected));
        line("status", self.status.as_str());
        if !self.deprecated.is_empty() {
            line("deprecated", &self.deprecated.join(", "));
        }
        if !self.fallback.is_empty() {
            line("fallback", &self.fallback.join(", "));
        }
        line("", &self.description);
        text
    }

    /// The same for tools.
    pub fn to_json(&self) -> Value {
        json!({
            "key": self.key,
            "value": self.value,
            "origin": self.origin.to_string(),
            "through": self.through,
            "default": self.default,
            "type": self.type_name,
            "status": self.status.as_str(),
            "deprecated": self.deprecated,
            "fallback": self.fallback,
            "description": self.description,
        })
    }
}
