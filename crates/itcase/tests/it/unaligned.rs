//! Unaligned checkpoints: taken while nothing moves, restored with all that was in flight.

use std::collections::BTreeMap;

use hurtig::{
    Batch, DataStream,
    connector::{Sink, SinkWriter, WriterContext},
    prelude::*,
};

use crate::support::{VecSink, eventually, execute};

/// Emits every number with how many of its key there were.
#[derive(Clone)]
struct Numbered(Option<ValueState<i64>>);

impl KeyedProcessFunction<i64, i64, (i64, i64)> for Numbered {
    fn open(&mut self, context: &mut OpenContext<'_, i64>) -> Result<(), BoxError> {
        self.0 = Some(context.state.value_state(&ValueStateDescriptor::new("count"))?);
        Ok(())
    }

    fn process(
        &mut self,
        number: i64,
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<'_, (i64, i64)>,
    ) -> Result<(), BoxError> {
        let count = self.0.ok_or("open")?.get_or_insert_with(context.state, || 0)?;
        *count += 1;
        out.collect((number, *count));
        Ok(())
    }
}

/// A sink that never takes anything.
struct ClosedSink;

impl Sink for ClosedSink {
    type Input = (i64, i64);
    type Committable = ();

    fn create_writer(
        &self,
        _: WriterContext,
    ) -> Result<Box<dyn SinkWriter<(i64, i64), ()>>, BoxError> {
        Ok(Box::new(Self))
    }
}

impl SinkWriter<(i64, i64), ()> for ClosedSink {
    fn write(&mut self, _: Batch<(i64, i64)>) -> Result<(), BoxError> {
        Err("it is closed".into())
    }

    fn flush(&mut self, _: bool) -> Result<(), BoxError> {
        Ok(())
    }

    fn is_available(&self) -> bool {
        false
    }
}

const RECORDS: i64 = 60_000;
const KEYS: i64 = 29;

/// Numbers the records of each key twice, behind shuffles by other keys.
fn program(env: &StreamExecutionEnvironment) -> DataStream<(i64, i64)> {
    let first = env.from_sequence(0, RECORDS - 1).uid("numbers");
    let first = first.key_by(|n| n % 7).process(Numbered(None)).uid("first");
    let second = first.map(|(n, _)| n).key_by(|n| n % KEYS).process(Numbered(None));
    second.uid("second").rebalance()
}

fn env(
    parallelism: u32,
    task_executors: u32,
    config: &CheckpointConfig,
) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(parallelism).set_task_executors(task_executors);
    env.set_network_memory_bytes(1 << 20).set_checkpoint_config(config.clone());
    env
}

/// Whatever is lost or repeated shows: each count of each key must be there once.
fn check(seen: &[(i64, i64)], case: &str) {
    let mut counts: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut numbers = Vec::new();
    for (number, count) in seen {
        counts.entry(number % KEYS).or_default().push(*count);
        numbers.push(*number);
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..RECORDS), "{case}: {} records", seen.len());
    for (key, mut counts) in counts {
        counts.sort_unstable();
        let length = counts.len() as i64;
        assert!(counts.into_iter().eq(1..=length), "{case}: counts of key {key}");
    }
}

#[test]
fn a_checkpoint_completes_while_nothing_moves_and_restores_exactly() {
    let unaligned = CheckpointConfig {
        unaligned: true,
        retention: CheckpointRetentionPolicy::RetainOnCancellation,
        ..CheckpointConfig::default()
    };
    let with_timeout = CheckpointConfig { aligned_timeout_ms: 50, ..unaligned.clone() };
    for (task_executors, config) in [(1, &unaligned), (2, &unaligned), (2, &with_timeout)] {
        let directory = tempfile::tempdir().unwrap();
        let first = env(2, task_executors, config);
        first.set_checkpoint_directory(&format!("file://{}", directory.path().display()));
        program(&first).sink_to(ClosedSink).uid("sink");
        let client = first.execute_async("stands still").unwrap();
        let used = || -> usize {
            client.cluster().network_usage().iter().map(|usage| usage.used_bytes).sum()
        };
        eventually("everything stands still", {
            let mut last = (0, 0);
            move || {
                let now = used();
                last = if now == last.0 && now > 1 << 16 { (now, last.1 + 1) } else { (now, 0) };
                last.1 > 10_000
            }
        });
        let checkpoint = loop {
            match client.trigger_checkpoint() {
                Ok(checkpoint) => break checkpoint,
                // A source may just have come to its end.
                Err(error) => assert!(error.to_string().contains("closing"), "{error}"),
            }
        };
        client.cancel().unwrap();
        client.wait().unwrap_err();
        for (parallelism, task_executors) in [(2, 1), (2, 2), (1, 1), (3, 2), (5, 1)] {
            let second = env(parallelism, task_executors, config);
            second.restore_from(&checkpoint, false);
            let (sink, seen) = VecSink::new();
            program(&second).sink_to(sink).uid("sink");
            execute(&second).unwrap();
            let case = format!("{config:?} resumed at {parallelism} on {task_executors}");
            check(&seen.lock(), &case);
        }
    }
}
