//! Restart strategies: how often, how much of the job, and what is computed all the same.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use hurtig::{connectors::BlackHoleSink, graph::RestartStrategyConfig, prelude::*};

use crate::support::{GatedSource, VecSink, eventually, execute, failure, wait};

/// Passes numbers on, but fails with `trigger` in its first attempts; counts its attempts.
#[derive(Clone)]
struct Flaky {
    trigger: i64,
    failures: u32,
    panics: bool,
    attempts: Arc<AtomicU32>,
    attempt: u32,
}

impl Flaky {
    fn new(trigger: i64, failures: u32) -> Self {
        let attempts = Arc::default();
        Self { trigger, failures, panics: false, attempts, attempt: 0 }
    }
}

impl MapFunction<i64, i64> for Flaky {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        self.attempt = context.attempt();
        self.attempts.fetch_add(1, SeqCst);
        Ok(())
    }

    fn map(&mut self, value: i64) -> Result<i64, BoxError> {
        match value == self.trigger && self.attempt < self.failures {
            true if self.panics => panic!("attempt {} failed", self.attempt),
            true => Err(format!("attempt {} failed", self.attempt).into()),
            false => Ok(value),
        }
    }
}

fn fixed_delay(attempts: u32) -> RestartStrategyConfig {
    RestartStrategyConfig::FixedDelay { attempts, delay_ms: 1 }
}

fn failure_rate(max_failures: u32) -> RestartStrategyConfig {
    RestartStrategyConfig::FailureRate { max_failures, interval_ms: 3_600_000, delay_ms: 1 }
}

fn exponential_delay(max_attempts: Option<u32>) -> RestartStrategyConfig {
    RestartStrategyConfig::ExponentialDelay {
        initial_ms: 1,
        max_ms: 4,
        multiplier: 2.0,
        reset_threshold_ms: 3_600_000,
        jitter: 0.5,
        max_attempts,
    }
}

#[test]
fn a_job_recovers_from_as_many_failures_as_its_strategy_allows() {
    let strategies = [
        (fixed_delay(3), Some(3)),
        (failure_rate(3), Some(3)),
        (exponential_delay(Some(3)), Some(3)),
        (exponential_delay(None), None),
        (RestartStrategyConfig::None, Some(0)),
    ];
    for (strategy, most) in strategies {
        for panics in [false, true] {
            for failures in [0, 1, 3, 4] {
                let env = StreamExecutionEnvironment::new();
                env.set_restart_strategy(strategy.clone());
                let flaky = Flaky { panics, ..Flaky::new(5, failures) };
                let attempts = flaky.attempts.clone();
                env.from_sequence(1, 9).map_with(flaky).sink_to(BlackHoleSink::new());
                let outcome = execute(&env);
                let what = format!("{strategy:?} {failures}");
                match most {
                    Some(most) if failures > most => {
                        let failure = failure(outcome);
                        let last = format!("attempt {most} failed");
                        assert!(failure.message.ends_with(&last), "{what}: {failure}");
                        assert!(failure.task.unwrap().ends_with(&format!("#{most}")), "{what}");
                        assert_eq!(attempts.load(SeqCst), most + 1, "{what}");
                    }
                    _ => {
                        let result = outcome.unwrap();
                        assert_eq!(result.restarts, failures, "{what}");
                        assert_eq!(attempts.load(SeqCst), failures + 1, "{what}");
                    }
                }
            }
        }
    }
}

/// All splits are read again and state starts anew, so what is computed at the end is exact.
#[test]
fn a_restarted_job_computes_the_same() {
    let expected: i64 = (0..10_000).sum();
    for task_executors in [1, 2] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(3).set_task_executors(task_executors);
        env.set_restart_strategy(fixed_delay(2));
        let sums = env
            .from_sequence(0, 9_999)
            .map_with(Flaky::new(7_654, 2))
            .key_by(|n| n % 13)
            .window(GlobalWindows::create_with_end_of_stream_trigger())
            .reduce(|sum, n| *sum += n);
        let sums = sums.execute_and_collect("restarted").unwrap();
        assert_eq!((sums.len(), sums.iter().sum::<i64>()), (13, expected));
    }
}

