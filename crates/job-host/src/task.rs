//! The task host: what the TaskExecutor's host does in the TaskExecutor's own process, it does
//! here, driven by messages.

use std::sync::Arc;

use async_trait::async_trait;
use hurtig_cluster_api::{
    CheckpointNews, ExecutionState, FencingToken, HostParentGateway, Inbox, JobMasterGateway,
    Leader, Mailbox, Peer, RpcResult, TaskDeploymentDescriptor, TaskHostGateway, TaskIoMetrics,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_metrics::{MetricOptions, MetricRegistry, MetricsQuery, MetricsSnapshot};
use hurtig_network::{NetworkConfig, NetworkEnvironment, TcpTransport, TlsTransport, Transport};
use hurtig_operator_api::{Program, ProgramStore};
use hurtig_process_host::random_bits;
use hurtig_rpc::{RpcConfig, RpcServer};
use hurtig_storage::{LocalStateOptions, LocalStateStores, checkpoints::memory_stores};
use hurtig_task_executor::{
    HostListener, HostNews, LocalTaskHosts, Reply, StartedHost, TaskExecutorServices, TaskHost,
    TaskHostProvider, TaskStates,
};
use hurtig_types::{AllocationId, ExecutionAttemptId, OperatorId};
use tokio::sync::{mpsc, oneshot};

use crate::{
    job_master::{failed, parent_of, until_gone},
    run::{HostError, HostTls},
    spec::TaskRole,
};

/// What a task host works with, from the cluster's configuration.
#[derive(Clone, Debug, Default)]
pub struct TaskHostSettings {
    /// The network stack.
    pub network: NetworkConfig,
    /// Copies of state on the local disk, for local recovery; `None` for none.
    pub local_state: Option<LocalStateOptions>,
    /// Threads that run tasks; `None` for one per core.
    pub compute_threads: Option<usize>,
    /// Scopes and bounds of metrics.
    pub metrics: MetricOptions,
}

enum Message {
    JobMaster(Leader<dyn JobMasterGateway>, Reply<TaskStates>),
    ForgetJobMaster,
    Submit(Box<TaskDeploymentDescriptor>, Reply<()>),
    Cancel(ExecutionAttemptId),
    Event(ExecutionAttemptId, OperatorId, Vec<u8>),
    Checkpoint(ExecutionAttemptId, CheckpointNews),
    Ended(ExecutionAttemptId),
    Release(AllocationId),
    Readings(oneshot::Sender<Vec<(ExecutionAttemptId, TaskIoMetrics)>>),
    Shutdown(oneshot::Sender<()>),
}

/// The way to the actor that drives the tasks.
struct Handle(Mailbox<Message>, MetricRegistry);

#[async_trait]
impl TaskHostGateway for Handle {
    fn peer(&self) -> Peer {
        self.0.peer()
    }

    async fn set_job_master(
        &self,
        token: FencingToken,
        gateway: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<Vec<(ExecutionAttemptId, ExecutionState)>> {
        self.0.ask(|reply| Message::JobMaster(Leader { token, gateway }, reply)).await?
    }

    async fn forget_job_master(&self) -> RpcResult<()> {
        self.0.tell(Message::ForgetJobMaster).await
    }

    async fn submit_task(&self, deployment: TaskDeploymentDescriptor) -> RpcResult<()> {
        self.0.ask(|reply| Message::Submit(Box::new(deployment), reply)).await?
    }

    async fn cancel_task(&self, attempt: ExecutionAttemptId) -> RpcResult<()> {
        self.0.tell(Message::Cancel(attempt)).await
    }

    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()> {
        self.0.tell(Message::Event(attempt, operator, event)).await
    }

    async fn notify_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        news: CheckpointNews,
    ) -> RpcResult<()> {
        self.0.tell(Message::Checkpoint(attempt, news)).await
    }

    async fn release_slot(&self, allocation: AllocationId) -> RpcResult<()> {
        self.0.tell(Message::Release(allocation)).await
    }

    async fn io_metrics(&self) -> RpcResult<Vec<(ExecutionAttemptId, TaskIoMetrics)>> {
        self.0.ask(Message::Readings).await
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        Ok(self.1.snapshot(&query))
    }

    async fn shut_down(&self) -> RpcResult<()> {
        self.0.ask(Message::Shutdown).await
    }
}

/// Takes one message after the other until it is told to end. Without a JobMaster nothing was
/// submitted, and nothing is missed.
async fn drive(
    role: TaskRole,
    hosts: LocalTaskHosts,
    listener: HostListener,
    mut inbox: Inbox<Message>,
) {
    let mut host: Option<Box<dyn TaskHost>> = None;
    while let Some(message) = inbox.recv().await {
        let Some(host) = &mut host else {
            match message {
                Message::JobMaster(leader, reply) => {
                    let started = hosts.start(role.job, 0, leader, listener.clone());
                    let StartedHost { host: started, .. } = started;
                    host = Some(started);
                    // Who asked may have gone.
                    let _ = reply.send(Ok(TaskStates::new()));
                }
                Message::Readings(reply) => drop(reply.send(Vec::new())),
                Message::Shutdown(done) => {
                    // Who asked may have gone.
                    let _ = done.send(());
                    return;
                }
                _ => tracing::debug!("a message came before the JobMaster was known"),
            }
            continue;
        };
        match message {
            Message::JobMaster(leader, reply) => host.set_job_master(leader, reply),
            Message::ForgetJobMaster => host.forget_job_master(),
            Message::Submit(deployment, reply) => host.submit(deployment, reply),
            Message::Cancel(attempt) => host.cancel(attempt),
            Message::Event(attempt, operator, event) => {
                host.deliver_event(attempt, operator, event);
            }
            Message::Checkpoint(attempt, news) => host.notify_checkpoint(attempt, news),
            Message::Ended(attempt) => host.forget(attempt),
            Message::Release(allocation) => host.release_slot(allocation),
            // Who asked may have gone.
            Message::Readings(reply) => drop(reply.send(host.io_metrics())),
            Message::Shutdown(done) => {
                let _ = done.send(());
                return;
            }
        }
    }
}

/// Passes on to the parent what becomes of attempts, in order.
async fn tell_parent(
    role: TaskRole,
    parent: Arc<dyn HostParentGateway>,
    mailbox: Mailbox<Message>,
    mut news: mpsc::UnboundedReceiver<HostNews>,
) {
    while let Some(news) = news.recv().await {
        let told = match news {
            HostNews::TaskEnded(attempt) => {
                // Without the actor the process is about to end.
                let _ = mailbox.tell(Message::Ended(attempt)).await;
                parent.task_ended(role.host, attempt).await
            }
            HostNews::JobMasterLost(_, reason) => parent.job_master_lost(role.host, reason).await,
            HostNews::Ready(..) | HostNews::Lost(..) => Ok(()),
        };
        if let Err(error) = told {
            // A parent that is gone ends this process; one that is slow asks for what it misses.
            tracing::warn!(%error, "news did not reach the TaskExecutor");
        }
    }
}

pub(crate) async fn run(
    role: &TaskRole,
    program: Result<Program, HostError>,
    (settings, tls): (TaskHostSettings, HostTls),
    runtimes: Runtimes,
    clock: Clock,
) -> Result<(), HostError> {
    let instance = random_bits().map_err(|e| failed("no random number", e))?;
    // Only the TaskExecutor calls it, on this machine.
    let server = RpcServer::start(
        RpcConfig { tls: tls.rpc, ..RpcConfig::loopback(instance) },
        &runtimes,
        clock,
    )
    .await;
    let server = server.map_err(|e| failed("the RPC server", e))?;
    let service = server.service();
    let parent = parent_of(service, &role.parent)?;
    let program = match program {
        Ok(program) => program,
        Err(error) => {
            // The parent learns of it by the exit, too.
            let _ = parent.host_failed(role.host, error.to_string()).await;
            return Err(error);
        }
    };
    let transport =
        TcpTransport { bind: format!("{}:0", role.bind_host), host: role.host_name.clone() };
    let transport: Arc<dyn Transport> = match tls.data {
        Some(tls) => Arc::new(TlsTransport::new(Arc::new(transport), tls)),
        None => Arc::new(transport),
    };
    let network =
        NetworkEnvironment::start(role.peer, settings.network, runtimes.clone(), transport);
    let network = network.await.map_err(|e| failed("the data plane", e))?;
    let address = network.address().clone();
    let local_state = settings.local_state.as_ref();
    let local_state = local_state.map(|options| LocalStateStores::open(options, role.peer));
    let local_state = local_state.transpose().map_err(|e| failed("local state", e))?;
    let programs = ProgramStore::default();
    programs.insert(role.job, Arc::new(program));
    let registry = MetricRegistry::new(settings.metrics, move || clock.monotonic());
    let host = address.address.rsplit_once(':').map_or("localhost", |(host, _)| host);
    // The scope is the TaskExecutor's: it gives out what is registered here as its own.
    let metrics = registry.task_manager(host, &role.resource.to_string());
    let services = TaskExecutorServices {
        network,
        programs,
        metrics: registry.clone(),
        stores: Arc::new(memory_stores()),
        local_state: local_state.map(Arc::new),
        cached_files: Arc::new(role.cached_files.clone()),
    };
    // Two pieces of news for each attempt at most.
    let (news, told) = mpsc::unbounded_channel();
    let listener: HostListener = Arc::new(move |one| {
        // Fails only when the process is about to end.
        let _ = news.send(one);
    });
    let hosts = LocalTaskHosts::new(metrics, services, listener.clone(), &runtimes, clock);
    let (mailbox, inbox) = Mailbox::new("task host");
    let telling = tell_parent(role.clone(), parent.clone(), mailbox.clone(), told);
    runtimes.control.spawn(telling);
    let driving = runtimes.control.spawn(drive(role.clone(), hosts, listener, inbox));
    let ready =
        parent.task_host_ready(role.host, address, Arc::new(Handle(mailbox, registry))).await;
    ready.map_err(|e| failed("the TaskExecutor", e))?;
    tokio::select! {
        biased;
        // A panic of the actor ends the process, which is all that can be done.
        _ = driving => {}
        () = until_gone(parent.peer()) => {}
    }
    Ok(())
}
