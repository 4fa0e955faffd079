//! Shapes of programs: streams that split, meet, and stand side by side; results that are larger
//! than memory would like.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use hurtig::prelude::*;

use crate::support::{VecSink, execute, timed};

fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort();
    values
}

#[test]
fn a_union_has_the_records_of_all_its_streams_as_often_as_they_are_in_it() {
    for task_executors in [1, 2] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(2).set_task_executors(task_executors);
        let a = env.from_sequence(1, 50);
        let b = env.from_sequence(51, 80).set_parallelism(1);
        let c = env.from_collection(vec![7, 7]).map(|n| n * 100).set_parallelism(1);
        let empty = env.from_sequence(1, 0);
        let all = a.union(&[&b, &c, &empty, &b, &a.union(&[&c])]);
        let seen = all.map(|n| n).execute_and_collect("union").unwrap();
        let twice = (1..=80).chain([700, 700]).flat_map(|n| [n, n]);
        assert_eq!(sorted(seen), sorted(twice.collect()));
    }
}

#[test]
fn a_union_can_be_keyed_and_partitioned() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(3);
    let both = env.from_sequence(1, 100).union(&[&env.from_sequence(1, 100)]);
    let windows = both.key_by(|n| n % 5).window(GlobalWindows::create_with_end_of_stream_trigger());
    let sums = windows.reduce(|sum, n| *sum += n).execute_and_collect("keyed union").unwrap();
    let of_key = |key: i64| (1..=100).filter(|n| n % 5 == key).sum::<i64>() * 2;
    assert_eq!(sorted(sums), sorted((0..5).map(of_key).collect()));
}

/// Sorts words by length: long ones to one side, empty ones to another, and counts them.
#[derive(Clone)]
struct Sorter {
    long: OutputTag<(String, u64)>,
    empty: OutputTag<u8>,
}

impl ProcessFunction<String, String> for Sorter {
    fn process(
        &mut self,
        word: String,
        _: Option<i64>,
        out: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        match word.len() {
            0 => out.output(&self.empty, 0),
            1..=3 => out.collect(word),
            length => out.output(&self.long, (word, length as u64)),
        }
        Ok(())
    }
}

#[test]
fn side_outputs_have_types_of_their_own_and_as_many_readers_as_like() {
    let words = ["be", "nimble", "", "or", "not", "be", "hurtig", ""].map(str::to_owned);
    let (long, empty) = (OutputTag::new("long"), OutputTag::new("empty"));
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let sorter = Sorter { long: long.clone(), empty: empty.clone() };
    let short = env.from_collection(words.to_vec()).rebalance().process(sorter);
    let (lengths, seen_lengths) = VecSink::new();
    short.side_output(&long).map(|(_, length)| length).sink_to(lengths);
    let (longest, seen_long) = VecSink::new();
    short.side_output(&long).key_by(|_| 0).max_by(|(_, length)| *length).sink_to(longest);
    let (nothings, seen_empty) = VecSink::new();
    short.side_output(&empty).rebalance().map(|n| n).sink_to(nothings);
    // A tag that nobody writes to, and a main output that nobody reads, are fine.
    let (never, seen_never) = VecSink::new();
    short.side_output(&OutputTag::<i64>::new("never")).sink_to(never);
    execute(&env).unwrap();
    assert_eq!(*seen_lengths.lock(), [6, 6]);
    assert_eq!(seen_long.lock().len(), 2);
    assert_eq!(*seen_empty.lock(), [0, 0]);
    assert!(seen_never.lock().is_empty());
}

/// Passes on what is allowed. All rules come before the first word that they are for.
#[derive(Clone, Default)]
struct Rules {
    allowed: Vec<String>,
    waiting: Vec<String>,
}

impl CoProcessFunction<String, String, String> for Rules {
    fn process1(&mut self, word: String, out: &mut Collector<'_, String>) -> Result<(), BoxError> {
        if self.allowed.contains(&word) {
            out.collect(word)
        } else {
            self.waiting.push(word)
        }
        Ok(())
    }

    fn process2(&mut self, rule: String, out: &mut Collector<'_, String>) -> Result<(), BoxError> {
        let (ready, waiting): (Vec<_>, Vec<_>) =
            self.waiting.drain(..).partition(|word| *word == rule);
        self.waiting = waiting;
        out.collect_all(ready);
        self.allowed.push(rule);
        Ok(())
    }
}

#[test]
fn connected_streams_share_what_their_function_knows() {
    let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for parallelism in [1, 3] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(parallelism);
        let words = env.from_collection(texts(&["a", "b", "c", "a", "d", "b"])).rebalance();
        // Every subtask knows all rules.
        let rules = env.from_collection(texts(&["b", "a", "e"])).broadcast();
        let passed = words.connect(&rules).co_process(Rules::default());
        let passed = passed.execute_and_collect("rules").unwrap();
        assert_eq!(sorted(passed), ["a", "a", "b", "b"], "parallelism {parallelism}");
    }
}

