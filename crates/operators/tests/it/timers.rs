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

/// A checkpoint of what has changed still holds all timers; those of the files before it are gone.
#[test]
fn a_timer_that_has_gone_off_does_not_come_back_with_a_chain_of_files() {
    let create = || {
        let selector = KeySelector::new(|(key, _): &Event| key.clone());
        KeyedProcessOperator::new(selector, EveryMillisecond)
    };
    let mut harness = Harness::open(create());
    harness.run("a:4\nb:2\nwm 0");
    let base = harness.begin_snapshot(None);
    let base_file = harness.finish_snapshot(1000);
    harness.run("wm 2");
    harness.begin_snapshot(base.number);
    let delta_file = harness.finish_snapshot(1000);
    let file = |content: Vec<u8>, is_latest| KeyedFile { content: content.into(), is_latest };
    let keyed = vec![file(base_file, false), file(delta_file, true)];
    let restore = OperatorRestore { keyed, ..OperatorRestore::default() };
    let mut harness = Harness::open_restored(create(), Some(restore));
    assert_eq!(harness.run("wm 9"), "wm 9\n  @3 timer 3\n  @4 timer 4\n  wm 9\n");
}
