//! q3 (persons with their auctions), q4 (average final price per category), q8 (new persons who
//! open auctions in the same window).

use std::collections::{HashMap, HashSet};

use compact_str::CompactString;
use hurtig::prelude::*;
use hurtig_nexmark::{Auction, Event, Person};

use super::{
    answer::{Answer, execute},
    events, for_each_event,
};

type Local = (CompactString, CompactString, CompactString, i64);

fn is_local(person: &Person) -> bool {
    matches!(person.state.as_str(), "OR" | "ID" | "CA")
}

fn is_of_category_10(auction: &Auction) -> bool {
    auction.category == 10
}

fn local(person: &Person, auction: i64) -> Local {
    (person.name.clone(), person.city.clone(), person.state.clone(), auction)
}

#[derive(Clone, Default)]
struct PersonWithAuctions {
    person: Option<ValueState<Person>>,
    auctions: Option<ListState<i64>>,
}

impl KeyedCoProcessFunction<i64, Person, (i64, i64), Local> for PersonWithAuctions {
    fn open(&mut self, context: &mut OpenContext<'_, i64>) -> Result<(), BoxError> {
        let person = ValueStateDescriptor::new("person");
        self.person = Some(context.state.value_state(&person)?);
        let auctions = ListStateDescriptor::new("auctions");
        self.auctions = Some(context.state.list_state(&auctions)?);
        Ok(())
    }

    fn process1(
        &mut self,
        person: Person,
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<'_, Local>,
    ) -> Result<(), BoxError> {
        let (Some(persons), Some(auctions)) = (self.person, self.auctions) else { return Ok(()) };
        for auction in auctions.clear(context.state)? {
            out.collect(local(&person, auction));
        }
        Ok(persons.update(context.state, person)?)
    }

    fn process2(
        &mut self,
        (auction, _): (i64, i64),
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<'_, Local>,
    ) -> Result<(), BoxError> {
        let (Some(persons), Some(auctions)) = (self.person, self.auctions) else { return Ok(()) };
        match persons.get(context.state)? {
            Some(person) => out.collect(local(person, auction)),
            None => auctions.add(context.state, auction)?,
        }
        Ok(())
    }
}

pub fn q3_engine(env: &StreamExecutionEnvironment, count: u64) -> Result<Answer, ExecuteError> {
    let events = events(env, count);
    let auctions_tag = OutputTag::<(i64, i64)>::new("auctions");
    let tag = auctions_tag.clone();
    let persons = events.process_fn(move |event, out: &mut Collector<'_, Person>| {
        match event {
            Event::Person(person) if is_local(&person) => out.collect(*person),
            Event::Auction(auction) if is_of_category_10(&auction) => {
                out.output(&tag, (auction.id, auction.seller));
            }
            _ => {}
        }
        Ok(())
    });
    let auctions = persons.side_output(&auctions_tag);
    let joined = persons
        .connect(&auctions)
        .key_by(|person| person.id, |(_, seller)| *seller)
        .process(PersonWithAuctions::default());
    execute(env, &joined)
}

pub fn q3_loop(count: u64) -> Answer {
    let mut answer = Answer::default();
    let mut persons: HashMap<i64, Box<Person>> = HashMap::new();
    let mut waiting: HashMap<i64, Vec<i64>> = HashMap::new();
    for_each_event(count, |event| match event {
        Event::Person(person) if is_local(&person) => {
            for auction in waiting.remove(&person.id).unwrap_or_default() {
                answer.add(&local(&person, auction));
            }
            persons.insert(person.id, person);
        }
        Event::Auction(auction) if is_of_category_10(&auction) => {
            match persons.get(&auction.seller) {
                Some(person) => answer.add(&local(person, auction.id)),
                None => waiting.entry(auction.seller).or_default().push(auction.id),
            }
        }
        _ => {}
    });
    answer
}

/// An auction while it is open, with the highest bid so far.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Open {
    category: i64,
    from: i64,
    to: i64,
    highest: i64,
}

/// What is known of an auction.
#[derive(Clone, Serialize, Deserialize)]
enum Known {
    /// Bids have come before it: it is on its way from another subtask, or does not exist.
    Bids(Vec<(i64, i64)>),
    /// It is open.
    Open(Open),
}

#[derive(Clone, Default)]
struct FinalPrice {
    known: Option<ValueState<Known>>,
}

impl Open {
    fn bid(&mut self, time: i64, price: i64) {
        if self.from <= time && time <= self.to {
            self.highest = self.highest.max(price);
        }
    }
}

