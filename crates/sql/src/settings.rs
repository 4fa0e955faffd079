//! The settings of a session: what SET sets.
//!
//! Keys of the configuration are checked as in `config.yaml`; those of SQL ([`TABLE_KEYS`]) are
//! checked here. Other keys with a prefix of SQL are kept, as Flink keeps them, and change nothing.

use std::{collections::BTreeMap, time::Duration};

use hurtig_config::{ConfigError, Configuration, catalogue};
use hurtig_sql_planner::{MiniBatchSettings, duration_ms, optimize::DistinctSplit};

use crate::SqlError;

/// A key of SQL: its default and what is right for it.
struct TableKey {
    key: &'static str,
    default: Option<&'static str>,
    check: Check,
}

#[derive(Clone, Copy)]
enum Check {
    Boolean,
    Integer,
    Duration,
    Zone,
    Text,
    OneOf(&'static [&'static str]),
}

const fn key(key: &'static str, default: Option<&'static str>, check: Check) -> TableKey {
    TableKey { key, default, check }
}

/// The keys of SQL that this engine knows, with Flink's defaults.
const TABLE_KEYS: &[TableKey] = &[
    key("sql-client.display.max-column-width", Some("30"), Check::Integer),
    key("sql-client.execution.result-mode", None, Check::OneOf(&["table", "changelog", "tableau"])),
    key("sql-client.verbose", Some("false"), Check::Boolean),
    key(
        "table.catalog-store.kind",
        Some("generic_in_memory"),
        Check::OneOf(&["generic_in_memory", "file"]),
    ),
    key("table.catalog-store.file.path", None, Check::Text),
    key("table.display.max-column-width", Some("30"), Check::Integer),
    key("table.dml-sync", None, Check::Boolean),
    key(
        "table.exec.legacy-cast-behaviour",
        Some("DISABLED"),
        Check::OneOf(&["ENABLED", "DISABLED"]),
    ),
    key("table.exec.mini-batch.allow-latency", Some("0 ms"), Check::Duration),
    key("table.exec.mini-batch.enabled", Some("false"), Check::Boolean),
    key("table.exec.mini-batch.size", Some("-1"), Check::Integer),
    key(
        "table.exec.sink.nested-constraint-enforcer",
        Some("IGNORE"),
        Check::OneOf(&["IGNORE", "ROWS", "ROWS_AND_COLLECTIONS"]),
    ),
    key("table.exec.sink.not-null-enforcer", Some("ERROR"), Check::OneOf(&["ERROR", "DROP"])),
    key(
        "table.exec.sink.type-length-enforcer",
        Some("IGNORE"),
        Check::OneOf(&["IGNORE", "TRIM_PAD", "ERROR"]),
    ),
    key(
        "table.exec.sink.upsert-materialize",
        Some("AUTO"),
        Check::OneOf(&["NONE", "AUTO", "FORCE"]),
    ),
    key("table.exec.source.cdc-events-duplicate", Some("false"), Check::Boolean),
    key("table.exec.source.idle-timeout", Some("0 ms"), Check::Duration),
    key("table.exec.state.ttl", Some("0 ms"), Check::Duration),
    key("table.local-time-zone", Some("default"), Check::Zone),
    key(
        "table.optimizer.agg-phase-strategy",
        Some("AUTO"),
        Check::OneOf(&["AUTO", "ONE_PHASE", "TWO_PHASE"]),
    ),
    key("table.optimizer.distinct-agg.split.bucket-num", Some("1024"), Check::Integer),
    key("table.optimizer.distinct-agg.split.enabled", Some("false"), Check::Boolean),
    key(
        "table.optimizer.non-deterministic-update.strategy",
        Some("IGNORE"),
        Check::OneOf(&["IGNORE", "TRY_RESOLVE"]),
    ),
    key("table.optimizer.reuse-source-enabled", Some("true"), Check::Boolean),
    key("table.optimizer.reuse-sub-plan-enabled", Some("true"), Check::Boolean),
];

/// Keys of SQL that are right, but change nothing here.
const WITHOUT_EFFECT: &[(&str, &str)] = &[(
    "table.exec.sink.nested-constraint-enforcer",
    "a NULL never gets into what is NOT NULL within a row or a collection",
)];

/// What a session has set.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    set: BTreeMap<String, String>,
}

