//! What can be wrong with a configuration, and where.
//!
//! Every error names the key, the value, what was expected, and the place: a line of a file, a
//! `-D` argument, or the program. Values of secret keys are never shown.

use std::{fmt, io, path::PathBuf, sync::Arc};

/// Most mistakes that are reported at once.
pub(crate) const MOST_ERRORS: usize = 20;

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConfigOrigin {
    /// Nobody set it.
    Default,
    /// A file.
    File {
        /// Its name.
        path: Arc<str>,
        /// Line, counted from 1.
        line: usize,
    },
    /// `-D key=value`.
    DynamicProperty,
    /// The program.
    Program,
}

impl fmt::Display for ConfigOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::DynamicProperty => f.write_str("-D"),
            Self::Program => f.write_str("program"),
        }
    }
}

/// One mistake in a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No option has that key.
    #[error("{origin}: unknown key {key:?}{}", nearest.as_ref().map_or(String::new(),
        |nearest| format!("; did you mean {nearest:?}?")))]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it is set.
        origin: ConfigOrigin,
        /// The known key that is most like it.
        nearest: Option<String>,
    },
    /// The value is not of the option's type.
    #[error("{origin}: {key} has the value {value:?}, but needs {expected}{}",
        if detail.is_empty() { String::new() } else { format!("; {detail}") })]
    Value {
        /// The key as it was written.
        key: Box<str>,
        /// The value, or stars if it is secret.
        value: Box<str>,
        /// What is expected.
        expected: Box<str>,
        /// More about the mistake; may be empty.
        detail: Box<str>,
        /// Where it is set.
        origin: ConfigOrigin,
    },
    /// A key stands twice in one file.
    #[error("{origin}: {key} is set already in line {first}")]
    Duplicate {
        /// The key.
        key: String,
        /// Line of the first setting.
        first: usize,
        /// The second setting.
        origin: ConfigOrigin,
    },
    /// An option without default is not set.
    #[error("{key} is not set and has no default; it needs {expected}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What is expected.
        expected: String,
    },
    /// Two settings do not go together.
    #[error("{origin}: {text}")]
    Contradiction {
        /// What does not go together.
        text: String,
        /// Where the settings come from.
        origin: String,
    },
    /// A file is not YAML, or not of the kind that a configuration is.
    #[error("{path}:{line}:{column}: {text}")]
    Yaml {
        /// The file.
        path: Arc<str>,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// What is wrong.
        text: String,
    },
    /// A file is beyond a limit.
    #[error("{path}: {text}")]
    Limit {
        /// The file.
        path: Arc<str>,
        /// Which limit.
        text: String,
    },
    /// A `-D` argument without a key or a value.
    #[error("-D needs key=value, not {0:?}")]
    DynamicProperty(String),
    /// A file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// All mistakes of a configuration, at least one and at most twenty.
///
/// `Debug` reads like `Display`, because it is what a `main` that returns the error shows.
#[derive(thiserror::Error)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The mistakes.
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }

    /// `Err` if there are mistakes.
    pub(crate) fn check(mut errors: Vec<ConfigError>) -> Result<(), Self> {
        errors.truncate(MOST_ERRORS);
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
            // One text for a whole list: causes have no other place.
            if let Some(cause) = std::error::Error::source(error) {
                write!(f, ": {cause}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is shown instead of a secret.
pub const HIDDEN: &str = "******";

/// True if values of that key must not be shown; the words are Flink's.
pub fn is_sensitive(key: &str) -> bool {
    const WORDS: &[&str] = &[
        "password",
        "secret",
        "fs.azure.account.key",
        "apikey",
        "api-key",
        "auth-params",
        "service-key",
        "token",
        "basic-auth",
        "jaas.config",
        "http-headers",
    ];
    let key = key.to_ascii_lowercase();
    WORDS.iter().any(|word| key.contains(word))
}

/// A value as it may be shown: secrets hidden, long ones cut.
pub(crate) fn shown(key: &str, value: &str) -> String {
    const MOST_CHARS: usize = 120;
    if is_sensitive(key) {
        return HIDDEN.to_owned();
    }
    match value.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
