//! Broadcast streams: rules and the like, which every subtask of a stream keeps as broadcast state.

use std::{hash::Hash, sync::Arc};

use hurtig_operators::broadcast::{
    BroadcastProcessFunction, BroadcastProcessOperator, KeyedBroadcastProcessFunction,
    KeyedBroadcastProcessOperator, RegisterBroadcastStates,
};
use hurtig_state_api::{Key, MapStateDescriptor};
use hurtig_types::Record;

use crate::{DataStream, KeyedStream, connected::add_two_input, stream::factory};

/// A stream that goes to all subtasks, with the broadcast states that are kept of it.
pub struct BroadcastStream<B> {
    stream: DataStream<B>,
    register: RegisterBroadcastStates,
}

impl<B> Clone for BroadcastStream<B> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), register: self.register.clone() }
    }
}

impl<B: Record> BroadcastStream<B> {
    pub(crate) fn new<UK, UV>(
        stream: &DataStream<B>,
        descriptor: &MapStateDescriptor<UK, UV>,
    ) -> Self
    where
        UK: Record + Eq + Hash,
        UV: Record,
    {
        let none = Self { stream: stream.broadcast(), register: Arc::new(|_| Ok(())) };
        none.with_state(descriptor)
    }

    /// Keeps one more broadcast state.
    #[must_use]
    pub fn with_state<UK, UV>(&self, descriptor: &MapStateDescriptor<UK, UV>) -> Self
    where
        UK: Record + Eq + Hash,
        UV: Record,
    {
        let (before, descriptor) = (self.register.clone(), descriptor.clone());
        let register: RegisterBroadcastStates = Arc::new(move |store| {
            before(store)?;
            store.broadcast_state(&descriptor).map(drop)
        });
        Self { stream: self.stream.clone(), register }
    }
}

impl<T: Record> DataStream<T> {
    /// This stream in all subtasks of whatever it is connected with, kept as broadcast state.
    pub fn broadcast_state<UK, UV>(
        &self,
        descriptor: &MapStateDescriptor<UK, UV>,
    ) -> BroadcastStream<T>
    where
        UK: Record + Eq + Hash,
        UV: Record,
    {
        BroadcastStream::new(self, descriptor)
    }

    /// This stream beside a broadcast one.
    pub fn connect_broadcast<B: Record>(
        &self,
        other: &BroadcastStream<B>,
    ) -> BroadcastConnectedStream<T, B> {
        BroadcastConnectedStream { stream: self.clone(), broadcast: other.clone() }
    }
}

impl<T: Record, K: Key> KeyedStream<T, K> {
    /// This stream beside a broadcast one.
    pub fn connect_broadcast<B: Record>(
        &self,
        other: &BroadcastStream<B>,
    ) -> KeyedBroadcastConnectedStream<K, T, B> {
        KeyedBroadcastConnectedStream { stream: self.clone(), broadcast: other.clone() }
    }
}

/// A stream and a broadcast stream that one operator reads.
pub struct BroadcastConnectedStream<T, B> {
    stream: DataStream<T>,
    broadcast: BroadcastStream<B>,
}

impl<T: Record, B: Record> BroadcastConnectedStream<T, B> {
    /// Runs a function over both.
    pub fn process<O: Record, F>(&self, function: F) -> DataStream<O>
    where
        F: BroadcastProcessFunction<T, B, O> + Clone + Send + Sync + 'static,
    {
        let register = self.broadcast.register.clone();
        let create = move || BroadcastProcessOperator::new(register.clone(), function.clone());
        let broadcast = &self.broadcast.stream;
        add_two_input(&self.stream, broadcast, "Co-Process-Broadcast", factory(create))
    }
}

/// A keyed stream and a broadcast stream that one operator reads.
pub struct KeyedBroadcastConnectedStream<K, T, B> {
    stream: KeyedStream<T, K>,
    broadcast: BroadcastStream<B>,
}

impl<K: Key, T: Record, B: Record> KeyedBroadcastConnectedStream<K, T, B> {
    /// Runs a function over both, with state and timers per key.
    pub fn process<O: Record, F>(&self, function: F) -> DataStream<O>
    where
        F: KeyedBroadcastProcessFunction<K, T, B, O> + Clone + Send + Sync + 'static,
    {
        let (selector, register) = (self.stream.selector.clone(), self.broadcast.register.clone());
        let create = move || {
            KeyedBroadcastProcessOperator::new(selector.clone(), register.clone(), function.clone())
        };
        let (stream, broadcast) = (&self.stream.stream, &self.broadcast.stream);
        add_two_input(stream, broadcast, "Co-Process-Broadcast-Keyed", factory(create))
    }
}
