//! The register of a job's completed checkpoints: what outlives a JobMaster.
//!
//! It belongs to one JobMaster at a time. A checkpoint counts once its pointer is in it, and
//! nothing of a checkpoint in it is deleted before it was taken out. So a JobMaster that has been
//! superseded without knowing it completes no checkpoint, and deletes none.

use async_trait::async_trait;
use hurtig_types::CheckpointId;
use serde::{Deserialize, Serialize};

use crate::{gateway::RpcResult, peer::Peer};

/// A completed checkpoint and where its metadata is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointPointer {
    /// Its number.
    pub id: CheckpointId,
    /// Its directory, a URL.
    pub external_pointer: String,
    /// It is the job's to delete; not so a savepoint that was to stop it.
    pub owned: bool,
}

/// What earlier JobMasters have left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveredCheckpoints {
    /// Which JobMaster of the job this is: 1 for the first.
    pub job_master: u32,
    /// The first checkpoint number that no earlier one can have used.
    pub first_id: CheckpointId,
    /// Completed checkpoints that are retained, oldest first.
    pub completed: Vec<CheckpointPointer>,
}

/// The register, as the JobMaster of one fencing token sees it.
///
/// After [`crate::RpcError::Fenced`] a later JobMaster has it; after `NotFound` the job has been
/// cleaned up. After `Timeout` or `Unreachable` a change may have happened: all calls may be made
/// again.
#[async_trait]
pub trait CheckpointRegister: Send + Sync {
    /// Who is behind this gateway.
    fn peer(&self) -> Peer {
        Peer::unknown()
    }
    /// Takes the register over. From now on no earlier JobMaster can change it.
    async fn recover(&self) -> RpcResult<RecoveredCheckpoints>;
    /// Completes a checkpoint and lets go of those that it subsumes, at one moment. Numbers below
    /// `reserved` are this JobMaster's.
    async fn add(
        &self,
        pointer: CheckpointPointer,
        subsumed: Vec<CheckpointId>,
        reserved: CheckpointId,
    ) -> RpcResult<()>;
    /// Numbers below this are this JobMaster's.
    async fn reserve(&self, below: CheckpointId) -> RpcResult<()>;
}
