//! The loop of a task: one thread of control that takes turns between its mailbox, its timers and
//! its input, and waits only in one place.
//!
//! One turn:
//! 1. Stop if cancelled; read the mailbox: events of coordinators, news of checkpoints. If a
//!    checkpoint is being written, write a piece of it.
//! 2. Call the operators whose processing-time timers are due.
//! 3. If a checkpoint was triggered, or an unaligned one has been announced: take it, once the
//!    operators are prepared.
//! 4. If an operator has unfinished work and the outputs have room: resume it.
//! 5. Otherwise, if outputs and operators take more: poll the source or the input.
//! 6. If none of this did anything: flush the writers, then wait for the signal (input has
//!    arrived, an output has room, mail), the next timer, or the source's own wish.
//!
//! Writers are also flushed when the buffer timeout has passed since the last flush, so that a
//! record on a rare channel does not wait for others. After a few turns the task yields to the
//! others of its executor.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed},
        },
    },
    time::Duration,
};

use hurtig_env::{Clock, Signal};
use hurtig_operator_api::SourcePoll;
use hurtig_types::{
    Alignment, CheckpointBarrier, CheckpointFailureReason, CheckpointId, FlowError, FlowResult,
    OperatorId, TerminateKind,
};
use tokio::sync::mpsc;

use crate::{
    activity::Phase,
    chain::OperatorChain,
    checkpoint::{CheckpointReport, TaskCheckpoints, Written},
    input::{DueCheckpoint, InputProcessor, InputStep},
    metrics::TaskMetrics,
    stopping::Stopping,
};

/// Turns between two yields.
const TURNS_BETWEEN_YIELDS: u32 = 16;
/// Most time between two yields.
const TIME_BETWEEN_YIELDS: Duration = Duration::from_millis(2);

/// A message to a task.
#[derive(Debug)]
pub enum Mail {
    /// From a coordinator to an operator.
    Event {
        /// The operator.
        operator: OperatorId,
        /// The event.
        event: Vec<u8>,
    },
    /// A checkpoint begins here.
    Trigger(CheckpointBarrier),
    /// A checkpoint is complete.
    CheckpointComplete(CheckpointId),
    /// A checkpoint was given up.
    CheckpointAborted(CheckpointId),
    /// A checkpoint's files are written.
    Written(Written),
}

/// Where the records come from.
pub enum TaskInput {
    /// The head of the chain is a source.
    Source,
    /// Gates.
    Gates(Box<InputProcessor>),
}

/// What a task works with.
pub struct StreamTask {
    /// The operators.
    pub chain: OperatorChain,
    /// The input.
    pub input: TaskInput,
    /// Messages.
    pub mailbox: mpsc::Receiver<Mail>,
    /// Its part in checkpoints.
    pub(crate) checkpoints: TaskCheckpoints,
    /// A checkpoint that begins here as soon as no operator is in the middle of something; if the
    /// task has inputs, only when all of them have ended, as no barrier comes then.
    pub(crate) triggered: Option<CheckpointBarrier>,
    /// How a savepoint that stops the job stands.
    pub(crate) stopping: Stopping,
    /// Where what becomes of checkpoints is reported.
    pub(crate) report: Box<dyn Fn(CheckpointReport) + Send>,
    /// Posted whenever the loop should look again.
    pub signal: Signal,
    /// Set to cancel.
    pub cancelled: Arc<AtomicBool>,
    /// The clock.
    pub clock: Clock,
    /// Most time that a record may wait in a writer; `None` for no limit.
    pub buffer_timeout: Option<Duration>,
    /// Counters.
    pub metrics: Arc<TaskMetrics>,
    /// Deadlines of barriers up to this wall time have been looked at: one that could not be obeyed
    /// then waits for something else than time.
    pub(crate) waited_until_ms: i64,
}

/// What a task waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// Input, mail, a timer.
    Input,
    /// Room in the outputs.
    Room,
}

enum Turn {
    /// Something was done: go on.
    Worked,
    /// Nothing to do before the signal, or this wall time.
    Idle(Option<i64>),
    /// The outputs are full.
    Blocked,
    /// All input has been processed.
    Ended,
}

