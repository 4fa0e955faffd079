//! What can be asked of a cluster, by name.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::{Method, StatusCode};
use hurtig_types::{BlobId, JobId, OperatorId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ClientError, ClientResult, RestClient, connection::RequestBody};
use crate::{
    messages::{
        EmptyResponseBody,
        checkpoints::CheckpointingStatistics,
        cluster::{ClusterOverview, LogListInfo},
        jobs::{
            ClientCoordinationRequestBody, ClientCoordinationResponseBody,
            JobClientHeartbeatRequestBody, JobDetailsInfo, JobExceptionsInfoWithHistory,
            JobExecutionResultResponseBody, JobPlan, JobResultInfo, JobStatusInfo,
            MultipleJobsDetails,
        },
        operations::{
            AsynchronousOperationInfo, AsynchronousOperationResult, CheckpointInfo,
            CheckpointTriggerRequestBody, SavepointDisposalRequest, SavepointInfo,
            SavepointTriggerRequestBody, StopWithSavepointRequestBody, TriggerResponse,
        },
        programs::{JarFileInfo, JarRunRequestBody, JarRunResponseBody, ProgramPlanInfo},
        task_managers::TaskManagersInfo,
    },
    operations::TriggerId,
};

/// First pause before something is asked again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Longest pause before something is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Grows from question to question.
struct Pause(Duration);

