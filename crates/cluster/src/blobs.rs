//! The blobs of jobs: the JobManager's own, and with high availability copies for the next one.

use std::collections::BTreeSet;

use hurtig_blob::{BlobArchive, BlobStore};
use hurtig_cluster_api::BlobError;
use hurtig_graph::ProgramReference;
use hurtig_types::{BlobId, JobId};

/// Where jobs find their blobs. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct JobBlobs {
    pub(crate) store: BlobStore,
    pub(crate) archive: Option<BlobArchive>,
}

/// What a job cannot be started without.
fn of_program(program: &ProgramReference) -> impl Iterator<Item = BlobId> {
    program.files.values().filter_map(|file| file.blob).chain([program.binary])
}

impl JobBlobs {
    /// Before a job is submitted: the next leader will find what it needs.
    pub(crate) async fn keep(
        &self,
        job: JobId,
        program: &ProgramReference,
    ) -> Result<(), BlobError> {
        let Some(archive) = &self.archive else { return Ok(()) };
        for blob in of_program(program) {
            archive.keep(job, blob, &self.store.path(blob)?).await?;
        }
        Ok(())
    }

    /// Before a job is started: what it needs is here, and stays until it has ended.
    pub(crate) async fn acquire(
        &self,
        job: JobId,
        program: &ProgramReference,
    ) -> Result<(), BlobError> {
        for blob in of_program(program) {
            if let (Err(BlobError::NotFound(_)), Some(archive)) =
                (self.store.path(blob), &self.archive)
            {
                let info = archive.fetch(job, blob, &self.store).await?;
                tracing::info!(job_id = %job, %blob, bytes = info.size_bytes, "blob recovered");
            }
        }
        self.store.reference(job, of_program(program))
    }

    /// Behind the result of a job.
    pub(crate) async fn release(&self, job: JobId) -> Result<(), BlobError> {
        self.store.release(job);
        match &self.archive {
            Some(archive) => archive.release(job).await,
            None => Ok(()),
        }
    }

    /// Deletes what jobs have left that were never submitted. Only for a leader that takes no jobs
    /// meanwhile.
    pub(crate) async fn retain(&self, jobs: &BTreeSet<JobId>) {
        if let Some(archive) = &self.archive
            && let Err(error) = archive.retain(jobs).await
        {
            // The next leader finds it.
            tracing::warn!(%error, "blobs of no job are left behind");
        }
    }
}
