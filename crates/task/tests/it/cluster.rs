//! A cluster around one task: what the JobMaster, the TaskExecutor and the neighbours are for it.
//!
//! A checkpoint is complete when the task has acknowledged it, every producer knows where it was,
//! and every consumer has read the barrier. After a failure all go on from there: the producers
//! send again what came behind the barrier, with what it has overtaken before that, and the
//! consumers forget what they have read since.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hurtig_cluster_api::{
    ExecutionState, GateDescriptor, ProducerDescriptor, TaskDeploymentDescriptor, TaskStateUpdate,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_graph::{
    ChainedOperator, DistributionPattern, IntermediateDataSet, JobConfig, JobEdge, JobVertex,
    OperatorKind, OperatorOutput, OutputTarget, ShipStrategy,
};
use hurtig_metrics::MetricGroup;
use hurtig_network::{ChannelSpec, MemoryTransport, NetworkConfig, NetworkEnvironment};
use hurtig_operator_api::{EdgeFactory, Operator, OperatorFactory, Program};
use hurtig_operators::{
    FnOperatorFactory, KeySelector,
    keyed::KeyedCoProcessOperator,
    partition::{Distribution, TypedEdge, by_key_group},
};
use hurtig_storage::Stores;
use hurtig_task::{TaskHandle, TaskListener, TaskServices, spawn_task};
use hurtig_types::{
    Alignment, AllocationId, CheckpointBarrier, CheckpointException, CheckpointFailureReason,
    CheckpointId, CheckpointMetrics, CheckpointOptions, CheckpointType, EdgeId, ExecutionAttemptId,
    FlowResult, JobId, JobManagerTaskRestore, JobVertexId, OperatorId, ResourceId,
    ResultPartitionId, SnapshotProgress, TaskStateSnapshot,
};
use parking_lot::Mutex;

use crate::{
    neighbours::{Cut, Producer, ReadError, Reader, gate},
    plan::{Event, Plan},
    tally::{Fuse, INJECTED, Numbering, Tally, Told},
};

const JOB: JobId = JobId(1);
const TALLY: OperatorId = OperatorId(10);
const NUMBERING: OperatorId = OperatorId(11);
const VERTEX: JobVertexId = JobVertexId(10);
const OUT: EdgeId = EdgeId(100);
const CONSUMERS: usize = 2;
/// Complete checkpoints that can be restored.
const RETAINED: usize = 3;

/// What the task reports.
enum Report {
    State(Box<TaskStateUpdate>),
    Acknowledged(CheckpointId, Box<TaskStateSnapshot>),
    Declined(CheckpointId, CheckpointFailureReason),
}

#[derive(Default)]
struct Reports(Mutex<Vec<(ExecutionAttemptId, Report)>>);

impl TaskListener for Reports {
    fn on_state(&self, update: TaskStateUpdate) {
        self.0.lock().push((update.attempt, Report::State(Box::new(update))));
    }

    fn on_checkpoint_acknowledged(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        snapshot: TaskStateSnapshot,
        _: CheckpointMetrics,
    ) {
        self.0.lock().push((attempt, Report::Acknowledged(checkpoint, Box::new(snapshot))));
    }

    fn on_checkpoint_declined(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        cause: CheckpointException,
    ) {
        self.0.lock().push((attempt, Report::Declined(checkpoint, cause.reason)));
    }

    fn on_operator_event(&self, _: ExecutionAttemptId, _: OperatorId, _: Vec<u8>) -> FlowResult {
        Ok(())
    }
}

struct Pending {
    barrier: CheckpointBarrier,
    snapshot: Option<TaskStateSnapshot>,
    /// The task had finished when it began.
    task_finished: bool,
}

struct Complete {
    id: CheckpointId,
    snapshot: TaskStateSnapshot,
    task_finished: bool,
    producers: Vec<Cut>,
    consumers: Vec<usize>,
}

