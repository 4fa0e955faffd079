//! Word count: how often each of ten thousand words occurs in a generated text.

use std::{collections::HashMap, sync::LazyLock};

use compact_str::CompactString;
use hurtig::{connectors::DataGeneratorSource, prelude::*};

use super::answer::{Answer, execute};

static WORDS: LazyLock<Vec<CompactString>> =
    LazyLock::new(|| (0..10_000).map(|n| CompactString::from(format!("word{n:05}"))).collect());

/// The word at a position of the text: some are much more frequent than others.
#[inline]
fn word(position: u64) -> CompactString {
    let random = (position + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
    let random = random.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32;
    let squared = (random * random) >> 32;
    let rank = (squared * 10_000) >> 32;
    WORDS[rank as usize].clone()
}

#[derive(Clone)]
struct Count;

impl AggregateFunction<CompactString> for Count {
    type Accumulator = u64;
    type Output = u64;

    fn create_accumulator(&self) -> u64 {
        0
    }

    fn add(&self, accumulator: &mut u64, _: &CompactString) {
        *accumulator += 1;
    }

    fn result(&self, accumulator: &u64) -> u64 {
        *accumulator
    }

    fn merge(&self, accumulator: &mut u64, other: &u64) {
        *accumulator += other;
    }
}

pub fn engine(env: &StreamExecutionEnvironment, count: u64) -> Result<Answer, ExecuteError> {
    let source = DataGeneratorSource::new(word, Some(count), None);
    let words = env.from_source(source, WatermarkStrategy::no_watermarks(), "Words");
    let counts = words
        .key_by(CompactString::clone)
        .window(GlobalWindows::create_with_end_of_stream_trigger())
        .aggregate(Count)
        .map(|(word, _, count)| (word, count));
    execute(env, &counts)
}

pub fn by_hand(count: u64) -> Answer {
    let mut counts: HashMap<CompactString, u64> = HashMap::new();
    for position in 0..count {
        *counts.entry(word(position)).or_default() += 1;
    }
    let mut answer = Answer::default();
    counts.into_iter().for_each(|row| answer.add(&row));
    answer
}
