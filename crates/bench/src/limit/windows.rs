//! q5 (the auctions with most bids in sliding windows) and q7 (the highest bids per window).

use std::collections::{HashMap, VecDeque};

use hurtig::prelude::*;
use hurtig_nexmark::Event;

use super::{
    answer::{Answer, execute},
    events, for_each_event,
};

const SIZE_MS: i64 = 10_000;
const SLIDE_MS: i64 = 2_000;

#[derive(Clone)]
struct Count;

impl AggregateFunction<i64> for Count {
    type Accumulator = i64;
    type Output = i64;

    fn create_accumulator(&self) -> i64 {
        0
    }

    fn add(&self, accumulator: &mut i64, _: &i64) {
        *accumulator += 1;
    }

    fn result(&self, accumulator: &i64) -> i64 {
        *accumulator
    }

    fn merge(&self, accumulator: &mut i64, other: &i64) {
        *accumulator += other;
    }
}

/// Keeps the rows with the largest value of their first column.
#[derive(Clone)]
struct Largest;

impl<R> AggregateFunction<(i64, R)> for Largest
where
    R: Clone + Send + Serialize + for<'de> Deserialize<'de> + 'static,
{
    type Accumulator = (i64, Vec<R>);
    type Output = (i64, Vec<R>);

    fn create_accumulator(&self) -> (i64, Vec<R>) {
        (i64::MIN, Vec::new())
    }

    fn add(&self, accumulator: &mut (i64, Vec<R>), (value, row): &(i64, R)) {
        if *value > accumulator.0 {
            accumulator.0 = *value;
            accumulator.1.clear();
        }
        if *value == accumulator.0 {
            accumulator.1.push(row.clone());
        }
    }

    fn result(&self, accumulator: &(i64, Vec<R>)) -> (i64, Vec<R>) {
        accumulator.clone()
    }

    fn merge(&self, accumulator: &mut (i64, Vec<R>), other: &(i64, Vec<R>)) {
        for row in &other.1 {
            self.add(accumulator, &(other.0, row.clone()));
        }
    }
}

pub fn q5_engine(env: &StreamExecutionEnvironment, count: u64) -> Result<Answer, ExecuteError> {
    let windows = SlidingEventTimeWindows::of(
        Duration::from_millis(SIZE_MS as u64),
        Duration::from_millis(SLIDE_MS as u64),
    );
    let counts = events(env, count)
        .flat_map(|event| match event {
            Event::Bid(bid) => Some(bid.auction),
            _ => None,
        })
        .key_by(|auction| *auction)
        .window(windows)
        .aggregate_with(
            Count,
            |auction: &i64, _: TimeWindow, count: i64, out: &mut Collector<'_, (i64, i64)>| {
                out.collect((count, *auction));
            },
        );
    // All counts of a window carry its last millisecond as timestamp.
    let slide = TumblingEventTimeWindows::of(Duration::from_millis(SLIDE_MS as u64));
    let hottest = counts.window_all(slide).aggregate_with(
        Largest,
        |_: &(),
         _: TimeWindow,
         (most, auctions): (i64, Vec<i64>),
         out: &mut Collector<'_, (i64, i64)>| {
            auctions.into_iter().for_each(|auction| out.collect((auction, most)));
        },
    );
    execute(env, &hottest)
}

pub fn q5_loop(count: u64) -> Answer {
    let mut answer = Answer::default();
    let mut slices: VecDeque<(i64, HashMap<i64, i64>)> = VecDeque::new();
    let fire = |slices: &mut VecDeque<(i64, HashMap<i64, i64>)>, end: i64, answer: &mut Answer| {
        while slices.front().is_some_and(|(start, _)| *start < end - SIZE_MS) {
            slices.pop_front();
        }
        let mut totals: HashMap<i64, i64> = HashMap::new();
        for (start, counts) in slices.iter() {
            if *start < end {
                for (auction, n) in counts {
                    *totals.entry(*auction).or_default() += n;
                }
            }
        }
        let most = totals.values().copied().max().unwrap_or(0);
        for (auction, n) in totals {
            if n == most {
                answer.add(&(auction, n));
            }
        }
    };
    let mut next_end: Option<i64> = None;
    let mut last_start = 0;
    for_each_event(count, |event| {
        let Event::Bid(bid) = event else { return };
        let start = bid.date_time - bid.date_time.rem_euclid(SLIDE_MS);
        let mut end = *next_end.get_or_insert(start + SLIDE_MS);
        while end <= start {
            fire(&mut slices, end, &mut answer);
            end += SLIDE_MS;
        }
        next_end = Some(end);
        if slices.back().is_none_or(|(last, _)| *last != start) {
            slices.push_back((start, HashMap::new()));
        }
        if let Some((_, counts)) = slices.back_mut() {
            *counts.entry(bid.auction).or_default() += 1;
        }
        last_start = start;
    });
    if let Some(mut end) = next_end {
        while end <= last_start + SIZE_MS {
            fire(&mut slices, end, &mut answer);
            end += SLIDE_MS;
        }
    }
    answer
}

type HighBid = (i64, i64, i64, i64);

pub fn q7_engine(env: &StreamExecutionEnvironment, count: u64) -> Result<Answer, ExecuteError> {
    let windows = TumblingEventTimeWindows::of(Duration::from_millis(SIZE_MS as u64));
    let bids = events(env, count).flat_map(|event| match event {
        Event::Bid(bid) => Some((bid.price, (bid.auction, bid.price, bid.bidder, bid.date_time))),
        _ => None,
    });
    let highest = bids.window_all(windows).aggregate_with(
        Largest,
        |_: &(),
         _: TimeWindow,
         (_, rows): (i64, Vec<HighBid>),
         out: &mut Collector<'_, HighBid>| {
            rows.into_iter().for_each(|row| out.collect(row));
        },
    );
    execute(env, &highest)
}

pub fn q7_loop(count: u64) -> Answer {
    let mut answer = Answer::default();
    let mut window = i64::MIN;
    let mut most = i64::MIN;
    let mut rows: Vec<HighBid> = Vec::new();
    for_each_event(count, |event| {
        let Event::Bid(bid) = event else { return };
        let start = bid.date_time - bid.date_time.rem_euclid(SIZE_MS);
        if start != window {
            rows.drain(..).for_each(|row| answer.add(&row));
            window = start;
            most = i64::MIN;
        }
        if bid.price > most {
            most = bid.price;
            rows.clear();
        }
        if bid.price == most {
            rows.push((bid.auction, bid.price, bid.bidder, bid.date_time));
        }
    });
    rows.drain(..).for_each(|row| answer.add(&row));
    answer
}
