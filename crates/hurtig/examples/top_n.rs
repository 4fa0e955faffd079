//! The pages with the most clicks per window.
//!
//!     cargo run --release --example top_n -- --input clicks.csv --n 3
//!
//! A line of input is `time,page`, the time in milliseconds since the Unix epoch, at most five
//! seconds out of order. For every minute the `n` most clicked pages are printed. Without `--input`
//! clicks are made up.
//!
//! Two steps: counts per page and window, in parallel; then all counts of one window meet at one
//! subtask, which keeps them until the watermark says that there are no more, and sorts.

use std::cmp::Reverse;

use hurtig::{
    connectors::{PrintSink, TextFileSource},
    prelude::*,
};

const MINUTE: Duration = Duration::from_secs(60);

/// A click: its time and page.
pub type Click = (i64, String);

/// A page's place in a window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// First millisecond after the window.
    pub window_end: i64,
    /// From 1.
    pub rank: usize,
    /// The page.
    pub page: String,
    /// Its clicks.
    pub clicks: u64,
}

/// Keeps the counts of a window until it is complete.
#[derive(Clone)]
struct Top {
    n: usize,
    counts: Option<ListState<(String, u64)>>,
}

impl KeyedProcessFunction<i64, (String, TimeWindow, u64), Place> for Top {
    fn open(&mut self, context: &mut OpenContext<'_, i64>) -> Result<(), BoxError> {
        let counts = ListStateDescriptor::new("counts");
        self.counts = Some(context.state.list_state(&counts)?);
        Ok(())
    }

    fn process(
        &mut self,
        (page, window, clicks): (String, TimeWindow, u64),
        context: &mut KeyedContext<'_, i64>,
        _: &mut Collector<'_, Place>,
    ) -> Result<(), BoxError> {
        self.counts.ok_or("not open")?.add(context.state, (page, clicks))?;
        // The watermark that completed the window has not passed here yet: it follows the counts.
        context.register_event_time_timer(window.max_timestamp());
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<'_, Place>,
    ) -> Result<(), BoxError> {
        let window_end = *context.current_key();
        let mut counts = self.counts.ok_or("not open")?.clear(context.state)?;
        counts.sort_by(|(page, clicks), (page2, clicks2)| {
            (Reverse(clicks), page).cmp(&(Reverse(clicks2), page2))
        });
        for (index, (page, clicks)) in counts.into_iter().take(self.n).enumerate() {
            out.collect(Place { window_end, rank: index + 1, page, clicks });
        }
        Ok(())
    }
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

/// The `n` most clicked pages of each minute.
pub fn top_n(clicks: &DataStream<Click>, n: usize) -> DataStream<Place> {
    clicks
        .assign_timestamps_and_watermarks(
            WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(5))
                .with_timestamp_assigner(|click: &Click| click.0),
        )
        .key_by(|click| click.1.clone())
        .window(TumblingEventTimeWindows::of(MINUTE))
        .aggregate(Count)
        .key_by(|(_, window, _)| window.end)
        .process(Top { n, counts: None })
        .name("Top n")
}

/// One line of input.
pub fn parse_click(line: &str) -> Result<Click, BoxError> {
    let (time, page) = line.split_once(',').ok_or_else(|| format!("no comma in {line:?}"))?;
    let time = time.trim().parse().map_err(|error| format!("no time in {line:?}: {error}"))?;
    Ok((time, page.trim().to_owned()))
}

fn main() -> Result<(), BoxError> {
    let parameters = ParameterTool::from_env()?;
    let n = parameters.parse_or("n", 3)?;
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
    top_n(&clicks, n)
        .map(|p| format!("{} {}. {} {}", p.window_end, p.rank, p.page, p.clicks))
        .sink_to(PrintSink::display());
    env.execute("top n")?;
    Ok(())
}

/// Ten minutes of clicks on ten pages, of which each minute prefers another.
pub fn made_up_clicks() -> Vec<Click> {
    let clicks = (0..1_200i64).map(|n| {
        let minute = n / 120;
        let page = (n * n + minute * 7) % 10;
        (n * 500 - (n % 4) * 300, format!("/page/{page}"))
    });
    clicks.collect()
}
