//! Options of calls between processes. Flink's keys bear the name of the library that it uses.

use std::time::Duration;

use crate::{option::options, value::MemorySize};

options! {
    /// How long a process waits for another's answer, unless what it asks for waits by nature.
    Effective ASK_TIMEOUT: Duration = "pekko.ask.timeout", default "10 s";

    /// How long making a connection to another process may take.
    Effective TCP_TIMEOUT: Duration = "pekko.tcp.timeout", default "20 s";

    /// Longest message between processes. Longer ones are refused, so it must have room for the
    /// largest graph of a job, and for what one task tells of its state.
    Effective FRAMESIZE: MemorySize = "pekko.framesize", default "10 mb";

    /// Milliseconds for which a process is not dialled again after a connection to it broke or
    /// could not be made; doubled by each failure, up to a second.
    Effective RETRY_GATE_CLOSED_FOR: u64 = "pekko.retry-gate-closed-for", default "50";
}
