//! Command-line parameters of a job, in the manner of Flink's `ParameterTool`.

use std::{collections::BTreeMap, str::FromStr};

use hurtig_config::ConfigValue;
use hurtig_graph::RestoreFrom;
use hurtig_types::RecoveryClaimMode;

use crate::StreamExecutionEnvironment;

/// The checkpoint or savepoint that the job starts from.
const FROM_SAVEPOINT: &str = "from-savepoint";
/// State that the program no longer has is left behind.
const ALLOW_NON_RESTORED_STATE: &str = "allow-non-restored-state";
/// Whose the snapshot is from then on.
const CLAIM_MODE: &str = "claim-mode";

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

    /// Applies `--parallelism`, `--taskmanagers`, `--slots`, `--from-savepoint`,
    /// `--allow-non-restored-state` and `--claim-mode` to an environment, and adds the parameters
    /// to those that are shown with its job. The parallelism is the client's (`flink run -p`): one that the
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
        self.apply_restore(env)?;
        env.settings.lock().job.global_parameters.extend(self.values.clone());
        Ok(())
    }

    /// What the job starts from. Parts that are not given stay as the configuration has them.
    fn apply_restore(&self, env: &StreamExecutionEnvironment) -> Result<(), ParameterError> {
        let job = &mut env.settings.lock().job;
        if let Some(pointer) = self.get(FROM_SAVEPOINT) {
            let restore = job.restore_from.get_or_insert_with(|| RestoreFrom {
                pointer: String::new(),
                allow_non_restored_state: false,
                claim_mode: RecoveryClaimMode::NoClaim,
            });
            pointer.clone_into(&mut restore.pointer);
        }
        let Some(restore) = &mut job.restore_from else {
            let mut without = [ALLOW_NON_RESTORED_STATE, CLAIM_MODE].into_iter();
            return match without.find(|name| self.get(name).is_some()) {
                Some(name) => Err(ParameterError(format!("--{name} needs --{FROM_SAVEPOINT}"))),
                None => Ok(()),
            };
        };
        restore.allow_non_restored_state =
            self.parse_or(ALLOW_NON_RESTORED_STATE, restore.allow_non_restored_state)?;
        if let Some(mode) = self.get(CLAIM_MODE) {
            restore.claim_mode = RecoveryClaimMode::parse(mode).map_err(|error| {
                ParameterError(format!("--{CLAIM_MODE} has the value {mode:?}: {error}"))
            })?;
        }
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
    fn a_job_is_told_what_to_start_from() {
        let restore = |line: &str| {
            let env = StreamExecutionEnvironment::new();
            tool(line)?.apply_to(&env)?;
            let restore = env.settings.lock().job.restore_from.clone();
            Ok::<_, ParameterError>(restore)
        };
        assert_eq!(restore("--x 1").unwrap(), None);
        let plain = RestoreFrom {
            pointer: "file:///s".to_owned(),
            allow_non_restored_state: false,
            claim_mode: RecoveryClaimMode::NoClaim,
        };
        assert_eq!(restore("--from-savepoint file:///s").unwrap(), Some(plain.clone()));
        let all = RestoreFrom {
            allow_non_restored_state: true,
            claim_mode: RecoveryClaimMode::Claim,
            ..plain
        };
        let line = "--allow-non-restored-state --claim-mode claim --from-savepoint file:///s";
        assert_eq!(restore(line).unwrap(), Some(all));
        let error = restore("--claim-mode CLAIM").unwrap_err().to_string();
        assert_eq!(error, "--claim-mode needs --from-savepoint");
        let error = restore("--from-savepoint s --claim-mode mine").unwrap_err().to_string();
        assert!(error.contains("mine"), "{error}");
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
