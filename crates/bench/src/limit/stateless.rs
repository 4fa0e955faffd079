//! q0 (pass through), q1 (currency conversion), q2 (selection).

use hurtig::prelude::*;
use hurtig_nexmark::{Bid, Event};

use super::{
    answer::{Answer, execute},
    events, for_each_event,
};

fn bid_of(event: Event) -> Option<Bid> {
    match event {
        Event::Bid(bid) => Some(bid),
        Event::Person(_) | Event::Auction(_) => None,
    }
}

fn in_euro(mut bid: Bid) -> Bid {
    bid.price = bid.price * 908 / 1000;
    bid
}

fn is_selected(bid: &Bid) -> bool {
    bid.auction % 123 == 0
}

pub fn q0_engine(env: &StreamExecutionEnvironment, count: u64) -> Result<Answer, ExecuteError> {
    execute(env, &events(env, count).flat_map(bid_of))
}

pub fn q0_loop(count: u64) -> Answer {
    let mut answer = Answer::default();
    for_each_event(count, |event| {
        if let Some(bid) = bid_of(event) {
            answer.add(&bid);
        }
    });
    answer
}

pub fn q1_engine(env: &StreamExecutionEnvironment, count: u64) -> Result<Answer, ExecuteError> {
    execute(env, &events(env, count).flat_map(bid_of).map(in_euro))
}

pub fn q1_loop(count: u64) -> Answer {
    let mut answer = Answer::default();
    for_each_event(count, |event| {
        if let Some(bid) = bid_of(event) {
            answer.add(&in_euro(bid));
        }
    });
    answer
}

/// Auction and price, if the event is a bid that q2 wants.
fn selected(event: &Event) -> Option<(i64, i64)> {
    match event {
        Event::Bid(bid) => is_selected(bid).then_some((bid.auction, bid.price)),
        Event::Person(_) | Event::Auction(_) => None,
    }
}

pub fn q2_engine(env: &StreamExecutionEnvironment, count: u64) -> Result<Answer, ExecuteError> {
    execute(env, &events(env, count).flat_map(|event| selected(&event)))
}

pub fn q2_loop(count: u64) -> Answer {
    let mut answer = Answer::default();
    for_each_event(count, |event| {
        if let Some(row) = selected(&event) {
            answer.add(&row);
        }
    });
    answer
}
