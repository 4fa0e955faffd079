//! Keyed streams.

use std::{ops::AddAssign, sync::Arc};

use hurtig_graph::ShipStrategy;
use hurtig_operators::{
    KeySelector,
    keyed::{KeyedProcessFunction, KeyedProcessOperator, ReduceOperator},
    partition::by_key_group,
};
use hurtig_state_api::{AggregateFunction, Key};
use hurtig_types::{BoxError, Record};

use crate::{DataStream, KeyedConnectedStreams, builder::MakeDistribution, stream::factory};

/// A stream grouped by key: records of one key are processed by one subtask, in order.
pub struct KeyedStream<T, K> {
    pub(crate) stream: DataStream<T>,
    pub(crate) selector: KeySelector<T, K>,
}

impl<T, K> Clone for KeyedStream<T, K> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), selector: self.selector.clone() }
    }
}

impl<T: Record, K: Key> KeyedStream<T, K> {
    pub(crate) fn new(stream: &DataStream<T>, selector: KeySelector<T, K>) -> Self {
        let by_key = selector.clone();
        let distribution: MakeDistribution<T> = Arc::new(move || by_key_group(by_key.clone()));
        let stream = stream.shipped(ShipStrategy::KeyGroup, Some(distribution));
        Self { stream, selector }
    }

    /// Combines each record with what came before it for its key, and emits the new value.
    pub fn reduce<F>(&self, f: F) -> DataStream<T>
    where
        F: FnMut(&mut T, T) + Clone + Send + Sync + 'static,
    {
        let fallible = move |sum: &mut T, value: T| {
            (f.clone())(sum, value);
            Ok(())
        };
        self.try_reduce(fallible)
    }

    /// As [`KeyedStream::reduce`], with a function that may fail.
    pub fn try_reduce<F>(&self, f: F) -> DataStream<T>
    where
        F: FnMut(&mut T, T) -> Result<(), BoxError> + Clone + Send + Sync + 'static,
    {
        let selector = self.selector.clone();
        let create = move || ReduceOperator::new(selector.clone(), f.clone());
        self.stream.transform("Keyed Reduce", factory(create))
    }

    /// The sum of a field; the other fields are those of the first record.
    pub fn sum<N, F>(&self, field: F) -> DataStream<T>
    where
        N: AddAssign + Copy,
        F: Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static,
    {
        self.reduce(move |sum, mut value| *field(sum) += *field(&mut value)).name("Sum")
    }

    /// The smallest value of a field; the other fields are those of the first record.
    pub fn min<N, F>(&self, field: F) -> DataStream<T>
    where
        N: PartialOrd + Clone,
        F: Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static,
    {
        let smaller = move |least: &mut T, mut value: T| {
            if *field(&mut value) < *field(least) {
                *field(least) = field(&mut value).clone();
            }
        };
        self.reduce(smaller).name("Min")
    }

    /// The largest value of a field; the other fields are those of the first record.
    pub fn max<N, F>(&self, field: F) -> DataStream<T>
    where
        N: PartialOrd + Clone,
        F: Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static,
    {
        let larger = move |most: &mut T, mut value: T| {
            if *field(&mut value) > *field(most) {
                *field(most) = field(&mut value).clone();
            }
        };
        self.reduce(larger).name("Max")
    }

    /// The record with the smallest value of a field; the first of several.
    pub fn min_by<N, F>(&self, field: F) -> DataStream<T>
    where
        N: PartialOrd,
        F: Fn(&T) -> N + Clone + Send + Sync + 'static,
    {
        let smaller = move |least: &mut T, value: T| {
            if field(&value) < field(least) {
                *least = value;
            }
        };
        self.reduce(smaller).name("Min By")
    }

    /// The record with the largest value of a field; the first of several.
    pub fn max_by<N, F>(&self, field: F) -> DataStream<T>
    where
        N: PartialOrd,
        F: Fn(&T) -> N + Clone + Send + Sync + 'static,
    {
        let larger = move |most: &mut T, value: T| {
            if field(&value) > field(most) {
                *most = value;
            }
        };
        self.reduce(larger).name("Max By")
    }

    /// Aggregates per key and emits the new result with every record.
    pub fn aggregate<A>(&self, aggregate: A) -> DataStream<(K, A::Output)>
    where
        A: AggregateFunction<T> + Clone,
    {
        self.process(crate::windowed::RunningAggregate::new(aggregate)).name("Aggregate")
    }

    /// Runs a process function with state and timers per key.
    pub fn process<O: Record, F>(&self, function: F) -> DataStream<O>
    where
        F: KeyedProcessFunction<K, T, O> + Clone + Send + Sync + 'static,
    {
        let selector = self.selector.clone();
        let create = move || KeyedProcessOperator::new(selector.clone(), function.clone());
        self.stream.transform("Keyed Process", factory(create))
    }

    /// This stream and another with the same key type side by side.
    pub fn connect<B: Record>(&self, other: &KeyedStream<B, K>) -> KeyedConnectedStreams<K, T, B> {
        KeyedConnectedStreams::new(self.clone(), other.clone())
    }
}
