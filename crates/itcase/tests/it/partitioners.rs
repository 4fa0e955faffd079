//! The eight partitioners: which subtask gets what. And where chains begin.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use hurtig::prelude::*;

use crate::support::{VecSink, execute};

/// A record with the subtask that saw it.
#[derive(Clone)]
pub struct WithSubtask(pub u32);

impl<T> MapFunction<T, (u32, T)> for WithSubtask {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        self.0 = context.subtask();
        Ok(())
    }

    fn map(&mut self, value: T) -> Result<(u32, T), BoxError> {
        Ok((self.0, value))
    }
}

/// From `from` subtasks, each with the numbers of its own hundred, to `to` subtasks: what each got,
/// as `(producer, number of records)`.
fn distributed(
    from: u32,
    to: u32,
    task_executors: u32,
    how: impl FnOnce(&DataStream<(u32, i64)>) -> DataStream<(u32, i64)>,
) -> BTreeMap<u32, BTreeMap<u32, Vec<i64>>> {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(from).set_task_executors(task_executors);
    let last = i64::from(from) * 100 - 1;
    let numbers = env.from_sequence(0, last).map_with(WithSubtask(0)).name("Producer");
    let seen = how(&numbers).map_with(WithSubtask(0)).name("Consumer").set_parallelism(to);
    let mut found: BTreeMap<u32, BTreeMap<u32, Vec<i64>>> = BTreeMap::new();
    let (sink, records) = VecSink::new();
    seen.sink_to(sink).set_parallelism(to);
    execute(&env).unwrap();
    for (consumer, (producer, n)) in records.lock().iter().copied() {
        assert_eq!(n / 100, i64::from(producer));
        found.entry(consumer).or_default().entry(producer).or_default().push(n);
    }
    for numbers in found.values().flat_map(BTreeMap::values) {
        assert!(numbers.is_sorted(), "the order of a producer is kept: {numbers:?}");
    }
    found
}

/// One line per consumer: how many records it has from each producer.
fn counts(found: &BTreeMap<u32, BTreeMap<u32, Vec<i64>>>) -> String {
    let line = |(consumer, producers): (&u32, &BTreeMap<u32, Vec<i64>>)| {
        let from: Vec<String> =
            producers.iter().map(|(from, n)| format!("{}x{from}", n.len())).collect();
        format!("{consumer}: {}\n", from.join(" "))
    };
    found.iter().map(line).collect()
}

fn check(
    expected: Expect,
    from: u32,
    to: u32,
    how: impl Fn(&DataStream<(u32, i64)>) -> DataStream<(u32, i64)>,
) {
    expected.assert_eq(&counts(&distributed(from, to, 1, &how)));
    // It does not matter where they run.
    expected.assert_eq(&counts(&distributed(from, to, 2, &how)));
}

