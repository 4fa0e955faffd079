//! Clicks per page in sliding windows.
//!
//!     cargo run --release --example windowed_click_counts -- --input clicks.csv
//!
//! A line of input is `time,user,page`, the time in milliseconds since the Unix epoch. Clicks may
//! come up to five seconds out of order; what comes later is shown as late. Every ten seconds of
//! event time each page's clicks in the last minute are printed. Without `--input` a few clicks
//! made up for the purpose are counted.

use hurtig::{
    connectors::{PrintSink, TextFileSource},
    prelude::*,
};

/// A click of a user on a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Click {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// Who.
    pub user: String,
    /// Where.
    pub page: String,
}

/// Clicks of a page in a window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PageCount {
    /// First millisecond after the window.
    pub window_end: i64,
    /// The page.
    pub page: String,
    /// Its clicks.
    pub clicks: u64,
}

/// Counts clicks.
#[derive(Clone)]
struct Count;

impl AggregateFunction<Click> for Count {
    type Accumulator = u64;
    type Output = u64;

    fn create_accumulator(&self) -> u64 {
        0
    }

    fn add(&self, count: &mut u64, _: &Click) {
        *count += 1;
    }

    fn result(&self, count: &u64) -> u64 {
        *count
    }

    fn merge(&self, count: &mut u64, other: &u64) {
        *count += other;
    }
}

/// The counts, and the clicks that came too late for all their windows.
pub fn click_counts(clicks: &DataStream<Click>) -> (DataStream<PageCount>, DataStream<Click>) {
    let late = OutputTag::new("late");
    let counts = clicks
        .assign_timestamps_and_watermarks(
            WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(5))
                .with_timestamp_assigner(|click: &Click| click.time),
        )
        .key_by(|click| click.page.clone())
        .window(SlidingEventTimeWindows::of(Duration::from_secs(60), Duration::from_secs(10)))
        .side_output_late_data(&late)
        .aggregate_with(
            Count,
            |page: &String, window: TimeWindow, clicks: u64, out: &mut Collector<'_, PageCount>| {
                out.collect(PageCount { window_end: window.end, page: page.clone(), clicks });
            },
        );
    let late = counts.side_output(&late);
    (counts, late)
}

/// One line of input.
pub fn parse_click(line: &str) -> Result<Click, BoxError> {
    let mut fields = line.splitn(3, ',');
    match (fields.next(), fields.next(), fields.next()) {
        (Some(time), Some(user), Some(page)) => {
            let time = time.trim().parse();
            let time = time.map_err(|error| format!("no time in {line:?}: {error}"))?;
            Ok(Click { time, user: user.trim().to_owned(), page: page.trim().to_owned() })
        }
        _ => Err(format!("expected time,user,page, found {line:?}").into()),
    }
}

fn main() -> Result<(), BoxError> {
    let parameters = ParameterTool::from_env()?;
    let env = StreamExecutionEnvironment::new();
    parameters.apply_to(&env)?;
    let clicks = match parameters.get("input") {
        Some(path) => env
            .from_source(
                TextFileSource::new(path),
                WatermarkStrategy::no_watermarks(),
                "Text files",
            )
            .try_map(|line: String| parse_click(&line)),
        None => env.from_collection(made_up_clicks()),
    };
    let (counts, late) = click_counts(&clicks);
    counts
        .map(|count| format!("{} {} {}", count.window_end, count.page, count.clicks))
        .sink_to(PrintSink::display());
    late.map(|click| format!("late: {} {}", click.time, click.page)).sink_to(PrintSink::display());
    env.execute("windowed click counts")?;
    Ok(())
}

/// Two users who look around for some minutes.
pub fn made_up_clicks() -> Vec<Click> {
    let pages = ["/", "/shop", "/shop/boots", "/", "/about", "/shop"];
    let clicks = (0..60).map(|n: i64| Click {
        time: n * 4_000 - (n % 3) * 1_500,
        user: ["anna", "bo"][n.unsigned_abs() as usize % 2].to_owned(),
        page: pages[n.unsigned_abs() as usize % pages.len()].to_owned(),
    });
    clicks.collect()
}
