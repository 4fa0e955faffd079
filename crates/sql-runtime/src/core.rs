//! What all keyed operators are made of: state by key, timers, and the life around them.
//!
//! An operator is a [`Logic`]: it handles whole batches and single timers, and gathers what it gives
//! until `flush`. [`KeyedOperator`] does the rest: opening, restoring, firing timers in turns,
//! captures.

use hurtig_env::{Clock, Pace};
use hurtig_operator_api::{Captured, ListStateData, Operator, OperatorContext, Output, Progress};
use hurtig_operators::{
    keyed::Timers,
    snapshot::{self, Capturing, KeyedParts, next_of_store},
};
use hurtig_state_heap::{Block, KeyedStateStore, Timer};
use hurtig_types::{
    BoxedPayload, CheckpointId, CodecError, FlowError, FlowResult, KeyGroupRange,
    RedistributionMode, StateMeta, Watermark, codec,
};

use hurtig_sql_common::ChangelogBatch;
use hurtig_state_api::StateTtlConfig;

use crate::{
    layout::Layout,
    rows::{RowBytes, hash_of, rows_of},
};

/// Most timers fired between two looks at the output.
const TIMERS_PER_LOOK: usize = 1024;

/// The state that holds the watermark: what was late before a restore is late after it. With another
/// parallelism, that of the subtask that was least far counts.
const WATERMARK: &str = "_watermark";
const UNION: RedistributionMode = RedistributionMode::Union;

fn restored_watermark(context: &OperatorContext) -> FlowResult<i64> {
    let restored = context.restored.iter().flat_map(|restored| restored.list(WATERMARK));
    let watermarks = restored.map(codec::decode::<i64>);
    let watermarks = watermarks.collect::<Result<Vec<_>, _>>()?;
    Ok(watermarks.into_iter().min().unwrap_or(hurtig_types::MIN_TIMESTAMP))
}

/// State by key.
pub(crate) type Store = KeyedStateStore<RowBytes>;

/// State and timers of an operator.
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) timers: Timers<RowBytes, ()>,
    pub(crate) clock: Clock,
    pub(crate) late: hurtig_metrics::Counter,
    key_groups: KeyGroupRange,
    max_parallelism: u32,
    pace: Pace,
    firing_watermark: Option<Watermark>,
    firing_wall_ms: Option<i64>,
    capturing: Capturing,
    layout: Layout,
}

impl Core {
    /// Makes a key current.
    pub(crate) fn set_key(&mut self, key: &[u8]) -> FlowResult {
        self.store.set_current_key(hash_of(key)?, key.into());
        Ok(())
    }

    /// Event time.
    pub(crate) fn watermark(&self) -> i64 {
        self.timers.watermark
    }

    /// Registers a timer of the current key.
    pub(crate) fn register_timer(&mut self, event_time: bool, time: i64) -> FlowResult {
        let (hash, key) = self.store.current_key().ok_or_else(no_key)?;
        self.timers.of(event_time).register(time, hash, key, &());
        Ok(())
    }

    /// Deletes a timer of the current key.
    pub(crate) fn delete_timer(&mut self, event_time: bool, time: i64) -> FlowResult {
        let (hash, key) = self.store.current_key().ok_or_else(no_key)?;
        self.timers.of(event_time).delete(time, hash, key, &());
        Ok(())
    }

    /// The current key.
    pub(crate) fn key(&self) -> FlowResult<&RowBytes> {
        self.store.current_key().map(|(_, key)| key).ok_or_else(no_key)
    }
}

fn no_key() -> FlowError {
    FlowError::internal("no key is current")
}

fn not_open() -> FlowError {
    FlowError::internal("the operator was used before it was opened")
}

/// How long state lives, as the backend wants it.
pub(crate) fn ttl_config(ttl: Option<std::time::Duration>) -> Option<StateTtlConfig> {
    ttl.filter(|ttl| !ttl.is_zero()).map(StateTtlConfig::new)
}

/// Describes a state with that time to live.
macro_rules! descriptor {
    ($kind:ident, $name:expr, $ttl:expr) => {{
        let made = hurtig_state_api::$kind::new($name);
        match $crate::core::ttl_config($ttl) {
            Some(ttl) => made.enable_time_to_live(ttl),
            None => made,
        }
    }};
}
pub(crate) use descriptor;

/// What an operator does. Everything it gathers leaves with `flush`.
pub(crate) trait Logic: Send + 'static {
    /// Which rows are in the state.
    fn layout(&self) -> Layout;

    /// Registers state.
    fn open(&mut self, core: &mut Core) -> FlowResult;

    /// Handles rows of an input.
    fn process(
        &mut self,
        input: usize,
        batch: ChangelogBatch,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult;

    /// A timer is due; its key is current.
    fn on_timer(
        &mut self,
        time: i64,
        event_time: bool,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let _ = (time, event_time, core, out);
        Ok(())
    }

    /// Gives what has been gathered.
    fn flush(&mut self, out: &mut dyn Output) -> FlowResult;

    /// How far watermarks are held back: records may be given that are so much older.
    fn watermark_delay_ms(&self) -> i64 {
        0
    }
}

/// A [`Logic`] with its state, as an operator.
pub(crate) struct KeyedOperator<L> {
    logic: L,
    core: Option<Core>,
}

impl<L: Logic> KeyedOperator<L> {
    pub(crate) fn boxed(logic: L) -> Box<dyn Operator> {
        Box::new(Self { logic, core: None })
    }

