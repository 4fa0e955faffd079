//! `hurtig sql`: the SQL client.

use hurtig_sql_client::{ClientOptions, ResultMode, shell};

use crate::{
    CommandResult, Outcome,
    args::{SqlCommand, SqlOutput},
};

pub(crate) fn run(command: &SqlCommand) -> CommandResult {
    let mut settings = Vec::new();
    if let Some(parallelism) = command.parallelism {
        settings.push(("parallelism.default".to_owned(), parallelism.to_string()));
    }
    for property in &command.properties {
        let (key, value) = property
            .split_once('=')
            .ok_or_else(|| format!("-D {property}: KEY=VALUE is wanted"))?;
        settings.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    let mode = match (command.output, command.materialize) {
        (Some(SqlOutput::Jsonl), true) => Some(ResultMode::Materialized),
        (_, true) => return Err("--materialize needs --output jsonl".into()),
        (None, false) => None,
        (Some(SqlOutput::Jsonl), false) => Some(ResultMode::JsonLines),
        (Some(SqlOutput::Table), false) => Some(ResultMode::Table),
        (Some(SqlOutput::Changelog), false) => Some(ResultMode::Changelog),
        (Some(SqlOutput::Tableau), false) => Some(ResultMode::Tableau),
    };
    hurtig_sql_client::run(ClientOptions {
        init: command.init.clone(),
        files: command.files.clone(),
        statements: command.statements.clone(),
        settings,
        mode,
        history: command.history.clone().or_else(shell::default_history),
    })?;
    Ok(Outcome::text(""))
}