/// What has happened, so that a test can tell that it has seen everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub complete: u64,
    pub declined: u64,
    pub aborted: u64,
    pub failures: u64,
    pub restores: u64,
    pub records_in_flight_on_inputs: u64,
    pub records_in_flight_on_outputs: u64,
    pub deltas: u64,
    pub ended_before_a_checkpoint: u64,
    pub restored_as_finished: u64,
}

impl Seen {
    pub fn add(&mut self, other: Self) {
        self.complete += other.complete;
        self.declined += other.declined;
        self.aborted += other.aborted;
        self.failures += other.failures;
        self.restores += other.restores;
        self.records_in_flight_on_inputs += other.records_in_flight_on_inputs;
        self.records_in_flight_on_outputs += other.records_in_flight_on_outputs;
        self.deltas += other.deltas;
        self.ended_before_a_checkpoint += other.ended_before_a_checkpoint;
        self.restored_as_finished += other.restored_as_finished;
    }

    pub fn has_seen_everything(&self) -> bool {
        let Self { complete, declined, aborted, failures, restores, .. } = *self;
        let in_flight = [self.records_in_flight_on_inputs, self.records_in_flight_on_outputs];
        let rare = [self.deltas, self.ended_before_a_checkpoint, self.restored_as_finished];
        let all = [complete, declined, aborted, failures, restores].into_iter();
        all.chain(in_flight).chain(rare).all(|number| number > 0)
    }
}

/// The cluster. Create and use it within a runtime whose clock stands still.
pub struct Cluster<'a> {
    plan: &'a Plan,
    fuse: Fuse,
    clock: Clock,
    runtimes: Runtimes,
    stores: Arc<Stores>,
    program: Arc<Program>,
    vertex: Arc<JobVertex>,
    config: Arc<JobConfig>,
    /// The TaskExecutor of the task, and another one.
    environments: [NetworkEnvironment; 2],
    reports: Arc<Reports>,
    attempt: u32,
    task: Option<TaskHandle>,
    state: ExecutionState,
    failure: Option<String>,
    /// Somebody has had the task fail.
    fails: bool,
    pub producers: Vec<Producer>,
    pub readers: Vec<Reader>,
    last_checkpoint: CheckpointId,
    pending: BTreeMap<CheckpointId, Pending>,
    complete: Vec<Complete>,
    pub seen: Seen,
}

fn edge_of(index: usize) -> EdgeId {
    EdgeId(index as u32)
}

fn program(plan: &Plan, fuse: &Fuse) -> Program {
    let mut program = Program::default();
    let fuse = fuse.clone();
    let by_key = || KeySelector::new(|event: &Event| event.key);
    let (first, second) = (by_key(), by_key());
    let tally = FnOperatorFactory(move |_: &_| {
        let function = Tally::new(fuse.clone());
        let operator: KeyedCoProcessOperator<u8, Event, Event, Told, Tally> =
            KeyedCoProcessOperator::new(first.clone(), second.clone(), function);
        Ok(Box::new(operator) as Box<dyn Operator>)
    });
    let numbering =
        FnOperatorFactory(|_: &_| Ok(Box::new(Numbering::default()) as Box<dyn Operator>));
    program.operators.insert(TALLY, Arc::new(tally) as Arc<dyn OperatorFactory>);
    program.operators.insert(NUMBERING, Arc::new(numbering));
    for index in 0..plan.edges.len() {
        let edge = TypedEdge::<Event>::new(Distribution::Single);
        program.edges.insert(edge_of(index), Arc::new(edge) as Arc<dyn EdgeFactory>);
    }
    let out = TypedEdge::new(by_key_group(KeySelector::new(Told::key)));
    program.edges.insert(OUT, Arc::new(out));
    program
}

