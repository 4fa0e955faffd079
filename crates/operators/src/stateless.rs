//! Operators without keys: map, filter, flat map, and the plain process function.

use std::marker::PhantomData;

use hurtig_operator_api::{Operator, OperatorContext, Output};
use hurtig_state_heap::OperatorStateStore;
use hurtig_types::{Batch, BoxError, BoxedPayload, CheckpointId, FlowError, FlowResult, Record};

use crate::{
    Collector, RuntimeContext,
    checkpointed::{checkpointed_hooks, function_capture, initialize},
};

/// A rich function from one record to one record.
pub trait MapFunction<I, O>: Send {
    checkpointed_hooks!();
    /// Called once before the first record.
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }
    /// Maps a record.
    fn map(&mut self, value: I) -> Result<O, BoxError>;
    /// A checkpoint that this subtask has taken part in is complete.
    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Result<(), BoxError> {
        let _ = checkpoint;
        Ok(())
    }
    /// Called once after the last record, also after a failure.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A function from one record to any number, on the main output and on side outputs.
pub trait ProcessFunction<I, O: Record>: Send {
    checkpointed_hooks!();
    /// Called once before the first record.
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }
    /// Processes a record with its timestamp, if the stream has any.
    fn process(
        &mut self,
        value: I,
        timestamp: Option<i64>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError>;
    /// Called when all input has been processed; may emit.
    fn finish(&mut self, out: &mut Collector<'_, O>) -> Result<(), BoxError> {
        let _ = out;
        Ok(())
    }
    /// Called once at the end, also after a failure.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Maps by a closure. Where input and output have the same layout, the batch's memory is reused.
pub struct MapOperator<I, O, F> {
    f: F,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O, F> MapOperator<I, O, F> {
    /// An operator around `f`.
    pub fn new(f: F) -> Self {
        Self { f, types: PhantomData }
    }
}

impl<I: Record, O: Record, F: FnMut(I) -> O + Send> Operator for MapOperator<I, O, F> {
    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let Batch { values, timestamps, .. } = Batch::<I>::from_payload(batch)?;
        let values: Vec<O> = values.into_iter().map(&mut self.f).collect();
        out.emit(Batch::from_parts(values, timestamps).boxed())
    }
}

/// Maps by a rich or fallible function.
pub struct MapFunctionOperator<I, O, F> {
    function: F,
    operator_state: OperatorStateStore,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O, F> MapFunctionOperator<I, O, F> {
    /// An operator around `function`.
    pub fn new(function: F) -> Self {
        Self { function, operator_state: OperatorStateStore::default(), types: PhantomData }
    }
}

impl<I: Record, O: Record, F: MapFunction<I, O>> Operator for MapFunctionOperator<I, O, F> {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let function = &mut self.function;
        self.operator_state = initialize(context, |state| function.initialize_state(state))?;
        self.function.open(&RuntimeContext::new(context)).map_err(FlowError::user)
    }

    function_capture!();

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> FlowResult {
        self.function.notify_checkpoint_complete(checkpoint).map_err(FlowError::user)
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let Batch { values, timestamps, .. } = Batch::<I>::from_payload(batch)?;
        let mapped: Result<Vec<O>, BoxError> =
            values.into_iter().map(|value| self.function.map(value)).collect();
        let values = mapped.map_err(FlowError::user)?;
        out.emit(Batch::from_parts(values, timestamps).boxed())
    }

    fn close(&mut self) -> FlowResult {
        self.function.close().map_err(FlowError::user)
    }
}

/// A fallible closure as a [`MapFunction`].
#[derive(Clone)]
pub struct TryMap<F>(pub F);

impl<I, O, F: FnMut(I) -> Result<O, BoxError> + Send> MapFunction<I, O> for TryMap<F> {
    fn map(&mut self, value: I) -> Result<O, BoxError> {
        (self.0)(value)
    }
}

/// Keeps the records for which a closure says so.
pub struct FilterOperator<T, F> {
    f: F,
    types: PhantomData<fn(T)>,
}

impl<T, F> FilterOperator<T, F> {
    /// An operator around `f`.
    pub fn new(f: F) -> Self {
        Self { f, types: PhantomData }
    }
}

impl<T: Record, F: FnMut(&T) -> bool + Send> Operator for FilterOperator<T, F> {
    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let mut batch = Batch::<T>::from_payload(batch)?;
        let f = &mut self.f;
        match &mut batch.timestamps {
            None => batch.values.retain(|value| f(value)),
            Some(timestamps) => {
                let mut kept = Vec::with_capacity(timestamps.len());
                let mut times = timestamps.iter();
                batch.values.retain(|value| {
                    let time = times.next();
                    let keep = f(value);
                    if keep {
                        kept.extend(time);
                    }
                    keep
                });
                *timestamps = kept;
            }
        }
        out.emit(batch.boxed())
    }
}

