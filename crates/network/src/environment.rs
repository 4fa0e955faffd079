//! The network stack of one TaskExecutor, as tasks use it.

use std::{io, sync::Arc};

use hurtig_cluster_api::PeerAddress;
use hurtig_env::{Runtimes, Signal};
use hurtig_operator_api::EdgeFactory;
use hurtig_types::{ResourceId, ResultPartitionId};
use parking_lot::Mutex;

use crate::{
    NetworkConfig, ResultPartition,
    budget::Budget,
    connection::Receiver,
    credit::ReceiverCredits,
    gate::{Channel, ChannelSpec, GateShared, InputGate, RemoteQueue},
    manager::Manager,
    partition::PartitionShared,
    registry::Requested,
    subpartition::Consumer,
    transport::Transport,
};

/// Why the network stack could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// It cannot listen for peers.
    #[error("cannot listen for other TaskExecutors")]
    Listen(#[source] io::Error),
    /// The partition exists.
    #[error("partition {0} exists already")]
    DuplicatePartition(ResultPartitionId),
    /// A consumer cannot be attached.
    #[error("{0}")]
    Refused(String),
}

/// How much memory is in use for records in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkUsage {
    /// Bytes in use now.
    pub used_bytes: usize,
    /// Most bytes ever in use.
    pub peak_bytes: usize,
    /// The configured bound.
    pub total_bytes: usize,
    /// Peers with a connection.
    pub connections: usize,
}

/// The network stack of one TaskExecutor. Cloning is cheap.
#[derive(Clone)]
pub struct NetworkEnvironment {
    address: PeerAddress,
    config: NetworkConfig,
    budget: Arc<Budget>,
    manager: Arc<Manager>,
}

impl NetworkEnvironment {
    /// Starts to listen for peers.
    pub async fn start(
        resource: ResourceId,
        config: NetworkConfig,
        runtimes: Runtimes,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, NetworkError> {
        let budget = Budget::new(config.total_bytes);
        // Sockets belong to the control executor, whoever calls.
        let control = runtimes.control.clone();
        let listening = transport.clone();
        let listener = control
            .spawn(async move { listening.listen().await })
            .await
            .map_err(|e| NetworkError::Listen(io::Error::other(e)))?
            .map_err(NetworkError::Listen)?;
        let address = PeerAddress { resource, address: listener.address() };
        let manager = Manager::new(resource, config.clone(), runtimes, transport, budget.clone());
        manager.listen(listener);
        Ok(Self { address, config, budget, manager })
    }

    /// Where peers reach it.
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// Its settings.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Registers a partition of `subpartitions` queues. `signal` is posted when it becomes
    /// available again and when all of it was consumed.
    pub fn create_partition(
        &self,
        id: ResultPartitionId,
        subpartitions: usize,
        signal: Signal,
    ) -> Result<ResultPartition, NetworkError> {
        let config = &self.config;
        let buffers = subpartitions * config.buffers_per_channel + config.floating_buffers_per_gate;
        let share = self.budget.join(config.buffer_bytes, buffers * config.buffer_bytes);
        let shared = PartitionShared::new(id, subpartitions, signal, share);
        if !self.manager.registry.register(&shared) {
            return Err(NetworkError::DuplicatePartition(id));
        }
        Ok(ResultPartition::new(shared, self.manager.registry.clone()))
    }

    /// Opens a gate over channels and asks their producers for records. `signal` is posted when
    /// something arrives.
    pub fn create_gate(
        &self,
        channels: Vec<ChannelSpec>,
        decoder: Arc<dyn EdgeFactory>,
        signal: Signal,
    ) -> Result<InputGate, NetworkError> {
        let config = &self.config;
        let remote = |c: &&ChannelSpec| c.producer.resource != self.address.resource;
        let remotes = channels.iter().filter(remote).count();
        let most = remotes * config.buffers_per_channel + config.floating_buffers_per_gate;
        let share = self.budget.join(config.buffer_bytes, most * config.buffer_bytes);
        // Every channel has the same exclusive credit; what the gate's share of the budget does
        // not give is saved there first.
        let floating = config.floating_buffers_per_gate * config.buffer_bytes;
        let for_channels = share.limit_bytes().saturating_sub(floating) / remotes.max(1);
        let exclusive = for_channels.clamp(1024, config.buffers_per_channel * config.buffer_bytes);
        let floating = floating.min(share.limit_bytes() / 2);
        let credits = ReceiverCredits::new(channels.len(), exclusive, floating);
        let credits = Arc::new(Mutex::new(credits));
        let shared = GateShared::new(channels.len(), signal);
        let mut opened = Vec::with_capacity(channels.len());
        for (index, spec) in channels.into_iter().enumerate() {
            let channel = index as u32;
            if spec.producer.resource == self.address.resource {
                let consumer = Consumer::Local { gate: shared.clone(), channel };
                match self.manager.registry.request(spec.partition, spec.subpartition, consumer) {
                    Requested::Attached => {}
                    Requested::Waiting(ticket) => {
                        self.manager.expire_later(spec.partition, ticket);
                    }
                    Requested::Refused(reason) => return Err(NetworkError::Refused(reason)),
                }
                opened.push(Channel::Local { subpartition: spec.subpartition });
                continue;
            }
            let connection = self.manager.connection_to(&spec.producer);
            let queue = Arc::new(RemoteQueue::default());
            let initial = credits.lock().initial_bytes();
            let number = connection.request(
                spec.partition,
                spec.subpartition,
                initial,
                Receiver {
                    gate: shared.clone(),
                    index: channel,
                    queue: queue.clone(),
                    credits: credits.clone(),
                    sequence: 0,
                },
            );
            opened.push(Channel::Remote { connection, number, queue });
        }
        Ok(InputGate::new(shared, opened, credits, share, decoder))
    }

    /// Memory in use.
    pub fn usage(&self) -> NetworkUsage {
        NetworkUsage {
            used_bytes: self.budget.used_bytes(),
            peak_bytes: self.budget.peak_bytes(),
            total_bytes: self.budget.total_bytes(),
            connections: self.manager.connection_count(),
        }
    }

    /// Ends all connections; their channels fail.
    pub fn shutdown(&self) {
        self.manager.stop();
    }
}