fn vertex(plan: &Plan, buffer_timeout_ms: i64) -> JobVertex {
    let operator = |id, name: &str, target| ChainedOperator {
        id,
        name: name.to_owned(),
        uid: None,
        kind: OperatorKind::Operator,
        has_coordinator: false,
        outputs: vec![OperatorOutput { edge: OUT, side_output: None, target }],
    };
    let inputs = plan.edges.iter().enumerate().map(|(index, edge)| JobEdge {
        edge: edge_of(index),
        producer: JobVertexId(20 + index as u128),
        input_index: edge.input,
        ship: edge.ship,
        pattern: DistributionPattern::AllToAll,
    });
    JobVertex {
        id: VERTEX,
        name: "Tally -> Numbering".to_owned(),
        parallelism: 1,
        max_parallelism: 16,
        max_parallelism_derived: false,
        max_allowed_parallelism: None,
        slot_sharing_group: "default".to_owned(),
        co_location_key: None,
        blocking: false,
        operators: vec![
            operator(TALLY, "Tally", OutputTarget::Chained { operator: 1, input_index: 0 }),
            operator(NUMBERING, "Numbering", OutputTarget::DataSet(0)),
        ],
        inputs: inputs.collect(),
        outputs: vec![IntermediateDataSet {
            edge: OUT,
            consumer: JobVertexId(30),
            ship: ShipStrategy::KeyGroup,
            pattern: DistributionPattern::AllToAll,
            buffer_timeout_ms,
        }],
    }
}

impl<'a> Cluster<'a> {
    pub async fn start(plan: &'a Plan, buffer_timeout_ms: i64) -> Self {
        let runtimes = Runtimes::current();
        let transport = Arc::new(MemoryTransport::default());
        let environment = |resource| {
            let network = NetworkConfig {
                total_bytes: 64 << 10,
                buffer_bytes: 256,
                buffers_per_channel: 2,
                floating_buffers_per_gate: 2,
                ..NetworkConfig::default()
            };
            NetworkEnvironment::start(resource, network, runtimes.clone(), transport.clone())
        };
        let here = environment(ResourceId(1)).await.unwrap();
        let there = environment(ResourceId(2)).await.unwrap();
        let mut config = JobConfig::default();
        config.checkpoints.interval_ms = Some(1_000);
        config.checkpoint_directory = Some("memory:///checkpoints".to_owned());
        let fuse = Fuse::default();
        let mut cluster = Self {
            plan,
            clock: Clock::starting_at(0),
            runtimes: runtimes.clone(),
            stores: Arc::new(Stores::default()),
            program: Arc::new(program(plan, &fuse)),
            fuse,
            vertex: Arc::new(vertex(plan, buffer_timeout_ms)),
            config: Arc::new(config),
            environments: [here, there],
            reports: Arc::default(),
            attempt: 0,
            task: None,
            state: ExecutionState::Deploying,
            failure: None,
            fails: false,
            producers: Vec::new(),
            readers: (0..CONSUMERS).map(|_| Reader::default()).collect(),
            last_checkpoint: CheckpointId(0),
            pending: BTreeMap::new(),
            complete: Vec::new(),
            seen: Seen::default(),
        };
        cluster.deploy();
        cluster
    }

    fn environment(&self, remote: bool) -> &NetworkEnvironment {
        &self.environments[usize::from(remote)]
    }

