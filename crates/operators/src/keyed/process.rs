//! Process functions over keyed streams.

use std::marker::PhantomData;

use hurtig_operator_api::{Operator, OperatorContext, Output, Progress};
use hurtig_state_api::Key;
use hurtig_types::{BoxError, BoxedPayload, FlowError, FlowResult, Record, Watermark};

use super::{KeyedContext, KeyedCore, OpenContext, TimeDomain, keyed_life_cycle, not_open};
use crate::{
    Collector, KeySelector, RuntimeContext,
    checkpointed::{checkpointed_hooks, initialize},
    key::BatchKeys,
    snapshot::keyed_snapshots,
};

/// A function over a keyed stream, with state and timers per key; as Flink's.
pub trait KeyedProcessFunction<K: Key, I, O: Record>: Send {
    checkpointed_hooks!();
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
    checkpointed_hooks!();
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
        core.process(&mut self.keys, batch, out, |value, context, _, out: &mut Collector<'_, O>| {
            function.process(value, context, out)
        })
    }

    keyed_life_cycle! {
        function;
        initialize: |function, state| function.initialize_state(state);
        open: |function, runtime, core| {
            function.open(&mut OpenContext { runtime, state: &mut core.store })
        };
        on_timer: |function, time, domain, context, _state, out| {
            function.on_timer(time, domain, context, out)
        };
    }
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
                |value, context, _, out: &mut Collector<'_, O>| {
                    function.process1(value, context, out)
                },
            )
        } else {
            core.process(
                &mut self.keys2,
                batch,
                out,
                |value, context, _, out: &mut Collector<'_, O>| {
                    function.process2(value, context, out)
                },
            )
        }
    }

    keyed_life_cycle! {
        function;
        initialize: |function, state| function.initialize_state(state);
        open: |function, runtime, core| {
            function.open(&mut OpenContext { runtime, state: &mut core.store })
        };
        on_timer: |function, time, domain, context, _state, out| {
            function.on_timer(time, domain, context, out)
        };
    }
}
