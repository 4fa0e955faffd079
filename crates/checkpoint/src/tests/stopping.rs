//! Scripts on finished tasks and on savepoints that stop the job.

use expect_test::expect;
use hurtig_types::CheckpointConfig;

use super::script::{check, periodic};

fn on_demand() -> CheckpointConfig {
    CheckpointConfig::default()
}

#[test]
fn finished_tasks_take_part_as_finished() {
    check(
        on_demand(),
        false,
        "run
        finish src/0
        ask 1 checkpoint
        acks 1
        written 1
        finish src/1
        ask 2 checkpoint
        acks 2
        written 2
        finish map/0
        finish map/1
        ask 3 checkpoint",
        expect![[r#"
            run
            finish src/0
            ask 1 checkpoint
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            acks 1
              write 1, finished in part ["src"]
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/1 map/0 map/1
            finish src/1
            ask 2 checkpoint
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            acks 2
              write 2, finished ["src"]
            written 2
              answer 2: 2 in dir-2
              discard dir-1 []
              complete 2 -> map/0 map/1
            finish map/0
            finish map/1
            ask 3 checkpoint
              answer 3: not all tasks that take part are running: all tasks have finished
        "#]],
    );
}

#[test]
fn a_source_that_finishes_before_it_acknowledges_counts_as_finished() {
    check(
        on_demand(),
        false,
        "run
        ask 1 checkpoint
        finish src/0
        finish src/1
        acks 1
        written 1",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            finish src/0
            finish src/1
            acks 1
              write 1, finished ["src"]
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
        "#]],
    );
}

#[test]
fn a_source_may_finish_behind_its_acknowledgement() {
    check(
        on_demand(),
        false,
        "run
        ask 1 checkpoint
        ack 1 src/0
        finish src/0
        finish src/1
        acks 1
        written 1",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 src/0
            finish src/0
            finish src/1
            acks 1
              write 1, finished in part ["src"]
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
        "#]],
    );
}

#[test]
fn without_checkpoints_after_finish_a_finished_task_ends_them() {
    let config = CheckpointConfig { after_tasks_finish: false, ..on_demand() };
    check(
        config,
        false,
        "run
        ask 1 checkpoint
        finish src/0
        ask 2 checkpoint",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            finish src/0
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 []
              answer 1: a task declined it: closing
            ask 2 checkpoint
              answer 2: not all tasks that take part are running: some tasks have finished
        "#]],
    );
}

#[test]
fn a_partial_union_list_lets_a_vertex_finish_in_part() {
    check(
        on_demand(),
        false,
        "run
        ask 1 checkpoint
        ack 1 src/0 p:a ending
        ack 1 src/1 p:b
        acks 1
        written 1",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 src/0 p:a ending
            ack 1 src/1 p:b
            acks 1
              write 1
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
        "#]],
    );
}

#[test]
fn a_union_list_forbids_a_vertex_that_finished_in_part() {
    check(
        on_demand(),
        false,
        "run
        ask 1 checkpoint
        ack 1 src/0 u:a ending
        ack 1 src/1 u:b
        acks 1
        ask 2 checkpoint
        ack 2 src/0 u:c ending
        ack 2 src/1 u:d ending
        acks 2
        written 2
        finish src/0
        ask 3 checkpoint
        ack 3 src/1 u:e
        acks 3",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 src/0 u:a ending
            ack 1 src/1 u:b
            acks 1
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 ["a", "b"]
              answer 1: a task declined it: closing: src has union list state "u" and finished in part
            ask 2 checkpoint
              trigger 2 src/0 (checkpoint, Aligned)
              trigger 2 src/1 (checkpoint, Aligned)
              trigger 2 map/0 (checkpoint, Aligned)
              trigger 2 map/1 (checkpoint, Aligned)
            ack 2 src/0 u:c ending
            ack 2 src/1 u:d ending
            acks 2
              write 2
            written 2
              answer 2: 2 in dir-2
              complete 2 -> src/0 src/1 map/0 map/1
            finish src/0
            ask 3 checkpoint
              trigger 3 src/1 (checkpoint, Aligned)
              trigger 3 map/0 (checkpoint, Aligned)
              trigger 3 map/1 (checkpoint, Aligned)
            ack 3 src/1 u:e
            acks 3
              aborted 3 -> src/1 map/0 map/1
              discard pending 3 ["e"]
              answer 3: a task declined it: closing: src has union list state "u" and finished in part
        "#]],
    );
}

#[test]
fn tasks_that_were_restored_as_finished_stay_finished() {
    check(
        on_demand(),
        false,
        "run
        ask 1 checkpoint
        ack 1 src/0 restored
        ack 1 src/1 restored
        acks 1",
        expect![[r#"
            run
            ask 1 checkpoint
              trigger 1 src/0 (checkpoint, Aligned)
              trigger 1 src/1 (checkpoint, Aligned)
              trigger 1 map/0 (checkpoint, Aligned)
              trigger 1 map/1 (checkpoint, Aligned)
            ack 1 src/0 restored
            ack 1 src/1 restored
            acks 1
              write 1, finished ["src"]
        "#]],
    );
}

#[test]
fn stop_with_savepoint_takes_nothing_else() {
    check(
        periodic(),
        false,
        "run
        @100
        tick
        ask 1 suspend
        ask 2 checkpoint
        @200
        tick
        acks 2
        written 2
        finish src/0
        finish src/1
        finish map/0
        finish map/1
        shutdown FINISHED",
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
            ask 1 suspend
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 []
              trigger 2 src/0 (canonical savepoint (suspend), Aligned)
              trigger 2 src/1 (canonical savepoint (suspend), Aligned)
              trigger 2 map/0 (canonical savepoint (suspend), Aligned)
              trigger 2 map/1 (canonical savepoint (suspend), Aligned)
            ask 2 checkpoint
              answer 2: checkpoints are suspended: a savepoint that stops the job is under way
            @200
            tick
            acks 2
              write 2 to sp
            written 2
              answer 1: 2 in dir-2
              complete 2 -> src/0 src/1 map/0 map/1
            finish src/0
            finish src/1
            finish map/0
            finish map/1
            shutdown FINISHED
              shut down
        "#]],
    );
}

#[test]
fn a_savepoint_that_fails_to_stop_the_job_counts_as_any_other() {
    check(
        periodic(),
        false,
        "run
        ask 1 drain
        timeout 1
        ask 2 drain
        decline 2 src/0",
        expect![[r#"
            run
              tick in 100
            ask 1 drain
              trigger 1 src/0 (canonical savepoint (drain), Aligned)
              trigger 1 src/1 (canonical savepoint (drain), Aligned)
              trigger 1 map/0 (canonical savepoint (drain), Aligned)
              trigger 1 map/1 (canonical savepoint (drain), Aligned)
            timeout 1
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 in sp []
              answer 1: it did not complete in time
              tick in 100
            ask 2 drain
              trigger 2 src/0 (canonical savepoint (drain), Aligned)
              trigger 2 src/1 (canonical savepoint (drain), Aligned)
              trigger 2 map/0 (canonical savepoint (drain), Aligned)
              trigger 2 map/1 (canonical savepoint (drain), Aligned)
            decline 2 src/0
              aborted 2 -> src/0 src/1 map/0 map/1
              discard pending 2 in sp []
              answer 2: a task declined it
              fail job: more than 0 checkpoints failed in a row, the last one because a task declined it
              tick in 100
        "#]],
    );
}

#[test]
fn requests_can_be_taken_back() {
    check(
        on_demand(),
        false,
        "run
        ask 1 savepoint
        ask 2 checkpoint
        ask 3 savepoint
        cancel 2
        ack 1 src/0 e:a
        cancel 1
        cancel 9",
        expect![[r#"
            run
            ask 1 savepoint
              trigger 1 src/0 (canonical savepoint, Aligned)
              trigger 1 src/1 (canonical savepoint, Aligned)
              trigger 1 map/0 (canonical savepoint, Aligned)
              trigger 1 map/1 (canonical savepoint, Aligned)
            ask 2 checkpoint
            ask 3 savepoint
            cancel 2
              answer 2: the request was cancelled
            ack 1 src/0 e:a
            cancel 1
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 in sp ["a"]
              answer 1: the request was cancelled
              trigger 2 src/0 (canonical savepoint, Aligned)
              trigger 2 src/1 (canonical savepoint, Aligned)
              trigger 2 map/0 (canonical savepoint, Aligned)
              trigger 2 map/1 (canonical savepoint, Aligned)
            cancel 9
        "#]],
    );
}

#[test]
fn a_restart_ends_the_stopping_and_goes_back_to_the_savepoint() {
    check(
        periodic(),
        false,
        "run
        ask 1 drain
        acks 1
        written 1
        fail src/0
        restart
        rerun src/0
        point",
        expect![[r#"
            run
              tick in 100
            ask 1 drain
              trigger 1 src/0 (canonical savepoint (drain), Aligned)
              trigger 1 src/1 (canonical savepoint (drain), Aligned)
              trigger 1 map/0 (canonical savepoint (drain), Aligned)
              trigger 1 map/1 (canonical savepoint (drain), Aligned)
            acks 1
              write 1 to sp
            written 1
              answer 1: 1 in dir-1
              complete 1 -> src/0 src/1 map/0 map/1
            fail src/0
            restart
            rerun src/0
              tick in 100
            point
              from 1
        "#]],
    );
}
