//! Shapes of programs: partitioners, unions, connections, side outputs, chains.

use std::collections::{BTreeMap, BTreeSet};

use hurtig::prelude::*;

/// Records with the subtask that saw them.
#[derive(Clone)]
struct WithSubtask(u32);

impl MapFunction<i64, (u32, i64)> for WithSubtask {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        self.0 = context.subtask();
        Ok(())
    }

    fn map(&mut self, value: i64) -> Result<(u32, i64), BoxError> {
        Ok((self.0, value))
    }
}

/// Which subtask of three got which of the numbers 0 to 5999, from two subtasks before.
fn distributed(
    how: impl FnOnce(&DataStream<i64>) -> DataStream<i64>,
    parallelism: u32,
) -> BTreeMap<u32, Vec<i64>> {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let numbers = env.from_sequence(0, 5_999);
    let seen = how(&numbers).map_with(WithSubtask(0)).set_parallelism(parallelism);
    let mut by_subtask: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for (subtask, n) in seen.execute_and_collect("partitioner").unwrap() {
        by_subtask.entry(subtask).or_default().push(n);
    }
    by_subtask.values_mut().for_each(|numbers| numbers.sort_unstable());
    by_subtask
}

fn all(by_subtask: &BTreeMap<u32, Vec<i64>>) -> Vec<i64> {
    let mut all: Vec<i64> = by_subtask.values().flatten().copied().collect();
    all.sort_unstable();
    all
}

fn once() -> Vec<i64> {
    (0..6_000).collect()
}

#[test]
fn forward_keeps_records_where_they_are() {
    let seen = distributed(|numbers| numbers.forward(), 2);
    assert_eq!(all(&seen), once());
    assert_eq!(seen.len(), 2);
}

#[test]
fn rebalance_and_rescale_spread_evenly() {
    let seen = distributed(|numbers| numbers.rebalance(), 3);
    assert_eq!(all(&seen), once());
    assert!(seen.values().all(|numbers| numbers.len() == 2_000), "{:?}", seen.keys());
    let seen = distributed(|numbers| numbers.rescale(), 4);
    assert_eq!(all(&seen), once());
    assert!(seen.values().all(|numbers| numbers.len() == 1_500));
}

#[test]
fn shuffle_reaches_everybody() {
    let seen = distributed(|numbers| numbers.shuffle(), 3);
    assert_eq!(all(&seen), once());
    assert!(seen.values().all(|numbers| numbers.len() > 1_000));
}

#[test]
fn broadcast_gives_all_to_all() {
    let seen = distributed(|numbers| numbers.broadcast(), 3);
    assert_eq!(seen.len(), 3);
    assert!(seen.values().all(|numbers| *numbers == once()));
}

#[test]
fn global_gives_all_to_the_first() {
    let seen = distributed(|numbers| numbers.global(), 3);
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(0, once())]);
}

#[test]
fn a_custom_partitioner_decides_itself() {
    let seen = distributed(|numbers| numbers.partition_custom(|n, of| (*n as usize / 7) % of), 3);
    assert_eq!(all(&seen), once());
    for (subtask, numbers) in seen {
        assert!(numbers.iter().all(|n| (n / 7) % 3 == i64::from(subtask)));
    }
}

