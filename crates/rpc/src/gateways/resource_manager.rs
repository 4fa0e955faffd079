//! The ResourceManager's gateway.

use std::sync::Arc;

use hurtig_cluster_api::{
    FencingToken, JobMasterGateway, ResourceManagerGateway, SlotId, SlotReport,
    TaskExecutorGateway, TaskExecutorOverview, TaskExecutorRegistration,
};
use hurtig_metrics::{MetricsQuery, MetricsSnapshot};
use hurtig_types::{AllocationId, JobId, ResourceId};

use crate::{argument::plain_arguments, gateway::gateway};

gateway! { ResourceManagerGateway, "ResourceManager":
    ask register_task_executor(
        registration: TaskExecutorRegistration,
        gateway: Arc<dyn TaskExecutorGateway>,
    ) -> ();
    ask heartbeat_from_task_executor(resource: ResourceId, slots: SlotReport) -> ();
    ask disconnect_task_executor(resource: ResourceId, reason: String) -> ();
    ask notify_slot_available(slot: SlotId, allocation: AllocationId) -> ();
    ask register_job_master(
        job: JobId,
        token: FencingToken,
        gateway: Arc<dyn JobMasterGateway>,
    ) -> ();
    ask disconnect_job_master(job: JobId, token: FencingToken) -> ();
    ask declare_required_slots(job: JobId, token: FencingToken, slots: u32) -> ();
    ask task_executors() -> Vec<TaskExecutorOverview>;
    ask query_metrics(query: MetricsQuery) -> MetricsSnapshot;
}

plain_arguments!(
    AllocationId,
    FencingToken,
    ResourceId,
    SlotId,
    SlotReport,
    TaskExecutorRegistration,
);
