//! Elastic jobs: TaskExecutors come and go, the parallelism follows, the output stays exact.

use std::{collections::BTreeMap, path::Path, time::Duration};

use hurtig::{
    JobDetails, JobStatus,
    connectors::DataGeneratorSource,
    graph::{AdaptiveConfig, RestartStrategyConfig},
    prelude::*,
};
use hurtig_cluster_api::{DispatcherGateway, ParallelismBounds};
use hurtig_types::JobVertexId;

use crate::support::{GatedSource, VecSink, eventually, failure, wait};

const KEYS: i64 = 17;
const WINDOW_MS: i64 = 500;

/// Follows changes within milliseconds.
fn quick() -> AdaptiveConfig {
    AdaptiveConfig {
        submission_stabilization_ms: 20,
        cooldown_ms: 0,
        executing_stabilization_ms: 20,
        max_trigger_delay_ms: Some(200),
        ..AdaptiveConfig::default()
    }
}

fn environment(config: AdaptiveConfig) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(4).set_task_executors(2).set_task_slots(1);
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 100, delay_ms: 1 });
    env.enable_checkpointing(15).set_adaptive(config);
    env
}

/// Parallelism of every vertex but those that can only have one subtask.
fn parallelism(details: &JobDetails) -> Vec<u32> {
    details.vertices.iter().map(|vertex| vertex.parallelism).collect()
}

/// Waits until every vertex runs with that many subtasks.
fn runs_with(client: &JobClient, subtasks: u32) -> JobDetails {
    let mut seen = None;
    eventually(&format!("{subtasks} subtasks run"), || {
        let details = client.details().unwrap();
        let running = details.overview.status == JobStatus::Running;
        let all = parallelism(&details).iter().all(|of_vertex| *of_vertex == subtasks);
        let mut subtasks = details.vertices.iter().flat_map(|vertex| &vertex.subtasks);
        let here = subtasks.all(|subtask| subtask.task_executor.is_some());
        seen = Some(details);
        running && all && here
    });
    seen.unwrap()
}

fn add_task_executor(client: &JobClient) -> usize {
    let control = client.cluster().runtimes().control.clone();
    control.block_on(client.cluster().start_task_executor()).unwrap()
}

fn read(directory: &Path, lines: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, lines);
        } else {
            lines.extend(std::fs::read_to_string(path).unwrap().lines().map(str::to_owned));
        }
    }
}

/// A keyed and windowed job writes exactly once to files, while TaskExecutors are added and
/// stopped.
#[test]
fn a_keyed_windowed_job_follows_task_executors_and_its_output_is_exact() {
    const RECORDS: i64 = 90_000;
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("output");
    let env = environment(quick());
    env.set_auto_watermark_interval_ms(3);
    env.set_checkpoint_directory(&format!("file://{}/state", directory.path().display()));
    let source = DataGeneratorSource::new(|n| n as i64, Some(RECORDS as u64), Some(30_000.0));
    let strategy =
        WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|n: &i64| *n);
    let sums = env
        .from_source(source, strategy, "Numbers")
        .key_by(|n| n % KEYS)
        .window(TumblingEventTimeWindows::of(Duration::from_millis(WINDOW_MS as u64)))
        .process(
            |key: &i64, window: TimeWindow, numbers: &[i64], out: &mut Collector<'_, String>| {
                let sum: i64 = numbers.iter().sum();
                out.collect(format!("{key} {} {sum}", window.end));
            },
        );
    let sink = FileSink::for_row_format(output.to_str().unwrap(), SimpleStringEncoder)
        .with_bucket_assigner(BasePathBucketAssigner)
        .with_rolling_policy(DefaultRollingPolicy::new().with_max_part_size(2_000));
    sums.rebalance().sink_to(sink);
    let client = env.execute_async("elastic").unwrap();
    runs_with(&client, 2);
    let third = add_task_executor(&client);
    runs_with(&client, 3);
    client.stop_task_executor(0);
    runs_with(&client, 2);
    add_task_executor(&client);
    add_task_executor(&client);
    runs_with(&client, 4);
    client.stop_task_executor(third);
    runs_with(&client, 3);
    wait(&client).unwrap();

    let mut expected: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for n in 0..RECORDS {
        *expected.entry((n % KEYS, n / WINDOW_MS * WINDOW_MS + WINDOW_MS)).or_default() += n;
    }
    let expected = expected.into_iter().map(|((key, end), sum)| format!("{key} {end} {sum}"));
    let mut expected: Vec<String> = expected.collect();
    expected.sort();
    let mut lines = Vec::new();
    read(&output, &mut lines);
    lines.sort();
    let difference = lines.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!(difference, None);
    assert_eq!(lines.len(), expected.len(), "lost or repeated");
}

