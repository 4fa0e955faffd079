//! Slots as they are requested, offered and reported.

use std::collections::BTreeMap;

use hurtig_types::{AllocationId, CheckpointId, ExecutionAttemptId, JobId, OperatorId, ResourceId};
use serde::{Deserialize, Serialize};

use crate::task::{ExecutionState, PeerAddress};

/// Proof of leadership: the number of a leader's session. A higher one supersedes a lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FencingToken(pub u64);

/// One slot of one TaskExecutor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SlotId {
    /// The TaskExecutor.
    pub resource: ResourceId,
    /// Index of the slot in it.
    pub index: u32,
}

/// A slot that a TaskExecutor offers to the JobMaster that it was allocated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotOffer {
    /// The grant.
    pub allocation: AllocationId,
    /// The slot.
    pub slot: SlotId,
}

/// A task in a slot that is offered to a JobMaster which has taken its job over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurvivingTask {
    /// The attempt.
    pub attempt: ExecutionAttemptId,
    /// Its state.
    pub state: ExecutionState,
    /// Checkpoints that began here, or that it was restored from.
    pub began: Vec<CheckpointId>,
    /// Those of them that began since an event of its coordinator was delivered to an operator last,
    /// of operators to which one was: what the coordinator has told it is part of each of them.
    pub quiet_since: BTreeMap<OperatorId, Vec<CheckpointId>>,
    /// Checkpoints that began here and of whose end nothing is known.
    pub under_way: Vec<CheckpointId>,
}

impl SurvivingTask {
    /// True if a checkpoint covers all that an operator's coordinator has told it.
    pub fn is_quiet_since(&self, operator: OperatorId, checkpoint: CheckpointId) -> bool {
        self.quiet_since.get(&operator).unwrap_or(&self.began).contains(&checkpoint)
    }
}

/// A slot with its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OccupiedSlot {
    /// The slot.
    pub offer: SlotOffer,
    /// What runs in it.
    pub tasks: Vec<SurvivingTask>,
}

/// One slot in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotStatus {
    /// The slot.
    pub slot: SlotId,
    /// Whom it is allocated to, if not free.
    pub allocated: Option<(AllocationId, JobId)>,
}

/// All slots of one TaskExecutor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotReport {
    /// The slots, by index.
    pub slots: Vec<SlotStatus>,
}

/// What a TaskExecutor tells the ResourceManager when it registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskExecutorRegistration {
    /// Its id.
    pub resource: ResourceId,
    /// Where its gateway answers (embedded: a name).
    pub rpc_address: String,
    /// Where its data plane listens.
    pub data_address: PeerAddress,
    /// Its slots.
    pub slots: SlotReport,
}
