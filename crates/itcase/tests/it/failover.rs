//! TaskExecutors that are lost while a job runs on them.

use hurtig::{JobStatus, graph::RestartStrategyConfig, prelude::*};
use hurtig_cluster_api::{DispatcherGateway, FailureClass};

use crate::support::{Gate, GatedSource, VecSink, eventually, failure, wait};

fn fixed_delay(attempts: u32) -> RestartStrategyConfig {
    RestartStrategyConfig::FixedDelay { attempts, delay_ms: 1 }
}

/// A job that sums the numbers below 1000 in windows that end with the input, which it does when
/// the gate is open. Returns once all numbers have been read.
fn running(env: &StreamExecutionEnvironment) -> (JobClient, Gate, impl Fn() -> Vec<i64> + use<>) {
    let (numbers, gate) = GatedSource::stream(env, 1_000);
    let (passing, passed) = VecSink::new();
    let (sink, sums) = VecSink::new();
    let keyed = numbers.key_by(|n| n % 7);
    keyed
        .window(GlobalWindows::create_with_end_of_stream_trigger())
        .reduce(|sum, n| *sum += n)
        .sink_to(sink);
    numbers.rebalance().map(|n| n).sink_to(passing);
    let client = env.execute_async("failover").unwrap();
    eventually("all numbers are read", || passed.lock().len() == 1_000);
    (client, gate, move || {
        let mut sums = sums.lock().clone();
        sums.sort_unstable();
        sums
    })
}

fn expected() -> Vec<i64> {
    let mut sums: Vec<i64> = (0..7).map(|key| (0..1_000).filter(|n| n % 7 == key).sum()).collect();
    sums.sort_unstable();
    sums
}

/// The TaskExecutor of the first subtask, by its index in the cluster and by its id.
fn first_host(client: &JobClient) -> (usize, hurtig::JobDetails) {
    let details = client.details().unwrap();
    let host = details.vertices[0].subtasks[0].task_executor.unwrap();
    // The low half of the id numbers the TaskExecutors of an embedded cluster.
    ((host.0 & u128::from(u64::MAX)) as usize, details)
}

#[test]
fn a_job_restarts_on_the_task_executors_that_are_left() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2).set_task_executors(3).set_task_slots(2);
    env.set_restart_strategy(fixed_delay(10));
    let (client, gate, sums) = running(&env);
    let (index, before) = first_host(&client);
    client.stop_task_executor(index);
    gate.open();
    let result = wait(&client).unwrap();
    assert_eq!(sums(), expected());
    assert!(result.restarts >= 1);
    let lost = before.vertices[0].subtasks[0].task_executor;
    for task in result.vertices.iter().flat_map(|vertex| &vertex.subtasks) {
        assert!(task.attempt >= 1 && task.task_executor != lost, "{task:?}");
    }
}

/// Two of three TaskExecutors go, one after the other.
#[test]
fn a_job_survives_losses_as_long_as_there_are_slots() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2).set_task_executors(3).set_task_slots(2);
    env.set_restart_strategy(fixed_delay(20));
    let (client, gate, sums) = running(&env);
    for restarts in [1, 2] {
        let (index, _) = first_host(&client);
        client.stop_task_executor(index);
        eventually("it runs again", || {
            let details = client.details().unwrap();
            let tasks = details.vertices.iter().flat_map(|vertex| &vertex.subtasks);
            details.restarts >= restarts
                && details.overview.status == JobStatus::Running
                && tasks.clone().all(|task| task.attempt >= restarts)
                && tasks.clone().all(|task| task.task_executor.is_some())
        });
    }
    gate.open();
    wait(&client).unwrap();
    assert_eq!(sums(), expected());
}

#[test]
fn without_a_restart_strategy_the_loss_is_the_reason_that_is_told() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2).set_task_executors(1);
    let (client, gate, sums) = running(&env);
    client.stop_task_executor(0);
    gate.open();
    let failure = failure(wait(&client));
    assert_eq!(failure.class, FailureClass::External, "{failure}");
    let message = &failure.message;
    assert!(message.contains("TaskExecutor") && message.contains("not reachable"), "{failure}");
    assert!(sums().is_empty());
}

#[test]
fn without_slots_enough_the_job_fails_and_says_how_many_are_missing() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2).set_task_executors(2).set_task_slots(1);
    env.set_restart_strategy(fixed_delay(1)).set_slot_request_timeout_ms(100);
    let (client, gate, _) = running(&env);
    let (index, _) = first_host(&client);
    client.stop_task_executor(index);
    gate.open();
    let failure = failure(wait(&client));
    assert!(failure.message.starts_with("1 of 2 slots are missing after 100 ms"), "{failure}");
}

#[test]
fn a_lost_task_executor_is_gone_from_the_list() {
    let env = StreamExecutionEnvironment::new();
    env.set_task_executors(2).set_task_slots(1).set_restart_strategy(fixed_delay(10));
    let (client, gate, _) = running(&env);
    let control = client.cluster().runtimes().control.clone();
    let listed = || {
        let executors = control.block_on(client.cluster().dispatcher().task_executors()).unwrap();
        executors.len()
    };
    assert_eq!(listed(), 2);
    let (index, _) = first_host(&client);
    client.stop_task_executor(index);
    eventually("one is left", || listed() == 1);
    gate.open();
    wait(&client).unwrap();
}
