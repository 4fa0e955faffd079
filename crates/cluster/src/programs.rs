//! From uploaded programs to jobs.
//!
//! 1. The program runs as a plan host, in a directory of its own, for a bounded time.
//! 2. The graph that it writes is checked, and refers from then on to the binary, the arguments and
//!    the files of the distributed cache, whose content becomes blobs.
//! 3. The blobs are kept where the next leader finds them, if there may be one, and the Dispatcher
//!    gets the graph. The job keeps the blobs until it has ended.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use hurtig_cluster_api::{
    BlobService, DispatcherGateway, ProgramError, ProgramRequest, ProgramRunner,
};
use hurtig_config::{
    Configuration,
    catalogue::{
        checkpointing::{RECOVERY_CLAIM_MODE, SAVEPOINT_IGNORE_UNCLAIMED_STATE, SAVEPOINT_PATH},
        pipeline::DEFAULT_PARALLELISM,
    },
};
use hurtig_graph::{CachedFile, JobGraph, ProgramReference};
use hurtig_job_host::{HostRole, PlanRole, read_plan};
use hurtig_process_host::{ExitReason, random_bits};
use hurtig_types::{JobId, RecoveryClaimMode, error::chain_text};

use crate::{
    blobs::JobBlobs,
    host_start::{HostStarter, START_TIMEOUT, describe},
};

/// Most bytes of a program's arguments, as a system takes them.
const ARGUMENT_BYTES: usize = 128 << 10;
/// Plan hosts that may run at once; further ones wait.
const PLAN_HOSTS: usize = 8;

pub(crate) struct ClusterPrograms {
    blobs: JobBlobs,
    starter: HostStarter,
    dispatcher: Arc<dyn DispatcherGateway>,
    turns: tokio::sync::Semaphore,
}

fn failed(message: impl Into<String>) -> ProgramError {
    ProgramError::Program { message: message.into() }
}

/// The client's configuration, with what the request says in other words.
fn client_configuration(
    request: &ProgramRequest,
) -> Result<BTreeMap<String, String>, ProgramError> {
    let mut all = request.configuration.clone();
    let mut set = |key: &str, value: String| all.insert(key.to_owned(), value);
    if let Some(parallelism) = request.parallelism {
        set(DEFAULT_PARALLELISM.key(), parallelism.to_string());
    }
    if let Some(restore) = &request.restore {
        set(SAVEPOINT_PATH.key(), restore.pointer.clone());
        let ignore = restore.allow_non_restored_state.to_string();
        set(SAVEPOINT_IGNORE_UNCLAIMED_STATE.key(), ignore);
        let mode = match restore.claim_mode {
            RecoveryClaimMode::Claim => "CLAIM",
            RecoveryClaimMode::NoClaim => "NO_CLAIM",
        };
        set(RECOVERY_CLAIM_MODE.key(), mode.to_owned());
    }
    let mut checked = Configuration::new();
    for (key, value) in &all {
        let put = checked.set_dynamic(key, value);
        put.map_err(|error| ProgramError::Invalid(error.to_string()))?;
    }
    Ok(all)
}

impl ClusterPrograms {
    pub(crate) fn new(
        blobs: JobBlobs,
        starter: HostStarter,
        dispatcher: Arc<dyn DispatcherGateway>,
    ) -> Self {
        let turns = tokio::sync::Semaphore::new(PLAN_HOSTS);
        Self { blobs, starter, dispatcher, turns }
    }

    /// The graph that the program builds.
    async fn build(
        &self,
        request: &ProgramRequest,
        client: &BTreeMap<String, String>,
    ) -> Result<JobGraph, ProgramError> {
        let binary = self.blobs.store.path(request.binary)?;
        let job = match request.job_id {
            Some(job) => job,
            None => JobId(random_bits().map_err(|error| failed(error.to_string()))?),
        };
        let turn = self.turns.acquire().await;
        let directory = self.starter.directory("plan").map_err(|e| failed(e.to_string()))?;
        let result = directory.path().join("plan");
        let role = HostRole::Plan(PlanRole { job, result: result.clone() });
        let host = self.starter.start(&binary, &request.arguments, client, role, directory).await;
        let host = host.map_err(failed)?;
        let exit = tokio::time::timeout(START_TIMEOUT, host.process.exited()).await;
        let exit = exit.map_err(|_| {
            let seconds = START_TIMEOUT.as_secs();
            failed(format!("the program did not call execute() within {seconds} s"))
        })?;
        drop(turn);
        match (exit.reason, result.exists()) {
            (ExitReason::Code(0), true) => {}
            (ExitReason::Code(0), false) => {
                return Err(failed(
                    "the program ended without a job: it did not call execute(), or is no program \
                     of this system",
                ));
            }
            _ => return Err(failed(format!("the program failed: {}", describe(&exit)))),
        }
        let planned = tokio::task::spawn_blocking(move || read_plan(&result)).await;
        let planned = planned.map_err(|error| failed(error.to_string()))?;
        let planned = planned.map_err(|error| failed(chain_text(&error)))?;
        Ok(JobGraph { job_id: job, ..planned.graph })
    }

