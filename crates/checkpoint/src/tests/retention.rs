//! Scripts on what is kept, what is deleted, and when.

use expect_test::expect;
use hurtig_types::{CheckpointConfig, CheckpointRetentionPolicy};

use super::script::check;

fn on_demand() -> CheckpointConfig {
    CheckpointConfig::default()
}

fn incremental(retained: usize, max_concurrent: usize) -> CheckpointConfig {
    CheckpointConfig { retained, max_concurrent, ..on_demand() }
}

#[test]
fn a_repeated_acknowledgement_of_a_complete_one_deletes_nothing() {
    check(
        on_demand(),
        false,
        "run
        ask 1 checkpoint
        ack 1 src/0 e:a
        acks 1
        written 1
        ack 1 src/0 e:a
        ask 2 savepoint
        ack 2 src/0 e:b
        acks 2
        written 2
        ack 2 src/0 e:b",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 src/0 e:a
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            ack 1 src/0 e:a
              Duplicate
            ask 2 savepoint
              trigger 2 src/0 (canonical savepoint, Aligned)
              trigger 2 src/1 (canonical savepoint, Aligned)
              trigger 2 map/0 (canonical savepoint, Aligned)
              trigger 2 map/1 (canonical savepoint, Aligned)
            ack 2 src/0 e:b
            acks 2
              write 2 to sp
            written 2
              answer 2: 2 in dir-2
            ack 2 src/0 e:b
              Duplicate
        "#]],
    );
}

#[test]
fn a_later_checkpoint_subsumes_earlier_ones_but_no_savepoint() {
    check(
        incremental(1, 3),
        false,
        "run
        ask 1 checkpoint
        ask 2 savepoint
        ask 3 checkpoint
        ack 1 src/0 e:a
        acks 3
        written 3
        acks 2
        written 2",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ask 2 savepoint
              trigger 2 src/0 (canonical savepoint, Aligned)
              trigger 2 src/1 (canonical savepoint, Aligned)
              trigger 2 map/0 (canonical savepoint, Aligned)
              trigger 2 map/1 (canonical savepoint, Aligned)
            ask 3 checkpoint
              trigger 3 src/0 (checkpoint, Aligned)
              trigger 3 src/1 (checkpoint, Aligned)
              trigger 3 map/0 (checkpoint, Aligned)
              trigger 3 map/1 (checkpoint, Aligned)
            ack 1 src/0 e:a
            acks 3
              write 3
            written 3
              answer 3: 3 in dir-3
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 ["a"]
              answer 1: a later checkpoint completed first
              complete 3 -> src/0 src/1 map/0 map/1
            acks 2
              write 2 to sp
            written 2
              answer 2: 2 in dir-2
        "#]],
    );
}

#[test]
fn shared_files_live_as_long_as_a_retained_checkpoint_names_them() {
    check(
        incremental(2, 1),
        false,
        "run
        ask 1 checkpoint
        ack 1 map/0 s:base e:x1
        acks 1
        written 1
        ask 2 checkpoint
        ack 2 map/0 s1:base s:delta e:x2
        acks 2
        written 2
        ask 3 checkpoint
        ack 3 map/0 s:base2
        acks 3
        written 3
        ask 4 checkpoint
        ack 4 map/0 s3:base2
        acks 4
        written 4",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 map/0 s:base e:x1
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            ask 2 checkpoint
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            ack 2 map/0 s1:base s:delta e:x2
            acks 2
              write 2
            written 2
              answer 2: 2 in dir-2
              complete 2 -> src/0 src/1 map/0 map/1
            ask 3 checkpoint
              trigger 3 src/0 (checkpoint, Aligned)
              trigger 3 src/1 (checkpoint, Aligned)
              trigger 3 map/0 (checkpoint, Aligned)
              trigger 3 map/1 (checkpoint, Aligned)
            ack 3 map/0 s:base2
            acks 3
              write 3
            written 3
              answer 3: 3 in dir-3
              discard dir-1 ["x1"]
              complete 3 -> src/0 src/1 map/0 map/1
            ask 4 checkpoint
              trigger 4 src/0 (checkpoint, Aligned)
              trigger 4 src/1 (checkpoint, Aligned)
              trigger 4 map/0 (checkpoint, Aligned)
              trigger 4 map/1 (checkpoint, Aligned)
            ack 4 map/0 s3:base2
            acks 4
              write 4
            written 4
              answer 4: 4 in dir-4
              discard dir-2 ["x2"]
              discard ["base", "delta"]
              complete 4 -> src/0 src/1 map/0 map/1
        "#]],
    );
}

