//! Many subtasks, several TaskExecutors, little memory.

use hurtig::{connectors::CollectionSource, prelude::*};
use hurtig_cluster_api::ExecutionState;

use crate::support::{VecSink, execute};

#[test]
fn four_vertices_of_250_subtasks_all_to_all() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(250).disable_operator_chaining();
    let (sums, seen) = VecSink::new();
    env.from_sequence(1, 200_000)
        .rebalance()
        .map(|n| (n % 5_000, n))
        .key_by(|(key, _)| *key)
        .window(GlobalWindows::create_with_end_of_stream_trigger())
        .sum(|(_, n)| n)
        .rebalance()
        .sink_to(sums);
    let result = execute(&env).unwrap();
    let sums = seen.lock();
    assert_eq!(sums.len(), 5_000);
    assert_eq!(sums.iter().map(|(_, sum)| sum).sum::<i64>(), 200_000 * 200_001 / 2);
    let subtasks: Vec<u32> = result.vertices.iter().map(|vertex| vertex.parallelism).collect();
    assert_eq!(subtasks, [250; 4]);
    for vertex in &result.vertices {
        assert_eq!(vertex.states.get(&ExecutionState::Finished), Some(&250), "{}", vertex.name);
    }
}

/// The sums of 1..=`count` by key, computed by four wide vertices.
fn sums_by_key(env: &StreamExecutionEnvironment, count: i64) -> Vec<(String, i64)> {
    let sums = env
        .from_sequence(1, count)
        .rebalance()
        .map(|n| (format!("key {}", n % 97), n))
        .key_by(|(key, _)| key.clone())
        .window(GlobalWindows::create_with_end_of_stream_trigger())
        .reduce(|sum, (_, n)| sum.1 += n)
        .rebalance()
        .filter(|_| true);
    let mut sums = sums.execute_and_collect("sums by key").unwrap();
    sums.sort();
    sums
}

fn expected_sums(count: i64) -> Vec<(String, i64)> {
    let of_key = |key: i64| (1..=count).filter(|n| n % 97 == key).sum();
    let mut sums: Vec<_> = (0..97).map(|key| (format!("key {key}"), of_key(key))).collect();
    sums.sort();
    sums
}

#[test]
fn keyed_sums_do_not_depend_on_the_number_of_task_executors() {
    let expected = expected_sums(50_000);
    for task_executors in [1, 2, 3] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(6).set_task_executors(task_executors);
        assert_eq!(sums_by_key(&env, 50_000), expected, "{task_executors} TaskExecutors");
    }
}

#[test]
fn subtasks_are_spread_over_all_task_executors_that_are_needed() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(4).set_task_executors(2);
    let (numbers, seen) = VecSink::new();
    env.from_sequence(1, 10_000).rebalance().map(|n| n).sink_to(numbers);
    let result = execute(&env).unwrap();
    assert_eq!(seen.lock().iter().sum::<i64>(), 50_005_000);
    for vertex in &result.vertices {
        let mut hosts: Vec<_> = vertex.subtasks.iter().map(|task| task.task_executor).collect();
        hosts.sort();
        hosts.dedup();
        assert_eq!(hosts.len(), 2, "{}", vertex.name);
        assert!(hosts.iter().all(Option::is_some));
    }
}

/// With less than a buffer for each channel, jobs are slow but neither wrong nor stuck.
#[test]
fn a_tiny_network_memory_is_enough() {
    let expected = expected_sums(20_000);
    for task_executors in [1, 2] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(8).set_task_executors(task_executors);
        env.set_network_memory_bytes(1 << 10).set_buffer_timeout_ms(-1);
        assert_eq!(sums_by_key(&env, 20_000), expected, "{task_executors} TaskExecutors");
    }
}

/// One branch brings ten times what the other does, and both meet again, in every way.
#[test]
fn branches_that_meet_again_do_not_block_each_other() {
    for task_executors in [1, 2] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(2).set_task_executors(task_executors);
        env.set_network_memory_bytes(16 << 10);
        let numbers = env.from_sequence(1, 20_000);
        let many = numbers.rebalance().flat_map(|n| (0..10).map(move |copy| n * copy));
        let few = numbers.key_by(|n| n % 10).reduce(|sum, n| *sum = n).filter(|n| n % 100 == 0);
        let met = many.union(&[&few]).rebalance().map(|n| n);
        let paired = met.connect(&few.broadcast()).co_map(|n| n, |_| 0);
        let sums = paired.window_all(GlobalWindows::create_with_end_of_stream_trigger());
        let sums = sums.reduce(|sum, n| *sum += n).execute_and_collect("branches").unwrap();
        let all: i64 = (1..=20_000).map(|n| n * 45).sum();
        let hundreds: i64 = (1..=20_000).filter(|n| n % 100 == 0).sum();
        assert_eq!(sums, [all + hundreds]);
    }
}

/// Records that are larger than buffers, than shares of the memory, than all of it.
#[test]
fn records_of_any_size_pass() {
    let sizes: Vec<usize> = vec![0, 1, 100, 32 << 10, 100_000, 3 << 20, 10, 1 << 20, 5];
    let record = |size: usize| -> Vec<u8> { (0..size).map(|n| (n * size) as u8).collect() };
    for task_executors in [1, 2] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(2).set_task_executors(task_executors);
        env.set_network_memory_bytes(1 << 20);
        let source = CollectionSource::new(sizes.iter().map(|size| record(*size))).unwrap();
        let records = env.from_source(source, WatermarkStrategy::no_watermarks(), "Records");
        let passed = records.rebalance().map(|r| r).key_by(|r: &Vec<u8>| r.len() as u64);
        let passed = passed.reduce(|_, _| {});
        let mut passed = passed.execute_and_collect("records").unwrap();
        passed.sort_by_key(Vec::len);
        let mut expected: Vec<Vec<u8>> = sizes.iter().map(|size| record(*size)).collect();
        expected.sort_by_key(Vec::len);
        assert!(passed == expected, "{:?}", passed.iter().map(Vec::len).collect::<Vec<_>>());
    }
}
