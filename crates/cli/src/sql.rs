//! `hurtig sql`: the SQL client; `hurtig sql-job`: what its jobs are on a cluster.

mod cluster;

use std::sync::Arc;

use hurtig_sql_client::{ClientOptions, ResultMode, shell};

use crate::{
    CommandResult, Outcome,
    args::{SqlCommand, SqlJobCommand, SqlOutput, remote::ClusterArguments},
};

use cluster::RestCluster;

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
    let cluster = match &command.job_manager {
        Some(_) => Some(Arc::new(connect(command)?) as Arc<dyn hurtig_sql::SqlCluster>),
        None => None,
    };
    hurtig_sql_client::run(ClientOptions {
        init: command.init.clone(),
        files: command.files.clone(),
        statements: command.statements.clone(),
        settings,
        mode,
        history: command.history.clone().or_else(shell::default_history),
        cluster,
    })?;
    Ok(Outcome::text(""))
}

/// The cluster that jobs run on. Of the properties, those that say how it is reached count.
fn connect(command: &SqlCommand) -> Result<RestCluster, Box<dyn std::error::Error>> {
    let reach = command.properties.iter().filter(|one| crate::remote::is_of_client(one));
    let arguments = ClusterArguments {
        job_manager: command.job_manager.clone(),
        conf_dir: command.conf_dir.clone(),
        properties: reach.cloned().collect(),
        cluster_id: None,
        json: false,
    };
    Ok(RestCluster::new(crate::remote::connect(&arguments)?.0))
}

pub(crate) fn run_job(command: &SqlJobCommand) -> CommandResult {
    hurtig_sql::run_program(hurtig_sql::SqlProgram::from_arguments(&command.program)?)?;
    Ok(Outcome::text(""))
}
