//! Cancelling a job.

use std::{
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

use hurtig::{
    connectors::{BlackHoleSink, DataGeneratorSource},
    prelude::*,
};

/// Cancels a job as soon as it tells that it runs, and checks that its end comes within a second.
fn cancelled_in_time(build: impl FnOnce(&DataStream<u64>, std::sync::mpsc::SyncSender<()>)) {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let (running, seen) = sync_channel(1);
    let endless = env.from_source(
        DataGeneratorSource::new(|n| n, None, None),
        WatermarkStrategy::no_watermarks(),
        "Endless",
    );
    build(&endless, running);
    let client = env.execute_async("endless").unwrap();
    seen.recv_timeout(Duration::from_secs(30)).unwrap();
    let began = Instant::now();
    client.cancel().unwrap();
    let outcome = client.wait();
    let took = began.elapsed();
    assert!(matches!(outcome, Err(ExecuteError::JobCanceled { .. })), "{outcome:?}");
    assert!(took < Duration::from_secs(1), "took {took:?}");
    assert_eq!(client.status().unwrap(), hurtig::JobStatus::Canceled);
}

#[test]
fn a_busy_job_ends_within_a_second() {
    cancelled_in_time(|endless, running| {
        endless
            .key_by(|n| n % 1000)
            .reduce(|sum, n| *sum = sum.wrapping_add(n))
            .map(move |n| {
                let _ = running.try_send(());
                n
            })
            .sink_to(BlackHoleSink::new());
    });
}

#[test]
fn a_job_under_back_pressure_ends_within_a_second() {
    cancelled_in_time(|endless, running| {
        endless
            .rebalance()
            .map(move |n| {
                // A millisecond for each record: everything before it is full at once.
                let until = Instant::now() + Duration::from_millis(1);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                if n > 50 {
                    let _ = running.try_send(());
                }
                n
            })
            .sink_to(BlackHoleSink::new());
    });
}

#[test]
fn a_job_that_waits_for_slots_can_be_cancelled() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(3).set_task_slots(1);
    env.from_sequence(1, 10).rebalance().map(|n| n + 1).sink_to(BlackHoleSink::new());
    let client = env.execute_async("no slots").unwrap();
    client.cancel().unwrap();
    assert!(matches!(client.wait(), Err(ExecuteError::JobCanceled { .. })));
}
