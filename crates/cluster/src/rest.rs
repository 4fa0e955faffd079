//! The JobManager's REST server.

use std::sync::Arc;

use hurtig_config::Configuration;
use hurtig_env::{Clock, Runtimes};
use hurtig_process_host::random_bits;
use hurtig_rest::{RestServer, RestServerConfig, RestServices};
use tokio::sync::Notify;

use crate::{JobManagerProcess, ProcessError};

/// A server, and what tells that a client wants the cluster to end.
pub(crate) struct Rest {
    server: RestServer,
    shutdown: Arc<Notify>,
}

impl Rest {
    /// Serves a JobManager.
    pub(crate) async fn start(
        manager: &JobManagerProcess,
        configuration: &Configuration,
        runtimes: &Runtimes,
        clock: Clock,
    ) -> Result<Self, ProcessError> {
        let shutdown = Arc::new(Notify::new());
        let asked = shutdown.clone();
        let services = RestServices {
            dispatcher: manager.dispatcher(),
            blobs: Some(manager.blobs()),
            programs: Some(manager.programs()),
            logs: Some(manager.logs()),
            task_manager_logs: None,
            stores: Arc::default(),
            configuration: configuration.clone(),
            shutdown: Some(Arc::new(move || asked.notify_one())),
            clock,
            runtimes: runtimes.clone(),
            seed: random_bits().map_err(ProcessError::Random)? as u64,
        };
        let config = RestServerConfig::of(configuration)?;
        let server = RestServer::start(config, services).await?;
        tracing::info!(address = %server.address(), "the REST server is there");
        Ok(Self { server, shutdown })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        self.server.address().to_string()
    }

    /// Waits until a client wants the cluster to end.
    pub(crate) async fn until_shutdown(&self) {
        self.shutdown.notified().await;
    }
}