#[test]
fn co_map_and_co_flat_map_bring_two_types_together() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let numbers = env.from_sequence(1, 3);
    let words = env.from_collection(vec!["x".to_owned(), "yz".to_owned()]);
    let connected = numbers.connect(&words);
    let mapped = connected.co_map(|n| n, |word| -(word.len() as i64));
    let flat = connected.co_flat_map(
        |n| (0..n).map(|n| n + 100).collect::<Vec<_>>(),
        |word| word.bytes().map(i64::from).collect::<Vec<_>>(),
    );
    let seen = mapped.union(&[&flat]).execute_and_collect("both").unwrap();
    assert_eq!(sorted(seen), [-2, -1, 1, 2, 3, 100, 100, 100, 101, 101, 102, 120, 121, 122]);
}

/// Joins by key: what came first waits in state.
#[derive(Clone, Default)]
struct Join {
    left: Option<ListState<u32>>,
    right: Option<ListState<String>>,
}

impl KeyedCoProcessFunction<u32, u32, String, (u32, String)> for Join {
    fn open(&mut self, context: &mut OpenContext<'_, u32>) -> Result<(), BoxError> {
        self.left = Some(context.state.list_state(&ListStateDescriptor::new("left"))?);
        self.right = Some(context.state.list_state(&ListStateDescriptor::new("right"))?);
        Ok(())
    }

    fn process1(
        &mut self,
        value: u32,
        context: &mut KeyedContext<'_, u32>,
        out: &mut Collector<'_, (u32, String)>,
    ) -> Result<(), BoxError> {
        self.left.as_ref().unwrap().add(context.state, value)?;
        for word in self.right.as_ref().unwrap().get(context.state)? {
            out.collect((value, word.clone()));
        }
        Ok(())
    }

    fn process2(
        &mut self,
        value: String,
        context: &mut KeyedContext<'_, u32>,
        out: &mut Collector<'_, (u32, String)>,
    ) -> Result<(), BoxError> {
        self.right.as_ref().unwrap().add(context.state, value.clone())?;
        for number in self.left.as_ref().unwrap().get(context.state)? {
            out.collect((*number, value.clone()));
        }
        Ok(())
    }
}

#[test]
fn keyed_connected_streams_share_the_state_of_a_key() {
    for task_executors in [1, 2] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(2).set_task_executors(task_executors);
        let numbers = env.from_collection((0..60u32).collect());
        let words = env.from_collection((0..20u32).map(|n| format!("{n}")).collect());
        let key_of_word = |word: &String| word.len() as u32;
        let joined = numbers.connect(&words).key_by(|n| n % 4, key_of_word);
        let joined = joined.process(Join::default()).execute_and_collect("join").unwrap();
        let expected = (0..60u32).flat_map(|n| {
            let matching = (0..20u32).map(|word| format!("{word}"));
            matching.filter(move |word| n % 4 == word.len() as u32).map(move |word| (n, word))
        });
        assert_eq!(sorted(joined), sorted(expected.collect()));
    }
}

#[test]
fn a_stream_may_have_many_readers_chained_and_not() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let numbers = env.from_sequence(1, 1_000);
    let mut readers = Vec::new();
    for factor in 1..=6 {
        let (sink, seen) = VecSink::new();
        let scaled = match factor % 3 {
            0 => numbers.map(move |n| n * factor),
            1 => numbers.rebalance().map(move |n| n * factor),
            _ => numbers.broadcast().filter(move |n| n % 2 == factor % 2).map(move |n| n * factor),
        };
        scaled.sink_to(sink);
        readers.push((factor, seen));
    }
    execute(&env).unwrap();
    let all = 1_000 * 1_001 / 2;
    for (factor, seen) in readers {
        let sum: i64 = seen.lock().iter().sum();
        let expected = match factor % 3 {
            2 => (1..=1_000).filter(|n| n % 2 == factor % 2).sum::<i64>() * 2,
            _ => all,
        };
        assert_eq!(sum, expected * factor, "factor {factor}");
    }
}

/// Two million records, of which few are ever in memory.
#[test]
fn large_results_are_collected_in_bounded_memory() {
    const COUNT: i64 = 2_000_000;
    const IN_FLIGHT: u64 = 200_000;
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2).set_network_memory_bytes(256 << 10);
    let produced = Arc::new(AtomicU64::new(0));
    let counter = produced.clone();
    let numbers = env.from_sequence(1, COUNT).map(move |n| {
        counter.fetch_add(1, SeqCst);
        n
    });
    let (mut taken, mut sum, mut most_ahead) = (0u64, 0i64, 0u64);
    let collected = numbers.rebalance().map(|n| n).execute_and_collect_with("large", |batch| {
        if taken == 0 {
            // The client takes its time, in which the job could produce millions.
            let (mut busy, mut turns) = (std::time::Duration::ZERO, 0);
            while busy < std::time::Duration::from_millis(100) {
                busy += timed(|| (0..1_000).for_each(|n| turns = std::hint::black_box(n))).1;
            }
        }
        taken += batch.len() as u64;
        sum += batch.iter().sum::<i64>();
        most_ahead = most_ahead.max(produced.load(SeqCst) - taken);
    });
    collected.unwrap();
    assert_eq!((taken, sum), (COUNT as u64, COUNT * (COUNT + 1) / 2));
    assert!(most_ahead < IN_FLIGHT, "{most_ahead} records were under way");
}
