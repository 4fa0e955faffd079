//! Calls between processes: how long one takes, and how many there are per second.
//!
//! Two services with runtimes of their own, as in two processes, over the loopback interface. The
//! call is a TaskExecutor's heartbeat with its slots. Latency is compared with a bare exchange of
//! bytes over a TCP connection between the same runtimes, in the same run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hurtig::{ParameterTool, prelude::BoxError};
use hurtig_cluster_api::{
    FencingToken, JobMasterGateway, NOT_FENCED, ResourceManagerGateway, RpcError, RpcResult,
    SlotId, SlotReport, SlotStatus, TaskExecutorGateway, TaskExecutorOverview,
    TaskExecutorRegistration,
};
use hurtig_env::{Clock, OwnedRuntimes, Runtimes};
use hurtig_metrics::{MetricsQuery, MetricsSnapshot};
use hurtig_rpc::{RpcConfig, RpcServer};
use hurtig_types::{AllocationId, JobId, ResourceId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

type Outcome<T> = Result<T, BoxError>;

/// Calls under way at a time, when throughput is measured.
const CONCURRENT_CALLS: usize = 64;
/// Share of the time that goes before anything is counted.
const WARM_UP_SHARE: u32 = 5;

/// Measures and prints.
pub fn run(parameters: &ParameterTool) -> Outcome<bool> {
    let seconds: u64 = parameters.parse_or("seconds", 3)?;
    let slots: u32 = parameters.parse_or("slots", 4)?;
    let time = Duration::from_secs(seconds.max(1));
    let (near, far) = (OwnedRuntimes::start(Some(1))?, OwnedRuntimes::start(Some(1))?);
    let (near, far) = (near.handles(), far.handles());
    let server = start(&far, 1)?;
    let caller = start(&near, 2)?;
    let gateway: Arc<dyn ResourceManagerGateway> = Arc::new(Listening);
    let export = server.service().export(gateway, NOT_FENCED)?;
    let client: Arc<dyn ResourceManagerGateway> = caller.service().connect(export.address())?;
    let report = report(slots);

    let mut bare = near.control.block_on(bare_round_trips(&far, time))?;
    let calls = one_after_the_other(client.clone(), report.clone(), time);
    let mut single = near.control.block_on(near.control.spawn(calls))??;
    let rate = near.control.block_on(side_by_side(client, report, time))?;

    let (bare, single) = (Latency::of(&mut bare), Latency::of(&mut single));
    println!("a heartbeat with {slots} slots, over loopback TCP, one thread per side");
    println!("  bare TCP, round trip      {bare}");
    println!("  call, one at a time       {single}");
    println!("  ratio of medians          {:.1}", single.median_us / bare.median_us);
    println!("  calls/s, {CONCURRENT_CALLS} at a time    {rate:.0}");
    Ok(true)
}

fn start(runtimes: &Runtimes, instance: u128) -> Outcome<RpcServer> {
    let config = RpcConfig::loopback(instance);
    Ok(runtimes.control.block_on(RpcServer::start(config, runtimes, Clock::system()))?)
}

fn report(slots: u32) -> SlotReport {
    let status = |index| SlotStatus {
        slot: SlotId { resource: ResourceId(7), index },
        allocated: Some((AllocationId(u128::MAX / 3), JobId(u128::MAX / 5))),
    };
    SlotReport { slots: (0..slots).map(status).collect() }
}

struct Latency {
    median_us: f64,
    p99_us: f64,
}

impl Latency {
    fn of(times: &mut [Duration]) -> Self {
        times.sort_unstable();
        let at = |share: f64| {
            let index = (times.len() as f64 * share) as usize;
            times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
        };
        Self { median_us: at(0.5), p99_us: at(0.99) }
    }
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "median {:.0} us, 99 % within {:.0} us", self.median_us, self.p99_us)
    }
}

/// One byte there and back, again and again.
async fn bare_round_trips(far: &Runtimes, time: Duration) -> Outcome<Vec<Duration>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let listener = listener.into_std()?;
    far.control.spawn(async move {
        // Its errors show on the other side.
        let Ok(listener) = TcpListener::from_std(listener) else { return };
        let Ok((mut stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        while let Ok(byte) = stream.read_u8().await {
            if stream.write_u8(byte).await.is_err() {
                return;
            }
        }
    });
    let exchanges = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (mut times, began) = (Vec::new(), Instant::now());
        while began.elapsed() < time {
            let sent = Instant::now();
            stream.write_u8(1).await?;
            stream.read_u8().await?;
            times.push(sent.elapsed());
        }
        Ok::<_, std::io::Error>(times)
    });
    Ok(exchanges.await??)
}

async fn one_after_the_other(
    client: Arc<dyn ResourceManagerGateway>,
    report: SlotReport,
    time: Duration,
) -> RpcResult<Vec<Duration>> {
    let (mut times, began) = (Vec::new(), Instant::now());
    while began.elapsed() < time {
        let sent = Instant::now();
        client.heartbeat_from_task_executor(ResourceId(7), report.clone()).await?;
        if began.elapsed() > time / WARM_UP_SHARE {
            times.push(sent.elapsed());
        }
    }
    Ok(times)
}

/// Calls per second.
async fn side_by_side(
    client: Arc<dyn ResourceManagerGateway>,
    report: SlotReport,
    time: Duration,
) -> Outcome<f64> {
    let (done, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let callers = (0..CONCURRENT_CALLS).map(|_| {
        let (client, report, done) = (client.clone(), report.clone(), done.clone());
        tokio::spawn(async move {
            while began.elapsed() < time {
                client.heartbeat_from_task_executor(ResourceId(7), report.clone()).await?;
                if began.elapsed() > time / WARM_UP_SHARE {
                    done.fetch_add(1, Relaxed);
                }
            }
            Ok::<_, RpcError>(())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    let measured = time - time / WARM_UP_SHARE;
    Ok(done.load(Relaxed) as f64 / measured.as_secs_f64())
}

/// A ResourceManager that listens to heartbeats.
struct Listening;

fn nothing_else<T>() -> RpcResult<T> {
    Err(RpcError::Rejected("heartbeats alone are measured".to_owned()))
}

#[async_trait]
impl ResourceManagerGateway for Listening {
    async fn register_task_executor(
        &self,
        _: TaskExecutorRegistration,
        _: Arc<dyn TaskExecutorGateway>,
    ) -> RpcResult<()> {
        nothing_else()
    }

    async fn heartbeat_from_task_executor(&self, _: ResourceId, _: SlotReport) -> RpcResult<()> {
        Ok(())
    }

    async fn disconnect_task_executor(&self, _: ResourceId, _: String) -> RpcResult<()> {
        nothing_else()
    }

    async fn notify_slot_available(&self, _: SlotId, _: AllocationId) -> RpcResult<()> {
        nothing_else()
    }

    async fn register_job_master(
        &self,
        _: JobId,
        _: FencingToken,
        _: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()> {
        nothing_else()
    }

    async fn disconnect_job_master(&self, _: JobId, _: FencingToken) -> RpcResult<()> {
        nothing_else()
    }

    async fn declare_required_slots(&self, _: JobId, _: FencingToken, _: u32) -> RpcResult<()> {
        nothing_else()
    }

    async fn task_executors(&self) -> RpcResult<Vec<TaskExecutorOverview>> {
        nothing_else()
    }

    async fn query_metrics(&self, _: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        nothing_else()
    }
}