    fn parts(&mut self) -> FlowResult<(&mut Core, Capturing)> {
        let core = self.core.as_mut().ok_or_else(not_open)?;
        let capturing = std::mem::take(&mut core.capturing);
        Ok((core, capturing))
    }
}

impl KeyedParts for Core {
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

    fn operator_states(&self) -> Result<Vec<ListStateData>, CodecError> {
        let elements = vec![codec::encode(&self.timers.watermark)?];
        let watermark = ListStateData { name: WATERMARK.to_owned(), mode: UNION, elements };
        Ok(vec![watermark, self.layout.captured()?])
    }

    fn metas(&self) -> Vec<StateMeta> {
        let of_operator = [StateMeta::of_elements::<i64>(WATERMARK, UNION), Layout::meta()];
        let metas = self.store.metas().cloned().chain([Timers::<RowBytes, ()>::meta()]);
        metas.chain(of_operator).collect()
    }

    fn restore(&mut self, meta: &StateMeta, block: Block) -> FlowResult {
        if !self.timers.restore(meta, &block, self.key_groups, self.max_parallelism)? {
            self.store.restore(meta, block);
        }
        Ok(())
    }
}

impl<L: Logic> Operator for KeyedOperator<L> {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let (key_groups, max_parallelism) = (context.key_groups(), context.max_parallelism);
        let now_ms = context.clock.now_ms();
        let late = context.metrics.counter(hurtig_metrics::names::NUM_LATE_RECORDS_DROPPED);
        let core = self.core.insert(Core {
            store: KeyedStateStore::new(key_groups, max_parallelism, now_ms),
            timers: Timers::default(),
            clock: context.clock,
            late,
            key_groups,
            max_parallelism,
            pace: Pace::new(TIMERS_PER_LOOK),
            firing_watermark: None,
            firing_wall_ms: None,
            capturing: Capturing::default(),
            layout: self.logic.layout(),
        });
        core.layout.check(context)?;
        core.timers.watermark = restored_watermark(context)?.max(core.timers.watermark);
        snapshot::restore(core, context)?;
        self.logic.open(core)
    }

    fn process(&mut self, input: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let batch = rows_of(batch)?;
        if batch.rows.num_rows() == 0 {
            return Ok(());
        }
        let core = self.core.as_mut().ok_or_else(not_open)?;
        core.store.begin_batch(core.clock.now_ms(), batch.rows.num_rows());
        self.logic.process(input, batch, core, out)?;
        self.logic.flush(out)
    }

    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        let core = self.core.as_mut().ok_or_else(not_open)?;
        // After a restore, it may be behind what had been reached.
        core.timers.watermark = watermark.0.max(core.timers.watermark);
        core.firing_watermark = Some(watermark);
        self.resume(out)
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        self.core.as_ref().and_then(|core| core.timers.processing.next_time())
    }

    fn on_processing_time(&mut self, now_ms: i64, out: &mut dyn Output) -> FlowResult<Progress> {
        let core = self.core.as_mut().ok_or_else(not_open)?;
        core.firing_wall_ms = Some(now_ms);
        self.resume(out)
    }

    fn resume(&mut self, out: &mut dyn Output) -> FlowResult<Progress> {
        let core = self.core.as_mut().ok_or_else(not_open)?;
        core.store.begin_batch(core.clock.now_ms(), 0);
        let began = core.clock.monotonic();
        for fired in 0.. {
            if fired == core.pace.limit() {
                self.logic.flush(out)?;
                core.pace.note(core.clock.monotonic() - began);
                return Ok(Progress::More);
            }
            let Some((timer, event_time)) = next_due(core) else { break };
            let time = timer.time;
            core.store.set_current_key(timer.hash, timer.key);
            self.logic.on_timer(time, event_time, core, out)?;
        }
        self.logic.flush(out)?;
        if let Some(watermark) = core.firing_watermark.take() {
            let delay =
                if watermark == Watermark::MAX { 0 } else { self.logic.watermark_delay_ms() };
            out.emit_watermark(Watermark(watermark.0.saturating_sub(delay)))?;
        }
        Ok(Progress::Done)
    }

    fn begin_capture(&mut self, _: CheckpointId, since: Option<u32>) -> FlowResult<Captured> {
        let (core, mut capturing) = self.parts()?;
        let captured = capturing.begin(core, since);
        core.capturing = capturing;
        captured
    }

    fn next_capture(&mut self, max_bytes: usize, out: &mut Vec<u8>) -> FlowResult<bool> {
        let (core, mut capturing) = self.parts()?;
        let more = capturing.next(core, max_bytes, out);
        core.capturing = capturing;
        more
    }

    fn cancel_capture(&mut self) {
        if let Ok((core, mut capturing)) = self.parts() {
            capturing.cancel(core);
            core.capturing = capturing;
        }
    }

    fn forget_captures_before(&mut self, capture: u32) {
        if let Some(core) = &mut self.core {
            core.forget_before(capture);
        }
    }
}

/// The next timer that is due, and whether it is of event time.
fn next_due(core: &mut Core) -> Option<(Timer<RowBytes, ()>, bool)> {
    if let Some(now_ms) = core.firing_wall_ms {
        if let Some(timer) = core.timers.processing.pop_due(now_ms) {
            return Some((timer, false));
        }
        core.firing_wall_ms = None;
    }
    let watermark = core.firing_watermark?;
    core.timers.event.pop_due(watermark.0).map(|timer| (timer, true))
}
