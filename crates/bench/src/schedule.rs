//! How long the pure scheduler takes for a large graph: from its creation to all subtasks running,
//! through the loss of a TaskExecutor, to the end of the job.
//!
//! Nothing is sent anywhere, so what counts is the CPU time of this thread; it means the same
//! however busy the machine is. The bar: 10,000 subtasks are scheduled within two seconds.

use hurtig::{
    graph::{
        AdaptiveConfig, DistributionPattern, IntermediateDataSet, JobConfig, JobEdge, JobGraph,
        JobVertex, RestartStrategyConfig, ShipStrategy,
    },
    prelude::*,
};
use hurtig_cluster_api::{
    ExecutionState, JobStatus, PeerAddress, SlotId, SlotOffer, TaskIoMetrics, TaskStateUpdate,
};
use hurtig_scheduler::{Command, JobScheduler, SchedulerTimer};
use hurtig_types::{AllocationId, EdgeId, ExecutionAttemptId, JobId, JobVertexId, ResourceId};

use crate::memory;

/// CPU seconds for a graph to be scheduled.
const BAR_S: f64 = 2.0;
const SLOTS_PER_TASK_EXECUTOR: u32 = 4;

/// Schedules graphs of several shapes and prints what each phase has cost.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let subtasks: u32 = parameters.parse_or("subtasks", 10_000)?;
    let vertices: u32 = parameters.parse_or("vertices", 10)?;
    let json = parameters.get("json").is_some();
    let vertices = vertices.clamp(1, subtasks.max(1));
    let mut within = true;
    let shapes = [
        ("all to all", DistributionPattern::AllToAll, vertices, false),
        ("pointwise", DistributionPattern::Pointwise, vertices, false),
        ("two wide vertices", DistributionPattern::AllToAll, 2, false),
        ("one subtask each", DistributionPattern::AllToAll, subtasks, false),
        ("elastic", DistributionPattern::AllToAll, vertices, true),
    ];
    for (name, pattern, vertices, elastic) in shapes {
        let parallelism = (subtasks / vertices).max(1);
        let mut phases = Phases::default();
        one(pattern, vertices, parallelism, elastic, &mut phases)?;
        let scheduled = phases.of(SCHEDULED);
        within &= scheduled < BAR_S;
        if json {
            let mut line = serde_json::json!({
                "shape": name, "vertices": vertices, "parallelism": parallelism,
                "scheduledSeconds": scheduled, "rssKb": memory::rss_kb(std::process::id()),
            });
            for (phase, seconds) in &phases.0 {
                line[*phase] = (*seconds).into();
            }
            println!("{line}");
        } else {
            let parts = phases.0.iter().map(|(phase, s)| format!("{phase} {:.0} ms", s * 1e3));
            let parts = parts.collect::<Vec<_>>().join(", ");
            println!(
                "{name:<18} {vertices:>6} x {parallelism:<5} scheduled in {scheduled:.3} s of CPU \
                 ({parts})"
            );
        }
    }
    if !within {
        println!("more than {BAR_S} s of CPU");
    }
    Ok(within)
}

const SCHEDULED: &[&str] = &["create", "start", "offer", "run"];

