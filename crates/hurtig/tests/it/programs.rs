//! Bad programs and bad input get a clear error.

use expect_test::{Expect, expect};
use hurtig::{connectors::TextFileSource, prelude::*};

fn error_of(expected: Expect, build: impl FnOnce(&StreamExecutionEnvironment)) {
    let env = StreamExecutionEnvironment::new();
    build(&env);
    expected.assert_eq(&env.execute("bad").unwrap_err().to_string());
}

#[test]
fn programs_that_cannot_be() {
    error_of(expect!["the program defines no sink: there is nothing to execute"], |_| {});
    error_of(
        expect![[r#"uid "same" is used by operators "Map" and "Map"; it must be unique"#]],
        |env| {
            env.from_sequence(1, 2).map(|n| n).uid("same").map(|n| n).uid("same").print();
        },
    );
    error_of(expect![[r#"parallelism of operator "Nobody" is 0; it must be at least 1"#]], |env| {
        env.from_sequence(1, 2).map(|n| n).name("Nobody").set_parallelism(0).print();
    });
    error_of(
        expect![[r#"parallelism 5 of operator "Wide" is above its max parallelism 4"#]],
        |env| {
            env.set_max_parallelism(4);
            env.from_sequence(1, 2).map(|n| n).name("Wide").set_parallelism(5).print();
        },
    );
    error_of(
        expect![
            "windows need size > 0, slide > 0 and |offset| < slide; got size 0 ms, slide 0 ms, offset 0 ms"
        ],
        |env| {
            env.from_sequence(1, 2)
                .key_by(|n| *n)
                .window(TumblingEventTimeWindows::of(Duration::ZERO))
                .reduce(|a, b| *a += b)
                .print();
        },
    );
    error_of(expect!["the trigger does not work for windows that merge"], |env| {
        env.from_sequence(1, 2)
            .key_by(|n| *n)
            .window(EventTimeSessionWindows::with_gap(Duration::from_secs(1)))
            .trigger(DeltaTrigger::of(1.0, |a: &i64, b: &i64| (a - b) as f64))
            .reduce(|a, b| *a += b)
            .print();
    });
    error_of(expect!["connect of streams of different environments"], |env| {
        let other = StreamExecutionEnvironment::new();
        env.from_sequence(1, 2).connect(&other.from_sequence(1, 2)).co_map(|a| a, |b| b).print();
    });
}

#[test]
fn too_few_slots_are_counted() {
    error_of(
        expect![[
            r#"job "bad" failed: 1 of 5 slots are missing after 100 ms (slot.request.timeout): needed: 5, offered: 4, the ResourceManager has 4 for this job and no more. Start more TaskManagers, give them more slots (taskmanager.numberOfTaskSlots), or lower the parallelism"#
        ]],
        |env| {
            env.set_parallelism(5).set_task_executors(2).set_task_slots(2);
            env.set_slot_request_timeout_ms(100);
            env.from_sequence(1, 2).rebalance().map(|n| n).print();
        },
    );
}

#[test]
fn unreadable_input_is_named() {
    error_of(
        expect![[
            r#"job "bad" failed: operator "Lines": cannot open /nowhere/at/all: No such file or directory (os error 2)"#
        ]],
        |env| {
            let source = TextFileSource::new("/nowhere/at/all");
            env.from_source(source, WatermarkStrategy::no_watermarks(), "Lines").print();
        },
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("latin1.txt");
    std::fs::write(&path, b"good line\nbad \xE9 line\n").unwrap();
    let env = StreamExecutionEnvironment::new();
    let source = TextFileSource::new(&path);
    env.from_source(source, WatermarkStrategy::no_watermarks(), "Lines").print();
    let error = env.execute("undecodable").unwrap_err().to_string();
    assert!(error.contains("latin1.txt") && error.contains("UTF-8"), "{error}");
}

#[test]
fn records_without_timestamps_are_refused_by_event_time_windows() {
    error_of(
        expect![[
            r#"job "bad" failed: Window -> Print to Std. Out (1/1)#0: operator "Window": records without timestamps reached an event-time window: call assign_timestamps_and_watermarks first, or use processing time"#
        ]],
        |env| {
            env.from_sequence(1, 2)
                .key_by(|n| *n)
                .window(TumblingEventTimeWindows::of(Duration::from_secs(1)))
                .reduce(|a, b| *a += b)
                .print();
        },
    );
}
