//! Keyed streams: running aggregates, state of every kind, timers, event time.

use std::collections::BTreeMap;

use hurtig::{connectors::CollectionSource, prelude::*};

fn pairs() -> Vec<(u8, i64)> {
    vec![(1, 5), (2, 7), (1, -3), (1, 9), (2, 1), (1, 9)]
}

fn running(how: impl FnOnce(DataStream<(u8, i64)>) -> DataStream<(u8, i64)>) -> Vec<(u8, i64)> {
    let env = StreamExecutionEnvironment::new();
    how(env.from_collection(pairs())).execute_and_collect("running").unwrap()
}

#[test]
fn running_aggregates_emit_with_every_record() {
    let key = |pair: &(u8, i64)| pair.0;
    let sums = running(|pairs| pairs.key_by(key).sum(|pair| &mut pair.1));
    assert_eq!(sums, [(1, 5), (2, 7), (1, 2), (1, 11), (2, 8), (1, 20)]);
    let least = running(|pairs| pairs.key_by(key).min(|pair| &mut pair.1));
    assert_eq!(least, [(1, 5), (2, 7), (1, -3), (1, -3), (2, 1), (1, -3)]);
    let most = running(|pairs| pairs.key_by(key).max_by(|pair| pair.1));
    assert_eq!(most, [(1, 5), (2, 7), (1, 5), (1, 9), (2, 7), (1, 9)]);
}

/// Uses each kind of state.
#[derive(Clone, Default)]
struct EveryState {
    value: Option<ValueState<i64>>,
    list: Option<ListState<i64>>,
    map: Option<MapState<i64, u32>>,
    reducing: Option<ReducingState<i64>>,
    aggregating: Option<AggregatingState<i64, Mean>>,
}

struct Mean;

impl AggregateFunction<i64> for Mean {
    type Accumulator = (i64, i64);
    type Output = i64;

    fn create_accumulator(&self) -> (i64, i64) {
        (0, 0)
    }

    fn add(&self, (sum, count): &mut (i64, i64), value: &i64) {
        *sum += value;
        *count += 1;
    }

    fn result(&self, (sum, count): &(i64, i64)) -> i64 {
        sum / count
    }

    fn merge(&self, into: &mut (i64, i64), other: &(i64, i64)) {
        into.0 += other.0;
        into.1 += other.1;
    }
}

impl KeyedProcessFunction<u8, (u8, i64), String> for EveryState {
    fn open(&mut self, context: &mut OpenContext<'_, u8>) -> Result<(), BoxError> {
        let state = &mut *context.state;
        self.value = Some(state.value_state(&ValueStateDescriptor::new("value"))?);
        self.list = Some(state.list_state(&ListStateDescriptor::new("list"))?);
        self.map = Some(state.map_state(&MapStateDescriptor::new("map"))?);
        let most = ReducingStateDescriptor::new("most", |a: &mut i64, b| *a = (*a).max(b));
        self.reducing = Some(state.reducing_state(&most)?);
        let mean = AggregatingStateDescriptor::new("mean", Mean);
        self.aggregating = Some(state.aggregating_state(&mean)?);
        Ok(())
    }

    fn process(
        &mut self,
        (_, n): (u8, i64),
        context: &mut KeyedContext<'_, u8>,
        out: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        let unopened = || BoxError::from("not open");
        let value = self.value.ok_or_else(unopened)?;
        let before = value.get(context.state)?.copied();
        value.update(context.state, n)?;
        let list = self.list.ok_or_else(unopened)?;
        list.add(context.state, n)?;
        let all = list.get(context.state)?.to_vec();
        let map = self.map.ok_or_else(unopened)?;
        *map.get_or_insert_with(context.state, n, u32::default)? += 1;
        let times = map.get(context.state, &n)?.copied();
        let most = self.reducing.as_ref().ok_or_else(unopened)?;
        most.add(context.state, n)?;
        let most = most.get(context.state)?.copied();
        let mean = self.aggregating.as_ref().ok_or_else(unopened)?;
        mean.add(context.state, &n)?;
        let mean = mean.get(context.state)?;
        let key = context.current_key();
        out.collect(format!("{key}: {before:?} {all:?} {times:?} {most:?} {mean:?}"));
        Ok(())
    }
}

