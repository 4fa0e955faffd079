//! Tasks in this process.
//!
//! All hosts of a process share its network stack, stores and the queue of reports; which job may
//! run here is a matter of the programs that the process knows.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use hurtig_cluster_api::{
    CheckpointNews, JobMasterGateway, Leader, RpcError, RpcResult, TaskDeploymentDescriptor,
    TaskIoMetrics,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_graph::CachedFile;
use hurtig_metrics::{MetricGroup, MetricRegistry};
use hurtig_network::NetworkEnvironment;
use hurtig_operator_api::ProgramStore;
use hurtig_storage::{LocalStateStores, Stores};
use hurtig_task::{TaskHandle, TaskServices, spawn_task};
use hurtig_types::{AllocationId, ExecutionAttemptId, JobId, OperatorId};

use crate::{
    host::{
        HostListener, HostNews, HostNumber, Reply, StartedHost, TaskHost, TaskHostProvider,
        TaskStates,
    },
    metrics::job_group,
    reports::{JobMasters, News, Reports},
};

/// What tasks in this process work with.
#[derive(Clone)]
pub struct TaskExecutorServices {
    /// The data plane.
    pub network: NetworkEnvironment,
    /// The programs this process can run.
    pub programs: ProgramStore,
    /// Where tasks register metrics.
    pub metrics: MetricRegistry,
    /// The stores of checkpoints.
    pub stores: Arc<Stores>,
    /// Where copies of state are kept on this TaskExecutor, if they are.
    pub local_state: Option<Arc<LocalStateStores>>,
    /// Files of the distributed cache that were fetched for the job, by name. Others are where they
    /// were registered.
    pub cached_files: Arc<BTreeMap<String, PathBuf>>,
}

/// Starts hosts in this process.
pub struct LocalTaskHosts(Shared);

#[derive(Clone)]
struct Shared {
    /// The TaskExecutor's group of metrics.
    metrics: MetricGroup,
    services: TaskExecutorServices,
    job_masters: JobMasters,
    reports: Reports,
    runtimes: Runtimes,
    clock: Clock,
}

impl LocalTaskHosts {
    /// Hosts of one TaskExecutor, with its group of metrics. `listener` is told what becomes of
    /// attempts.
    pub fn new(
        metrics: MetricGroup,
        services: TaskExecutorServices,
        listener: HostListener,
        runtimes: &Runtimes,
        clock: Clock,
    ) -> Self {
        let job_masters = JobMasters::default();
        let control = runtimes.control.clone();
        let (reports, forward) = Reports::new(job_masters.clone(), control, move |news| {
            listener(match news {
                News::Ended(attempt) => HostNews::TaskEnded(attempt),
                News::JobMasterLost(job, reason) => HostNews::JobMasterLost(job, reason),
            });
        });
        runtimes.control.spawn(forward);
        let runtimes = runtimes.clone();
        Self(Shared { metrics, services, job_masters, reports, runtimes, clock })
    }
}

impl TaskHostProvider for LocalTaskHosts {
    fn start(
        &self,
        job: JobId,
        _: HostNumber,
        job_master: Leader<dyn JobMasterGateway>,
        listener: HostListener,
    ) -> StartedHost {
        let data_address = Some(self.0.services.network.address().clone());
        self.0.job_masters.follow(job, job_master);
        let host = LocalTaskHost { job, shared: self.0.clone(), listener, tasks: BTreeMap::new() };
        StartedHost { host: Box::new(host), data_address }
    }

    fn shut_down(&self) {
        self.0.services.network.shutdown();
    }
}

/// Where a task finds files: those that were fetched for its job, others where the program said.
fn cached_files(
    deployment: &TaskDeploymentDescriptor,
    services: &TaskExecutorServices,
) -> Arc<BTreeMap<String, PathBuf>> {
    let registered = &deployment.config.cached_files;
    if registered.is_empty() {
        return services.cached_files.clone();
    }
    let place = |(name, file): (&String, &CachedFile)| {
        let fetched = services.cached_files.get(name).cloned();
        (name.clone(), fetched.unwrap_or_else(|| file.path.clone().into()))
    };
    Arc::new(registered.iter().map(place).collect())
}

/// The host of one job.
struct LocalTaskHost {
    job: JobId,
    shared: Shared,
    listener: HostListener,
    tasks: BTreeMap<ExecutionAttemptId, TaskHandle>,
}

