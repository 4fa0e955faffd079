//! The catalogue of the engine's metrics: one table, from which the documentation is written and
//! against which a test holds what a cluster registers.
//!
//! Left out of Flink's page: what speaks of a JVM (heap, threads, garbage collection) or of a
//! component that is not there (Netty's segments, RocksDB, connectors of their own).

use std::fmt::Write;

use crate::{MetricKind, ScopeKind, names::*};

/// Where the buffers of a task's inputs are shown, as in Flink.
pub const INPUT_BUFFERS: &[&str] = &["Shuffle", "Netty", "Input", "Buffers"];
/// Where the buffers of a task's outputs are shown, as in Flink.
pub const OUTPUT_BUFFERS: &[&str] = &["Shuffle", "Netty", "Output", "Buffers"];
/// Where the network memory of a process is shown, as in Flink.
pub const SHUFFLE_STATUS: &[&str] = &["Status", "Shuffle", "Netty"];
/// Where the load of a process is shown; Flink has `Status.JVM.CPU`.
pub const CPU_STATUS: &[&str] = &["Status", "Process", "CPU"];
/// Where the memory of a process is shown; Flink has `Status.JVM.Memory`.
pub const MEMORY_STATUS: &[&str] = &["Status", "Process", "Memory"];
/// Where the open files of a process are shown; Flink has `Status.JVM.FileDescriptor`.
pub const FILE_STATUS: &[&str] = &["Status", "Process", "FileDescriptor"];

/// A metric of the engine.
#[derive(Clone, Copy, Debug)]
pub struct MetricSpec {
    /// The scope.
    pub scope: ScopeKind,
    /// Groups inside the scope.
    pub groups: &'static [&'static str],
    /// The name.
    pub name: &'static str,
    /// The kind.
    pub kind: MetricKind,
    /// What it shows.
    pub description: &'static str,
    /// When it is there, if not always.
    pub condition: Option<&'static str>,
}

const fn spec(
    scope: ScopeKind,
    groups: &'static [&'static str],
    name: &'static str,
    kind: MetricKind,
    description: &'static str,
) -> MetricSpec {
    MetricSpec { scope, groups, name, kind, description, condition: None }
}

impl MetricSpec {
    const fn when(mut self, condition: &'static str) -> Self {
        self.condition = Some(condition);
        self
    }
}

use MetricKind::{Counter, Gauge, Histogram, Meter};
use ScopeKind::{JobManager, JobManagerJob, Operator, Task, TaskManager, TaskManagerJob};

const SEEN: &str = "once there was a watermark";
const TAKEN: &str = "once a checkpoint was taken";
const COMPLETED: &str = "once a checkpoint has completed";
const PROCFS: &str = "on Linux";
const OF_SOURCE: &str = "of a source";
const TIMED: &str = "of a source, once a record had a timestamp";
const COUNTING: &str = "of a source that counts them";
const KNOWING: &str = "of a source that knows";
const OF_SINK: &str = "of a sink";
const COMMITTING: &str = "of a sink that commits";

