//! How a JobMaster begins, and how it takes a job over from an earlier one.
//!
//! 1. It takes the register of checkpoints over. From then on no earlier JobMaster completes a
//!    checkpoint or deletes one. The register says how many there were before.
//! 2. Numbers of attempts and checkpoints are its own: each JobMaster counts attempts from a base
//!    of its own, and reserves numbers of checkpoints in the register. So what an earlier one does
//!    without knowing that it has been superseded concerns nothing of a later one.
//! 3. The first one begins with the snapshot that the user names, if there is one.
//! 4. Later ones load the completed checkpoints, and wait for TaskExecutors to offer what the job
//!    has there. What is done with it is decided in [`hurtig_scheduler::reclaim`].

use std::{collections::BTreeMap, time::Duration};

use hurtig_cluster_api::{Mailbox, OccupiedSlot, RpcError};
use hurtig_scheduler::{Command, JobScheduler, Reclaim, Verdict};
use hurtig_types::{AllocationId, CheckpointId, FlowError, FlowResult, ResourceId, TerminateKind};

use crate::{
    JobMaster,
    actor::Message,
    checkpoints::registered,
    coordinators::{CoordinatorStates, Coordinators, StartFrom},
    executors::Order,
};

/// Attempts of one subtask that one JobMaster may make.
pub(crate) const ATTEMPTS: u32 = 1 << 18;
/// When it is clear that tasks restart, those not offered yet are waited for for this part of the
/// time, since slots are better used with the tasks in them than without.
const GRACE: u32 = 10;

/// What a JobMaster begins with.
pub(crate) enum Start {
    /// With no task there.
    Beginning(Option<CoordinatorStates>),
    /// With the tasks that an earlier one has left.
    Takeover(Option<CoordinatorStates>),
    /// It does not: another one is there.
    Superseded,
}

/// The time in which tasks of an earlier JobMaster may be found.
pub(crate) struct Takeover {
    reclaim: Reclaim,
    states: Option<CoordinatorStates>,
    slots: BTreeMap<AllocationId, ResourceId>,
    in_grace: bool,
}

impl Takeover {
    /// The slots that were offered by one TaskExecutor.
    pub(crate) fn slots_on(&self, resource: ResourceId) -> Vec<AllocationId> {
        let here = self.slots.iter().filter(|(_, on)| **on == resource);
        here.map(|(allocation, _)| *allocation).collect()
    }
}

impl JobMaster {
    /// What comes before the first task: the register, the snapshot to start from, coordinators.
    pub(crate) async fn prepare(&mut self) -> FlowResult<Start> {
        let register = self.services.register.clone();
        let recovered = registered(&self.mailbox, || register.recover()).await;
        let recovered = match recovered {
            Ok(recovered) => recovered,
            Err(RpcError::Fenced { .. } | RpcError::NotFound(_)) => return Ok(Start::Superseded),
            Err(error) => return Err(FlowError::external(error)),
        };
        let earlier = recovered.job_master.saturating_sub(1);
        let Some(first_attempt) = earlier.checked_mul(ATTEMPTS) else {
            return Err(FlowError::fatal(format!("the job has had {earlier} JobMasters")));
        };
        let graph = self.scheduler.graph().graph.clone();
        let (seed, now) = (self.services.seed, self.now());
        self.scheduler = JobScheduler::counting_from(first_attempt, graph, seed, now);
        self.checkpoints.share_ids(recovered.first_id);
        let config = self.scheduler.graph().graph.config.clone();
        config.checkpoints.validate().map_err(FlowError::fatal)?;
        let own = self.checkpoints.recover(&recovered.completed, recovered.first_id, now).await?;
        let states = match (own, &config.restore_from) {
            (Some(states), _) => Some(states),
            (None, Some(from)) => Some(self.checkpoints.start_from(from, now).await?),
            (None, None) => None,
        };
        if let Some(TerminateKind::Drain) = self.checkpoints.was_stopping() {
            // Its windows have fired with what there was: going on would make them fire again.
            let problem = "its JobMaster was lost while it was being drained";
            return Err(FlowError::fatal(problem));
        }
        if states.is_some() {
            self.scheduler.take_over_max_parallelism(self.checkpoints.max_parallelism());
        }
        if self.scheduler.elastic().is_some() {
            // Its coordinators are started when its parallelism is known. Tasks of an earlier
            // JobMaster have a parallelism that this one does not know: they are given up.
            return Ok(Start::Beginning(None));
        }
        let graph = &self.scheduler.graph().graph;
        self.coordinators = Coordinators::create(graph, &self.services.program)?;
        Ok(match earlier {
            0 => Start::Beginning(states),
            _ => Start::Takeover(states),
        })
    }

    /// True if there was a JobMaster before.
    pub(crate) fn is_takeover(&self) -> bool {
        self.scheduler.first_attempt() > 0
    }

    /// Waits for offers.
    pub(crate) fn begin_takeover(&mut self, states: Option<CoordinatorStates>) {
        let resumable = self.coordinators.can_resume(states.as_ref());
        let latest = self.checkpoints.latest();
        let stateless = self.coordinators.stateless();
        let mut reclaim = Reclaim::new(self.scheduler.graph(), latest, resumable, &stateless);
        if self.checkpoints.was_stopping().is_some() {
            // Some may have finished where they stood, and must go on all the same.
            reclaim.must_restart("the job was being stopped");
        }
        self.takeover = Some(Takeover { reclaim, states, slots: BTreeMap::new(), in_grace: false });
        self.wake_after(self.services.takeover_timeout);
    }

