//! Commands for a running cluster: each a few REST requests, and what they mean to people.

mod jobs;
mod logs;
mod programs;
mod snapshots;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_cluster::leading_rest_address;
use hurtig_config::{
    CONFIG_FILE_NAME, Configuration,
    catalogue::{job_manager::HA_CLUSTER_ID, rest::REST_AWAIT_LEADER_TIMEOUT},
};
use hurtig_rest::{
    ClientError, LeaderLocator, RestClient, messages::operations::SerializedThrowable,
};

pub(crate) use self::{
    jobs::{cancel, list, status},
    logs::logs,
    programs::{bring, info, is_of_client, run},
    snapshots::{dispose, stop, take_checkpoint, take_savepoint},
};
use crate::args::remote::ClusterArguments;

/// Who leads, as high availability knows it.
struct Leaders {
    configuration: Configuration,
    patience: Duration,
}

#[async_trait]
impl LeaderLocator for Leaders {
    async fn leader(&self) -> Option<String> {
        // Who asks says that there is nobody, and tries again.
        leading_rest_address(&self.configuration, self.patience).await.ok().flatten()
    }
}

/// The client of whoever leads a cluster with high availability; `None` without.
fn of_leader(
    configuration: &Configuration,
) -> Result<Option<RestClient>, Box<dyn std::error::Error>> {
    let patience = configuration.get(&REST_AWAIT_LEADER_TIMEOUT)?;
    let found = crate::wait_for(leading_rest_address(configuration, patience))??;
    let Some(address) = found else { return Ok(None) };
    let leaders = Leaders { configuration: configuration.clone(), patience };
    Ok(Some(RestClient::new(&address, configuration)?.with_locator(Arc::new(leaders))))
}

/// The cluster's client, and what was configured.
pub(crate) fn connect(
    arguments: &ClusterArguments,
) -> Result<(RestClient, Configuration), Box<dyn std::error::Error>> {
    let mut configuration = Configuration::new();
    if let Some(directory) = &arguments.conf_dir {
        configuration.load(&directory.join(CONFIG_FILE_NAME))?;
    }
    for property in &arguments.properties {
        configuration.add_dynamic(property)?;
    }
    if let Some(id) = &arguments.cluster_id {
        configuration.add_dynamic(&format!("{}={id}", HA_CLUSTER_ID.key()))?;
    }
    let client = match &arguments.job_manager {
        Some(address) => RestClient::new(address, &configuration)?,
        None => match of_leader(&configuration)? {
            Some(client) => client,
            None => RestClient::of(&configuration)?,
        },
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
