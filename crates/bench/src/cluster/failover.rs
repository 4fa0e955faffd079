//! From the death of a TaskManager to the first new record, with a slot to spare.
//!
//! The job counts by key in state, so a restart that lost state is seen: after each failure the
//! counts must be at least those of the latest checkpoint before it.

use std::{
    collections::BTreeMap,
    net::UdpSocket,
    sync::Arc,
    time::{Duration, Instant},
};

use hurtig::{ParameterTool, prelude::BoxError};
use parking_lot::Mutex;

use super::{
    Spread,
    job::Told,
    ms, on_runtime,
    processes::{ProcessCluster, until},
    runs, tell,
};

/// Subtasks of each vertex; there is one slot more.
const PARALLELISM: u32 = 2;
/// The bar: the detection is a reset connection, which takes no time.
const BAR_MS: f64 = 1000.0;

/// Runs the benchmark.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    on_runtime(measure(parameters))
}

/// What has come from the job.
#[derive(Default)]
struct Seen {
    latest: Option<Told>,
    /// The first record of each attempt and subtask, and when it came.
    first: BTreeMap<(u32, u32), (Instant, Told)>,
}

/// Listens to the job in a thread of its own, so that the time of a record is that of its arrival.
fn listen(socket: UdpSocket) -> Result<Arc<Mutex<Seen>>, BoxError> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let for_thread = Arc::downgrade(&seen);
    std::thread::Builder::new().name("listener".to_owned()).spawn(move || {
        let mut bytes = [0; Told::BYTES];
        while let Some(seen) = for_thread.upgrade() {
            // A pause may be that of a restart.
            let Ok(Told::BYTES) = socket.recv(&mut bytes) else { continue };
            let (now, told) = (Instant::now(), Told::from_bytes(bytes));
            let mut seen = seen.lock();
            seen.latest = Some(told);
            seen.first.entry((told.attempt, told.subtask)).or_insert((now, told));
        }
    })?;
    Ok(seen)
}

/// Waits for the first records of all subtasks in an attempt after `attempt`.
async fn new_records(seen: &Mutex<Seen>, attempt: u32) -> Result<Vec<(Instant, Told)>, BoxError> {
    until("all subtasks have new records", async || {
        let seen = seen.lock();
        let new = seen.first.range((attempt + 1, 0)..).map(|(_, first)| *first);
        let last = new.clone().map(|(_, told)| told.attempt).max();
        // A subtask may have begun more than once.
        let mut of_last: Vec<_> = new.filter(|(_, told)| Some(told.attempt) == last).collect();
        of_last.sort_by_key(|(at, _)| *at);
        Ok((of_last.len() == PARALLELISM as usize).then_some(of_last))
    })
    .await
}

async fn measure(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let one_slot = ("taskmanager.numberOfTaskSlots", "1");
    let number = PARALLELISM as usize + 1;
    let mut cluster = ProcessCluster::start(parameters, number, &[one_slot]).await?;
    let listener = UdpSocket::bind("127.0.0.1:0")?;
    listener.set_read_timeout(Some(Duration::from_millis(100)))?;
    let tell_to = listener.local_addr()?.to_string();
    let seen = listen(listener)?;
    let checkpoints = format!("file://{}", cluster.path("checkpoints").display());
    let arguments =
        ["cluster-job", "--rate", "5000", "--tell", &tell_to, "--checkpoints", &checkpoints];
    let program = cluster.upload().await?;
    let job = cluster.run(program, &arguments.map(str::to_owned), PARALLELISM).await?;
    cluster.until_running(job).await?;

    let latest = async || until("a record has come", async || Ok(seen.lock().latest)).await;
    let (mut first, mut all) = (Vec::new(), Vec::new());
    for _ in 0..runs(parameters, 5)? {
        let base = latest().await?.count;
        let before = cluster.client.checkpoints(job).await?.counts.completed;
        // The second of them was begun after `base`.
        until("two more checkpoints are complete", async || {
            let counts = cluster.client.checkpoints(job).await?.counts;
            Ok((counts.completed >= before + 2).then_some(()))
        })
        .await?;
        let latest = latest().await?;
        let victim = cluster.task_managers.iter_mut().find(|p| p.id() == latest.task_manager);
        let killed = Instant::now();
        victim.ok_or("the record's TaskManager is not known")?.kill()?;
        let new = new_records(&seen, latest.attempt).await?;
        // Keys come in turn, and readers may be a record apart.
        if let Some((_, told)) = new.iter().find(|(_, told)| told.count + 2 < base) {
            return Err(format!("state was lost: {told:?} after {base} of each key").into());
        }
        let took = |at: Option<&(Instant, Told)>| at.map(|(at, _)| ms(*at - killed));
        first.extend(took(new.first()));
        all.extend(took(new.last()));
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
    println!(
        "  to new records of all subtasks: median {:.1} ms, worst {:.1} ms",
        all.median, all.worst
    );
    Ok(true)
}