/// Sums the numbers below 1000 by key when the input ends.
fn sums(
    env: &StreamExecutionEnvironment,
) -> (JobClient, crate::support::Gate, impl Fn() -> Vec<i64> + use<>) {
    let (numbers, gate) = GatedSource::stream(env, 1_000);
    let (sink, sums) = VecSink::new();
    numbers
        .key_by(|n| n % 7)
        .window(GlobalWindows::create_with_end_of_stream_trigger())
        .reduce(|sum, n| *sum += n)
        .sink_to(sink);
    let client = env.execute_async("elastic").unwrap();
    (client, gate, move || {
        let mut sums = sums.lock().clone();
        sums.sort_unstable();
        sums
    })
}

fn expected_sums() -> Vec<i64> {
    let mut sums: Vec<i64> = (0..7).map(|key| (0..1_000).filter(|n| n % 7 == key).sum()).collect();
    sums.sort_unstable();
    sums
}

/// The state is divided anew, also where sources have come to their end already.
#[test]
fn state_is_restored_at_another_parallelism() {
    let (client, gate, sums) = sums(&environment(quick()));
    runs_with(&client, 2);
    eventually("a checkpoint", || client.checkpoint_stats().unwrap().counts.completed > 0);
    add_task_executor(&client);
    let grown = runs_with(&client, 3);
    assert!(grown.restarts == 0, "a change of parallelism is no failure");
    eventually("a restore", || client.checkpoint_stats().unwrap().counts.restored > 0);
    gate.open();
    wait(&client).unwrap();
    assert_eq!(sums(), expected_sums());
}

#[test]
fn requirements_can_be_read_and_changed() {
    let (client, gate, sums) = sums(&environment(quick()));
    runs_with(&client, 2);
    let (control, job) = (client.cluster().runtimes().control.clone(), client.job_id());
    let dispatcher = client.cluster().dispatcher();
    let mut asked = control.block_on(dispatcher.resource_requirements(job)).unwrap();
    let bounds = ParallelismBounds { lower_bound: 1, upper_bound: 4 };
    assert!(asked.vertices.len() >= 2 && asked.vertices.values().all(|of| *of == bounds));
    for of in asked.vertices.values_mut() {
        of.upper_bound = 1;
    }
    control.block_on(dispatcher.update_resource_requirements(job, asked.clone())).unwrap();
    runs_with(&client, 1);
    assert_eq!(control.block_on(dispatcher.resource_requirements(job)).unwrap(), asked);
    asked.vertices.insert(JobVertexId(1), bounds);
    let refused = control.block_on(dispatcher.update_resource_requirements(job, asked));
    assert!(refused.unwrap_err().to_string().starts_with("the job has no vertex"));
    gate.open();
    wait(&client).unwrap();
    assert_eq!(sums(), expected_sums());
}

#[test]
fn a_job_without_the_slots_that_it_needs_says_what_is_missing() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2).set_task_executors(1).set_task_slots(1);
    env.set_adaptive(AdaptiveConfig { resource_wait_timeout_ms: Some(100), ..quick() });
    let (numbers, gate) = GatedSource::stream(&env, 10);
    let (sink, _) = VecSink::new();
    numbers.slot_sharing_group("alone").map(|n| n).slot_sharing_group("other").sink_to(sink);
    let client = env.execute_async("too wide").unwrap();
    gate.open();
    let failure = failure(wait(&client));
    assert!(failure.message.starts_with("1 of 2 slots are missing after 100 ms"), "{failure}");
    assert!(failure.message.contains("the ResourceManager has 1 for this job"), "{failure}");
}
