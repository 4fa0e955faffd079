//! Which metrics a reporter reports: `filter.includes` and `filter.excludes`, as Flink's.
//!
//! A filter is a list (`;`) of `scope[:name[,name]][:type[,type]]`. The scope is the logical one
//! with dots (`jobmanager.job`), the names are those of metrics; `*` stands for any characters. A
//! metric is reported if an include matches it, or there are none, and no exclude does.
//!
//! Patterns are matched without going back more than once per character, so a hostile one costs no
//! more than the length of the pattern times that of the name.

use hurtig_metrics::{MetricKind, Scope};

/// Why a filter is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A type that metrics do not have.
    #[error("there is no type {0:?} of metrics: counter, gauge, meter, histogram")]
    UnknownKind(String),
    /// More than three parts.
    #[error("{0:?} has more parts than scope, names and types")]
    TooManyParts(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    scope: String,
    /// None: all.
    names: Vec<String>,
    kinds: Vec<MetricKind>,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, FilterError> {
        let mut parts = text.split(':').map(str::trim);
        let scope = parts.next().unwrap_or_default().to_owned();
        let names = parts.next().unwrap_or("*");
        let kinds = parts.next().unwrap_or("*");
        if parts.next().is_some() {
            return Err(FilterError::TooManyParts(text.to_owned()));
        }
        let list = |text: &str| -> Vec<String> {
            if text == "*" || text.is_empty() {
                return Vec::new();
            }
            text.split(',').map(|item| item.trim().to_owned()).collect()
        };
        let kinds = list(kinds).into_iter().map(|kind| match &*kind.to_ascii_lowercase() {
            "counter" => Ok(MetricKind::Counter),
            "gauge" => Ok(MetricKind::Gauge),
            "meter" => Ok(MetricKind::Meter),
            "histogram" => Ok(MetricKind::Histogram),
            _ => Err(FilterError::UnknownKind(kind)),
        });
        Ok(Self { scope, names: list(names), kinds: kinds.collect::<Result<_, _>>()? })
    }

    fn matches(&self, scope: &str, name: &str, kind: MetricKind) -> bool {
        matches(&self.scope, scope)
            && (self.names.is_empty() || self.names.iter().any(|pattern| matches(pattern, name)))
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

/// True if `text` is `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        // Of those between two stars the first place is as good as any.
        if let Some(part) = last.replace(part) {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |part| rest.ends_with(part))
}

/// What a reporter reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricFilter {
    includes: Vec<Pattern>,
    excludes: Vec<Pattern>,
}

impl MetricFilter {
    /// A filter from the texts of the configuration.
    ///
    /// # Errors
    /// If a type of metrics does not exist, or a pattern has too many parts.
    pub fn parse(includes: &str, excludes: &str) -> Result<Self, FilterError> {
        let list = |text: &str| -> Result<Vec<Pattern>, FilterError> {
            let patterns = text.split(';').map(str::trim).filter(|pattern| !pattern.is_empty());
            patterns.map(Pattern::parse).collect()
        };
        let all = |pattern: &Pattern| {
            pattern.scope == "*" && pattern.names.is_empty() && pattern.kinds.is_empty()
        };
        let mut includes = list(includes)?;
        if includes.iter().any(all) {
            includes.clear();
        }
        Ok(Self { includes, excludes: list(excludes)? })
    }

    /// A filter for the metrics of one scope.
    pub(crate) fn of_scope<'a>(
        &'a self,
        scope: &Scope,
    ) -> impl Fn(&str, MetricKind) -> bool + use<'a> {
        let everything = self.includes.is_empty() && self.excludes.is_empty();
        let logical = if everything { String::new() } else { scope.logical.join(".") };
        move |name, kind| {
            let any = |patterns: &[Pattern]| {
                patterns.iter().any(|pattern| pattern.matches(&logical, name, kind))
            };
            everything
                || ((self.includes.is_empty() || any(&self.includes)) && !any(&self.excludes))
        }
    }
}

#[cfg(test)]
mod tests {
    use hurtig_metrics::MetricRegistry;

    use super::*;

    fn wants(includes: &str, excludes: &str, name: &str, kind: MetricKind) -> bool {
        let filter = MetricFilter::parse(includes, excludes).unwrap();
        let group = MetricRegistry::default().task_manager("h", "1").group("job");
        filter.of_scope(group.scope())(name, kind)
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("a*b*c", "axbxbxc", true),
            ("*PerSecond", "numRecordsInPerSecond", true),
            ("num*Second", "numRecordsIn", false),
            ("abc", "abcd", false),
            ("aa*aa", "aaa", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn includes_and_excludes_look_at_scope_name_and_type() {
        use MetricKind::{Counter, Gauge};
        assert!(wants("*", "", "n", Counter));
        assert!(wants("", "", "n", Counter));
        assert!(wants("jobmanager.*; taskmanager.*:num*:counter", "", "numIn", Counter));
        assert!(!wants("taskmanager.*:num*:counter", "", "numIn", Gauge));
        assert!(!wants("taskmanager:num*", "", "numIn", Counter), "the scope is longer");
        assert!(!wants("*", "*job:*:gauge,meter", "x", Gauge));
        assert!(wants("*", "*job:*:gauge,meter", "x", Counter));
    }

    #[test]
    fn mistakes_are_told() {
        let wrong = MetricFilter::parse("*:*:gauges", "").unwrap_err();
        assert!(wrong.to_string().contains("\"gauges\""));
        assert!(MetricFilter::parse("", "a:b:gauge:d").is_err());
    }
}
