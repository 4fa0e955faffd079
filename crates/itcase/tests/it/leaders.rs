//! JobMasters and JobManagers that are lost while a job runs.

use std::{path::Path, time::Duration};

use hurtig::{JobStatus, graph::RestartStrategyConfig, prelude::*};
use hurtig_cluster_api::{DispatcherGateway, JobDetails, JobResult, RpcError};
use hurtig_high_availability::{
    ElectionOptions, HighAvailabilityOptions, RetryOptions, options::BackendOptions,
};
use hurtig_minicluster::{MiniCluster, MiniClusterConfig};
use hurtig_types::{CheckpointConfig, JobId};

use crate::support::{Gate, GatedSource, PATIENCE, VecSink, eventually};

/// Numbers of attempts from here on are those of a second JobMaster.
const SECOND: u32 = 1 << 18;

/// A job that runs in a cluster of its own.
struct Running {
    cluster: MiniCluster,
    job: JobId,
    gate: Gate,
    sums: Box<dyn Fn() -> Vec<i64>>,
}

fn directory(path: &Path) -> HighAvailabilityOptions {
    HighAvailabilityOptions {
        backend: BackendOptions::Directory(format!("file://{}", path.display())),
        cluster_id: "leaders".to_owned(),
        election: ElectionOptions {
            lease: Duration::from_millis(500),
            retry: Duration::from_millis(50),
            request_timeout: Duration::from_millis(500),
        },
        retry: RetryOptions::default(),
        delete_results: false,
    }
}

fn cluster(high_availability: Option<HighAvailabilityOptions>) -> MiniCluster {
    MiniCluster::start(MiniClusterConfig {
        task_executors: 2,
        slots_per_task_executor: 1,
        job_managers: if high_availability.is_some() { 2 } else { 1 },
        high_availability,
        heartbeat_interval: Duration::from_millis(100),
        heartbeat_timeout: Duration::from_secs(10),
        ..MiniClusterConfig::default()
    })
    .unwrap()
}

/// Starts a job that sums the numbers below 1000 by key, and gives the sums at the end of its
/// input, which comes when the gate is open. Returns once all numbers have been read.
fn run(cluster: MiniCluster, checkpoints: bool) -> Running {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    env.set_restart_strategy(RestartStrategyConfig::None);
    if checkpoints {
        let every = CheckpointConfig { interval_ms: Some(20), ..CheckpointConfig::default() };
        env.set_checkpoint_config(every);
    }
    let (numbers, gate) = GatedSource::stream(&env, 1_000);
    let (passing, passed) = VecSink::new();
    let (sink, sums) = VecSink::new();
    numbers
        .key_by(|n| n % 7)
        .window(GlobalWindows::create_with_end_of_stream_trigger())
        .reduce(|sum, n| *sum += n)
        .sink_to(sink);
    numbers.rebalance().map(|n| n).sink_to(passing);
    let job = JobId(77);
    let (graph, program) = env.job_graph("leaders", job).unwrap();
    let control = cluster.runtimes().control.clone();
    control.block_on(cluster.submit(graph, program.into())).unwrap();
    eventually("all numbers are read", || passed.lock().len() == 1_000);
    let sums = Box::new(move || {
        let mut sums = sums.lock().clone();
        sums.sort_unstable();
        sums
    });
    Running { cluster, job, gate, sums }
}

impl Running {
    fn ask<R>(&self, call: impl Future<Output = R>) -> R {
        let waiting = async { tokio::time::timeout(PATIENCE, call).await };
        self.cluster.runtimes().control.block_on(waiting).expect("there is an answer")
    }

    fn details(&self) -> Option<JobDetails> {
        self.ask(self.cluster.dispatcher().job_details(self.job)).ok()
    }

    /// Waits until all tasks run, in attempts of that number.
    fn runs_as(&self, attempt: u32) {
        eventually("all tasks run", || {
            self.details().is_some_and(|details| {
                let mut tasks = details.vertices.iter().flat_map(|vertex| &vertex.subtasks);
                details.overview.status == JobStatus::Running
                    && tasks.all(|task| {
                        task.state == hurtig_cluster_api::ExecutionState::Running
                            && task.attempt == attempt
                    })
            })
        });
    }