impl Pause {
    async fn take(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

impl RestClient {
    /// TaskManagers, slots and jobs in numbers.
    pub async fn overview(&self) -> ClientResult<ClusterOverview> {
        self.get("/overview").await
    }

    /// All jobs.
    pub async fn jobs(&self) -> ClientResult<MultipleJobsDetails> {
        self.get("/jobs/overview").await
    }

    /// A job with its vertices.
    pub async fn job(&self, job: JobId) -> ClientResult<JobDetailsInfo> {
        self.get(&format!("/jobs/{job}")).await
    }

    /// The state of a job.
    pub async fn status(&self, job: JobId) -> ClientResult<String> {
        let answer: JobStatusInfo = self.get(&format!("/jobs/{job}/status")).await?;
        Ok(answer.status)
    }

    /// Asks the coordinator of an operator.
    pub async fn coordination_request(
        &self,
        job: JobId,
        operator: OperatorId,
        request: &[u8],
    ) -> ClientResult<Vec<u8>> {
        let body = ClientCoordinationRequestBody {
            serialized_coordination_request: BASE64.encode(request),
        };
        let path = format!("/jobs/{job}/coordinators/{operator}");
        let answer: ClientCoordinationResponseBody = self.post(&path, &body).await?;
        BASE64.decode(answer.serialized_coordination_result).map_err(|error| ClientError::Answer {
            request: format!("POST {path}"),
            source: serde::de::Error::custom(error),
        })
    }

    /// What went wrong.
    pub async fn exceptions(&self, job: JobId) -> ClientResult<JobExceptionsInfoWithHistory> {
        self.get(&format!("/jobs/{job}/exceptions")).await
    }

    /// Statistics of checkpoints.
    pub async fn checkpoints(&self, job: JobId) -> ClientResult<CheckpointingStatistics> {
        self.get(&format!("/jobs/{job}/checkpoints")).await
    }

    /// Starts to cancel a job.
    pub async fn cancel(&self, job: JobId) -> ClientResult<()> {
        let path = format!("/jobs/{job}?mode=cancel");
        let _: EmptyResponseBody = self.call(Method::PATCH, &path, RequestBody::Nothing).await?;
        Ok(())
    }

    /// Says that the client of a job is there until then, in milliseconds since the epoch.
    pub async fn client_heartbeat(&self, job: JobId, expired_timestamp: i64) -> ClientResult<()> {
        let body = JobClientHeartbeatRequestBody { expired_timestamp };
        let path = format!("/jobs/{job}/clientHeartbeat");
        let json = serde_json::to_vec(&body)
            .map_err(|source| ClientError::Answer { request: format!("PATCH {path}"), source })?;
        let _: EmptyResponseBody = self.call(Method::PATCH, &path, RequestBody::Json(json)).await?;
        Ok(())
    }

    /// Starts a savepoint.
    pub async fn trigger_savepoint(
        &self,
        job: JobId,
        request: &SavepointTriggerRequestBody,
    ) -> ClientResult<TriggerId> {
        let answer: TriggerResponse =
            self.post(&format!("/jobs/{job}/savepoints"), request).await?;
        Ok(answer.request_id)
    }

    /// Starts to stop a job with a savepoint; it is asked for as any savepoint.
    pub async fn stop(
        &self,
        job: JobId,
        request: &StopWithSavepointRequestBody,
    ) -> ClientResult<TriggerId> {
        let answer: TriggerResponse = self.post(&format!("/jobs/{job}/stop"), request).await?;
        Ok(answer.request_id)
    }

    /// Waits for a savepoint.
    pub async fn savepoint(&self, job: JobId, trigger: TriggerId) -> ClientResult<SavepointInfo> {
        self.await_operation(&format!("/jobs/{job}/savepoints/{trigger}")).await
    }

    /// Starts a checkpoint.
    pub async fn trigger_checkpoint(
        &self,
        job: JobId,
        request: &CheckpointTriggerRequestBody,
    ) -> ClientResult<TriggerId> {
        let answer: TriggerResponse =
            self.post(&format!("/jobs/{job}/checkpoints"), request).await?;
        Ok(answer.request_id)
    }

    /// Waits for a checkpoint.
    pub async fn checkpoint(&self, job: JobId, trigger: TriggerId) -> ClientResult<CheckpointInfo> {
        self.await_operation(&format!("/jobs/{job}/checkpoints/{trigger}")).await
    }

    /// Disposes of a savepoint, and waits for it.
    pub async fn dispose_savepoint(&self, path: &str) -> ClientResult<AsynchronousOperationInfo> {
        let request = SavepointDisposalRequest { savepoint_path: path.to_owned() };
        let answer: TriggerResponse = self.post("/savepoint-disposal", &request).await?;
        self.await_operation(&format!("/savepoint-disposal/{}", answer.request_id)).await
    }

    async fn await_operation<T: serde::de::DeserializeOwned>(&self, path: &str) -> ClientResult<T> {
        let mut pause = Pause(FIRST_PAUSE);
        loop {
            let answer: AsynchronousOperationResult<T> = self.get(path).await?;
            if let Some(operation) = answer.operation {
                return Ok(operation);
            }
            pause.take().await;
        }
    }

    /// Waits for a job's end. While nobody leads it asks again, up to `rest.retry.max-attempts`
    /// times in a row.
    pub async fn result(&self, job: JobId) -> ClientResult<JobResultInfo> {
        let path = format!("/jobs/{job}/execution-result");
        let mut pause = Pause(FIRST_PAUSE);
        let mut tries_left = self.retries;
        loop {
            let answer: JobExecutionResultResponseBody = match self.get(&path).await {
                Err(error) if error.is_passing() && tries_left > 0 => {
                    tries_left -= 1;
                    tokio::time::sleep(self.retry_pause).await;
                    continue;
                }
                answer => answer?,
            };
            tries_left = self.retries;
            if let Some(result) = answer.job_execution_result {
                return Ok(result);
            }
            pause.take().await;
        }
    }

    /// A program that was uploaded; `None` if that content was not.
    pub async fn program(&self, id: BlobId) -> ClientResult<Option<JarFileInfo>> {
        match self.get(&format!("/binaries/{id}")).await {
            Ok(info) => Ok(Some(info)),
            Err(ClientError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs a program that was uploaded.
    pub async fn run(&self, id: BlobId, request: &JarRunRequestBody) -> ClientResult<String> {
        let answer: JarRunResponseBody = self.post(&format!("/binaries/{id}/run"), request).await?;
        Ok(answer.jobid)
    }

    /// The plan of a program that was uploaded.
    pub async fn plan(&self, id: BlobId, request: &JarRunRequestBody) -> ClientResult<JobPlan> {
        let answer: ProgramPlanInfo = self.post(&format!("/binaries/{id}/plan"), request).await?;
        Ok(answer.plan)
    }

    /// TaskManagers.
    pub async fn task_managers(&self) -> ClientResult<TaskManagersInfo> {
        self.get("/taskmanagers").await
    }

    /// Logs of the JobManager, or of a TaskManager.
    pub async fn logs(&self, task_manager: Option<&str>) -> ClientResult<LogListInfo> {
        self.get(&format!("{}/logs", logs_of(task_manager))).await
    }

    /// A log, chunk by chunk.
    pub async fn read_log(
        &self,
        task_manager: Option<&str>,
        name: &str,
        mut taken: impl FnMut(&Bytes) -> std::io::Result<()>,
    ) -> ClientResult<()> {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        let path = format!("{}/logs/{name}", logs_of(task_manager));
        let mut answer = self.open(Method::GET, &path, RequestBody::Nothing).await?;
        while let Some(chunk) = self.chunk(&mut answer).await? {
            taken(&chunk).map_err(|source| ClientError::File {
                path: "standard output".to_owned(),
                source,
            })?;
        }
        Ok(())
    }

    /// Ends the cluster.
    pub async fn shut_down(&self) -> ClientResult<()> {
        let _: EmptyResponseBody =
            self.call(Method::DELETE, "/cluster", RequestBody::Nothing).await?;
        Ok(())
    }
}

fn logs_of(task_manager: Option<&str>) -> String {
    match task_manager {
        Some(id) => format!("/taskmanagers/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)),
        None => "/jobmanager".to_owned(),
    }
}
