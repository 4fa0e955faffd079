//! Results of jobs that have ended (Flink's JobResultStore): dirty until the job is cleaned up,
//! clean afterwards.

use hurtig_cluster_api::job::JobResult;
use hurtig_types::JobId;

use super::{CLEAN_FOLDER, JobIndex, JobsContext, clean_key, not_ended};
use crate::{error::HighAvailabilityError, register::read_record};

/// The results. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct JobResultStore {
    context: JobsContext,
}

fn encode(result: &JobResult) -> Result<Vec<u8>, HighAvailabilityError> {
    postcard::to_stdvec(result).map_err(|error| HighAvailabilityError::Damaged {
        key: clean_key(result.job_id),
        problem: error.to_string(),
    })
}

impl JobResultStore {
    pub(crate) fn new(context: JobsContext) -> Self {
        Self { context }
    }

    /// The job has ended: from now on it does not run again, whoever leads. If it has ended
    /// already, with this or another result, the first stands and [`HighAvailabilityError::JobEnded`]
    /// says so.
    pub async fn create_dirty(&self, result: &JobResult) -> Result<(), HighAvailabilityError> {
        let job = result.job_id;
        let bytes = encode(result)?;
        let blob = self.context.blobs.put_new(job, self.context.index.token(), &bytes).await?;
        let ended = self.context.index.update(|index: JobIndex| index.end(job, &blob)).await;
        match ended {
            Ok(()) => Ok(()),
            Err(error) => {
                if error.proves_no_change() {
                    self.context.blobs.discard(&blob).await;
                }
                if matches!(error, HighAvailabilityError::JobUnknown { .. })
                    && self.has_clean(job).await?
                {
                    return Err(HighAvailabilityError::JobEnded { job });
                }
                Err(error)
            }
        }
    }

    /// Whether a job has ended and is not marked as clean; fails if it has not ended.
    pub(crate) async fn must_be_cleaned_up(
        &self,
        job: JobId,
    ) -> Result<bool, HighAvailabilityError> {
        let seen = self.context.index.read().await?;
        match seen.content.get(job) {
            None => Ok(false),
            Some(entry) if entry.result.is_some() => Ok(true),
            Some(_) => Err(not_ended(job)),
        }
    }

    /// The job is cleaned up, but for its result. May be called again after a crash at any point.
    pub async fn mark_clean(&self, job: JobId) -> Result<(), HighAvailabilityError> {
        let seen = self.context.index.read().await?;
        let Some(entry) = seen.content.get(job).cloned() else {
            let known = self.context.delete_results || self.has_clean(job).await?;
            return if known { Ok(()) } else { Err(HighAvailabilityError::JobUnknown { job }) };
        };
        let Some(blob) = entry.result else {
            return Err(not_ended(job));
        };
        if !self.context.delete_results && !self.has_clean(job).await? {
            // Another leader may have gone through all of this meanwhile.
            if let Some(bytes) = self.context.blobs.get(&blob).await? {
                self.context.blobs.put(&clean_key(job), &bytes).await?;
            }
        }
        self.context.index.update(|index: JobIndex| index.remove(job)).await?;
        self.context.blobs.discard(&blob).await;
        self.context.blobs.discard(&entry.graph).await;
        Ok(())
    }

    async fn has_clean(&self, job: JobId) -> Result<bool, HighAvailabilityError> {
        Ok(self.context.blobs.get(&clean_key(job)).await?.is_some())
    }

    /// The result of a job, dirty or clean; `None` if it has not ended, or is not known. Needs no
    /// leadership.
    pub async fn get(&self, job: JobId) -> Result<Option<JobResult>, HighAvailabilityError> {
        let index = read_record::<JobIndex>(&*self.context.records, super::JOBS_KEY).await?;
        let entry = index.as_ref().and_then(|(record, _)| record.content.get(job));
        if let Some(blob) = entry.and_then(|entry| entry.result.as_ref())
            && let Some(result) = self.read(blob).await?
        {
            return Ok(Some(result));
        }
        // Not in the record, or cleaned up since it was read.
        self.read(&clean_key(job)).await
    }

    async fn read(&self, blob: &str) -> Result<Option<JobResult>, HighAvailabilityError> {
        let Some(bytes) = self.context.blobs.get(blob).await? else {
            return Ok(None);
        };
        let result = postcard::from_bytes(&bytes);
        result.map(Some).map_err(|error| HighAvailabilityError::Damaged {
            key: blob.to_owned(),
            problem: error.to_string(),
        })
    }

    /// Jobs that have ended and are cleaned up, at most so many, in no order. Needs no leadership.
    pub async fn clean(&self, most: usize) -> Result<Vec<JobId>, HighAvailabilityError> {
        let keys = self.context.blobs.list(CLEAN_FOLDER).await?;
        let names = keys.iter().filter_map(|key| key.rsplit('/').next()?.parse().ok());
        Ok(names.take(most).collect())
    }

    /// Whether a job has ended.
    pub async fn has_result(&self, job: JobId) -> Result<bool, HighAvailabilityError> {
        Ok(self.get(job).await?.is_some())
    }

    /// Results of jobs that are still to be cleaned up.
    pub async fn dirty(&self) -> Result<Vec<JobResult>, HighAvailabilityError> {
        let seen = self.context.index.read().await?;
        let mut results = Vec::new();
        for entry in seen.content.jobs.values() {
            if let Some(blob) = &entry.result {
                results.extend(self.read(blob).await?);
            }
        }
        Ok(results)
    }
}
