//! Keyed operators: reduce, and process functions with state and timers.

use std::marker::PhantomData;

use hurtig_env::{Clock, Pace};
use hurtig_operator_api::{Operator, OperatorContext, Output, Progress};
use hurtig_state_api::Key;
use hurtig_state_heap::{Block, KeyedStateStore, KeyedTable, TimerQueue, keyed_state_meta};
use hurtig_types::{
    Batch, BoxError, BoxedPayload, FlowError, FlowResult, KeyGroupRange, MIN_TIMESTAMP, Record,
    StateKind, StateMeta, Watermark, codec::CodecError,
};

use crate::{
    Collector, KeySelector, OutputTag, RuntimeContext,
    key::BatchKeys,
    snapshot::{
        self, Capturing, KeyedParts, check_meta, keyed_snapshots, next_of_store, unreadable,
    },
};

/// A running reduction per key: every record gives the new value.
pub struct ReduceOperator<T, K, F> {
    f: F,
    keys: BatchKeys<T, K>,
    core: Option<ReduceCore<K, T>>,
}

/// What comes with `open`.
pub(crate) struct ReduceCore<K, T> {
    values: KeyedTable<K, T>,
    pub(crate) capturing: Capturing,
}

impl<K: Key, T: Record> ReduceCore<K, T> {
    fn meta() -> StateMeta {
        keyed_state_meta::<K, T>("_reduce", StateKind::Reducing)
    }
}

impl<K: Key, T: Record> KeyedParts for ReduceCore<K, T> {
    fn begin(&mut self, since: Option<u32>) -> Option<u32> {
        Some(self.values.begin_capture(since))
    }

    fn next(
        &mut self,
        max_bytes: usize,
        take: &mut dyn FnMut(&StateMeta, Block) -> Result<(), CodecError>,
    ) -> Result<bool, CodecError> {
        match self.values.next_block(max_bytes)? {
            Some(block) => take(&Self::meta(), block).map(|()| true),
            None => Ok(false),
        }
    }

    fn cancel(&mut self) {
        self.values.cancel_capture();
    }

    fn forget_before(&mut self, capture: u32) {
        self.values.forget_removals_before(capture);
    }

    fn metas(&self) -> Vec<StateMeta> {
        vec![Self::meta()]
    }

    fn restore(&mut self, meta: &StateMeta, block: Block) -> FlowResult {
        check_meta(&Self::meta(), meta)?;
        self.values.restore(&block).map_err(|error| unreadable(meta, &error))
    }
}

impl<T: Record, K: Key, F> ReduceOperator<T, K, F> {
    /// Reduces with `f(value so far, record)`.
    pub fn new(selector: KeySelector<T, K>, f: F) -> Self {
        Self { f, keys: BatchKeys::new(selector), core: None }
    }
}

impl<T: Record, K: Key, F: FnMut(&mut T, T) -> Result<(), BoxError> + Send> Operator
    for ReduceOperator<T, K, F>
{
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let values = KeyedTable::new(context.key_groups(), context.max_parallelism);
        let core = self.core.insert(ReduceCore { values, capturing: Capturing::default() });
        snapshot::restore(core, context)
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let state = &mut self.core.as_mut().ok_or_else(not_open)?.values;
        let mut batch = Batch::<T>::from_payload(batch)?;
        self.keys.load(&mut batch)?;
        let Batch { mut values, timestamps, .. } = batch;
        for ((value, key), hash) in values.iter_mut().zip(&self.keys.keys).zip(&self.keys.hashes) {
            // The record is replaced by the reduced value in place: the batch's memory is reused.
            let (reduced, fresh) = state.get_or_insert_with(*hash, key, || value.clone());
            if !fresh {
                (self.f)(reduced, value.clone()).map_err(FlowError::user)?;
                *value = reduced.clone();
            }
        }
        out.emit(Batch::from_parts(values, timestamps).boxed())
    }

    keyed_snapshots!(core);
}

pub(crate) fn not_open() -> FlowError {
    FlowError::internal("the operator was used before it was opened")
}

/// Event-time and processing-time timers of one operator.
pub(crate) struct Timers<K, N> {
    pub(crate) event: TimerQueue<K, N>,
    pub(crate) processing: TimerQueue<K, N>,
    pub(crate) watermark: i64,
}

impl<K, N> Default for Timers<K, N> {
    fn default() -> Self {
        let (event, processing) = (TimerQueue::default(), TimerQueue::default());
        Self { event, processing, watermark: MIN_TIMESTAMP }
    }
}