#[test]
fn a_checkpoint_that_names_a_deleted_file_is_aborted() {
    check(
        incremental(1, 1),
        false,
        "run
        ask 1 checkpoint
        ack 1 map/0 s:base
        acks 1
        written 1
        ask 2 checkpoint
        acks 2
        written 2
        ask 3 checkpoint
        ack 3 map/1 e:x3
        ack 3 map/0 s1:base e:y3",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 map/0 s:base
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            ask 2 checkpoint
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            acks 2
              write 2
            written 2
              answer 2: 2 in dir-2
              discard dir-1 []
              discard ["base"]
              complete 2 -> src/0 src/1 map/0 map/1
            ask 3 checkpoint
              trigger 3 src/0 (checkpoint, Aligned)
              trigger 3 src/1 (checkpoint, Aligned)
              trigger 3 map/0 (checkpoint, Aligned)
              trigger 3 map/1 (checkpoint, Aligned)
            ack 3 map/1 e:x3
            ack 3 map/0 s1:base e:y3
              Rejected
              aborted 3 -> src/0 src/1 map/0 map/1
              discard pending 3 ["x3", "y3"]
              answer 3: a task declined it: 00000000000000000000000000000002_0_0 names base, which is no longer kept
              fail job: more than 0 checkpoints failed in a row, the last one because a task declined it: 00000000000000000000000000000002_0_0 names base, which is no longer kept
        "#]],
    );
}

#[test]
fn a_pending_checkpoint_keeps_the_files_it_may_come_to_name() {
    check(
        incremental(1, 2),
        false,
        "run
        ask 1 checkpoint
        ack 1 map/0 s:base
        acks 1
        written 1
        ask 2 checkpoint
        ask 3 checkpoint
        acks 2
        written 2
        ack 3 map/0 s1:base
        acks 3
        written 3
        ask 4 checkpoint
        acks 4
        written 4",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 map/0 s:base
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            ask 2 checkpoint
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            ask 3 checkpoint
              trigger 3 src/0 (checkpoint, Aligned)
              trigger 3 src/1 (checkpoint, Aligned)
              trigger 3 map/0 (checkpoint, Aligned)
              trigger 3 map/1 (checkpoint, Aligned)
            acks 2
              write 2
            written 2
              answer 2: 2 in dir-2
              discard dir-1 []
              complete 2 -> src/0 src/1 map/0 map/1
            ack 3 map/0 s1:base
            acks 3
              write 3
            written 3
              answer 3: 3 in dir-3
              discard dir-2 []
              complete 3 -> src/0 src/1 map/0 map/1
            ask 4 checkpoint
              trigger 4 src/0 (checkpoint, Aligned)
              trigger 4 src/1 (checkpoint, Aligned)
              trigger 4 map/0 (checkpoint, Aligned)
              trigger 4 map/1 (checkpoint, Aligned)
            acks 4
              write 4
            written 4
              answer 4: 4 in dir-4
              discard dir-3 []
              discard ["base"]
              complete 4 -> src/0 src/1 map/0 map/1
        "#]],
    );
}

