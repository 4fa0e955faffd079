//! The operator coordinators of a job.
//!
//! Each runs as an actor of its own: it takes one message after the other from a bounded queue,
//! and what it wants done goes to the JobMaster as a message.
//!
//! A coordinator may have sent something to a subtask before it learns that the subtask starts
//! anew. It takes that back when it does (see `subtask_reset`), so the message must not reach the
//! new attempt: both sides count resets, and messages of an earlier count are dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use hurtig_cluster_api::{Mailbox, RpcError, RpcResult};
use hurtig_env::Runtimes;
use hurtig_graph::JobGraph;
use hurtig_operator_api::{CoordinatorAction, CoordinatorContext, OperatorCoordinator, Program};
use hurtig_types::{CheckpointId, FlowError, FlowResult, JobVertexId, OperatorId};
use tokio::sync::{mpsc, oneshot};

use crate::actor::Message;

/// Messages that may wait for one coordinator.
const QUEUED_MESSAGES: usize = 1 << 16;

enum ToCoordinator {
    Event { subtask: u32, event: Vec<u8> },
    Reset { subtask: u32, restored: Option<CheckpointId> },
    Snapshot { checkpoint: CheckpointId },
    CheckpointComplete { checkpoint: CheckpointId },
    Request { request: Vec<u8>, reply: oneshot::Sender<RpcResult<Vec<u8>>> },
    Timer,
}

struct Link {
    vertex: JobVertexId,
    queue: mpsc::Sender<ToCoordinator>,
    /// How often each subtask was reset, if it was.
    resets: BTreeMap<u32, u64>,
}

/// All coordinators of a job.
#[derive(Default)]
pub(crate) struct Coordinators {
    created: Vec<(JobVertexId, CoordinatorContext, Box<dyn OperatorCoordinator>)>,
    links: BTreeMap<OperatorId, Link>,
    /// Where resets are counted from: each start of the coordinators counts from higher up, so
    /// that what those of a former start have sent is recognised.
    first_reset: u64,
}

/// Most resets of a subtask between two starts of the coordinators, by far.
const RESETS_PER_START: u64 = 1 << 32;

/// A checkpoint and the coordinators' states in it.
pub(crate) type CoordinatorStates = (CheckpointId, BTreeMap<OperatorId, Vec<u8>>);

/// What coordinators start from.
pub(crate) enum StartFrom {
    /// From a checkpoint, as the tasks will, or from nothing.
    Beginning(Option<CoordinatorStates>),
    /// From a checkpoint, beside tasks that run on.
    Running(Option<CoordinatorStates>),
}

impl Coordinators {
    /// Creates the coordinators of all operators that have one.
    pub(crate) fn create(graph: &JobGraph, program: &Arc<Program>) -> FlowResult<Self> {
        let mut all = Vec::new();
        for vertex in &graph.vertices {
            for operator in vertex.operators.iter().filter(|operator| operator.has_coordinator) {
                let context = CoordinatorContext {
                    job: graph.job_id,
                    operator: operator.id,
                    operator_name: operator.name.clone(),
                    parallelism: vertex.parallelism,
                };
                let factory = program.operators.get(&operator.id).ok_or_else(|| {
                    FlowError::fatal(format!("the job's code has no operator {:?}", operator.name))
                })?;
                let created = factory.create_coordinator(&context);
                let Some(coordinator) = created.map_err(|e| e.at_operator(&operator.name))? else {
                    continue;
                };
                all.push((vertex.id, context, coordinator));
            }
        }
        Ok(Self { created: all, links: BTreeMap::new(), first_reset: RESETS_PER_START })
    }

    /// Others in place of these, which end: the parallelism has changed.
    pub(crate) fn start_anew(
        self,
        graph: &JobGraph,
        program: &Arc<Program>,
        runtimes: &Runtimes,
        master: &Mailbox<Message>,
        restored: Option<CoordinatorStates>,
    ) -> FlowResult<Self> {
        let mut others = Self::create(graph, program)?;
        others.first_reset = self.first_reset + RESETS_PER_START;
        others.start(&StartFrom::Beginning(restored), runtimes, master);
        Ok(others)
    }

    /// True if all can go on from these states beside running tasks.
    pub(crate) fn can_resume(&self, from: Option<&CoordinatorStates>) -> bool {
        self.created.iter().all(|(_, context, coordinator)| {
            let state = from.and_then(|(_, states)| states.get(&context.operator));
            coordinator.can_resume() && (state.is_some() || coordinator.is_stateless())
        })
    }

