//! Command-line parameters of a job, in the manner of Flink's `ParameterTool`.

use std::{collections::BTreeMap, str::FromStr};

use crate::StreamExecutionEnvironment;

/// Parameters given as `--key value`, `--key=value` or `--flag`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterTool {
    values: BTreeMap<String, String>,
}

/// A parameter that is missing or has a value that cannot be used. `Debug` reads like `Display`,
/// because it is what a `main` that returns the error shows.
#[derive(Clone, PartialEq, Eq)]
pub struct ParameterError(String);

impl std::fmt::Debug for ParameterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Display for ParameterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParameterError {}

impl ParameterTool {
    /// The parameters of this process.
    pub fn from_env() -> Result<Self, ParameterError> {
        Self::from_args(std::env::args().skip(1))
    }

    /// Parameters from words.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Result<Self, ParameterError> {
        let mut values = BTreeMap::new();
        let mut args = args.into_iter().peekable();
        while let Some(word) = args.next() {
            let Some(name) = word.strip_prefix("--").filter(|name| !name.is_empty()) else {
                return Err(ParameterError(format!("expected --name, got {word:?}")));
            };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None => {
                    let value = args.next_if(|next| !next.starts_with("--"));
                    (name.to_owned(), value.unwrap_or_else(|| "true".to_owned()))
                }
            };
            if values.insert(name.clone(), value).is_some() {
                return Err(ParameterError(format!("--{name} is given twice")));
            }
        }
        Ok(Self { values })
    }

    /// A parameter, if it is given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A parameter that must be given.
    pub fn required(&self, name: &str) -> Result<&str, ParameterError> {
        self.get(name).ok_or_else(|| ParameterError(format!("--{name} is missing")))
    }

    /// A parameter as another type, or a default if it is not given.
    pub fn parse_or<T: FromStr>(&self, name: &str, default: T) -> Result<T, ParameterError>
    where
        T::Err: std::fmt::Display,
    {
        match self.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|error| {
                ParameterError(format!("--{name} has the value {text:?}: {error}"))
            }),
        }
    }

    /// Applies `--parallelism`, `--taskmanagers` and `--slots` to an environment, and adds the
    /// parameters to those that are shown with its job. The parallelism is the client's (`flink run -p`): one that the
    /// program sets in its environment wins over it.
    pub fn apply_to(&self, env: &StreamExecutionEnvironment) -> Result<(), ParameterError> {
        if self.get("parallelism").is_some() {
            env.settings.lock().graph.client_parallelism = Some(self.parse_or("parallelism", 1)?);
        }
        if self.get("taskmanagers").is_some() {
            env.set_task_executors(self.parse_or("taskmanagers", 1)?);
        }
        if self.get("slots").is_some() {
            env.set_task_slots(self.parse_or("slots", 1)?);
        }
        env.settings.lock().job.global_parameters.extend(self.values.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(line: &str) -> Result<ParameterTool, ParameterError> {
        ParameterTool::from_args(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn parameters_are_read_in_every_form() {
        let tool = tool("--input in.txt --parallelism=4 --verbose --shift -3").unwrap();
        assert_eq!(tool.required("input"), Ok("in.txt"));
        assert_eq!(tool.parse_or("parallelism", 1), Ok(4));
        assert_eq!(tool.get("verbose"), Some("true"));
        assert_eq!(tool.parse_or("shift", 0), Ok(-3));
        assert_eq!(tool.parse_or("absent", 7), Ok(7));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(tool("input").unwrap_err().to_string(), "expected --name, got \"input\"");
        assert_eq!(tool("--a 1 --a 2").unwrap_err().to_string(), "--a is given twice");
        let bad = tool("--parallelism x").unwrap().parse_or("parallelism", 1u32).unwrap_err();
        assert!(bad.to_string().starts_with("--parallelism has the value \"x\""));
        assert_eq!(
            tool("").unwrap().required("input").unwrap_err().to_string(),
            "--input is missing"
        );
    }
}
