//! Exports: fencing, names, lifetimes, and gateways that travel.

use std::sync::Arc;

use hurtig_cluster_api::*;
use hurtig_env::{Clock, Runtimes};
use hurtig_rpc::{RpcLimits, RpcService};
use hurtig_types::{AllocationId, JobId, ResourceId};

use crate::{
    recorder::*,
    support::{connected, one, server, soon, with_token},
};

type Master = Arc<dyn JobMasterGateway>;

fn slot() -> SlotId {
    SlotId { resource: ResourceId(1), index: 0 }
}

fn is_unreachable<T: std::fmt::Debug>(answer: RpcResult<T>) -> bool {
    matches!(answer, Err(RpcError::Unreachable { .. }))
}

#[tokio::test]
async fn a_message_must_carry_the_current_token() {
    let (callee, caller) = (server(1).await, server(2).await);
    let export = callee.service().export(RecordingJobMaster::plain(), FencingToken(3)).unwrap();
    let third: Master = caller.service().connect(export.address()).unwrap();
    third.status().await.unwrap();
    let rejected =
        |got, current| RpcError::Fenced { got: FencingToken(got), current: FencingToken(current) };
    for wrong in [2, 4, 0] {
        let address = with_token(export.address(), wrong);
        let client: Master = caller.service().connect(address).unwrap();
        assert_eq!(client.status().await.unwrap_err(), rejected(wrong, 3));
    }
    export.set_token(FencingToken(4));
    assert_eq!(third.status().await.unwrap_err(), rejected(3, 4));
    assert_eq!(export.address().token, FencingToken(4));
    let fourth: Master = caller.service().connect(export.address()).unwrap();
    fourth.status().await.unwrap();
}

#[tokio::test]
async fn an_export_ends_with_its_guard_and_so_do_calls_under_way() {
    let (hold, master) = RecordingJobMaster::held();
    let (_callee, _caller, export, client) = connected(master).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.result().await }
    });
    one(&hold.entered).await;
    drop(export);
    assert!(is_unreachable(soon(waiting).await.unwrap()));
    one(&hold.left).await;
    assert!(is_unreachable(client.status().await));
}

#[tokio::test]
async fn a_name_means_one_gateway_at_a_time() {
    let (callee, caller) = (server(1).await, server(2).await);
    let service = callee.service();
    let first = service.export_as("jm", RecordingJobMaster::plain(), NOT_FENCED).unwrap();
    assert_eq!(first.name(), Some("jm"));
    let refused = service.export_as("jm", RecordingJobMaster::plain(), NOT_FENCED);
    assert!(matches!(refused, Err(RpcError::Rejected(_))), "{refused:?}");
    let client: Master = caller.service().connect_to(service.endpoint(), "jm", NOT_FENCED).unwrap();
    client.status().await.unwrap();
    drop(first);
    assert!(is_unreachable(client.status().await));
    let _second = service.export_as("jm", RecordingJobMaster::plain(), NOT_FENCED).unwrap();
    client.status().await.unwrap();
}

/// A TaskExecutor that keeps the JobMaster that it is told of.
#[derive(Default)]
struct Keeper(parking_lot::Mutex<Option<Master>>);

/// Everything but `request_slot` is of no interest.
macro_rules! keeper {
    ($($method:ident($($type:ty),*) -> $answer:ty;)*) => {
        #[async_trait::async_trait]
        impl TaskExecutorGateway for Keeper {
            async fn request_slot(
                &self,
                _: SlotId,
                _: JobId,
                _: AllocationId,
                _: FencingToken,
                job_master: Master,
            ) -> RpcResult<()> {
                *self.0.lock() = Some(job_master);
                Ok(())
            }

            $(async fn $method(&self, $(_: $type),*) -> RpcResult<$answer> {
                Err(RpcError::Rejected("of no interest".to_owned()))
            })*
        }
    };
}

