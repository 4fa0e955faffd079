//! Scopes: where a metric belongs, in the two forms that reporters need.
//!
//! - The **logical scope** says of what kind it is (`taskmanager`, `job`, `task`), and the
//!   **variables** which one (`job_name`, `subtask_index`). Prometheus has names and labels for
//!   them.
//! - The **components** are both in one, by a format that the user may choose
//!   (`metrics.scope.task`). StatsD and Graphite have nothing but names.
//!
//! A format is a list of components between dots. One in angle brackets is a variable; `*` in the
//! first place stands for all components of the scope around.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Kinds of scopes that the engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ScopeKind {
    /// A JobManager process.
    JobManager,
    /// A job in the JobManager.
    JobManagerJob,
    /// An operator's coordinator.
    JobManagerOperator,
    /// A TaskManager.
    TaskManager,
    /// A job in a TaskManager.
    TaskManagerJob,
    /// An attempt of a subtask.
    Task,
    /// An operator of an attempt.
    Operator,
}

impl ScopeKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::JobManager,
        Self::JobManagerJob,
        Self::JobManagerOperator,
        Self::TaskManager,
        Self::TaskManagerJob,
        Self::Task,
        Self::Operator,
    ];

    /// The last component of its logical scope.
    pub fn logical_name(self) -> &'static str {
        match self {
            Self::JobManager => "jobmanager",
            Self::TaskManager => "taskmanager",
            Self::JobManagerJob | Self::TaskManagerJob => "job",
            Self::JobManagerOperator | Self::Operator => "operator",
            Self::Task => "task",
        }
    }

    /// The configuration key of its format.
    pub fn format_key(self) -> &'static str {
        match self {
            Self::JobManager => "metrics.scope.jm",
            Self::JobManagerJob => "metrics.scope.jm-job",
            Self::JobManagerOperator => "metrics.scope.jm-operator",
            Self::TaskManager => "metrics.scope.tm",
            Self::TaskManagerJob => "metrics.scope.tm-job",
            Self::Task => "metrics.scope.task",
            Self::Operator => "metrics.scope.operator",
        }
    }

    /// Its format if none is configured, Flink's.
    pub fn default_format(self) -> &'static str {
        match self {
            Self::JobManager => "<host>.jobmanager",
            Self::JobManagerJob => "<host>.jobmanager.<job_name>",
            Self::JobManagerOperator => "<host>.jobmanager.<job_name>.<operator_name>",
            Self::TaskManager => "<host>.taskmanager.<tm_id>",
            Self::TaskManagerJob => "<host>.taskmanager.<tm_id>.<job_name>",
            Self::Task => "<host>.taskmanager.<tm_id>.<job_name>.<task_name>.<subtask_index>",
            Self::Operator => {
                "<host>.taskmanager.<tm_id>.<job_name>.<operator_name>.<subtask_index>"
            }
        }
    }

    /// The kind around it.
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::JobManager | Self::TaskManager => None,
            Self::JobManagerJob => Some(Self::JobManager),
            Self::JobManagerOperator => Some(Self::JobManagerJob),
            Self::TaskManagerJob => Some(Self::TaskManager),
            Self::Task => Some(Self::TaskManagerJob),
            Self::Operator => Some(Self::Task),
        }
    }

    /// The variables that it adds to those of the kind around it.
    pub fn variables(self) -> &'static [&'static str] {
        match self {
            Self::JobManager => &["host"],
            Self::TaskManager => &["host", "tm_id"],
            Self::JobManagerJob | Self::TaskManagerJob => &["job_id", "job_name"],
            Self::Task => {
                &["task_id", "task_name", "task_attempt_id", "task_attempt_num", "subtask_index"]
            }
            Self::JobManagerOperator | Self::Operator => &["operator_id", "operator_name"],
        }
    }

    fn knows(self, variable: &str) -> bool {
        self.variables().contains(&variable)
            || self.parent().is_some_and(|parent| parent.knows(variable))
    }
}

/// Why a format is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// It is empty, or has an empty component.
    #[error("{key}: {format:?} has an empty component")]
    Empty {
        /// The key.
        key: &'static str,
        /// The format.
        format: String,
    },
    /// It names a variable that the scope has not.
    #[error("{key}: there is no variable <{variable}> in this scope")]
    UnknownVariable {
        /// The key.
        key: &'static str,
        /// The variable.
        variable: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Component {
    Parent,
    Literal(String),
    Variable(String),
}

fn parse(kind: ScopeKind, format: &str) -> Result<Vec<Component>, ScopeError> {
    let key = kind.format_key();
    let component = |(index, text): (usize, &str)| {
        let variable = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
        match variable {
            Some(name) if kind.knows(name) => Ok(Component::Variable(name.to_owned())),
            Some(name) => Err(ScopeError::UnknownVariable { key, variable: name.to_owned() }),
            None if text.is_empty() => Err(ScopeError::Empty { key, format: format.to_owned() }),
            None if text == "*" && index == 0 => Ok(Component::Parent),
            None => Ok(Component::Literal(text.to_owned())),
        }
    };
    format.split('.').enumerate().map(component).collect()
}

/// The formats of all kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeFormats([Vec<Component>; 7]);

impl Default for ScopeFormats {
    fn default() -> Self {
        // The defaults are checked by a test.
        Self(ScopeKind::ALL.map(|kind| parse(kind, kind.default_format()).unwrap_or_default()))
    }
}

impl ScopeFormats {
    /// Sets the format of one kind.
    ///
    /// # Errors
    /// If it has an empty component or an unknown variable.
    pub fn set(&mut self, kind: ScopeKind, format: &str) -> Result<(), ScopeError> {
        self.0[kind as usize] = parse(kind, format)?;
        Ok(())
    }

    fn components(&self, kind: ScopeKind, parent: Option<&Scope>, own: &Scope) -> Vec<String> {
        let mut components = Vec::new();
        for component in &self.0[kind as usize] {
            match component {
                Component::Parent => {
                    components.extend(parent.into_iter().flat_map(|p| p.components.clone()));
                }
                Component::Literal(text) => components.push(text.clone()),
                Component::Variable(name) => {
                    components.push(own.variable(name).unwrap_or_default().to_owned());
                }
            }
        }
        components
    }
}

/// Where a metric belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The kind.
    pub kind: ScopeKind,
    /// Variables and their values, those of the outermost scope first.
    pub variables: Vec<(String, String)>,
    /// The name of the scope by its format, with the groups inside it.
    pub components: Vec<String>,
    /// The kinds of the scopes, with the groups inside.
    pub logical: Vec<String>,
    /// The groups inside the kind's scope.
    pub groups: Vec<String>,
}