impl StreamTask {
    /// Runs from the first record to the end of all input. Operators must be open; they are
    /// neither opened nor closed here.
    pub async fn run(&mut self) -> FlowResult {
        let started = self.clock.monotonic();
        self.metrics.begin(started);
        let mut last_flush = started;
        let mut last_yield = started;
        let mut turns = 0;
        loop {
            self.check_cancelled()?;
            let turn = self.turn().await?;
            turns += 1;
            match turn {
                Turn::Worked if self.stopping.is_complete() => {
                    self.note_elapsed(started);
                    return Ok(());
                }
                Turn::Worked => {
                    if turns % 4 == 0 {
                        let now = self.clock.monotonic();
                        if self.buffer_timeout.is_some_and(|timeout| now - last_flush >= timeout) {
                            self.chain.flush()?;
                            last_flush = now;
                        }
                        if turns >= TURNS_BETWEEN_YIELDS || now - last_yield >= TIME_BETWEEN_YIELDS
                        {
                            turns = 0;
                            last_yield = now;
                            tokio::task::yield_now().await;
                        }
                    }
                }
                Turn::Idle(until_ms) => {
                    self.chain.flush()?;
                    self.wait(until_ms, WaitsFor::Input).await;
                    last_flush = self.clock.monotonic();
                    self.note_elapsed(started);
                }
                Turn::Blocked => {
                    self.wait(None, WaitsFor::Room).await;
                    self.note_elapsed(started);
                }
                Turn::Ended => break,
            }
        }
        self.finish().await?;
        self.note_elapsed(started);
        Ok(())
    }

    fn note_elapsed(&self, started: Duration) {
        let elapsed = self.clock.monotonic() - started;
        let elapsed_us = elapsed.as_micros() as u64;
        self.metrics.elapsed_us.store(elapsed_us, Relaxed);
    }

    pub(crate) fn check_cancelled(&self) -> FlowResult {
        if self.cancelled.load(Acquire) { Err(FlowError::cancelled()) } else { Ok(()) }
    }

    /// Delivers mail and timers, and resumes unfinished work. True if something was done.
    fn housekeeping(&mut self) -> FlowResult<bool> {
        let mut worked = false;
        self.metrics.mail_read(|| self.clock.monotonic());
        while let Ok(mail) = self.mailbox.try_recv() {
            self.metrics.mails.inc();
            self.on_mail(mail)?;
            worked = true;
        }
        self.checkpoints.look_at_outputs(&mut self.chain)?;
        worked |= self.checkpoints.write_some(&mut self.chain)?;
        if let Some(due) = self.chain.next_processing_timer_ms() {
            let now_ms = self.clock.now_ms();
            if due <= now_ms {
                self.chain.on_processing_time(now_ms)?;
                worked = true;
            }
        }
        Ok(worked)
    }

    pub(crate) fn on_mail(&mut self, mail: Mail) -> FlowResult {
        match mail {
            Mail::Event { operator, event } => self.chain.on_event(operator, &event),
            // The barrier of the same checkpoint may have come first.
            Mail::Trigger(barrier) if barrier.checkpoint_id <= self.checkpoints.latest() => Ok(()),
            Mail::Trigger(barrier) => {
                if let Some(earlier) = self.triggered.replace(barrier) {
                    self.decline(
                        earlier.checkpoint_id,
                        CheckpointFailureReason::CheckpointDeclinedSubsumed,
                    );
                }
                Ok(())
            }
            Mail::CheckpointComplete(id) => {
                self.checkpoints.on_complete(id, &mut self.chain)?;
                self.stopping.on_complete(id);
                Ok(())
            }
            Mail::CheckpointAborted(id) => {
                self.stopping.on_aborted(id)?;
                if self.triggered.as_ref().is_some_and(|barrier| barrier.checkpoint_id == id) {
                    self.triggered = None;
                }
                if let TaskInput::Gates(input) = &mut self.input {
                    input.on_checkpoint_aborted(id)?;
                }
                self.checkpoints.on_aborted(id, &mut self.chain)
            }
            Mail::Written(written) => {
                if let Some(report) = self.checkpoints.on_written(written, &self.chain) {
                    (self.report)(report);
                }
                Ok(())
            }
        }
    }

    fn decline(&self, id: CheckpointId, reason: CheckpointFailureReason) {
        (self.report)(CheckpointReport::Decline(id, reason.into()));
    }

    /// A checkpoint that begins here.
    async fn take_triggered(&mut self, barrier: CheckpointBarrier) -> FlowResult {
        self.take_checkpoint(DueCheckpoint { barrier, alignment_ms: 0, collects: false }).await
    }

