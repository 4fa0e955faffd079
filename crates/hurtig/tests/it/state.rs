//! State without keys, and times to live, through savepoints and failures.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::SeqCst},
        mpsc::SyncSender,
    },
};

use hurtig::{
    connectors::{BlackHoleSink, DataGeneratorSource},
    graph::RestartStrategyConfig,
    prelude::*,
};
use parking_lot::Mutex;

/// What subtasks were restored with: subtask and content.
type Seen<T> = Arc<Mutex<BTreeMap<u32, T>>>;

/// Keeps what it has seen lately in list states of both modes. The split one is consumed by the
/// restore; the union one names the subtask.
#[derive(Clone)]
struct Remembers {
    seen: Vec<i64>,
    subtask: u32,
    restored: Seen<(Vec<i64>, Vec<u32>)>,
    split: Option<OperatorListState<i64>>,
    union: Option<OperatorListState<u32>>,
    enough: SyncSender<()>,
}

impl MapFunction<i64, i64> for Remembers {
    fn initialize_state(
        &mut self,
        context: &mut FunctionInitializationContext<'_>,
    ) -> Result<(), BoxError> {
        self.subtask = context.runtime.subtask();
        let state = &mut *context.operator_state;
        let split = state.list_state(&ListStateDescriptor::new("seen"))?;
        let union = state.union_list_state(&ListStateDescriptor::new("subtasks"))?;
        if state.is_restored() {
            self.seen = split.get(state)?.to_vec();
            let subtasks = union.get(state)?.to_vec();
            self.restored.lock().insert(self.subtask, (self.seen.clone(), subtasks));
        }
        (self.split, self.union) = (Some(split), Some(union));
        Ok(())
    }

    fn snapshot_state(
        &mut self,
        context: &mut FunctionSnapshotContext<'_>,
    ) -> Result<(), BoxError> {
        let state = &mut *context.operator_state;
        self.split.ok_or("open")?.update(state, self.seen.clone())?;
        Ok(self.union.ok_or("open")?.update(state, vec![self.subtask])?)
    }

    fn map(&mut self, n: i64) -> Result<i64, BoxError> {
        self.seen.push(n);
        if self.seen.len() > 200 {
            let _ = self.enough.try_send(());
        }
        Ok(n)
    }
}

fn env(parallelism: u32) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(parallelism).enable_checkpointing(20);
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 100, delay_ms: 1 });
    env
}

/// Numbers for ever, or so many.
fn numbers(env: &StreamExecutionEnvironment, count: Option<u64>) -> DataStream<i64> {
    let source = DataGeneratorSource::new(|n| n as i64, count, Some(40_000.0));
    env.from_source(source, WatermarkStrategy::no_watermarks(), "Numbers").uid("numbers")
}

fn directory_url(directory: &tempfile::TempDir) -> String {
    format!("file://{}", directory.path().display())
}

#[test]
fn lists_are_split_and_united_over_other_numbers_of_subtasks() {
    let directory = tempfile::tempdir().unwrap();
    let (enough, has_enough) = std::sync::mpsc::sync_channel(1);
    let function = |restored: &Seen<_>| Remembers {
        seen: Vec::new(),
        subtask: 0,
        restored: restored.clone(),
        split: None,
        union: None,
        enough: enough.clone(),
    };
    let first = env(2);
    let remembers = numbers(&first, None).map_with(function(&Arc::default())).uid("remembers");
    remembers.sink_to(BlackHoleSink::new());
    let client = first.execute_async("first").unwrap();
    has_enough.recv_timeout(Duration::from_secs(30)).unwrap();
    let savepoint = client.trigger_savepoint(&directory_url(&directory)).unwrap();
    client.cancel().unwrap();
    client.wait().unwrap_err();
    let mut all = Vec::new();
    for parallelism in [2, 1, 3, 5] {
        let restored = Seen::default();
        let env = env(parallelism);
        env.restore_from(&savepoint, true);
        // Another source, which is at its end at once.
        let nothing = env.from_collection(Vec::<i64>::new()).uid("nothing");
        let remembers = nothing.map_with(function(&restored)).uid("remembers");
        remembers.sink_to(BlackHoleSink::new());
        env.execute("second").unwrap();
        let restored = restored.lock();
        assert_eq!(restored.len(), parallelism as usize);
        let mut elements: Vec<i64> =
            restored.values().flat_map(|(elements, _)| elements.clone()).collect();
        let lengths: Vec<usize> = restored.values().map(|(elements, _)| elements.len()).collect();
        if parallelism != 2 {
            let (least, most) = (lengths.iter().min(), lengths.iter().max());
            assert!(most.unwrap() - least.unwrap() <= 1, "{lengths:?}");
        }
        elements.sort_unstable();
        assert!(elements.len() > 200);
        let unique: BTreeSet<i64> = elements.iter().copied().collect();
        assert_eq!(unique.len(), elements.len(), "each element comes to one subtask");
        if all.is_empty() {
            all.clone_from(&elements);
        }
        assert_eq!(elements, all, "parallelism {parallelism}");
        for (_, subtasks) in restored.values() {
            let mut subtasks = subtasks.clone();
            subtasks.sort_unstable();
            assert_eq!(subtasks, [0, 1], "all elements come to every subtask");
        }
    }
}