impl Settings {
    /// Sets a key.
    ///
    /// # Errors
    /// If the value is wrong for a key that is known. Other keys are kept, as Flink keeps them.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        let wrong = |text: String| SqlError::invalid(text, None);
        match TABLE_KEYS.iter().find(|known| known.key == name) {
            Some(known) => check(known, value).map_err(wrong)?,
            None if is_of_sql(name) => {}
            None => {
                let mut scratch = Configuration::new();
                match scratch.set_text(name, value) {
                    Ok(()) | Err(ConfigError::UnknownKey { .. }) => {}
                    Err(error) => return Err(wrong(error.to_string())),
                }
            }
        }
        if name == "execution.runtime-mode" && value.eq_ignore_ascii_case("batch") {
            return Err(wrong(
                "execution.runtime-mode: batch mode is not supported yet".to_owned(),
            ));
        }
        self.set.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Whether there is such a key; those of SQL that are not known here may be Flink's.
    ///
    /// # Errors
    /// If there is none; with the one that is most like it.
    pub fn check_key(name: &str) -> Result<(), SqlError> {
        if is_of_sql(name) || TABLE_KEYS.iter().any(|known| known.key == name) {
            return Ok(());
        }
        match Configuration::new().set_text(name, "") {
            Err(error @ ConfigError::UnknownKey { .. }) => {
                Err(SqlError::invalid(error.to_string(), None))
            }
            _ => Ok(()),
        }
    }

    /// Why setting a key changes nothing, if it is so.
    #[must_use]
    pub fn warning(name: &str) -> Option<String> {
        if let Some((_, why)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == name) {
            return Some(format!("{name} has no effect: {why}"));
        }
        let known = match is_of_sql(name) {
            true => TABLE_KEYS.iter().any(|known| known.key == name),
            false => catalogue::lookup(name).is_some(),
        };
        let nearest = || match catalogue::nearest(name) {
            Some(nearest) => format!("; did you mean {nearest}?"),
            None => String::new(),
        };
        (!known).then(|| format!("{name} is not known here, and has no effect{}", nearest()))
    }

    /// Forgets a key, or all.
    pub fn reset(&mut self, name: Option<&str>) {
        match name {
            Some(name) => drop(self.set.remove(name)),
            None => self.set.clear(),
        }
    }

    /// A value as text: what was set, or the default of a key of SQL.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let default = || TABLE_KEYS.iter().find(|known| known.key == name)?.default;
        self.set.get(name).map(String::as_str).or_else(default)
    }

    /// Whether a key is set to `true`, if it is set.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        Some(self.get(name)?.trim().eq_ignore_ascii_case("true"))
    }

    /// A duration in milliseconds; the value was checked when it was set.
    #[must_use]
    pub fn duration_ms(&self, name: &str) -> Option<i64> {
        duration_ms(self.get(name)?)
    }

    /// The zone of TIMESTAMP_LTZ.
    #[must_use]
    pub fn zone(&self) -> chrono_tz::Tz {
        let text = self.get("table.local-time-zone").filter(|text| *text != "default");
        text.and_then(zone).unwrap_or_else(system_zone)
    }

    /// `table.exec.mini-batch.*`, if they are enabled.
    ///
    /// # Errors
    /// If they are, but their size or latency is not positive.
    pub(crate) fn mini_batch(&self) -> Result<Option<MiniBatchSettings>, SqlError> {
        if self.flag("table.exec.mini-batch.enabled") != Some(true) {
            return Ok(None);
        }
        let positive = |key: &str, value: Option<i64>| {
            let value = value.and_then(|value| u64::try_from(value).ok()).filter(|one| *one > 0);
            value.ok_or_else(|| {
                let text = format!("{key} must be > 0 where table.exec.mini-batch.enabled is true");
                SqlError::invalid(text, None)
            })
        };
        let size = "table.exec.mini-batch.size";
        let size = positive(size, self.get(size).and_then(|size| size.trim().parse().ok()))?;
        let latency = "table.exec.mini-batch.allow-latency";
        let latency = Duration::from_millis(positive(latency, self.duration_ms(latency))?);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(Some(MiniBatchSettings { size, latency }))
    }

    /// `table.optimizer.distinct-agg.split.*`, if it is enabled.
    ///
    /// # Errors
    /// If it is, but the number of buckets is none.
    pub(crate) fn distinct_split(&self) -> Result<Option<DistinctSplit>, SqlError> {
        if self.flag("table.optimizer.distinct-agg.split.enabled") != Some(true) {
            return Ok(None);
        }
        let key = "table.optimizer.distinct-agg.split.bucket-num";
        let buckets = self.get(key).and_then(|text| text.trim().parse().ok());
        match buckets.filter(|buckets| *buckets > 0) {
            Some(buckets) => Ok(Some(DistinctSplit { buckets })),
            None => {
                let text = format!("{key} must be from 1 to {}", i32::MAX);
                Err(SqlError::invalid(text, None))
            }
        }
    }

    /// What is set, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The keys that can be set.
    #[must_use]
    pub fn known_keys() -> Vec<String> {
        let table = TABLE_KEYS.iter().map(|known| known.key.to_owned());
        let mut keys: Vec<_> = table.collect();
        keys.extend(catalogue::options().map(|option| option.key.to_owned()));
        keys.sort();
        keys
    }

    /// What of it configures jobs and clusters.
    pub(crate) fn configuration(&self) -> Result<Configuration, SqlError> {
        let mut configuration = Configuration::new();
        let of_jobs = self.set.iter().filter(|(key, _)| !is_of_sql(key));
        for (key, value) in of_jobs {
            match configuration.set_text(key, value) {
                Ok(()) | Err(ConfigError::UnknownKey { .. }) => {}
                Err(error) => return Err(SqlError::invalid(error.to_string(), None)),
            }
        }
        Ok(configuration)
    }
}