    async fn take_checkpoint(&mut self, due: DueCheckpoint) -> FlowResult {
        let id = due.barrier.checkpoint_id;
        let terminate = due.barrier.options.checkpoint_type.terminate();
        if terminate == Some(TerminateKind::Drain) && self.checkpoints.operators_run() {
            // Boxed, since what is finished may wait for checkpoints elsewhere.
            Box::pin(self.drain(id)).await?;
        }
        let before = self.metrics.activity.enter_for(Phase::PreparesCheckpoint, id);
        if !self.checkpoints.is_finished_on_restore() {
            self.chain.prepare_barrier(id)?;
        }
        // Nothing is processed meanwhile: what comes now does not belong to the checkpoint.
        while !self.chain.is_prepared() {
            self.check_cancelled()?;
            self.signal.wait().await;
        }
        self.metrics.activity.enter(before);
        // What is finished reads mail, too: the trigger of the same checkpoint may have been in it.
        self.triggered.take_if(|triggered| triggered.checkpoint_id <= id);
        // Whole milliseconds are what is measured.
        let nanos = |ms: i64| ms.max(0).saturating_mul(1_000_000);
        let start_delay_ms = self.clock.now_ms() - due.alignment_ms - due.barrier.timestamp_ms;
        self.metrics.alignment_ns.set(nanos(due.alignment_ms));
        self.metrics.start_delay_ns.set(nanos(start_delay_ms));
        if let Some(report) = self.checkpoints.take(due, &mut self.chain)? {
            (self.report)(report);
        }
        if terminate.is_some() {
            self.stand_still(id).await?;
        }
        let TaskInput::Gates(input) = &mut self.input else { return Ok(()) };
        input.unblock();
        for id in input.take_superseded() {
            self.decline(id, CheckpointFailureReason::CheckpointDeclinedSubsumed);
        }
        Ok(())
    }

    /// True if it was taken.
    async fn take_triggered_if_possible(&mut self) -> FlowResult<bool> {
        let Some(barrier) = &mut self.triggered else { return Ok(false) };
        let may_overtake = barrier.may_overtake(self.clock.now_ms());
        let mut collects = false;
        if let TaskInput::Gates(input) = &self.input {
            if !input.awaits_no_barrier() {
                return Ok(false);
            }
            collects = input.holds_records();
        }
        if (collects || self.chain.has_more()) && !may_overtake {
            return Ok(false);
        }
        if may_overtake {
            barrier.options.alignment = Alignment::Unaligned;
        }
        let Some(barrier) = self.triggered.take() else { return Ok(false) };
        if let TaskInput::Gates(input) = &mut self.input {
            input.on_taken(barrier.checkpoint_id)?;
            if collects {
                input.collect_held(barrier.checkpoint_id)?;
            }
        }
        self.take_checkpoint(DueCheckpoint { barrier, alignment_ms: 0, collects }).await?;
        self.hand_over_collected();
        Ok(true)
    }

    /// Takes the checkpoint that is due whether or not anything can be processed. True if one was.
    async fn look_at_barriers(&mut self) -> FlowResult<bool> {
        if self.take_triggered_if_possible().await? {
            return Ok(true);
        }
        let TaskInput::Gates(input) = &mut self.input else { return Ok(false) };
        if let Some(due) = input.poll_barriers()? {
            self.take_checkpoint(*due).await?;
            self.hand_over_collected();
            return Ok(true);
        }
        Ok(self.hand_over_collected())
    }

    fn hand_over_collected(&mut self) -> bool {
        if let TaskInput::Gates(input) = &mut self.input
            && let Some((id, in_flight)) = input.take_collected()
        {
            self.checkpoints.inputs_collected(id, in_flight);
            return true;
        }
        false
    }

    async fn turn(&mut self) -> FlowResult<Turn> {
        let worked = self.housekeeping()?;
        if self.look_at_barriers().await? {
            return Ok(Turn::Worked);
        }
        if !self.chain.is_available() {
            return Ok(if worked { Turn::Worked } else { Turn::Blocked });
        }
        if self.chain.has_more() {
            self.chain.resume()?;
            return Ok(Turn::Worked);
        }
        match &mut self.input {
            TaskInput::Source => match self.chain.poll_source()? {
                SourcePoll::More => Ok(Turn::Worked),
                SourcePoll::Wait { .. } if worked => Ok(Turn::Worked),
                SourcePoll::Wait { until_ms } => Ok(Turn::Idle(until_ms)),
                SourcePoll::Ended => {
                    self.chain.end_input(0, 0)?;
                    Ok(Turn::Ended)
                }
            },
            TaskInput::Gates(processor) => match processor.step(&mut self.chain)? {
                InputStep::Checkpoint(due) => {
                    self.take_checkpoint(*due).await?;
                    Ok(Turn::Worked)
                }
                InputStep::Progress => Ok(Turn::Worked),
                InputStep::Nothing if worked => Ok(Turn::Worked),
                InputStep::Nothing => Ok(Turn::Idle(None)),
                InputStep::InputEnded(input) => {
                    self.chain.end_input(0, input)?;
                    Ok(Turn::Worked)
                }
                InputStep::Ended => Ok(Turn::Ended),
            },
        }
    }

