//! The JobMaster's gateway.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_cluster_api::{
    CheckpointStatsSnapshot, JobDetails, JobMasterGateway, JobResourceRequirements, JobResult,
    JobStatus, OccupiedSlot, PeerAddress, SlotOffer, TaskExecutorGateway, TaskStateUpdate,
};
use hurtig_graph::ProgramReference;
use hurtig_metrics::{AccumulatorValue, MetricsQuery, MetricsSnapshot};
use hurtig_types::{
    AllocationId, CheckpointException, CheckpointId, CheckpointMetrics, ExecutionAttemptId,
    OperatorId, ResourceId, SavepointFormat, TaskStateSnapshot, TerminateKind,
};

use crate::{argument::plain_arguments, gateway::gateway};

gateway! { JobMasterGateway, "JobMaster":
    ask offer_slots(
        resource: ResourceId,
        data_address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<SlotOffer>,
    ) -> Vec<AllocationId>;
    ask offer_occupied_slots(
        resource: ResourceId,
        data_address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<OccupiedSlot>,
    ) -> Vec<AllocationId>;
    ask update_task_state(update: TaskStateUpdate) -> ();
    ask send_operator_event(
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> ();
    ask acknowledge_checkpoint(
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        snapshot: TaskStateSnapshot,
        metrics: CheckpointMetrics,
    ) -> ();
    ask decline_checkpoint(
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: CheckpointException,
    ) -> ();
    wait trigger_checkpoint(full: bool) -> String;
    wait trigger_savepoint(directory: String, format: SavepointFormat) -> String;
    wait stop_with_savepoint(
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> String;
    ask checkpoint_stats() -> CheckpointStatsSnapshot;
    ask fail_slot(allocation: AllocationId, reason: String) -> ();
    ask disconnect_task_executor(resource: ResourceId, reason: String) -> ();
    ask task_host_failed(resource: ResourceId, reason: String) -> ();
    ask program() -> Option<ProgramReference>;
    ask notify_not_enough_slots(available: u32) -> ();
    ask resource_requirements() -> JobResourceRequirements;
    ask update_resource_requirements(requirements: JobResourceRequirements) -> ();
    ask cancel() -> ();
    ask status() -> JobStatus;
    ask details() -> JobDetails;
    ask accumulators() -> BTreeMap<String, AccumulatorValue>;
    ask query_metrics(query: MetricsQuery) -> MetricsSnapshot;
    wait result() -> JobResult;
    ask coordination_request(operator: OperatorId, request: Vec<u8>) -> Vec<u8>;
}

plain_arguments!(
    CheckpointException,
    CheckpointMetrics,
    PeerAddress,
    ProgramReference,
    TaskStateSnapshot,
    TaskStateUpdate,
    Vec<OccupiedSlot>,
    Vec<SlotOffer>,
);
