//! Many subtasks, several TaskExecutors.

use hurtig::prelude::*;

#[test]
fn a_thousand_subtasks_run_and_finish() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(250).disable_operator_chaining();
    let sums = env
        .from_sequence(1, 100_000)
        .rebalance()
        .map(|n| (n % 1000, n))
        .set_parallelism(250)
        .key_by(|(key, _)| *key)
        .reduce(|sum, (_, n)| sum.1 += n)
        .rebalance()
        .map(|(key, sum)| (key, sum))
        .key_by(|(key, _)| *key)
        .max_by(|(_, sum)| *sum);
    let mut best = vec![0; 1000];
    for (key, sum) in sums.execute_and_collect("a thousand").unwrap() {
        best[key as usize] = sum.max(best[key as usize]);
    }
    for key in 0..1000i64 {
        let expected: i64 = (1..=100_000).filter(|n| n % 1000 == key).sum();
        assert_eq!(best[key as usize], expected, "key {key}");
    }
}

#[test]
fn records_cross_between_task_executors() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(4).set_task_executors(2);
    let sums = env
        .from_sequence(1, 200_000)
        .map(|n| (format!("key {}", n % 97), n))
        .key_by(|(key, _)| key.clone())
        .window(GlobalWindows::create_with_end_of_stream_trigger())
        .reduce(|sum, (_, n)| sum.1 += n);
    let mut sums = sums.execute_and_collect("two executors").unwrap();
    sums.sort();
    let mut expected: Vec<(String, i64)> = (0..97)
        .map(|key| (format!("key {key}"), (1..=200_000).filter(|n| n % 97 == key).sum()))
        .collect();
    expected.sort();
    assert_eq!(sums, expected);
}
