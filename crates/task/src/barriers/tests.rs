//! Scripts of barriers.
use std::fmt::Write;

use expect_test::{Expect, expect};
use hurtig_types::{CheckpointOptions, CheckpointType};

use super::*;

fn check(channels: usize, alignment: Alignment, script: &str, expected: Expect) {
    check_channels(vec![true; channels], alignment, script, expected);
}

/// `2@1`: the barrier of checkpoint 1 on channel 2. `2!1`: it is announced. `2~1`: it has
/// overtaken what was before it. `end 2`: the channel ends. `abort 1`. `taken 1`: without barriers. `time`: nothing but that
/// time passes. Time passes by a millisecond with each event; all barriers are of time 0.
fn check_channels(may_overtake: Vec<bool>, alignment: Alignment, script: &str, expected: Expect) {
    let mut handler = BarrierHandler::new(may_overtake);
    let mut text = String::new();
    for (now_ms, event) in (0..).zip(script.split(',').map(str::trim)) {
        let actions = if let Some(channel) = event.strip_prefix("end ") {
            handler.on_end(channel.parse().unwrap(), now_ms)
        } else if let Some(id) = event.strip_prefix("abort ") {
            handler.on_aborted(CheckpointId(id.parse().unwrap()))
        } else if let Some(id) = event.strip_prefix("taken ") {
            handler.on_taken(CheckpointId(id.parse().unwrap()))
        } else if event == "time" {
            handler.on_time(now_ms)
        } else {
            let (channel, id) = event.split_once(['@', '!', '~', '?']).unwrap();
            let channel: usize = channel.parse().unwrap();
            let checkpoint_id = CheckpointId(id.parse().unwrap());
            // `?`: announced by a producer whose own timeout has passed.
            let alignment = if event.contains('?') { Alignment::Unaligned } else { alignment };
            let options = CheckpointOptions {
                checkpoint_type: CheckpointType::Checkpoint,
                alignment,
                target: None,
            };
            let barrier = CheckpointBarrier { checkpoint_id, timestamp_ms: 0, options };
            if event.contains('@') {
                handler.on_barrier(channel, barrier, now_ms)
            } else if event.contains('~') {
                handler.on_overtaken(channel, checkpoint_id, now_ms)
            } else {
                handler.on_announced(channel, barrier, now_ms)
            }
        };
        write!(text, "{event}:").unwrap();
        for id in actions.superseded {
            write!(text, " decline {id}").unwrap();
        }
        if actions.unblock {
            write!(text, " unblock").unwrap();
        }
        if let Some(channel) = actions.block {
            write!(text, " block {channel}").unwrap();
        }
        if let Some(barrier) = actions.take {
            write!(text, " take {} after {} ms", barrier.checkpoint_id, actions.alignment_ms)
                .unwrap();
        }
        if actions.collect {
            let id = *handler.pending.keys().next().unwrap();
            let awaited = (0..handler.ended.len()).filter(|c| handler.awaits(id, *c));
            write!(text, " collect {:?}", awaited.collect::<Vec<_>>()).unwrap();
        }
        if let Some(id) = actions.collected {
            write!(text, " collected {id}").unwrap();
        }
        text.push('\n');
    }
    expected.assert_eq(&text);
}

