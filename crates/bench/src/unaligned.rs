//! Checkpoints while records hardly move: the sink takes so little that what is in flight would
//! need seconds to drain. An aligned barrier waits for all of that, an unaligned one for none.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use compact_str::CompactString;
use hurtig::{
    Batch, ParameterTool,
    connector::{Sink, SinkWriter, WriterContext},
    connectors::DataGeneratorSource,
    prelude::*,
};
use serde_json::json;

use crate::job::{CheckpointDirectory, RunningJob, bytes_or, mb, ms, pass};

/// Bytes of the text of a record.
const TEXT_BYTES: usize = 100;

/// Runs the benchmark.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let network_bytes = bytes_or(parameters, "network-bytes", 4_000_000)?;
    let drain_ms: u64 = parameters.parse_or("drain-ms", 10_000)?;
    let as_json = parameters.get("json").is_some();
    for unaligned in [true, false] {
        let directory = CheckpointDirectory::new(parameters.get("directory"))?;
        let config = CheckpointConfig { unaligned, ..CheckpointConfig::default() };
        let env = StreamExecutionEnvironment::new();
        env.set_checkpoint_config(config).set_checkpoint_directory(directory.url());
        env.set_network_memory_bytes(network_bytes as usize);
        let bytes_per_s = Arc::default();
        build(&env, &bytes_per_s);
        let job = RunningJob::start(&env, "unaligned")?;
        stands_still(&job);
        let in_flight = job.in_flight_bytes() as u64;
        bytes_per_s.store((in_flight * 1000 / drain_ms.max(1)).max(1), Relaxed);
        let (stats, took) = job.checkpoint()?;
        let kind = if unaligned { "unaligned" } else { "aligned" };
        let persisted = stats.totals.persisted_bytes;
        if as_json {
            let line = json!({
                "kind": kind, "took_ms": ms(took), "in_flight_bytes": in_flight,
                "persisted_bytes": persisted,
            });
            println!("{line}");
        } else {
            println!(
                "{kind:<10} {:>9.1} ms; in flight: {:.2} MB, of which written: {:.2} MB",
                ms(took),
                mb(in_flight),
                mb(persisted)
            );
        }
    }
    Ok(true)
}

/// Source, two shuffles, and the slow sink.
fn build(env: &StreamExecutionEnvironment, bytes_per_s: &Arc<AtomicU64>) {
    let text = |index: u64| (index, CompactString::from(format!("{index:0>TEXT_BYTES$}")));
    let source = DataGeneratorSource::new(text, None, None);
    env.from_source(source, WatermarkStrategy::no_watermarks(), "Texts")
        .rebalance()
        .map(|record| record)
        .rebalance()
        .sink_to(SlowSink { bytes_per_s: bytes_per_s.clone() });
}

/// Waits until no more records go into flight.
fn stands_still(job: &RunningJob) {
    let (mut most, mut since) = (0, Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        let now = job.in_flight_bytes();
        if now > most {
            (most, since) = (now, Instant::now());
        }
        pass(Duration::from_millis(10));
    }
}

/// Takes nothing while it is told no speed.
struct SlowSink {
    bytes_per_s: Arc<AtomicU64>,
}

struct SlowWriter {
    bytes_per_s: Arc<AtomicU64>,
    context: WriterContext,
    /// When the next batch may come, in milliseconds of wall time.
    next_ms: i64,
}

impl Sink for SlowSink {
    type Input = (u64, CompactString);
    type Committable = ();

    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<Self::Input, ()>>, BoxError> {
        Ok(Box::new(SlowWriter { bytes_per_s: self.bytes_per_s.clone(), context, next_ms: 0 }))
    }
}

impl SinkWriter<(u64, CompactString), ()> for SlowWriter {
    fn write(&mut self, batch: Batch<(u64, CompactString)>) -> Result<(), BoxError> {
        let size = |(_, text): &(u64, CompactString)| text.len() + size_of::<u64>();
        let bytes: usize = batch.values.iter().map(size).sum();
        let cost_ms = bytes as u64 * 1000 / self.bytes_per_s.load(Relaxed).max(1);
        self.next_ms = self.context.clock.now_ms() + cost_ms as i64;
        Ok(())
    }

    fn flush(&mut self, _: bool) -> Result<(), BoxError> {
        Ok(())
    }

    fn is_available(&self) -> bool {
        self.bytes_per_s.load(Relaxed) > 0 && self.context.clock.now_ms() >= self.next_ms
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        let look_again_ms = self.context.clock.now_ms() + 10;
        (!self.is_available()).then_some(self.next_ms.max(look_again_ms))
    }
}
