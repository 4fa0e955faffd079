//! Operators over two connected streams that are not keyed.

use std::marker::PhantomData;

use hurtig_operator_api::{Operator, OperatorContext, Output};
use hurtig_state_heap::OperatorStateStore;
use hurtig_types::{Batch, BoxError, BoxedPayload, FlowError, FlowResult, Record};

use crate::{
    Collector, RuntimeContext,
    checkpointed::{checkpointed_hooks, function_capture, initialize},
};

/// A function over two streams; as Flink's `CoProcessFunction` on streams without keys.
pub trait CoProcessFunction<A, B, O: Record>: Send {
    checkpointed_hooks!();
    /// Called once before the first record.
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }
    /// Processes a record of the first stream.
    fn process1(&mut self, value: A, out: &mut Collector<'_, O>) -> Result<(), BoxError>;
    /// Processes a record of the second stream.
    fn process2(&mut self, value: B, out: &mut Collector<'_, O>) -> Result<(), BoxError>;
    /// Called once at the end, also after a failure.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Runs a [`CoProcessFunction`].
pub struct CoProcessOperator<A, B, O, F> {
    function: F,
    operator_state: OperatorStateStore,
    types: PhantomData<fn(A, B) -> O>,
}

impl<A, B, O, F> CoProcessOperator<A, B, O, F> {
    /// An operator around `function`.
    pub fn new(function: F) -> Self {
        Self { function, operator_state: OperatorStateStore::default(), types: PhantomData }
    }
}

fn process_all<T: Record, O: Record>(
    batch: BoxedPayload,
    out: &mut dyn Output,
    mut f: impl FnMut(T, &mut Collector<'_, O>) -> Result<(), BoxError>,
) -> FlowResult {
    let Batch { values, timestamps, .. } = Batch::<T>::from_payload(batch)?;
    let mut timestamps = timestamps.map(Vec::into_iter);
    let mut collector = Collector::new(out);
    for value in values {
        collector.set_timestamp(timestamps.as_mut().and_then(Iterator::next));
        f(value, &mut collector).map_err(FlowError::user)?;
    }
    collector.finish()
}

impl<A, B, O, F> Operator for CoProcessOperator<A, B, O, F>
where
    A: Record,
    B: Record,
    O: Record,
    F: CoProcessFunction<A, B, O>,
{
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let function = &mut self.function;
        self.operator_state = initialize(context, |state| function.initialize_state(state))?;
        self.function.open(&RuntimeContext::new(context)).map_err(FlowError::user)
    }

    function_capture!();

    fn process(&mut self, input: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let function = &mut self.function;
        if input == 0 {
            process_all(batch, out, |value, out| function.process1(value, out))
        } else {
            process_all(batch, out, |value, out| function.process2(value, out))
        }
    }

    fn close(&mut self) -> FlowResult {
        self.function.close().map_err(FlowError::user)
    }
}

/// Two closures, one per stream, as a [`CoProcessFunction`].
#[derive(Clone)]
pub struct CoMap<F1, F2>(pub F1, pub F2);

impl<A, B, O, F1, F2> CoProcessFunction<A, B, O> for CoMap<F1, F2>
where
    O: Record,
    F1: FnMut(A) -> O + Send,
    F2: FnMut(B) -> O + Send,
{
    fn process1(&mut self, value: A, out: &mut Collector<'_, O>) -> Result<(), BoxError> {
        out.collect((self.0)(value));
        Ok(())
    }

    fn process2(&mut self, value: B, out: &mut Collector<'_, O>) -> Result<(), BoxError> {
        out.collect((self.1)(value));
        Ok(())
    }
}

/// Two closures that give any number of records, as a [`CoProcessFunction`].
#[derive(Clone)]
pub struct CoFlatMap<F1, F2>(pub F1, pub F2);

impl<A, B, O, I1, I2, F1, F2> CoProcessFunction<A, B, O> for CoFlatMap<F1, F2>
where
    O: Record,
    I1: IntoIterator<Item = O>,
    I2: IntoIterator<Item = O>,
    F1: FnMut(A) -> I1 + Send,
    F2: FnMut(B) -> I2 + Send,
{
    fn process1(&mut self, value: A, out: &mut Collector<'_, O>) -> Result<(), BoxError> {
        (self.0)(value).into_iter().for_each(|result| out.collect(result));
        Ok(())
    }

    fn process2(&mut self, value: B, out: &mut Collector<'_, O>) -> Result<(), BoxError> {
        (self.1)(value).into_iter().for_each(|result| out.collect(result));
        Ok(())
    }
}