#[test]
fn savepoints_and_full_checkpoints_stand_alone() {
    check(
        incremental(1, 1),
        false,
        "run
        ask 1 checkpoint
        ack 1 map/0 s:base
        acks 1
        written 1
        ask 2 savepoint
        ack 2 map/0 s1:base e:x",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 map/0 s:base
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            ask 2 savepoint
              trigger 2 src/0 (canonical savepoint, Aligned)
              trigger 2 src/1 (canonical savepoint, Aligned)
              trigger 2 map/0 (canonical savepoint, Aligned)
              trigger 2 map/1 (canonical savepoint, Aligned)
            ack 2 map/0 s1:base e:x
              Rejected
              aborted 2 -> src/0 src/1 map/0 map/1
              discard pending 2 in sp ["x"]
              answer 2: a task declined it: 00000000000000000000000000000002_0_0 shares base with a savepoint, which must stand alone
              fail job: more than 0 checkpoints failed in a row, the last one because a task declined it: 00000000000000000000000000000002_0_0 shares base with a savepoint, which must stand alone
        "#]],
    );
    check(
        incremental(1, 1),
        false,
        "run
        ask 1 full
        ack 1 map/0 s:base
        acks 1
        written 1
        ask 2 full
        ack 2 map/0 s1:base e:x",
        expect![[r#"
            run
            ask 1 full
              trigger 1 src/0 (full checkpoint, Aligned)
              trigger 1 src/1 (full checkpoint, Aligned)
              trigger 1 map/0 (full checkpoint, Aligned)
              trigger 1 map/1 (full checkpoint, Aligned)
            ack 1 map/0 s:base
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            ask 2 full
              trigger 2 src/0 (full checkpoint, Aligned)
              trigger 2 src/1 (full checkpoint, Aligned)
              trigger 2 map/0 (full checkpoint, Aligned)
              trigger 2 map/1 (full checkpoint, Aligned)
            ack 2 map/0 s1:base e:x
              Rejected
              aborted 2 -> src/0 src/1 map/0 map/1
              discard pending 2 ["x"]
              answer 2: a task declined it: 00000000000000000000000000000002_0_0 names base of an earlier checkpoint in a full one
              fail job: more than 0 checkpoints failed in a row, the last one because a task declined it: 00000000000000000000000000000002_0_0 names base of an earlier checkpoint in a full one
        "#]],
    );
}

#[test]
fn after_a_failed_write_the_metadata_goes_first() {
    check(
        on_demand(),
        false,
        "run
        ask 1 checkpoint
        ack 1 map/0 e:a
        acks 1
        unwritten 1
        point",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 map/0 e:a
            acks 1
              write 1
            unwritten 1
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 ["a"]
              answer 1: it could not be finalised: disk full
              fail job: more than 0 checkpoints failed in a row, the last one because it could not be finalised: disk full
            point
              nothing
        "#]],
    );
}

#[test]
fn what_outlives_the_job() {
    let script = |status: &str| {
        format!(
            "run
            ask 1 checkpoint
            ack 1 map/0 s:base e:a
            acks 1
            written 1
            ask 2 checkpoint
            ack 2 map/0 e:b
            ask 3 savepoint
            shutdown {status}
            ack 2 map/1 e:late
            ask 4 checkpoint"
        )
    };
    let with = |retention| CheckpointConfig { retention, ..on_demand() };
    let retain = with(CheckpointRetentionPolicy::RetainOnCancellation);
    let never = with(CheckpointRetentionPolicy::NeverRetainAfterTermination);
    check(
        retain.clone(),
        false,
        &script("CANCELED"),
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 map/0 s:base e:a
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            ask 2 checkpoint
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            ack 2 map/0 e:b
            ask 3 savepoint
            shutdown CANCELED
              aborted 2 -> src/0 src/1 map/0 map/1
              discard pending 2 ["b"]
              answer 2: the job has ended
              answer 3: the job has ended
              shut down
            ack 2 map/1 e:late
              Discarded
              discard ["late"]
            ask 4 checkpoint
              answer 4: the job has ended
        "#]],
    );
    check(
        retain,
        false,
        &script("FINISHED"),
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 map/0 s:base e:a
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            ask 2 checkpoint
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            ack 2 map/0 e:b
            ask 3 savepoint
            shutdown FINISHED
              aborted 2 -> src/0 src/1 map/0 map/1
              discard pending 2 ["b"]
              answer 2: the job has ended
              answer 3: the job has ended
              discard dir-1 ["a"]
              discard ["base"]
              shut down
            ack 2 map/1 e:late
              Discarded
              discard ["late"]
            ask 4 checkpoint
              answer 4: the job has ended
        "#]],
    );
    check(
        never.clone(),
        false,
        &script("FAILED"),
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 map/0 s:base e:a
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            ask 2 checkpoint
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            ack 2 map/0 e:b
            ask 3 savepoint
            shutdown FAILED
              aborted 2 -> src/0 src/1 map/0 map/1
              discard pending 2 ["b"]
              answer 2: the job has ended
              answer 3: the job has ended
              discard dir-1 ["a"]
              discard ["base"]
              shut down
            ack 2 map/1 e:late
              Discarded
              discard ["late"]
            ask 4 checkpoint
              answer 4: the job has ended
        "#]],
    );
    check(
        never,
        false,
        &script("SUSPENDED"),
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 map/0 s:base e:a
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            ask 2 checkpoint
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            ack 2 map/0 e:b
            ask 3 savepoint
            shutdown SUSPENDED
              aborted 2 -> src/0 src/1 map/0 map/1
              discard pending 2 ["b"]
              answer 2: the job has ended
              answer 3: the job has ended
              shut down
            ack 2 map/1 e:late
              Discarded
              discard ["late"]
            ask 4 checkpoint
              answer 4: the job has ended
        "#]],
    );
}

#[test]
fn the_end_waits_for_a_write() {
    check(
        on_demand(),
        false,
        "run
        ask 1 checkpoint
        ack 1 map/0 e:a
        acks 1
        shutdown CANCELED
        written 1",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 map/0 e:a
            acks 1
              write 1
            shutdown CANCELED
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
              discard dir-1 ["a"]
              shut down
        "#]],
    );
}

#[test]
fn a_claimed_snapshot_is_the_jobs_own() {
    check(
        incremental(1, 1),
        false,
        "start 7 claim s7:base e:x
        run
        point
        ask 1 checkpoint
        ack 8 map/0 s7:base
        acks 8
        written 8
        ask 2 checkpoint
        acks 9
        written 9",
        expect![[r#"
            start 7 claim s7:base e:x
            run
            point
              from 7
            ask 1 checkpoint
              trigger 8 src/0 (checkpoint, Aligned)
              trigger 8 src/1 (checkpoint, Aligned)
              trigger 8 map/0 (checkpoint, Aligned)
              trigger 8 map/1 (checkpoint, Aligned)
            ack 8 map/0 s7:base
            acks 8
              write 8
            written 8
              answer 1: 8 in dir-8
              discard old ["x"]
              complete 8 -> src/0 src/1 map/0 map/1
            ask 2 checkpoint
              trigger 9 src/0 (checkpoint, Aligned)
              trigger 9 src/1 (checkpoint, Aligned)
              trigger 9 map/0 (checkpoint, Aligned)
              trigger 9 map/1 (checkpoint, Aligned)
            acks 9
              write 9
            written 9
              answer 2: 9 in dir-9
              discard dir-8 []
              discard ["base"]
              complete 9 -> src/0 src/1 map/0 map/1
        "#]],
    );
}

#[test]
fn an_unclaimed_snapshot_is_neither_built_upon_nor_deleted() {
    check(
        incremental(1, 1),
        false,
        "start 7 noclaim s7:base e:x
        run
        point
        ask 1 checkpoint
        ack 8 map/0 s:new
        acks 8
        written 8
        ask 2 checkpoint
        ack 9 map/0 s8:new
        acks 9
        written 9
        shutdown FINISHED",
        expect![[r#"
            start 7 noclaim s7:base e:x
            run
            point
              from 7
            ask 1 checkpoint
              trigger 8 src/0 (full checkpoint, Aligned)
              trigger 8 src/1 (full checkpoint, Aligned)
              trigger 8 map/0 (full checkpoint, Aligned)
              trigger 8 map/1 (full checkpoint, Aligned)
            ack 8 map/0 s:new
            acks 8
              write 8
            written 8
              answer 1: 8 in dir-8
              complete 8 -> src/0 src/1 map/0 map/1
            ask 2 checkpoint
              trigger 9 src/0 (checkpoint, Aligned)
              trigger 9 src/1 (checkpoint, Aligned)
              trigger 9 map/0 (checkpoint, Aligned)
              trigger 9 map/1 (checkpoint, Aligned)
            ack 9 map/0 s8:new
            acks 9
              write 9
            written 9
              answer 2: 9 in dir-9
              discard dir-8 []
              complete 9 -> src/0 src/1 map/0 map/1
            shutdown FINISHED
              discard dir-9 []
              discard ["new"]
              shut down
        "#]],
    );
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_left_in_place() {
    check(
        incremental(2, 1),
        false,
        "run
        ask 1 checkpoint
        acks 1
        written 1
        ask 2 checkpoint
        acks 2
        written 2
        damaged 2
        damaged 2
        point
        damaged 1
        point",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            ask 2 checkpoint
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            acks 2
              write 2
            written 2
              answer 2: 2 in dir-2
              complete 2 -> src/0 src/1 map/0 map/1
            damaged 2
              FallBack(CheckpointId(1))
            damaged 2
              NotRetained
            point
              from 1
            damaged 1
              NothingElse
            point
              from 1
        "#]],
    );
}
