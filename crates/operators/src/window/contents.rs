//! What a window keeps of its records until it fires.
//!
//! - [`AggregatedContents`]: one accumulator.
//! - [`RecordContents`]: all records.
//! - [`EvictingContents`]: all records with their timestamps, for an evictor.

use std::marker::PhantomData;

use hurtig_state_api::{AggregateFunction, Key};
use hurtig_types::{BoxError, Record};

use super::{
    evictor::{Evictor, Timestamped},
    function::{WindowContext, WindowFunction, WindowOpenContext},
};
use crate::Collector;

/// What a window keeps, and what becomes of it when the window fires.
pub trait WindowContents<T, K: Key, O: Record>: Send {
    /// What is kept per key and window.
    type State: Record;

    /// Before the first record.
    fn create(&self) -> Self::State;
    /// Adds a record.
    fn add(&self, state: &mut Self::State, value: &T, timestamp: i64);
    /// Adds what another window kept; its records count as added later.
    fn merge(&self, into: &mut Self::State, from: Self::State);
    /// Evaluates the window.
    fn fire(
        &mut self,
        context: &mut WindowContext<'_, K>,
        state: &mut Self::State,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError>;
    /// Opens the window function.
    fn open(&mut self, context: &mut WindowOpenContext<'_, K>) -> Result<(), BoxError>;
    /// The window goes away.
    fn clear(&mut self, context: &mut WindowContext<'_, K>) -> Result<(), BoxError>;
    /// Closes the window function.
    fn close(&mut self) -> Result<(), BoxError>;
}

/// The life of a window function, as part of its contents' life. `$input` is what it takes.
macro_rules! function_life_cycle {
    ($input:ty) => {
        fn open(&mut self, context: &mut WindowOpenContext<'_, K>) -> Result<(), BoxError> {
            WindowFunction::<K, $input, O>::open(&mut self.function, context)
        }

        fn clear(&mut self, context: &mut WindowContext<'_, K>) -> Result<(), BoxError> {
            WindowFunction::<K, $input, O>::clear(&mut self.function, context)
        }

        fn close(&mut self) -> Result<(), BoxError> {
            WindowFunction::<K, $input, O>::close(&mut self.function)
        }
    };
}

/// An accumulator per window; the function gets the result.
pub struct AggregatedContents<A, F> {
    aggregate: A,
    function: F,
}

impl<A, F> AggregatedContents<A, F> {
    /// Aggregates, and evaluates the result by `function`.
    pub fn new(aggregate: A, function: F) -> Self {
        Self { aggregate, function }
    }
}

impl<T, K, O, A, F> WindowContents<T, K, O> for AggregatedContents<A, F>
where
    K: Key,
    O: Record,
    A: AggregateFunction<T>,
    F: WindowFunction<K, A::Output, O>,
{
    type State = A::Accumulator;

    fn create(&self) -> A::Accumulator {
        self.aggregate.create_accumulator()
    }

    fn add(&self, state: &mut A::Accumulator, value: &T, _: i64) {
        self.aggregate.add(state, value);
    }

    fn merge(&self, into: &mut A::Accumulator, from: A::Accumulator) {
        self.aggregate.merge(into, &from);
    }

    fn fire(
        &mut self,
        context: &mut WindowContext<'_, K>,
        state: &mut A::Accumulator,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError> {
        self.function.process(context, self.aggregate.result(state), out)
    }

    function_life_cycle!(A::Output);
}

/// All records of a window; the function gets them as a slice, in the order of arrival.
pub struct RecordContents<F> {
    function: F,
}

impl<F> RecordContents<F> {
    /// Evaluates all records by `function`.
    pub fn new(function: F) -> Self {
        Self { function }
    }
}

impl<T, K, O, F> WindowContents<T, K, O> for RecordContents<F>
where
    T: Record,
    K: Key,
    O: Record,
    F: for<'e> WindowFunction<K, &'e [T], O>,
{
    type State = Vec<T>;

    fn create(&self) -> Vec<T> {
        Vec::new()
    }

    fn add(&self, state: &mut Vec<T>, value: &T, _: i64) {
        state.push(value.clone());
    }

    fn merge(&self, into: &mut Vec<T>, from: Vec<T>) {
        into.extend(from);
    }

    fn fire(
        &mut self,
        context: &mut WindowContext<'_, K>,
        state: &mut Vec<T>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError> {
        self.function.process(context, state, out)
    }

    function_life_cycle!(&[T]);
}

/// All records of a window, of which an evictor takes some out around each evaluation.
pub struct EvictingContents<E, F> {
    evictor: E,
    function: F,
}

impl<E, F> EvictingContents<E, F> {
    /// Evaluates what `evictor` leaves by `function`.
    pub fn new(evictor: E, function: F) -> Self {
        Self { evictor, function }
    }
}

impl<T, K, O, E, F> WindowContents<T, K, O> for EvictingContents<E, F>
where
    T: Record,
    K: Key,
    O: Record,
    E: Evictor<T>,
    F: for<'e> WindowFunction<K, &'e [T], O>,
{
    type State = Vec<Timestamped<T>>;

    fn create(&self) -> Vec<Timestamped<T>> {
        Vec::new()
    }

    fn add(&self, state: &mut Vec<Timestamped<T>>, value: &T, timestamp: i64) {
        state.push(Timestamped { value: value.clone(), timestamp });
    }

    fn merge(&self, into: &mut Vec<Timestamped<T>>, from: Vec<Timestamped<T>>) {
        into.extend(from);
    }

    fn fire(
        &mut self,
        context: &mut WindowContext<'_, K>,
        state: &mut Vec<Timestamped<T>>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError> {
        self.evictor.evict_before(state, context.window());
        let values: Vec<T> = state.iter().map(|element| element.value.clone()).collect();
        self.function.process(context, &values, out)?;
        self.evictor.evict_after(state, context.window());
        Ok(())
    }

    function_life_cycle!(&[T]);
}

/// Aggregates records at the moment of evaluation: how an aggregate goes with an evictor.
pub struct AggregateOverSlice<T, A, F> {
    aggregate: A,
    function: F,
    types: PhantomData<fn(T)>,
}

impl<T, A, F> AggregateOverSlice<T, A, F> {
    /// Aggregates, and evaluates the result by `function`.
    pub fn new(aggregate: A, function: F) -> Self {
        Self { aggregate, function, types: PhantomData }
    }
}

impl<T, K, O, A, F> WindowFunction<K, &[T], O> for AggregateOverSlice<T, A, F>
where
    T: Record,
    K: Key,
    O: Record,
    A: AggregateFunction<T>,
    F: WindowFunction<K, A::Output, O>,
{
    fn open(&mut self, context: &mut WindowOpenContext<'_, K>) -> Result<(), BoxError> {
        self.function.open(context)
    }

    fn process(
        &mut self,
        context: &mut WindowContext<'_, K>,
        input: &[T],
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError> {
        let mut accumulator = self.aggregate.create_accumulator();
        for value in input {
            self.aggregate.add(&mut accumulator, value);
        }
        self.function.process(context, self.aggregate.final_result(accumulator), out)
    }

    fn clear(&mut self, context: &mut WindowContext<'_, K>) -> Result<(), BoxError> {
        self.function.clear(context)
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.function.close()
    }
}
