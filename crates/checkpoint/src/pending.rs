//! A checkpoint that is under way: what has been collected, and who is still awaited.
//!
//! # Phases
//!
//! 1. *Coordinators*: the operators' coordinators take their snapshots. No task knows of it yet.
//! 2. *Tasks*: all tasks are triggered. It is a source's task where the checkpoint begins; the
//!    others wait for barriers, and obey the message if all their input has ended meanwhile, since
//!    no barrier follows the end of a channel. All acknowledge.
//! 3. *Writing*: everything is there, the metadata file is being written. From here on the
//!    checkpoint cannot be aborted: until the write has ended nobody knows whether a restore would
//!    find it.
//!
//! A task that finishes without having acknowledged was at the end of its records when the others
//! were at the barrier, so it counts as finished in this checkpoint.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hurtig_types::{
    CheckpointException, CheckpointFailureReason, CheckpointId, CheckpointType, ExecutionAttemptId,
    OperatorId, SnapshotProgress, StateFile, TaskStateSnapshot, snapshot::RedistributionMode,
};

use crate::{
    model::{ChainInput, CheckpointMetadata, METADATA_FORMAT_VERSION, OperatorState},
    plan::CheckpointPlan,
    requests::RequestId,
    topology::{OperatorInfo, SubtaskRef, Topology, VertexInfo},
};

/// How far a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingPhase {
    /// Waits for coordinators.
    Coordinators,
    /// Waits for tasks, or for the metadata of an earlier checkpoint.
    Tasks,
    /// Its metadata is being written.
    Writing,
}

/// What an acknowledgement is to a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskAcknowledgeResult {
    /// The state was taken.
    Success,
    /// The attempt has acknowledged before.
    Duplicate,
    /// The attempt takes no part in the checkpoint.
    Unknown,
}

/// A checkpoint under way.
#[derive(Clone, Debug)]
pub struct PendingCheckpoint {
    /// Its number.
    pub id: CheckpointId,
    /// What is taken.
    pub checkpoint_type: CheckpointType,
    /// When it was triggered, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Directory of a savepoint.
    pub target: Option<Arc<str>>,
    /// Who is to be answered.
    pub answer: Option<RequestId>,
    /// How far it is.
    pub phase: PendingPhase,
    /// The oldest checkpoint that was retained when it was triggered: its tasks may name files of
    /// that one and later ones.
    pub may_name_files_from: Option<CheckpointId>,
    /// The attempts that take part.
    attempts: BTreeMap<ExecutionAttemptId, SubtaskRef>,
    awaited: BTreeSet<SubtaskRef>,
    acknowledged: BTreeSet<ExecutionAttemptId>,
    finished: BTreeSet<SubtaskRef>,
    operators_finished: BTreeSet<SubtaskRef>,
    finished_on_restore: BTreeSet<SubtaskRef>,
    awaited_coordinators: BTreeSet<OperatorId>,
    coordinator_states: BTreeMap<OperatorId, Vec<u8>>,
    snapshots: BTreeMap<SubtaskRef, TaskStateSnapshot>,
}

impl PendingCheckpoint {
    /// A checkpoint that nobody has contributed to.
    pub fn new(
        (id, checkpoint_type): (CheckpointId, CheckpointType),
        plan: CheckpointPlan,
        attempt_of: impl Fn(SubtaskRef) -> ExecutionAttemptId,
        topology: &Topology,
        timestamp_ms: i64,
    ) -> Self {
        let operators = topology.vertices.iter().flat_map(|vertex| &vertex.operators);
        let coordinators = operators.filter(|operator| operator.has_coordinator);
        let attempts = plan.to_wait_for.iter().map(|subtask| (attempt_of(*subtask), *subtask));
        Self {
            id,
            checkpoint_type,
            timestamp_ms,
            target: None,
            answer: None,
            phase: PendingPhase::Coordinators,
            may_name_files_from: None,
            attempts: attempts.collect(),
            awaited: plan.to_wait_for,
            acknowledged: BTreeSet::new(),
            finished: plan.finished,
            operators_finished: BTreeSet::new(),
            finished_on_restore: BTreeSet::new(),
            awaited_coordinators: coordinators.map(|operator| operator.id).collect(),
            coordinator_states: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        }
    }