#[test]
fn records_of_one_key_meet_at_one_subtask_in_order() {
    #[derive(Clone)]
    struct InOrder(u32, Option<ValueState<i64>>);
    impl KeyedProcessFunction<i64, i64, (i64, u32)> for InOrder {
        fn open(&mut self, context: &mut OpenContext<'_, i64>) -> Result<(), BoxError> {
            self.0 = context.runtime.subtask();
            let last = ValueStateDescriptor::new("last");
            self.1 = Some(context.state.value_state(&last)?);
            Ok(())
        }

        fn process(
            &mut self,
            value: i64,
            context: &mut KeyedContext<'_, i64>,
            out: &mut Collector<'_, (i64, u32)>,
        ) -> Result<(), BoxError> {
            let last = self.1.ok_or("open")?.get_or_insert_with(context.state, || i64::MIN)?;
            if *last >= value {
                return Err(format!("{value} after {last}").into());
            }
            *last = value;
            out.collect((*context.current_key(), self.0));
            Ok(())
        }
    }
    let env = StreamExecutionEnvironment::new();
    let source = env.from_sequence(0, 9_999).set_parallelism(1);
    let keyed = source.key_by(|n| n % 100).process(InOrder(0, None)).set_parallelism(4);
    let places: BTreeSet<_> = keyed.execute_and_collect("keys").unwrap().into_iter().collect();
    assert_eq!(places.len(), 100, "each key at one subtask");
    assert_eq!(places.iter().map(|(_, subtask)| subtask).collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn unions_of_several_streams_lose_nothing() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let (a, b, c) = (env.from_sequence(1, 10), env.from_sequence(11, 20), env.from_sequence(1, 5));
    let joined = a.union(&[&b, &c.map(|n| n + 20)]);
    let mut seen = joined.map(|n| n * 2).execute_and_collect("union").unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (1..=25).map(|n| n * 2).collect::<Vec<_>>());
}

#[test]
fn a_stream_can_be_read_by_several() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let numbers = env.from_sequence(1, 100);
    let even = numbers.filter(|n| n % 2 == 0).map(|n| ("even".to_owned(), n));
    let triple = numbers.map(|n| ("triple".to_owned(), n * 3));
    let mut seen = even.union(&[&triple]).execute_and_collect("split").unwrap();
    seen.sort();
    let expected = (1..=50).map(|n| ("even".to_owned(), n * 2));
    let expected: Vec<_> =
        expected.chain((1..=100).map(|n| ("triple".to_owned(), n * 3))).collect();
    assert_eq!(seen, expected);
}

#[test]
fn side_outputs_carry_other_types() {
    let env = StreamExecutionEnvironment::new();
    let odd = OutputTag::<String>::new("odd");
    let tag = odd.clone();
    let even = env.from_sequence(1, 10).process_fn(move |n, out: &mut Collector<'_, i64>| {
        if n % 2 == 0 {
            out.collect(n)
        } else {
            out.output(&tag, format!("odd {n}"))
        }
        Ok(())
    });
    let words = even.map(|n| format!("even {n}")).union(&[&even.side_output(&odd)]);
    let mut seen = words.execute_and_collect("sides").unwrap();
    seen.sort();
    assert_eq!(seen.len(), 10);
    assert_eq!((seen[0].as_str(), seen[9].as_str()), ("even 10", "odd 9"));
}

#[test]
fn connected_streams_keep_their_types_apart() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let numbers = env.from_sequence(1, 3);
    let words = env.from_collection(vec!["a".to_owned(), "b".to_owned()]);
    let connected = numbers.connect(&words);
    let mapped = connected.co_map(|n| format!("n{n}"), |word| format!("w{word}"));
    let mut seen = mapped.execute_and_collect("co map").unwrap();
    seen.sort();
    assert_eq!(seen, ["n1", "n2", "n3", "wa", "wb"]);
}

#[test]
fn chains_change_nothing_but_speed() {
    let result = |chained: bool, new_chain: bool| {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(2);
        if !chained {
            env.disable_operator_chaining();
        }
        let doubled = env.from_sequence(1, 1_000).map(|n| n * 2);
        let doubled = if new_chain { doubled.start_new_chain() } else { doubled };
        let kept = doubled.filter(|n| n % 3 != 0).disable_chaining().map(|n| n + 1);
        let mut seen = kept.execute_and_collect("chains").unwrap();
        seen.sort_unstable();
        seen
    };
    let expected: Vec<i64> =
        (1..=1_000).map(|n| n * 2).filter(|n| n % 3 != 0).map(|n| n + 1).collect();
    for (chained, new_chain) in [(true, false), (true, true), (false, false)] {
        assert_eq!(result(chained, new_chain), expected);
    }
}
