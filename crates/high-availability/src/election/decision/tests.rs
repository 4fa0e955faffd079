//! Scripts of one contender.

use std::time::Duration;

use super::*;

const ME: ContenderId = ContenderId(1);
const OTHER: ContenderId = ContenderId(2);

fn options() -> ElectionOptions {
    ElectionOptions {
        lease: Duration::from_millis(800),
        retry: Duration::from_millis(100),
        request_timeout: Duration::from_millis(100),
    }
}

fn contender(rule: TakeoverRule) -> Election {
    Election::new(ME, rule, true, options())
}

fn version(number: u32) -> RecordVersion {
    RecordVersion::new(number.to_string())
}

fn held_by(holder: ContenderId, token: u64, renewal: u64) -> LeaderRecord {
    LeaderRecord {
        token,
        renewal,
        holder: Some(holder.to_string()),
        lease_ms: 800,
        addresses: BTreeMap::new(),
    }
}

fn read(record: LeaderRecord, at: u32) -> ElectionEvent {
    ElectionEvent::Read(Some((record, version(at))))
}

fn unchanged(at: u32) -> Precondition {
    Precondition::Unchanged(version(at))
}

use ElectionCommand::{Grant, Left, Read, Revoke, Write};
use ElectionEvent::{Conflict, Leave, ReadFailed, Tick, WriteUncertain, Written};

/// A leader with token 5 since time 0.
fn leader() -> Election {
    let mut one = contender(TakeoverRule::Lease);
    assert_eq!(one.on_event(0, Tick), [Read]);
    let free = LeaderRecord { holder: None, ..held_by(OTHER, 4, 3) };
    let write = Write(held_by(ME, 5, 0), unchanged(1));
    assert_eq!(one.on_event(0, read(free, 1)), [write]);
    assert_eq!(one.on_event(0, Written(version(2))), [Grant(FencingToken(5))]);
    one
}

#[test]
fn a_free_record_is_taken_at_once_with_the_next_token() {
    let mut one = contender(TakeoverRule::Lease);
    assert_eq!(one.on_event(0, Tick), [Read]);
    let write = Write(held_by(ME, 1, 0), Precondition::Absent);
    assert_eq!(one.on_event(1, ElectionEvent::Read(None)), [write]);
    assert_eq!(one.leadership(), Leadership::Standby);
    assert_eq!(one.on_event(2, Written(version(1))), [Grant(FencingToken(1))]);
    assert_eq!(one.leadership(), Leadership::Leader(FencingToken(1)));
    leader();
}

#[test]
fn a_job_s_record_is_not_made_by_contenders() {
    let mut one = Election::new(ME, TakeoverRule::Lease, false, options());
    assert_eq!(one.on_event(0, Tick), [Read]);
    assert_eq!(one.on_event(0, ElectionEvent::Read(None)), []);
    assert_eq!(one.on_event(100, Tick), [Read]);
}

#[test]
fn a_silent_holder_is_replaced_after_its_lease_and_a_margin() {
    let mut one = contender(TakeoverRule::Lease);
    one.on_event(0, Tick);
    assert_eq!(one.on_event(10, read(held_by(OTHER, 4, 7), 1)), []);
    // It renews once, then no more.
    one.on_event(500, Tick);
    assert_eq!(one.on_event(500, read(held_by(OTHER, 4, 8), 2)), []);
    // Lease and an eighth since the change was seen.
    let silent_ms = 500 + 800 + 100;
    let takeover = loop {
        let now = one.next_tick_ms().unwrap();
        assert_eq!(one.on_event(now, Tick), [Read]);
        let commands = one.on_event(now, read(held_by(OTHER, 4, 8), 2));
        if now >= silent_ms {
            break commands;
        }
        assert_eq!(commands, [], "at {now}");
    };
    assert_eq!(takeover, [Write(held_by(ME, 5, 0), unchanged(2))]);
}

#[test]
fn a_lost_answer_to_a_takeover_is_found_out_by_reading() {
    for landed in [true, false] {
        let mut one = contender(TakeoverRule::Lease);
        one.on_event(0, Tick);
        one.on_event(0, ElectionEvent::Read(None));
        assert_eq!(one.on_event(60, WriteUncertain), []);
        let now = one.next_tick_ms().unwrap();
        assert_eq!(one.on_event(now, Tick), [Read]);
        if landed {
            let found = one.on_event(now, read(held_by(ME, 1, 0), 1));
            assert_eq!(found, [Grant(FencingToken(1))]);
        } else {
            let again = Write(held_by(ME, 1, 0), Precondition::Absent);
            assert_eq!(one.on_event(now, ElectionEvent::Read(None)), [again]);
            assert_eq!(one.on_event(now, Conflict), [Read], "the first has come after all");
            one.on_event(now, read(held_by(ME, 1, 0), 1));
        }
        assert_eq!(one.leadership().token(), Some(FencingToken(1)));
    }
}

