//! What every operator with state keeps, whatever it does: one suite over all of them.
//!
//! An operator that is never disturbed says what is right. Another one gets the same events, but is
//! captured, in whole and by changes, while it goes on; it is lost and starts again from a capture, in
//! as many subtasks or in others. Event by event it must emit the same rows.

mod fleet;
mod subjects;

use std::time::Duration;

use fleet::Fleet;
use subjects::{Changes, Subject, by_time, with_time_to_live};

/// Something that happens to an operator.
#[derive(Clone, Debug)]
pub enum Event {
    /// Rows of an input, as text.
    Rows(usize, String),
    /// Event time goes on.
    Watermark(i64),
}

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Makes events: rows of few keys and values, some of them late, and now and then a watermark.
struct Events {
    random: Random,
    inputs: usize,
    changes: Changes,
    /// Times are multiples of it.
    step: i64,
    /// Rows that can be taken away, per input.
    live: Vec<Vec<String>>,
    time: i64,
    watermark: i64,
}

impl Events {
    fn of(subject: &Subject, seed: u64) -> Self {
        let inputs = subject.inputs.len();
        assert_eq!(subject.generated(0).fields().len(), 3, "rows have a key, a number and a time");
        let live = vec![Vec::new(); inputs];
        let (changes, step, random) = (subject.changes, subject.step, Random(seed));
        Self { random, inputs, changes, step, live, time: 0, watermark: 0 }
    }

    fn row(&mut self) -> String {
        let key = match self.random.below(9) {
            0 => "null".to_owned(),
            key => format!("k{key}"),
        };
        let time = self.time + self.random.below(30) as i64;
        let time = (time + self.step - 1) / self.step * self.step;
        format!("{key} {} {time}", self.random.below(5))
    }

    fn change(&mut self, input: usize, texts: &mut Vec<String>) {
        let mut row = self.row();
        let takes = self.random.below(3) == 0;
        match self.changes {
            Changes::Inserts => texts.push(format!("+I {row}")),
            Changes::Retractions if takes && !self.live[input].is_empty() => {
                let at = self.random.below(self.live[input].len() as u64) as usize;
                let gone = self.live[input].swap_remove(at);
                if self.random.below(2) == 0 {
                    texts.push(format!("-D {gone}"));
                    return;
                }
                // An update keeps its key.
                let key = gone.split(' ').next().unwrap().to_owned();
                row = format!("{key} {}", row.split_once(' ').unwrap().1);
                texts.push(format!("-U {gone}"));
                texts.push(format!("+U {row}"));
                self.live[input].push(row);
            }
            Changes::Retractions => {
                texts.push(format!("+I {row}"));
                self.live[input].push(row);
            }
            Changes::Upserts => {
                // Of each key the last row is there; NULL is no key.
                let row = row.replacen("null", "k0", 1);
                let key = format!("{} ", row.split(' ').next().unwrap());
                let known = self.live[input].iter().position(|one| one.starts_with(&key));
                if let Some(known) = known {
                    let gone = self.live[input].swap_remove(known);
                    if takes {
                        texts.push(format!("-D {gone}"));
                        return;
                    }
                }
                texts.push(format!("{} {row}", if known.is_some() { "+U" } else { "+I" }));
                self.live[input].push(row);
            }
        }
    }

    fn next(&mut self) -> Event {
        if self.random.below(4) == 0 {
            self.time += self.random.below(25) as i64;
            // What is older is late.
            self.watermark = self.watermark.max(self.time - 5);
            return Event::Watermark(self.watermark);
        }
        let input = self.random.below(self.inputs as u64) as usize;
        let mut texts = Vec::new();
        for _ in 0..=self.random.below(6) {
            self.change(input, &mut texts);
        }
        Event::Rows(input, texts.join(" | "))
    }