    /// Starts all from the latest checkpoint that is retained.
    fn deploy(&mut self) {
        let from = self.complete.last();
        let attempt =
            ExecutionAttemptId { job: JOB, vertex: VERTEX, subtask: 0, attempt: self.attempt };
        let mut gates = Vec::new();
        let mut producers = Vec::new();
        let mut cuts = from.map_or(&[][..], |from| &from.producers).iter();
        for (index, edge) in self.plan.edges.iter().enumerate() {
            let descriptors = edge.channels.iter().enumerate().map(|(subtask, channel)| {
                let vertex = self.vertex.inputs[index].producer;
                let (subtask, edge_id) = (subtask as u32, edge_of(index));
                let producer = ExecutionAttemptId { vertex, subtask, ..attempt };
                let partition = ResultPartitionId { producer, edge: edge_id };
                let environment = self.environment(channel.remote);
                let cut = cuts.next().cloned().unwrap_or_default();
                let may_overtake = edge.ship.may_be_unaligned();
                producers.push(Producer::start(
                    environment,
                    partition,
                    may_overtake,
                    channel,
                    &cut,
                ));
                ProducerDescriptor { partition, producer: environment.address().clone() }
            });
            let descriptors: Vec<_> = descriptors.collect();
            gates.push(GateDescriptor {
                edge: edge_of(index),
                subpartition: 0,
                producers: descriptors.into(),
            });
        }
        let restore = from.map(|from| JobManagerTaskRestore {
            checkpoint_id: from.id,
            finished: from.task_finished,
            operators: from.snapshot.operators.clone(),
            rescaled_channels: Vec::new(),
        });
        let deployment = TaskDeploymentDescriptor {
            attempt,
            allocation: AllocationId(1),
            job_name: "interleavings".to_owned(),
            vertex: self.vertex.clone(),
            gates,
            subpartitions: vec![CONSUMERS as u32],
            consumers: vec![(CONSUMERS as u32, 16)],
            config: self.config.clone(),
            restore: restore.map(Box::new),
        };
        let services = TaskServices {
            program: self.program.clone(),
            network: self.environment(false).clone(),
            runtimes: self.runtimes.clone(),
            clock: self.clock,
            listener: self.reports.clone(),
            metrics: MetricGroup::detached(),
            stores: self.stores.clone(),
            local_state: None,
            cached_files: Arc::default(),
        };
        self.state = ExecutionState::Deploying;
        let task = spawn_task(deployment, services);
        for index in 0..CONSUMERS {
            let channel = ChannelSpec {
                partition: ResultPartitionId { producer: attempt, edge: OUT },
                subpartition: index,
                producer: self.environment(false).address().clone(),
            };
            let environment = self.environment(self.plan.remote_consumers);
            let gate = gate(environment, channel, self.program.edges[&OUT].clone());
            let kept = self.complete.last().map_or(0, |from| from.consumers[index]);
            self.readers[index].connect(gate, kept);
        }
        self.task = Some(task);
        self.producers = producers;
    }

    pub fn is_finished(&self) -> bool {
        self.state == ExecutionState::Finished && self.readers.iter().all(Reader::has_ended)
    }

    /// Lets all others run for a while.
    pub async fn pause(&mut self, for_ms: u64) {
        tokio::time::sleep(Duration::from_millis(for_ms)).await;
        let now_ms = self.clock.now_ms();
        self.producers.iter_mut().for_each(|producer| producer.look_at_barriers(now_ms));
    }

    /// A producer sends something.
    pub fn send(&mut self, producer: usize) {
        let channels = self.plan.edges.iter().flat_map(|edge| &edge.channels);
        let channel = channels.into_iter().nth(producer).unwrap();
        if !self.producers[producer].has_ended() {
            self.producers[producer].send(channel, self.clock.now_ms());
        }
    }

    /// A consumer reads.
    pub fn read(&mut self, reader: usize, most: u64) -> Result<(), String> {
        match self.readers[reader].read(most) {
            Ok(()) => Ok(()),
            Err(ReadError::Lost(_)) if self.fails => Ok(()),
            Err(ReadError::Lost(reason)) => Err(format!("{reason}; the task: {:?}", self.failure)),
            Err(ReadError::Wrong(what)) => Err(what),
        }
    }

    /// A checkpoint begins, unless enough are under way.
    pub fn trigger(&mut self, alignment: Alignment, checkpoint_type: CheckpointType) {
        if self.pending.len() >= 2 {
            return;
        }
        self.last_checkpoint.0 += 1;
        let checkpoint_id = self.last_checkpoint;
        let options = CheckpointOptions { checkpoint_type, alignment, target: None };
        let timestamp_ms = self.clock.now_ms();
        let barrier = CheckpointBarrier { checkpoint_id, timestamp_ms, options };
        let task_finished = self.state == ExecutionState::Finished;
        if let Some(task) = self.task.as_ref().filter(|_| !task_finished) {
            task.trigger_checkpoint(barrier.clone()).unwrap();
        }
        let snapshot = task_finished.then(TaskStateSnapshot::default);
        self.pending.insert(checkpoint_id, Pending { barrier, snapshot, task_finished });
    }