fn rules() -> MapStateDescriptor<i64, String> {
    MapStateDescriptor::new("rules")
}

/// Keeps numbered rules, and tells how many there are.
#[derive(Clone)]
struct KeepsRules {
    rules: Option<BroadcastState<i64, String>>,
    subtask: u32,
    restored: Seen<BTreeMap<i64, String>>,
    enough: SyncSender<()>,
    full: Arc<AtomicU32>,
}

const RULES: i64 = 50;

impl BroadcastProcessFunction<i64, i64, i64> for KeepsRules {
    fn open(&mut self, context: &mut BroadcastOpenContext<'_>) -> Result<(), BoxError> {
        let rules = context.broadcast.broadcast_state(&rules())?;
        self.subtask = context.runtime.subtask();
        if context.broadcast.is_restored() {
            let entries = rules.entries(context.broadcast)?;
            let entries = entries.map(|(n, rule)| (*n, rule.clone())).collect();
            self.restored.lock().insert(self.subtask, entries);
        }
        self.rules = Some(rules);
        Ok(())
    }

    fn process_element(
        &mut self,
        n: i64,
        _: &mut ReadOnlyContext<'_>,
        out: &mut Collector<'_, i64>,
    ) -> Result<(), BoxError> {
        out.collect(n);
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        n: i64,
        context: &mut BroadcastContext<'_>,
        _: &mut Collector<'_, i64>,
    ) -> Result<(), BoxError> {
        let rules = self.rules.ok_or("open")?;
        rules.put(context.broadcast, n, format!("rule {n}"))?;
        if rules.entries(context.broadcast)?.len() as i64 == RULES
            && self.full.fetch_add(1, SeqCst) == 1
        {
            let _ = self.enough.try_send(());
        }
        Ok(())
    }
}

#[test]
fn broadcast_state_comes_to_every_subtask_of_any_number() {
    let directory = tempfile::tempdir().unwrap();
    let (enough, has_enough) = std::sync::mpsc::sync_channel(1);
    let function = |restored: &Seen<_>| KeepsRules {
        rules: None,
        subtask: 0,
        restored: restored.clone(),
        enough: enough.clone(),
        full: Arc::default(),
    };
    let first = env(2);
    let broadcast = first.from_collection((0..RULES).collect::<Vec<_>>());
    numbers(&first, None)
        .connect_broadcast(&broadcast.broadcast_state(&rules()))
        .process(function(&Arc::default()))
        .uid("rules")
        .sink_to(BlackHoleSink::new());
    let client = first.execute_async("first").unwrap();
    has_enough.recv_timeout(Duration::from_secs(30)).unwrap();
    let savepoint = client.trigger_savepoint(&directory_url(&directory)).unwrap();
    client.cancel().unwrap();
    client.wait().unwrap_err();
    let expected: BTreeMap<i64, String> = (0..RULES).map(|n| (n, format!("rule {n}"))).collect();
    for parallelism in [2, 1, 3, 5] {
        let restored = Seen::default();
        let env = env(parallelism);
        env.restore_from(&savepoint, true);
        let broadcast = env.from_collection(Vec::<i64>::new()).uid("no rules");
        let nothing = env.from_collection(Vec::<i64>::new()).uid("nothing");
        nothing
            .connect_broadcast(&broadcast.broadcast_state(&rules()))
            .process(function(&restored))
            .uid("rules")
            .sink_to(BlackHoleSink::new());
        env.execute("second").unwrap();
        let restored = restored.lock();
        assert_eq!(restored.len(), parallelism as usize);
        assert!(restored.values().all(|rules| *rules == expected), "parallelism {parallelism}");
    }
    // A rule of another type is refused, with operator, state and difference.
    let env = env(1);
    env.set_restart_strategy(RestartStrategyConfig::None);
    env.restore_from(&savepoint, true);
    let other = env.from_collection(Vec::<(i64, u64)>::new());
    env.from_collection(Vec::<i64>::new())
        .connect_broadcast(&other.broadcast_state(&MapStateDescriptor::<i64, u64>::new("rules")))
        .process(Ignores)
        .name("changed")
        .uid("rules")
        .sink_to(BlackHoleSink::new());
    let error = env.execute("changed").unwrap_err().to_string();
    for part in ["changed", "\"rules\"", "value was string and is u64 now"] {
        assert!(error.contains(part), "{error}");
    }
}