    /// The files of the distributed cache, with their content as blobs.
    async fn files(&self, graph: &JobGraph) -> Result<BTreeMap<String, CachedFile>, ProgramError> {
        let mut files = BTreeMap::new();
        for (name, file) in &graph.config.cached_files {
            let path = file.path.strip_prefix("file://").unwrap_or(&file.path);
            let put = self.blobs.store.put_file(Path::new(path)).await;
            let info = put.map_err(|error| {
                let path = &file.path;
                failed(format!("the cached file {name:?} cannot be read from {path:?}: {error}"))
            })?;
            files.insert(name.clone(), CachedFile { blob: Some(info.id), ..file.clone() });
        }
        Ok(files)
    }
}

#[async_trait]
impl ProgramRunner for ClusterPrograms {
    async fn plan(&self, request: ProgramRequest) -> Result<JobGraph, ProgramError> {
        let bytes: usize = request.arguments.iter().map(|argument| argument.len() + 1).sum();
        if bytes > ARGUMENT_BYTES || request.arguments.iter().any(|word| word.contains('\0')) {
            let most = ARGUMENT_BYTES;
            let text = format!("arguments are texts without zeros, {most} bytes at most");
            return Err(ProgramError::Invalid(text));
        }
        let info = self.blobs.store.info(request.binary).await?;
        let configuration = client_configuration(&request)?;
        let mut graph = self.build(&request, &configuration).await?;
        if graph.config.checkpoints.interval_ms.is_some()
            && graph.config.checkpoint_directory.is_none()
        {
            return Err(ProgramError::Invalid(
                "the job takes checkpoints, but execution.checkpointing.dir is not set: its \
                 processes need a directory that all of them reach"
                    .to_owned(),
            ));
        }
        let files = self.files(&graph).await?;
        graph.config.program = Some(ProgramReference {
            binary: request.binary,
            name: info.name,
            arguments: request.arguments,
            configuration,
            files,
            fingerprint: graph.fingerprint(),
        });
        Ok(graph)
    }

    async fn run(&self, request: ProgramRequest) -> Result<JobId, ProgramError> {
        let graph = self.plan(request).await?;
        let job = graph.job_id;
        if let Some(program) = &graph.config.program {
            self.blobs.keep(job, program).await?;
        }
        self.dispatcher.submit_job(graph).await?;
        Ok(job)
    }
}

#[cfg(test)]
mod tests {
    use hurtig_graph::RestoreFrom;
    use hurtig_types::BlobId;

    use super::*;

    #[test]
    fn what_a_client_asks_for_is_configuration() {
        let mut request = ProgramRequest::new(BlobId([0; 32]));
        request.parallelism = Some(3);
        request.restore = Some(RestoreFrom {
            pointer: "file:///s".to_owned(),
            allow_non_restored_state: true,
            claim_mode: RecoveryClaimMode::Claim,
        });
        let all = client_configuration(&request).unwrap();
        let lines: Vec<String> = all.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            lines,
            [
                "execution.state-recovery.claim-mode=CLAIM",
                "execution.state-recovery.ignore-unclaimed-state=true",
                "execution.state-recovery.path=file:///s",
                "parallelism.default=3",
            ]
        );
        request.configuration.insert("paralelism.default".to_owned(), "1".to_owned());
        let error = client_configuration(&request).unwrap_err();
        assert!(matches!(&error, ProgramError::Invalid(_)), "{error}");
        assert!(error.to_string().contains("parallelism.default"), "{error}");
    }
}
