//! Two streams side by side.

use std::sync::Arc;

use hurtig_operator_api::OperatorFactory;
use hurtig_operators::{
    keyed::{KeyedCoProcessFunction, KeyedCoProcessOperator},
    two_input::{CoFlatMap, CoMap, CoProcessFunction, CoProcessOperator},
};
use hurtig_state_api::Key;
use hurtig_types::Record;

use crate::{DataStream, KeyedStream, builder::OperatorSpec, stream::factory};

/// Two streams that one operator reads.
pub struct ConnectedStreams<A, B> {
    first: DataStream<A>,
    second: DataStream<B>,
}

pub(crate) fn add_two_input<A: Record, B: Record, O: Record>(
    first: &DataStream<A>,
    second: &DataStream<B>,
    name: &str,
    factory: Arc<dyn OperatorFactory>,
) -> DataStream<O> {
    let mut inputs: Vec<_> = first.inputs().into_iter().map(|input| (0, input)).collect();
    inputs.extend(second.inputs().into_iter().map(|input| (1, input)));
    let mut builder = first.env.builder.lock();
    if !Arc::ptr_eq(&first.env.builder, &second.env.builder) {
        builder.mistakes.push("connect of streams of different environments".to_owned());
        inputs.retain(|(index, _)| *index == 0);
    }
    let id = builder.add(OperatorSpec::operator(name), factory, inputs);
    drop(builder);
    DataStream::of_operator(first.env.clone(), id)
}

impl<A: Record, B: Record> ConnectedStreams<A, B> {
    pub(crate) fn new(first: DataStream<A>, second: DataStream<B>) -> Self {
        Self { first, second }
    }

    /// Maps the records of each stream by a function of its own.
    pub fn co_map<O: Record, F1, F2>(&self, first: F1, second: F2) -> DataStream<O>
    where
        F1: FnMut(A) -> O + Clone + Send + Sync + 'static,
        F2: FnMut(B) -> O + Clone + Send + Sync + 'static,
    {
        self.co_process(CoMap(first, second)).name("Co-Map")
    }

    /// Maps the records of each stream to any number of records.
    pub fn co_flat_map<O: Record, I1, I2, F1, F2>(&self, first: F1, second: F2) -> DataStream<O>
    where
        I1: IntoIterator<Item = O> + 'static,
        I2: IntoIterator<Item = O> + 'static,
        F1: FnMut(A) -> I1 + Clone + Send + Sync + 'static,
        F2: FnMut(B) -> I2 + Clone + Send + Sync + 'static,
    {
        self.co_process(CoFlatMap(first, second)).name("Co-Flat Map")
    }

    /// Runs a function over both streams.
    pub fn co_process<O: Record, F>(&self, function: F) -> DataStream<O>
    where
        F: CoProcessFunction<A, B, O> + Clone + Send + Sync + 'static,
    {
        let create = move || CoProcessOperator::new(function.clone());
        add_two_input(&self.first, &self.second, "Co-Process", factory(create))
    }

    /// Groups both by keys of the same type.
    pub fn key_by<K: Key, F1, F2>(&self, first: F1, second: F2) -> KeyedConnectedStreams<K, A, B>
    where
        F1: Fn(&A) -> K + Send + Sync + 'static,
        F2: Fn(&B) -> K + Send + Sync + 'static,
    {
        KeyedConnectedStreams::new(self.first.key_by(first), self.second.key_by(second))
    }
}

/// Two streams with the same key that one operator reads.
pub struct KeyedConnectedStreams<K, A, B> {
    first: KeyedStream<A, K>,
    second: KeyedStream<B, K>,
}

impl<K: Key, A: Record, B: Record> KeyedConnectedStreams<K, A, B> {
    pub(crate) fn new(first: KeyedStream<A, K>, second: KeyedStream<B, K>) -> Self {
        Self { first, second }
    }

    /// Runs a function over both streams, with state and timers per key.
    pub fn process<O: Record, F>(&self, function: F) -> DataStream<O>
    where
        F: KeyedCoProcessFunction<K, A, B, O> + Clone + Send + Sync + 'static,
    {
        let (first, second) = (self.first.selector.clone(), self.second.selector.clone());
        let create =
            move || KeyedCoProcessOperator::new(first.clone(), second.clone(), function.clone());
        let (first, second) = (&self.first.stream, &self.second.stream);
        add_two_input(first, second, "Keyed Co-Process", factory(create))
    }
}