    /// The attempts that take part, and hear of the outcome.
    pub fn participants(&self) -> impl Iterator<Item = ExecutionAttemptId> + '_ {
        self.attempts.keys().copied()
    }

    /// The coordinators that have not answered.
    pub fn awaited_coordinators(&self) -> &BTreeSet<OperatorId> {
        &self.awaited_coordinators
    }

    /// True if that attempt takes part and has not acknowledged.
    pub fn awaits(&self, attempt: ExecutionAttemptId) -> bool {
        self.attempts.get(&attempt).is_some_and(|subtask| self.awaited.contains(subtask))
    }

    /// True if that attempt takes part.
    pub fn has_participant(&self, attempt: ExecutionAttemptId) -> bool {
        self.attempts.contains_key(&attempt)
    }

    /// True if nothing is missing.
    pub fn is_fully_acknowledged(&self) -> bool {
        self.awaited_coordinators.is_empty() && self.awaited.is_empty()
    }

    /// True if the completion of a later checkpoint makes it pointless.
    pub fn can_be_subsumed(&self) -> bool {
        !self.checkpoint_type.is_savepoint()
    }

    /// Takes a coordinator's state.
    pub fn acknowledge_coordinator(
        &mut self,
        operator: OperatorId,
        state: Vec<u8>,
    ) -> TaskAcknowledgeResult {
        if self.awaited_coordinators.remove(&operator) {
            self.coordinator_states.insert(operator, state);
            TaskAcknowledgeResult::Success
        } else if self.coordinator_states.contains_key(&operator) {
            TaskAcknowledgeResult::Duplicate
        } else {
            TaskAcknowledgeResult::Unknown
        }
    }

    /// What an acknowledgement of that attempt would be.
    pub fn classify(&self, attempt: ExecutionAttemptId) -> TaskAcknowledgeResult {
        if self.awaits(attempt) {
            TaskAcknowledgeResult::Success
        } else if self.acknowledged.contains(&attempt) {
            TaskAcknowledgeResult::Duplicate
        } else {
            TaskAcknowledgeResult::Unknown
        }
    }

    /// Takes a task's snapshot.
    pub fn acknowledge_task(
        &mut self,
        attempt: ExecutionAttemptId,
        snapshot: TaskStateSnapshot,
    ) -> TaskAcknowledgeResult {
        let result = self.classify(attempt);
        if let (TaskAcknowledgeResult::Success, Some(&subtask)) =
            (result, self.attempts.get(&attempt))
        {
            self.awaited.remove(&subtask);
            self.acknowledged.insert(attempt);
            match snapshot.progress {
                SnapshotProgress::Running => {}
                SnapshotProgress::OperatorsFinished => {
                    self.operators_finished.insert(subtask);
                }
                SnapshotProgress::FinishedOnRestore => {
                    self.finished_on_restore.insert(subtask);
                }
            }
            self.snapshots.insert(subtask, snapshot);
        }
        result
    }

    /// A task has finished. True if that changes anything here.
    pub fn on_finished(&mut self, attempt: ExecutionAttemptId) -> bool {
        let Some(&subtask) = self.attempts.get(&attempt) else { return false };
        if !self.awaited.remove(&subtask) {
            return false;
        }
        self.finished.insert(subtask);
        true
    }

    /// Every file that was acknowledged.
    pub fn files(&self) -> impl Iterator<Item = &StateFile> {
        self.snapshots.values().flat_map(TaskStateSnapshot::files)
    }

    /// The files that nobody else can name: exclusive ones and shared ones made for it.
    pub fn own_files(&self) -> BTreeSet<Arc<str>> {
        own_files(self.files(), self.id)
    }

    /// Puts the metadata together. Fails if finished and running subtasks of a vertex do not go
    /// together.
    pub fn finalize(&self, topology: &Topology) -> Result<CheckpointMetadata, CheckpointException> {
        let mut operators = BTreeMap::new();
        let in_flight = self.snapshots.values().any(|snapshot| {
            snapshot.operators.values().any(|operator| operator.has_in_flight_data())
        });
        for (position, vertex) in topology.vertices.iter().enumerate() {
            let finished = self.finished_subtasks_of(position);
            let fully_finished = finished.len() as u32 == vertex.parallelism;
            let ended = self.operators_finished.iter().filter(|s| s.vertex == position);
            let ended: BTreeSet<u32> = ended.map(|subtask| subtask.subtask).collect();
            self.check_union_state(position, vertex, finished.len() as u32, fully_finished)?;
            for operator in &vertex.operators {
                let mut state = self.operator_state(position, vertex, operator);
                state.fully_finished = fully_finished;
                if !fully_finished {
                    state.finished_subtasks.clone_from(&finished);
                    state.ended_subtasks.clone_from(&ended);
                }
                if in_flight && operator.id == vertex.head() {
                    state.inputs = chain_inputs(topology, vertex);
                }
                operators.insert(operator.id, state);
            }
        }
        Ok(CheckpointMetadata {
            format_version: METADATA_FORMAT_VERSION,
            job: topology.job,
            checkpoint_id: self.id,
            checkpoint_type: self.checkpoint_type,
            timestamp_ms: self.timestamp_ms,
            operators,
            master_states: Vec::new(),
        })
    }

    fn finished_subtasks_of(&self, vertex: usize) -> BTreeSet<u32> {
        let finished = self.finished.iter().chain(&self.finished_on_restore);
        finished.filter(|subtask| subtask.vertex == vertex).map(|subtask| subtask.subtask).collect()
    }

    fn operator_state(
        &self,
        position: usize,
        vertex: &VertexInfo,
        operator: &OperatorInfo,
    ) -> OperatorState {
        let mut states = BTreeMap::new();
        let mut subtasks = BTreeMap::new();
        for (subtask, snapshot) in &self.snapshots {
            if subtask.vertex != position {
                continue;
            }
            let Some(state) = snapshot.operators.get(&operator.id) else { continue };
            let mut state = state.clone();
            for meta in std::mem::take(&mut state.states) {
                states.insert(meta.name.clone(), meta);
            }
            if !state.is_empty() {
                subtasks.insert(subtask.subtask, state);
            }
        }
        OperatorState {
            name: operator.name.clone(),
            uid: operator.uid.clone(),
            parallelism: vertex.parallelism,
            max_parallelism: vertex.max_parallelism,
            fully_finished: false,
            finished_subtasks: BTreeSet::new(),
            ended_subtasks: BTreeSet::new(),
            states: states.into_values().collect(),
            subtasks,
            coordinator_state: self.coordinator_states.get(&operator.id).cloned(),
            inputs: Vec::new(),
        }
    }

    /// A union list that lacks the elements of finished subtasks would be restored incomplete.
    /// Subtasks that are about to finish wait for each other, so that one checkpoint has them all.
    fn check_union_state(
        &self,
        position: usize,
        vertex: &VertexInfo,
        finished: u32,
        fully_finished: bool,
    ) -> Result<(), CheckpointException> {
        let about_to = self.operators_finished.iter().filter(|s| s.vertex == position).count();
        let about_to = about_to as u32;
        let some_about_to = about_to > 0 && about_to < vertex.parallelism;
        if fully_finished || (finished == 0 && !some_about_to) {
            return Ok(());
        }
        let snapshots = self.snapshots.iter().filter(|(subtask, _)| subtask.vertex == position);
        let mut handles = snapshots
            .flat_map(|(_, snapshot)| snapshot.operators.values())
            .flat_map(|operator| &operator.operator)
            .flat_map(|handle| &handle.states);
        let Some(union) = handles.find(|state| state.mode == RedistributionMode::Union) else {
            return Ok(());
        };
        let (name, state) = (&vertex.name, &union.name);
        let detail = format!("{name} has union list state {state:?} and finished in part");
        let reason = CheckpointFailureReason::CheckpointDeclinedTaskClosing;
        Err(CheckpointException::new(reason, detail))
    }
}

/// The files among these that were made for that checkpoint: exclusive ones, and shared ones that
/// it created.
pub fn own_files<'a>(
    files: impl Iterator<Item = &'a StateFile>,
    checkpoint: CheckpointId,
) -> BTreeSet<Arc<str>> {
    use hurtig_types::StateScope::{Exclusive, Shared};
    let own = files.filter(|file| match file.scope {
        Exclusive => true,
        Shared { created_by } => created_by == checkpoint,
        _ => false,
    });
    own.filter_map(|file| file.url().cloned()).collect()
}

fn chain_inputs(topology: &Topology, vertex: &VertexInfo) -> Vec<ChainInput> {
    let inputs = vertex.inputs.iter().map(|input| {
        let producer = &topology.vertices[input.producer];
        ChainInput {
            producer: producer.head(),
            producer_output: input.producer_output,
            producer_parallelism: producer.parallelism,
            ship: input.ship,
            pattern: input.pattern,
        }
    });
    inputs.collect()
}
