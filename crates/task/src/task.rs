//! A task: one attempt of one subtask, from its deployment to its terminal state.
//!
//! 1. [`spawn_task`] builds partitions, gates and the chain on the caller's thread, so that the
//!    partitions exist before any consumer can ask for them, and reports `INITIALIZING`.
//! 2. Operators are opened; `RUNNING` is reported; the loop runs.
//! 3. The loop ends by itself (`FINISHED`), by an error or a panic (`FAILED`, with operator,
//!    subtask and message), or because it was cancelled (`CANCELED`). Operators are closed in any
//!    case, and partitions and gates are released with them.
//!
//! A panic in user code ends the attempt, never the process: the loop's future is polled inside
//! `catch_unwind`, and everything it owns is dropped with it.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use futures::FutureExt;
use hurtig_cluster_api::{
    ExecutionState, FailureInfo, TaskDeploymentDescriptor, TaskIoMetrics, TaskStateUpdate,
};
use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_graph::{ChainedOperator, OperatorKind};
use hurtig_metrics::{Accumulators, MetricGroup, ScopeKind, SharedAccumulators};
use hurtig_network::{ChannelSpec, NetworkEnvironment};
use hurtig_operator_api::{EventGateway, OperatorContext, PartitionContext, Program};
use hurtig_storage::{StorageOptions, Stores, TaskLocalState};
use hurtig_types::{
    CheckpointBarrier, CheckpointException, CheckpointId, CheckpointMetrics, ErrorClass,
    ExecutionAttemptId, FlowError, FlowResult, JobManagerTaskRestore, KeyGroupRange, OperatorId,
    ResultPartitionId, TaskStateSnapshot,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{
    chain::{LatencyTracking, OperatorChain},
    checkpoint::{CheckpointReport, CheckpointServices, TaskCheckpoints},
    in_flight::{self, KeyGroupFilter, ReplayedGate},
    input::{InputProcessor, TaskGate},
    local::StateFiles,
    metrics::{self, TaskMetrics},
    panics::{caught, panicked},
    restore,
    stopping::Stopping,
    stream_task::{Mail, StreamTask, TaskInput},
    writer::RecordWriter,
};

/// Most messages that may wait for one task.
const MAILBOX_EVENTS: usize = 1024;

/// Where a task reports to. Calls must not block.
pub trait TaskListener: Send + Sync {
    /// The attempt has entered a state.
    fn on_state(&self, update: TaskStateUpdate);
    /// The attempt has written its part of a checkpoint.
    fn on_checkpoint_acknowledged(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        snapshot: TaskStateSnapshot,
        metrics: CheckpointMetrics,
    );
    /// The attempt cannot take its part in a checkpoint.
    fn on_checkpoint_declined(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: CheckpointException,
    );
    /// An operator's event for its coordinator.
    fn on_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> FlowResult;
}

/// What a task gets from its TaskExecutor.
#[derive(Clone)]
pub struct TaskServices {
    /// The job's code.
    pub program: Arc<Program>,
    /// The network stack.
    pub network: NetworkEnvironment,
    /// Executors.
    pub runtimes: Runtimes,
    /// The clock.
    pub clock: Clock,
    /// Where to report.
    pub listener: Arc<dyn TaskListener>,
    /// The job's metrics on this TaskExecutor.
    pub metrics: MetricGroup,
    /// Where state is read from and written to.
    pub stores: Arc<Stores>,
    /// Where copies of its state are kept on this TaskExecutor.
    pub local_state: Option<TaskLocalState>,
    /// The distributed cache: where files are on this machine, by name.
    pub cached_files: Arc<BTreeMap<String, PathBuf>>,
}

/// The outside's view of a task. Cloning is cheap.
#[derive(Clone)]
pub struct TaskHandle {
    attempt: ExecutionAttemptId,
    signal: Signal,
    cancelled: Arc<AtomicBool>,
    mailbox: mpsc::Sender<Mail>,
    metrics: Arc<TaskMetrics>,
    state: Arc<Mutex<ExecutionState>>,
    accumulators: SharedAccumulators,
    clock: Clock,
}

impl TaskHandle {
    /// The attempt.
    pub fn attempt(&self) -> ExecutionAttemptId {
        self.attempt
    }

    /// Asks the task to end. It does so between two batches.
    pub fn cancel(&self) {
        self.cancelled.store(true, Release);
        self.signal.post();
    }

    /// Delivers an event of a coordinator.
    pub fn deliver_event(&self, operator: OperatorId, event: Vec<u8>) -> FlowResult {
        self.post(Mail::Event { operator, event })
    }

    /// A checkpoint begins at this task.
    pub fn trigger_checkpoint(&self, barrier: CheckpointBarrier) -> FlowResult {
        self.post(Mail::Trigger(barrier))
    }

    /// A checkpoint is complete.
    pub fn checkpoint_complete(&self, checkpoint: CheckpointId) -> FlowResult {
        self.post(Mail::CheckpointComplete(checkpoint))
    }

    /// A checkpoint was given up.
    pub fn checkpoint_aborted(&self, checkpoint: CheckpointId) -> FlowResult {
        self.post(Mail::CheckpointAborted(checkpoint))
    }

    fn post(&self, mail: Mail) -> FlowResult {
        self.metrics.mail_posted(self.clock.monotonic());
        let sent = self.mailbox.try_send(mail);
        self.signal.post();
        match sent {
            // A task that has ended needs no events any more.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(FlowError::internal(format!(
                "more than {MAILBOX_EVENTS} messages wait for task {}",
                self.attempt
            ))),
        }
    }

    /// What it has read and written.
    pub fn io_metrics(&self) -> TaskIoMetrics {
        self.metrics.snapshot()
    }

    /// The user's accumulators now.
    pub fn accumulators(&self) -> Accumulators {
        self.accumulators.snapshot()
    }

    /// Its state.
    pub fn state(&self) -> ExecutionState {
        *self.state.lock()
    }
}