#[test]
fn forward_stays_at_its_index() {
    let expected = expect![[r#"
        0: 100x0
        1: 100x1
        2: 100x2
    "#]];
    check(expected, 3, 3, |numbers| numbers.forward());
}

#[test]
fn rebalance_takes_turns_over_all() {
    let expected = expect![[r#"
        0: 25x0 25x1
        1: 25x0 25x1
        2: 25x0 25x1
        3: 25x0 25x1
    "#]];
    check(expected, 2, 4, |numbers| numbers.rebalance());
}

#[test]
fn rescale_takes_turns_in_its_group() {
    let wider = expect![[r#"
        0: 50x0
        1: 50x0
        2: 50x1
        3: 50x1
    "#]];
    check(wider, 2, 4, |numbers| numbers.rescale());
    let narrower = expect![[r#"
        0: 100x0 100x1
        1: 100x2 100x3
    "#]];
    check(narrower, 4, 2, |numbers| numbers.rescale());
}

#[test]
fn broadcast_reaches_all_and_global_the_first() {
    let all = expect![[r#"
        0: 100x0 100x1
        1: 100x0 100x1
        2: 100x0 100x1
    "#]];
    check(all, 2, 3, |numbers| numbers.broadcast());
    let first = expect![[r#"
        0: 100x0 100x1
    "#]];
    check(first, 2, 3, |numbers| numbers.global());
}

#[test]
fn shuffle_reaches_everybody_and_loses_nothing() {
    for task_executors in [1, 2] {
        let found = distributed(2, 4, task_executors, |numbers| numbers.shuffle());
        let consumers = found.values();
        assert!(found.len() == 4 && consumers.clone().all(|producers| producers.len() == 2));
        let mut all: Vec<i64> = consumers.flat_map(BTreeMap::values).flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn keys_and_custom_partitioners_decide_by_the_record() {
    let custom = expect![[r#"
        0: 34x0 33x1
        1: 33x0 34x1
        2: 33x0 33x1
    "#]];
    check(custom, 2, 3, |numbers| numbers.partition_custom(|(_, n), of| *n as usize % of));
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(3).set_task_executors(2);
    #[derive(Clone)]
    struct Place(u32);
    impl KeyedProcessFunction<i64, i64, (i64, u32)> for Place {
        fn open(&mut self, context: &mut OpenContext<'_, i64>) -> Result<(), BoxError> {
            self.0 = context.runtime.subtask();
            Ok(())
        }

        fn process(
            &mut self,
            _: i64,
            context: &mut KeyedContext<'_, i64>,
            out: &mut Collector<'_, (i64, u32)>,
        ) -> Result<(), BoxError> {
            out.collect((*context.current_key(), self.0));
            Ok(())
        }
    }
    let keyed = env.from_sequence(0, 2_999).key_by(|n| n % 300).process(Place(0));
    let mut places = keyed.execute_and_collect("keys").unwrap();
    assert_eq!(places.len(), 3_000);
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 300, "all records of a key are at one subtask");
    let at = |subtask| places.iter().filter(|(_, place)| *place == subtask).count();
    assert!((0..3).all(|subtask| at(subtask) > 50), "{}, {}, {}", at(0), at(1), at(2));
}

#[test]
fn a_custom_partitioner_must_stay_within_the_channels() {
    let env = StreamExecutionEnvironment::new();
    let wild = env.from_sequence(0, 9).partition_custom(|n, _| *n as usize);
    let error = wild.map(|n| n).set_parallelism(2).execute_and_collect("wild").unwrap_err();
    expect![[r#"job "wild" failed: Sequence Source (1/1)#0: operator "Sequence Source": the custom partitioner chose channel 2 of 2"#]]
        .assert_eq(&error.to_string());
}

/// The vertices and the sorted results of one program, whose chains `how` changes.
fn chains(
    chained: bool,
    how: impl Fn(DataStream<i64>) -> DataStream<i64>,
) -> (Vec<String>, Vec<i64>) {
    let env = StreamExecutionEnvironment::new();
    if !chained {
        env.disable_operator_chaining();
    }
    env.set_parallelism(2);
    let doubled = how(env.from_sequence(1, 1_000).map(|n| n * 2).name("A"));
    let kept = doubled.filter(|n| n % 3 != 0).name("B").map(|n| n + 1).name("C");
    let mut results = Vec::new();
    let result = kept.execute_and_collect_with("chains", |mut some| results.append(&mut some));
    results.sort_unstable();
    let vertices = result.unwrap().vertices;
    (vertices.into_iter().map(|vertex| vertex.name).collect(), results)
}

#[test]
fn chains_begin_and_end_where_the_program_says_and_change_no_result() {
    let (together, expected) = chains(true, |a| a);
    assert_eq!(together, ["Sequence Source -> A -> B -> C -> Collect"]);
    let by_hand = (1..=1_000).map(|n| n * 2).filter(|n| n % 3 != 0).map(|n| n + 1);
    assert_eq!(expected, by_hand.collect::<Vec<i64>>());
    let (new_chain, results) = chains(true, DataStream::start_new_chain);
    assert_eq!(new_chain, ["Sequence Source", "A -> B -> C -> Collect"]);
    assert_eq!(results, expected);
    let (alone, results) = chains(true, DataStream::disable_chaining);
    assert_eq!(alone, ["Sequence Source", "A", "B -> C -> Collect"]);
    assert_eq!(results, expected);
    let (apart, results) = chains(false, |a| a);
    assert_eq!(apart, ["Sequence Source", "A", "B", "C", "Collect"]);
    assert_eq!(results, expected);
}
