//! Many contenders on one store, in any order: requests that are carried out late or never, answers
//! that are lost, crashes between any two steps, clocks that run at different speeds, processes
//! that stand still. Each run is told by its seed.
//!
//! What is checked at every step: tokens are given to one contender each and only grow; a fenced
//! record takes writes with growing tokens only, and each was decided on all before it. And at the
//! end, when faults have stopped: one contender leads, and all know it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use hurtig_cluster_api::FencingToken;
use proptest::prelude::RngCore;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::{
    ContenderId, LeaderRecord, Leadership, TakeoverRule,
    decision::{Election, ElectionCommand, ElectionEvent},
};
use crate::{
    options::ElectionOptions,
    register::{FencedRecord, Verdict, judge},
    store::{LatchState, Precondition, RecordVersion},
};

struct Random(TestRng);

impl Random {
    fn new(seed: u64) -> Self {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// The one record of an imagined store.
#[derive(Default)]
struct Cell<T> {
    value: Option<T>,
    version: u64,
}

impl<T: Clone> Cell<T> {
    fn put(&mut self, value: T, expected: u64) -> bool {
        let fits = self.version == expected;
        if fits {
            self.version += 1;
            self.value = Some(value);
        }
        fits
    }
}

fn version(number: u64) -> RecordVersion {
    RecordVersion::new(number.to_string())
}

fn number(precondition: &Precondition) -> u64 {
    match precondition {
        Precondition::Absent => 0,
        Precondition::Unchanged(version) => version.0.parse().unwrap(),
    }
}

/// A leader's work on a fenced record: read, then write.
struct Work {
    token: FencingToken,
    seen: Option<(u64, Vec<u64>, u64)>,
}

struct Node {
    id: ContenderId,
    election: Election,
    /// Its clock, in thousandths of true speed, and where it began.
    speed: u64,
    offset_ms: u64,
    stands_still_until_ms: u64,
    request: Option<ElectionCommand>,
    granted: Option<FencingToken>,
    work: Option<Work>,
}

struct World {
    random: Random,
    rule: TakeoverRule,
    now_ms: u64,
    next_id: u128,
    record: Cell<LeaderRecord>,
    /// Tokens of all accepted writes, in order: the content shows what each was decided on.
    register: Cell<FencedRecord<Vec<u64>>>,
    owners: BTreeMap<u64, ContenderId>,
    /// Writes whose sender has given them up, but which may still be carried out.
    late: VecDeque<(LeaderRecord, u64)>,
    late_work: VecDeque<(FencedRecord<Vec<u64>>, u64)>,
    nodes: Vec<Node>,
    log: Vec<String>,
}

fn options() -> ElectionOptions {
    ElectionOptions {
        lease: Duration::from_millis(800),
        retry: Duration::from_millis(100),
        request_timeout: Duration::from_millis(100),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let rule = if seed.is_multiple_of(3) { TakeoverRule::Latch } else { TakeoverRule::Lease };
        let mut world = Self {
            random: Random::new(seed),
            rule,
            now_ms: 0,
            next_id: 1,
            record: Cell { value: None, version: 0 },
            register: Cell { value: None, version: 0 },
            owners: BTreeMap::new(),
            late: VecDeque::new(),
            late_work: VecDeque::new(),
            nodes: Vec::new(),
            log: Vec::new(),
        };
        for _ in 0..3 {
            let node = world.new_node();
            world.nodes.push(node);
        }
        world
    }

    fn new_node(&mut self) -> Node {
        let id = ContenderId(self.next_id);
        self.next_id += 1;
        Node {
            id,
            election: Election::new(id, self.rule, true, options()),
            // Up to four times slower than another: far beyond the margin of leases.
            speed: 500 + self.random.below(1500),
            offset_ms: self.random.below(100_000),
            stands_still_until_ms: 0,
            request: None,
            granted: None,
            work: None,
        }
    }

    fn event(&mut self, index: usize, event: ElectionEvent) {
        let now_ms = self.now_ms;
        let node = &mut self.nodes[index];
        let local_ms = node.offset_ms + now_ms * node.speed / 1000;
        self.log.push(format!("{now_ms} {}: {event:?}", node.id.0));
        for command in node.election.on_event(local_ms, event) {
            self.log.push(format!("{now_ms} {}: -> {command:?}", node.id.0));
            match command {
                ElectionCommand::Grant(token) => {
                    assert_eq!(node.granted, None, "grant without revoke");
                    let owner = *self.owners.entry(token.0).or_insert(node.id);
                    assert_eq!(owner, node.id, "token {token:?} has two owners");
                    node.granted = Some(token);
                }
                ElectionCommand::Revoke(token) => {
                    assert_eq!(node.granted.take(), Some(token));
                    let current = self.record.value.as_ref().map(|record| record.token);
                    assert!(current > Some(token.0), "revoked though it still leads");
                }
                ElectionCommand::Left => unreachable!("nobody leaves"),
                request => {
                    assert!(node.request.is_none(), "two requests at once");
                    node.request = Some(request);
                }
            }
        }
    }

    fn put_record(&mut self, record: LeaderRecord, expected: u64) -> bool {
        let before = self.record.value.as_ref().map_or(0, |record| record.token);
        let token = record.token;
        let accepted = self.record.put(record, expected);
        if accepted {
            assert!(token == before || token == before + 1, "{before} -> {token}");
        }
        accepted
    }

    fn put_register(&mut self, record: FencedRecord<Vec<u64>>, expected: u64) -> bool {
        let before = self.register.value.clone();
        let accepted = self.register.put(record.clone(), expected);
        if accepted {
            let known = before.map(|record| record.content).unwrap_or_default();
            assert_eq!(record.content[..known.len()], known[..], "a write was lost");
            assert!(record.content.is_sorted(), "an earlier leader's write was accepted");
        }
        accepted
    }

    /// Carries out a request of a node, with faults or without.
    fn serve(&mut self, index: usize, faults: bool) {
        let Some(request) = self.nodes[index].request.take() else {
            return;
        };
        let fault = if faults { self.random.below(10) } else { 9 };
        match request {
            ElectionCommand::Read if fault == 0 => self.event(index, ElectionEvent::ReadFailed),
            ElectionCommand::Read => {
                let found = self.record.value.clone();
                let found = found.map(|record| (record, version(self.record.version)));
                self.event(index, ElectionEvent::Read(found));
            }
            ElectionCommand::Write(record, precondition) => {
                let expected = number(&precondition);
                match fault {
                    0 => self.event(index, ElectionEvent::WriteUncertain),
                    1 => {
                        self.late.push_back((record, expected));
                        self.event(index, ElectionEvent::WriteUncertain);
                    }
                    2 => {
                        self.put_record(record, expected);
                        self.event(index, ElectionEvent::WriteUncertain);
                    }
                    _ if self.put_record(record, expected) => {
                        let now = version(self.record.version);
                        self.event(index, ElectionEvent::Written(now));
                    }
                    _ => self.event(index, ElectionEvent::Conflict),
                }
            }
            _ => unreachable!("not a request"),
        }
    }

    /// One step of a leader's work. It goes on after leadership is lost, as a process would that
    /// has not heard of it.
    fn work(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(work) = &mut node.work else {
            node.work = node.granted.map(|token| Work { token, seen: None });
            return;
        };
        let Some((at, mut content, revision)) = work.seen.take() else {
            match judge(self.register.value.clone(), work.token) {
                Verdict::Fenced(_) => node.work = None,
                Verdict::Mine { content, revision, .. } => {
                    work.seen = Some((self.register.version, content, revision));
                }
            }
            return;
        };
        let token = work.token;
        content.push(token.0);
        let record = FencedRecord::sample(token, revision + 1, content);
        if self.random.one_in(5) {
            self.late_work.push_back((record, at));
        } else {
            self.put_register(record, at);
        }
    }

    fn tick(&mut self, index: usize) {
        let node = &self.nodes[index];
        let local_ms = node.offset_ms + self.now_ms * node.speed / 1000;
        if node.election.next_tick_ms().is_some_and(|at| at <= local_ms) {
            self.event(index, ElectionEvent::Tick);
        }
    }

    fn latch(&mut self, index: usize, faults: bool) {
        if self.rule == TakeoverRule::Latch {
            // With faults, several may believe to be first.
            let first = if faults { self.random.one_in(2) } else { index == 0 };
            let connected = !faults || !self.random.one_in(4);
            self.event(index, ElectionEvent::Latch(LatchState { first, connected }));
        }
    }

    fn step_with_faults(&mut self) {
        self.now_ms += self.random.below(40);
        let index = self.random.below(self.nodes.len() as u64) as usize;
        if self.nodes[index].stands_still_until_ms > self.now_ms {
            return;
        }
        match self.random.below(100) {
            0 => self.nodes[index] = self.new_node(),
            1 => {
                let pause_ms = self.random.below(5000);
                self.nodes[index].stands_still_until_ms = self.now_ms + pause_ms;
            }
            2..6 => self.latch(index, true),
            6..10 => {
                if let Some((record, expected)) = self.late.pop_front() {
                    self.put_record(record, expected);
                }
                if let Some((record, expected)) = self.late_work.pop_front() {
                    self.put_register(record, expected);
                }
            }
            10..40 => self.work(index),
            40..70 => self.serve(index, true),
            _ => self.tick(index),
        }
    }

    fn settle(&mut self) {
        self.late.clear();
        for node in &mut self.nodes {
            // Clocks that are as leases expect them.
            node.offset_ms += self.now_ms * node.speed / 1000 + 1;
            node.speed = 1000;
        }
        let start_ms = self.now_ms;
        for node in &mut self.nodes {
            node.offset_ms = node.offset_ms.saturating_sub(start_ms).max(1);
        }
        for index in 0..self.nodes.len() {
            self.latch(index, false);
        }
        while self.now_ms < start_ms + 10_000 {
            self.now_ms += 5;
            for index in 0..self.nodes.len() {
                self.tick(index);
                self.serve(index, false);
            }
        }
        let leaders: Vec<_> = self.nodes.iter().map(|node| node.election.leadership()).collect();
        let sure = leaders.iter().filter(|one| matches!(one, Leadership::Leader(_))).count();
        let none = leaders.iter().filter(|one| matches!(one, Leadership::Standby)).count();
        assert_eq!((sure, none), (1, self.nodes.len() - 1), "{leaders:?}");
    }
}

fn explore(seed: u64) {
    let mut world = World::new(seed);
    let run = std::panic::AssertUnwindSafe(|| {
        for _ in 0..2000 {
            world.step_with_faults();
        }
        world.settle();
    });
    if let Err(panic) = std::panic::catch_unwind(run) {
        let from = world.log.len().saturating_sub(60);
        eprintln!("seed {seed}:\n{}", world.log[from..].join("\n"));
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn never_do_two_leaders_write_whatever_is_lost_late_or_slow() {
    for seed in 0..2000 {
        explore(seed);
    }
}
