//! Sales per shop and hour, written exactly once into files.
//!
//!     cargo run --release --example exactly_once_files -- --output DIR [--checkpoints DIR]
//!
//! A stream of made-up sales is summed per shop in windows of an hour of event time. The sums go
//! through the file sink into one directory per day, as lines `shop,hour,cents`. Half way through,
//! the job fails on purpose, as a machine might; it goes on from its last checkpoint. Whoever reads
//! `DIR` sees each line once: files become visible when the checkpoint that holds their end is
//! complete, and what was written behind the last checkpoint is cut off and written again.
//!
//! `DIR` may be a URL of an object store, if the library is built with it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use hurtig::{connectors::DataGeneratorSource, graph::RestartStrategyConfig, prelude::*};

/// A sale in a shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// Which shop.
    pub shop: u32,
    /// For how much.
    pub cents: u64,
}

/// What a shop took in an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourlySales {
    /// Which shop.
    pub shop: u32,
    /// First millisecond of the hour.
    pub hour: i64,
    /// The sum.
    pub cents: u64,
}

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// One sale each minute and a half.
pub const SALES: u64 = 40_000;

fn main() -> Result<(), BoxError> {
    let (env, parameters) = StreamExecutionEnvironment::from_args(std::env::args().skip(1))?;
    if let Some(directory) = parameters.get("checkpoints") {
        env.set_checkpoint_directory(directory);
    }
    let restarts = run(&env, parameters.required("output")?, true)?;
    println!("the job has failed {restarts} times, and each line is written once");
    Ok(())
}

/// The `n`th sale.
pub fn made_up_sale(n: u64) -> Sale {
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    Sale { time: n as i64 * 90_000, shop: (mixed % 11) as u32, cents: 100 + mixed % 10_000 }
}

/// Writes hourly sales below `output`; returns how often the job was restarted.
pub fn run(env: &StreamExecutionEnvironment, output: &str, fails: bool) -> Result<u32, BoxError> {
    env.enable_checkpointing(50);
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 10, delay_ms: 10 });

    let source = DataGeneratorSource::new(made_up_sale, Some(SALES), Some(40_000.0));
    let strategy = WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|sale: &Sale| sale.time);
    let sales = env.from_source(source, strategy, "Sales");
    let hourly = sales
        .map_with(Accident { still_to_come: Arc::new(AtomicBool::new(fails)), completed: 0 })
        .key_by(|sale| sale.shop)
        .window(TumblingEventTimeWindows::of(Duration::from_millis(HOUR_MS as u64)))
        .process(
            |shop: &u32,
             window: TimeWindow,
             sales: &[Sale],
             out: &mut Collector<'_, HourlySales>| {
                let cents = sales.iter().map(|sale| sale.cents).sum();
                out.collect(HourlySales { shop: *shop, hour: window.start, cents });
            },
        );

    let sink = FileSink::for_row_format(output, line)
        .with_bucket_assigner(day_of)
        .with_rolling_policy(DefaultRollingPolicy::new().with_max_part_size(64 << 10))
        .with_output_file_config(
            OutputFileConfig::new().with_part_prefix("sales").with_part_suffix(".csv"),
        );
    hourly.sink_to(sink).name("Files").uid("files");
    Ok(env.execute("hourly sales")?.restarts)
}

/// A line of the output.
fn line(sales: &HourlySales, out: &mut Vec<u8>) {
    let HourlySales { shop, hour, cents } = sales;
    out.extend_from_slice(format!("{shop},{hour},{cents}\n").as_bytes());
}

/// One directory per day of event time.
fn day_of(sales: &HourlySales, _: &BucketContext, bucket: &mut String) {
    bucket.push_str(&format!("day={:03}", sales.hour.div_euclid(DAY_MS)));
}

/// Fails once, when a few checkpoints are complete.
#[derive(Clone)]
struct Accident {
    still_to_come: Arc<AtomicBool>,
    completed: u32,
}

impl MapFunction<Sale, Sale> for Accident {
    fn map(&mut self, sale: Sale) -> Result<Sale, BoxError> {
        if self.completed >= 3 && self.still_to_come.swap(false, SeqCst) {
            return Err("an accident".into());
        }
        Ok(sale)
    }

    fn notify_checkpoint_complete(&mut self, _: CheckpointId) -> Result<(), BoxError> {
        self.completed += 1;
        Ok(())
    }
}
