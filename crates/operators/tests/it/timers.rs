//! Timers of keyed functions.

use hurtig_operator_api::{KeyedFile, OperatorRestore};
use hurtig_operators::{
    Collector, KeySelector,
    keyed::{KeyedContext, KeyedProcessFunction, KeyedProcessOperator, TimeDomain},
};
use hurtig_types::BoxError;

use crate::harness::{Event, Harness};

/// A timer for each of the next milliseconds.
#[derive(Clone)]
struct EveryMillisecond;

impl KeyedProcessFunction<String, Event, String> for EveryMillisecond {
    fn process(
        &mut self,
        (_, count): Event,
        context: &mut KeyedContext<'_, String>,
        _: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        (1..=count).for_each(|time| context.register_event_time_timer(time));
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        _: &mut KeyedContext<'_, String>,
        out: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        out.collect(format!("timer {time}"));
        Ok(())
    }
}

/// Also if there is always room for what they emit: the task must see when it is cancelled.
#[test]
fn many_timers_are_fired_in_several_calls_in_order() {
    let selector = KeySelector::new(|(key, _): &Event| key.clone());
    let mut harness = Harness::open(KeyedProcessOperator::new(selector, EveryMillisecond));
    let transcript = harness.run("a:10000\nwm 20000");
    let calls = transcript.lines().filter(|line| line.trim() == "...").count();
    assert!((10_000 / 256..10_000).contains(&calls), "{calls} further calls");
    let timers: Vec<&str> = transcript.lines().filter(|line| line.contains("timer")).collect();
    let expected = (1..=10_000).map(|time| format!("  @{time} timer {time}"));
    assert!(timers.iter().copied().eq(expected.collect::<Vec<_>>()));
    assert!(transcript.ends_with("  wm 20000\n"), "the watermark follows what it has caused");
}

/// A delta holds all timers: those of its base that have fired since must not come back.
#[test]
fn timers_that_fired_between_a_base_and_its_delta_stay_gone() {
    let create = || {
        let selector = KeySelector::new(|(key, _): &Event| key.clone());
        KeyedProcessOperator::new(selector, EveryMillisecond)
    };
    let mut harness = Harness::open(create());
    harness.run("a:5 b:3");
    let base = harness.begin_snapshot(None);
    let mut files = vec![harness.finish_snapshot(20)];
    harness.run("wm 3");
    harness.begin_snapshot(base.number);
    files.push(harness.finish_snapshot(20));
    let restored = |files: Vec<Vec<u8>>| {
        let last = files.len() - 1;
        let keyed = files.into_iter().enumerate().map(|(position, content)| KeyedFile {
            content: content.into(),
            is_latest: position == last,
        });
        let restore = OperatorRestore { keyed: keyed.collect(), ..OperatorRestore::default() };
        let transcript = Harness::open_restored(create(), Some(restore)).run("wm 9");
        transcript.lines().filter(|line| line.contains("timer")).count()
    };
    assert_eq!(restored(files[..1].to_vec()), 8, "the base alone has all");
    assert_eq!(restored(files), 2, "only @4 and @5 of a are left");
}

/// Also if nothing else has changed, so that the delta has nothing to hold.
#[test]
fn the_last_timers_stay_gone_too() {
    let create = || {
        let selector = KeySelector::new(|(key, _): &Event| key.clone());
        KeyedProcessOperator::new(selector, EveryMillisecond)
    };
    let mut harness = Harness::open(create());
    harness.run("a:5");
    let base = harness.begin_snapshot(None);
    let mut files = vec![harness.finish_snapshot(20)];
    harness.run("wm 9");
    let delta = harness.begin_snapshot(base.number);
    files.push(harness.finish_snapshot(20));
    assert!(!files[1].is_empty(), "without a file the base would be the last word");
    harness.begin_snapshot(delta.number);
    assert!(harness.finish_snapshot(20).is_empty(), "it is said once");
    let keyed = files
        .into_iter()
        .enumerate()
        .map(|(position, content)| KeyedFile { content: content.into(), is_latest: position == 1 });
    let restore = OperatorRestore { keyed: keyed.collect(), ..OperatorRestore::default() };
    let transcript = Harness::open_restored(create(), Some(restore)).run("wm 9");
    assert!(!transcript.contains("timer"), "{transcript}");
}
