//! The gateways between a host and the process that started it.

use std::sync::Arc;

use hurtig_cluster_api::{
    CheckpointNews, ExecutionState, FencingToken, HostId, HostParentGateway, JobMasterGateway,
    PeerAddress, TaskDeploymentDescriptor, TaskHostGateway, TaskIoMetrics,
};
use hurtig_metrics::{MetricsQuery, MetricsSnapshot};
use hurtig_types::{AllocationId, ExecutionAttemptId, OperatorId};

use crate::{argument::plain_arguments, gateway::gateway};

mod task_host {
    use super::*;

    gateway! { TaskHostGateway, "task host":
        ask set_job_master(
            token: FencingToken,
            gateway: Arc<dyn JobMasterGateway>,
        ) -> Vec<(ExecutionAttemptId, ExecutionState)>;
        ask forget_job_master() -> ();
        ask submit_task(deployment: TaskDeploymentDescriptor) -> ();
        ask cancel_task(attempt: ExecutionAttemptId) -> ();
        ask send_operator_event(
            attempt: ExecutionAttemptId,
            operator: OperatorId,
            event: Vec<u8>,
        ) -> ();
        ask notify_checkpoint(attempt: ExecutionAttemptId, news: CheckpointNews) -> ();
        ask release_slot(allocation: AllocationId) -> ();
        ask io_metrics() -> Vec<(ExecutionAttemptId, TaskIoMetrics)>;
        ask query_metrics(query: MetricsQuery) -> MetricsSnapshot;
        ask shut_down() -> ();
    }
}

mod parent {
    use super::*;

    gateway! { HostParentGateway, "parent of the host":
        ask task_host_ready(
            host: HostId,
            data_address: PeerAddress,
            gateway: Arc<dyn TaskHostGateway>,
        ) -> ();
        ask task_ended(host: HostId, attempt: ExecutionAttemptId) -> ();
        ask job_master_lost(host: HostId, reason: String) -> ();
        ask job_master_ready(host: HostId, gateway: Arc<dyn JobMasterGateway>) -> ();
        ask host_failed(host: HostId, reason: String) -> ();
    }
}

plain_arguments!(
    CheckpointNews,
    HostId,
    Vec<(ExecutionAttemptId, ExecutionState)>,
    Vec<(ExecutionAttemptId, TaskIoMetrics)>,
);
