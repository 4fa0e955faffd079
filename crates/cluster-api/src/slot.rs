//! Slots as they are requested, offered and reported.

use hurtig_types::{AllocationId, JobId, ResourceId};
use serde::{Deserialize, Serialize};

use crate::task::PeerAddress;

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
