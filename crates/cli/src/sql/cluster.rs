//! A cluster that runs the jobs of `hurtig sql`, through REST.
//!
//! This very command is uploaded as the jobs' program, once; what a job does is in its arguments.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::OnceLock, time::Duration};

use hurtig_config::catalogue::client::{EXECUTION_ATTACHED, SHUTDOWN_ON_ATTACHED_EXIT};
use hurtig_rest::{
    ClientError, RestClient,
    messages::{operations::StopWithSavepointRequestBody, programs::JarRunRequestBody},
};
use hurtig_sql::{ClusterError, JobStatus, Received, SqlCluster, SqlProgram, TerminateKind};
use hurtig_types::{BlobId, JobId, OperatorId, chain_text};

use crate::{
    heartbeats::{Heartbeats, Rhythm},
    remote::{bring, is_of_client},
};

/// The command among the arguments of the program.
const COMMAND: &str = "sql-job";
/// Shortest pause between two questions for rows.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause between two questions for rows.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How often in a row the cluster may not answer before rows are given up.
const PATIENT_TRIES: u32 = 20;

pub(super) struct RestCluster {
    client: RestClient,
    /// This command's content, once the cluster has it.
    program: OnceLock<BlobId>,
    /// What tells the cluster that this client is there.
    heartbeats: Heartbeats,
}

impl fmt::Debug for RestCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RestCluster")
    }
}

fn failed(error: impl std::error::Error) -> ClusterError {
    ClusterError(chain_text(&error))
}