/// What q4 needs of an event; keyed by auction.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum OfAuction {
    Opened { category: i64, from: i64, to: i64 },
    Bid { time: i64, price: i64 },
}

impl OfAuction {
    fn of(event: &Event) -> Option<(i64, Self)> {
        match event {
            Event::Bid(bid) => {
                Some((bid.auction, Self::Bid { time: bid.date_time, price: bid.price }))
            }
            Event::Auction(a) => {
                let opened =
                    Self::Opened { category: a.category, from: a.date_time, to: a.expires };
                Some((a.id, opened))
            }
            Event::Person(_) => None,
        }
    }
}

impl KeyedProcessFunction<i64, (i64, OfAuction), (i64, i64)> for FinalPrice {
    fn open(&mut self, context: &mut OpenContext<'_, i64>) -> Result<(), BoxError> {
        self.known = Some(context.state.value_state(&ValueStateDescriptor::new("auction"))?);
        Ok(())
    }

    fn process(
        &mut self,
        (_, event): (i64, OfAuction),
        context: &mut KeyedContext<'_, i64>,
        _: &mut Collector<'_, (i64, i64)>,
    ) -> Result<(), BoxError> {
        let state = self.known.ok_or("not open")?;
        let mut is_first = false;
        let known = state.get_or_insert_with(context.state, || {
            is_first = true;
            Known::Bids(Vec::new())
        })?;
        match event {
            OfAuction::Opened { category, from, to } => {
                let mut auction = Open { category, from, to, highest: 0 };
                if let Known::Bids(bids) = known {
                    bids.iter().for_each(|(time, price)| auction.bid(*time, *price));
                }
                *known = Known::Open(auction);
                // Bids of the very millisecond in which it ends still count.
                context.register_event_time_timer(to);
            }
            OfAuction::Bid { time, price } => {
                match known {
                    Known::Open(auction) => auction.bid(time, price),
                    Known::Bids(bids) => bids.push((time, price)),
                }
                if is_first {
                    // If the auction does not come before event time passes the bid, it never will.
                    context.register_event_time_timer(next_second(time));
                }
            }
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<'_, (i64, i64)>,
    ) -> Result<(), BoxError> {
        let Some(state) = self.known else { return Ok(()) };
        match state.get_mut(context.state)? {
            Some(Known::Open(auction)) if auction.to <= time => {
                if auction.highest > 0 {
                    out.collect((auction.category, auction.highest));
                }
                state.clear(context.state)?;
            }
            Some(Known::Bids(bids)) => {
                bids.retain(|(bid_time, _)| *bid_time > time);
                match bids.first() {
                    Some((next, _)) => {
                        let next = next_second(*next);
                        context.register_event_time_timer(next);
                    }
                    None => {
                        state.clear(context.state)?;
                    }
                }
            }
            Some(Known::Open(_)) | None => {}
        }
        Ok(())
    }
}

/// Bids that wait are looked at once a second, not each in its millisecond.
fn next_second(time: i64) -> i64 {
    (time / 1000 + 1) * 1000
}

#[derive(Clone)]
struct Average;

impl AggregateFunction<(i64, i64)> for Average {
    type Accumulator = (i64, i64);
    type Output = i64;

    fn create_accumulator(&self) -> (i64, i64) {
        (0, 0)
    }

    fn add(&self, accumulator: &mut (i64, i64), value: &(i64, i64)) {
        accumulator.0 += 1;
        accumulator.1 += value.1;
    }

    fn result(&self, accumulator: &(i64, i64)) -> i64 {
        accumulator.1 / accumulator.0.max(1)
    }