impl<K, N> Timers<K, N> {
    /// The timers of event time or of the wall clock.
    pub(crate) fn of(&mut self, event_time: bool) -> &mut TimerQueue<K, N> {
        if event_time { &mut self.event } else { &mut self.processing }
    }
}

/// Which clock a timer follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeDomain {
    /// Watermarks.
    EventTime,
    /// The wall clock.
    ProcessingTime,
}

/// Called in `open` of a keyed function: registers state.
pub struct OpenContext<'a, K> {
    /// Subtask, parallelism, metrics, accumulators.
    pub runtime: &'a RuntimeContext,
    /// Where state is registered.
    pub state: &'a mut KeyedStateStore<K>,
}

/// What a keyed function works with while it handles one record or timer.
pub struct KeyedContext<'a, K> {
    /// The states of the operator; handles read and write those of the current key.
    pub state: &'a mut KeyedStateStore<K>,
    timers: &'a mut Timers<K, ()>,
    timestamp: Option<i64>,
    clock: Clock,
}

impl<K: Key> KeyedContext<'_, K> {
    /// The current key.
    pub fn current_key(&self) -> &K {
        match self.state.current_key() {
            Some((_, key)) => key,
            None => unreachable!("the context exists only while a key is current"),
        }
    }

    /// Event time of the record, or the time of the timer; `None` if the stream has no timestamps.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// Event time so far: `i64::MIN` before the first watermark.
    pub fn current_watermark(&self) -> i64 {
        self.timers.watermark
    }

    /// The wall clock, in milliseconds since the Unix epoch.
    pub fn current_processing_time(&self) -> i64 {
        self.clock.now_ms()
    }

    fn with_key<R>(&mut self, f: impl FnOnce(&mut Timers<K, ()>, u64, &K) -> R) -> Option<R> {
        let (hash, key) = self.state.current_key()?;
        Some(f(self.timers, hash, key))
    }

    /// Calls `on_timer` for the current key once the watermark reaches `time`.
    pub fn register_event_time_timer(&mut self, time: i64) {
        self.with_key(|timers, hash, key| timers.event.register(time, hash, key, &()));
    }

    /// Calls `on_timer` for the current key once the wall clock reaches `time`.
    pub fn register_processing_time_timer(&mut self, time: i64) {
        self.with_key(|timers, hash, key| timers.processing.register(time, hash, key, &()));
    }

    /// Deletes an event-time timer of the current key.
    pub fn delete_event_time_timer(&mut self, time: i64) {
        self.with_key(|timers, hash, key| timers.event.delete(time, hash, key, &()));
    }

    /// Deletes a processing-time timer of the current key.
    pub fn delete_processing_time_timer(&mut self, time: i64) {
        self.with_key(|timers, hash, key| timers.processing.delete(time, hash, key, &()));
    }

    /// Emits a record on a side output.
    pub fn output<O: Record, X: Record>(
        &self,
        out: &mut Collector<'_, O>,
        tag: &OutputTag<X>,
        value: X,
    ) {
        out.output(tag, value);
    }
}

