//! The jobs of the cluster: their graphs and their results.
//!
//! One fenced record lists all jobs that have not been cleaned up, with the blobs that hold their
//! graphs and results. So a job is in one state for everybody, and changes it at one moment:
//!
//! ```text
//!            put                   create_dirty              mark_clean
//! (unknown) -----> submitted ----------------------> dirty ------------> clean
//!                  graph                             graph, result       result blob alone
//! ```
//!
//! - *submitted*: a new leader of the cluster recovers the job.
//! - *dirty*: the job has ended, what it has left is being cleaned up; a new leader goes on with
//!   that, and does not run the job.
//! - *clean*: only the result is left, in a blob by the job's id, so that clients learn the
//!   outcome and the job does not run again.
//!
//! The clean result is written before the job leaves the record, and looked for after the record
//! was read: so one of the two always shows that the job has ended.
//!
//! Deliberately absent: the expiry of clean results (whoever owns the storage deletes them).

use std::{collections::BTreeMap, sync::Arc};

use hurtig_types::JobId;
use serde::{Deserialize, Serialize};

use crate::{
    error::HighAvailabilityError,
    options::RetryOptions,
    register::{Change, FencedRegister},
    store::RecordStore,
};

mod blobs;
mod graphs;
mod results;

pub(crate) use blobs::Blobs;
pub use graphs::{JobGraphStore, StoredJob, SubmittedJob};
pub use results::JobResultStore;

/// Key of the record of jobs.
pub(crate) const JOBS_KEY: &str = "jobs-index";

/// The content of the record of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobIndex {
    /// By the job's id, in hexadecimal.
    pub jobs: BTreeMap<String, JobEntry>,
}

/// A job in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobEntry {
    /// Blob of its graph.
    pub graph: String,
    /// Blob of its result, if it has ended.
    pub result: Option<String>,
}

type Decision<R> = Result<Change<JobIndex, R>, HighAvailabilityError>;

impl JobIndex {
    fn get(&self, job: JobId) -> Option<&JobEntry> {
        self.jobs.get(&job.to_string())
    }

    /// Adds a job whose graph is in that blob.
    fn add(mut self, job: JobId, graph: &str) -> Decision<()> {
        match self.get(job) {
            Some(JobEntry { result: Some(_), .. }) => Err(HighAvailabilityError::JobEnded { job }),
            // The answer to an earlier try was lost.
            Some(entry) if entry.graph == graph => Ok(Change::None(())),
            Some(_) => Err(HighAvailabilityError::JobExists { job }),
            None => {
                let entry = JobEntry { graph: graph.to_owned(), result: None };
                self.jobs.insert(job.to_string(), entry);
                Ok(Change::To(self, ()))
            }
        }
    }

    /// Names another graph for a job; returns the blob that it takes the place of.
    fn replace_graph(mut self, job: JobId, graph: &str) -> Decision<Option<String>> {
        match self.jobs.get_mut(&job.to_string()) {
            None => Err(HighAvailabilityError::JobUnknown { job }),
            Some(JobEntry { result: Some(_), .. }) => Err(HighAvailabilityError::JobEnded { job }),
            Some(entry) if entry.graph == graph => Ok(Change::None(None)),
            Some(entry) => {
                let old = std::mem::replace(&mut entry.graph, graph.to_owned());
                Ok(Change::To(self, Some(old)))
            }
        }
    }

    /// The job has ended with the result in that blob. The first result stands.
    fn end(mut self, job: JobId, result: &str) -> Decision<()> {
        match self.jobs.get_mut(&job.to_string()) {
            None => Err(HighAvailabilityError::JobUnknown { job }),
            Some(entry) => match &entry.result {
                Some(known) if known == result => Ok(Change::None(())),
                Some(_) => Err(HighAvailabilityError::JobEnded { job }),
                None => {
                    entry.result = Some(result.to_owned());
                    Ok(Change::To(self, ()))
                }
            },
        }
    }

    /// Takes out a job that has ended.
    fn remove(mut self, job: JobId) -> Decision<()> {
        match self.get(job) {
            None => Ok(Change::None(())),
            Some(JobEntry { result: None, .. }) => Err(not_ended(job)),
            Some(_) => {
                self.jobs.remove(&job.to_string());
                Ok(Change::To(self, ()))
            }
        }
    }

    fn blobs(&self) -> impl Iterator<Item = &str> {
        self.jobs
            .values()
            .flat_map(|entry| [Some(&*entry.graph), entry.result.as_deref()].into_iter().flatten())
    }
}

/// What both stores share.
#[derive(Clone, Debug)]
pub(crate) struct JobsContext {
    pub index: FencedRegister<JobIndex>,
    pub records: Arc<dyn RecordStore>,
    pub blobs: Blobs,
    pub retry: RetryOptions,
    pub delete_results: bool,
}

/// Folder of the blobs of clean results.
const CLEAN_FOLDER: &str = "job-results";

/// Key of the blob of a clean result.
fn clean_key(job: JobId) -> String {
    format!("{CLEAN_FOLDER}/{job}")
}

fn not_ended(job: JobId) -> HighAvailabilityError {
    HighAvailabilityError::JobNotEnded { job }
}