    /// Waits for the signal, the next timer, or `until_ms`.
    async fn wait(&mut self, until_ms: Option<i64>, what: WaitsFor) {
        let metrics = self.metrics.clone();
        let blocked = what == WaitsFor::Room;
        let counter = if blocked { &metrics.back_pressured } else { &metrics.idle };
        metrics.is_back_pressured.store(blocked, Relaxed);
        counter.begin(self.clock.monotonic());
        let alignment = match &self.input {
            TaskInput::Gates(input) => input.deadline_ms(),
            TaskInput::Source => None,
        };
        let triggered = self.triggered.as_ref().and_then(CheckpointBarrier::deadline_ms);
        let [alignment, triggered] =
            [alignment, triggered].map(|at| at.filter(|at| *at > self.waited_until_ms));
        let timer = self.chain.next_processing_timer_ms();
        let outputs = self.checkpoints.deadline_ms();
        let deadline = [until_ms, timer, alignment, outputs, triggered].into_iter().flatten().min();
        match deadline {
            None => self.signal.wait().await,
            Some(deadline_ms) => {
                let deadline = self.clock.instant_at(deadline_ms);
                // The next turn looks at the clock itself.
                if tokio::time::timeout_at(deadline, self.signal.wait()).await.is_err() {
                    self.waited_until_ms = deadline_ms;
                }
            }
        }
        counter.end(self.clock.monotonic());
        metrics.is_back_pressured.store(false, Relaxed);
    }

    /// Instead of [`StreamTask::run`]: the task had finished when its checkpoint was taken.
    pub async fn run_finished(&mut self) -> FlowResult {
        // Consumers have forgotten the event time that was told before the checkpoint.
        self.chain.send_last_watermark()?;
        self.chain.send_end_of_input()?;
        self.checkpoints.finished_on_restore();
        self.await_consumers().await
    }

    /// Finishes the operators, ends the outputs and waits until they are read.
    async fn finish(&mut self) -> FlowResult {
        self.metrics.activity.enter(Phase::Finishes);
        self.settle(true).await?;
        if self.stopping.is_complete() {
            return Ok(());
        }
        self.finish_operators().await?;
        self.chain.send_end_of_input()?;
        self.await_consumers().await
    }

    /// Finishes the operators from head to tail. Their input has ended.
    pub(crate) async fn finish_operators(&mut self) -> FlowResult {
        for index in 0..self.chain.len() {
            if index > 0 {
                self.chain.end_input(index, 0)?;
                self.settle(false).await?;
            }
            self.chain.finish(index)?;
            self.settle(false).await?;
            self.chain.mark_ended(index);
        }
        self.checkpoints.operators_have_finished();
        Ok(())
    }

    /// Takes part in checkpoints until all consumers have read the end of input.
    async fn await_consumers(&mut self) -> FlowResult {
        self.metrics.activity.enter(Phase::AwaitsConsumers);
        loop {
            self.check_cancelled()?;
            let worked = self.housekeeping()?;
            let awaits = self.chain.awaits_checkpoint();
            let consumed = self.chain.all_consumed();
            // While records are in flight, the job goes on and needs its checkpoints. Later ones go on
            // without this task, as soon as it is known to have finished.
            if let Some(barrier) = self.triggered.take().filter(|_| awaits || !consumed) {
                self.take_triggered(barrier).await?;
                if self.stopping.is_complete() {
                    return Ok(());
                }
                continue;
            }
            if consumed && !self.checkpoints.is_busy() && !awaits {
                return Ok(());
            }
            if !worked {
                self.wait(None, WaitsFor::Input).await;
            }
        }
    }

    /// Resumes until no operator has work left and all of them take input. Meanwhile checkpoints
    /// may be taken only if no operator has begun to finish: what it emits then, it would emit again
    /// after a restore.
    pub(crate) async fn settle(&mut self, may_checkpoint: bool) -> FlowResult {
        loop {
            self.check_cancelled()?;
            let mut worked = self.housekeeping()?;
            if may_checkpoint {
                worked |= self.look_at_barriers().await?;
                if self.stopping.is_complete() {
                    return Ok(());
                }
            }
            if !self.chain.has_more() && self.chain.takes_input() {
                return Ok(());
            }
            if self.chain.is_available() {
                self.chain.resume()?;
                tokio::task::yield_now().await;
            } else if !worked {
                self.wait(None, WaitsFor::Room).await;
            }
        }
    }
}