struct Reporter {
    handle: TaskHandle,
    name: String,
    /// The task's metrics; they are forgotten with its end.
    group: MetricGroup,
    began_ms: i64,
    listener: Arc<dyn TaskListener>,
    clock: Clock,
}

impl Reporter {
    fn report(&self, state: ExecutionState, failure: Option<&FlowError>) {
        *self.handle.state.lock() = state;
        let now_ms = self.clock.now_ms();
        match state {
            ExecutionState::Running => {
                self.handle.metrics.initialization_ms.set(now_ms - self.began_ms);
            }
            _ if state.is_terminal() => self.group.close(),
            _ => {}
        }
        let accumulators =
            if state.is_terminal() { self.handle.accumulators().0 } else { Default::default() };
        self.listener.on_state(TaskStateUpdate {
            attempt: self.handle.attempt,
            state,
            failure: failure.map(|e| FailureInfo::of_task(e, self.name.clone(), now_ms)),
            metrics: self.handle.io_metrics(),
            accumulators,
        });
    }
}

struct CoordinatorLink {
    attempt: ExecutionAttemptId,
    operator: OperatorId,
    listener: Arc<dyn TaskListener>,
}

impl EventGateway for CoordinatorLink {
    fn send_to_coordinator(&self, event: Vec<u8>) -> FlowResult {
        self.listener.on_operator_event(self.attempt, self.operator, event)
    }
}