    /// Operators whose coordinators own nothing.
    pub(crate) fn stateless(&self) -> BTreeSet<OperatorId> {
        let stateless = self.created.iter().filter(|(.., coordinator)| coordinator.is_stateless());
        stateless.map(|(_, context, _)| context.operator).collect()
    }

    /// Starts them.
    pub(crate) fn start(
        &mut self,
        from: &StartFrom,
        runtimes: &Runtimes,
        master: &Mailbox<Message>,
    ) {
        let (StartFrom::Beginning(states) | StartFrom::Running(states)) = from;
        for (vertex, context, coordinator) in std::mem::take(&mut self.created) {
            let (queue, messages) = mpsc::channel(QUEUED_MESSAGES);
            let restored = states.as_ref().and_then(|(checkpoint, states)| {
                Some((*checkpoint, states.get(&context.operator)?.clone()))
            });
            self.links.insert(
                context.operator,
                Link { vertex, queue: queue.clone(), resets: BTreeMap::new() },
            );
            let actor = Actor {
                restored,
                beside_tasks: matches!(from, StartFrom::Running(_)),
                coordinator,
                context,
                vertex,
                queue: queue.downgrade(),
                resets: BTreeMap::new(),
                first_reset: self.first_reset,
                master: master.clone(),
            };
            // Coordinators run user code that may take its time (listing a directory), so each
            // has a place of its own among the blocking threads while it works.
            runtimes.control.spawn(actor.run(messages));
        }
    }

    fn post(&self, operator: OperatorId, message: ToCoordinator) -> Result<(), String> {
        let Some(link) = self.links.get(&operator) else {
            return Err(format!("operator {operator} has no coordinator"));
        };
        match link.queue.try_send(message) {
            // One that has ended has reported why.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(format!(
                "more than {QUEUED_MESSAGES} messages wait for the coordinator of {operator}"
            )),
        }
    }

    pub(crate) fn event(
        &self,
        operator: OperatorId,
        subtask: u32,
        event: Vec<u8>,
    ) -> Result<(), String> {
        self.post(operator, ToCoordinator::Event { subtask, event })
    }

    /// Asks a coordinator for its state.
    pub(crate) fn snapshot(
        &self,
        operator: OperatorId,
        checkpoint: CheckpointId,
    ) -> Result<(), String> {
        self.post(operator, ToCoordinator::Snapshot { checkpoint })
    }

    /// Tells all coordinators that a checkpoint is complete.
    pub(crate) fn checkpoint_complete(&self, checkpoint: CheckpointId) -> Result<(), String> {
        self.links.keys().try_for_each(|operator| {
            self.post(*operator, ToCoordinator::CheckpointComplete { checkpoint })
        })
    }

    pub(crate) fn reset(
        &mut self,
        vertex: JobVertexId,
        subtask: u32,
        restored: Option<CheckpointId>,
    ) -> Result<(), String> {
        let of_vertex = self.links.iter_mut().filter(|(_, link)| link.vertex == vertex);
        let operators = of_vertex.map(|(operator, link)| {
            *link.resets.entry(subtask).or_insert(self.first_reset) += 1;
            *operator
        });
        operators.collect::<Vec<_>>().into_iter().try_for_each(|operator| {
            self.post(operator, ToCoordinator::Reset { subtask, restored })
        })
    }

    /// True unless the subtask was reset after the coordinator had counted so many resets.
    pub(crate) fn is_current(&self, operator: OperatorId, subtask: u32, resets: u64) -> bool {
        let link = self.links.get(&operator);
        let first = self.first_reset;
        link.is_some_and(|link| link.resets.get(&subtask).copied().unwrap_or(first) == resets)
    }

    /// True if a coordinator of this start has said it.
    pub(crate) fn is_of_this_start(&self, first_reset: u64) -> bool {
        self.first_reset == first_reset
    }

    pub(crate) fn request(
        &self,
        operator: OperatorId,
        request: Vec<u8>,
        reply: oneshot::Sender<RpcResult<Vec<u8>>>,
    ) {
        if let Some(link) = self.links.get(&operator) {
            // A full queue or an ended coordinator drops the reply: the client sees that.
            let _ = link.queue.try_send(ToCoordinator::Request { request, reply });
        } else {
            let error = RpcError::NotFound(format!("operator {operator} has no coordinator"));
            let _ = reply.send(Err(error));
        }
    }
}