keeper! {
    job_master_changed(JobId, FencingToken, Arc<dyn JobMasterGateway>) -> ();
    free_slot(AllocationId, String) -> ();
    submit_task(TaskDeploymentDescriptor, FencingToken) -> ();
    cancel_task(hurtig_types::ExecutionAttemptId) -> ();
    send_operator_event(hurtig_types::ExecutionAttemptId, hurtig_types::OperatorId, Vec<u8>) -> ();
    trigger_checkpoint(hurtig_types::ExecutionAttemptId, hurtig_types::CheckpointBarrier) -> ();
    notify_checkpoint_complete(
        hurtig_types::ExecutionAttemptId, hurtig_types::CheckpointId) -> ();
    notify_checkpoint_aborted(
        hurtig_types::ExecutionAttemptId, hurtig_types::CheckpointId) -> ();
    heartbeat_from_resource_manager() -> ();
    heartbeat_from_job_master(JobId, Vec<AllocationId>) -> JobHeartbeatAnswer;
    disconnect_job_master(JobId, String) -> ();
    query_metrics(hurtig_metrics::MetricsQuery) -> hurtig_metrics::MetricsSnapshot;
}

impl Keeper {
    fn kept(&self) -> Master {
        self.0.lock().clone().expect("it was told of a JobMaster")
    }
}

async fn tell(executor: &Arc<dyn TaskExecutorGateway>, master: Master) -> RpcResult<()> {
    executor.request_slot(slot(), JobId(1), AllocationId(1), NOT_FENCED, master).await
}

#[tokio::test]
async fn a_gateway_that_is_passed_on_leads_to_its_own_process() {
    let (owner, middle) = (server(1).await, server(2).await);
    let keeper = Arc::new(Keeper::default());
    let (third, _caller, executor, _) = connected::<dyn TaskExecutorGateway>(keeper.clone()).await;
    let export = owner.service().export(RecordingJobMaster::plain(), FencingToken(7)).unwrap();
    let master: Master = middle.service().connect(export.address()).unwrap();
    let executor: Arc<dyn TaskExecutorGateway> =
        middle.service().connect(executor.address()).unwrap();
    tell(&executor, master).await.unwrap();
    middle.shutdown().await;
    let kept = keeper.kept();
    assert_eq!(*kept.peer().identity(), Identity::Remote(export.address()));
    kept.status().await.unwrap();
    drop(third);
}

#[tokio::test]
async fn a_gateway_that_comes_home_is_itself() {
    let keeper = Arc::new(Keeper::default());
    let (home, abroad, executor, _) = connected::<dyn TaskExecutorGateway>(keeper.clone()).await;
    let master = RecordingJobMaster::plain();
    let address = home.service().address_of(&master).unwrap();
    let client: Master = abroad.service().connect(address).unwrap();
    let executor: Arc<dyn TaskExecutorGateway> =
        abroad.service().connect(executor.address()).unwrap();
    tell(&executor, client).await.unwrap();
    assert!(Arc::ptr_eq(&keeper.kept(), &master));
}

/// A JobMaster with a mailbox, of which there may be many handles.
macro_rules! handle {
    ($($method:ident($($type:ty),*) -> $answer:ty;)*) => {
        #[async_trait::async_trait]
        impl JobMasterGateway for Handle {
            fn peer(&self) -> Peer {
                self.mailbox.peer()
            }

            $(async fn $method(&self, $(_: $type),*) -> RpcResult<$answer> {
                self.mailbox.tell(()).await?;
                Err(RpcError::Rejected("it is there".to_owned()))
            })*
        }
    };
}

#[derive(Clone)]
struct Handle {
    mailbox: Mailbox<()>,
    // Shows by its count whether a handle is held anywhere.
    held: Arc<tokio::sync::watch::Sender<()>>,
}

