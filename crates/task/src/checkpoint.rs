//! A task's part in checkpoints, from the barrier to the acknowledgement.
//!
//! 1. The last barrier has come: operators emit what belongs before it and the loop waits until all
//!    are prepared. Then the barrier goes out, and every operator marks its state
//!    (`begin_capture`). This is all that stops the processing.
//! 2. Between batches the loop asks the operators for pieces of their keyed state, one operator
//!    after the other ([`TaskCheckpoints::write_some`]), and hands them to an uploader on the
//!    control executor. At most [`CHUNKS_IN_FLIGHT`] pieces wait for it.
//!    Records in flight belong to an unaligned checkpoint too: the outputs' come with the barrier,
//!    the inputs' when the last of them is [collected](TaskCheckpoints::inputs_collected). A barrier
//!    that has a timeout may have to overtake records on the outputs later
//!    ([`TaskCheckpoints::look_at_outputs`]); until then nobody knows what is in flight there.
//! 3. When everything is written, the uploader posts [`Written`] to the task's mailbox, and the
//!    task acknowledges with the handles.
//! 4. The checkpoint is complete: its files may be built upon. Or it was aborted.
//!
//! Changes since a complete checkpoint make a delta, whose chain is that of the checkpoint and one
//! file more. After [`LONGEST_CHAIN`] files, or when the deltas have become half as large as what
//! they change, everything is written anew.
//!
//! One checkpoint is written at a time: the barrier of the next gives an unfinished one up.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_operator_api::{Captured, ListStateData};
use hurtig_storage::{
    StateTarget, StateWriter, StorageError, StorageOptions, Stores, TaskLocalState,
};
use hurtig_types::{
    Alignment, CheckpointBarrier, CheckpointException, CheckpointFailureReason, CheckpointId,
    CheckpointMetrics, CheckpointOptions, ExecutionAttemptId, FlowResult, KeyGroupRange,
    KeyedStateHandle, OperatorStateHandle, OperatorSubtaskState, SnapshotProgress, StateFile,
    TaskStateSnapshot, chain_text,
    snapshot::{PartitionedState, StatePartition},
};
use tokio::sync::mpsc;

use crate::{
    chain::OperatorChain,
    in_flight::{self, InFlightFiles, InputsInFlight, OutputsInFlight},
    input::DueCheckpoint,
    orphans::Unacknowledged,
    stream_task::Mail,
};

/// Pieces of state that wait for their upload.
const CHUNKS_IN_FLIGHT: usize = 4;
/// Bytes of one piece: a millisecond of work or two.
const CHUNK_BYTES: usize = 256 * 1024;
/// Files of one chain.
const LONGEST_CHAIN: usize = 12;

/// The files of one operator for one checkpoint.
#[derive(Debug, Default)]
pub struct WrittenOperator {
    keyed: Option<StateFile>,
    lists: Option<OperatorStateHandle>,
}

/// All files of a checkpoint.
#[derive(Debug)]
struct WrittenFiles {
    operators: Vec<WrittenOperator>,
    in_flight: InFlightFiles,
    unacknowledged: Vec<Unacknowledged>,
}

/// Everything of a checkpoint is written, or could not be.
#[derive(Debug)]
pub struct Written {
    checkpoint: CheckpointId,
    files: Result<WrittenFiles, String>,
}

/// What a task has to say of a checkpoint.
#[derive(Debug)]
pub(crate) enum CheckpointReport {
    Acknowledge(CheckpointId, Box<TaskStateSnapshot>, CheckpointMetrics),
    Decline(CheckpointId, CheckpointException),
}

/// Files that hold an operator's keyed state as of one capture.
#[derive(Clone, Debug, Default)]
struct Chain {
    capture: Option<u32>,
    files: Vec<StateFile>,
}

impl Chain {
    /// True if a delta is worth it.
    fn can_grow(&self) -> bool {
        let lengths = || self.files.iter().map(|file| file.length);
        let deltas: u64 = lengths().skip(1).sum();
        self.files.len() < LONGEST_CHAIN && deltas <= lengths().next().unwrap_or(0) / 2
    }
}

#[derive(Debug, Default)]
struct Operator {
    complete: Option<Chain>,
    pending: BTreeMap<CheckpointId, Chain>,
}

enum Piece {
    Bytes(Vec<u8>),
    End,
}