#[test]
fn a_leader_without_the_store_is_suspended_and_goes_on() {
    let mut one = leader();
    let renewal = Write(held_by(ME, 5, 1), unchanged(2));
    assert_eq!(one.on_event(200, Tick), [renewal]);
    assert_eq!(one.on_event(300, WriteUncertain), []);
    let mut now = 300;
    while now < 10_000 {
        now = one.next_tick_ms().unwrap();
        for command in one.on_event(now, Tick) {
            assert_eq!(command, Read);
            assert_eq!(one.on_event(now, ReadFailed), []);
        }
        let sure = now < 800;
        let token = FencingToken(5);
        let state = if sure { Leadership::Leader(token) } else { Leadership::Suspended(token) };
        assert_eq!(one.leadership(), state, "at {now}");
    }
    // The store is back, and nobody has taken over: the work was never interrupted.
    now = one.next_tick_ms().unwrap();
    assert_eq!(one.on_event(now, Tick), [Read]);
    let renewal = Write(held_by(ME, 5, 1), unchanged(2));
    assert_eq!(one.on_event(now, read(held_by(ME, 5, 0), 2)), [renewal]);
    // That may have been the write of long ago; only the next one proves that it leads now.
    let next = Write(held_by(ME, 5, 2), unchanged(3));
    assert_eq!(one.on_event(now, Written(version(3))), [next]);
    assert_eq!(one.leadership(), Leadership::Suspended(FencingToken(5)));
    assert_eq!(one.on_event(now, Written(version(4))), []);
    assert_eq!(one.leadership(), Leadership::Leader(FencingToken(5)));
}

#[test]
fn a_leader_is_revoked_when_the_record_names_another() {
    let mut one = leader();
    assert_eq!(one.on_event(200, Tick).len(), 1);
    assert_eq!(one.on_event(201, Conflict), [Read]);
    assert_eq!(one.on_event(202, read(held_by(OTHER, 6, 0), 9)), [Revoke(FencingToken(5))]);
    assert_eq!(one.leadership(), Leadership::Standby);
    // And also if it is gone.
    let mut one = leader();
    assert_eq!(one.on_event(200, Tick).len(), 1);
    assert_eq!(one.on_event(201, Conflict), [Read]);
    assert_eq!(one.on_event(202, ElectionEvent::Read(None))[0], Revoke(FencingToken(5)));
}

#[test]
fn addresses_are_written_at_once_and_are_those_of_one_leadership() {
    let mut one = leader();
    let publish = |address: &str| ElectionEvent::Publish {
        component: "dispatcher".to_owned(),
        address: Some(address.to_owned()),
    };
    let addresses = BTreeMap::from([("dispatcher".to_owned(), "here:1".to_owned())]);
    let record = LeaderRecord { addresses, ..held_by(ME, 5, 1) };
    assert_eq!(one.on_event(10, publish("here:1")), [Write(record, unchanged(2))]);
    assert!(!one.is_published("dispatcher", "here:1"));
    assert_eq!(one.on_event(11, Written(version(3))), []);
    assert!(one.is_published("dispatcher", "here:1"));
    assert_eq!(one.on_event(400, Tick).len(), 1);
    one.on_event(401, Conflict);
    one.on_event(402, read(held_by(OTHER, 6, 0), 9));
    assert!(!one.is_published("dispatcher", "here:1"));
}

#[test]
fn who_leaves_frees_the_record() {
    let mut one = leader();
    let free = LeaderRecord { holder: None, ..held_by(ME, 5, 1) };
    assert_eq!(one.on_event(10, Leave), [Write(free, unchanged(2))]);
    assert_eq!(one.on_event(11, Written(version(3))), [Revoke(FencingToken(5)), Left]);
    assert_eq!(one.on_event(12, Tick), []);
    assert_eq!(one.next_tick_ms(), None);
}

#[test]
fn who_stands_by_leaves_at_once() {
    let mut one = contender(TakeoverRule::Lease);
    one.on_event(0, Tick);
    one.on_event(0, read(held_by(OTHER, 4, 0), 1));
    assert_eq!(one.on_event(1, Leave), [Left]);
}

#[test]
fn with_a_latch_the_first_in_line_takes_over_and_connection_loss_only_suspends() {
    let latch = |first, connected| ElectionEvent::Latch(LatchState { first, connected });
    let mut one = contender(TakeoverRule::Latch);
    assert_eq!(one.on_event(0, latch(false, true)), [Read]);
    assert_eq!(one.on_event(1, read(held_by(OTHER, 4, 0), 1)), []);
    // Silence alone means nothing.
    assert_eq!(one.on_event(60_000, Tick), [Read]);
    assert_eq!(one.on_event(60_000, read(held_by(OTHER, 4, 0), 1)), []);
    assert_eq!(one.on_event(60_010, latch(true, true)), [Read]);
    let write = Write(held_by(ME, 5, 0), unchanged(1));
    assert_eq!(one.on_event(60_011, read(held_by(OTHER, 4, 0), 1)), [write]);
    assert_eq!(one.on_event(60_012, Written(version(2))), [Grant(FencingToken(5))]);
    assert_eq!(one.on_event(60_020, latch(true, false)), [Read]);
    assert_eq!(one.leadership(), Leadership::Suspended(FencingToken(5)));
    assert_eq!(one.on_event(60_500, ReadFailed), []);
    // Its session has expired and its place is lost, but nobody has taken over.
    assert_eq!(one.on_event(90_000, latch(false, true)), [Read]);
    assert_eq!(one.on_event(90_001, read(held_by(ME, 5, 0), 2)), []);
    assert_eq!(one.leadership(), Leadership::Leader(FencingToken(5)));
    assert_eq!(one.on_event(90_101, Tick), [Read]);
    let revoked = one.on_event(90_102, read(held_by(OTHER, 6, 0), 3));
    assert_eq!(revoked, [Revoke(FencingToken(5))]);
}
