//! Roles behind sockets: what they notice of each other.

use std::{sync::Arc, time::Duration};

use hurtig_cluster_api::*;
use hurtig_env::{Clock, Runtimes};
use hurtig_resource_manager::ResourceManager;
use hurtig_types::{JobId, ResourceId};

use crate::{
    recorder::{Log, RecordingJobMaster, RecordingTaskExecutor},
    support::{one, server, soon},
};

/// Long enough that no heartbeat plays a part.
const AN_HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn the_death_of_a_task_executor_is_told_long_before_a_heartbeat_is_missed() {
    let (manager_side, executor_side, master_side) =
        (server(1).await, server(2).await, server(3).await);
    let (runtimes, clock) = (Runtimes::current(), Clock::system());
    let manager = ResourceManager::start(&runtimes, clock, 1, AN_HOUR, AN_HOUR);
    let manager: Arc<dyn ResourceManagerGateway> = Arc::new(manager);
    let export = manager_side.service().export(manager.clone(), NOT_FENCED).unwrap();

    let (hold, master) = RecordingJobMaster::held();
    let seen_by_master: Arc<dyn ResourceManagerGateway> =
        master_side.service().connect(export.address()).unwrap();
    seen_by_master.register_job_master(JobId(1), FencingToken(1), master).await.unwrap();

    let seen_by_executor: Arc<dyn ResourceManagerGateway> =
        executor_side.service().connect(export.address()).unwrap();
    let registration = TaskExecutorRegistration {
        resource: ResourceId(5),
        rpc_address: executor_side.service().endpoint().to_owned(),
        data_address: PeerAddress { resource: ResourceId(5), address: "nowhere:1".to_owned() },
        slots: SlotReport { slots: Vec::new() },
    };
    let executor = Arc::new(RecordingTaskExecutor::new(Log::default()));
    seen_by_executor.register_task_executor(registration, executor).await.unwrap();
    assert_eq!(seen_by_master.task_executors().await.unwrap().len(), 1);

    drop(executor_side);
    // The JobMaster is told...
    one(&hold.entered).await;
    hold.release.add_permits(1);
    // ... by a ResourceManager that knows.
    assert_eq!(soon(manager.task_executors()).await.unwrap().len(), 0);
}
