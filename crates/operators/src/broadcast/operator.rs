//! The operators behind broadcast functions. Input 0 is the stream, input 1 the broadcast one.

use std::{marker::PhantomData, sync::Arc};

use hurtig_env::Clock;
use hurtig_operator_api::{Operator, OperatorContext, Output, Progress};
use hurtig_state_api::Key;
use hurtig_state_heap::{OperatorStateStore, StateError};
use hurtig_types::{
    Batch, BoxError, BoxedPayload, FlowError, FlowResult, MIN_TIMESTAMP, Record, Watermark,
};

use super::{
    BroadcastContext, BroadcastOpenContext, BroadcastProcessFunction, KeyedBroadcastContext,
    KeyedBroadcastOpenContext, KeyedBroadcastProcessFunction, KeyedReadOnlyContext,
    ReadOnlyContext, Times,
};
use crate::{
    Collector, KeySelector, RuntimeContext,
    checkpointed::{FunctionInitializationContext, capture, initialize},
    key::BatchKeys,
    keyed::{KeyedCore, keyed_life_cycle, not_open},
    snapshot::keyed_snapshots,
};

/// Registers the states of a broadcast stream.
pub type RegisterBroadcastStates =
    Arc<dyn Fn(&mut OperatorStateStore) -> Result<(), StateError> + Send + Sync>;

/// Calls `f` with each record of a batch and its timestamp.
fn each<T: Record, O: Record>(
    batch: BoxedPayload,
    out: &mut dyn Output,
    mut f: impl FnMut(T, Option<i64>, &mut Collector<'_, O>) -> Result<(), BoxError>,
) -> FlowResult {
    let Batch { values, timestamps, .. } = Batch::<T>::from_payload(batch)?;
    let mut timestamps = timestamps.map(Vec::into_iter);
    let mut collector = Collector::new(out);
    for value in values {
        let timestamp = timestamps.as_mut().and_then(Iterator::next);
        collector.set_timestamp(timestamp);
        f(value, timestamp, &mut collector).map_err(FlowError::user)?;
    }
    collector.finish()
}

/// Runs a [`BroadcastProcessFunction`].
pub struct BroadcastProcessOperator<I, B, O, F> {
    function: F,
    register: RegisterBroadcastStates,
    broadcast: OperatorStateStore,
    watermark: i64,
    clock: Option<Clock>,
    types: PhantomData<fn(I, B) -> O>,
}

impl<I, B, O, F> BroadcastProcessOperator<I, B, O, F> {
    /// An operator around `function`.
    pub fn new(register: RegisterBroadcastStates, function: F) -> Self {
        Self {
            function,
            register,
            broadcast: OperatorStateStore::default(),
            watermark: MIN_TIMESTAMP,
            clock: None,
            types: PhantomData,
        }
    }
}

impl<I, B, O, F> Operator for BroadcastProcessOperator<I, B, O, F>
where
    I: Record,
    B: Record,
    O: Record,
    F: BroadcastProcessFunction<I, B, O>,
{
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let (function, register) = (&mut self.function, &self.register);
        self.broadcast = initialize(context, |state: &mut FunctionInitializationContext<'_>| {
            register(state.operator_state)?;
            function.initialize_state(state)
        })?;
        self.clock = Some(context.clock);
        let runtime = RuntimeContext::new(context);
        let mut open = BroadcastOpenContext { runtime: &runtime, broadcast: &mut self.broadcast };
        self.function.open(&mut open).map_err(FlowError::user)
    }

    fn process(&mut self, input: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let clock = self.clock.ok_or_else(not_open)?;
        let watermark = self.watermark;
        let (function, broadcast) = (&mut self.function, &mut self.broadcast);
        if input == 0 {
            each(batch, out, |value: I, timestamp, out| {
                let times = Times { timestamp, watermark, clock };
                function.process_element(value, &mut ReadOnlyContext { broadcast, times }, out)
            })
        } else {
            each(batch, out, |value: B, timestamp, out| {
                let times = Times { timestamp, watermark, clock };
                let mut context = BroadcastContext { broadcast, times };
                function.process_broadcast_element(value, &mut context, out)
            })
        }
    }

    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        self.watermark = watermark.0;
        out.emit_watermark(watermark)?;
        Ok(Progress::Done)
    }

    fn begin_capture(
        &mut self,
        checkpoint: hurtig_types::CheckpointId,
        _: Option<u32>,
    ) -> FlowResult<hurtig_operator_api::Captured> {
        let function = &mut self.function;
        capture(&mut self.broadcast, checkpoint, |context| function.snapshot_state(context))
    }

    fn close(&mut self) -> FlowResult {
        self.function.close().map_err(FlowError::user)
    }
}

/// A function, with what its broadcast states are registered by.
struct Registering<F> {
    function: F,
    register: RegisterBroadcastStates,
}

/// Runs a [`KeyedBroadcastProcessFunction`].
pub struct KeyedBroadcastProcessOperator<K, I, B, O, F> {
    function: Registering<F>,
    keys: BatchKeys<I, K>,
    core: Option<KeyedCore<K>>,
    types: PhantomData<fn(B) -> O>,
}

impl<K: Key, I: Record, B, O, F> KeyedBroadcastProcessOperator<K, I, B, O, F> {
    /// An operator around `function`.
    pub fn new(
        selector: KeySelector<I, K>,
        register: RegisterBroadcastStates,
        function: F,
    ) -> Self {
        let function = Registering { function, register };
        Self { function, keys: BatchKeys::new(selector), core: None, types: PhantomData }
    }
}

impl<K, I, B, O, F> Operator for KeyedBroadcastProcessOperator<K, I, B, O, F>
where
    K: Key,
    I: Record,
    B: Record,
    O: Record,
    F: KeyedBroadcastProcessFunction<K, I, B, O>,
{
    fn process(&mut self, input: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let core = self.core.as_mut().ok_or_else(not_open)?;
        let function = &mut self.function.function;
        if input == 0 {
            return core.process(
                &mut self.keys,
                batch,
                out,
                |value, keyed, broadcast, out: &mut Collector<'_, O>| {
                    let mut context = KeyedReadOnlyContext { keyed, broadcast };
                    function.process_element(value, &mut context, out)
                },
            );
        }
        let (watermark, clock) = (core.timers.watermark, core.clock);
        core.store.begin_batch(clock.now_ms(), 0);
        each(batch, out, |value: B, timestamp, out| {
            let times = Times { timestamp, watermark, clock };
            let (broadcast, state) = (&mut core.operator_state, &mut core.store);
            let mut context = KeyedBroadcastContext { broadcast, state, times };
            function.process_broadcast_element(value, &mut context, out)
        })
    }

    keyed_life_cycle! {
        function.function;
        initialize: |holder, state| {
            (holder.register)(state.operator_state)?;
            holder.function.initialize_state(state)
        };
        open: |function, runtime, core| {
            let (state, broadcast) = (&mut core.store, &mut core.operator_state);
            function.open(&mut KeyedBroadcastOpenContext { runtime, state, broadcast })
        };
        on_timer: |function, time, domain, keyed, broadcast, out| {
            let mut context = KeyedReadOnlyContext { keyed, broadcast };
            function.on_timer(time, domain, &mut context, out)
        };
    }
}
