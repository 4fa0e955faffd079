//! The job that the cluster runs: numbers, summed up by key in state, each of which is told to the
//! benchmark by a datagram.
//!
//! This program is the job's binary, too: `hurtig-bench cluster-job ...` is its `main`.

use std::net::UdpSocket;

use hurtig::{
    connectors::{BlackHoleSink, DataGeneratorSource},
    graph::RestartStrategyConfig,
    prelude::*,
};

/// The accumulator that counts what the sinks got.
pub const COUNTED: &str = "counted";

/// Keys of the state.
const KEYS: u64 = 1000;

/// What is told of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Attempt of the task.
    pub attempt: u32,
    /// Its index.
    pub subtask: u32,
    /// The TaskManager: the parent of the task's process.
    pub task_manager: u32,
    /// How often the key of the record has come.
    pub count: u32,
}

impl Told {
    /// Length of a datagram.
    pub const BYTES: usize = 16;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let fields = [self.attempt, self.subtask, self.task_manager, self.count];
        let mut bytes = [0; Self::BYTES];
        for (place, field) in bytes.chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// Reads a datagram.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let field = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self { attempt: field(0), subtask: field(4), task_manager: field(8), count: field(12) }
    }
}

/// Tells of every record, and counts it.
#[derive(Clone)]
struct Teller {
    to: Option<String>,
    socket: Option<std::sync::Arc<UdpSocket>>,
    context: Option<RuntimeContext>,
}

impl MapFunction<(u64, u32), u64> for Teller {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        if let Some(to) = &self.to {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(to)?;
            self.socket = Some(std::sync::Arc::new(socket));
        }
        self.context = Some(context.clone());
        Ok(())
    }

    fn map(&mut self, (key, count): (u64, u32)) -> Result<u64, BoxError> {
        let context = self.context.as_ref().ok_or("it was not opened")?;
        context.add_to_counter(COUNTED, 1)?;
        if let Some(socket) = &self.socket {
            let told = Told {
                attempt: context.attempt(),
                subtask: context.subtask(),
                task_manager: std::os::unix::process::parent_id(),
                count,
            };
            // A benchmark that has ended listens no more.
            let _ = socket.send(&told.to_bytes());
        }
        Ok(key)
    }
}

/// The program.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let env = StreamExecutionEnvironment::new();
    let rate: f64 = parameters.parse_or("rate", 0.0)?;
    let records: u64 = parameters.parse_or("records", u64::MAX)?;
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 100, delay_ms: 0 });
    if let Some(directory) = parameters.get("checkpoints") {
        env.set_checkpoint_directory(directory).enable_checkpointing(200);
    }
    let source = DataGeneratorSource::new(
        |n| n,
        (records != u64::MAX).then_some(records),
        (rate > 0.0).then_some(rate),
    );
    let numbers = env.from_source(source, WatermarkStrategy::no_watermarks(), "Numbers");
    let numbers = numbers.uid("numbers").slot_sharing_group("numbers");
    let counts = numbers
        .map(|n| (n % KEYS, 1_u32))
        .key_by(|(key, _)| *key)
        .reduce(|sum, (_, one)| sum.1 += one)
        .uid("counts");
    let counts = match parameters.get("apart") {
        Some(_) => counts.slot_sharing_group("counts"),
        None => counts.slot_sharing_group("numbers"),
    };
    let to = parameters.get("tell").map(str::to_owned);
    counts.map_with(Teller { to, socket: None, context: None }).sink_to(BlackHoleSink::default());
    env.execute("numbers")?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let told = Told { attempt: 1, subtask: 2, task_manager: u32::MAX, count: 1 << 20 };
        assert_eq!(Told::from_bytes(told.to_bytes()), told);
    }
}