    /// A producer sends the next barrier, or leaves one out.
    pub fn barrier(&mut self, producer: usize, skip: usize) {
        let sender = &mut self.producers[producer];
        let mut open =
            self.pending.values().filter(|p| sender.lacks_barrier(p.barrier.checkpoint_id));
        let chosen = open.nth(skip).or_else(|| {
            let sender = &self.producers[producer];
            self.pending.values().find(|p| sender.lacks_barrier(p.barrier.checkpoint_id))
        });
        if let Some(barrier) = chosen.map(|pending| pending.barrier.clone()) {
            self.producers[producer].barrier(&barrier);
        }
    }

    /// The oldest checkpoint under way is given up.
    pub fn abort(&mut self) {
        if let Some((id, _)) = self.pending.pop_first() {
            self.seen.aborted += 1;
            self.tell_aborted(id);
        }
    }

    fn tell_aborted(&self, id: CheckpointId) {
        if let Some(task) = &self.task {
            task.checkpoint_aborted(id).unwrap();
        }
    }

    /// User code fails, soon.
    pub fn light_fuse(&mut self, calls: i64) {
        self.fails = true;
        self.fuse.light(calls);
    }

    /// A producer is lost, or all of the region is cancelled, and all restart, from an earlier
    /// checkpoint than the latest if so many are to be forgotten.
    pub async fn restart(&mut self, lose: Option<usize>, forget: usize) -> Result<(), String> {
        self.fails = true;
        match lose {
            Some(producer) => drop(self.producers.remove(producer)),
            None => self.task.iter().for_each(TaskHandle::cancel),
        }
        self.pause(1).await;
        // Whoever is behind a lost producer and has all of its input goes on until it is told.
        self.task.iter().for_each(TaskHandle::cancel);
        for _ in 0..1_000 {
            self.look_at_reports(true)?;
            if self.state.is_terminal() {
                return self.start_anew(forget);
            }
            self.pause(1).await;
        }
        Err(format!("the task does not end: {:?}", self.state))
    }

    fn start_anew(&mut self, forget: usize) -> Result<(), String> {
        self.fuse.light(0);
        self.fails = false;
        self.failure = None;
        self.producers.clear();
        self.readers.iter_mut().for_each(Reader::disconnect);
        self.task = None;
        self.pending.clear();
        let kept = self.complete.len().saturating_sub(forget);
        self.complete.truncate(kept.max(1));
        self.attempt += 1;
        self.deploy();
        self.seen.restores += u64::from(!self.complete.is_empty());
        let finished = self.complete.last().is_some_and(|from| from.task_finished);
        self.seen.restored_as_finished += u64::from(finished);
        Ok(())
    }

    /// Reads what the task has reported, completes what is complete, and restarts what has failed.
    pub fn look(&mut self, lose_notification: bool, forget: usize) -> Result<(), String> {
        self.look_at_reports(lose_notification)?;
        if self.state == ExecutionState::Failed {
            self.seen.failures += 1;
            return self.start_anew(forget);
        }
        Ok(())
    }

    fn look_at_reports(&mut self, lose_notification: bool) -> Result<(), String> {
        let reports = std::mem::take(&mut *self.reports.0.lock());
        for (attempt, report) in reports {
            if attempt.attempt != self.attempt {
                return Err(format!("attempt {attempt} speaks after its end"));
            }
            match report {
                Report::State(update) => self.state_changed(*update)?,
                Report::Acknowledged(id, snapshot) => {
                    if let Some(pending) = self.pending.get_mut(&id) {
                        pending.snapshot = Some(*snapshot);
                    }
                }
                Report::Declined(_, CheckpointFailureReason::CheckpointDeclinedTaskClosing) => {
                    return Err("a checkpoint fails since the task ends".to_owned());
                }
                Report::Declined(id, _) => {
                    self.seen.declined += 1;
                    if self.pending.remove(&id).is_some() {
                        self.tell_aborted(id);
                    }
                }
            }
        }
        self.complete_what_is_complete(lose_notification);
        Ok(())
    }