/// A function over a keyed stream, with state and timers per key; as Flink's.
pub trait KeyedProcessFunction<K: Key, I, O: Record>: Send {
    /// Called once before the first record: registers state.
    fn open(&mut self, context: &mut OpenContext<'_, K>) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }
    /// Processes a record.
    fn process(
        &mut self,
        value: I,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError>;
    /// A timer of the current key is due.
    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError> {
        let _ = (time, domain, context, out);
        Ok(())
    }
    /// Called once at the end, also after a failure.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A function over two keyed streams that share state and timers.
pub trait KeyedCoProcessFunction<K: Key, A, B, O: Record>: Send {
    /// Called once before the first record: registers state.
    fn open(&mut self, context: &mut OpenContext<'_, K>) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }
    /// Processes a record of the first stream.
    fn process1(
        &mut self,
        value: A,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError>;
    /// Processes a record of the second stream.
    fn process2(
        &mut self,
        value: B,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError>;
    /// A timer of the current key is due.
    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError> {
        let _ = (time, domain, context, out);
        Ok(())
    }
    /// Called once at the end, also after a failure.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Most timers fired between two looks at the output.
pub(crate) const TIMERS_PER_LOOK: usize = 256;

/// State, timers and unfinished work of a keyed operator, whatever its function.
pub(crate) struct KeyedCore<K> {
    store: KeyedStateStore<K>,
    timers: Timers<K, ()>,
    clock: Clock,
    /// Timers per call: however many are due, the task gets its turn in between.
    pace: Pace,
    /// The watermark whose timers are being fired.
    firing_watermark: Option<Watermark>,
    /// The wall time whose timers are being fired.
    firing_wall_ms: Option<i64>,
    key_groups: KeyGroupRange,
    max_parallelism: u32,
    pub(crate) capturing: Capturing,
}

impl<K: Key> KeyedParts for KeyedCore<K> {
    fn begin(&mut self, since: Option<u32>) -> Option<u32> {
        self.timers.begin_capture();
        Some(self.store.begin_capture(since))
    }

    fn next(
        &mut self,
        max_bytes: usize,
        take: &mut dyn FnMut(&StateMeta, Block) -> Result<(), CodecError>,
    ) -> Result<bool, CodecError> {
        Ok(next_of_store(&mut self.store, "", max_bytes, take)?
            || self.timers.next(max_bytes, take)?)
    }

    fn cancel(&mut self) {
        self.store.cancel_capture();
        self.timers.cancel_capture();
    }

    fn forget_before(&mut self, capture: u32) {
        self.store.forget_removals_before(capture);
    }

    fn metas(&self) -> Vec<StateMeta> {
        self.store.metas().cloned().chain([Timers::<K, ()>::meta()]).collect()
    }

    fn restore(&mut self, meta: &StateMeta, block: Block) -> FlowResult {
        if !self.timers.restore(meta, &block, self.key_groups, self.max_parallelism)? {
            self.store.restore(meta, block);
        }
        Ok(())
    }
}

impl<K: Key> KeyedCore<K> {
    fn new(context: &OperatorContext) -> FlowResult<Self> {
        let mut core = Self {
            store: KeyedStateStore::new(context.key_groups(), context.max_parallelism),
            timers: Timers::default(),
            clock: context.clock,
            pace: Pace::new(TIMERS_PER_LOOK),
            firing_watermark: None,
            firing_wall_ms: None,
            key_groups: context.key_groups(),
            max_parallelism: context.max_parallelism,
            capturing: Capturing::default(),
        };
        snapshot::restore(&mut core, context)?;
        Ok(core)
    }

    /// Calls `f` for each record of a batch with its key current.
    fn process<T: Record, O: Record>(
        &mut self,
        keys: &mut BatchKeys<T, K>,
        batch: BoxedPayload,
        out: &mut dyn Output,
        mut f: impl FnMut(T, &mut KeyedContext<'_, K>, &mut Collector<'_, O>) -> Result<(), BoxError>,
    ) -> FlowResult {
        let mut batch = Batch::<T>::from_payload(batch)?;
        keys.load(&mut batch)?;
        let Batch { values, timestamps, .. } = batch;
        let mut timestamps = timestamps.map(Vec::into_iter);
        let mut collector = Collector::new(out);
        for ((value, key), hash) in values.into_iter().zip(keys.keys.drain(..)).zip(&keys.hashes) {
            let timestamp = timestamps.as_mut().and_then(Iterator::next);
            collector.set_timestamp(timestamp);
            self.store.set_current_key(*hash, key);
            let mut context = KeyedContext {
                state: &mut self.store,
                timers: &mut self.timers,
                timestamp,
                clock: self.clock,
            };
            f(value, &mut context, &mut collector).map_err(FlowError::user)?;
        }
        collector.finish()
    }

    /// Fires due timers, as many as the pace allows.
    fn fire<O: Record>(
        &mut self,
        out: &mut dyn Output,
        mut f: impl FnMut(
            i64,
            TimeDomain,
            &mut KeyedContext<'_, K>,
            &mut Collector<'_, O>,
        ) -> Result<(), BoxError>,
    ) -> FlowResult<Progress> {
        let mut collector = Collector::new(out);
        let began = self.clock.monotonic();
        for fired in 0.. {
            if fired == self.pace.limit() {
                collector.finish()?;
                self.pace.note(self.clock.monotonic() - began);
                return Ok(Progress::More);
            }
            let wall = self.firing_wall_ms.and_then(|now| self.timers.processing.pop_due(now));
            let (timer, domain) = match wall {
                Some(timer) => (timer, TimeDomain::ProcessingTime),
                None => {
                    self.firing_wall_ms = None;
                    let Some(watermark) = self.firing_watermark else {
                        break;
                    };
                    match self.timers.event.pop_due(watermark.0) {
                        Some(timer) => (timer, TimeDomain::EventTime),
                        None => break,
                    }
                }
            };
            let event_time = domain == TimeDomain::EventTime;
            collector.set_timestamp(event_time.then_some(timer.time));
            self.store.set_current_key(timer.hash, timer.key);
            let mut context = KeyedContext {
                state: &mut self.store,
                timers: &mut self.timers,
                timestamp: event_time.then_some(timer.time),
                clock: self.clock,
            };
            f(timer.time, domain, &mut context, &mut collector).map_err(FlowError::user)?;
        }
        collector.finish()?;
        if let Some(watermark) = self.firing_watermark.take() {
            out.emit_watermark(watermark)?;
        }
        Ok(Progress::Done)
    }
}

/// Runs a [`KeyedProcessFunction`].
pub struct KeyedProcessOperator<K, I, O, F> {
    function: F,
    keys: BatchKeys<I, K>,
    core: Option<KeyedCore<K>>,
    types: PhantomData<fn() -> O>,
}

impl<K: Key, I: Record, O, F> KeyedProcessOperator<K, I, O, F> {
    /// An operator around `function`.
    pub fn new(selector: KeySelector<I, K>, function: F) -> Self {
        Self { function, keys: BatchKeys::new(selector), core: None, types: PhantomData }
    }
}

macro_rules! keyed_life_cycle {
    () => {
        fn open(&mut self, context: &OperatorContext) -> FlowResult {
            let core = self.core.insert(KeyedCore::new(context)?);
            let runtime = RuntimeContext::new(context);
            let mut open = OpenContext { runtime: &runtime, state: &mut core.store };
            self.function.open(&mut open).map_err(FlowError::user)
        }

        fn on_watermark(
            &mut self,
            watermark: Watermark,
            out: &mut dyn Output,
        ) -> FlowResult<Progress> {
            let core = self.core.as_mut().ok_or_else(not_open)?;
            core.timers.watermark = watermark.0;
            core.firing_watermark = Some(watermark);
            self.resume(out)
        }

        fn next_processing_timer_ms(&self) -> Option<i64> {
            self.core.as_ref().and_then(|core| core.timers.processing.next_time())
        }

        fn on_processing_time(
            &mut self,
            now_ms: i64,
            out: &mut dyn Output,
        ) -> FlowResult<Progress> {
            let core = self.core.as_mut().ok_or_else(not_open)?;
            core.firing_wall_ms = Some(now_ms);
            self.resume(out)
        }

        fn resume(&mut self, out: &mut dyn Output) -> FlowResult<Progress> {
            let core = self.core.as_mut().ok_or_else(not_open)?;
            let function = &mut self.function;
            core.fire(out, |time, domain, context, out: &mut Collector<'_, O>| {
                function.on_timer(time, domain, context, out)
            })
        }

        keyed_snapshots!(core);

        fn close(&mut self) -> FlowResult {
            self.function.close().map_err(FlowError::user)
        }
    };
}

impl<K, I, O, F> Operator for KeyedProcessOperator<K, I, O, F>
where
    K: Key,
    I: Record,
    O: Record,
    F: KeyedProcessFunction<K, I, O>,
{
    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let core = self.core.as_mut().ok_or_else(not_open)?;
        let function = &mut self.function;
        core.process(&mut self.keys, batch, out, |value, context, out: &mut Collector<'_, O>| {
            function.process(value, context, out)
        })
    }

    keyed_life_cycle!();
}

/// Runs a [`KeyedCoProcessFunction`].
pub struct KeyedCoProcessOperator<K, A, B, O, F> {
    function: F,
    keys1: BatchKeys<A, K>,
    keys2: BatchKeys<B, K>,
    core: Option<KeyedCore<K>>,
    types: PhantomData<fn() -> O>,
}

impl<K: Key, A: Record, B: Record, O, F> KeyedCoProcessOperator<K, A, B, O, F> {
    /// An operator around `function`.
    pub fn new(first: KeySelector<A, K>, second: KeySelector<B, K>, function: F) -> Self {
        Self {
            function,
            keys1: BatchKeys::new(first),
            keys2: BatchKeys::new(second),
            core: None,
            types: PhantomData,
        }
    }
}

impl<K, A, B, O, F> Operator for KeyedCoProcessOperator<K, A, B, O, F>
where
    K: Key,
    A: Record,
    B: Record,
    O: Record,
    F: KeyedCoProcessFunction<K, A, B, O>,
{
    fn process(&mut self, input: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let core = self.core.as_mut().ok_or_else(not_open)?;
        let function = &mut self.function;
        if input == 0 {
            core.process(
                &mut self.keys1,
                batch,
                out,
                |value, context, out: &mut Collector<'_, O>| function.process1(value, context, out),
            )
        } else {
            core.process(
                &mut self.keys2,
                batch,
                out,
                |value, context, out: &mut Collector<'_, O>| function.process2(value, context, out),
            )
        }
    }

    keyed_life_cycle!();
}
