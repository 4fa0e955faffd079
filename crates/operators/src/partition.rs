//! Typed edges and the eight partitioners.
//!
//! | strategy | a record goes to |
//! |---|---|
//! | forward, global | channel 0 |
//! | rebalance, rescale | the next channel in turn, beginning with the subtask's own |
//! | shuffle | a channel at random |
//! | broadcast | all channels |
//! | key group | the owner of its key's key group |
//! | custom | what the user's function says |
//!
//! Which subtasks the channels of a pointwise edge (forward, rescale) lead to is decided in the
//! graph, so the partitioner sees only its own channels.

use std::{marker::PhantomData, sync::Arc};

use hurtig_operator_api::{ChannelSink, EdgeFactory, PartitionContext, Partitioner};
use hurtig_state_api::Key;
use hurtig_types::{
    Batch, BoxedPayload, CodecError, FlowError, FlowResult, Record, key_group_of, operator_index_of,
};

use crate::key::{BatchKeys, KeySelector};

/// Most records in one channel's buffer.
const BUFFERED_RECORDS: usize = 4096;

/// Chooses channels for all records of a batch: `channels` gets one number per record.
pub type CustomPartitioner<T> = Arc<dyn Fn(&[T], usize, &mut Vec<u32>) + Send + Sync>;

/// How the records of an edge are distributed.
pub enum Distribution<T> {
    /// All to channel 0: forward and global.
    Single,
    /// In turn.
    RoundRobin,
    /// At random.
    Shuffle,
    /// To all.
    Broadcast,
    /// By a function of the records.
    Computed(Arc<dyn Fn(&PartitionContext) -> Box<dyn ChannelChooser<T>> + Send + Sync>),
}

/// Chooses a channel for each record.
pub trait ChannelChooser<T>: Send {
    /// Overwrites `channels` with one channel per value.
    fn choose(&mut self, values: &[T], channels: &mut Vec<u32>) -> FlowResult;
}

struct ByKeyGroup<T, K> {
    keys: BatchKeys<T, K>,
    max_parallelism: u32,
    /// The channel of each key group.
    owners: Vec<u32>,
}

impl<T: Record, K: Key> ChannelChooser<T> for ByKeyGroup<T, K> {
    fn choose(&mut self, values: &[T], channels: &mut Vec<u32>) -> FlowResult {
        self.keys.load(values)?;
        channels.clear();
        let owner = |hash: &u64| self.owners[key_group_of(*hash, self.max_parallelism) as usize];
        channels.extend(self.keys.hashes.iter().map(owner));
        Ok(())
    }
}

/// Distribution by the key group of a key.
pub fn by_key_group<T: Record, K: Key>(selector: KeySelector<T, K>) -> Distribution<T> {
    Distribution::Computed(Arc::new(move |context| {
        let max = context.target_max_parallelism;
        let owner = |group| operator_index_of(group, context.target_parallelism, max);
        Box::new(ByKeyGroup {
            keys: BatchKeys::new(selector.clone()),
            max_parallelism: max,
            owners: (0..max).map(owner).collect(),
        })
    }))
}

struct ByFunction<T> {
    function: CustomPartitioner<T>,
    channels: usize,
}

impl<T: Record> ChannelChooser<T> for ByFunction<T> {
    fn choose(&mut self, values: &[T], channels: &mut Vec<u32>) -> FlowResult {
        channels.clear();
        (self.function)(values, self.channels, channels);
        let beyond = channels.iter().find(|c| **c as usize >= self.channels);
        match beyond {
            Some(channel) => Err(FlowError::user(format!(
                "the custom partitioner chose channel {channel} of {}",
                self.channels
            ))),
            None => Ok(()),
        }
    }
}

/// Distribution by a function of the user.
pub fn by_function<T: Record>(function: CustomPartitioner<T>) -> Distribution<T> {
    Distribution::Computed(Arc::new(move |context| {
        Box::new(ByFunction { function: function.clone(), channels: context.channels })
    }))
}

/// An edge that carries records of type `T`.
pub struct TypedEdge<T> {
    distribution: Distribution<T>,
    types: PhantomData<fn() -> T>,
}

impl<T> TypedEdge<T> {
    /// An edge with that distribution.
    pub fn new(distribution: Distribution<T>) -> Self {
        Self { distribution, types: PhantomData }
    }
}