/// A checkpoint that is being written.
struct Running {
    barrier: CheckpointBarrier,
    began_ms: i64,
    metrics: CheckpointMetrics,
    captured: Vec<Captured>,
    /// The chain that the operator's file is a delta to.
    base: Vec<Option<Chain>>,
    /// The operator whose state is being asked for; one behind the last when all was.
    at: usize,
    pieces: Option<mpsc::Sender<Piece>>,
    uploads: Vec<Upload>,
    /// Records in flight on the inputs, once they are complete.
    inputs: Option<InputsInFlight>,
    outputs: OutputsInFlight,
    /// When the barrier is to overtake what is before it on the outputs.
    outputs_deadline_ms: Option<i64>,
}

/// A file, which is deleted if nobody asks for it any more.
type Uploaded<T> = tokio::task::JoinHandle<Result<(T, Unacknowledged), StorageError>>;

#[derive(Default)]
struct Upload {
    /// Nothing comes of a file that was given up.
    keyed: Option<Uploaded<Option<StateFile>>>,
    lists: Option<Uploaded<OperatorStateHandle>>,
}

/// What a task needs to take part.
#[derive(Clone)]
pub(crate) struct CheckpointServices {
    pub(crate) attempt: ExecutionAttemptId,
    pub(crate) stores: Arc<Stores>,
    pub(crate) options: StorageOptions,
    pub(crate) local: Option<TaskLocalState>,
    pub(crate) runtimes: Runtimes,
    pub(crate) clock: Clock,
    pub(crate) signal: Signal,
    pub(crate) mailbox: mpsc::Sender<Mail>,
    pub(crate) key_groups: KeyGroupRange,
}

/// All checkpoints of one task.
pub(crate) struct TaskCheckpoints {
    services: CheckpointServices,
    operators: Vec<Operator>,
    running: Option<Running>,
    latest: CheckpointId,
    progress: SnapshotProgress,
    /// Written, but not known to be complete: kept until the files are.
    writing: BTreeMap<CheckpointId, Running>,
}

impl TaskCheckpoints {
    pub(crate) fn new(services: CheckpointServices, operators: usize) -> Self {
        let operators = (0..operators).map(|_| Operator::default()).collect();
        Self {
            services,
            operators,
            running: None,
            latest: CheckpointId(0),
            progress: SnapshotProgress::Running,
            writing: BTreeMap::new(),
        }
    }

    /// Later snapshots are of operators that have seen the end of their input.
    pub(crate) fn operators_have_finished(&mut self) {
        self.progress = SnapshotProgress::OperatorsFinished;
    }

    /// The last checkpoint that was taken here.
    pub(crate) fn latest(&self) -> CheckpointId {
        self.latest
    }

    /// The task was deployed as finished: its operators have neither state nor a say.
    pub(crate) fn finished_on_restore(&mut self) {
        self.progress = SnapshotProgress::FinishedOnRestore;
        self.operators.clear();
    }

    /// True while the operators process records.
    pub(crate) fn operators_run(&self) -> bool {
        self.progress == SnapshotProgress::Running
    }

    pub(crate) fn is_finished_on_restore(&self) -> bool {
        self.progress == SnapshotProgress::FinishedOnRestore
    }

