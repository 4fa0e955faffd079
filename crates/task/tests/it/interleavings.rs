//! Random interleavings of records, watermarks, idleness, barriers of every kind, their time-outs,
//! aborted checkpoints, lost notifications, back pressure, failures and restores, against the
//! definition of what must come out. A seed that fails names itself; it is the same in every run.

use hurtig_types::{Alignment, CheckpointType};
use tokio::runtime::Builder;

use crate::{
    cluster::{Cluster, Seen},
    dice::Dice,
    plan::Plan,
};

/// Steps of chance before the rest is sent and read.
const STEPS: u64 = 400;
/// Steps within which the task must be through with the rest.
const STEPS_TO_THE_END: u64 = 20_000;
/// Restarts of one run.
const RESTARTS: u64 = 6;

fn alignment(dice: &mut Dice) -> Alignment {
    match dice.between(0, 2) {
        0 => Alignment::Aligned,
        1 => Alignment::AlignedWithTimeout { timeout_ms: dice.between(0, 40) },
        _ => Alignment::Unaligned,
    }
}

fn checkpoint_type(dice: &mut Dice) -> CheckpointType {
    if dice.percent(85) { CheckpointType::Checkpoint } else { CheckpointType::FullCheckpoint }
}

/// One step of chance.
async fn step(
    cluster: &mut Cluster<'_>,
    dice: &mut Dice,
    at_least_once: bool,
    restarts: &mut u64,
) -> Result<(), String> {
    let producer = dice.index(cluster.producers.len());
    match dice.between(0, 99) {
        // A task stops when its output is full, though not in the middle of a batch.
        0..35 if cluster.producers[producer].is_available() || dice.percent(10) => {
            cluster.send(producer);
        }
        35..55 => cluster.read(dice.index(cluster.readers.len()), dice.between(1, 6))?,
        55..75 => cluster.pause(dice.between(0, 12)).await,
        75..80 => {
            let alignment = if at_least_once { Alignment::AtLeastOnce } else { alignment(dice) };
            cluster.trigger(alignment, checkpoint_type(dice));
        }
        80..94 => cluster.barrier(producer, usize::from(dice.percent(8))),
        94 => cluster.abort(),
        95 if *restarts < RESTARTS => {
            *restarts += 1;
            cluster.light_fuse(dice.between(1, 20) as i64);
        }
        96 if *restarts < RESTARTS && dice.percent(50) => {
            *restarts += 1;
            let lose = dice.percent(50).then_some(producer);
            cluster.restart(lose, usize::from(dice.percent(20))).await?;
        }
        _ => {}
    }
    cluster.look(dice.percent(15), usize::from(dice.percent(20)))
}

/// No more faults: all is sent and read.
async fn finish(cluster: &mut Cluster<'_>, dice: &mut Dice) -> Result<(), String> {
    cluster.light_fuse(0);
    for _ in 0..STEPS_TO_THE_END {
        if cluster.is_finished() {
            return Ok(());
        }
        let producer = dice.index(cluster.producers.len());
        match dice.between(0, 9) {
            0..3 => cluster.send(producer),
            3..5 => cluster.barrier(producer, 0),
            5..8 => cluster.read(dice.index(cluster.readers.len()), dice.between(1, 6))?,
            _ => cluster.pause(dice.between(0, 12)).await,
        }
        cluster.look(false, 0)?;
    }
    Err("the task does not come to its end".to_owned())
}

async fn run(seed: u64, at_least_once: bool) -> Result<Seen, String> {
    let mut dice = Dice::new(seed);
    let plan = Plan::draw(&mut dice);
    let buffer_timeout_ms = [-1, 0, 10][dice.index(3)];
    let mut cluster = Cluster::start(&plan, buffer_timeout_ms).await;
    let mut restarts = 0;
    for _ in 0..STEPS {
        step(&mut cluster, &mut dice, at_least_once, &mut restarts).await?;
    }
    finish(&mut cluster, &mut dice).await?;
    // Another region fails, and takes along what had come to its end.
    if dice.percent(30) {
        for _ in 0..50 {
            step(&mut cluster, &mut dice, at_least_once, &mut RESTARTS.clone()).await?;
        }
        cluster.restart(None, 0).await?;
        finish(&mut cluster, &mut dice).await?;
    }
    let (told, seen) = (cluster.told(), cluster.seen);
    cluster.shut_down();
    if at_least_once {
        plan.check_at_least_once(&told)?
    } else {
        plan.check(&told)?
    }
    Ok(seen)
}

/// Runs seeds one by one, each in a runtime of its own, and adds up what they have seen.
fn run_all(seeds: std::ops::Range<u64>, at_least_once: bool) -> Seen {
    let mut all = Seen::default();
    for seed in seeds {
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let seen = runtime.block_on(run(seed, at_least_once));
        let seen = seen.unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        all.add(seen);
    }
    all
}

#[test]
fn every_record_counts_once_whatever_is_interleaved() {
    let seen = run_all(0..2_000, false);
    assert!(seen.has_seen_everything(), "{seen:?}");
}

#[test]
fn at_least_once_loses_nothing() {
    let seen = run_all(0..300, true);
    assert!(seen.complete > 0 && seen.restores > 0, "{seen:?}");
}