impl LocalTaskHost {
    fn run(&mut self, deployment: TaskDeploymentDescriptor) -> RpcResult<()> {
        let attempt = deployment.attempt;
        if self.tasks.contains_key(&attempt) {
            return Ok(());
        }
        let Shared { metrics, services, reports, runtimes, clock, .. } = &self.shared;
        let Some(program) = services.programs.get(attempt.job) else {
            let job = attempt.job;
            return Err(RpcError::NotFound(format!("the code of job {job} is not known here")));
        };
        let services = TaskServices {
            program,
            network: services.network.clone(),
            runtimes: runtimes.clone(),
            clock: *clock,
            listener: Arc::new(reports.clone()),
            metrics: job_group(metrics, attempt.job, &deployment.job_name),
            stores: services.stores.clone(),
            cached_files: cached_files(&deployment, services),
            local_state: services.local_state.as_ref().map(|local| {
                let ExecutionAttemptId { job, vertex, subtask, .. } = attempt;
                local.subtask(deployment.allocation, job, vertex, subtask)
            }),
        };
        self.tasks.insert(attempt, spawn_task(deployment, services));
        Ok(())
    }

    fn cancel_all(&self) {
        self.tasks.values().for_each(TaskHandle::cancel);
    }
}

impl TaskHost for LocalTaskHost {
    fn set_job_master(&mut self, leader: Leader<dyn JobMasterGateway>, reply: Reply<TaskStates>) {
        self.shared.job_masters.follow(self.job, leader);
        let states = self.tasks.iter().map(|(attempt, task)| (*attempt, task.state()));
        // Who asked may have no use for it.
        let _ = reply.send(Ok(states.collect()));
    }

    fn forget_job_master(&mut self) {
        self.shared.job_masters.forget(self.job);
    }

    fn submit(&mut self, deployment: Box<TaskDeploymentDescriptor>, reply: Reply<()>) {
        let attempt = deployment.attempt;
        let answer = self.run(*deployment);
        if answer.is_err() {
            (self.listener)(HostNews::TaskEnded(attempt));
        }
        // Who asked may have gone: he will cancel what he does not know of.
        let _ = reply.send(answer);
    }

    fn cancel(&mut self, attempt: ExecutionAttemptId) {
        if let Some(task) = self.tasks.get(&attempt) {
            task.cancel();
        }
    }

    fn deliver_event(&mut self, attempt: ExecutionAttemptId, operator: OperatorId, event: Vec<u8>) {
        if let Some(task) = self.tasks.get(&attempt)
            && let Err(error) = task.deliver_event(operator, event)
        {
            tracing::warn!(%attempt, %error, "event lost: the task is cancelled");
            task.cancel();
        }
    }

    fn notify_checkpoint(&mut self, attempt: ExecutionAttemptId, news: CheckpointNews) {
        // One that has ended needs no news.
        let Some(task) = self.tasks.get(&attempt) else { return };
        let told = match news {
            CheckpointNews::Trigger(barrier) => task.trigger_checkpoint(barrier),
            CheckpointNews::Complete(id) => task.checkpoint_complete(id),
            CheckpointNews::Aborted(id) => task.checkpoint_aborted(id),
        };
        if let Err(error) = told {
            tracing::warn!(%attempt, %error, "news lost: the task is cancelled");
            task.cancel();
        }
    }

    fn forget(&mut self, attempt: ExecutionAttemptId) {
        self.tasks.remove(&attempt);
    }

    fn io_metrics(&self) -> Vec<(ExecutionAttemptId, TaskIoMetrics)> {
        self.tasks.iter().map(|(attempt, task)| (*attempt, task.io_metrics())).collect()
    }

    fn release_slot(&mut self, allocation: AllocationId) {
        if let Some(local) = self.shared.services.local_state.clone() {
            local.forget(allocation);
            self.shared.runtimes.control.spawn_blocking(move || local.release(allocation));
        }
    }

    fn end(self: Box<Self>) {
        self.cancel_all();
        self.shared.job_masters.forget(self.job);
        job_group(&self.shared.metrics, self.job, "").close();
    }

    fn abandon(self: Box<Self>) {
        // Without a farewell, as when a process has gone: the end of a task that is cancelled here
        // would look like that of one that goes on elsewhere.
        self.shared.job_masters.forget(self.job);
        self.cancel_all();
    }
}