impl<T: Record> EdgeFactory for TypedEdge<T> {
    fn create_partitioner(&self, context: &PartitionContext) -> FlowResult<Box<dyn Partitioner>> {
        let seed = u64::from(context.subtask).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let first = context.subtask as usize % context.channels.max(1);
        let chooser: Box<dyn ChannelChooser<T>> = match &self.distribution {
            Distribution::Broadcast if context.channels > 1 => {
                return Ok(Box::new(Broadcast { channels: context.channels }));
            }
            // With one channel there is nothing to choose: batches pass by pointer.
            _ if context.channels <= 1 => return Ok(Box::new(PassOn)),
            Distribution::Single | Distribution::Broadcast => return Ok(Box::new(PassOn)),
            Distribution::RoundRobin => {
                Box::new(RoundRobin { next: first, channels: context.channels })
            }
            Distribution::Shuffle => Box::new(AtRandom { state: seed, channels: context.channels }),
            Distribution::Computed(create) => create(context),
        };
        Ok(Box::new(Scatter {
            chooser,
            chosen: Vec::new(),
            buffers: (0..context.channels).map(|_| Batch::default()).collect(),
            buffered: 0,
            buffer_bytes: context.buffer_bytes.max(1),
        }))
    }

    fn decode(&self, bytes: &[u8]) -> Result<BoxedPayload, CodecError> {
        Ok(Batch::<T>::decode(bytes)?.boxed())
    }
}

struct PassOn;

impl Partitioner for PassOn {
    fn partition(&mut self, batch: BoxedPayload, sink: &mut dyn ChannelSink) -> FlowResult {
        sink.push(0, batch)
    }

    fn flush(&mut self, _: &mut dyn ChannelSink) -> FlowResult {
        Ok(())
    }

    fn is_empty(&self) -> bool {
        true
    }
}

struct Broadcast {
    channels: usize,
}

impl Partitioner for Broadcast {
    fn partition(&mut self, batch: BoxedPayload, sink: &mut dyn ChannelSink) -> FlowResult {
        for channel in 1..self.channels {
            sink.push(channel, batch.clone_payload())?;
        }
        sink.push(0, batch)
    }

    fn flush(&mut self, _: &mut dyn ChannelSink) -> FlowResult {
        Ok(())
    }

    fn is_empty(&self) -> bool {
        true
    }
}

struct RoundRobin {
    next: usize,
    channels: usize,
}

impl<T> ChannelChooser<T> for RoundRobin {
    fn choose(&mut self, values: &[T], channels: &mut Vec<u32>) -> FlowResult {
        channels.clear();
        for _ in values {
            channels.push(self.next as u32);
            self.next = if self.next + 1 == self.channels { 0 } else { self.next + 1 };
        }
        Ok(())
    }
}

/// The randomness is a function of the subtask, so that a run can be repeated.
struct AtRandom {
    state: u64,
    channels: usize,
}

impl<T> ChannelChooser<T> for AtRandom {
    fn choose(&mut self, values: &[T], channels: &mut Vec<u32>) -> FlowResult {
        channels.clear();
        for _ in values {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            channels.push((((self.state >> 32) * self.channels as u64) >> 32) as u32);
        }
        Ok(())
    }
}

/// Distributes records over the buffers of several channels.
struct Scatter<T> {
    chooser: Box<dyn ChannelChooser<T>>,
    chosen: Vec<u32>,
    buffers: Vec<Batch<T>>,
    buffered: usize,
    buffer_bytes: usize,
}

