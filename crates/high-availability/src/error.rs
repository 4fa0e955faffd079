//! What can go wrong above the stores.

use hurtig_cluster_api::FencingToken;
use hurtig_types::JobId;

use crate::store::RecordStoreError;

/// Why a service of high availability did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum HighAvailabilityError {
    /// A later leader has taken the record: the caller leads no more.
    #[error("record {key:?} belongs to leader {current:?}, not to {mine:?}")]
    Fenced {
        /// The record.
        key: String,
        /// The caller's token.
        mine: FencingToken,
        /// The token in the record.
        current: FencingToken,
    },
    /// The store did not answer within the patience of the options: the change may have happened.
    #[error("record {key:?} could not be changed for certain")]
    Uncertain {
        /// The record.
        key: String,
        /// The last answer.
        source: RecordStoreError,
    },
    /// The store refused or cannot be read.
    #[error(transparent)]
    Store(#[from] RecordStoreError),
    /// Bytes that are not what they should be.
    #[error("record {key:?} is damaged: {problem}")]
    Damaged {
        /// The record.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// The record would become larger than stores can take.
    #[error("record {key:?} would have {bytes} bytes, at most {limit} are possible")]
    TooLarge {
        /// The record.
        key: String,
        /// Its size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
    /// A job of that id is known already.
    #[error("job {job} has been submitted already")]
    JobExists {
        /// The job.
        job: JobId,
    },
    /// The job has ended; it does not run again.
    #[error("job {job} has ended already")]
    JobEnded {
        /// The job.
        job: JobId,
    },
    /// The job has not ended, so it must not be cleaned up.
    #[error("job {job} has not ended")]
    JobNotEnded {
        /// The job.
        job: JobId,
    },
    /// No such job.
    #[error("job {job} is not known")]
    JobUnknown {
        /// The job.
        job: JobId,
    },
    /// The store wrote a record though its condition did not hold: it is of no use here.
    #[error("the store of {key:?} does not keep to the conditions of writes")]
    Unconditional {
        /// The record.
        key: String,
    },
    /// The configuration does not fit together.
    #[error("{key}: {problem}")]
    Configuration {
        /// The option.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The leader election has been closed.
    #[error("the leader election of {scope} is closed")]
    Closed {
        /// The scope.
        scope: String,
    },
}

impl HighAvailabilityError {
    /// True if a later leader is there.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }

    /// True if what was read proves that the change has not happened and never will.
    pub(crate) fn proves_no_change(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::JobExists { .. } | Self::JobEnded { .. })
    }

    /// True if a change may have happened although it is not known to. What it would have made
    /// reachable must not be deleted.
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Self::Uncertain { .. } | Self::Store(RecordStoreError::Unavailable { .. }))
    }
}