    /// True while a checkpoint is not acknowledged yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.is_some() || !self.writing.is_empty()
    }

    /// Step 1: the barrier has come on all inputs, or overtakes what is in flight on them; the
    /// operators are prepared.
    pub(crate) fn take(
        &mut self,
        due: DueCheckpoint,
        chain: &mut OperatorChain,
    ) -> FlowResult<Option<CheckpointReport>> {
        let DueCheckpoint { barrier, alignment_ms, collects } = due;
        debug_assert!(barrier.checkpoint_id > self.latest, "a checkpoint is taken once");
        let superseded = self.running.take().map(|running| {
            chain.cancel_captures();
            let reason = CheckpointFailureReason::CheckpointDeclinedSubsumed;
            CheckpointReport::Decline(running.barrier.checkpoint_id, reason.into())
        });
        let id = barrier.checkpoint_id;
        self.latest = id;
        let began_ms = self.services.clock.now_ms();
        let outputs = chain.send_barrier(&barrier)?;
        let shares = barrier.options.checkpoint_type.may_share_files();
        let mut captured = Vec::with_capacity(chain.len());
        let mut base = Vec::with_capacity(chain.len());
        for (index, operator) in self.operators.iter().enumerate() {
            let complete = operator.complete.as_ref().filter(|chain| shares && chain.can_grow());
            let since = complete.and_then(|chain| chain.capture);
            let taken = chain.begin_capture(index, id, since)?;
            // An operator that numbers no capture has given everything.
            let is_delta = since.is_some() && taken.number.is_some();
            base.push(complete.filter(|_| is_delta).cloned());
            captured.push(taken);
        }
        let metrics = CheckpointMetrics {
            alignment_duration_ms: alignment_ms.max(0) as u64,
            start_delay_ms: (began_ms - alignment_ms - barrier.timestamp_ms).max(0) as u64,
            sync_duration_ms: (self.services.clock.now_ms() - began_ms).max(0) as u64,
            unaligned: barrier.options.alignment == Alignment::Unaligned,
            ..CheckpointMetrics::default()
        };
        self.services.begin_local(&barrier, base.iter().flatten().flat_map(|chain| &chain.files));
        let outputs_deadline_ms = barrier.deadline_ms();
        let uploads = captured.iter().map(|_| Upload::default()).collect();
        let mut running = Running {
            barrier,
            began_ms,
            metrics,
            captured,
            base,
            at: 0,
            pieces: None,
            uploads,
            inputs: (!collects).then(Vec::new),
            outputs,
            outputs_deadline_ms,
        };
        for index in 0..running.captured.len() {
            let lists = std::mem::take(&mut running.captured[index].operator_states);
            if !lists.is_empty() {
                running.uploads[index].lists = Some(self.write_lists(&running, index, lists));
            }
        }
        self.running = Some(running);
        Ok(superseded)
    }

    /// Step 2: what is in flight on the inputs of a checkpoint.
    pub(crate) fn inputs_collected(&mut self, id: CheckpointId, inputs: InputsInFlight) {
        if let Some(running) = self.running.as_mut().filter(|r| r.barrier.checkpoint_id == id) {
            running.inputs = Some(inputs);
        }
    }

    /// Step 2: barriers that have waited on the outputs for too long overtake what is before them.
    pub(crate) fn look_at_outputs(&mut self, chain: &mut OperatorChain) -> FlowResult {
        let now_ms = self.services.clock.now_ms();
        let Some(running) = &mut self.running else { return Ok(()) };
        let Some(deadline_ms) = running.outputs_deadline_ms else { return Ok(()) };
        let id = running.barrier.checkpoint_id;
        if !chain.holds_barrier(id) {
            running.outputs_deadline_ms = None;
        } else if deadline_ms <= now_ms {
            running.outputs_deadline_ms = None;
            running.outputs = chain.overtake(id)?;
            running.metrics.unaligned = true;
        }
        Ok(())
    }

    /// When to look at the outputs at latest, in milliseconds of wall time.
    pub(crate) fn deadline_ms(&self) -> Option<i64> {
        self.running.as_ref().and_then(|running| running.outputs_deadline_ms)
    }

    fn writer(
        services: &CheckpointServices,
        id: CheckpointId,
        options: &CheckpointOptions,
        kind: &str,
        may_share: bool,
    ) -> Result<StateWriter, StorageError> {
        let target = match &options.target {
            Some(directory) => StateTarget::Savepoint(directory.clone()),
            None if may_share && options.checkpoint_type.may_share_files() => {
                StateTarget::Shared(id)
            }
            None => StateTarget::Exclusive(id),
        };
        let attempt = services.attempt;
        let name =
            format!("{}-{}-{}-{id}-{kind}", attempt.vertex, attempt.subtask, attempt.attempt);
        let copy = options.target.is_none().then(|| services.local_copy(id, &name)).flatten();
        StateWriter::new(&services.stores, &services.options, attempt.job, &target, &name)
            .map(|writer| writer.with_copy(copy))
    }

    fn write_lists(
        &self,
        running: &Running,
        operator: usize,
        lists: Vec<ListStateData>,
    ) -> Uploaded<OperatorStateHandle> {
        let (services, barrier) = (self.services.clone(), running.barrier.clone());
        self.services.runtimes.control.spawn(async move {
            let (id, options) = (barrier.checkpoint_id, &barrier.options);
            let kind = format!("{operator}-lists");
            let mut writer = Self::writer(&services, id, options, &kind, false)?;
            let mut states = Vec::with_capacity(lists.len());
            for list in lists {
                let mut partitions = Vec::with_capacity(list.elements.len());
                for element in list.elements {
                    let length = element.len() as u64;
                    partitions.push(StatePartition { offset: writer.length(), length });
                    writer.write(&element).await?;
                }
                states.push(PartitionedState { name: list.name, mode: list.mode, partitions });
            }
            let file = writer.finish().await?;
            let unacknowledged = Unacknowledged::new(&services, [&file]);
            Ok((OperatorStateHandle { file, states }, unacknowledged))
        })
    }

    /// Step 2: asks for one more piece, if the uploader takes it. True if something was done.
    pub(crate) fn write_some(&mut self, chain: &mut OperatorChain) -> FlowResult<bool> {
        let Some(running) = &mut self.running else {
            return Ok(false);
        };
        let Some(captured) = running.captured.get(running.at) else {
            let settled = running.inputs.is_some() && running.outputs_deadline_ms.is_none();
            if settled {
                self.finish_writing();
            }
            return Ok(settled);
        };
        if !captured.keyed {
            running.at += 1;
            return Ok(true);
        }
        if running.pieces.as_ref().is_some_and(|pieces| pieces.capacity() == 0) {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        let more = chain.next_capture(running.at, CHUNK_BYTES, &mut bytes)?;
        if !bytes.is_empty() {
            let pieces = match &running.pieces {
                Some(pieces) => pieces,
                None => {
                    let (pieces, upload) =
                        upload(&self.services, running.barrier.clone(), running.at);
                    running.uploads[running.at].keyed = Some(upload);
                    running.pieces.insert(pieces)
                }
            };
            // An uploader that has gone has an error, which is found when its end is awaited.
            let _ = pieces.try_send(Piece::Bytes(bytes));
        }
        if !more {
            if let Some(pieces) = running.pieces.take() {
                let end = self.services.runtimes.control.clone();
                end.spawn(async move {
                    let _ = pieces.send(Piece::End).await;
                });
            }
            running.at += 1;
        }
        Ok(true)
    }

    /// All pieces were handed over: the rest happens beside the processing.
    fn finish_writing(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let checkpoint = running.barrier.checkpoint_id;
        let uploads = std::mem::take(&mut running.uploads);
        let inputs = running.inputs.take().unwrap_or_default();
        let outputs = std::mem::take(&mut running.outputs);
        let (services, options) = (self.services.clone(), running.barrier.options.clone());
        self.services.runtimes.control.spawn(async move {
            let writer = |kind: String| Self::writer(&services, checkpoint, &options, &kind, false);
            let in_flight = in_flight::write(inputs, outputs, writer).await;
            let in_flight = in_flight.map_err(|error| chain_text(&error));
            let (operators, mut unacknowledged, problem) = written(uploads).await;
            let files = problem.map_or(in_flight, Err).map(|in_flight| {
                unacknowledged.push(Unacknowledged::new(&services, in_flight.files()));
                WrittenFiles { operators, in_flight, unacknowledged }
            });
            let mail = Mail::Written(Written { checkpoint, files });
            // A task that has ended needs no word.
            let _ = services.mailbox.send(mail).await;
            services.signal.post();
        });
        self.writing.insert(checkpoint, running);
    }

    /// Step 3.
    pub(crate) fn on_written(
        &mut self,
        written: Written,
        chain: &OperatorChain,
    ) -> Option<CheckpointReport> {
        let running = self.writing.remove(&written.checkpoint)?;
        let id = written.checkpoint;
        let WrittenFiles { operators, in_flight, unacknowledged } = match written.files {
            Ok(files) => files,
            Err(problem) => {
                let reason = CheckpointFailureReason::CheckpointAsyncException;
                let failure = CheckpointException::new(reason, problem);
                return Some(CheckpointReport::Decline(id, failure));
            }
        };
        let mut metrics = running.metrics;
        let mut snapshot = TaskStateSnapshot { progress: self.progress, ..Default::default() };
        let in_flight_bytes = in_flight.files().map(|file| file.length).sum::<u64>();
        metrics.persisted_bytes = in_flight_bytes;
        metrics.checkpointed_bytes += in_flight_bytes;
        let parts = running.captured.into_iter().zip(running.base).zip(operators);
        for (index, ((captured, base), files)) in parts.enumerate() {
            let mut keyed = base.unwrap_or_default();
            if let Some(file) = files.keyed {
                metrics.checkpointed_bytes += file.length;
                keyed.files.push(file);
            }
            let lists: Vec<_> = files.lists.into_iter().collect();
            metrics.checkpointed_bytes += lists.iter().map(|l| l.file.length).sum::<u64>();
            let mut state = OperatorSubtaskState {
                operator: lists,
                states: captured.metas,
                ..OperatorSubtaskState::default()
            };
            if !keyed.files.is_empty() {
                let key_groups = self.services.key_groups;
                state.keyed = vec![KeyedStateHandle { key_groups, chain: keyed.files.clone() }];
            }
            metrics.total_bytes += state.files().map(|file| file.length).sum::<u64>();
            if running.barrier.options.checkpoint_type.may_share_files() {
                keyed.capture = captured.number;
                self.operators[index].pending.insert(id, keyed);
            }
            if let Some(operator) = chain.operator_id(index) {
                snapshot.operators.insert(operator, state);
            }
        }
        if let Some(head) = chain.operator_id(0)
            && in_flight.files().next().is_some()
        {
            // They belong to the whole chain, and are kept with its head.
            let state = snapshot.operators.entry(head).or_default();
            state.input_channels = in_flight.inputs;
            state.result_subpartitions = in_flight.outputs;
        }
        let took_ms = self.services.clock.now_ms() - running.began_ms;
        metrics.async_duration_ms =
            (took_ms.max(0) as u64).saturating_sub(metrics.sync_duration_ms);
        unacknowledged.into_iter().for_each(Unacknowledged::acknowledge);
        Some(CheckpointReport::Acknowledge(id, Box::new(snapshot), metrics))
    }

    /// Step 4: later checkpoints may refer to this one's files.
    pub(crate) fn on_complete(
        &mut self,
        id: CheckpointId,
        chain: &mut OperatorChain,
    ) -> FlowResult {
        self.services.confirm_local(id);
        for (index, operator) in self.operators.iter_mut().enumerate() {
            if let Some(complete) = operator.pending.remove(&id) {
                if let Some(capture) = complete.capture {
                    chain.forget_captures_before(index, capture);
                }
                operator.complete = Some(complete);
            }
            operator.pending = operator.pending.split_off(&id);
        }
        if self.is_finished_on_restore() {
            return Ok(());
        }
        chain.checkpoint_complete(id)
    }

    /// Step 4, otherwise.
    pub(crate) fn on_aborted(&mut self, id: CheckpointId, chain: &mut OperatorChain) -> FlowResult {
        if self.running.as_ref().is_some_and(|running| running.barrier.checkpoint_id == id) {
            self.running = None;
            chain.cancel_captures();
        }
        self.writing.remove(&id);
        self.services.abort_local(id);
        for operator in &mut self.operators {
            // What was acknowledged is the JobMaster's to delete: metadata that names it may be
            // in the store, though the write has failed. What an acknowledgement named that was
            // lost is swept with the job.
            operator.pending.remove(&id);
        }
        if self.is_finished_on_restore() {
            return Ok(());
        }
        chain.checkpoint_aborted(id)
    }
}

