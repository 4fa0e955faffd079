//! Two inputs on one key, with list and map state, timers of both domains, and a rebalanced stage
//! in between.
//!
//! Kind 1: key, sum of the first input's values, and of the second's per residue, mixed into one.

use std::collections::BTreeMap;

use hurtig::prelude::*;

use super::{Plan, THE_END};
use crate::{
    external::Out,
    faults::Point,
    input::{Input, SimEvent},
    random::mix,
    world::World,
};

const RESIDUES: i64 = 5;

fn fingerprint(sums: impl IntoIterator<Item = (i64, i64)>) -> i64 {
    let mixed = sums.into_iter().map(|(residue, sum)| mix((residue as u64) << 48 ^ sum as u64));
    // The order does not matter.
    (mixed.fold(0u64, u64::wrapping_add) >> 1) as i64
}

pub(super) fn build(plan: &Plan) -> DataStream<Out> {
    let first = plan.source(0).rebalance().map(|event| (event.key, event.value)).uid("first");
    let second = plan.source(1);
    let function = JoinFunction { world: plan.world.clone(), states: None };
    first.connect(&second).key_by(|(key, _)| *key, |event| event.key).process(function).uid("join")
}

pub(super) fn model(inputs: &[Input; 2]) -> Vec<Out> {
    let mut keys: BTreeMap<u32, (i64, BTreeMap<i64, i64>)> = BTreeMap::new();
    for event in inputs[0].events() {
        keys.entry(event.key).or_default().0 += event.value;
    }
    for event in inputs[1].events() {
        let sums = &mut keys.entry(event.key).or_default().1;
        *sums.entry(event.value % RESIDUES).or_default() += event.value;
    }
    let out = keys.into_iter().map(|(key, (sum, sums))| (1, key, sum, fingerprint(sums)));
    out.collect()
}

#[derive(Clone)]
struct JoinFunction {
    world: World,
    states: Option<(ListState<i64>, MapState<i64, i64>)>,
}

impl KeyedCoProcessFunction<u32, (u32, i64), SimEvent, Out> for JoinFunction {
    fn open(&mut self, context: &mut OpenContext<'_, u32>) -> Result<(), BoxError> {
        let list = context.state.list_state(&ListStateDescriptor::new("list"))?;
        let map = context.state.map_state(&MapStateDescriptor::new("map"))?;
        self.states = Some((list, map));
        Ok(())
    }

    fn process1(
        &mut self,
        (_, value): (u32, i64),
        context: &mut KeyedContext<'_, u32>,
        _: &mut Collector<'_, Out>,
    ) -> Result<(), BoxError> {
        let (list, _) = self.states.ok_or("not open")?;
        list.add(context.state, value)?;
        context.register_event_time_timer(THE_END);
        let soon = context.current_processing_time() + 50;
        context.register_processing_time_timer(soon);
        Ok(())
    }

    fn process2(
        &mut self,
        event: SimEvent,
        context: &mut KeyedContext<'_, u32>,
        _: &mut Collector<'_, Out>,
    ) -> Result<(), BoxError> {
        let (_, map) = self.states.ok_or("not open")?;
        let residue = event.value % RESIDUES;
        let sum = map.get(context.state, &residue)?.map_or(0, |sum| *sum);
        map.put(context.state, residue, sum + event.value)?;
        context.register_event_time_timer(THE_END);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, u32>,
        out: &mut Collector<'_, Out>,
    ) -> Result<(), BoxError> {
        self.world.user_code(Point::Timer)?;
        let (list, map) = self.states.ok_or("not open")?;
        if domain == TimeDomain::ProcessingTime {
            // Folds the list up: whether and when this happens must not show.
            let sum: i64 = list.clear(context.state)?.into_iter().sum();
            return Ok(list.add(context.state, sum)?);
        }
        if time != THE_END {
            self.world.violation(format_args!("a timer at {time} that nobody has set"));
        }
        let sum: i64 = list.clear(context.state)?.into_iter().sum();
        let sums = map.clear(context.state)?;
        out.collect((1, *context.current_key(), sum, fingerprint(sums)));
        Ok(())
    }
}
