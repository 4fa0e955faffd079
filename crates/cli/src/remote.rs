//! Commands for a running cluster: each a few REST requests, and what they mean to people.

mod jobs;
mod logs;
mod programs;
mod snapshots;

use hurtig_config::{CONFIG_FILE_NAME, Configuration};
use hurtig_rest::{ClientError, RestClient, messages::operations::SerializedThrowable};

pub(crate) use self::{
    jobs::{cancel, list, status},
    logs::logs,
    programs::{info, run},
    snapshots::{stop, take_checkpoint, take_savepoint},
};
use crate::args::remote::ClusterArguments;

/// The cluster's client, and what was configured.
fn connect(
    arguments: &ClusterArguments,
) -> Result<(RestClient, Configuration), Box<dyn std::error::Error>> {
    let mut configuration = Configuration::new();
    if let Some(directory) = &arguments.conf_dir {
        configuration.load(&directory.join(CONFIG_FILE_NAME))?;
    }
    for property in &arguments.properties {
        configuration.add_dynamic(property)?;
    }
    let client = match &arguments.job_manager {
        Some(address) => RestClient::new(address, &configuration)?,
        None => RestClient::of(&configuration)?,
    };
    Ok((client, configuration))
}

/// Waits for the cluster. `Send` is not needed: there is one thread.
fn ask<T>(
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, Box<dyn std::error::Error>> {
    Ok(crate::wait_for(work)??)
}

/// Something that was asked of the cluster has failed there.
#[derive(Debug, thiserror::Error)]
#[error("{what} failed: {why}")]
struct Failed {
    what: &'static str,
    why: String,
}

impl Failed {
    fn of(what: &'static str, cause: &SerializedThrowable) -> Self {
        Self { what, why: cause.stack_trace.clone() }
    }
}
