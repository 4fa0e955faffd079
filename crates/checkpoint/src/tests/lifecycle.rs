//! Scripts on triggering, acknowledging, completing and aborting.

use expect_test::expect;
use hurtig_types::CheckpointConfig;

use super::script::{check, periodic};

fn on_demand() -> CheckpointConfig {
    CheckpointConfig::default()
}

fn incremental(retained: usize, max_concurrent: usize) -> CheckpointConfig {
    CheckpointConfig { retained, max_concurrent, ..on_demand() }
}

#[test]
fn periodic_checkpoints_keep_the_interval() {
    check(
        periodic(),
        false,
        "@0
        run
        @100
        tick
        @130
        acks 1
        written 1
        @250
        tick
        acks 2
        written 2
        stats",
        expect![[r#"
            @0
            run
              tick in 100
            @100
            tick
              tick in 100
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            @130
            acks 1
              write 1
            written 1
              complete 1 -> src/0 src/1 map/0 map/1
            @250
            tick
              tick in 50
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            acks 2
              write 2
            written 2
              discard dir-1 []
              complete 2 -> src/0 src/1 map/0 map/1
            stats
              CheckpointStatsCounts { restored: 0, total: 2, in_progress: 0, completed: 2, failed: 0 }
              checkpoint 1 Completed: 4/4 in 30 ms, 40 bytes, discarded
              checkpoint 2 Completed: 4/4 in 0 ms, 40 bytes
        "#]],
    );
}

#[test]
fn a_pause_after_a_late_completion_delays_the_next() {
    check(
        periodic(),
        false,
        "run
        @100
        tick
        @190
        acks 1
        written 1
        @200
        tick
        @290
        tick",
        expect![[r#"
            run
              tick in 100
            @100
            tick
              tick in 100
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            @190
            acks 1
              write 1
            written 1
              complete 1 -> src/0 src/1 map/0 map/1
            @200
            tick
              tick in 100
              tick in 90
            @290
            tick
              tick in 100
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
        "#]],
    );
}

#[test]
fn no_more_than_the_most_concurrent_and_no_trigger_before_all_run() {
    check(
        periodic(),
        false,
        "ask 1 savepoint
        running src/0
        run
        @100
        tick
        @200
        tick
        @300
        tick
        acks 1
        written 1
        @400
        tick",
        expect![[r#"
            ask 1 savepoint
              answer 1: not all tasks that take part are running: src (1/2) is Created
            running src/0
            run
              tick in 100
            @100
            tick
              tick in 100
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            @200
            tick
              tick in 100
            @300
            tick
              tick in 100
            acks 1
              write 1
            written 1
              complete 1 -> src/0 src/1 map/0 map/1
              tick in 100
            @400
            tick
              tick in 100
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
        "#]],
    );
}

#[test]
fn coordinators_come_before_tasks() {
    check(
        on_demand(),
        true,
        "run
        ask 1 checkpoint
        ask 2 checkpoint
        coord 1 ok
        coord 1 ok
        acks 1
        written 1
        coord 2 fail",
        expect![[r#"
            run
            ask 1 checkpoint
              snapshot 1 of coordinator src
            ask 2 checkpoint
            coord 1 ok
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            coord 1 ok
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
              snapshot 2 of coordinator src
            coord 2 fail
              aborted 2 -> src/0 src/1 map/0 map/1
              discard pending 2 []
              answer 2: it could not be triggered: coordinator of operator 00000000000000000000000000000001: boom
        "#]],
    );
}

#[test]
fn acknowledgements_of_every_kind() {
    check(
        on_demand(),
        false,
        "run
        ask 1 checkpoint
        ack 1 src/0 e:a
        ack 1 src/0 e:a
        ack 1 src/1 e:b
        rerun src/1
        ack 1 src/1 e:stranger
        ack 1 map/0 e:c
        timeout 1
        ack 1 map/1 e:late s:later
        ack 9 map/1 e:never
        stats",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 src/0 e:a
            ack 1 src/0 e:a
              Duplicate
            ack 1 src/1 e:b
            rerun src/1
            ack 1 src/1 e:stranger
              Unknown
              discard ["stranger"]
            ack 1 map/0 e:c
            timeout 1
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 ["a", "b", "c"]
              answer 1: it did not complete in time
              fail job: more than 0 checkpoints failed in a row, the last one because it did not complete in time
            ack 1 map/1 e:late s:later
              Discarded
              discard ["late", "later"]
            ack 9 map/1 e:never
              Discarded
              discard ["never"]
            stats
              CheckpointStatsCounts { restored: 0, total: 1, in_progress: 0, completed: 0, failed: 1 }
              checkpoint 1 Failed: 4/4 in 0 ms, 40 bytes, it did not complete in time
        "#]],
    );
}

#[test]
fn failures_in_a_row_fail_the_job_and_a_success_clears_them() {
    let config = CheckpointConfig { tolerable_failed: Some(1), ..on_demand() };
    check(
        config,
        false,
        "run
        ask 1 checkpoint
        decline 1 src/0
        ask 2 checkpoint
        acks 2
        written 2
        ask 3 checkpoint
        timeout 3
        ask 4 checkpoint
        acks 4
        unwritten 4",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            decline 1 src/0
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 []
              answer 1: a task declined it
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
            ask 3 checkpoint
              trigger 3 src/0 (checkpoint, Aligned)
              trigger 3 src/1 (checkpoint, Aligned)
              trigger 3 map/0 (checkpoint, Aligned)
              trigger 3 map/1 (checkpoint, Aligned)
            timeout 3
              aborted 3 -> src/0 src/1 map/0 map/1
              discard pending 3 []
              answer 3: it did not complete in time
            ask 4 checkpoint
              trigger 4 src/0 (checkpoint, Aligned)
              trigger 4 src/1 (checkpoint, Aligned)
              trigger 4 map/0 (checkpoint, Aligned)
              trigger 4 map/1 (checkpoint, Aligned)
            acks 4
              write 4
            unwritten 4
              aborted 4 -> src/0 src/1 map/0 map/1
              discard pending 4 []
              answer 4: it could not be finalised: disk full
              fail job: more than 1 checkpoints failed in a row, the last one because it could not be finalised: disk full
        "#]],
    );
}

#[test]
fn a_failed_savepoint_counts_only_if_a_task_is_to_blame() {
    check(
        on_demand(),
        false,
        "run
        ask 1 savepoint
        timeout 1
        ask 2 savepoint
        decline 2 map/0",
        expect![[r#"
            run
            ask 1 savepoint
              trigger 1 src/0 (canonical savepoint, Aligned)
              trigger 1 src/1 (canonical savepoint, Aligned)
              trigger 1 map/0 (canonical savepoint, Aligned)
              trigger 1 map/1 (canonical savepoint, Aligned)
            timeout 1
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 in sp []
              answer 1: it did not complete in time
            ask 2 savepoint
              trigger 2 src/0 (canonical savepoint, Aligned)
              trigger 2 src/1 (canonical savepoint, Aligned)
              trigger 2 map/0 (canonical savepoint, Aligned)
              trigger 2 map/1 (canonical savepoint, Aligned)
            decline 2 map/0
              aborted 2 -> src/0 src/1 map/0 map/1
              discard pending 2 in sp []
              answer 2: a task declined it
              fail job: more than 0 checkpoints failed in a row, the last one because a task declined it
        "#]],
    );
}

#[test]
fn metadata_is_written_of_one_after_the_other() {
    check(
        incremental(1, 3),
        false,
        "run
        ask 1 checkpoint
        ask 2 checkpoint
        acks 1
        acks 2
        timeout 1
        decline 1 src/0
        fail src/0
        point
        written 1
        point
        written 2
        point",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ask 2 checkpoint
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            acks 1
              write 1
            acks 2
            timeout 1
            decline 1 src/0
            fail src/0
            point
              wait
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
              write 2
            point
              wait
            written 2
              answer 2: 2 in dir-2
              discard dir-1 []
              complete 2 -> src/0 src/1 map/0 map/1
            point
              from 2
        "#]],
    );
}

#[test]
fn a_failed_task_aborts_who_waits_for_it_and_a_restart_the_rest() {
    check(
        incremental(1, 3),
        false,
        "run
        ask 1 checkpoint
        ask 2 checkpoint
        ack 1 src/0 e:a
        fail src/0
        ask 3 checkpoint
        restart
        rerun src/0
        oldack 1 src/0 e:late
        ask 4 checkpoint
        acks 3",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ask 2 checkpoint
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            ack 1 src/0 e:a
            fail src/0
              aborted 2 -> src/0 src/1 map/0 map/1
              discard pending 2 []
              answer 2: a task failed: 00000000000000000000000000000001_0_0 is Failed
            ask 3 checkpoint
              answer 3: not all tasks that take part are running: src (1/2) is Failed
            restart
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 ["a"]
              answer 1: a region of the job restarts
            rerun src/0
            oldack 1 src/0 e:late
              Discarded
              discard ["late"]
            ask 4 checkpoint
              trigger 3 src/0#1 (checkpoint, Aligned)
              trigger 3 src/1 (checkpoint, Aligned)
              trigger 3 map/0 (checkpoint, Aligned)
              trigger 3 map/1 (checkpoint, Aligned)
            acks 3
              write 3
        "#]],
    );
}

#[test]
fn backlog_has_an_interval_of_its_own() {
    let config = CheckpointConfig {
        interval_during_backlog_ms: Some(1000),
        interval_ms: Some(100),
        ..on_demand()
    };
    check(
        config,
        false,
        "run
        backlog on
        @18
        tick
        acks 1
        written 1
        @50
        backlog off
        @150
        tick",
        expect![[r#"
            run
              tick in 18
            backlog on
            @18
            tick
              tick in 1000
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            acks 1
              write 1
            written 1
              complete 1 -> src/0 src/1 map/0 map/1
            @50
            backlog off
              tick in 100
            @150
            tick
              tick in 100
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
        "#]],
    );
}

#[test]
fn a_new_attempt_ends_the_wait_for_the_old_one() {
    check(
        on_demand(),
        false,
        "run
        ask 1 checkpoint
        rerun src/1
        oldack 1 src/1 e:old",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            rerun src/1
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 []
              answer 1: a task failed: 00000000000000000000000000000001_1_0 is superseded
            oldack 1 src/1 e:old
              Discarded
              discard ["old"]
        "#]],
    );
}
