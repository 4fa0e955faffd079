//! How full partitions and gates are, for metrics. A probe keeps nothing alive and costs nothing
//! until somebody asks; then it looks at every queue once.

use std::sync::{Arc, Weak};

use crate::{
    budget::BudgetShare,
    gate::{Channel, GateShared},
    partition::PartitionShared,
};

/// A view of a result partition.
#[derive(Clone)]
pub struct PartitionProbe(Weak<PartitionShared>);

impl PartitionProbe {
    pub(crate) fn new(shared: &Arc<PartitionShared>) -> Self {
        Self(Arc::downgrade(shared))
    }

    /// Elements that wait to be read.
    pub fn queue_length(&self) -> usize {
        self.0.upgrade().map_or(0, |partition| partition.queue_length())
    }

    /// The share of the partition's memory that is in use. More than 1 for a batch at a time.
    pub fn pool_usage(&self) -> f64 {
        self.0.upgrade().map_or(0.0, |partition| partition.usage())
    }
}

/// A view of an input gate.
#[derive(Clone)]
pub struct GateProbe {
    shared: Weak<GateShared>,
    channels: Weak<[Channel]>,
    share: Weak<BudgetShare>,
}

impl GateProbe {
    pub(crate) fn new(
        shared: &Arc<GateShared>,
        channels: &Arc<[Channel]>,
        share: &Arc<BudgetShare>,
    ) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            channels: Arc::downgrade(channels),
            share: Arc::downgrade(share),
        }
    }

    /// Elements that wait to be read: those that have come from other processes, and those in the
    /// partitions of this one.
    pub fn queue_length(&self) -> usize {
        let (Some(shared), Some(channels)) = (self.shared.upgrade(), self.channels.upgrade())
        else {
            return 0;
        };
        let lengths = channels.iter().zip(&shared.local).map(|(channel, local)| match channel {
            Channel::Remote { queue, .. } => queue.queued().0,
            Channel::Local { subpartition } => local
                .get()
                .and_then(|partition| partition.subpartitions.get(*subpartition))
                .map_or(0, |queue| queue.queue_length()),
        });
        lengths.sum()
    }

    /// The share of the gate's memory, which is for what comes from other processes, in use.
    pub fn pool_usage(&self) -> f64 {
        let (Some(channels), Some(share)) = (self.channels.upgrade(), self.share.upgrade()) else {
            return 0.0;
        };
        let bytes = channels.iter().map(|channel| match channel {
            Channel::Remote { queue, .. } => queue.queued().1,
            Channel::Local { .. } => 0,
        });
        bytes.sum::<usize>() as f64 / share.limit_bytes().max(1) as f64
    }
}