#[test]
fn every_kind_of_state_belongs_to_its_key() {
    let env = StreamExecutionEnvironment::new();
    let lines = env.from_collection(pairs()).key_by(|pair| pair.0).process(EveryState::default());
    assert_eq!(
        lines.execute_and_collect("states").unwrap(),
        [
            "1: None [5] Some(1) Some(5) Some(5)",
            "2: None [7] Some(1) Some(7) Some(7)",
            "1: Some(5) [5, -3] Some(1) Some(5) Some(1)",
            "1: Some(-3) [5, -3, 9] Some(1) Some(9) Some(3)",
            "2: Some(7) [7, 1] Some(1) Some(7) Some(4)",
            "1: Some(9) [5, -3, 9, 9] Some(2) Some(9) Some(5)",
        ]
    );
}

/// Sets an event-time and a processing-time timer for each record.
#[derive(Clone)]
struct TwoTimers;

impl KeyedProcessFunction<u8, (u8, i64), String> for TwoTimers {
    fn process(
        &mut self,
        (_, time): (u8, i64),
        context: &mut KeyedContext<'_, u8>,
        _: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        context.register_event_time_timer(time + 10);
        context.register_event_time_timer(time + 11);
        context.delete_event_time_timer(time + 11);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, u8>,
        out: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        out.collect(format!("{} {time} {domain:?}", context.current_key()));
        Ok(())
    }
}

#[test]
fn event_time_timers_fire_in_order_until_the_end() {
    let env = StreamExecutionEnvironment::new();
    let times = vec![(1, 100), (2, 50), (1, 100), (1, 20)];
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(500))
        .with_timestamp_assigner(|pair: &(u8, i64)| pair.1);
    let timers = env
        .from_collection(times)
        .assign_timestamps_and_watermarks(strategy)
        .key_by(|pair| pair.0)
        .process(TwoTimers);
    let fired = timers.execute_and_collect("timers").unwrap();
    assert_eq!(fired, ["1 30 EventTime", "2 60 EventTime", "1 110 EventTime"]);
}

/// Ends a job that never ends by itself once its processing-time timer has fired.
#[derive(Clone)]
struct Alarm(std::sync::mpsc::SyncSender<i64>);

impl KeyedProcessFunction<u64, u64, u64> for Alarm {
    fn process(
        &mut self,
        _: u64,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<'_, u64>,
    ) -> Result<(), BoxError> {
        context.register_processing_time_timer(context.current_processing_time() + 5);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<'_, u64>,
    ) -> Result<(), BoxError> {
        assert_eq!(domain, TimeDomain::ProcessingTime);
        let _ = self.0.try_send(context.current_processing_time() - time);
        Ok(())
    }
}

#[test]
fn processing_time_timers_fire_while_nothing_comes() {
    let (fired, seen) = std::sync::mpsc::sync_channel(1);
    let env = StreamExecutionEnvironment::new();
    // The second record would come in a day.
    let source = hurtig::connectors::DataGeneratorSource::new(|n| n, None, Some(1.0 / 86_400.0));
    env.from_source(source, WatermarkStrategy::no_watermarks(), "One")
        .key_by(|n| *n)
        .process(Alarm(fired))
        .print();
    let client = env.execute_async("alarm").unwrap();
    assert!(seen.recv_timeout(Duration::from_secs(30)).unwrap() >= 0);
    client.cancel().unwrap();
    client.wait().unwrap_err();
}

