//! Settings of the network stack.

use std::time::Duration;

/// Sizes and limits; the defaults are Flink's where Flink has the setting.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Memory for records in flight, in bytes (`taskmanager.memory.network.max`).
    pub total_bytes: usize,
    /// Target size of a batch that leaves a task, in bytes (`taskmanager.memory.segment-size`).
    pub buffer_bytes: usize,
    /// Credit of a channel, in buffers (`taskmanager.network.memory.buffers-per-channel`).
    pub buffers_per_channel: usize,
    /// Credit that the channels of a gate share, in buffers
    /// (`taskmanager.network.memory.floating-buffers-per-gate`).
    pub floating_buffers_per_gate: usize,
    /// How long a consumer waits for a partition that its producer has not registered yet.
    pub partition_request_timeout: Duration,
    /// Largest frame that is accepted from a peer, in bytes.
    pub max_frame_bytes: usize,
    /// How often connecting to a peer is tried.
    pub connect_attempts: u32,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            total_bytes: 64 << 20,
            buffer_bytes: 32 << 10,
            buffers_per_channel: 2,
            floating_buffers_per_gate: 8,
            partition_request_timeout: Duration::from_secs(10),
            max_frame_bytes: 256 << 20,
            connect_attempts: 10,
        }
    }
}
