//! The TaskExecutor's gateway.

use std::sync::Arc;

use hurtig_cluster_api::{
    FencingToken, JobHeartbeatAnswer, JobMasterGateway, SlotId, TaskDeploymentDescriptor,
    TaskExecutorGateway,
};
use hurtig_metrics::{MetricsQuery, MetricsSnapshot};
use hurtig_types::{
    AllocationId, CheckpointBarrier, CheckpointId, ExecutionAttemptId, JobId, OperatorId,
};

use crate::{argument::plain_arguments, gateway::gateway};

gateway! { TaskExecutorGateway, "TaskExecutor":
    ask request_slot(
        slot: SlotId,
        job: JobId,
        allocation: AllocationId,
        job_master_token: FencingToken,
        job_master: Arc<dyn JobMasterGateway>,
    ) -> ();
    ask job_master_changed(
        job: JobId,
        token: FencingToken,
        job_master: Arc<dyn JobMasterGateway>,
    ) -> ();
    ask free_slot(allocation: AllocationId, reason: String) -> ();
    ask submit_task(deployment: TaskDeploymentDescriptor, token: FencingToken) -> ();
    ask cancel_task(attempt: ExecutionAttemptId) -> ();
    ask send_operator_event(
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> ();
    ask trigger_checkpoint(attempt: ExecutionAttemptId, barrier: CheckpointBarrier) -> ();
    ask notify_checkpoint_complete(
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> ();
    ask notify_checkpoint_aborted(
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> ();
    ask heartbeat_from_resource_manager() -> ();
    ask heartbeat_from_job_master(job: JobId, slots: Vec<AllocationId>) -> JobHeartbeatAnswer;
    ask disconnect_job_master(job: JobId, reason: String) -> ();
    ask query_metrics(query: MetricsQuery) -> MetricsSnapshot;
}

plain_arguments!(
    CheckpointBarrier,
    CheckpointId,
    ExecutionAttemptId,
    JobHeartbeatAnswer,
    TaskDeploymentDescriptor,
    Vec<AllocationId>,
);