#[derive(Clone)]
struct Ignores;

impl BroadcastProcessFunction<i64, (i64, u64), i64> for Ignores {
    fn process_element(
        &mut self,
        _: i64,
        _: &mut ReadOnlyContext<'_>,
        _: &mut Collector<'_, i64>,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        _: (i64, u64),
        _: &mut BroadcastContext<'_>,
        _: &mut Collector<'_, i64>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Counts what it has seen in a list state of one element, and fails once behind a checkpoint.
#[derive(Clone)]
struct CountsAll {
    count: i64,
    state: Option<OperatorListState<i64>>,
    checkpointed: bool,
    failed: Arc<AtomicBool>,
    total: Arc<AtomicI64>,
}

impl MapFunction<i64, i64> for CountsAll {
    fn initialize_state(
        &mut self,
        context: &mut FunctionInitializationContext<'_>,
    ) -> Result<(), BoxError> {
        let state = context.operator_state.list_state(&ListStateDescriptor::new("count"))?;
        self.count = state.get(context.operator_state)?.iter().sum();
        self.state = Some(state);
        Ok(())
    }

    fn snapshot_state(
        &mut self,
        context: &mut FunctionSnapshotContext<'_>,
    ) -> Result<(), BoxError> {
        Ok(self.state.ok_or("open")?.update(context.operator_state, vec![self.count])?)
    }

    fn notify_checkpoint_complete(&mut self, _: CheckpointId) -> Result<(), BoxError> {
        self.checkpointed = true;
        Ok(())
    }

    fn map(&mut self, n: i64) -> Result<i64, BoxError> {
        self.count += 1;
        if self.checkpointed && !self.failed.swap(true, SeqCst) {
            return Err("time to fail".into());
        }
        Ok(n)
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.total.fetch_add(self.count, SeqCst);
        self.count = 0;
        Ok(())
    }
}

#[test]
fn operator_state_survives_failures() {
    let env = env(2);
    let (failed, total) = (Arc::<AtomicBool>::default(), Arc::<AtomicI64>::default());
    let function = CountsAll {
        count: 0,
        state: None,
        checkpointed: false,
        failed: failed.clone(),
        total: total.clone(),
    };
    // Only what the last attempt counted counts: the first one's subtasks are closed before it
    // begins.
    let resets = total.clone();
    numbers(&env, Some(20_000))
        .map_with(Resets(resets))
        .map_with(function)
        .sink_to(BlackHoleSink::new());
    let result = env.execute("counts").unwrap();
    assert!(failed.load(SeqCst) && result.restarts > 0);
    assert_eq!(total.load(SeqCst), 20_000);
}

/// Sets a total to zero when an attempt begins.
#[derive(Clone)]
struct Resets(Arc<AtomicI64>);

impl MapFunction<i64, i64> for Resets {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        assert!(context.attempt() < 100);
        self.0.store(0, SeqCst);
        Ok(())
    }

    fn map(&mut self, n: i64) -> Result<i64, BoxError> {
        Ok(n)
    }
}