    /// Waits for checkpoints that complete from now on.
    fn completes_checkpoints(&self) {
        let completed = || {
            let stats = self.ask(self.cluster.dispatcher().checkpoint_stats(self.job));
            stats.map_or(0, |stats| stats.counts.completed)
        };
        let before = completed();
        eventually("checkpoints complete", || completed() >= before + 2);
    }

    fn result(&self) -> Result<JobResult, RpcError> {
        self.ask(self.cluster.result(self.job))
    }

    fn finishes(&self) -> JobResult {
        self.gate.open();
        let result = self.result().unwrap();
        assert_eq!(result.status, JobStatus::Finished, "{:?}", result.failure);
        let mut expected: Vec<i64> =
            (0..7).map(|key| (0..1_000).filter(|n| n % 7 == key).sum()).collect();
        expected.sort_unstable();
        assert_eq!((self.sums)(), expected);
        result
    }
}

/// Attempts of all subtasks.
fn attempts(result: &JobResult) -> Vec<u32> {
    let tasks = result.vertices.iter().flat_map(|vertex| &vertex.subtasks);
    tasks.map(|task| task.attempt).collect()
}

#[test]
fn running_tasks_outlive_their_job_master() {
    let running = run(cluster(None), true);
    running.completes_checkpoints();
    for _ in 0..2 {
        assert!(running.cluster.kill_job_master(running.job));
        running.runs_as(0);
        // What one JobMaster's coordinators have said is covered by the checkpoints of the next.
        running.completes_checkpoints();
    }
    let result = running.finishes();
    assert!(attempts(&result).iter().all(|attempt| *attempt == 0), "{result:?}");
}

#[test]
fn without_a_checkpoint_the_job_starts_over() {
    let running = run(cluster(None), false);
    assert!(running.cluster.kill_job_master(running.job));
    running.runs_as(SECOND);
    let result = running.finishes();
    assert_eq!(result.restarts, 0, "the restart strategy has no say in it");
}

#[test]
fn running_tasks_outlive_their_job_manager() {
    let folder = tempfile::tempdir().unwrap();
    let running = run(cluster(Some(directory(folder.path()))), true);
    running.completes_checkpoints();
    let leader = running.cluster.leading_job_manager().unwrap();
    running.cluster.kill_job_manager(leader);
    eventually("another leads", || {
        running.cluster.leading_job_manager().is_some_and(|other| other != leader)
    });
    running.runs_as(0);
    running.completes_checkpoints();
    running.finishes();
}

#[test]
fn a_result_outlives_the_job_manager_and_the_job_does_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let running = run(cluster(Some(directory(folder.path()))), true);
    running.finishes();
    let leader = running.cluster.leading_job_manager().unwrap();
    running.cluster.kill_job_manager(leader);
    eventually("another leads", || {
        running.cluster.leading_job_manager().is_some_and(|other| other != leader)
    });
    let result = running.result().unwrap();
    assert_eq!((result.job_id, result.status), (running.job, JobStatus::Finished));
    // Lists show it, too.
    let jobs = running.ask(running.cluster.dispatcher().list_jobs()).unwrap();
    let [line] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!((line.job_id, &*line.name), (running.job, "leaders"));
    assert_eq!((line.status, line.end_time_ms), (JobStatus::Finished, Some(result.end_time_ms)));
    assert_eq!(line.start_time_ms + result.run_time_ms as i64, result.end_time_ms);
    let details = running.details().expect("its result tells of it");
    assert_eq!((details.overview.status, details.vertices.len()), (JobStatus::Finished, 3));
    let env = StreamExecutionEnvironment::new();
    env.from_sequence(1, 3).sink_to(VecSink::new().0);
    let (graph, program) = env.job_graph("again", running.job).unwrap();
    let again = running.ask(running.cluster.submit(graph, program.into()));
    assert!(matches!(again, Err(RpcError::Rejected(_))), "{again:?}");
}
