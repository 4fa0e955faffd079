//! Window functions: what becomes of a window's contents when it fires.
//!
//! One trait for all: the input of the function is the result of an aggregate, or all records of
//! the window as a slice. A closure `(&key, window, input, &mut Collector)` is a window function;
//! a type of its own can also keep state, per key or per key and window.

use hurtig_env::Clock;
use hurtig_operator_api::OperatorContext;
use hurtig_state_api::{AggregateFunction, Key};
use hurtig_state_heap::{Block, KeyedStateStore};
use hurtig_types::{
    BoxError, MIN_TIMESTAMP, Record, StateMeta, TimeWindow, codec::CodecError, stable_hash,
};

use crate::{Collector, RuntimeContext, snapshot::next_of_store};

/// Evaluates windows; Flink's `ProcessWindowFunction` and `WindowFunction`.
///
/// `In` is the aggregate's result by value, or `&[T]` for a function over all records: implement
/// `WindowFunction<K, &[T], O>`.
pub trait WindowFunction<K: Key, In, O: Record>: Send {
    /// Called once before the first record: registers state.
    fn open(&mut self, context: &mut WindowOpenContext<'_, K>) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }

    /// Evaluates one window of one key.
    fn process(
        &mut self,
        context: &mut WindowContext<'_, K>,
        input: In,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError>;

    /// The window goes away: clears what was kept in its state.
    fn clear(&mut self, context: &mut WindowContext<'_, K>) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<K, In, O, F> WindowFunction<K, In, O> for F
where
    K: Key,
    O: Record,
    F: FnMut(&K, TimeWindow, In, &mut Collector<'_, O>) + Send,
{
    fn process(
        &mut self,
        context: &mut WindowContext<'_, K>,
        input: In,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError> {
        self(context.key, context.window, input, out);
        Ok(())
    }
}

/// Called in `open` of a window function: registers state.
pub struct WindowOpenContext<'a, K> {
    /// Subtask, parallelism, metrics, accumulators.
    pub runtime: &'a RuntimeContext,
    /// Where state per key is registered.
    pub global_state: &'a mut KeyedStateStore<K>,
    /// Where state per key and window is registered; the function clears it in `clear`.
    pub window_state: &'a mut KeyedStateStore<(K, TimeWindow)>,
}

/// What a window function works with.
pub struct WindowContext<'a, K> {
    key: &'a K,
    hash: u64,
    window: TimeWindow,
    states: &'a mut WindowFunctionState<K>,
}

impl<K: Key> WindowContext<'_, K> {
    /// The key.
    pub fn key(&self) -> &K {
        self.key
    }

    /// The window.
    pub fn window(&self) -> TimeWindow {
        self.window
    }

    /// Event time so far: `i64::MIN` before the first watermark.
    pub fn current_watermark(&self) -> i64 {
        self.states.watermark
    }

    /// The wall clock, in milliseconds since the Unix epoch.
    pub fn current_processing_time(&self) -> i64 {
        self.states.clock.now_ms()
    }

    /// State of the key, in all its windows.
    pub fn global_state(&mut self) -> &mut KeyedStateStore<K> {
        self.states.global.begin_batch(self.states.clock.now_ms(), 1);
        self.states.global.set_current_key(self.hash, self.key.clone());
        &mut self.states.global
    }

    /// State of the key in this window; windows that merge have none, as in Flink.
    pub fn window_state(&mut self) -> Result<&mut KeyedStateStore<(K, TimeWindow)>, BoxError> {
        if self.states.merging {
            return Err("state per window is not possible with windows that merge: \
                        use the global state"
                .into());
        }
        self.states.per_window.begin_batch(self.states.clock.now_ms(), 1);
        self.states.per_window.set_current_key(self.hash, (self.key.clone(), self.window));
        Ok(&mut self.states.per_window)
    }
}

/// Names of states per window begin with this in snapshots.
const PER_WINDOW: &str = "_window/";

/// What an operator keeps for its window function.
pub(crate) struct WindowFunctionState<K> {
    pub(crate) global: KeyedStateStore<K>,
    pub(crate) per_window: KeyedStateStore<(K, TimeWindow)>,
    pub(crate) watermark: i64,
    merging: bool,
    clock: Clock,
}

impl<K: Key> WindowFunctionState<K> {
    pub(crate) fn new(context: &OperatorContext, merging: bool) -> Self {
        let (range, max_parallelism) = (context.key_groups(), context.max_parallelism);
        let now_ms = context.clock.now_ms();
        Self {
            global: KeyedStateStore::new(range, max_parallelism, now_ms),
            // The window has no part in where a key belongs.
            per_window: KeyedStateStore::new(range, max_parallelism, now_ms)
                .hashed_by(|(key, _)| stable_hash(key)),
            watermark: MIN_TIMESTAMP,
            merging,
            clock: context.clock,
        }
    }

    /// See [`crate::snapshot::KeyedParts::begin`].
    pub(crate) fn begin_capture(&mut self, since: Option<u32>) {
        let now_ms = self.clock.now_ms();
        self.global.begin_batch(now_ms, 0);
        self.per_window.begin_batch(now_ms, 0);
        self.global.begin_capture(since);
        self.per_window.begin_capture(since);
    }

    pub(crate) fn cancel_capture(&mut self) {
        self.global.cancel_capture();
        self.per_window.cancel_capture();
    }

    pub(crate) fn forget_before(&mut self, capture: u32) {
        self.global.forget_removals_before(capture);
        self.per_window.forget_removals_before(capture);
    }

    pub(crate) fn next(
        &mut self,
        max_bytes: usize,
        take: &mut dyn FnMut(&StateMeta, Block) -> Result<(), CodecError>,
    ) -> Result<bool, CodecError> {
        Ok(next_of_store(&mut self.global, "", max_bytes, take)?
            || next_of_store(&mut self.per_window, PER_WINDOW, max_bytes, take)?)
    }

    pub(crate) fn metas(&self) -> Vec<StateMeta> {
        let per_window = self
            .per_window
            .metas()
            .map(|meta| StateMeta { name: format!("{PER_WINDOW}{}", meta.name), ..meta.clone() });
        self.global.metas().cloned().chain(per_window).collect()
    }

    pub(crate) fn restore(&mut self, meta: &StateMeta, block: Block) {
        match meta.name.strip_prefix(PER_WINDOW) {
            Some(name) => {
                let meta = StateMeta { name: name.to_owned(), ..meta.clone() };
                self.per_window.restore(&meta, block);
            }
            None => self.global.restore(meta, block),
        }
    }

    pub(crate) fn open_context<'a>(
        &'a mut self,
        runtime: &'a RuntimeContext,
    ) -> WindowOpenContext<'a, K> {
        WindowOpenContext {
            runtime,
            global_state: &mut self.global,
            window_state: &mut self.per_window,
        }
    }

    pub(crate) fn context<'a>(
        &'a mut self,
        hash: u64,
        key: &'a K,
        window: TimeWindow,
    ) -> WindowContext<'a, K> {
        WindowContext { key, hash, window, states: self }
    }
}