/// From one record to any number, by a closure that returns an iterator.
pub struct FlatMapOperator<I, O, F> {
    f: F,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O, F> FlatMapOperator<I, O, F> {
    /// An operator around `f`.
    pub fn new(f: F) -> Self {
        Self { f, types: PhantomData }
    }
}

impl<I, O, It, F> Operator for FlatMapOperator<I, O, F>
where
    I: Record,
    O: Record,
    It: IntoIterator<Item = O>,
    F: FnMut(I) -> It + Send,
{
    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let Batch { values, timestamps, .. } = Batch::<I>::from_payload(batch)?;
        let mut timestamps = timestamps.map(Vec::into_iter);
        let mut collector = Collector::new(out);
        for value in values {
            collector.set_timestamp(timestamps.as_mut().and_then(Iterator::next));
            collector.collect_all((self.f)(value));
        }
        collector.finish()
    }
}

/// Runs a [`ProcessFunction`].
pub struct ProcessOperator<I, O, F> {
    function: F,
    operator_state: OperatorStateStore,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O, F> ProcessOperator<I, O, F> {
    /// An operator around `function`.
    pub fn new(function: F) -> Self {
        Self { function, operator_state: OperatorStateStore::default(), types: PhantomData }
    }
}

impl<I: Record, O: Record, F: ProcessFunction<I, O>> Operator for ProcessOperator<I, O, F> {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let function = &mut self.function;
        self.operator_state = initialize(context, |state| function.initialize_state(state))?;
        self.function.open(&RuntimeContext::new(context)).map_err(FlowError::user)
    }

    function_capture!();

    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let Batch { values, timestamps, .. } = Batch::<I>::from_payload(batch)?;
        let mut timestamps = timestamps.map(Vec::into_iter);
        let mut collector = Collector::new(out);
        for value in values {
            let timestamp = timestamps.as_mut().and_then(Iterator::next);
            collector.set_timestamp(timestamp);
            self.function.process(value, timestamp, &mut collector).map_err(FlowError::user)?;
        }
        collector.finish()
    }

    fn finish(&mut self, out: &mut dyn Output) -> FlowResult<hurtig_operator_api::Progress> {
        let mut collector = Collector::new(out);
        self.function.finish(&mut collector).map_err(FlowError::user)?;
        collector.finish()?;
        Ok(hurtig_operator_api::Progress::Done)
    }

    fn close(&mut self) -> FlowResult {
        self.function.close().map_err(FlowError::user)
    }
}

/// A closure as a [`ProcessFunction`].
#[derive(Clone)]
pub struct ProcessFn<F>(pub F);

impl<I, O, F> ProcessFunction<I, O> for ProcessFn<F>
where
    O: Record,
    F: FnMut(I, &mut Collector<'_, O>) -> Result<(), BoxError> + Send,
{
    fn process(
        &mut self,
        value: I,
        _: Option<i64>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError> {
        (self.0)(value, out)
    }
}