pub(crate) fn is_of_sql(name: &str) -> bool {
    name.starts_with("table.") || name.starts_with("sql-client.")
}

fn check(known: &TableKey, value: &str) -> Result<(), String> {
    let text = value.trim();
    let expected = match known.check {
        Check::Boolean if ["true", "false"].iter().any(|one| one.eq_ignore_ascii_case(text)) => {
            return Ok(());
        }
        Check::Boolean => "true or false".to_owned(),
        Check::Integer if text.parse::<i64>().is_ok() => return Ok(()),
        Check::Integer => "a whole number".to_owned(),
        Check::Duration if duration_ms(text).is_some() => return Ok(()),
        Check::Duration => "a duration, such as '5 s' or '1 h'".to_owned(),
        Check::Zone if text == "default" || zone(text).is_some() => return Ok(()),
        Check::Zone => "a time zone, such as 'Europe/Berlin', 'UTC' or '+03:00'".to_owned(),
        Check::Text if !text.is_empty() => return Ok(()),
        Check::Text => "a text".to_owned(),
        Check::OneOf(values) if values.iter().any(|one| one.eq_ignore_ascii_case(text)) => {
            return Ok(());
        }
        Check::OneOf(values) => format!("one of {}", values.join(", ")),
    };
    Err(format!("{}: {value:?} is wrong, expected {expected}", known.key))
}

fn zone(text: &str) -> Option<chrono_tz::Tz> {
    text.parse().ok()
}

/// The zone of the machine, or UTC where it does not tell.
fn system_zone() -> chrono_tz::Tz {
    let named = std::env::var("TZ").ok().and_then(|text| zone(text.trim_start_matches(':')));
    let linked = || {
        let path = std::fs::read_link("/etc/localtime").ok()?;
        let path = path.to_string_lossy().into_owned();
        zone(path.split_once("zoneinfo/")?.1)
    };
    named.or_else(linked).unwrap_or(chrono_tz::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_when_they_are_set() {
        let mut settings = Settings::default();
        settings.set("table.exec.state.ttl", "2 h").unwrap();
        settings.set("parallelism.default", "3").unwrap();
        settings.set("table.some.future", "x").unwrap();
        settings.set("paralelism.default", "2").unwrap();
        let warning = Settings::warning("paralelism.default").unwrap();
        assert!(warning.ends_with("did you mean parallelism.default?"), "{warning}");
        let unknown = Settings::check_key("paralelism.default").unwrap_err().to_string();
        assert!(unknown.contains("parallelism.default"), "{unknown}");
        for known in ["parallelism.default", "table.some.future", "table.exec.state.ttl"] {
            assert!(Settings::check_key(known).is_ok(), "{known}");
        }
        assert!(settings.configuration().is_ok());
        assert_eq!(settings.duration_ms("table.exec.state.ttl"), Some(7_200_000));
        for (key, value) in [
            ("table.exec.state.ttl", "2 parsecs"),
            ("table.local-time-zone", "Mars/Olympus"),
            ("table.dml-sync", "perhaps"),
            ("parallelism.default", "many"),
            ("execution.runtime-mode", "batch"),
        ] {
            let error = settings.set(key, value).unwrap_err().to_string();
            assert!(error.contains(key.split('.').next().unwrap()), "{error}");
        }
        settings.reset(Some("table.exec.state.ttl"));
        assert_eq!(settings.duration_ms("table.exec.state.ttl"), Some(0));
    }
}