#[test]
fn an_idle_source_does_not_hold_event_time_back() {
    let env = StreamExecutionEnvironment::new();
    let strategy = || {
        WatermarkStrategy::for_monotonous_timestamps()
            .with_timestamp_assigner(|pair: &(u8, i64)| pair.1)
            .with_idleness(Duration::from_millis(20))
    };
    // One record, then silence.
    let silent = hurtig::connectors::DataGeneratorSource::new(
        |n| (0u8, n as i64),
        None,
        Some(1.0 / 86_400.0),
    );
    let lively =
        hurtig::connectors::DataGeneratorSource::new(|n| (1u8, n as i64), None, Some(20_000.0));
    let (fired, seen) = std::sync::mpsc::sync_channel(1);
    env.set_auto_watermark_interval_ms(5);
    let silent = env.from_source(silent, strategy(), "Silent");
    let lively = env.from_source(lively, strategy(), "Lively");
    silent
        .union(&[&lively])
        .key_by(|pair| pair.0)
        .window(TumblingEventTimeWindows::of(Duration::from_millis(50)))
        .reduce(|sum, pair| sum.1 += pair.1)
        .map(move |pair| {
            let _ = fired.try_send(());
            pair
        })
        .sink_to(hurtig::connectors::BlackHoleSink::new());
    let client = env.execute_async("idle").unwrap();
    seen.recv_timeout(Duration::from_secs(30)).unwrap();
    client.cancel().unwrap();
    client.wait().unwrap_err();
}

#[test]
fn windows_equal_the_definition_at_any_parallelism() {
    let records: Vec<(u8, i64)> =
        (0..5_000i64).map(|n| ((n * 7 % 11) as u8, n * 13 % 9_973)).collect();
    let mut expected: BTreeMap<(u8, i64), i64> = BTreeMap::new();
    for (key, time) in &records {
        for start in (0..4).map(|n| time.div_euclid(250) * 250 - n * 250) {
            *expected.entry((*key, start + 1_000)).or_default() += time;
        }
    }
    for parallelism in [1, 3] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(parallelism);
        let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(20))
            .with_timestamp_assigner(|pair: &(u8, i64)| pair.1);
        let source = CollectionSource::new(records.clone()).unwrap();
        let windows =
            SlidingEventTimeWindows::of(Duration::from_secs(1), Duration::from_millis(250));
        let sums = env
            .from_source(source, strategy, "Records")
            .key_by(|pair| pair.0)
            .window(windows)
            .process(
                |key: &u8,
                 window: TimeWindow,
                 records: &[(u8, i64)],
                 out: &mut Collector<'_, ((u8, i64), i64)>| {
                    let sum = records.iter().map(|record| record.1).sum();
                    out.collect(((*key, window.end), sum));
                },
            );
        let sums: BTreeMap<_, _> =
            sums.execute_and_collect("windows").unwrap().into_iter().collect();
        assert_eq!(sums, expected);
    }
}

#[test]
fn count_windows_close_by_number() {
    let env = StreamExecutionEnvironment::new();
    let pairs = env.from_collection(pairs()).key_by(|pair| pair.0);
    let sums = pairs.count_window(2).reduce(|sum, pair| sum.1 += pair.1);
    let last = pairs.sliding_count_window(2, 1).reduce(|sum, pair| sum.1 += pair.1);
    let mut seen = sums
        .map(|p| (true, p))
        .union(&[&last.map(|p| (false, p))])
        .execute_and_collect("counts")
        .unwrap();
    seen.sort();
    let sliding = [(1, 2), (1, 5), (1, 6), (1, 18), (2, 7), (2, 8)].map(|pair| (false, pair));
    let tumbling = [(1, 2), (1, 18), (2, 8)].map(|pair| (true, pair));
    assert_eq!(seen, [sliding.to_vec(), tumbling.to_vec()].concat());
}

#[test]
fn accumulators_and_metrics_of_subtasks_are_added_up() {
    #[derive(Clone)]
    struct Counting(Option<RuntimeContext>);
    impl MapFunction<i64, i64> for Counting {
        fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
            self.0 = Some(context.clone());
            Ok(())
        }

        fn map(&mut self, value: i64) -> Result<i64, BoxError> {
            self.0.as_ref().ok_or("open")?.add_to_counter("seen", 1)?;
            Ok(value)
        }
    }
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(3);
    env.from_sequence(1, 100)
        .map_with(Counting(None))
        .sink_to(hurtig::connectors::BlackHoleSink::new());
    assert_eq!(env.execute("accumulators").unwrap().counter("seen"), Some(100));
}