/// All metrics of the engine.
pub static METRICS: &[MetricSpec] = &[
    // The process.
    spec(
        JobManager,
        CPU_STATUS,
        "Load",
        Gauge,
        "Cores that the process keeps busy, over the last minute.",
    )
    .when(PROCFS),
    spec(JobManager, CPU_STATUS, "Time", Gauge, "CPU time of the process, in nanoseconds.")
        .when(PROCFS),
    spec(
        JobManager,
        MEMORY_STATUS,
        "Used",
        Gauge,
        "Memory of the process that is in RAM (its resident set), in bytes.",
    )
    .when(PROCFS),
    spec(JobManager, FILE_STATUS, "Open", Gauge, "Open file descriptors.").when(PROCFS),
    spec(JobManager, FILE_STATUS, "Max", Gauge, "Most file descriptors that may be open.")
        .when(PROCFS),
    spec(
        TaskManager,
        CPU_STATUS,
        "Load",
        Gauge,
        "Cores that the process keeps busy, over the last minute.",
    )
    .when(PROCFS),
    spec(TaskManager, CPU_STATUS, "Time", Gauge, "CPU time of the process, in nanoseconds.")
        .when(PROCFS),
    spec(
        TaskManager,
        MEMORY_STATUS,
        "Used",
        Gauge,
        "Memory of the process that is in RAM (its resident set), in bytes.",
    )
    .when(PROCFS),
    spec(TaskManager, FILE_STATUS, "Open", Gauge, "Open file descriptors.").when(PROCFS),
    spec(TaskManager, FILE_STATUS, "Max", Gauge, "Most file descriptors that may be open.")
        .when(PROCFS),
    spec(
        TaskManager,
        SHUFFLE_STATUS,
        "TotalMemory",
        Gauge,
        "Memory for records in flight, in bytes.",
    ),
    spec(TaskManager, SHUFFLE_STATUS, "UsedMemory", Gauge, "What of it is in use, in bytes."),
    spec(TaskManager, SHUFFLE_STATUS, "AvailableMemory", Gauge, "What of it is free, in bytes."),
    // The cluster.
    spec(JobManager, &[], NUM_REGISTERED_TASK_MANAGERS, Gauge, "TaskManagers that are registered."),
    spec(JobManager, &[], NUM_RUNNING_JOBS, Gauge, "Jobs that have not ended."),
    spec(JobManager, &[], TASK_SLOTS_AVAILABLE, Gauge, "Slots that are free."),
    spec(JobManager, &[], TASK_SLOTS_TOTAL, Gauge, "Slots in all."),
    // A job.
    spec(
        JobManagerJob,
        &[],
        UPTIME,
        Gauge,
        "Milliseconds since the job runs without interruption; -1 when it has ended.",
    ),
    spec(
        JobManagerJob,
        &[],
        DOWNTIME,
        Gauge,
        "Milliseconds since the job was interrupted; 0 while it runs, -1 when it has ended.",
    ),
    spec(
        JobManagerJob,
        &[],
        INITIALIZING_TIME,
        Gauge,
        "Milliseconds that the job is INITIALIZING; 0 in other states.",
    ),
    spec(
        JobManagerJob,
        &[],
        CREATED_TIME,
        Gauge,
        "Milliseconds that the job is CREATED; 0 in other states.",
    ),
    spec(
        JobManagerJob,
        &[],
        RUNNING_TIME,
        Gauge,
        "Milliseconds that the job is RUNNING; 0 in other states.",
    ),
    spec(
        JobManagerJob,
        &[],
        RESTARTING_TIME,
        Gauge,
        "Milliseconds that the job is RESTARTING; 0 in other states.",
    ),
    spec(
        JobManagerJob,
        &[],
        CANCELLING_TIME,
        Gauge,
        "Milliseconds that the job is CANCELLING; 0 in other states.",
    ),
    spec(
        JobManagerJob,
        &[],
        FAILING_TIME,
        Gauge,
        "Milliseconds that the job is FAILING; 0 in other states.",
    ),
    spec(
        JobManagerJob,
        &[],
        NUM_RESTARTS,
        Gauge,
        "Restarts since the job was submitted, whole or in part.",
    ),
    spec(JobManagerJob, &[], FULL_RESTARTS, Gauge, "The same, by an older name."),
    spec(JobManagerJob, &[], TOTAL_NUMBER_OF_CHECKPOINTS, Gauge, "Checkpoints of all kinds."),
    spec(
        JobManagerJob,
        &[],
        NUMBER_OF_IN_PROGRESS_CHECKPOINTS,
        Gauge,
        "Checkpoints that are under way.",
    ),
    spec(
        JobManagerJob,
        &[],
        NUMBER_OF_COMPLETED_CHECKPOINTS,
        Gauge,
        "Checkpoints that have completed.",
    ),
    spec(JobManagerJob, &[], NUMBER_OF_FAILED_CHECKPOINTS, Gauge, "Checkpoints that have failed."),
    spec(
        JobManagerJob,
        &[],
        LAST_CHECKPOINT_RESTORE_TIMESTAMP,
        Gauge,
        "When the job was last restored, in milliseconds since the Unix epoch; -1 if never.",
    ),
    spec(
        JobManagerJob,
        &[],
        LAST_CHECKPOINT_SIZE,
        Gauge,
        "What the last completed checkpoint has written, in bytes.",
    )
    .when(COMPLETED),
    spec(JobManagerJob, &[], LAST_CHECKPOINT_FULL_SIZE, Gauge, "What it consists of, in bytes.")
        .when(COMPLETED),
    spec(JobManagerJob, &[], LAST_CHECKPOINT_DURATION, Gauge, "How long it took, in milliseconds.")
        .when(COMPLETED),
    spec(
        JobManagerJob,
        &[],
        LAST_CHECKPOINT_PROCESSED_DATA,
        Gauge,
        "What was processed during its alignment, in bytes.",
    )
    .when(COMPLETED),
    spec(
        JobManagerJob,
        &[],
        LAST_CHECKPOINT_PERSISTED_DATA,
        Gauge,
        "Records in flight that it holds, in bytes.",
    )
    .when(COMPLETED),
    spec(JobManagerJob, &[], LAST_CHECKPOINT_EXTERNAL_PATH, Gauge, "Where it is.").when(COMPLETED),
    spec(JobManagerJob, &[], LAST_COMPLETED_CHECKPOINT_ID, Gauge, "Its number.").when(COMPLETED),
    spec(
        JobManagerJob,
        &[],
        LAST_CHECKPOINT_COMPLETED_TIMESTAMP,
        Gauge,
        "When it completed, in milliseconds since the Unix epoch.",
    )
    .when(COMPLETED),
    // A task.
    spec(
        Task,
        &[],
        NUM_RECORDS_IN,
        Counter,
        "Records that came in; of a source, those that it has read.",
    ),
    spec(Task, &[], NUM_RECORDS_IN_PER_SECOND, Meter, "The same per second."),
    spec(
        Task,
        &[],
        NUM_RECORDS_OUT,
        Counter,
        "Records that went out; of a sink, those that it has taken.",
    ),
    spec(Task, &[], NUM_RECORDS_OUT_PER_SECOND, Meter, "The same per second."),
    spec(Task, &[], NUM_BYTES_IN, Counter, "Bytes that came in, as accounted."),
    spec(Task, &[], NUM_BYTES_IN_PER_SECOND, Meter, "The same per second."),
    spec(Task, &[], NUM_BYTES_OUT, Counter, "Bytes that went out, as accounted."),
    spec(Task, &[], NUM_BYTES_OUT_PER_SECOND, Meter, "The same per second."),
    spec(Task, &[], NUM_BUFFERS_OUT, Counter, "Batches that went out: a batch is a buffer."),
    spec(Task, &[], NUM_BUFFERS_OUT_PER_SECOND, Meter, "The same per second."),
    spec(
        Task,
        &[],
        BUSY_TIME_MS_PER_SECOND,
        Gauge,
        "Milliseconds per second in which the task worked.",
    ),
    spec(
        Task,
        &[],
        IDLE_TIME_MS_PER_SECOND,
        Gauge,
        "Milliseconds per second in which it had nothing to do.",
    ),
    spec(
        Task,
        &[],
        BACK_PRESSURED_TIME_MS_PER_SECOND,
        Gauge,
        "Milliseconds per second in which its outputs had no room.",
    ),
    spec(
        Task,
        &[],
        ACCUMULATE_BUSY_TIME_MS,
        Gauge,
        "Milliseconds in all in which the task worked.",
    ),
    spec(
        Task,
        &[],
        ACCUMULATE_IDLE_TIME_MS,
        Gauge,
        "Milliseconds in all in which it had nothing to do.",
    ),
    spec(
        Task,
        &[],
        ACCUMULATE_BACK_PRESSURED_TIME_MS,
        Gauge,
        "Milliseconds in all in which its outputs had no room.",
    ),
    spec(Task, &[], IS_BACK_PRESSURED, Gauge, "1 while its outputs have no room."),
    spec(
        Task,
        &[],
        CURRENT_INPUT_WATERMARK,
        Gauge,
        "The watermark of the head of the chain, in milliseconds.",
    )
    .when(SEEN),
    spec(
        Task,
        &[],
        WATERMARK_LAG,
        Gauge,
        "How far that watermark is behind the clock, in milliseconds.",
    )
    .when(SEEN),
    spec(
        Task,
        &[],
        MAILBOX_MAILS_PER_SECOND,
        Meter,
        "Messages to the task that were handled, per second.",
    ),
    spec(Task, &[], MAILBOX_QUEUE_SIZE, Gauge, "Messages that wait."),
    spec(Task, &[], CURRENT_ACTIVITY, Gauge, "What the task is doing, in words."),
    spec(
        Task,
        &[],
        MAILBOX_LATENCY_MS,
        Histogram,
        "How long the oldest message had waited whenever the mailbox was read, in milliseconds.",
    ),
    spec(
        Task,
        &[],
        CHECKPOINT_ALIGNMENT_TIME,
        Gauge,
        "How long the last alignment took, in nanoseconds.",
    )
    .when(TAKEN),
    spec(
        Task,
        &[],
        CHECKPOINT_START_DELAY_NANOS,
        Gauge,
        "Time from the last checkpoint's trigger to its first barrier here, in nanoseconds.",
    )
    .when(TAKEN),
    spec(Task, &[], INITIALIZATION_TIME, Gauge, "Milliseconds from the deployment to RUNNING.")
        .when("once it runs"),
    spec(Task, INPUT_BUFFERS, INPUT_QUEUE_LENGTH, Gauge, "Elements that wait to be read.")
        .when("if the task has inputs"),
    spec(
        Task,
        INPUT_BUFFERS,
        IN_POOL_USAGE,
        Gauge,
        "Share of the inputs' memory for records of other processes that is in use.",
    )
    .when("if the task has inputs"),
    spec(Task, OUTPUT_BUFFERS, OUTPUT_QUEUE_LENGTH, Gauge, "Elements that wait to be read.")
        .when("if the task has outputs"),
    spec(
        Task,
        OUTPUT_BUFFERS,
        OUT_POOL_USAGE,
        Gauge,
        "Share of the outputs' memory that is in use; more than 1 for a batch at a time.",
    )
    .when("if the task has outputs"),
    // An operator.
    spec(
        Operator,
        &[],
        NUM_RECORDS_IN,
        Counter,
        "Records that came in; of a source, those that it has read.",
    ),
    spec(Operator, &[], NUM_RECORDS_IN_PER_SECOND, Meter, "The same per second."),
    spec(
        Operator,
        &[],
        NUM_RECORDS_OUT,
        Counter,
        "Records that went out; of a sink, those that it has taken.",
    ),
    spec(Operator, &[], NUM_RECORDS_OUT_PER_SECOND, Meter, "The same per second."),
    spec(
        Operator,
        &[],
        NUM_LATE_RECORDS_DROPPED,
        Counter,
        "Records that came too late for their window.",
    )
    .when("if it has windows"),
    spec(
        Operator,
        &[],
        CURRENT_INPUT_WATERMARK,
        Gauge,
        "The last watermark that came in, in milliseconds.",
    )
    .when(SEEN),
    spec(
        Operator,
        &[],
        CURRENT_OUTPUT_WATERMARK,
        Gauge,
        "The last watermark that went out, in milliseconds.",
    )
    .when(SEEN),
    // The two ends.
    spec(
        Operator,
        &[],
        NUM_RECORDS_IN_ERRORS,
        Counter,
        "Records that were none, or could not be read.",
    )
    .when(OF_SOURCE),
    spec(
        Operator,
        &[],
        SOURCE_IDLE_TIME,
        Gauge,
        "Milliseconds since the source has had something to read; 0 while it has.",
    )
    .when(OF_SOURCE),
    spec(
        Operator,
        &[],
        CURRENT_FETCH_EVENT_TIME_LAG,
        Gauge,
        "How far the last record was behind the clock when it was read, in milliseconds.",
    )
    .when(TIMED),
    spec(
        Operator,
        &[],
        CURRENT_EMIT_EVENT_TIME_LAG,
        Gauge,
        "How far it was when it had gone out, in milliseconds.",
    )
    .when(TIMED),
    spec(
        Operator,
        &[],
        WATERMARK_LAG,
        Gauge,
        "How far the source's watermark is behind the clock, in milliseconds.",
    )
    .when("of a source, once there was a watermark"),
    spec(Operator, &[], NUM_BYTES_IN, Counter, "Bytes that the source has read.").when(COUNTING),
    spec(Operator, &[], NUM_BYTES_IN_PER_SECOND, Meter, "The same per second.").when(COUNTING),
    spec(Operator, &[], PENDING_RECORDS, Gauge, "Records of its splits that are still to be read.")
        .when(KNOWING),
    spec(Operator, &[], PENDING_BYTES, Gauge, "Bytes of its splits that are still to be read.")
        .when(KNOWING),
    spec(Operator, &[], NUM_RECORDS_SEND, Counter, "Records that the sink has written.")
        .when(OF_SINK),
    spec(Operator, &[], NUM_RECORDS_SEND_PER_SECOND, Meter, "The same per second.").when(OF_SINK),
    spec(
        Operator,
        &[],
        NUM_RECORDS_SEND_ERRORS,
        Counter,
        "Records of batches that could not be written.",
    )
    .when(OF_SINK),
    spec(Operator, &[], NUM_RECORDS_OUT_ERRORS, Counter, "The same, by an older name.")
        .when(OF_SINK),
    spec(
        Operator,
        &[],
        CURRENT_SEND_TIME,
        Gauge,
        "How long it took to write the last batch, in milliseconds.",
    )
    .when(OF_SINK),
    spec(Operator, &[], NUM_BYTES_SEND, Counter, "Bytes that the sink has written.")
        .when("of a sink that counts them"),
    spec(Operator, &[], NUM_BYTES_SEND_PER_SECOND, Meter, "The same per second.")
        .when("of a sink that counts them"),
    spec(Operator, &[], TOTAL_COMMITTABLES, Counter, "What the committer was given.")
        .when(COMMITTING),
    spec(Operator, &[], SUCCESSFUL_COMMITTABLES, Counter, "What of it is committed.")
        .when(COMMITTING),
    spec(
        Operator,
        &[],
        ALREADY_COMMITTED_COMMITTABLES,
        Counter,
        "Always 0: what had been committed before counts as committed.",
    )
    .when(COMMITTING),
    spec(Operator, &[], RETRIED_COMMITTABLES, Counter, "What was refused, to be tried again.")
        .when(COMMITTING),
    spec(Operator, &[], FAILED_COMMITTABLES, Counter, "What was refused for good.")
        .when(COMMITTING),
    spec(Operator, &[], PENDING_COMMITTABLES, Gauge, "What is not committed yet.").when(COMMITTING),
    // Latency.
    spec(
        TaskManagerJob,
        &["latency"],
        LATENCY,
        Histogram,
        "Milliseconds from a source to an operator; the groups tell which.",
    )
    .when("if `metrics.latency.interval` is set"),
];