#[test]
fn only_the_failed_region_restarts() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2).disable_operator_chaining().set_restart_strategy(fixed_delay(5));
    let (flaky, steady) = (Flaky::new(50, 2), Flaky::new(50, 0));
    let attempts = (flaky.attempts.clone(), steady.attempts.clone());
    // Two pipelines without an edge between them; the steady one runs until the other is through.
    let (numbers, gate) = GatedSource::stream(&env, 100);
    numbers.rebalance().map_with(steady).name("Steady").sink_to(BlackHoleSink::new());
    let (through, seen) = VecSink::new();
    env.from_sequence(0, 99).rebalance().map_with(flaky).name("Flaky").sink_to(through);
    let client = env.execute_async("two pipelines").unwrap();
    eventually("the flaky pipeline is through", || seen.lock().len() >= 100);
    gate.open();
    let result = wait(&client).unwrap();
    assert_eq!(result.restarts, 2);
    // One subtask of the flaky map fails, but both are of the region, as are source and sink.
    assert_eq!((attempts.0.load(SeqCst), attempts.1.load(SeqCst)), (6, 2));
    for vertex in &result.vertices {
        let attempts: Vec<u32> = vertex.subtasks.iter().map(|subtask| subtask.attempt).collect();
        let restarted = ["Sequence Source", "Flaky"].contains(&&*vertex.name)
            || (vertex.name == "Sink" && attempts[0] > 0);
        assert_eq!(attempts, if restarted { [2, 2] } else { [0, 0] }, "{}", vertex.name);
    }
    let sinks = result.vertices.iter().filter(|vertex| vertex.name == "Sink");
    let restarted = sinks.filter(|vertex| vertex.subtasks[0].attempt == 2).count();
    assert_eq!(restarted, 1);
}

/// Where every edge is a forward one, each index is a region of its own.
#[test]
fn a_failed_subtask_does_not_touch_those_beside_it() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(4).disable_operator_chaining().set_restart_strategy(fixed_delay(5));
    let flaky = Flaky::new(60, 3);
    let attempts = flaky.attempts.clone();
    env.from_sequence(0, 99).map_with(flaky).sink_to(BlackHoleSink::new());
    let result = execute(&env).unwrap();
    assert_eq!(result.restarts, 3);
    assert_eq!(attempts.load(SeqCst), 4 + 3);
    for vertex in &result.vertices {
        let attempts: Vec<u32> = vertex.subtasks.iter().map(|subtask| subtask.attempt).collect();
        // 60 is in the third quarter.
        assert_eq!(attempts, [0, 0, 3, 0], "{}", vertex.name);
    }
}

/// Fails when all input has been read, while the tasks before it have finished or are about to.
#[derive(Clone)]
struct FailsAtTheEnd(Flaky);

impl ProcessFunction<i64, i64> for FailsAtTheEnd {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        self.0.open(context)
    }

    fn process(
        &mut self,
        value: i64,
        _: Option<i64>,
        out: &mut Collector<'_, i64>,
    ) -> Result<(), BoxError> {
        out.collect(value);
        Ok(())
    }

    fn finish(&mut self, _: &mut Collector<'_, i64>) -> Result<(), BoxError> {
        self.0.map(self.0.trigger).map(|_| ())
    }
}

#[test]
fn tasks_that_have_finished_run_again_if_their_region_fails() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2).disable_operator_chaining().set_restart_strategy(fixed_delay(5));
    let numbers = env.from_sequence(0, 99).rebalance().map(|n| n);
    let ending = numbers.process(FailsAtTheEnd(Flaky::new(0, 2))).set_parallelism(1);
    let windows = ending.window_all(GlobalWindows::create_with_end_of_stream_trigger());
    let sums = windows.reduce(|sum, n| *sum += n).execute_and_collect("fails at the end").unwrap();
    // Event time ends before the input does: attempts that fail then may have given their sum.
    let exact = |sum: &i64| *sum == (0..100).sum::<i64>();
    assert!((1..=3).contains(&sums.len()) && sums.iter().all(exact), "{sums:?}");
}

/// Accumulators are those of the attempts that finished.
#[test]
fn what_failed_attempts_have_added_up_does_not_count() {
    #[derive(Clone)]
    struct Counting(Flaky, Option<RuntimeContext>);
    impl MapFunction<i64, i64> for Counting {
        fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
            self.1 = Some(context.clone());
            self.0.open(context)
        }

        fn map(&mut self, value: i64) -> Result<i64, BoxError> {
            self.1.as_ref().unwrap().add_to_counter("seen", 1)?;
            self.0.map(value)
        }
    }
    let env = StreamExecutionEnvironment::new();
    env.set_restart_strategy(fixed_delay(3));
    let counting = Counting(Flaky::new(70, 3), None);
    env.from_sequence(0, 99).map_with(counting).sink_to(BlackHoleSink::new());
    let result = execute(&env).unwrap();
    assert_eq!((result.restarts, result.counter("seen")), (3, Some(100)));
}