    fn merge(&self, accumulator: &mut (i64, i64), other: &(i64, i64)) {
        accumulator.0 += other.0;
        accumulator.1 += other.1;
    }
}

pub fn q4_engine(env: &StreamExecutionEnvironment, count: u64) -> Result<Answer, ExecuteError> {
    let averages = events(env, count)
        .flat_map(|event| OfAuction::of(&event))
        .key_by(|(auction, _)| *auction)
        .process(FinalPrice::default())
        .key_by(|(category, _)| *category)
        .window(GlobalWindows::create_with_end_of_stream_trigger())
        .aggregate(Average)
        .map(|(category, _, average)| (category, average));
    execute(env, &averages)
}

pub fn q4_loop(count: u64) -> Answer {
    let mut open: HashMap<i64, Open> = HashMap::new();
    let mut early: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
    for_each_event(count, |event| match event {
        Event::Auction(a) => {
            let mut auction =
                Open { category: a.category, from: a.date_time, to: a.expires, highest: 0 };
            for (time, price) in early.remove(&a.id).unwrap_or_default() {
                auction.bid(time, price);
            }
            open.insert(a.id, auction);
        }
        Event::Bid(bid) => match open.get_mut(&bid.auction) {
            Some(auction) => auction.bid(bid.date_time, bid.price),
            None => early.entry(bid.auction).or_default().push((bid.date_time, bid.price)),
        },
        Event::Person(_) => {}
    });
    let mut sums: HashMap<i64, (i64, i64)> = HashMap::new();
    for auction in open.values().filter(|auction| auction.highest > 0) {
        let sum = sums.entry(auction.category).or_default();
        sum.0 += 1;
        sum.1 += auction.highest;
    }
    let mut answer = Answer::default();
    for (category, (n, sum)) in sums {
        answer.add(&(category, sum / n));
    }
    answer
}

const WINDOW_MS: i64 = 10_000;

fn window_of(time: i64) -> i64 {
    time - time.rem_euclid(WINDOW_MS)
}

/// What is known of a person in one window.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Seen {
    person: bool,
    auction: bool,
}

#[derive(Clone, Default)]
struct NewSellers {
    seen: Option<MapState<i64, Seen>>,
}

impl NewSellers {
    fn note(
        &self,
        time: i64,
        mark: impl FnOnce(&mut Seen),
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<'_, (i64, i64)>,
    ) -> Result<(), BoxError> {
        let Some(state) = self.seen else { return Ok(()) };
        let window = window_of(time);
        let seen = state.get_or_insert_with(context.state, window, Seen::default)?;
        let before = seen.person && seen.auction;
        mark(seen);
        if !before && seen.person && seen.auction {
            out.collect((*context.current_key(), window));
        }
        context.register_event_time_timer(window + WINDOW_MS - 1);
        Ok(())
    }
}

impl KeyedCoProcessFunction<i64, (i64, i64), (i64, i64), (i64, i64)> for NewSellers {
    fn open(&mut self, context: &mut OpenContext<'_, i64>) -> Result<(), BoxError> {
        self.seen = Some(context.state.map_state(&MapStateDescriptor::new("seen"))?);
        Ok(())
    }

    fn process1(
        &mut self,
        (_, time): (i64, i64),
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<'_, (i64, i64)>,
    ) -> Result<(), BoxError> {
        self.note(time, |seen| seen.person = true, context, out)
    }

    fn process2(
        &mut self,
        (_, time): (i64, i64),
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<'_, (i64, i64)>,
    ) -> Result<(), BoxError> {
        self.note(time, |seen| seen.auction = true, context, out)
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, i64>,
        _: &mut Collector<'_, (i64, i64)>,
    ) -> Result<(), BoxError> {
        if let Some(state) = self.seen {
            state.remove(context.state, &window_of(time))?;
        }
        Ok(())
    }
}

pub fn q8_engine(env: &StreamExecutionEnvironment, count: u64) -> Result<Answer, ExecuteError> {
    let sellers_tag = OutputTag::<(i64, i64)>::new("sellers");
    let tag = sellers_tag.clone();
    let persons =
        events(env, count).process_fn(move |event, out: &mut Collector<'_, (i64, i64)>| {
            match event {
                Event::Person(person) => out.collect((person.id, person.date_time)),
                Event::Auction(auction) => out.output(&tag, (auction.seller, auction.date_time)),
                Event::Bid(_) => {}
            }
            Ok(())
        });
    let joined = persons
        .connect(&persons.side_output(&sellers_tag))
        .key_by(|(id, _)| *id, |(seller, _)| *seller)
        .process(NewSellers::default());
    execute(env, &joined)
}

pub fn q8_loop(count: u64) -> Answer {
    let mut answer = Answer::default();
    let mut window = i64::MIN;
    let mut persons: HashSet<i64> = HashSet::new();
    let mut sellers: HashSet<i64> = HashSet::new();
    for_each_event(count, |event| {
        let time = event.timestamp();
        if window_of(time) != window {
            window = window_of(time);
            persons.clear();
            sellers.clear();
        }
        match event {
            Event::Person(person) => {
                if persons.insert(person.id) && sellers.contains(&person.id) {
                    answer.add(&(person.id, window));
                }
            }
            Event::Auction(auction) => {
                if sellers.insert(auction.seller) && persons.contains(&auction.seller) {
                    answer.add(&(auction.seller, window));
                }
            }
            Event::Bid(_) => {}
        }
    });
    answer
}