/// Waits for an answer.
fn ask<T>(work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClusterError> {
    crate::wait_for(work).map_err(failed)?.map_err(failed)
}

impl RestCluster {
    pub(super) fn new(client: RestClient) -> Self {
        Self { client, program: OnceLock::new(), heartbeats: Heartbeats::default() }
    }

    fn program(&self) -> Result<BlobId, ClusterError> {
        if let Some(known) = self.program.get() {
            return Ok(*known);
        }
        let path: PathBuf = std::env::current_exe().map_err(failed)?;
        let id = ask(bring(&self.client, &path))?;
        Ok(*self.program.get_or_init(|| id))
    }
}

fn state(word: &str) -> Result<JobStatus, ClusterError> {
    Ok(match word {
        "INITIALIZING" => JobStatus::Initializing,
        "CREATED" => JobStatus::Created,
        "RUNNING" => JobStatus::Running,
        "FAILING" => JobStatus::Failing,
        "FAILED" => JobStatus::Failed,
        "CANCELLING" => JobStatus::Cancelling,
        "CANCELED" => JobStatus::Canceled,
        "FINISHED" => JobStatus::Finished,
        "RESTARTING" => JobStatus::Restarting,
        "SUSPENDED" => JobStatus::Suspended,
        other => return Err(ClusterError(format!("the cluster says that the job is {other:?}"))),
    })
}

impl SqlCluster for RestCluster {
    fn submit(&self, program: &SqlProgram) -> Result<JobId, ClusterError> {
        let arguments = program.to_arguments().map_err(failed)?;
        // How the client reaches the cluster is none of the job's business.
        let configuration = program.configuration().into_iter();
        let mut configuration: BTreeMap<String, String> =
            configuration.filter(|(key, _)| !is_of_client(key)).collect();
        // Nobody else can read the rows of a query.
        if program.is_query() {
            for key in [EXECUTION_ATTACHED.key(), SHUTDOWN_ON_ATTACHED_EXIT.key()] {
                configuration.entry(key.to_owned()).or_insert_with(|| "true".to_owned());
            }
        }
        let rhythm = Rhythm::of(&configuration).map_err(failed)?;
        let request = JarRunRequestBody {
            program_args_list: Some([COMMAND.to_owned()].into_iter().chain(arguments).collect()),
            flink_configuration: Some(configuration),
            ..JarRunRequestBody::default()
        };
        let id = self.program()?;
        let job = ask(self.client.run(id, &request))?.parse().map_err(failed)?;
        if let Some(rhythm) = rhythm {
            self.heartbeats.start(&self.client, job, rhythm).map_err(failed)?;
        }
        Ok(job)
    }

    fn jobs(&self) -> Result<Vec<(String, String, String)>, ClusterError> {
        let jobs = ask(self.client.jobs())?.jobs;
        Ok(jobs.into_iter().map(|job| (job.jid, job.name, job.state)).collect())
    }

    fn status(&self, job: JobId) -> Result<JobStatus, ClusterError> {
        state(&ask(self.client.status(job))?)
    }

    fn cancel(&self, job: JobId) -> Result<(), ClusterError> {
        self.heartbeats.stop(job);
        match crate::wait_for(self.client.cancel(job)).map_err(failed)? {
            // It has ended before.
            Err(error) if error.status().is_some_and(|status| status.as_u16() == 409) => Ok(()),
            done => done.map_err(failed),
        }
    }

    fn stop_with_savepoint(
        &self,
        job: JobId,
        directory: Option<&str>,
        kind: TerminateKind,
    ) -> Result<String, ClusterError> {
        let request = StopWithSavepointRequestBody {
            target_directory: directory.map(str::to_owned),
            drain: Some(kind == TerminateKind::Drain),
            format_type: None,
            trigger_id: None,
        };
        let info = ask(async {
            let trigger = self.client.stop(job, &request).await?;
            self.client.savepoint(job, trigger).await
        })?;
        match info.failure_cause {
            Some(cause) => Err(ClusterError(format!("stopping failed: {}", cause.stack_trace))),
            None => Ok(info.location.unwrap_or_default()),
        }
    }

    fn wait(&self, job: JobId) -> Result<(), ClusterError> {
        let result = ask(self.client.result(job))?;
        match (result.application_status.as_str(), result.failure_cause) {
            ("SUCCEEDED", _) => Ok(()),
            (_, Some(cause)) => Err(ClusterError(format!("the job failed: {}", cause.stack_trace))),
            (other, None) => Err(ClusterError(format!("the job was ended by a user: {other}"))),
        }
    }

    fn collect(
        &self,
        job: JobId,
        operator: OperatorId,
        received: &mut Received,
        patience: Duration,
    ) -> Result<Option<Vec<Vec<u8>>>, ClusterError> {
        let found =
            crate::wait_for(self.rows(job, operator, received, patience)).map_err(failed)??;
        if found.is_none() {
            self.heartbeats.stop(job);
            if self.status(job)? != JobStatus::Canceled {
                self.wait(job)?;
            }
        }
        Ok(found)
    }
}

impl RestCluster {
    async fn rows(
        &self,
        job: JobId,
        operator: OperatorId,
        received: &mut Received,
        patience: Duration,
    ) -> Result<Option<Vec<Vec<u8>>>, ClusterError> {
        let mut pause = SHORTEST_PAUSE;
        let mut waited = Duration::ZERO;
        let mut tries = 0;
        loop {
            // Looked at first: what came before the end is fetched after it was seen.
            let over = match self.client.status(job).await {
                Ok(word) => state(&word)?.is_globally_terminal(),
                Err(error) if error.is_passing() && tries < PATIENT_TRIES => false,
                Err(error) => return Err(failed(error)),
            };
            let question = received.question().map_err(failed)?;
            match self.client.coordination_request(job, operator, &question).await {
                Ok(answer) => {
                    tries = 0;
                    let batches = received.accept(&answer).map_err(failed)?;
                    if !batches.is_empty() {
                        return Ok(Some(batches));
                    }
                }
                // A job that has ended has nothing left, and no coordinator.
                Err(_) if over => {}
                // Nobody leads, or the job's JobMaster is not there yet or not any more.
                Err(_) if tries < PATIENT_TRIES => tries += 1,
                Err(error) => return Err(failed(error)),
            }
            if over {
                return Ok(None);
            }
            if waited >= patience && tries == 0 {
                return Ok(Some(Vec::new()));
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
