//! A job takes a savepoint between two incremental checkpoints; what is read from it must be one
//! consistent moment.

use std::{collections::HashMap, path::Path, time::Duration};

use hurtig::{
    SavepointFormat,
    connectors::{BlackHoleSink, DataGeneratorSource, generator::GeneratorSplit},
    prelude::*,
};
use hurtig_state_heap::KeyedStateStore;
use hurtig_state_processor::{
    InspectOptions, KeyedStateReaderContext, KeyedStateReaderFunction, SavepointReader,
};

const KEYS: i64 = 7;

/// Keeps the count and the largest record of each key, the last records, counts of odd and even
/// ones, and a timer that moves.
#[derive(Clone, Default)]
struct Keeps {
    count: Option<ValueState<(i64, i64)>>,
    last: Option<ListState<i64>>,
    parity: Option<MapState<bool, i64>>,
}

fn count() -> ValueStateDescriptor<(i64, i64)> {
    ValueStateDescriptor::new("count")
}

fn last() -> ListStateDescriptor<i64> {
    ListStateDescriptor::new("last")
}

fn parity() -> MapStateDescriptor<bool, i64> {
    MapStateDescriptor::new("parity")
}

impl KeyedProcessFunction<i64, i64, i64> for Keeps {
    fn open(&mut self, context: &mut OpenContext<'_, i64>) -> Result<(), BoxError> {
        self.count = Some(context.state.value_state(&count())?);
        self.last = Some(context.state.list_state(&last())?);
        self.parity = Some(context.state.map_state(&parity())?);
        Ok(())
    }

    fn process(
        &mut self,
        value: i64,
        context: &mut KeyedContext<'_, i64>,
        _: &mut Collector<'_, i64>,
    ) -> Result<(), BoxError> {
        let (count, largest) =
            self.count.ok_or("open")?.get_or_insert_with(context.state, || (0, -1))?;
        let before = std::mem::replace(largest, value);
        *count += 1;
        if before >= 0 {
            context.delete_event_time_timer(before + 1_000_000);
        }
        context.register_event_time_timer(value + 1_000_000);
        self.last.ok_or("open")?.update(context.state, vec![before, value])?;
        let parity = self.parity.ok_or("open")?;
        *parity.get_or_insert_with(context.state, value % 2 == 0, || 0)? += 1;
        Ok(())
    }
}

fn url(directory: &Path) -> String {
    format!("file://{}", directory.display())
}

/// Runs the job until records have come behind a checkpoint, and takes a savepoint.
fn savepoint(directory: &Path, format: SavepointFormat) -> String {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(3).enable_checkpointing(15);
    env.set_checkpoint_directory(&url(&directory.join("checkpoints")));
    let (running, seen) = std::sync::mpsc::sync_channel(1);
    let source = DataGeneratorSource::new(|n| n as i64, None, Some(200_000.0));
    let strategy =
        WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|n: &i64| *n);
    let numbers = env.from_source(source, strategy, "Numbers").set_parallelism(1).uid("numbers");
    let numbers = numbers.map(move |n| {
        if n > 60_000 {
            let _ = running.try_send(());
        }
        n
    });
    let numbers = numbers.set_parallelism(1);
    numbers
        .key_by(|n| n % KEYS)
        .process(Keeps::default())
        .uid("keeps")
        .sink_to(BlackHoleSink::new());
    numbers
        .key_by(|n| n % KEYS)
        .window(TumblingEventTimeWindows::of(Duration::from_secs(1_000_000)))
        .process(|_: &i64, _: TimeWindow, records: &[i64], out: &mut Collector<'_, i64>| {
            out.collect(records.iter().sum());
        })
        .uid("windows")
        .sink_to(BlackHoleSink::new());
    let client = env.execute_async("takes a savepoint").unwrap();
    seen.recv_timeout(Duration::from_secs(60)).unwrap();
    let savepoint = client.trigger_savepoint_with(&url(directory), format).unwrap();
    client.cancel().unwrap();
    client.wait().unwrap_err();
    savepoint
}

/// Reads all of a key.
#[derive(Clone, Default)]
struct ReadsAll(Keeps);

type Row = (i64, i64, i64, i64, Vec<i64>);

impl KeyedStateReaderFunction<i64, Row> for ReadsAll {
    fn open(&mut self, state: &mut KeyedStateStore<i64>) -> Result<(), BoxError> {
        self.0.count = Some(state.value_state(&count())?);
        self.0.last = Some(state.list_state(&last())?);
        Ok(())
    }