    fn state_changed(&mut self, update: TaskStateUpdate) -> Result<(), String> {
        let is_first = update.state == ExecutionState::Initializing;
        if !is_first && !self.state.may_become(update.state) {
            return Err(format!("{:?} after {:?}", update.state, self.state));
        }
        self.state = update.state;
        self.failure = update.failure.map(|failure| failure.message);
        if self.state == ExecutionState::Finished {
            // It need not have a part in what was triggered while it ended.
            for pending in self.pending.values_mut().filter(|p| p.snapshot.is_none()) {
                pending.snapshot = Some(TaskStateSnapshot::default());
                pending.task_finished = true;
            }
        }
        let failure = self.failure.as_deref().unwrap_or_default();
        let excused = self.fails && (failure.contains(INJECTED) || failure.contains("gone away"));
        let lost = self.fails && failure.contains("lost");
        match self.state {
            ExecutionState::Failed if !excused && !lost => {
                Err(format!("the task failed: {failure}"))
            }
            ExecutionState::Canceled if !self.fails => Err("nobody has cancelled it".to_owned()),
            _ => Ok(()),
        }
    }

    fn complete_what_is_complete(&mut self, lose_notification: bool) {
        let channels: usize = self.plan.edges.iter().map(|edge| edge.channels.len()).sum();
        if self.producers.len() < channels {
            // One is lost, and all will restart.
            return;
        }
        let ids: Vec<CheckpointId> = self.pending.keys().copied().collect();
        for id in ids.into_iter().rev() {
            let pending = &self.pending[&id];
            let Some(snapshot) = pending.snapshot.clone() else { continue };
            let producers: Option<Vec<Cut>> = self.producers.iter().map(|p| p.cut(id)).collect();
            let consumers: Option<Vec<usize>> = self.readers.iter().map(|r| r.cut(id)).collect();
            let (Some(producers), Some(consumers)) = (producers, consumers) else { continue };
            let on_restore = snapshot.progress == SnapshotProgress::FinishedOnRestore;
            let task_finished = pending.task_finished || on_restore;
            self.note(&snapshot);
            self.complete.push(Complete { id, snapshot, task_finished, producers, consumers });
            if self.complete.len() > RETAINED {
                self.complete.remove(0);
            }
            let later = self.pending.split_off(&CheckpointId(id.0 + 1));
            let mut subsumed = std::mem::replace(&mut self.pending, later);
            subsumed.remove(&id);
            if !lose_notification {
                self.task.iter().for_each(|task| task.checkpoint_complete(id).unwrap());
                subsumed.into_keys().for_each(|id| self.tell_aborted(id));
            }
            return;
        }
    }

    fn note(&mut self, snapshot: &TaskStateSnapshot) {
        let seen = &mut self.seen;
        seen.complete += 1;
        let ended = snapshot.progress == SnapshotProgress::OperatorsFinished;
        seen.ended_before_a_checkpoint += u64::from(ended);
        for state in snapshot.operators.values() {
            seen.records_in_flight_on_inputs += u64::from(!state.input_channels.is_empty());
            seen.records_in_flight_on_outputs += u64::from(!state.result_subpartitions.is_empty());
            seen.deltas += u64::from(state.keyed.iter().any(|handle| handle.chain.len() > 1));
        }
    }

    /// What the consumers have.
    pub fn told(&self) -> Vec<Vec<Told>> {
        self.readers.iter().map(|reader| reader.told.clone()).collect()
    }

    /// Ends all connections.
    pub fn shut_down(mut self) {
        self.producers.clear();
        self.readers.clear();
        self.environments.iter().for_each(NetworkEnvironment::shutdown);
    }
}