/// Starts an attempt. Errors in building it are reported like those in running it.
pub fn spawn_task(deployment: TaskDeploymentDescriptor, services: TaskServices) -> TaskHandle {
    let attempt = deployment.attempt;
    let signal = Signal::new();
    let (sender, mailbox) = mpsc::channel(MAILBOX_EVENTS);
    let head_kind = deployment.vertex.operators.first().map(|operator| operator.kind);
    let handle = TaskHandle {
        attempt,
        signal: signal.clone(),
        cancelled: Arc::new(AtomicBool::new(false)),
        mailbox: sender,
        metrics: TaskMetrics::shared(head_kind == Some(OperatorKind::Source)),
        state: Arc::new(Mutex::new(ExecutionState::Deploying)),
        accumulators: SharedAccumulators::default(),
        clock: services.clock,
    };
    let name = format!(
        "{} ({}/{})#{}",
        deployment.vertex.name,
        attempt.subtask + 1,
        deployment.vertex.parallelism,
        attempt.attempt
    );
    let group = group_of(&deployment, &services.metrics);
    let queued = handle.mailbox.downgrade();
    let operators = deployment.vertex.operators.iter();
    let operators = operators.map(|operator| operator.name.clone()).collect();
    handle.metrics.register(&group, services.clock, operators, move || {
        queued.upgrade().map_or(0, |mailbox| mailbox.max_capacity() - mailbox.capacity())
    });
    let reporter = Reporter {
        handle: handle.clone(),
        name: name.clone(),
        group: group.clone(),
        began_ms: services.clock.now_ms(),
        listener: services.listener.clone(),
        clock: services.clock,
    };
    reporter.report(ExecutionState::Initializing, None);
    // Building creates user code's operators: a panic in there must be caught as well.
    let built = caught(|| build(&deployment, &services, &handle, &group, mailbox));
    let blocking = deployment.vertex.blocking;
    let operators: Vec<String> =
        deployment.vertex.operators.iter().map(|operator| operator.name.clone()).collect();
    let restoring = deployment.restore.as_ref().map(|restore| Restoring {
        restore: restore.clone(),
        files: StateFiles {
            checkpoint: restore.checkpoint_id,
            stores: services.stores.clone(),
            local: services.local_state.clone(),
        },
        edges: {
            let inputs = deployment.vertex.inputs.iter().zip(&deployment.gates);
            let gates = inputs.map(|(input, gate)| {
                let edge = services.program.edges.get(&input.edge).cloned()?;
                Some(ReplayedGate { edge, channels: gate.producers.len() })
            });
            // Without the code of an edge there is no task either.
            let gates = gates.collect::<Option<_>>().unwrap_or_default();
            KeyGroupFilter::new(gates, &deployment.vertex, attempt.subtask)
        },
    });
    let future = async move {
        let mut cancelled = false;
        let result = match built {
            Ok(mut task) => {
                let ran =
                    AssertUnwindSafe(drive(&mut task, restoring, &reporter)).catch_unwind().await;
                let ran = ran.unwrap_or_else(|panic| {
                    let current = reporter.handle.metrics.current_operator.load(Relaxed);
                    let error = panicked(&*panic);
                    Err(match operators.get(current) {
                        Some(name) => error.at_operator(name),
                        None => error,
                    })
                });
                // From here on consumers see that the task is gone, and their failures have it
                // cancelled: what it failed of before that is told all the same.
                cancelled = reporter.handle.cancelled.load(Acquire);
                reporter.handle.metrics.end(reporter.clock.monotonic());
                let closed = task.chain.close();
                let dropped = caught(|| {
                    drop(task);
                    Ok(())
                });
                ran.and(closed).and(dropped)
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => reporter.report(ExecutionState::Finished, None),
            Err(error) if cancelled || error.class == ErrorClass::Cancelled => {
                tracing::debug!(task = %reporter.name, %error, "task cancelled");
                reporter.report(ExecutionState::Canceled, None);
            }
            Err(error) => {
                tracing::debug!(task = %reporter.name, error = %error.chain_text(), "task failed");
                reporter.report(ExecutionState::Failed, Some(&error));
            }
        }
    };
    if blocking {
        let spawned = services.runtimes.spawn_dedicated(&name, future);
        if let Err(error) = spawned {
            let reporter = Reporter {
                handle: handle.clone(),
                name,
                group,
                began_ms: services.clock.now_ms(),
                listener: services.listener,
                clock: services.clock,
            };
            reporter.report(ExecutionState::Failed, Some(&FlowError::external(error)));
        }
    } else {
        services.runtimes.compute.spawn(future);
    }
    handle
}

/// The group of a task in that of its job.
fn group_of(deployment: &TaskDeploymentDescriptor, job: &MetricGroup) -> MetricGroup {
    let (attempt, vertex) = (deployment.attempt, &deployment.vertex);
    let id = attempt.to_string();
    let values = [
        ("task_id", &*attempt.vertex.to_string()),
        ("task_name", &*vertex.name),
        ("task_attempt_id", &*id),
        ("task_attempt_num", &*attempt.attempt.to_string()),
        ("subtask_index", &*attempt.subtask.to_string()),
    ];
    job.scoped(ScopeKind::Task, &id, &values)
}

/// What a task starts from, and what it takes to read it.
struct Restoring {
    restore: Box<JobManagerTaskRestore>,
    files: StateFiles,
    edges: KeyGroupFilter,
}

async fn drive(
    task: &mut StreamTask,
    restoring: Option<Restoring>,
    reporter: &Reporter,
) -> FlowResult {
    if let Some(Restoring { restore, files, edges }) = restoring {
        files.begin().await;
        let in_flight = in_flight::read(&restore, &files).await?;
        task.chain.restore_outputs(in_flight.outputs)?;
        if restore.finished {
            reporter.report(ExecutionState::Running, None);
            return task.run_finished().await;
        }
        task.chain.restore(restore::read_state(&restore, &files).await?);
        if let TaskInput::Gates(input) = &mut task.input {
            input.replay(edges.replay(in_flight.inputs, in_flight.rescaled)?);
        }
    }
    task.chain.open()?;
    reporter.report(ExecutionState::Running, None);
    task.run().await
}

fn build(
    deployment: &TaskDeploymentDescriptor,
    services: &TaskServices,
    handle: &TaskHandle,
    group: &MetricGroup,
    mailbox: mpsc::Receiver<Mail>,
) -> FlowResult<StreamTask> {
    let vertex = &deployment.vertex;
    let attempt = deployment.attempt;
    let edge_code = |edge| {
        services.program.edges.get(&edge).cloned().ok_or_else(|| {
            FlowError::fatal(format!(
                "the job's code has no edge {edge}: it is not the program that was submitted"
            ))
        })
    };
    let mut writers = Vec::with_capacity(vertex.outputs.len());
    for (index, output) in vertex.outputs.iter().enumerate() {
        let missing = || FlowError::internal("the deployment lacks an output's channels");
        let channels = *deployment.subpartitions.get(index).ok_or_else(missing)? as usize;
        let (parallelism, max_parallelism) =
            *deployment.consumers.get(index).ok_or_else(missing)?;
        let partition = services
            .network
            .create_partition(
                ResultPartitionId { producer: attempt, edge: output.edge },
                channels,
                handle.signal.clone(),
            )
            .map_err(FlowError::external)?;
        let partitioner = edge_code(output.edge)?.create_partitioner(&PartitionContext {
            channels,
            subtask: attempt.subtask,
            parallelism: vertex.parallelism,
            target_parallelism: parallelism,
            target_max_parallelism: max_parallelism,
            buffer_bytes: services.network.config().buffer_bytes,
        })?;
        let may_overtake = output.ship.may_be_unaligned();
        let metrics = handle.metrics.clone();
        writers.push(RecordWriter::new(partitioner, partition, may_overtake, metrics));
    }
    let mut gates = Vec::with_capacity(vertex.inputs.len());
    for (input, descriptor) in vertex.inputs.iter().zip(&deployment.gates) {
        let channels = descriptor.producers.iter().map(|channel| ChannelSpec {
            partition: channel.partition,
            subpartition: descriptor.subpartition as usize,
            producer: channel.producer.clone(),
        });
        let gate = services
            .network
            .create_gate(channels.collect(), edge_code(input.edge)?, handle.signal.clone())
            .map_err(FlowError::external)?;
        gates.push(TaskGate {
            gate,
            input: input.input_index as usize,
            may_overtake: input.ship.may_be_unaligned(),
        });
    }
    let context = |operator: &ChainedOperator| OperatorContext {
        job: attempt.job,
        job_name: deployment.job_name.as_str().into(),
        operator: operator.id,
        operator_name: operator.name.as_str().into(),
        subtask: attempt.subtask,
        parallelism: vertex.parallelism,
        max_parallelism: vertex.max_parallelism,
        attempt: attempt.attempt,
        clock: services.clock,
        signal: handle.signal.clone(),
        events: Arc::new(CoordinatorLink {
            attempt,
            operator: operator.id,
            listener: services.listener.clone(),
        }),
        runtimes: services.runtimes.clone(),
        metrics: {
            let id = operator.id.to_string();
            let values = [("operator_id", &*id), ("operator_name", &*operator.name)];
            group.scoped(ScopeKind::Operator, &id, &values)
        },
        accumulators: handle.accumulators.clone(),
        auto_watermark_interval_ms: deployment.config.auto_watermark_interval_ms,
        checkpoints: deployment.config.checkpoints.interval_ms.is_some(),
        cached_files: services.cached_files.clone(),
        restored: None,
    };
    metrics::register_buffers(
        group,
        gates.iter().map(|gate| gate.gate.probe()).collect(),
        writers.iter().map(RecordWriter::probe).collect(),
    );
    let metrics = handle.metrics.clone();
    let latency = LatencyTracking {
        group: services.metrics.clone(),
        interval_ms: deployment.config.latency_interval_ms,
    };
    let chain =
        OperatorChain::build(vertex, &services.program, context, writers, metrics, latency)?;
    let input = if vertex.inputs.is_empty() {
        TaskInput::Source
    } else {
        TaskInput::Gates(Box::new(InputProcessor::new(
            gates,
            services.clock,
            handle.metrics.clone(),
        )))
    };
    let timeouts = vertex.outputs.iter().map(|output| output.buffer_timeout_ms);
    let buffer_timeout = timeouts.filter(|timeout| *timeout >= 0).min();
    let checkpoints = TaskCheckpoints::new(
        CheckpointServices {
            attempt,
            stores: services.stores.clone(),
            options: StorageOptions {
                directory: deployment.config.checkpoint_directory.clone(),
                ..StorageOptions::default()
            },
            local: services.local_state.clone(),
            runtimes: services.runtimes.clone(),
            clock: services.clock,
            signal: handle.signal.clone(),
            mailbox: handle.mailbox.clone(),
            key_groups: KeyGroupRange::of_subtask(
                attempt.subtask,
                vertex.parallelism,
                vertex.max_parallelism,
            ),
        },
        chain.len(),
    );
    let listener = services.listener.clone();
    let report = Box::new(move |report| match report {
        CheckpointReport::Acknowledge(checkpoint, snapshot, metrics) => {
            listener.on_checkpoint_acknowledged(attempt, checkpoint, *snapshot, metrics);
        }
        CheckpointReport::Decline(checkpoint, reason) => {
            listener.on_checkpoint_declined(attempt, checkpoint, reason);
        }
    });
    Ok(StreamTask {
        chain,
        checkpoints,
        triggered: None,
        stopping: Stopping::default(),
        report,
        input,
        mailbox,
        signal: handle.signal.clone(),
        cancelled: handle.cancelled.clone(),
        clock: services.clock,
        buffer_timeout: buffer_timeout.map(|ms| Duration::from_millis(ms as u64)),
        metrics: handle.metrics.clone(),
        waited_until_ms: i64::MIN,
    })
}