    fn take(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// Rows of an event: subtasks do not agree on their order.
fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

fn all(ttl: Option<Duration>) -> Vec<Subject> {
    with_time_to_live(ttl).into_iter().chain(by_time()).collect()
}

/// What an undisturbed operator emits for each event.
fn reference(subject: &Subject, events: &[Event]) -> Vec<Vec<String>> {
    let mut fleet = Fleet::new(subject, 1);
    let given: Vec<_> = events.iter().map(|event| sorted(fleet.give(event))).collect();
    assert!(given.iter().flatten().count() > 4, "{} emits next to nothing", subject.name);
    given
}

/// Feeds events to subtasks that are captured and lost, `parallelism` in turn.
fn disturbed(subject: &Subject, seed: u64, parallelisms: &[u32]) {
    let events = Events::of(subject, seed).take(90);
    let expected = reference(subject, &events);
    let mut random = Random(seed ^ 0xdead);
    let mut fleet = Fleet::new(subject, parallelisms[0]);
    let mut next_parallelism = parallelisms.iter().cycle().skip(1);
    let mut at = 0;
    // The latest snapshot, and which events it knows.
    let mut latest = None;
    let mut begun_at = None;
    let mut losses = 0;
    while at < events.len() {
        let given = sorted(fleet.give(&events[at]));
        assert_eq!(given, expected[at], "{}, seed {seed}: {:?}", subject.name, events[at]);
        at += 1;
        fleet.write_some();
        match (random.below(6), begun_at) {
            (0 | 1, None) => {
                fleet.begin_capture(random.below(3) > 0);
                begun_at = Some(at);
            }
            (0, Some(_)) => {
                fleet.cancel_capture();
                begun_at = None;
            }
            (1 | 2, Some(then)) => {
                latest = Some((fleet.end_capture(), then));
                begun_at = None;
            }
            (3, _) if losses < 12 => {
                let Some((snapshot, then)) = &latest else { continue };
                losses += 1;
                fleet.restore(snapshot, *next_parallelism.next().unwrap());
                (at, begun_at) = (*then, None);
            }
            _ => {}
        }
    }
    assert!(losses > 0, "{}, seed {seed}: nothing was lost", subject.name);
}

/// Checks all subjects, and names those that fail.
fn check_each(subjects: Vec<Subject>, check: impl Fn(&Subject)) {
    let broken = subjects.iter().filter(|subject| {
        let checked = std::panic::AssertUnwindSafe(|| check(subject));
        std::panic::catch_unwind(checked).is_err()
    });
    let broken: Vec<_> = broken.map(|subject| subject.name.as_str()).collect();
    assert!(broken.is_empty(), "these break the contract: {broken:?}");
}

#[test]
fn a_restored_operator_goes_on_as_if_nothing_had_happened() {
    check_each(all(None), |subject| {
        (1..=4).for_each(|seed| disturbed(subject, seed, &[1]));
    });
}

#[test]
fn state_follows_its_keys_to_other_subtasks() {
    check_each(all(None), |subject| {
        (11..=14).for_each(|seed| disturbed(subject, seed, &[1, 3, 2]));
    });
}

const TTL: Duration = Duration::from_secs(100);

#[test]
fn state_outlives_captures_and_restores_but_not_its_time() {
    check_each(with_time_to_live(Some(TTL)), |subject| {
        let mut events = Events::of(subject, 21);
        let (before, after) = (events.take(30), events.take(30));
        let mut fleet = Fleet::new(subject, 2);
        before.iter().for_each(|event| drop(fleet.give(event)));
        fleet.begin_capture(false);
        let snapshot = fleet.end_capture();

        // In time: as an operator that was never disturbed.
        let mut undisturbed = Fleet::new(subject, 1);
        before.iter().for_each(|event| drop(undisturbed.give(event)));
        for fleet in [&fleet, &undisturbed] {
            fleet.advance(TTL / 2);
        }
        fleet.restore(&snapshot, 3);
        for event in &after {
            let (given, expected) = (sorted(fleet.give(event)), sorted(undisturbed.give(event)));
            assert_eq!(given, expected, "{}, in time: {event:?}", subject.name);
        }

        // Too late: as one that has seen nothing.
        fleet.restore(&snapshot, 2);
        fleet.advance(TTL * 2);
        let mut fresh = Fleet::new(subject, 1);
        fresh.advance(TTL * 3);
        for event in &after {
            let (given, expected) = (sorted(fleet.give(event)), sorted(fresh.give(event)));
            assert_eq!(given, expected, "{}, too late: {event:?}", subject.name);
        }
    });
}