struct Actor {
    /// What it starts from, if it is restored.
    restored: Option<(CheckpointId, Vec<u8>)>,
    /// Tasks run on meanwhile.
    beside_tasks: bool,
    coordinator: Box<dyn OperatorCoordinator>,
    context: CoordinatorContext,
    vertex: JobVertexId,
    queue: mpsc::WeakSender<ToCoordinator>,
    resets: BTreeMap<u32, u64>,
    first_reset: u64,
    master: Mailbox<Message>,
}

impl Actor {
    async fn run(mut self, mut messages: mpsc::Receiver<ToCoordinator>) {
        let mut actions = Vec::new();
        let coordinator = &mut self.coordinator;
        let started = match self.restored.take() {
            Some((checkpoint, state)) if self.beside_tasks => {
                call(|| coordinator.resume(checkpoint, &state, &mut actions))
            }
            Some((checkpoint, state)) => {
                call(|| coordinator.restore(checkpoint, &state, &mut actions))
            }
            None if self.beside_tasks => {
                call(|| coordinator.resume(CheckpointId(0), &[], &mut actions))
            }
            None => call(|| coordinator.start(&mut actions)),
        };
        if !self.carry_out(started, &mut actions).await {
            return;
        }
        while let Some(message) = messages.recv().await {
            let coordinator = &mut self.coordinator;
            let result = match message {
                ToCoordinator::Event { subtask, event } => {
                    call(|| coordinator.on_event(subtask, &event, &mut actions))
                }
                ToCoordinator::Reset { subtask, restored } => {
                    *self.resets.entry(subtask).or_insert(self.first_reset) += 1;
                    call(|| coordinator.subtask_reset(subtask, restored, &mut actions))
                }
                ToCoordinator::Snapshot { checkpoint } => {
                    let state = call(|| coordinator.snapshot(checkpoint));
                    let message = Message::CoordinatorSnapshot {
                        checkpoint,
                        operator: self.context.operator,
                        state: state.map_err(|error| error.chain_text()),
                    };
                    if self.master.tell(message).await.is_err() {
                        return;
                    }
                    Ok(())
                }
                ToCoordinator::CheckpointComplete { checkpoint } => {
                    call(|| coordinator.checkpoint_complete(checkpoint))
                }
                ToCoordinator::Timer => call(|| coordinator.on_timer(&mut actions)),
                ToCoordinator::Request { request, reply } => {
                    let answer = call(|| coordinator.on_request(&request, &mut actions));
                    let answer = answer.map_err(|e| RpcError::Rejected(e.chain_text()));
                    // The client may have gone.
                    let _ = reply.send(answer);
                    Ok(())
                }
            };
            if !self.carry_out(result, &mut actions).await {
                return;
            }
        }
    }

    async fn carry_out(
        &mut self,
        result: FlowResult,
        actions: &mut Vec<CoordinatorAction>,
    ) -> bool {
        let mut failure = result.err();
        for action in actions.drain(..) {
            let message = match action {
                CoordinatorAction::SendToSubtask { subtask, event } => Message::CoordinatorEvent {
                    vertex: self.vertex,
                    operator: self.context.operator,
                    subtask,
                    resets: self.resets.get(&subtask).copied().unwrap_or(self.first_reset),
                    event,
                },
                CoordinatorAction::FailJob(error) => {
                    failure.get_or_insert(error);
                    continue;
                }
                CoordinatorAction::CallAfterMs(delay_ms) => {
                    let queue = self.queue.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                        if let Some(queue) = queue.upgrade() {
                            // If the queue is full, the coordinator is behind anyway.
                            let _ = queue.try_send(ToCoordinator::Timer);
                        }
                    });
                    continue;
                }
            };
            if self.master.tell(message).await.is_err() {
                return false;
            }
        }
        let Some(error) = failure else { return true };
        let error = error.at_operator(&self.context.operator_name);
        // If the JobMaster has ended, nobody needs to know.
        let _ = self.master.tell(Message::CoordinatorFailed(self.first_reset, error)).await;
        false
    }
}

/// Runs a coordinator's code: a panic in it is an error of the job, not of the process.
fn call<R>(f: impl FnOnce() -> FlowResult<R>) -> FlowResult<R> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(FlowError::user(format!("coordinator panicked: {}", text.unwrap_or_default())))
    })
}
