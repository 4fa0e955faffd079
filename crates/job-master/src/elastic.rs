//! What the JobMaster does when the parallelism of an elastic job was decided, and deployments.

use hurtig_cluster_api::{
    ExecutionState, JobResourceRequirements, JobStatus, RpcError, RpcResult,
    TaskDeploymentDescriptor, TaskIoMetrics, TaskStateUpdate,
};
use hurtig_scheduler::{Command, JobScheduler};
use hurtig_types::{FlowError, FlowResult, TerminateKind};

use crate::{actor::JobMaster, executors::Order};

/// What an elastic job asks for.
pub(crate) fn requirements(scheduler: &JobScheduler) -> RpcResult<JobResourceRequirements> {
    scheduler.requirements().ok_or_else(|| {
        let reason =
            "only elastic jobs have resource requirements (jobmanager.scheduler: adaptive)";
        RpcError::Rejected(reason.to_owned())
    })
}

impl JobMaster {
    /// All subtasks are new: what was under way is given up, and coordinators and tasks start from
    /// the latest checkpoint, divided anew. True if the job is over.
    pub(crate) async fn on_rescaled(&mut self) -> bool {
        let mut commands = Vec::new();
        if let Err(error) = self.restore_rescaled(&mut commands).await {
            commands.extend(self.fail(error));
        }
        self.carry_out(commands).await
    }

    async fn restore_rescaled(&mut self, commands: &mut Vec<Command>) -> FlowResult {
        let now = self.now();
        self.restoring = true;
        let mut effects = self.checkpoints.on(|coordinator| coordinator.on_restarting(now));
        let graph = self.scheduler.graph();
        let attempt = graph.executions().first().map_or(0, |e| e.attempt.attempt);
        self.checkpoints.on_rescaled(&graph.graph, attempt, now, &mut effects).await;
        let restored = self.checkpoints.restore_point(now, &mut effects).await;
        self.take_effect(effects, commands);
        self.restoring = false;
        let restored = restored?.and_then(|_| self.checkpoints.coordinators());
        let (program, runtimes) = (&self.services.program, &self.services.runtimes);
        let coordinators = std::mem::take(&mut self.coordinators);
        let graph = &self.scheduler.graph().graph;
        let master = &self.mailbox;
        self.coordinators = coordinators.start_anew(graph, program, runtimes, master, restored)?;
        Ok(())
    }

    /// True if tasks are to start over, or are about to.
    pub(crate) fn is_restarting(&self) -> bool {
        self.restoring || self.scheduler.status() == JobStatus::Restarting
    }

    /// The savepoint that was to stop the job is what it starts over from.
    pub(crate) fn restart_from_stop(&mut self, kind: TerminateKind) -> Vec<Command> {
        match kind {
            TerminateKind::Suspend => Vec::new(),
            // Its windows have fired with what there was: going on would make them fire again.
            TerminateKind::Drain => self.fail(FlowError::fatal(
                "a task has failed while the job was drained, and it cannot go on from there",
            )),
        }
    }

    /// Sends an attempt to its TaskExecutor. True if the job is over.
    pub(crate) async fn deploy(&mut self, mut deployment: Box<TaskDeploymentDescriptor>) -> bool {
        let attempt = deployment.attempt;
        let graph = self.scheduler.graph();
        let state = graph.current(attempt).map(|index| graph.execution(index).state);
        if state != Some(ExecutionState::Deploying) {
            // What came before it has ended it: nobody else will say so.
            let update = TaskStateUpdate {
                attempt,
                state: ExecutionState::Canceled,
                failure: None,
                metrics: TaskIoMetrics::default(),
                accumulators: Default::default(),
            };
            let commands = self.scheduler.on_task_state(update, self.now());
            return self.carry_out(commands).await;
        }
        deployment.restore = self.checkpoints.restore_of(attempt);
        match self.link_of(deployment.allocation) {
            Some(link) => link.send(Order::Deploy(deployment)),
            None => tracing::error!(%attempt, "no link to the slot"),
        }
        false
    }
}