    fn wake_after(&self, pause: Duration) {
        let mailbox: Mailbox<Message> = self.mailbox.clone();
        self.services.runtimes.control.spawn(async move {
            tokio::time::sleep(pause).await;
            // A JobMaster that has ended waits for nothing.
            let _ = mailbox.tell(Message::TakeoverTimeout).await;
        });
    }

    /// Handles a message while tasks may be found; gives back those that are as always. True if
    /// the job is over.
    pub(crate) async fn on_takeover_message(&mut self, message: Message) -> Result<bool, Message> {
        let Some(takeover) = &mut self.takeover else { return Err(message) };
        let graph = self.scheduler.graph();
        match message {
            Message::OfferOccupied { resource, address, gateway, slots, reply } => {
                let grant = |slot: &OccupiedSlot| slot.offer.allocation;
                let accepted: Vec<AllocationId> = slots.iter().map(grant).collect();
                takeover.slots.extend(accepted.iter().map(|allocation| (*allocation, resource)));
                takeover.reclaim.on_offer(&slots, &address, graph);
                // Who offered may have gone: it will be reported lost.
                let _ = reply.send(accepted);
                self.link(resource, gateway);
            }
            // A slot that was asked for by the earlier JobMaster, and has nothing in it.
            Message::Offer { reply, .. } => {
                let _ = reply.send(Vec::new());
            }
            Message::TaskState(update) => {
                takeover.reclaim.on_task_state(update.attempt, update.state, graph);
            }
            Message::ExecutorLost(resource, _) => {
                takeover.slots.retain(|_, on| *on != resource);
                takeover.reclaim.on_lost(resource);
                self.executors.remove(&resource);
            }
            Message::SlotFailed(allocation, _) => {
                if let Some(resource) = takeover.slots.get(&allocation).copied() {
                    // As if its TaskExecutor were: which slot it was makes no difference.
                    takeover.reclaim.on_lost(resource);
                    takeover.slots.retain(|_, on| *on != resource);
                }
            }
            // There are no coordinators yet.
            Message::Request(_, _, reply) => {
                let reason = "the job is being taken over".to_owned();
                let _ = reply.send(Err(RpcError::Unreachable { role: "JobMaster", reason }));
            }
            // What tasks ask they will be asked for again.
            Message::OperatorEvent(..) => {}
            Message::TakeoverTimeout => {
                takeover.reclaim.on_timeout();
                takeover.in_grace = true;
                return Ok(self.conclude().await);
            }
            Message::Cancel => {
                takeover.reclaim.on_timeout();
                let over = self.conclude().await;
                let commands = self.scheduler.cancel(self.now());
                return Ok(self.carry_out(commands).await || over);
            }
            other => return Err(other),
        }
        let Some(takeover) = &mut self.takeover else { return Ok(false) };
        match takeover.reclaim.verdict() {
            Verdict::Wait => Ok(false),
            Verdict::Restart(_) if !takeover.reclaim.is_complete() => {
                if !std::mem::replace(&mut takeover.in_grace, true) {
                    self.wake_after(self.services.takeover_timeout / GRACE);
                }
                Ok(false)
            }
            Verdict::Restart(_) | Verdict::GoOn => Ok(self.conclude().await),
        }
    }

    /// Goes on with what was found, or restarts it.
    async fn conclude(&mut self) -> bool {
        let Some(Takeover { reclaim, states, .. }) = self.takeover.take() else { return false };
        let job = self.job();
        let mut commands = self.scheduler.take_over(&reclaim, self.now());
        match reclaim.verdict() {
            Verdict::GoOn => {
                tracing::info!(job_id = %job, "running tasks are taken over");
                self.start_coordinators(&StartFrom::Running(states));
                self.take_up(&reclaim, &mut commands);
            }
            Verdict::Restart(reason) => {
                tracing::info!(job_id = %job, reason, "tasks restart under a new JobMaster");
                self.start_coordinators(&StartFrom::Beginning(states));
            }
            Verdict::Wait => {}
        }
        self.carry_out(commands).await
    }

    /// Tells the tasks that go on what they may have missed.
    fn take_up(&mut self, reclaim: &Reclaim, commands: &mut Vec<Command>) {
        let (latest, now) = (self.checkpoints.latest(), self.now());
        for found in reclaim.found() {
            let attempt = found.task.attempt;
            let state = found.task.state;
            let effects = self.checkpoints.on(|c| c.on_task_state(attempt, state, now));
            self.take_effect(effects, commands);
            let given_up = found.task.under_way.iter().filter(|id| Some(**id) != latest);
            for id in given_up.copied().collect::<Vec<CheckpointId>>() {
                self.order(attempt, Order::CheckpointAborted(attempt, id));
            }
            if let Some(latest) = latest {
                self.order(attempt, Order::CheckpointComplete(attempt, latest));
            }
        }
    }
}
