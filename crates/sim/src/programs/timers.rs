//! Keyed state and timers: each timer that was set and not deleted must fire once, and only once.
//!
//! - Kind 1: a timer of event time has fired.
//! - Kind 2: a timer beyond the end, which a later record of the same key might have deleted.
//! - Kind 3: at the end, sum and number of a key's records.

use std::collections::{BTreeMap, BTreeSet};

use hurtig::prelude::*;

use super::{Plan, THE_END};
use crate::{
    external::Out,
    faults::Point,
    input::{Input, SimEvent},
    random::mix,
    world::World,
};

/// When the timer that an event sets is due.
fn due(event: &SimEvent) -> i64 {
    event.time + 1 + (mix(event.value as u64) % 700) as i64
}

/// The timer beyond the end that an event sets, or that the one behind it deletes.
fn beyond(event: &SimEvent) -> i64 {
    THE_END + 1 + i64::from(event.split) * 1_000_000 + i64::from(event.position / 2)
}

pub(super) fn build(plan: &Plan) -> DataStream<Out> {
    let function = TimersFunction { world: plan.world.clone(), sums: None };
    plan.source(0).key_by(|event| event.key).process(function).uid("timers")
}

pub(super) fn model(inputs: &[Input; 2]) -> Vec<Out> {
    let mut timers: BTreeSet<(u32, i64)> = BTreeSet::new();
    let mut sums: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
    for split in inputs[0].0.iter() {
        for event in split {
            timers.insert((event.key, due(event)));
            if event.position.is_multiple_of(2) {
                timers.insert((event.key, beyond(event)));
            } else if event.value % 3 == 0 {
                timers.remove(&(event.key, beyond(event)));
            }
            let sum = sums.entry(event.key).or_default();
            *sum = (sum.0 + event.value, sum.1 + 1);
        }
    }
    let fired = timers.into_iter().map(|(key, time)| (kind_of(time), key, time, 0));
    fired.chain(sums.into_iter().map(|(key, (sum, count))| (3, key, sum, count))).collect()
}

fn kind_of(time: i64) -> u8 {
    if time < THE_END { 1 } else { 2 }
}

#[derive(Clone)]
struct TimersFunction {
    world: World,
    sums: Option<ValueState<(i64, i64)>>,
}

impl KeyedProcessFunction<u32, SimEvent, Out> for TimersFunction {
    fn open(&mut self, context: &mut OpenContext<'_, u32>) -> Result<(), BoxError> {
        self.sums = Some(context.state.value_state(&ValueStateDescriptor::new("sums"))?);
        Ok(())
    }

    fn process(
        &mut self,
        event: SimEvent,
        context: &mut KeyedContext<'_, u32>,
        _: &mut Collector<'_, Out>,
    ) -> Result<(), BoxError> {
        if context.current_watermark() >= event.time {
            self.world.violation(format_args!("{event:?} is late"));
        }
        self.world.note(format_args!(
            "timers {event:?} wm {} due {}",
            context.current_watermark(),
            due(&event)
        ));
        let sum = self.sums.ok_or("not open")?.get_or_insert_with(context.state, || (0, 0))?;
        *sum = (sum.0 + event.value, sum.1 + 1);
        context.register_event_time_timer(due(&event));
        context.register_event_time_timer(THE_END);
        if event.position.is_multiple_of(2) {
            context.register_event_time_timer(beyond(&event));
        } else if event.value % 3 == 0 {
            context.delete_event_time_timer(beyond(&event));
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u32>,
        out: &mut Collector<'_, Out>,
    ) -> Result<(), BoxError> {
        self.world.user_code(Point::Timer)?;
        let key = *context.current_key();
        self.world.note(format_args!("timer {key} {time} wm {}", context.current_watermark()));
        if time == THE_END {
            let (sum, count) = self.sums.ok_or("not open")?.clear(context.state)?.unwrap_or((0, 0));
            out.collect((3, key, sum, count));
        } else {
            out.collect((kind_of(time), key, time, 0));
        }
        Ok(())
    }
}
