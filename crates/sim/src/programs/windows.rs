//! Windows over one input: tumbling ones (kind 1: key, end, sum), and sessions (kind 2: key, start,
//! sum).

use std::collections::BTreeMap;

use hurtig::prelude::*;

use super::Plan;
use crate::{
    external::Out,
    input::{Input, SimEvent},
};

const SIZE_MS: i64 = 250;
/// Odd, while all times are even: see [`crate::input`].
const GAP_MS: i64 = 91;

fn sum(events: &[SimEvent]) -> i64 {
    events.iter().map(|event| event.value).sum()
}

pub(super) fn build(plan: &Plan) -> DataStream<Out> {
    let events = plan.source(0);
    let tumbling = events
        .key_by(|event| event.key)
        .window(TumblingEventTimeWindows::of(Duration::from_millis(SIZE_MS as u64)))
        .process(
            |key: &u32, window: TimeWindow, events: &[SimEvent], out: &mut Collector<'_, Out>| {
                out.collect((1, *key, window.end, sum(events)));
            },
        )
        .uid("tumbling");
    let sessions = events
        .key_by(|event| event.key)
        .window(EventTimeSessionWindows::with_gap(Duration::from_millis(GAP_MS as u64)))
        .process(
            |key: &u32, window: TimeWindow, events: &[SimEvent], out: &mut Collector<'_, Out>| {
                out.collect((2, *key, window.start, sum(events)));
            },
        )
        .uid("sessions");
    tumbling.union(&[&sessions])
}

pub(super) fn model(inputs: &[Input; 2]) -> Vec<Out> {
    let mut tumbling: BTreeMap<(u32, i64), i64> = BTreeMap::new();
    let mut by_key: BTreeMap<u32, Vec<(i64, i64)>> = BTreeMap::new();
    for event in inputs[0].events() {
        let end = event.time / SIZE_MS * SIZE_MS + SIZE_MS;
        *tumbling.entry((event.key, end)).or_default() += event.value;
        by_key.entry(event.key).or_default().push((event.time, event.value));
    }
    let mut out: Vec<Out> =
        tumbling.into_iter().map(|((key, end), sum)| (1, key, end, sum)).collect();
    for (key, mut events) in by_key {
        events.sort_unstable();
        let mut last = None;
        for (time, value) in events {
            match (&mut last, out.last_mut()) {
                // Windows that touch are merged, as Flink's are.
                (Some(before), Some(session)) if time <= *before + GAP_MS => session.3 += value,
                _ => out.push((2, key, time, value)),
            }
            last = Some(time);
        }
    }
    out
}