impl Scope {
    /// A scope of the engine inside another one.
    pub(crate) fn scoped(
        formats: &ScopeFormats,
        kind: ScopeKind,
        parent: Option<&Scope>,
        values: &[(&str, &str)],
    ) -> Self {
        let mut variables = parent.map(|parent| parent.variables.clone()).unwrap_or_default();
        variables.extend(values.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        let mut logical = parent.map(|parent| parent.logical.clone()).unwrap_or_default();
        logical.push(kind.logical_name().to_owned());
        let mut scope =
            Self { kind, variables, components: Vec::new(), logical, groups: Vec::new() };
        scope.components = formats.components(kind, parent, &scope);
        scope
    }

    /// A group inside this scope; with a value, its name is a variable as well.
    pub(crate) fn group(&self, name: &str, value: Option<&str>) -> Self {
        let mut scope = self.clone();
        let named = std::iter::once(name).chain(value).map(str::to_owned);
        scope.components.extend(named.clone());
        scope.groups.extend(named);
        // Its value says which one, so it is not part of the logical scope.
        scope.logical.push(name.to_owned());
        if let Some(value) = value {
            scope.variables.retain(|(known, _)| known != name);
            scope.variables.push((name.to_owned(), value.to_owned()));
        }
        scope
    }

    /// A variable's value.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The name of a metric of this scope, by the format of the scope; `clean` replaces characters
    /// that the reporter cannot write.
    pub fn identifier(&self, name: &str, delimiter: char, clean: impl Fn(char) -> char) -> String {
        let mut identifier = String::new();
        for component in self.components.iter().map(String::as_str).chain([name]) {
            if !identifier.is_empty() {
                identifier.push(delimiter);
            }
            identifier.extend(component.chars().map(&clean));
        }
        identifier
    }
}

/// A scope that many metrics share.
pub type SharedScope = Arc<Scope>;

#[cfg(test)]
mod tests {
    use super::*;

    fn task(formats: &ScopeFormats) -> Scope {
        let values = [("host", "h"), ("tm_id", "7")];
        let manager = Scope::scoped(formats, ScopeKind::TaskManager, None, &values);
        let values = [("job_id", "a1"), ("job_name", "word count")];
        let job = Scope::scoped(formats, ScopeKind::TaskManagerJob, Some(&manager), &values);
        let values = [("task_name", "Source: x -> y"), ("subtask_index", "3")];
        Scope::scoped(formats, ScopeKind::Task, Some(&job), &values)
    }

    #[test]
    fn default_formats_are_those_of_flink() {
        let formats = ScopeFormats::default();
        assert!(formats.0.iter().all(|components| components.len() >= 2));
        let clean = |c| if c == ' ' { '_' } else { c };
        assert_eq!(
            task(&formats).identifier("numRecordsIn", '.', clean),
            "h.taskmanager.7.word_count.Source:_x_->_y.3.numRecordsIn"
        );
    }

    #[test]
    fn a_format_may_begin_with_that_of_the_scope_around() {
        let mut formats = ScopeFormats::default();
        formats.set(ScopeKind::Task, "*.task.<subtask_index>").unwrap();
        assert_eq!(
            task(&formats).identifier("n", '_', |c| c),
            "h_taskmanager_7_word count_task_3_n"
        );
    }

    #[test]
    fn wrong_formats_say_what_is_wrong() {
        let mut formats = ScopeFormats::default();
        let wrong = formats.set(ScopeKind::JobManager, "<host>.<tm_id>").unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "metrics.scope.jm: there is no variable <tm_id> in this scope"
        );
        let wrong = formats.set(ScopeKind::Task, "a..b").unwrap_err();
        assert_eq!(wrong.to_string(), "metrics.scope.task: \"a..b\" has an empty component");
        assert_eq!(formats, ScopeFormats::default());
    }

    #[test]
    fn a_group_with_a_value_is_a_variable() {
        let scope =
            task(&ScopeFormats::default()).group("latency", None).group("source_id", Some("f"));
        assert_eq!(scope.logical, ["taskmanager", "job", "task", "latency", "source_id"]);
        assert_eq!(scope.groups, ["latency", "source_id", "f"]);
        assert_eq!(scope.variable("source_id"), Some("f"));
    }
}