/// Collects the records of a window as an aggregate, where slices are shared.
#[derive(Clone, Copy, Debug)]
pub struct CollectRecords;

impl<T: Record> AggregateFunction<T> for CollectRecords {
    type Accumulator = Vec<T>;
    type Output = Vec<T>;

    fn create_accumulator(&self) -> Vec<T> {
        Vec::new()
    }

    fn add(&self, accumulator: &mut Vec<T>, value: &T) {
        accumulator.push(value.clone());
    }

    fn result(&self, accumulator: &Vec<T>) -> Vec<T> {
        accumulator.clone()
    }

    fn final_result(&self, accumulator: Vec<T>) -> Vec<T> {
        accumulator
    }

    fn merge(&self, accumulator: &mut Vec<T>, other: &Vec<T>) {
        accumulator.extend_from_slice(other);
    }
}

/// Hands owned records as a slice to a function over slices.
#[derive(Clone, Debug)]
pub struct OverSlice<F>(pub F);

impl<K, T, O, F> WindowFunction<K, Vec<T>, O> for OverSlice<F>
where
    K: Key,
    T: Record,
    O: Record,
    F: for<'e> WindowFunction<K, &'e [T], O>,
{
    fn open(&mut self, context: &mut WindowOpenContext<'_, K>) -> Result<(), BoxError> {
        self.0.open(context)
    }

    fn process(
        &mut self,
        context: &mut WindowContext<'_, K>,
        input: Vec<T>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError> {
        self.0.process(context, &input, out)
    }

    fn clear(&mut self, context: &mut WindowContext<'_, K>) -> Result<(), BoxError> {
        self.0.clear(context)
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.0.close()
    }
}
