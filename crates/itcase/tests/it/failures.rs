//! User code that fails, wherever it stands: the job fails, the error says where and why, and the
//! process goes on.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use expect_test::{Expect, expect};
use hurtig::{connectors::BlackHoleSink, prelude::*};
use hurtig_cluster_api::FailureClass;

use crate::support::{assert_another_job_runs, execute, failure};

/// The failure of a job over the numbers 0 to 99 whose sources and sinks are as wide as `env`.
fn failure_of(
    expected: Expect,
    build: impl FnOnce(&DataStream<i64>),
) -> hurtig_cluster_api::FailureInfo {
    let env = StreamExecutionEnvironment::new();
    build(&env.from_sequence(0, 99));
    let failure = failure(execute(&env));
    expected.assert_eq(&failure.to_string());
    failure
}

fn boom(n: i64) -> Result<i64, BoxError> {
    if n == 42 { Err("42 is too much".into()) } else { Ok(n) }
}

fn bang(n: i64) -> i64 {
    if n == 42 { panic!("42 is too much") } else { n }
}

#[test]
fn an_error_names_operator_subtask_and_message() {
    let expected =
        expect![[r#"Risky -> Double -> Sink (3/4)#0: operator "Risky": 42 is too much"#]];
    let found = failure_of(expected, |numbers| {
        // The number 42 goes to the third of four.
        let third = numbers.partition_custom(|n, of| if *n == 42 { 2 } else { *n as usize % of });
        let risky = third.try_map(boom).name("Risky").set_parallelism(4);
        let doubled = risky.map(|n| n * 2).name("Double").set_parallelism(4);
        doubled.sink_to(BlackHoleSink::new()).set_parallelism(4);
    });
    assert_eq!(found.class, FailureClass::User);
    assert_another_job_runs();
}

#[test]
fn a_panic_names_operator_subtask_and_message() {
    let expected = expect![[
        r#"Sequence Source -> Before -> Risky -> After -> Sink (1/1)#0: operator "Risky": panicked: 42 is too much"#
    ]];
    let found = failure_of(expected, |numbers| {
        let risky = numbers.map(|n| n).name("Before").map(bang).name("Risky");
        risky.map(|n| n).name("After").sink_to(BlackHoleSink::new());
    });
    assert_eq!(found.class, FailureClass::User);
    assert_another_job_runs();
}

#[test]
fn every_cause_is_told_once() {
    #[derive(Debug)]
    struct Wrapped(std::num::ParseIntError);
    impl std::fmt::Display for Wrapped {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the third field is no number")
        }
    }
    impl std::error::Error for Wrapped {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let expected = expect![[
        r#"Sequence Source -> Map -> Sink (1/1)#0: operator "Map": the third field is no number: invalid digit found in string"#
    ]];
    failure_of(expected, |numbers| {
        let parse = |_| Err("x".parse::<i64>().map_err(Wrapped).unwrap_err().into());
        numbers.try_map::<i64, _>(parse).sink_to(BlackHoleSink::new());
    });
}

/// Everywhere else where user code is called.
#[test]
fn a_panic_is_caught_wherever_it_happens() {
    failure_of(
        expect![[
            r#"Sequence Source -> Filter -> Sink (1/1)#0: operator "Filter": panicked: 42 is too much"#
        ]],
        |numbers| {
            numbers.filter(|n| bang(*n) > 0).sink_to(BlackHoleSink::new());
        },
    );
    failure_of(
        expect![[
            r#"Sequence Source -> Flat Map -> Sink (1/1)#0: operator "Flat Map": panicked: 42 is too much"#
        ]],
        |numbers| {
            numbers.flat_map(|n| (0..n).map(bang)).sink_to(BlackHoleSink::new());
        },
    );
    failure_of(
        expect![[
            r#"Sequence Source (1/1)#0: operator "Sequence Source": panicked: 42 is too much"#
        ]],
        |numbers| {
            let keyed = numbers.key_by(|n| bang(*n)).reduce(|a, b| *a += b);
            keyed.set_parallelism(2).sink_to(BlackHoleSink::new());
        },
    );
    failure_of(
        expect![[
            r#"Sequence Source (1/1)#0: operator "Sequence Source": panicked: 42 is too much"#
        ]],
        |numbers| {
            let chosen = numbers.partition_custom(|n, of| bang(*n) as usize % of);
            chosen.map(|n| n).set_parallelism(2).sink_to(BlackHoleSink::new());
        },
    );
    failure_of(
        expect![[
            r#"Keyed Reduce -> Sink (1/1)#0: operator "Keyed Reduce": panicked: 42 is too much"#
        ]],
        |numbers| {
            let keyed = numbers.key_by(|_| 0).reduce(|a, b| *a = bang(b));
            keyed.sink_to(BlackHoleSink::new());
        },
    );
    failure_of(
        expect![[
            r#"Sequence Source -> Timestamps/Watermarks -> Sink (1/1)#0: operator "Timestamps/Watermarks": panicked: 42 is too much"#
        ]],
        |numbers| {
            let strategy = WatermarkStrategy::for_monotonous_timestamps();
            let strategy = strategy.with_timestamp_assigner(|n| bang(*n));
            numbers.assign_timestamps_and_watermarks(strategy).sink_to(BlackHoleSink::new());
        },
    );
    assert_another_job_runs();
}

/// Fails in one of its calls, and counts those that matter.
#[derive(Clone, Default)]
struct FailsIn {
    call: &'static str,
    panics: bool,
    opened: Arc<AtomicU32>,
    closed: Arc<AtomicU32>,
}

impl FailsIn {
    fn call(&self, call: &str) -> Result<(), BoxError> {
        match self.call == call {
            true if self.panics => panic!("failed in {call}"),
            true => Err(format!("failed in {call}").into()),
            false => Ok(()),
        }
    }
}

impl ProcessFunction<i64, i64> for FailsIn {
    fn open(&mut self, _: &RuntimeContext) -> Result<(), BoxError> {
        self.opened.fetch_add(1, SeqCst);
        self.call("open")
    }

    fn process(
        &mut self,
        value: i64,
        _: Option<i64>,
        out: &mut Collector<'_, i64>,
    ) -> Result<(), BoxError> {
        out.collect(value);
        if value == 42 { self.call("process") } else { Ok(()) }
    }

    fn finish(&mut self, _: &mut Collector<'_, i64>) -> Result<(), BoxError> {
        self.call("finish")
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.closed.fetch_add(1, SeqCst);
        self.call("close")
    }
}

#[test]
fn a_function_may_fail_in_any_call_and_is_closed_once() {
    for call in ["open", "process", "finish", "close"] {
        for panics in [false, true] {
            let env = StreamExecutionEnvironment::new();
            let function = FailsIn { call, panics, ..FailsIn::default() };
            let (opened, closed) = (function.opened.clone(), function.closed.clone());
            let neighbour = FailsIn { call: "none", ..FailsIn::default() };
            let others = (neighbour.opened.clone(), neighbour.closed.clone());
            env.from_sequence(0, 99)
                .process(function)
                .name("Function")
                .process(neighbour)
                .name("Neighbour")
                .sink_to(BlackHoleSink::new());
            let found = failure(execute(&env)).to_string();
            let chain = "Sequence Source -> Function -> Neighbour -> Sink (1/1)#0";
            let panicked = if panics { "panicked: " } else { "" };
            let expected = format!("{chain}: operator \"Function\": {panicked}failed in {call}");
            assert_eq!(found, expected);
            assert_eq!((opened.load(SeqCst), closed.load(SeqCst)), (1, 1), "{call} {panics}");
            assert_eq!((others.0.load(SeqCst), others.1.load(SeqCst)), (1, 1), "{call} {panics}");
        }
    }
}

/// A timer that goes off with a bang.
#[derive(Clone)]
struct BadTimer;

impl KeyedProcessFunction<i64, i64, i64> for BadTimer {
    fn process(
        &mut self,
        value: i64,
        context: &mut KeyedContext<'_, i64>,
        _: &mut Collector<'_, i64>,
    ) -> Result<(), BoxError> {
        context.register_event_time_timer(value);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        _: &mut KeyedContext<'_, i64>,
        _: &mut Collector<'_, i64>,
    ) -> Result<(), BoxError> {
        boom(time).map(|_| ())
    }
}

#[test]
fn a_timer_may_fail() {
    let expected =
        expect![[r#"Keyed Process -> Sink (1/1)#0: operator "Keyed Process": 42 is too much"#]];
    failure_of(expected, |numbers| {
        numbers.key_by(|n| *n).process(BadTimer).sink_to(BlackHoleSink::new());
    });
}

#[test]
fn one_failure_of_many_is_told_and_ends_all_subtasks() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(8).set_task_executors(2);
    let function = FailsIn { call: "process", ..FailsIn::default() };
    let (opened, closed) = (function.opened.clone(), function.closed.clone());
    // Everybody gets the number that everybody fails with.
    env.from_sequence(0, 99)
        .broadcast()
        .process(function)
        .rebalance()
        .map(|n| n)
        .sink_to(BlackHoleSink::new());
    let found = failure(execute(&env));
    assert!(found.message.ends_with("failed in process"), "{found}");
    assert_eq!(opened.load(SeqCst), closed.load(SeqCst));
    assert!(opened.load(SeqCst) >= 1);
}
