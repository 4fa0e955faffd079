//! The partitions of a TaskExecutor, and the consumers that asked for one before it was there.
//!
//! A consumer that gives up while it waits stays in the table until its request expires or the
//! partition comes: then the subpartition is released, as if the consumer had left a moment later.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use hurtig_types::ResultPartitionId;
use parking_lot::Mutex;

use crate::{buffers::BufferPool, partition::PartitionShared, subpartition::Consumer};

/// Most consumers that may wait for partitions that do not exist yet.
const MAX_WAITING: usize = 1 << 20;

struct Waiting {
    ticket: u64,
    subpartition: usize,
    consumer: Consumer,
}

#[derive(Default)]
struct State {
    partitions: HashMap<ResultPartitionId, Arc<PartitionShared>>,
    waiting: HashMap<ResultPartitionId, Vec<Waiting>>,
    waiting_count: usize,
}

/// What became of a request.
pub(crate) enum Requested {
    /// The consumer is attached.
    Attached,
    /// It will be, when the partition is registered; the ticket cancels the wait.
    Waiting(u64),
    /// It cannot be.
    Refused(String),
}

pub(crate) struct Registry {
    state: Mutex<State>,
    next_ticket: AtomicU64,
    pub(crate) buffers: BufferPool,
}

fn attach(
    partition: &Arc<PartitionShared>,
    subpartition: usize,
    consumer: Consumer,
) -> Result<(), String> {
    let Some(target) = partition.subpartitions.get(subpartition) else {
        return Err(format!(
            "partition {} has {} subpartitions, number {subpartition} was asked for",
            partition.id,
            partition.subpartitions.len()
        ));
    };
    if !target.claim(consumer.clone()) {
        return Err(format!(
            "subpartition {subpartition} of {} has a consumer already, or its producer is gone",
            partition.id
        ));
    }
    // The consumer must know the partition before it is told that there is something to take.
    let wanted = match &consumer {
        Consumer::Local { gate, channel } => gate.set_partition(*channel, partition.clone()),
        Consumer::Remote { connection, channel } => {
            connection.set_partition(*channel, partition.clone(), subpartition)
        }
        Consumer::Unknown | Consumer::Gone => false,
    };
    if wanted {
        target.start();
    } else {
        // It gave up while it waited.
        partition.release(subpartition);
    }
    Ok(())
}

fn fail(consumer: &Consumer, reason: String) {
    match consumer {
        Consumer::Local { gate, .. } => gate.fail(reason),
        Consumer::Remote { connection, channel } => connection.fail_sender(*channel, reason),
        Consumer::Unknown | Consumer::Gone => {}
    }
}

impl Registry {
    pub(crate) fn new(buffer_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            next_ticket: AtomicU64::new(0),
            buffers: BufferPool::new(buffer_bytes),
        }
    }

    /// Registers a partition and attaches those that wait for it; false if the id is taken.
    pub(crate) fn register(&self, partition: &Arc<PartitionShared>) -> bool {
        let waiting = {
            let mut state = self.state.lock();
            if state.partitions.contains_key(&partition.id) {
                return false;
            }
            state.partitions.insert(partition.id, partition.clone());
            let waiting = state.waiting.remove(&partition.id).unwrap_or_default();
            state.waiting_count -= waiting.len();
            waiting
        };
        for one in waiting {
            if let Err(reason) = attach(partition, one.subpartition, one.consumer.clone()) {
                fail(&one.consumer, reason);
            }
        }
        true
    }

    pub(crate) fn unregister(&self, id: ResultPartitionId) {
        self.state.lock().partitions.remove(&id);
    }

    /// Attaches a consumer, now or when the partition is registered.
    pub(crate) fn request(
        &self,
        id: ResultPartitionId,
        subpartition: usize,
        consumer: Consumer,
    ) -> Requested {
        let partition = {
            let mut state = self.state.lock();
            match state.partitions.get(&id) {
                Some(partition) => partition.clone(),
                None if state.waiting_count >= MAX_WAITING => {
                    return Requested::Refused("too many requests for unknown partitions".into());
                }
                None => {
                    let ticket = self.next_ticket.fetch_add(1, Relaxed);
                    let waiting = Waiting { ticket, subpartition, consumer };
                    state.waiting.entry(id).or_default().push(waiting);
                    state.waiting_count += 1;
                    return Requested::Waiting(ticket);
                }
            }
        };
        match attach(&partition, subpartition, consumer) {
            Ok(()) => Requested::Attached,
            Err(reason) => Requested::Refused(reason),
        }
    }

    /// Gives up waiting: the consumer fails if it still waits.
    pub(crate) fn expire(&self, id: ResultPartitionId, ticket: u64, reason: &str) {
        if let Some(one) = self.take_waiting(id, ticket) {
            fail(&one.consumer, reason.to_owned());
        }
    }

    fn take_waiting(&self, id: ResultPartitionId, ticket: u64) -> Option<Waiting> {
        let mut state = self.state.lock();
        let waiting = state.waiting.get_mut(&id)?;
        let index = waiting.iter().position(|one| one.ticket == ticket)?;
        let one = waiting.swap_remove(index);
        if waiting.is_empty() {
            state.waiting.remove(&id);
        }
        state.waiting_count -= 1;
        Some(one)
    }
}
