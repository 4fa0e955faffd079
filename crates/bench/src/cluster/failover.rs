//! From the death of a TaskManager to the first new record, with a slot to spare.
//!
//! The job counts by key in state, so a restart that lost state would be seen: after each failure
//! the counts must be at least those of some checkpoint before it.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use hurtig::{ParameterTool, prelude::BoxError};

use super::{
    Spread,
    job::Told,
    ms, on_runtime,
    processes::{Cluster, until},
    runs, tell,
};

/// Subtasks of each vertex; there is one slot more.
const PARALLELISM: u32 = 2;
/// How long a record may be waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The bar: the detection is a reset connection, which takes no time.
const BAR_MS: f64 = 1000.0;

/// Runs the benchmark.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    on_runtime(measure(parameters))
}

struct Listener(UdpSocket);

impl Listener {
    /// The next record that satisfies.
    fn next(&self, wanted: impl Fn(&Told) -> bool) -> Result<Told, BoxError> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let mut bytes = [0; Told::BYTES];
            // A pause may be that of a restart.
            let Ok(Told::BYTES) = self.0.recv(&mut bytes) else { continue };
            let told = Told::from_bytes(bytes);
            if wanted(&told) {
                return Ok(told);
            }
        }
        Err("the records that were waited for did not come".into())
    }
}

async fn measure(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let one_slot = ("taskmanager.numberOfTaskSlots", "1");
    let number = PARALLELISM as usize + 1;
    let mut cluster = Cluster::start(parameters, number, &[one_slot]).await?;
    let listener = UdpSocket::bind("127.0.0.1:0")?;
    listener.set_read_timeout(Some(Duration::from_millis(100)))?;
    let tell_to = listener.local_addr()?.to_string();
    let listener = Listener(listener);
    let checkpoints = format!("file://{}", cluster.path("checkpoints").display());
    let arguments = ["cluster-job", "--rate", "5000", "--tell", &tell_to, "--checkpoints", &checkpoints];
    let program = cluster.upload().await?;
    let job = cluster.run(program, &arguments.map(str::to_owned), PARALLELISM).await?;
    cluster.until_running(job).await?;

    let (mut first, mut all) = (Vec::new(), Vec::new());
    let (mut attempt, mut completed) = (0, 0);
    for _ in 0..runs(parameters, 5)? {
        completed = until("two more checkpoints are complete", async || {
            let counts = cluster.client.checkpoints(job).await?.counts;
            Ok((counts.completed >= completed + 2).then_some(counts.completed))
        })
        .await?;
        // What has queued up meanwhile goes first, so that this is the latest record.
        listener.0.set_nonblocking(true)?;
        let mut latest = None;
        let mut bytes = [0; Told::BYTES];
        while let Ok(Told::BYTES) = listener.0.recv(&mut bytes) {
            latest = Some(Told::from_bytes(bytes));
        }
        listener.0.set_nonblocking(false)?;
        let latest = match latest {
            Some(told) => told,
            None => listener.next(|told| told.attempt >= attempt)?,
        };
        attempt = latest.attempt;
        let victim = cluster.task_managers.iter_mut().find(|p| p.id() == latest.task_manager);
        let killed = Instant::now();
        victim.ok_or("the record's TaskManager is not known")?.kill()?;
        let told = listener.next(|told| told.attempt > attempt)?;
        first.push(ms(killed.elapsed()));
        if told.count <= 1 {
            return Err(format!("state was lost: {told:?} after {latest:?}").into());
        }
        for subtask in 0..PARALLELISM {
            listener.next(|told| told.attempt > attempt && told.subtask == subtask)?;
        }
        all.push(ms(killed.elapsed()));
        cluster.task_managers.retain(|process| process.id() != latest.task_manager);
        cluster.add_task_manager()?;
        cluster.until_registered(PARALLELISM + 1).await?;
        cluster.until_running(job).await?;
    }
    cluster.cancel(job).await?;
    let first = Spread::of(first).ok_or("no runs")?;
    let all = Spread::of(all).ok_or("no runs")?;
    let what = "kill -9 of a TaskManager to the first new record, worst";
    tell(what, first.worst, "ms", BAR_MS);
    println!("  best {:.1} ms, median {:.1} ms", first.best, first.median);
    println!("  to new records of all subtasks: median {:.1} ms, worst {:.1} ms", all.median, all.worst);
    Ok(true)
}