/// The entry of a metric; groups beyond those of the table (the variables of latencies) are ignored.
pub fn find(scope: ScopeKind, groups: &[String], name: &str) -> Option<&'static MetricSpec> {
    METRICS.iter().find(|spec| {
        spec.scope == scope
            && spec.name == name
            && groups.len() >= spec.groups.len()
            && groups.iter().zip(spec.groups).all(|(is, of_spec)| is == of_spec)
    })
}

/// The catalogue as a page for people.
pub fn markdown() -> String {
    let mut page = String::from("# Metrics\n");
    for scope in ScopeKind::ALL {
        let mut of_scope = METRICS.iter().filter(|spec| spec.scope == scope).peekable();
        if of_scope.peek().is_none() {
            continue;
        }
        let (key, format) = (scope.format_key(), scope.default_format());
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## `{key}`: `{format}`\n\n");
        page.push_str("| Metric | Kind | What it shows | When |\n|---|---|---|---|\n");
        for spec in of_scope {
            let groups: String = spec.groups.iter().map(|group| format!("{group}.")).collect();
            let (name, kind) = (spec.name, spec.kind.as_str());
            let when = spec.condition.unwrap_or("always");
            let _ = writeln!(page, "| `{groups}{name}` | {kind} | {} | {when} |", spec.description);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_metric_is_there_once_and_says_what_it_shows() {
        let mut known = HashSet::new();
        for spec in METRICS {
            assert!(known.insert((spec.scope, spec.groups, spec.name)), "{} twice", spec.name);
            assert!(spec.description.ends_with('.'), "{}", spec.name);
            let groups: Vec<_> = spec.groups.iter().map(ToString::to_string).collect();
            assert_eq!(find(spec.scope, &groups, spec.name).unwrap().description, spec.description);
        }
    }

    #[test]
    fn the_page_names_every_metric() {
        let page = markdown();
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), METRICS.len());
        assert!(page.contains("| `Shuffle.Netty.Input.Buffers.inPoolUsage` | gauge |"));
    }
}