handle! {
    offer_slots(ResourceId, PeerAddress, Arc<dyn TaskExecutorGateway>, Vec<SlotOffer>)
        -> Vec<AllocationId>;
    offer_occupied_slots(
        ResourceId,
        PeerAddress,
        Arc<dyn TaskExecutorGateway>,
        Vec<OccupiedSlot>
    ) -> Vec<AllocationId>;
    update_task_state(TaskStateUpdate) -> ();
    send_operator_event(hurtig_types::ExecutionAttemptId, hurtig_types::OperatorId, Vec<u8>) -> ();
    acknowledge_checkpoint(
        hurtig_types::ExecutionAttemptId,
        hurtig_types::CheckpointId,
        hurtig_types::TaskStateSnapshot,
        hurtig_types::CheckpointMetrics
    ) -> ();
    decline_checkpoint(
        hurtig_types::ExecutionAttemptId,
        hurtig_types::CheckpointId,
        hurtig_types::CheckpointException
    ) -> ();
    trigger_checkpoint(bool) -> String;
    trigger_savepoint(String, hurtig_types::SavepointFormat) -> String;
    stop_with_savepoint(
        String, hurtig_types::SavepointFormat, hurtig_types::TerminateKind) -> String;
    checkpoint_stats() -> CheckpointStatsSnapshot;
    fail_slot(AllocationId, String) -> ();
    disconnect_task_executor(ResourceId, String) -> ();
    task_host_failed(ResourceId, String) -> ();
    program() -> Option<hurtig_graph::ProgramReference>;
    notify_not_enough_slots(u32) -> ();
    resource_requirements() -> hurtig_cluster_api::JobResourceRequirements;
    update_resource_requirements(hurtig_cluster_api::JobResourceRequirements) -> ();
    cancel() -> ();
    status() -> JobStatus;
    details() -> JobDetails;
    accumulators() -> std::collections::BTreeMap<String, hurtig_metrics::AccumulatorValue>;
    query_metrics(hurtig_metrics::MetricsQuery) -> hurtig_metrics::MetricsSnapshot;
    result() -> JobResult;
    coordination_request(hurtig_types::OperatorId, Vec<u8>) -> Vec<u8>;
}

#[tokio::test]
async fn an_actor_is_exported_once_however_many_handles_travel_and_no_longer_than_it_lives() {
    let home = server(1).await;
    let (mailbox, inbox) = Mailbox::new("JobMaster");
    let (held, mut seen) = tokio::sync::watch::channel(());
    let handle = Handle { mailbox, held: Arc::new(held) };
    let again = || -> Master { Arc::new(handle.clone()) };
    let address = home.service().address_of(&again()).unwrap();
    for _ in 0..3 {
        assert_eq!(home.service().address_of(&again()).unwrap(), address);
    }
    let abroad = server(2).await;
    let client: Master = abroad.service().connect(address).unwrap();
    assert_eq!(client.status().await.unwrap_err(), RpcError::Rejected("it is there".to_owned()));
    assert!(Arc::strong_count(&handle.held) == 2, "ours and that of the export");
    drop(handle);
    drop(inbox);
    // The last sender goes when the export does.
    soon(seen.changed()).await.unwrap_err();
    assert!(is_unreachable(client.status().await));
}

#[tokio::test]
async fn a_process_without_server_cannot_pass_its_gateways() {
    let keeper = Arc::new(Keeper::default());
    let (_callee, _caller, export, _) = connected::<dyn TaskExecutorGateway>(keeper).await;
    let (limits, runtimes) = (RpcLimits::default(), Runtimes::current());
    let service = RpcService::client_only(limits, None, &runtimes, Clock::system());
    let executor: Arc<dyn TaskExecutorGateway> = service.connect(export.address()).unwrap();
    let refused = tell(&executor, RecordingJobMaster::plain()).await.unwrap_err();
    assert_eq!(refused.to_string(), "a JobMaster cannot be called here: there is no RPC server");
}

#[tokio::test]
async fn a_new_process_at_the_same_address_is_reached_by_name_alone() {
    let (first, caller) = (server(1).await, server(2).await);
    let endpoint = first.service().endpoint().to_owned();
    let master = RecordingJobMaster::plain();
    let export = first.service().export_as("jm", master.clone(), NOT_FENCED).unwrap();
    let by_id: Master = caller.service().connect(export.address()).unwrap();
    let by_name: Master = caller.service().connect_to(&endpoint, "jm", NOT_FENCED).unwrap();
    by_id.status().await.unwrap();
    let gone = by_name.peer().gone();
    drop(export);
    first.shutdown().await;
    soon(gone).await;

    let port = endpoint.rsplit_once(':').unwrap().1;
    let mut config = hurtig_rpc::RpcConfig::loopback(3);
    config.bind_ports = hurtig_config::value::PortRange::single(port.parse().unwrap());
    let (runtimes, clock) = (Runtimes::current(), Clock::system());
    let second = hurtig_rpc::RpcServer::start(config, &runtimes, clock).await.unwrap();
    let _export = second.service().export_as("jm", master, NOT_FENCED).unwrap();
    // Right after a loss the gate is closed for a moment.
    let back = async {
        while is_unreachable(by_name.status().await) {
            tokio::task::yield_now().await;
        }
    };
    soon(back).await;
    by_name.status().await.unwrap();
    assert!(is_unreachable(by_id.status().await), "that was another process");
}
