//! No state but the sink's: two sources, a rebalanced stage, a filter, a union. Kind 1: split and
//! input, position, value.

use hurtig::prelude::*;

use super::Plan;
use crate::{
    external::Out,
    input::{Input, SimEvent},
};

fn wanted(event: &SimEvent) -> bool {
    event.value % 4 != 1
}

fn out(input: u32, event: &SimEvent) -> Out {
    (1, input << 16 | event.split, i64::from(event.position), event.value)
}

pub(super) fn build(plan: &Plan) -> DataStream<Out> {
    let first = plan.source(0).rebalance().filter(wanted).uid("wanted-0");
    let first = first.map(|event| out(0, &event)).uid("out-0");
    let second = plan.source(1).filter(wanted).uid("wanted-1");
    let second = second.map(|event| out(1, &event)).uid("out-1");
    first.union(&[&second]).rebalance()
}

pub(super) fn model(inputs: &[Input; 2]) -> Vec<Out> {
    let of = |input: usize| {
        let events = inputs[input].events().filter(|event| wanted(event));
        events.map(move |event| out(input as u32, event))
    };
    of(0).chain(of(1)).collect()
}
