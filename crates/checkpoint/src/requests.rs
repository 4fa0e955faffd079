//! Requests for checkpoints that wait for their turn.
//!
//! Order: savepoints, then what users ask for, then the periodic trigger; equals in the order of
//! arrival. At most one periodic request waits, since a second would ask for the same. The queue
//! is bounded; a user's request beyond the bound is refused.
//!
//! Unlike Flink's, aligned savepoints are not exempt from the most checkpoints at once.

use std::{collections::VecDeque, sync::Arc};

use hurtig_types::{CheckpointType, SavepointFormat, TerminateKind};

/// Most requests of users that wait.
pub const MOST_QUEUED_REQUESTS: usize = 1000;

/// A user's request, numbered by whoever answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What a user asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotRequest {
    /// A checkpoint now.
    Checkpoint {
        /// One that names no file of earlier ones.
        full: bool,
    },
    /// A savepoint.
    Savepoint {
        /// Layout.
        format: SavepointFormat,
        /// The job is to stop after it.
        terminate: Option<TerminateKind>,
        /// The directory of this savepoint, as an absolute URL; nothing else may be in it.
        directory: Arc<str>,
    },
}

impl SnapshotRequest {
    /// What is to be taken.
    pub fn checkpoint_type(&self) -> CheckpointType {
        match self {
            Self::Checkpoint { full: false } => CheckpointType::Checkpoint,
            Self::Checkpoint { full: true } => CheckpointType::FullCheckpoint,
            Self::Savepoint { format, terminate, .. } => {
                CheckpointType::Savepoint { format: *format, terminate: *terminate }
            }
        }
    }

    /// Where to, if not to the job's checkpoints.
    pub fn target(&self) -> Option<Arc<str>> {
        match self {
            Self::Checkpoint { .. } => None,
            Self::Savepoint { directory, .. } => Some(directory.clone()),
        }
    }
}

/// A request that may wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedRequest {
    /// What.
    pub request: SnapshotRequest,
    /// Who is to be answered; nobody for a periodic trigger.
    pub answer: Option<RequestId>,
}

impl QueuedRequest {
    /// The periodic trigger's.
    pub fn periodic() -> Self {
        Self { request: SnapshotRequest::Checkpoint { full: false }, answer: None }
    }

    /// True for the periodic trigger's.
    pub fn is_periodic(&self) -> bool {
        self.answer.is_none()
    }

    fn rank(&self) -> u8 {
        match (&self.request, self.answer) {
            (SnapshotRequest::Savepoint { .. }, _) => 0,
            (SnapshotRequest::Checkpoint { .. }, Some(_)) => 1,
            (SnapshotRequest::Checkpoint { .. }, None) => 2,
        }
    }
}

/// The queue.
#[derive(Clone, Debug, Default)]
pub struct RequestQueue {
    waiting: VecDeque<QueuedRequest>,
}

impl RequestQueue {
    /// Adds a request; gives it back if there are too many.
    pub fn push(&mut self, request: QueuedRequest) -> Result<(), QueuedRequest> {
        if request.is_periodic() {
            if !self.waiting.iter().any(QueuedRequest::is_periodic) {
                self.waiting.push_back(request);
            }
            return Ok(());
        }
        if self.waiting.len() >= MOST_QUEUED_REQUESTS {
            return Err(request);
        }
        let behind = self.waiting.iter().position(|other| other.rank() > request.rank());
        self.waiting.insert(behind.unwrap_or(self.waiting.len()), request);
        Ok(())
    }

    /// The next request.
    pub fn first(&self) -> Option<&QueuedRequest> {
        self.waiting.front()
    }

    /// Takes the next request.
    pub fn pop(&mut self) -> Option<QueuedRequest> {
        self.waiting.pop_front()
    }

    /// Takes a user's request out.
    pub fn remove(&mut self, answer: RequestId) -> Option<QueuedRequest> {
        let position = self.waiting.iter().position(|other| other.answer == Some(answer))?;
        self.waiting.remove(position)
    }

    /// Takes all.
    pub fn drain(&mut self) -> Vec<QueuedRequest> {
        self.waiting.drain(..).collect()
    }

    /// Number of requests.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True if none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