/// Starts to write one operator's keyed state.
fn upload(
    services: &CheckpointServices,
    barrier: CheckpointBarrier,
    operator: usize,
) -> (mpsc::Sender<Piece>, Uploaded<Option<StateFile>>) {
    let (pieces, mut queue) = mpsc::channel(CHUNKS_IN_FLIGHT + 1);
    let services = services.clone();
    let uploading = services.runtimes.control.clone().spawn(async move {
        let (id, options) = (barrier.checkpoint_id, &barrier.options);
        let kind = format!("{operator}-keyed");
        let mut writer = TaskCheckpoints::writer(&services, id, options, &kind, true)?;
        while let Some(piece) = queue.recv().await {
            match piece {
                Piece::Bytes(bytes) => writer.write(&bytes).await?,
                Piece::End => {
                    let file = writer.finish().await?;
                    let unacknowledged = Unacknowledged::new(&services, [&file]);
                    return Ok((Some(file), unacknowledged));
                }
            }
            services.signal.post();
        }
        writer.abort().await?;
        Ok((None, Unacknowledged::new(&services, [])))
    });
    (pieces, uploading)
}

/// Waits for all uploads; returns what has been written, and the first problem.
async fn written(
    uploads: Vec<Upload>,
) -> (Vec<WrittenOperator>, Vec<Unacknowledged>, Option<String>) {
    async fn ended<T>(
        upload: Option<Uploaded<T>>,
        unacknowledged: &mut Vec<Unacknowledged>,
    ) -> Result<Option<T>, String> {
        match upload {
            None => Ok(None),
            Some(upload) => match upload.await {
                Ok(Ok((file, own))) => {
                    unacknowledged.push(own);
                    Ok(Some(file))
                }
                Ok(Err(error)) => Err(chain_text(&error)),
                Err(error) => Err(error.to_string()),
            },
        }
    }
    let mut operators = Vec::with_capacity(uploads.len());
    let mut unacknowledged = Vec::new();
    let mut problem = None;
    for upload in uploads {
        let keyed = ended(upload.keyed, &mut unacknowledged).await;
        let lists = ended(upload.lists, &mut unacknowledged).await;
        let keyed = keyed.map_err(|error| problem.get_or_insert(error).clone());
        let lists = lists.map_err(|error| problem.get_or_insert(error).clone());
        let keyed = keyed.ok().flatten().flatten();
        operators.push(WrittenOperator { keyed, lists: lists.ok().flatten() });
    }
    (operators, unacknowledged, problem)
}
