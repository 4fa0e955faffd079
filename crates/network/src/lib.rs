//! The network stack of a TaskExecutor.
//!
//! ```text
//! producing task                                        consuming task
//! ResultPartition                                       InputGate
//!   Subpartition (queue) ---- local: by pointer ------>   channel
//!   Subpartition (queue) -- encoded --> Connection ===TCP=== Connection --> channel (queue)
//! ```
//! - A batch is the buffer: budgets and credits count bytes.
//! - [`ResultPartition::push`] never blocks. A task asks [`ResultPartition::is_available`] before it
//!   takes more input and is signalled when that changes; it overdraws by at most what one input
//!   batch turns into.
//! - All channels between two TaskExecutors share one connection. Each has credits of its own
//!   ([`credit`]), so a slow consumer stops only its own channel. Control elements keep their order
//!   with the records but need no credit.
//!
//! Invariants: elements of a channel arrive in order, exactly once, or the channel fails; memory is
//! bounded by [`NetworkConfig::total_bytes`] plus one batch per channel, and by a fixed amount for
//! every connection and for the pool of buffers.

pub mod budget;
mod buffers;
pub mod config;
pub mod connection;
pub mod credit;
pub mod environment;
pub mod frame;
pub mod gate;
mod handshake;
pub mod in_flight;
mod manager;
pub mod partition;
pub mod probe;
mod registry;
mod subpartition;
pub mod transport;

pub use config::NetworkConfig;
pub use environment::{NetworkEnvironment, NetworkError, NetworkUsage};
pub use gate::{Announced, ChannelSpec, InputGate};
pub use partition::ResultPartition;
pub use probe::{GateProbe, PartitionProbe};
pub use transport::{
    BoxedStream, Listener, MemoryTransport, TcpTransport, TlsTransport, Transport,
};
