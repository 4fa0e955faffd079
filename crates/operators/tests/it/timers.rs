//! Timers of keyed functions.

use hurtig_operator_api::OperatorRestore;
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

/// A capture of changes comes with all timers: those of the captures before it do not count.
#[test]
fn timers_that_have_fired_do_not_come_back_with_an_earlier_capture() {
    let open = |restored| {
        let selector = KeySelector::new(|(key, _): &Event| key.clone());
        Harness::open_restored(KeyedProcessOperator::new(selector, EveryMillisecond), restored)
    };
    let mut harness = open(None);
    harness.run("a:10");
    let first = harness.begin_snapshot(None).number;
    let mut keyed = vec![harness.finish_snapshot(1 << 20).into()];
    harness.run("wm 5");
    harness.begin_snapshot(first);
    keyed.push(harness.finish_snapshot(1 << 20).into());
    let followed = [0].into();
    let restored = OperatorRestore { keyed, followed, ..OperatorRestore::default() };
    let transcript = open(Some(restored)).run("wm 20");
    let timers: Vec<&str> = transcript.lines().filter(|line| line.contains("timer")).collect();
    let expected = (6..=10).map(|time| format!("  @{time} timer {time}"));
    assert_eq!(timers, expected.collect::<Vec<_>>());
}
