//! Graphs of jobs that have not ended (Flink's ExecutionPlanStore, once JobGraphStore).

use bytes::Bytes;
use hurtig_cluster_api::FencingToken;
use hurtig_types::JobId;

use super::{JobIndex, JobsContext, clean_key};
use crate::{
    checkpoints::JobCheckpoints,
    election::{LeaderRecord, LeaderScope},
    error::HighAvailabilityError,
    register::{Change, FencedRegister, Patience, read_record},
    store::{Precondition, RecordStoreError},
};

/// A job as it is submitted. The bytes mean nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmittedJob {
    /// The job.
    pub job: JobId,
    /// Its graph, and whatever else a new leader needs to run it.
    pub graph: Bytes,
}

/// A job that a new leader has to care for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredJob {
    /// It has not ended: it is to be run.
    Submitted(SubmittedJob),
    /// It has ended, and is to be cleaned up.
    Dirty(JobId),
    /// It has not ended, but its graph cannot be read: it must fail. Other jobs go on.
    Damaged {
        /// The job.
        job: JobId,
        /// What is wrong.
        problem: String,
    },
}

/// The graphs, as the leader of one token sees them. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct JobGraphStore {
    context: JobsContext,
}

impl JobGraphStore {
    pub(crate) fn new(context: JobsContext) -> Self {
        Self { context }
    }

    /// Makes the record of jobs this leader's and returns all jobs that it has to care for. Called
    /// once per leadership, before anything else.
    pub async fn recover(&self) -> Result<Vec<StoredJob>, HighAvailabilityError> {
        // Listed before the claim, so that what is not named after it will never be: writers of
        // earlier leaders fail, and later leaders cannot have written before this claim succeeds.
        let listed = self.context.blobs.list(super::blobs::FOLDER).await?;
        let index = self.context.index.claim(true).await?.unwrap_or_default();
        for blob in listed {
            if !index.blobs().any(|named| named == blob) {
                self.context.blobs.discard(&blob).await;
            }
        }
        let mut jobs = Vec::with_capacity(index.jobs.len());
        for (id, entry) in &index.jobs {
            let job: JobId = id.parse().map_err(|error| HighAvailabilityError::Damaged {
                key: super::JOBS_KEY.to_owned(),
                problem: format!("{error}"),
            })?;
            if entry.result.is_some() {
                jobs.push(StoredJob::Dirty(job));
                continue;
            }
            self.create_records(job).await?;
            jobs.push(match self.read_graph(&entry.graph).await {
                Ok(graph) => StoredJob::Submitted(SubmittedJob { job, graph }),
                Err(HighAvailabilityError::Damaged { key, problem }) => {
                    StoredJob::Damaged { job, problem: format!("{key}: {problem}") }
                }
                Err(error) => return Err(error),
            });
        }
        Ok(jobs)
    }

    async fn read_graph(&self, blob: &str) -> Result<Bytes, HighAvailabilityError> {
        let found = self.context.blobs.get(blob).await?;
        found.ok_or_else(|| HighAvailabilityError::Damaged {
            key: blob.to_owned(),
            problem: "it is not there, though a job needs it".to_owned(),
        })
    }

    /// Stores a job. When this returns the job is going to run, whoever leads. A job that has run,
    /// or runs, is refused. After an uncertain error the job may be stored; trying again tells, and
    /// does what is left to do: also of a job that is known, records are there when this returns.
    pub async fn put(&self, submitted: &SubmittedJob) -> Result<(), HighAvailabilityError> {
        let (job, token) = (submitted.job, self.context.index.token());
        // Refused early, without a blob.
        self.check_not_ended(job).await?;
        let blob = self.context.blobs.put_new(job, token, &submitted.graph).await?;
        if let Err(error) = self.add(job, &blob).await {
            if error.proves_no_change() {
                self.context.blobs.discard(&blob).await;
            }
            if let HighAvailabilityError::JobExists { .. } = error {
                // An earlier try may have come as far as the record of jobs.
                self.create_records(job).await?;
            }
            return Err(error);
        }
        self.create_records(job).await
    }

    async fn add(&self, job: JobId, blob: &str) -> Result<(), HighAvailabilityError> {
        let mut patience = Patience::new(&self.context.retry);
        loop {
            let seen = self.context.index.read().await?;
            // After the record was read: see the module's documentation.
            self.check_not_ended(job).await?;
            let index = match seen.content.clone().add(job, blob)? {
                Change::None(()) => return Ok(()),
                Change::To(index, ()) => index,
            };
            match self.context.index.replace(seen, index).await {
                Ok(()) => return Ok(()),
                Err(error) => patience.after(super::JOBS_KEY, error).await?,
            }
        }
    }

    async fn check_not_ended(&self, job: JobId) -> Result<(), HighAvailabilityError> {
        match self.context.blobs.get(&clean_key(job)).await? {
            Some(_) => Err(HighAvailabilityError::JobEnded { job }),
            None => Ok(()),
        }
    }

    /// Stores another graph for a job, such as one with other resource requirements.
    pub async fn replace(&self, submitted: &SubmittedJob) -> Result<(), HighAvailabilityError> {
        let (job, token) = (submitted.job, self.context.index.token());
        let blob = self.context.blobs.put_new(job, token, &submitted.graph).await?;
        let change = |index: JobIndex| index.replace_graph(job, &blob);
        match self.context.index.update(change).await {
            Ok(Some(old)) => {
                self.context.blobs.discard(&old).await;
                Ok(())
            }
            // The answer was lost, and which graph it was with it; a recovery deletes it.
            Ok(None) => Ok(()),
            Err(error) => {
                if error.proves_no_change() {
                    self.context.blobs.discard(&blob).await;
                }
                Err(error)
            }
        }
    }

    /// The graph of a job that has not been cleaned up.
    pub async fn get(&self, job: JobId) -> Result<Option<SubmittedJob>, HighAvailabilityError> {
        let read = read_record::<JobIndex>(&*self.context.records, super::JOBS_KEY).await?;
        let Some((record, _)) = read else {
            return Ok(None);
        };
        match record.content.get(job) {
            None => Ok(None),
            Some(entry) => {
                let graph = self.read_graph(&entry.graph).await?;
                Ok(Some(SubmittedJob { job, graph }))
            }
        }
    }

    /// All jobs that have not been cleaned up.
    pub async fn job_ids(&self) -> Result<Vec<JobId>, HighAvailabilityError> {
        let seen = self.context.index.read().await?;
        Ok(seen.content.jobs.keys().filter_map(|id| id.parse().ok()).collect())
    }

    /// Makes the records of a job that its JobMaster will own, unless they are there. Only this
    /// makes them, and only for jobs in the record of jobs.
    async fn create_records(&self, job: JobId) -> Result<(), HighAvailabilityError> {
        let records = &self.context.records;
        let leader = LeaderScope::Job(job).record_key();
        let bytes = Bytes::from(LeaderRecord::unclaimed().to_bytes());
        let mut patience = Patience::new(&self.context.retry);
        loop {
            match records.put(&leader, bytes.clone(), Precondition::Absent).await {
                Ok(_) | Err(RecordStoreError::Conflict { .. }) => break,
                Err(error) => patience.after(&leader, error.into()).await?,
            }
        }
        let register = FencedRegister::<JobCheckpoints>::new(
            records.clone(),
            JobCheckpoints::key(job),
            FencingToken(0),
            self.context.retry.clone(),
        );
        match register.claim(true).await {
            // A JobMaster has claimed it already.
            Ok(_) | Err(HighAvailabilityError::Fenced { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