    fn read_key(
        &mut self,
        context: &mut KeyedStateReaderContext<'_, i64>,
        out: &mut Vec<Row>,
    ) -> Result<(), BoxError> {
        let (count, largest) =
            *self.0.count.ok_or("open")?.get(context.state)?.ok_or("no count")?;
        let last = self.0.last.ok_or("open")?.get(context.state)?.last().copied();
        let timers = context.registered_event_time_timers().to_vec();
        out.push((*context.current_key(), count, largest, last.ok_or("no list")?, timers));
        Ok(())
    }
}

#[test]
fn a_savepoint_reads_back_as_one_moment() {
    for format in [SavepointFormat::Canonical, SavepointFormat::Native] {
        let directory = tempfile::tempdir().unwrap();
        let reader = SavepointReader::load(&savepoint(directory.path(), format)).unwrap();
        // The position of the source says what each key must hold.
        let splits = ListStateDescriptor::<GeneratorSplit>::new("splits");
        assert_eq!(reader.read_list_state("numbers", &splits).unwrap().count(), 1);
        let counts: HashMap<i64, (i64, i64)> =
            reader.read_keyed_state("keeps", &count()).unwrap().map(Result::unwrap).collect();
        assert_eq!(counts.len() as i64, KEYS);
        let newest = counts.values().map(|(_, largest)| *largest).max().unwrap();
        assert!(newest > 1_000);
        for (key, (count, largest)) in &counts {
            assert_eq!(*count, largest / KEYS + 1);
            assert_eq!(largest % KEYS, *key);
            assert!(newest - largest < KEYS, "all keys are of one moment");
        }
        let parity =
            reader.read_keyed_state::<i64, HashMap<bool, i64>>("keeps", &parity()).unwrap();
        for (key, counted) in parity.map(Result::unwrap) {
            assert_eq!(counted.values().sum::<i64>(), counts[&key].0);
        }
        let rows: Vec<Row> = reader
            .read_keyed_states("keeps", ReadsAll::default())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows.len() as i64, KEYS);
        for (key, count, largest, last, timers) in &rows {
            assert_eq!((*count, *largest), counts[key]);
            assert_eq!(last, largest);
            assert_eq!(timers, &[largest + 1_000_000]);
        }
        let slices = reader.read_window_slices::<i64, Vec<i64>>("windows").unwrap();
        for slice in slices.map(Result::unwrap) {
            assert_eq!(slice.accumulator.len() as i64, counts[&slice.key].0);
        }
        let report = reader.inspect(InspectOptions { contents: true, verify: true }).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        let keeps = report.operators.iter().find(|o| o.uid.as_deref() == Some("keeps")).unwrap();
        assert_eq!((keeps.parallelism, keeps.longest_chain), (3, 1));
        assert_eq!(report.format.as_deref(), Some(format!("{format:?}").to_lowercase()).as_deref());
    }
}

#[test]
fn state_is_a_source_of_a_job() {
    let directory = tempfile::tempdir().unwrap();
    let savepoint = savepoint(directory.path(), SavepointFormat::Canonical);
    let reader = SavepointReader::load(&savepoint).unwrap();
    let read = || reader.read_keyed_state::<i64, (i64, i64)>("keeps", &count()).unwrap();
    let mut expected: Vec<(i64, (i64, i64))> = read().map(Result::unwrap).collect();
    expected.sort_unstable();
    for parallelism in [1, 2, 5] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(parallelism);
        let source = read().into_source();
        let state = env.from_source(source, WatermarkStrategy::no_watermarks(), "State");
        let mut seen = state.execute_and_collect("reads state").unwrap();
        seen.sort_unstable();
        assert_eq!(seen, expected, "parallelism {parallelism}");
    }
    // Files that are damaged fail the job, by name.
    let mut damaged = 0;
    for entry in std::fs::read_dir(savepoint.strip_prefix("file://").unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("_metadata") {
            std::fs::write(&path, b"nothing").unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "windows over so many records fill files");
    let source = reader.read_window_slices::<i64, Vec<i64>>("windows").unwrap().into_source();
    let env = StreamExecutionEnvironment::new();
    let slices = env.from_source(source, WatermarkStrategy::no_watermarks(), "State");
    let error = slices.map(|slice| slice.key).execute_and_collect("reads damage").unwrap_err();
    assert!(error.to_string().contains("savepoint-"), "{error}");
}
