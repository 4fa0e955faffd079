//! The register of a job's checkpoints, for a JobMaster in a process of its own.

use hurtig_cluster_api::{CheckpointPointer, CheckpointRegister, RecoveredCheckpoints};
use hurtig_types::CheckpointId;

use crate::{argument::plain_arguments, gateway::gateway};

gateway! { CheckpointRegister, "register of checkpoints":
    ask recover() -> RecoveredCheckpoints;
    ask add(
        pointer: CheckpointPointer,
        subsumed: Vec<CheckpointId>,
        reserved: CheckpointId,
    ) -> ();
    ask reserve(below: CheckpointId) -> ();
}

plain_arguments!(CheckpointPointer, RecoveredCheckpoints, Vec<CheckpointId>);