#[test]
fn aligned_barriers_block_until_the_last_has_come() {
    check(
        3,
        Alignment::Aligned,
        "0@1, 2@1, 1@1, 1@2, 0@2, 2@2",
        expect![[r#"
        0@1: block 0
        2@1: block 2
        1@1: block 1 take 1 after 2 ms
        1@2: block 1
        0@2: block 0
        2@2: block 2 take 2 after 2 ms
    "#]],
    );
    check(
        1,
        Alignment::Aligned,
        "0@1, 0@2",
        expect![[r#"
        0@1: block 0 take 1 after 0 ms
        0@2: block 0 take 2 after 0 ms
    "#]],
    );
}

#[test]
fn ended_channels_do_not_hold_a_checkpoint_up() {
    check(
        3,
        Alignment::Aligned,
        "0@1, end 1, 2@1, end 0, 2@2",
        expect![[r#"
        0@1: block 0
        end 1:
        2@1: block 2 take 1 after 2 ms
        end 0:
        2@2: block 2 take 2 after 0 ms
    "#]],
    );
    check(
        2,
        Alignment::Aligned,
        "0@1, end 1, 0@2",
        expect![[r#"
        0@1: block 0
        end 1: take 1 after 1 ms
        0@2: block 0 take 2 after 0 ms
    "#]],
    );
}

#[test]
fn a_later_checkpoint_supersedes_the_one_under_way() {
    check(
        2,
        Alignment::Aligned,
        "0@1, 1@2, 1@1, 0@2",
        expect![[r#"
        0@1: block 0
        1@2: decline 1 unblock block 1
        1@1:
        0@2: block 0 take 2 after 2 ms
    "#]],
    );
    check(
        3,
        Alignment::Aligned,
        "0@1, 1@3, 2@2, 0@3, 2@3",
        expect![[r#"
        0@1: block 0
        1@3: decline 1 unblock block 1
        2@2:
        0@3: block 0
        2@3: block 2 take 3 after 3 ms
    "#]],
    );
}

#[test]
fn an_aborted_checkpoint_opens_its_channels() {
    check(
        2,
        Alignment::Aligned,
        "0@1, abort 1, 1@1, 0@2, 1@2",
        expect![[r#"
        0@1: block 0
        abort 1: unblock
        1@1:
        0@2: block 0
        1@2: block 1 take 2 after 1 ms
    "#]],
    );
    check(
        2,
        Alignment::Aligned,
        "abort 1, 0@1, 1@1, 0@2",
        expect![[r#"
        abort 1:
        0@1:
        1@1:
        0@2: block 0
    "#]],
    );
    check(
        2,
        Alignment::Aligned,
        "0@2, abort 1, 1@2",
        expect![[r#"
        0@2: block 0
        abort 1:
        1@2: block 1 take 2 after 2 ms
    "#]],
    );
}

#[test]
fn at_least_once_blocks_nothing() {
    check(
        2,
        Alignment::AtLeastOnce,
        "0@1, 1@1, 0@2, 0@3, 1@2, 1@3",
        expect![[r#"
        0@1:
        1@1: take 1 after 1 ms
        0@2:
        0@3:
        1@2: take 2 after 2 ms
        1@3: take 3 after 2 ms
    "#]],
    );
    check(
        2,
        Alignment::AtLeastOnce,
        "0@1, 0@2, 1@2, 1@1",
        expect![[r#"
        0@1:
        0@2:
        1@2: decline 1 take 2 after 1 ms
        1@1:
    "#]],
    );
}

#[test]
fn unaligned_barriers_are_taken_when_the_first_is_announced() {
    check(
        3,
        Alignment::Unaligned,
        "1!1, 1~1, 0!1, 0~1, 2!1, 2~1, 0!2, 0~2",
        expect![[r#"
        1!1: take 1 after 0 ms collect [0, 1, 2]
        1~1:
        0!1:
        0~1:
        2!1:
        2~1: collected 1
        0!2: take 2 after 0 ms collect [0, 1, 2]
        0~2:
    "#]],
    );
    // A barrier may be reached before its announcement is.
    check(
        2,
        Alignment::Unaligned,
        "0@1, 1@1, 0!1, 1!1, 1@2, 0!2, 0~2",
        expect![[r#"
        0@1: block 0 take 1 after 0 ms collect [1]
        1@1: collected 1
        0!1:
        1!1:
        1@2: block 1 take 2 after 0 ms collect [0]
        0!2:
        0~2: collected 2
    "#]],
    );
    check(
        1,
        Alignment::Unaligned,
        "0@1, 0!1, 0!2, 0~2",
        expect![[r#"
        0@1: block 0 take 1 after 0 ms
        0!1:
        0!2: take 2 after 0 ms collect [0]
        0~2: collected 2
    "#]],
    );
}

#[test]
fn channels_end_while_records_in_flight_are_collected() {
    check(
        3,
        Alignment::Unaligned,
        "end 0, 1!1, 1~1, end 2, 2!1",
        expect![[r#"
        end 0:
        1!1: take 1 after 0 ms collect [1, 2]
        1~1:
        end 2: collected 1
        2!1:
    "#]],
    );
    check(
        2,
        Alignment::Unaligned,
        "0!1, end 1, 0~1",
        expect![[r#"
        0!1: take 1 after 0 ms collect [0, 1]
        end 1:
        0~1: collected 1
    "#]],
    );
}

#[test]
fn channels_that_let_nothing_overtake_are_aligned_first() {
    let channels = || vec![true, false, false];
    check_channels(
        channels(),
        Alignment::Unaligned,
        "0!1, 1@1, 2@1, 0~1, 2!2, 2@2, 0@2, 1@2",
        expect![[r#"
            0!1:
            1@1: block 1
            2@1: block 2 take 1 after 2 ms collect [0]
            0~1: collected 1
            2!2:
            2@2: block 2
            0@2: block 0
            1@2: block 1 take 2 after 2 ms
        "#]],
    );
    check_channels(
        channels(),
        Alignment::Unaligned,
        "1@1, 2@1, 0!1, 0~1",
        expect![[r#"
        1@1: block 1
        2@1: block 2 take 1 after 1 ms collect [0]
        0!1:
        0~1: collected 1
    "#]],
    );
    check_channels(
        vec![false, false],
        Alignment::Unaligned,
        "0@1, 1@1",
        expect![[r#"
        0@1: block 0
        1@1: block 1 take 1 after 1 ms
    "#]],
    );
}

#[test]
fn an_alignment_that_takes_too_long_turns_unaligned() {
    let alignment = Alignment::AlignedWithTimeout { timeout_ms: 4 };
    check(
        2,
        alignment,
        "0@1, 1@1, 0@2, 1@2",
        expect![[r#"
        0@1: block 0
        1@1: block 1 take 1 after 1 ms
        0@2: block 0
        1@2: block 1 take 2 after 1 ms
    "#]],
    );
    check(
        3,
        alignment,
        "0@1, 1!1, time, time, time, 1~1, 2!1, 2~1",
        expect![[r#"
        0@1: block 0
        1!1:
        time:
        time:
        time: take 1 after 4 ms collect [1, 2]
        1~1:
        2!1:
        2~1: collected 1
    "#]],
    );
    check(
        2,
        alignment,
        "0!1, time, time, time, time, 0~1, 1@1",
        expect![[r#"
        0!1:
        time:
        time:
        time:
        time: take 1 after 4 ms collect [0, 1]
        0~1:
        1@1: collected 1
    "#]],
    );
    check(
        2,
        alignment,
        "0@1, 1?1, 1~1",
        expect![[r#"
        0@1: block 0
        1?1: take 1 after 1 ms collect [1]
        1~1: collected 1
    "#]],
    );
}

#[test]
fn collecting_ends_when_a_checkpoint_is_given_up_or_superseded() {
    check(
        2,
        Alignment::Unaligned,
        "0!1, 0~1, abort 1, 1!1, 1@1, 0!2, 0~2, 1@2",
        expect![[r#"
        0!1: take 1 after 0 ms collect [0, 1]
        0~1:
        abort 1: unblock
        1!1:
        1@1:
        0!2: take 2 after 0 ms collect [0, 1]
        0~2:
        1@2: collected 2
    "#]],
    );
    check(
        2,
        Alignment::Unaligned,
        "0!1, 0~1, 1!2, 1~2, 0@1, 0!2, 0~2",
        expect![[r#"
        0!1: take 1 after 0 ms collect [0, 1]
        0~1:
        1!2: decline 1 unblock take 2 after 0 ms collect [0, 1]
        1~2:
        0@1:
        0!2:
        0~2: collected 2
    "#]],
    );
}

/// A producer that awaits its consumers has sent the barrier behind the end of its channel, and the
/// consumer has taken the checkpoint as soon as it saw the end.
#[test]
fn a_barrier_behind_the_end_is_not_taken_again() {
    for alignment in [Alignment::Aligned, Alignment::Unaligned, Alignment::AtLeastOnce] {
        check(
            2,
            alignment,
            "end 0, taken 1, 1!1, 1@1, end 1",
            expect![[r#"
                end 0:
                taken 1:
                1!1:
                1@1:
                end 1:
            "#]],
        );
    }
    // An earlier one that waits for its barriers will not be taken any more.
    check(
        2,
        Alignment::Aligned,
        "0@1, taken 2, 1@1, 1@2, 0@3, 1@3",
        expect![[r#"
            0@1: block 0
            taken 2: decline 1 unblock
            1@1:
            1@2:
            0@3: block 0
            1@3: block 1 take 3 after 1 ms
        "#]],
    );
}
