//! What becomes of a job when its code fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use hurtig::{graph::RestartStrategyConfig, prelude::*};

fn failure(error: ExecuteError) -> String {
    match error {
        ExecuteError::JobFailed { failure, .. } => format!("{failure}"),
        other => panic!("expected a failed job, got {other}"),
    }
}

#[test]
fn an_error_of_user_code_names_operator_and_subtask() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let failing = env
        .from_sequence(1, 100)
        .try_map(|n: i64| if n == 77 { Err("no sevens".into()) } else { Ok(n) })
        .name("Picky");
    let error = failing.execute_and_collect("picky").unwrap_err();
    let ExecuteError::JobFailed { failure, name } = &error else { panic!("{error}") };
    assert_eq!(name, "picky");
    assert!(failure.message.contains("Picky") && failure.message.contains("no sevens"), "{error}");
    let task = failure.task.as_deref().unwrap();
    assert!(task.contains("Picky") && task.contains("/2)"), "{task}");
}

#[test]
fn a_panic_fails_the_job_and_nothing_else() {
    let env = StreamExecutionEnvironment::new();
    env.from_sequence(1, 10)
        .map(|n| if n == 5 { panic!("five is right out") } else { n })
        .name("Panicking")
        .print();
    let message = failure(env.execute("panic").unwrap_err());
    assert!(message.contains("Panicking") && message.contains("five is right out"), "{message}");
    // The process is well.
    let env = StreamExecutionEnvironment::new();
    assert_eq!(env.from_sequence(1, 3).execute_and_collect("next").unwrap(), [1, 2, 3]);
}

/// Fails in its first attempts.
#[derive(Clone)]
struct FailsAtFirst {
    failures: u32,
    opened: Arc<AtomicU32>,
    attempt: u32,
}

impl FailsAtFirst {
    fn new(failures: u32) -> Self {
        Self { failures, opened: Arc::default(), attempt: 0 }
    }
}

impl MapFunction<i64, i64> for FailsAtFirst {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        self.attempt = self.opened.fetch_add(1, SeqCst);
        assert_eq!(context.attempt(), self.attempt);
        Ok(())
    }

    fn map(&mut self, value: i64) -> Result<i64, BoxError> {
        if self.attempt < self.failures {
            return Err(format!("attempt {} fails", self.attempt).into());
        }
        Ok(value)
    }
}

fn fixed_delay(attempts: u32) -> RestartStrategyConfig {
    RestartStrategyConfig::FixedDelay { attempts, delay_ms: 1 }
}

#[test]
fn a_restart_strategy_restarts_as_often_as_it_says() {
    for (allowed, survives) in [(3, true), (2, false)] {
        let env = StreamExecutionEnvironment::new();
        env.set_restart_strategy(fixed_delay(allowed));
        let function = FailsAtFirst::new(3);
        let opened = function.opened.clone();
        let numbers = env.from_sequence(1, 5).map_with(function);
        let result = numbers.execute_and_collect("restarts");
        if survives {
            assert_eq!(result.unwrap(), [1, 2, 3, 4, 5]);
            assert_eq!(opened.load(SeqCst), 4);
        } else {
            let message = failure(result.unwrap_err());
            assert!(message.contains("attempt 2 fails"), "{message}");
            assert_eq!(opened.load(SeqCst), 3);
        }
    }
}

#[test]
fn other_strategies_restart_too() {
    let exponential = RestartStrategyConfig::ExponentialDelay {
        initial_ms: 1,
        max_ms: 10,
        multiplier: 2.0,
        reset_threshold_ms: 60_000,
        jitter: 0.1,
        max_attempts: None,
    };
    let rate =
        RestartStrategyConfig::FailureRate { max_failures: 5, interval_ms: 60_000, delay_ms: 1 };
    for strategy in [exponential, rate] {
        let env = StreamExecutionEnvironment::new();
        env.set_restart_strategy(strategy);
        let numbers = env.from_sequence(1, 3).map_with(FailsAtFirst::new(2));
        assert_eq!(numbers.execute_and_collect("restarts").unwrap(), [1, 2, 3]);
    }
}

#[test]
fn only_the_failed_region_restarts() {
    let env = StreamExecutionEnvironment::new();
    env.set_restart_strategy(fixed_delay(5));
    let (failing, steady) = (FailsAtFirst::new(2), FailsAtFirst::new(0));
    let opened = (failing.opened.clone(), steady.opened.clone());
    env.from_sequence(1, 10)
        .map_with(failing)
        .rebalance()
        .sink_to(hurtig::connectors::BlackHoleSink::new());
    env.from_sequence(1, 10)
        .map_with(steady)
        .rebalance()
        .sink_to(hurtig::connectors::BlackHoleSink::new());
    let result = env.execute("two regions").unwrap();
    assert_eq!((opened.0.load(SeqCst), opened.1.load(SeqCst)), (3, 1));
    assert_eq!(result.restarts, 2);
}

/// Tells its attempt with its first record.
#[derive(Clone)]
struct AnnouncesAttempt {
    first: std::sync::mpsc::SyncSender<u32>,
    attempt: u32,
    announced: bool,
}

impl MapFunction<i64, i64> for AnnouncesAttempt {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        self.attempt = context.attempt();
        Ok(())
    }

    fn map(&mut self, value: i64) -> Result<i64, BoxError> {
        if !self.announced {
            // Nobody listens any more in later attempts: that is fine.
            let _ = self.first.try_send(self.attempt);
            self.announced = true;
        }
        Ok(value)
    }
}

#[test]
fn tasks_of_a_lost_task_executor_run_again_elsewhere() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2).set_task_executors(3).set_task_slots(1);
    env.set_restart_strategy(fixed_delay(10));
    let (announce, attempts) = std::sync::mpsc::sync_channel(64);
    env.from_source(
        hurtig::connectors::DataGeneratorSource::new(|n| n as i64, None, Some(2_000.0)),
        WatermarkStrategy::no_watermarks(),
        "Endless",
    )
    .key_by(|n| n % 7)
    .reduce(|sum, n| *sum += n)
    .map_with(AnnouncesAttempt { first: announce, attempt: 0, announced: false })
    .sink_to(hurtig::connectors::BlackHoleSink::new());
    let client = env.execute_async("failover").unwrap();
    let timeout = Duration::from_secs(30);
    // Both subtasks run; they are on two of the three executors.
    assert_eq!(attempts.recv_timeout(timeout).unwrap(), 0);
    assert_eq!(attempts.recv_timeout(timeout).unwrap(), 0);
    let details = client.details().unwrap();
    assert_eq!(details.overview.status, hurtig::JobStatus::Running);
    let host = details.vertices[0].subtasks[0].task_executor.unwrap();
    client.stop_task_executor((host.0 & 0xFF) as usize);
    while attempts.recv_timeout(timeout).unwrap() == 0 {}
    let moved = client.details().unwrap();
    assert!(moved.restarts >= 1);
    assert!(
        moved
            .vertices
            .iter()
            .flat_map(|v| &v.subtasks)
            .all(|task| task.task_executor != Some(host))
    );
    client.cancel().unwrap();
    assert!(matches!(client.wait(), Err(ExecuteError::JobCanceled { .. })));
}
