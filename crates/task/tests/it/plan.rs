//! What the producers send, known in full, and what must come of it.
//!
//! Whatever the interleaving, no record is late: behind a watermark its channel has only later
//! records, and a channel that was idle once has none any more.

use std::collections::BTreeMap;

use hurtig_graph::ShipStrategy;
use hurtig_types::{MAX_TIMESTAMP, StreamStatus};
use serde::{Deserialize, Serialize};

use crate::{
    dice::Dice,
    tally::{Told, WINDOW},
};

/// A record of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its channel, counted over all edges.
    pub channel: u32,
    /// Its position in the channel.
    pub position: u32,
    pub key: u8,
    pub time: i64,
    pub value: i64,
}

/// What a producer sends.
#[derive(Clone, Debug)]
pub enum Item {
    Records(Vec<Event>),
    Watermark(i64),
    Status(StreamStatus),
    Latency,
}

#[derive(Debug)]
pub struct PlannedChannel {
    /// Its producer is in another TaskExecutor.
    pub remote: bool,
    /// The last one is the last watermark.
    pub items: Vec<Item>,
}

#[derive(Debug)]
pub struct PlannedEdge {
    /// The input of the task that it feeds.
    pub input: u32,
    pub ship: ShipStrategy,
    pub channels: Vec<PlannedChannel>,
}

#[derive(Debug)]
pub struct Plan {
    pub edges: Vec<PlannedEdge>,
    /// The consumers are in another TaskExecutor.
    pub remote_consumers: bool,
}

impl Plan {
    pub fn draw(dice: &mut Dice) -> Self {
        let mut channels = 0;
        let inputs: &[u32] = if dice.percent(40) { &[0, 1, 0] } else { &[0, 1] };
        let edges = inputs.iter().map(|input| {
            // Barriers may overtake records on the first, and not on the second.
            let ships = [ShipStrategy::KeyGroup, ShipStrategy::Rescale];
            let ship = ships[usize::from(dice.percent(25))];
            let number = dice.between(1, 3);
            let drawn = (0..number).map(|_| {
                channels += 1;
                PlannedChannel { remote: dice.percent(50), items: items(channels - 1, dice) }
            });
            PlannedEdge { input: *input, ship, channels: drawn.collect() }
        });
        Self { edges: edges.collect(), remote_consumers: dice.percent(50) }
    }

    fn events(&self) -> impl Iterator<Item = (u32, &Event)> {
        let channels =
            self.edges.iter().flat_map(|edge| edge.channels.iter().map(|c| (edge.input, c)));
        channels.flat_map(|(input, channel)| {
            let records = channel.items.iter().filter_map(|item| match item {
                Item::Records(records) => Some(records),
                _ => None,
            });
            records.flatten().map(move |event| (input, event))
        })
    }

    /// The sums of all windows, by key and end.
    fn windows(&self) -> BTreeMap<(u8, i64), [i64; 2]> {
        let mut windows = BTreeMap::<_, [i64; 2]>::new();
        for (input, event) in self.events() {
            let end = (event.time.div_euclid(WINDOW) + 1) * WINDOW;
            windows.entry((event.key, end)).or_default()[input as usize] += event.value;
        }
        windows
    }

    /// Exactly once: what the consumers have, each in its order, is what the definition says.
    pub fn check(&self, consumers: &[Vec<Told>]) -> Result<(), String> {
        let mut sequence: Vec<u64> = consumers.iter().flatten().map(Told::sequence).collect();
        sequence.sort_unstable();
        if !sequence.iter().copied().eq(0..sequence.len() as u64) {
            return Err(format!(
                "the numbers of the results have gaps or repetitions: {sequence:?}"
            ));
        }
        let mut windows = self.windows();
        let mut seen = BTreeMap::<(u32, u8), Vec<u32>>::new();
        let mut counts = BTreeMap::<u8, u64>::new();
        for told in consumers.iter().flatten() {
            match told {
                Told::Seen { channel, position, key, number, .. } => {
                    seen.entry((*channel, *key)).or_default().push(*position);
                    let count = counts.entry(*key).or_default();
                    *count += 1;
                    if number != count {
                        return Err(format!(
                            "record {count} of its key has number {number}: {told:?}"
                        ));
                    }
                }
                Told::Window { key, end, sums, .. } => {
                    if windows.remove(&(*key, *end)) != Some(*sums) {
                        return Err(format!("no such window, or not any more: {told:?}"));
                    }
                }
            }
        }
        if !windows.is_empty() {
            return Err(format!("windows without a result: {windows:?}"));
        }
        let mut sent = BTreeMap::<(u32, u8), Vec<u32>>::new();
        for (_, event) in self.events() {
            sent.entry((event.channel, event.key)).or_default().push(event.position);
        }
        if seen != sent {
            return Err(format!("by channel and key, there were {sent:?}, and seen {seen:?}"));
        }
        Ok(())
    }

    /// At least once: everything has been seen, and nothing else.
    pub fn check_at_least_once(&self, consumers: &[Vec<Told>]) -> Result<(), String> {
        let mut left = self.windows();
        let mut unseen: Vec<(u32, u32)> =
            self.events().map(|(_, event)| (event.channel, event.position)).collect();
        unseen.sort_unstable();
        let sent = unseen.clone();
        for told in consumers.iter().flatten() {
            match told {
                Told::Seen { channel, position, .. } => {
                    let record = (*channel, *position);
                    if sent.binary_search(&record).is_err() {
                        return Err(format!("never sent: {told:?}"));
                    }
                    unseen.retain(|one| *one != record);
                }
                Told::Window { key, end, sums, .. } => {
                    let Some(window) = left.get_mut(&(*key, *end)) else {
                        return Err(format!("no such window: {told:?}"));
                    };
                    window.iter_mut().zip(sums).for_each(|(left, sum)| *left -= sum);
                }
            }
        }
        let short = left.iter().find(|(_, sums)| sums.iter().any(|left| *left > 0));
        match (unseen.is_empty(), short) {
            (true, None) => Ok(()),
            _ => Err(format!("never seen: {unseen:?}; a window that lacks records: {short:?}")),
        }
    }
}

/// What one channel sends.
fn items(channel: u32, dice: &mut Dice) -> Vec<Item> {
    let (mut items, mut position, mut watermark) = (Vec::new(), 0, 0);
    let (mut latest, mut idle, mut was_idle) = (0, false, false);
    for _ in 0..dice.between(3, 25) {
        match dice.between(0, 99) {
            0..60 if !was_idle => {
                let records = (0..dice.between(1, 4)).map(|_| {
                    let time = watermark + dice.between(1, 15) as i64;
                    latest = latest.max(time);
                    position += 1;
                    let (key, value) = (dice.between(0, 4) as u8, dice.between(1, 9) as i64);
                    Event { channel, position: position - 1, key, time, value }
                });
                items.push(Item::Records(records.collect()));
            }
            60..90 if !idle => {
                watermark = dice.between(watermark as u64, latest.max(watermark) as u64 + 3) as i64;
                items.push(Item::Watermark(watermark));
            }
            90..94 => items.push(Item::Latency),
            97..100 => {
                (idle, was_idle) = (!idle, true);
                let status = if idle { StreamStatus::Idle } else { StreamStatus::Active };
                items.push(Item::Status(status));
            }
            _ => {}
        }
    }
    if idle {
        items.push(Item::Status(StreamStatus::Active));
    }
    items.push(Item::Watermark(MAX_TIMESTAMP));
    items
}
