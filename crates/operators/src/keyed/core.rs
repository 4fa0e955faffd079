//! What all keyed process operators are made of: state, timers and the life around them.

use hurtig_env::{Clock, Pace};
use hurtig_operator_api::{ListStateData, OperatorContext, Output, Progress};
use hurtig_state_api::Key;
use hurtig_state_heap::{Block, KeyedStateStore, OperatorStateStore};
use hurtig_types::{
    Batch, BoxError, BoxedPayload, FlowError, FlowResult, KeyGroupRange, Record, StateMeta,
    Watermark, codec::CodecError,
};

use super::{KeyedContext, TimeDomain, Timers};
use crate::{
    Collector,
    key::BatchKeys,
    snapshot::{self, Capturing, KeyedParts, next_of_store},
};

/// Most timers fired between two looks at the output.
pub(crate) const TIMERS_PER_LOOK: usize = 256;

/// State, timers and unfinished work of a keyed operator, whatever its function.
pub(crate) struct KeyedCore<K> {
    pub(crate) store: KeyedStateStore<K>,
    pub(crate) operator_state: OperatorStateStore,
    pub(crate) timers: Timers<K, ()>,
    pub(crate) clock: Clock,
    /// Timers per call: however many are due, the task gets its turn in between.
    pace: Pace,
    /// The watermark whose timers are being fired.
    pub(crate) firing_watermark: Option<Watermark>,
    /// The wall time whose timers are being fired.
    pub(crate) firing_wall_ms: Option<i64>,
    key_groups: KeyGroupRange,
    max_parallelism: u32,
    pub(crate) capturing: Capturing,
}

impl<K: Key> KeyedParts for KeyedCore<K> {
    fn begin(&mut self, since: Option<u32>) -> Option<u32> {
        self.timers.begin_capture();
        self.store.begin_batch(self.clock.now_ms(), 0);
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
        let keyed = self.store.metas().chain(self.operator_state.metas()).cloned();
        keyed.chain([Timers::<K, ()>::meta()]).collect()
    }

    fn operator_states(&self) -> Result<Vec<ListStateData>, CodecError> {
        self.operator_state.snapshot()
    }

    fn restore(&mut self, meta: &StateMeta, block: Block) -> FlowResult {
        if !self.timers.restore(meta, &block, self.key_groups, self.max_parallelism)? {
            self.store.restore(meta, block);
        }
        Ok(())
    }
}

impl<K: Key> KeyedCore<K> {
    /// The state of an operator whose function has initialised its operator state.
    pub(crate) fn new(
        context: &OperatorContext,
        operator_state: OperatorStateStore,
    ) -> FlowResult<Self> {
        let (key_groups, max_parallelism) = (context.key_groups(), context.max_parallelism);
        let mut core = Self {
            store: KeyedStateStore::new(key_groups, max_parallelism, context.clock.now_ms()),
            operator_state,
            timers: Timers::default(),
            clock: context.clock,
            pace: Pace::new(TIMERS_PER_LOOK),
            firing_watermark: None,
            firing_wall_ms: None,
            key_groups,
            max_parallelism,
            capturing: Capturing::default(),
        };
        snapshot::restore(&mut core, context)?;
        Ok(core)
    }

    /// Calls `f` for each record of a batch with its key current.
    pub(crate) fn process<T: Record, O: Record>(
        &mut self,
        keys: &mut BatchKeys<T, K>,
        batch: BoxedPayload,
        out: &mut dyn Output,
        mut f: impl FnMut(
            T,
            &mut KeyedContext<'_, K>,
            &OperatorStateStore,
            &mut Collector<'_, O>,
        ) -> Result<(), BoxError>,
    ) -> FlowResult {
        let mut batch = Batch::<T>::from_payload(batch)?;
        keys.load(&mut batch)?;
        let Batch { values, timestamps, .. } = batch;
        self.store.begin_batch(self.clock.now_ms(), values.len());
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
            let state = &self.operator_state;
            f(value, &mut context, state, &mut collector).map_err(FlowError::user)?;
        }
        collector.finish()
    }

    /// Fires due timers, as many as the pace allows.
    pub(crate) fn fire<O: Record>(
        &mut self,
        out: &mut dyn Output,
        mut f: impl FnMut(
            i64,
            TimeDomain,
            &mut KeyedContext<'_, K>,
            &OperatorStateStore,
            &mut Collector<'_, O>,
        ) -> Result<(), BoxError>,
    ) -> FlowResult<Progress> {
        let mut collector = Collector::new(out);
        self.store.begin_batch(self.clock.now_ms(), 0);
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
            let (time, state) = (timer.time, &self.operator_state);
            f(time, domain, &mut context, state, &mut collector).map_err(FlowError::user)?;
        }
        collector.finish()?;
        if let Some(watermark) = self.firing_watermark.take() {
            out.emit_watermark(watermark)?;
        }
        Ok(Progress::Done)
    }
}

/// The life of an operator with a field `core: Option<KeyedCore>`, and `function` at `$at`. The
/// expressions call the function.
macro_rules! keyed_life_cycle {
    (
        $($at:ident).+;
        initialize: |$holder:ident, $initial:ident| $initialize:expr;
        open: |$opened:ident, $runtime:ident, $core:ident| $open:expr;
        on_timer: |$function:ident, $time:ident, $domain:ident, $context:ident, $state:ident,
                   $out:ident| $on_timer:expr;
    ) => {
        fn open(&mut self, context: &OperatorContext) -> FlowResult {
            let $holder = &mut self.function;
            let operator_state = initialize(context, |$initial| $initialize)?;
            let $core = self.core.insert(KeyedCore::new(context, operator_state)?);
            let $runtime = &RuntimeContext::new(context);
            let $opened = &mut self.$($at).+;
            let opened: Result<(), BoxError> = $open;
            opened.map_err(FlowError::user)
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
            let $function = &mut self.$($at).+;
            core.fire(out, |$time, $domain, $context, $state, $out: &mut Collector<'_, O>| {
                $on_timer
            })
        }

        keyed_snapshots!(core, $($at).+);

        fn close(&mut self) -> FlowResult {
            self.$($at).+.close().map_err(FlowError::user)
        }
    };
}
pub(crate) use keyed_life_cycle;
