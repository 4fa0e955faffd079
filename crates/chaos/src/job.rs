//! The job of the kill test: keyed, with windows and timers, from files through the exactly-once
//! file sink.

use std::{
    error::Error,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Parser;
use hurtig::{connectors::TextFileSource, prelude::*};

use crate::{
    input::{DISORDER_MS, Reading, WINDOW_MS},
    pause::pause,
};

type Keyed = (u64, u32, u64);

/// Lets so many records pass per second: the job must last as long as the faults do.
#[derive(Clone)]
struct Pace {
    nanos_per_record: u64,
    owed: Duration,
}

/// Shortest pause that is worth a system call.
const PAUSE: Duration = Duration::from_millis(5);

impl MapFunction<String, Keyed> for Pace {
    fn map(&mut self, line: String) -> Result<Keyed, BoxError> {
        self.owed += Duration::from_nanos(self.nanos_per_record);
        if self.owed >= PAUSE {
            // The operator is declared blocking.
            pause(self.owed);
            self.owed = Duration::ZERO;
        }
        let event = Reading::parse(&line).ok_or_else(|| format!("no event: {line:?}"))?;
        Ok((event.time_ms, event.key, event.value))
    }
}

/// Counts the events of a key by second, and tells by a timer.
#[derive(Clone)]
struct Counts(Option<MapState<i64, i64>>);

impl KeyedProcessFunction<u32, Keyed, String> for Counts {
    fn open(&mut self, context: &mut OpenContext<'_, u32>) -> Result<(), BoxError> {
        self.0 = Some(context.state.map_state(&MapStateDescriptor::new("counts"))?);
        Ok(())
    }

    fn process(
        &mut self,
        event: Keyed,
        context: &mut KeyedContext<'_, u32>,
        _: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        let (counts, window) = (self.0.ok_or("open")?, WINDOW_MS);
        let end = (event.0 / window * window + window) as i64;
        let count = counts.get(context.state, &end)?.copied().unwrap_or(0);
        counts.put(context.state, end, count + 1)?;
        context.register_event_time_timer(end);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u32>,
        out: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        let count = self.0.ok_or("open")?.remove(context.state, &time)?.ok_or("no count")?;
        out.collect(format!("count {} {time} {count}", context.current_key()));
        Ok(())
    }
}

/// Sums and counts of keys by second, exactly once.
#[derive(Parser)]
struct Arguments {
    /// Directory of the files to read.
    #[arg(long)]
    input: PathBuf,
    /// Directory of the files to write.
    #[arg(long)]
    output: PathBuf,
    /// Lines per second and file.
    #[arg(long, default_value_t = 1_000_000)]
    rate: u64,
}

/// The job's program.
///
/// # Errors
/// If the job cannot be built or fails.
pub fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let env = StreamExecutionEnvironment::new();
    build(&env, &arguments.input, &arguments.output, arguments.rate);
    env.execute("kill test")?;
    Ok(())
}

/// Adds the job to an environment. `lines_per_second` is for each file.
pub fn build(env: &StreamExecutionEnvironment, input: &Path, output: &Path, lines_per_second: u64) {
    let pace =
        Pace { nanos_per_record: 1_000_000_000 / lines_per_second.max(1), owed: Duration::ZERO };
    let disorder = Duration::from_millis(DISORDER_MS);
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(disorder)
        .with_timestamp_assigner(|line: &String| {
            Reading::parse(line).map_or(0, |event| event.time_ms as i64)
        });
    // A part of a file that is read behind another one would be late.
    let files = TextFileSource::new(input).split_size_bytes(u64::MAX);
    let events = env
        .from_source(files, strategy, "Files")
        .uid("files")
        .map_with(pace)
        .uid("pace")
        .blocking();
    let sums = events
        .key_by(|event| event.1)
        .window(TumblingEventTimeWindows::of(Duration::from_millis(WINDOW_MS)))
        .process(
            |key: &u32, window: TimeWindow, events: &[Keyed], out: &mut Collector<'_, String>| {
                let sum: u64 = events.iter().map(|event| event.2).sum();
                out.collect(format!("sum {key} {} {sum}", window.end));
            },
        )
        .uid("sums");
    let counts = events.key_by(|event| event.1).process(Counts(None)).uid("counts");
    let policy = DefaultRollingPolicy::new().with_rollover_interval(Duration::from_secs(2));
    let sink = FileSink::for_row_format(output.display().to_string(), SimpleStringEncoder)
        .with_bucket_assigner(BasePathBucketAssigner)
        .with_rolling_policy(policy);
    sums.union(&[&counts]).rebalance().sink_to(sink).uid("sink");
}

#[cfg(test)]
mod tests {
    use super::*;
    use hurtig::TerminateKind;

    use crate::{input::InputFiles, run::compare};

    #[test]
    fn the_undisturbed_job_writes_what_is_expected() {
        let directory = tempfile::tempdir().unwrap();
        let (input, output) = (directory.path().join("input"), directory.path().join("output"));
        std::fs::create_dir(&input).unwrap();
        let of = InputFiles { files: 2, lines: 2_000, keys: 11 };
        of.write(&input).unwrap();
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(2).enable_checkpointing(20);
        build(&env, &input, &output, 1_000_000);
        env.execute("undisturbed").unwrap();
        assert_eq!(compare(&output, of), Ok(of.expected().len()));
    }

    /// Both files then belong to one reader, which reads one after the other: until it has begun
    /// with the second, event time must stand still.
    #[test]
    fn it_goes_on_with_fewer_readers_than_files() {
        let directory = tempfile::tempdir().unwrap();
        let (input, output) = (directory.path().join("input"), directory.path().join("output"));
        std::fs::create_dir(&input).unwrap();
        let of = InputFiles { files: 2, lines: 4_000, keys: 11 };
        of.write(&input).unwrap();
        let first = StreamExecutionEnvironment::new();
        first.set_parallelism(2).enable_checkpointing(20);
        build(&first, &input, &output, 200);
        let client = first.execute_async("two readers").unwrap();
        let savepoints = format!("file://{}/savepoints", directory.path().display());
        let savepoint = loop {
            assert!(!client.status().unwrap().is_globally_terminal());
            let began = std::fs::read_dir(&output).is_ok_and(|mut files| files.next().is_some());
            // Refused until all tasks run.
            if began
                && let Ok(savepoint) =
                    client.stop_with_savepoint(&savepoints, TerminateKind::Suspend)
            {
                break savepoint;
            }
            pause(Duration::from_millis(10));
        };
        client.wait().unwrap();
        let second = StreamExecutionEnvironment::new();
        second.set_parallelism(1).enable_checkpointing(20);
        second.restore_from(&savepoint, false);
        build(&second, &input, &output, 1_000_000);
        second.execute("one reader").unwrap();
        assert_eq!(compare(&output, of), Ok(of.expected().len()));
    }
}