/// CPU seconds by phase.
#[derive(Default)]
struct Phases(Vec<(&'static str, f64)>);

impl Phases {
    fn measure<R>(
        &mut self,
        phase: &'static str,
        work: impl FnOnce() -> Result<R, BoxError>,
    ) -> Result<R, BoxError> {
        let before = cpu_seconds()?;
        let result = work()?;
        self.0.push((phase, cpu_seconds()? - before));
        Ok(result)
    }

    fn of(&self, names: &[&str]) -> f64 {
        self.0.iter().filter(|(phase, _)| names.contains(phase)).map(|(_, s)| s).sum()
    }
}

/// CPU time of this thread.
fn cpu_seconds() -> Result<f64, BoxError> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: u64 = text.split_whitespace().next().ok_or("no CPU time")?.parse()?;
    Ok(nanos as f64 / 1e9)
}

/// A line of vertices.
fn graph(pattern: DistributionPattern, vertices: u32, parallelism: u32, elastic: bool) -> JobGraph {
    let ship = match pattern {
        DistributionPattern::AllToAll => ShipStrategy::KeyGroup,
        DistributionPattern::Pointwise => ShipStrategy::Forward,
    };
    let id = |number: u32| JobVertexId(u128::from(number) + 1);
    let vertex = |number: u32| JobVertex {
        id: id(number),
        name: format!("vertex {number}"),
        parallelism,
        max_parallelism: 32_768,
        max_parallelism_derived: false,
        max_allowed_parallelism: None,
        slot_sharing_group: "default".to_owned(),
        co_location_key: None,
        blocking: false,
        operators: Vec::new(),
        inputs: (0..u32::from(number > 0))
            .map(|_| JobEdge {
                edge: EdgeId(number - 1),
                producer: id(number - 1),
                input_index: 0,
                ship,
                pattern,
            })
            .collect(),
        outputs: (0..u32::from(number + 1 < vertices))
            .map(|_| IntermediateDataSet {
                edge: EdgeId(number),
                consumer: id(number + 1),
                ship,
                pattern,
                buffer_timeout_ms: 100,
            })
            .collect(),
    };
    let config = JobConfig {
        restart_strategy: RestartStrategyConfig::FixedDelay { attempts: 9, delay_ms: 0 },
        adaptive: elastic.then(AdaptiveConfig::default),
        ..JobConfig::default()
    };
    let vertices = (0..vertices).map(vertex).collect();
    JobGraph { job_id: JobId(1), name: "schedule".to_owned(), vertices, config }
}

struct Run {
    scheduler: JobScheduler,
    deployed: Vec<ExecutionAttemptId>,
    cancelled: Vec<ExecutionAttemptId>,
    timers: Vec<SchedulerTimer>,
    wanted: u32,
    grants: u32,
}

impl Run {
    fn take(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Deploy(deployment) => self.deployed.push(deployment.attempt),
                Command::Cancel { attempt, .. } => self.cancelled.push(attempt),
                Command::DeclareSlots(slots) => self.wanted = slots,
                Command::SetTimer(timer, _) => self.timers.push(timer),
                _ => {}
            }
        }
    }

    fn offer(&mut self) {
        while self.scheduler.pool().len() < self.wanted as usize {
            let number = self.grants;
            self.grants += 1;
            let resource = ResourceId(u128::from(number / SLOTS_PER_TASK_EXECUTOR));
            let slot = SlotId { resource, index: number % SLOTS_PER_TASK_EXECUTOR };
            let offer = SlotOffer { allocation: AllocationId(u128::from(number)), slot };
            let address = PeerAddress { resource, address: format!("10.0.0.{resource}:6121") };
            let (_, commands) = self.scheduler.on_slots_offered(&[offer], &address, 1);
            self.take(commands);
        }
    }

    fn report(&mut self, attempts: Vec<ExecutionAttemptId>, state: ExecutionState) {
        for attempt in attempts {
            let update = TaskStateUpdate {
                attempt,
                state,
                failure: None,
                metrics: TaskIoMetrics::default(),
                accumulators: Default::default(),
            };
            let commands = self.scheduler.on_task_state(update, 2);
            self.take(commands);
        }
    }

    /// What was deployed runs.
    fn run_deployed(&mut self) -> Vec<ExecutionAttemptId> {
        let deployed = std::mem::take(&mut self.deployed);
        self.report(deployed.clone(), ExecutionState::Initializing);
        self.report(deployed.clone(), ExecutionState::Running);
        deployed
    }

    fn expect(&self, what: &str, holds: bool) -> Result<(), BoxError> {
        if holds {
            return Ok(());
        }
        Err(format!("{what}: the job is {:?}", self.scheduler.status()).into())
    }
}

fn one(
    pattern: DistributionPattern,
    vertices: u32,
    parallelism: u32,
    elastic: bool,
    phases: &mut Phases,
) -> Result<(), BoxError> {
    let all = (vertices * parallelism) as usize;
    let graph = graph(pattern, vertices, parallelism, elastic);
    let scheduler = phases.measure("create", || Ok(JobScheduler::new(graph, 1, 0)))?;
    let (deployed, cancelled, timers) = Default::default();
    let mut run = Run { scheduler, deployed, cancelled, timers, wanted: 0, grants: 0 };
    phases.measure("start", || {
        let commands = run.scheduler.start(0);
        run.take(commands);
        Ok(())
    })?;
    phases.measure("offer", || {
        run.offer();
        run.expect("everything is deployed", run.deployed.len() == all)
    })?;
    let first = phases.measure("run", || Ok(run.run_deployed()))?;
    phases.measure("lose", || {
        let commands = run.scheduler.on_resource_lost(ResourceId(0), "lost", 3);
        run.take(commands);
        let cancelled = std::mem::take(&mut run.cancelled);
        run.report(cancelled, ExecutionState::Canceled);
        for timer in std::mem::take(&mut run.timers) {
            let commands = run.scheduler.on_timer(timer, 3);
            run.take(commands);
        }
        run.offer();
        Ok(())
    })?;
    phases.measure("again", || {
        run.run_deployed();
        let running = run.scheduler.graph().executions().iter();
        let running = running.filter(|e| e.state == ExecutionState::Running).count();
        run.expect("everything runs again", running == all || elastic && running > 0)
    })?;
    drop(first);
    phases.measure("finish", || {
        let attempts = run.scheduler.graph().executions().iter().map(|e| e.attempt).collect();
        run.report(attempts, ExecutionState::Finished);
        run.expect("everything finishes", run.scheduler.status() == JobStatus::Finished)
    })?;
    Ok(())
}
