//! The network stack of one TaskExecutor, as tasks use it.

use std::{io, sync::Arc};

use hurtig_cluster_api::PeerAddress;
use hurtig_env::{Runtimes, Signal};
use hurtig_operator_api::EdgeFactory;
use hurtig_types::{ResourceId, ResultPartitionId};
use parking_lot::Mutex;

use crate::{
    NetworkConfig, ResultPartition,
    budget::{Budget, Waiter},
    connection::Receiver,
    credit::ReceiverCredits,
    gate::{Channel, ChannelSpec, Floating, GateShared, InputGate, RemoteQueue},
    manager::{Manager, max_batch_bytes},
    partition::PartitionShared,
    registry::Requested,
    subpartition::Consumer,
    transport::Transport,
};

/// Least credit of a channel, however small the gate's share is.
const MIN_EXCLUSIVE_BYTES: usize = 1024;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
        let manager =
            Manager::new(address.clone(), config.clone(), runtimes, transport, budget.clone());
        manager.listen(listener);
        manager.watch_expiries();
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
        let waiter = Waiter::new(signal);
        let share = self.budget.join(
            config.buffer_bytes,
            buffers * config.buffer_bytes,
            Some(waiter.clone()),
        );
        let shared = PartitionShared::new(id, subpartitions, waiter, share);
        if !self.manager.registry.register(&shared) {
            return Err(NetworkError::DuplicatePartition(id));
        }
        Ok(ResultPartition::new(shared, self.manager.registry.clone(), max_batch_bytes(config)))
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
        let is_local = |c: &ChannelSpec| c.producer.resource == self.address.resource;
        let remotes = channels.iter().filter(|c| !is_local(c)).count();
        let most = remotes * config.buffers_per_channel + config.floating_buffers_per_gate;
        let share = self.budget.join(config.buffer_bytes, most * config.buffer_bytes, None);
        let (exclusive, floating) = self.divide(share.limit_bytes(), remotes);
        let now = floating.within(share.limit_bytes());
        let credits = ReceiverCredits::new(channels.len(), exclusive, now);
        let credits = Arc::new(Mutex::new(credits));
        let shared = GateShared::new(channels.len(), signal);
        let mut opened = Vec::with_capacity(channels.len());
        let mut refused = None;
        for (index, spec) in channels.into_iter().enumerate() {
            let channel = if is_local(&spec) {
                self.open_local(&shared, index as u32, &spec)
            } else {
                Ok(self.open_remote(&shared, &credits, index as u32, &spec))
            };
            match channel {
                Ok(channel) => opened.push(channel),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let registry = self.manager.registry.clone();
        // A gate that was refused half-way is dropped, which gives up the channels it has.
        let gate = InputGate::new(shared, opened, credits, floating, share, registry, decoder);
        refused.map_or(Ok(gate), Err)
    }

    /// Divides a gate's share: the exclusive credit of each remote channel, the same for all, and
    /// the floating credit of the gate. What the share does not give is saved at the first.
    fn divide(&self, limit_bytes: usize, remotes: usize) -> (usize, Floating) {
        let config = &self.config;
        let max_floating = config.floating_buffers_per_gate * config.buffer_bytes;
        let for_channels = limit_bytes.saturating_sub(max_floating) / remotes.max(1);
        let most = (config.buffers_per_channel * config.buffer_bytes).max(1);
        let exclusive = for_channels.clamp(MIN_EXCLUSIVE_BYTES.min(most), most);
        let floating = Floating { exclusive_bytes: exclusive * remotes, max_bytes: max_floating };
        (exclusive, floating)
    }

    fn open_local(
        &self,
        gate: &Arc<GateShared>,
        channel: u32,
        spec: &ChannelSpec,
    ) -> Result<Channel, NetworkError> {
        let gate = gate.clone();
        let consumer = Consumer::Local { gate, channel };
        let subpartition = spec.subpartition;
        let registry = &self.manager.registry;
        match registry.request(spec.partition, subpartition, consumer) {
            Requested::Attached => {}
            Requested::Waiting(ticket) => self.manager.expire_later(spec.partition, ticket),
            Requested::Refused(reason) => return Err(NetworkError::Refused(reason)),
        }
        Ok(Channel::Local { subpartition })
    }

    fn open_remote(
        &self,
        gate: &Arc<GateShared>,
        credits: &Arc<Mutex<ReceiverCredits>>,
        index: u32,
        spec: &ChannelSpec,
    ) -> Channel {
        let connection = self.manager.connection_to(&spec.producer);
        let queue = Arc::new(RemoteQueue::default());
        let receiver = Receiver {
            gate: gate.clone(),
            index,
            queue: queue.clone(),
            credits: credits.clone(),
            sequence: 0,
        };
        let credit_bytes = credits.lock().initial_bytes();
        let number = connection.request(spec.partition, spec.subpartition, credit_bytes, receiver);
        Channel::Remote { connection, number, queue }
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
