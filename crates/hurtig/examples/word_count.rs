//! Counts words in text files and writes lines `word count`.
//!
//!     cargo run --release --example word_count -- --input PATH --output DIR [-p P] [-D key=value]
//!
//! `config.yaml` of the directory that `HURTIG_CONF_DIR` names is read too, if that is set.
//!
//! `PATH` is a file, a directory or a glob; `.gz` files are read too. A word is a run of ASCII
//! letters and digits, in lower case. The window over the whole stream counts and emits once, when
//! the input has ended.

use compact_str::CompactString;
use hurtig::{
    connectors::{LineFileSink, TextFileSource},
    prelude::*,
};

fn main() -> Result<(), BoxError> {
    let (env, parameters) = StreamExecutionEnvironment::from_args(std::env::args().skip(1))?;
    run(&env, &parameters)
}

/// Counts the words of `--input` into `--output`.
pub fn run(env: &StreamExecutionEnvironment, parameters: &ParameterTool) -> Result<(), BoxError> {
    env.show_progress(true);

    let lines = env.from_source(
        TextFileSource::new(parameters.required("input")?).lossy(true),
        WatermarkStrategy::no_watermarks(),
        "Text files",
    );
    lines
        .flat_map(|line: String| words(&line))
        .key_by(CompactString::clone)
        .window(GlobalWindows::create_with_end_of_stream_trigger())
        .aggregate(Count)
        .map(|(word, _, count)| (word, count))
        .sink_to(LineFileSink::new(parameters.required("output")?, format_count).overwrite(true))
        .name("Counts");
    env.execute("word count")?;
    Ok(())
}

/// One line of the output.
fn format_count((word, count): &(CompactString, u64), line: &mut Vec<u8>) {
    line.extend_from_slice(word.as_bytes());
    line.push(b' ');
    line.extend_from_slice(count.to_string().as_bytes());
}

/// The words of a line.
fn words(line: &str) -> Vec<CompactString> {
    line.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            let mut word = CompactString::from(word);
            word.make_ascii_lowercase();
            word
        })
        .collect()
}

/// Counts records.
#[derive(Clone)]
struct Count;

impl<T> AggregateFunction<T> for Count {
    type Accumulator = u64;
    type Output = u64;

    fn create_accumulator(&self) -> u64 {
        0
    }

    fn add(&self, count: &mut u64, _: &T) {
        *count += 1;
    }

    fn result(&self, count: &u64) -> u64 {
        *count
    }

    fn merge(&self, count: &mut u64, other: &u64) {
        *count += other;
    }
}
