//! Windows against the definition: random records and watermarks, and a model that knows them all.

use std::{collections::BTreeMap, time::Duration};

use hurtig_operator_api::{KeyedFile, Operator, OperatorRestore};
use hurtig_operators::window::{
    assigner::{EventTimeSessionWindows, SlidingEventTimeWindows, WindowAssigner},
    contents::AggregatedContents,
    operator::WindowOperator,
    slice::SliceWindowOperator,
    trigger::EventTimeTrigger,
};
use hurtig_types::{Batch, TimeWindow};
use proptest::prelude::*;

use crate::{
    harness::{Event, Harness},
    windows::{Sum, by_key, show_sum},
};

#[derive(Clone, Debug)]
enum Step {
    Records(Vec<(i64, u8, i64)>),
    /// The watermark moves on by so much.
    Watermark(i64),
    /// A snapshot begins.
    Snapshot,
    /// Goes on with a fresh operator from a snapshot taken now, in pieces of so many bytes.
    Restore(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (0i64..120, 0u8..3, 1i64..100);
    let step = prop_oneof![
        3 => prop::collection::vec(record, 1..6).prop_map(Step::Records),
        1 => (1i64..30).prop_map(Step::Watermark),
        1 => Just(Step::Snapshot),
        1 => (1usize..500).prop_map(Step::Restore),
    ];
    prop::collection::vec(step, 0..25)
}

/// Runs steps through an operator; the lines of results, sorted within each step.
fn run<Op: Operator>(create: impl Fn() -> Op, steps: &[Step]) -> Vec<Vec<String>> {
    let mut harness = Harness::open(create());
    let mut watermark = -1;
    let mut emitted = Vec::new();
    let last = Step::Watermark(100_000);
    for step in steps.iter().chain([&last]) {
        match step {
            Step::Records(records) => {
                let values = records.iter().map(|(_, key, value)| (key.to_string(), *value));
                let batch = Batch::<Event>::with_timestamps(
                    values.collect(),
                    records.iter().map(|record| record.0).collect(),
                );
                harness.process(batch).unwrap();
            }
            Step::Watermark(by) => {
                watermark += by;
                harness.watermark(watermark).unwrap();
            }
            // Goes on under way, and is given up by the next one.
            Step::Snapshot => {
                harness.begin_snapshot(None);
                let mut some = Vec::new();
                harness.operator.next_capture(20, &mut some).unwrap();
            }
            Step::Restore(max_bytes) => {
                let captured = harness.begin_snapshot(None);
                let keyed = harness.finish_snapshot(*max_bytes);
                let restore = OperatorRestore {
                    keyed: vec![KeyedFile { content: keyed.into(), is_latest: true }],
                    operator_states: captured.operator_states,
                    ..OperatorRestore::default()
                };
                harness = Harness::open_restored(create(), Some(restore));
                // Event time begins anew; the first watermark tells how far it was.
                harness.watermark(watermark).unwrap();
            }
        }
        let text = std::mem::take(&mut harness.out.text);
        let lines = text.lines().filter(|line| line.contains("sum"));
        let mut lines: Vec<_> = lines.map(|line| line.trim().to_owned()).collect();
        lines.sort();
        emitted.push(lines);
    }
    emitted
}

fn line(key: u8, window: TimeWindow, sum: i64) -> String {
    format!("@{} {key} {window} sum {sum}", window.max_timestamp())
}

/// Every window is kept as it is, and fires when the watermark passes its end.
fn sliding_model(size: i64, slide: i64, steps: &[Step]) -> Vec<Vec<String>> {
    let mut windows: BTreeMap<(TimeWindow, u8), i64> = BTreeMap::new();
    let mut watermark = -1;
    let mut emitted = Vec::new();
    let last = Step::Watermark(100_000);
    for step in steps.iter().chain([&last]) {
        let mut lines = Vec::new();
        match step {
            Step::Records(records) => {
                for (time, key, value) in records {
                    for start in (-40..=40).map(|n| n * slide) {
                        let window = TimeWindow::new(start, start + size);
                        let inside = window.start <= *time && *time < window.end;
                        if inside && window.max_timestamp() > watermark {
                            *windows.entry((window, *key)).or_default() += value;
                        }
                    }
                }
            }
            Step::Watermark(by) => {
                watermark += by;
                windows.retain(|(window, key), sum| {
                    let open = window.max_timestamp() > watermark;
                    if !open {
                        lines.push(line(*key, *window, *sum));
                    }
                    open
                });
            }
            Step::Snapshot | Step::Restore(_) => {}
        }
        lines.sort();
        emitted.push(lines);
    }
    emitted
}

/// Sessions of a key, merged until none touch.
fn session_model(gap: i64, steps: &[Step]) -> Vec<Vec<String>> {
    let mut sessions: Vec<(u8, TimeWindow, i64)> = Vec::new();
    let mut watermark = -1;
    let mut emitted = Vec::new();
    let last = Step::Watermark(100_000);
    for step in steps.iter().chain([&last]) {
        let mut lines = Vec::new();
        match step {
            Step::Records(records) => {
                for (time, key, value) in records {
                    let mut merged = (*key, TimeWindow::new(*time, time + gap), *value);
                    sessions.retain(|(other, window, sum)| {
                        let apart = other != key || !window.intersects(&merged.1);
                        if !apart {
                            merged = (*key, merged.1.cover(window), merged.2 + sum);
                        }
                        apart
                    });
                    if merged.1.max_timestamp() > watermark {
                        sessions.push(merged);
                    }
                }
            }
            Step::Watermark(by) => {
                watermark += by;
                sessions.retain(|(key, window, sum)| {
                    let open = window.max_timestamp() > watermark;
                    if !open {
                        lines.push(line(*key, *window, *sum));
                    }
                    open
                });
            }
            Step::Snapshot | Step::Restore(_) => {}
        }
        lines.sort();
        emitted.push(lines);
    }
    emitted
}

proptest! {
    #[test]
    fn sliding_windows_equal_the_model_by_slices_and_by_windows(
        size in 1i64..25,
        slide in 1i64..25,
        steps in steps(),
    ) {
        // The model tries the starts within 40 slides.
        let slide = slide.max(size / 8 + 4);
        let expected = sliding_model(size, slide, &steps);
        let (size, slide) = (size.unsigned_abs(), slide.unsigned_abs());
        let windows =
            SlidingEventTimeWindows::of(Duration::from_millis(size), Duration::from_millis(slide));
        let general = || {
            let contents = AggregatedContents::new(Sum, show_sum);
            WindowOperator::new(by_key(), windows, EventTimeTrigger, contents, 0, None)
        };
        prop_assert_eq!(&run(general, &steps), &expected);
        let aligned = WindowAssigner::<Event>::aligned(&windows).unwrap();
        let slices = || SliceWindowOperator::new(by_key(), aligned, Sum, show_sum, None);
        prop_assert_eq!(&run(slices, &steps), &expected);
    }

    #[test]
    fn sessions_equal_the_model(gap in 1i64..20, steps in steps()) {
        let expected = session_model(gap, &steps);
        let windows = EventTimeSessionWindows::with_gap(Duration::from_millis(gap.unsigned_abs()));
        let operator = || {
            let contents = AggregatedContents::new(Sum, show_sum);
            WindowOperator::new(by_key(), windows.clone(), EventTimeTrigger, contents, 0, None)
        };
        prop_assert_eq!(&run(operator, &steps), &expected);
    }
}