impl<T: Record> Partitioner for Scatter<T> {
    fn partition(&mut self, batch: BoxedPayload, sink: &mut dyn ChannelSink) -> FlowResult {
        let record_bytes = (batch.size_bytes() / batch.len().max(1)).max(1);
        let limit = (self.buffer_bytes / record_bytes).clamp(1, BUFFERED_RECORDS);
        let Batch { values, timestamps } = Batch::<T>::from_payload(batch)?;
        self.chooser.choose(&values, &mut self.chosen)?;
        if self.chosen.len() != values.len() {
            return Err(FlowError::user(format!(
                "the partitioner chose {} channels for {} records",
                self.chosen.len(),
                values.len()
            )));
        }
        // A first guess that suits even spread; a hot channel grows.
        let capacity = (values.len() / self.buffers.len() + 8).min(limit);
        let mut timestamps = timestamps.map(Vec::into_iter);
        for (value, channel) in values.into_iter().zip(&self.chosen) {
            let buffer = &mut self.buffers[*channel as usize];
            let timestamp = timestamps.as_mut().and_then(Iterator::next);
            if buffer.values.is_empty() {
                buffer.values.reserve(capacity);
                buffer.timestamps = timestamp.is_some().then(|| Vec::with_capacity(capacity));
            } else if buffer.timestamps.is_some() != timestamp.is_some() {
                let full = std::mem::take(buffer);
                self.buffered -= full.values.len();
                sink.push(*channel as usize, full.boxed())?;
                buffer.timestamps = timestamp.is_some().then(Vec::new);
            }
            buffer.values.push(value);
            if let (Some(all), Some(timestamp)) = (&mut buffer.timestamps, timestamp) {
                all.push(timestamp);
            }
            self.buffered += 1;
            if buffer.values.len() >= limit {
                let full = std::mem::take(buffer);
                self.buffered -= full.values.len();
                sink.push(*channel as usize, full.boxed())?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut dyn ChannelSink) -> FlowResult {
        for (channel, buffer) in self.buffers.iter_mut().enumerate() {
            if !buffer.values.is_empty() {
                sink.push(channel, std::mem::take(buffer).boxed())?;
            }
        }
        self.buffered = 0;
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.buffered == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Sink(Vec<Vec<u32>>);

    impl ChannelSink for Sink {
        fn push(&mut self, channel: usize, batch: BoxedPayload) -> FlowResult {
            self.0.resize(self.0.len().max(channel + 1), Vec::new());
            self.0[channel].extend(Batch::<u32>::from_payload(batch)?.values);
            Ok(())
        }
    }

    fn run(distribution: Distribution<u32>, channels: usize, values: Vec<u32>) -> Vec<Vec<u32>> {
        let context = PartitionContext {
            channels,
            subtask: 1,
            parallelism: 2,
            target_parallelism: channels as u32,
            target_max_parallelism: 128,
            buffer_bytes: 64,
        };
        let mut partitioner = TypedEdge::new(distribution).create_partitioner(&context).unwrap();
        let mut sink = Sink::default();
        for chunk in values.chunks(7) {
            partitioner.partition(Batch::new(chunk.to_vec()).boxed(), &mut sink).unwrap();
        }
        partitioner.flush(&mut sink).unwrap();
        assert!(partitioner.is_empty());
        sink.0.resize(channels, Vec::new());
        sink.0
    }

    #[test]
    fn every_strategy_reaches_the_right_channels() {
        let all: Vec<u32> = (0..100).collect();
        assert_eq!(run(Distribution::Single, 3, all.clone())[0], all);
        assert_eq!(run(Distribution::Broadcast, 3, all.clone()), vec![all.clone(); 3]);
        let turns = run(Distribution::RoundRobin, 3, (0..6).collect());
        assert_eq!(turns, [vec![2, 5], vec![0, 3], vec![1, 4]]);
        let random = run(Distribution::Shuffle, 3, all.clone());
        assert!(random.iter().all(|channel| channel.len() > 10));
        let custom = by_function(Arc::new(|values: &[u32], n, channels: &mut Vec<u32>| {
            channels.extend(values.iter().map(|v| v % n as u32));
        }));
        assert!(run(custom, 3, all.clone())[1].iter().all(|v| v % 3 == 1));
    }

    #[test]
    fn key_groups_decide_the_channel() {
        let all: Vec<u32> = (0..500).collect();
        let keyed = run(by_key_group(KeySelector::new(|v: &u32| v % 10)), 4, all);
        assert_eq!(keyed.iter().map(Vec::len).sum::<usize>(), 500);
        for (channel, values) in keyed.iter().enumerate() {
            for value in values {
                let hash = hurtig_types::stable_hash(&(value % 10), &mut Vec::new()).unwrap();
                let owner = operator_index_of(key_group_of(hash, 128), 4, 128);
                assert_eq!(owner as usize, channel);
            }
        }
    }

    #[test]
    fn a_custom_partitioner_that_leaves_the_range_is_an_error() {
        let wild = by_function(Arc::new(|values: &[u32], n, channels: &mut Vec<u32>| {
            channels.extend(values.iter().map(|_| n as u32));
        }));
        let context = PartitionContext {
            channels: 2,
            subtask: 0,
            parallelism: 1,
            target_parallelism: 2,
            target_max_parallelism: 128,
            buffer_bytes: 64,
        };
        let mut partitioner = TypedEdge::new(wild).create_partitioner(&context).unwrap();
        let batch = Batch::new(vec![1u32]).boxed();
        let error = partitioner.partition(batch, &mut Sink::default()).unwrap_err();
        assert!(error.to_string().contains("chose channel 2 of 2"));
    }
}
