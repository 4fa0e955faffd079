//! Metrics of running jobs: what a scrape shows, what the gateways answer, what is forgotten.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use hurtig::{
    BackPressureLevel, JobClient,
    graph::RestartStrategyConfig,
    metrics::{
        Counter, MetricValue, MetricsQuery, ScopeKind,
        catalogue::{self, METRICS, MetricSpec},
        names::*,
    },
    prelude::*,
};

use crate::support::{GatedSource, VecSink, eventually, wait};

/// Doubles numbers, and counts those that are odd.
#[derive(Clone, Default)]
struct Double {
    odd: Counter,
}

impl MapFunction<i64, i64> for Double {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        let group = context.metric_group().group("mine").group_with("parity", "odd");
        self.odd = group.counter("seen");
        group.computed("answer", || 42_i64);
        Ok(())
    }

    fn map(&mut self, value: i64) -> Result<i64, BoxError> {
        if value % 2 == 1 {
            self.odd.inc();
        }
        Ok(value * 2)
    }
}

fn environment(properties: &[&str]) -> StreamExecutionEnvironment {
    let mut configuration = Configuration::new();
    for property in properties {
        configuration.add_dynamic(property).unwrap();
    }
    StreamExecutionEnvironment::from_configuration(configuration).unwrap()
}

/// Two vertices: a source with a chain, and a keyed reduction with a sink. The job runs until the
/// gate opens.
fn start(env: &StreamExecutionEnvironment) -> (JobClient, crate::support::Gate) {
    env.set_parallelism(2);
    let (numbers, gate) = GatedSource::stream(env, 100);
    let (sink, seen) = VecSink::new();
    let doubled = numbers.map_with(Double::default());
    doubled.key_by(|n| n % 7).reduce(|sum, n| *sum += n).sink_to(sink);
    let client = env.execute_async("metrics job").unwrap();
    eventually("all numbers have arrived", || seen.lock().len() == 100);
    (client, gate)
}

fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

fn address(client: &JobClient) -> SocketAddr {
    client.cluster().reporter_addresses()[0].1
}

const PROMETHEUS: &[&str] = &[
    "metrics.reporter.prom.type=prometheus",
    "metrics.reporter.prom.host=127.0.0.1",
    "metrics.reporter.prom.port=0",
];

/// The sum of a metric over the lines of a page that have all these parts.
fn sum(page: &str, name: &str, parts: &[&str]) -> f64 {
    let start = format!("{name}{{");
    let lines = page.lines().filter(|line| line.starts_with(&start));
    let lines = lines.filter(|line| parts.iter().all(|part| line.contains(part)));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[test]
fn a_running_job_is_scraped_with_flinks_names() {
    let (client, gate) = start(&environment(PROMETHEUS));
    let mut page = String::new();
    // A role notes what it has done after it has done it.
    eventually("the slots are taken", || {
        page = scrape(address(&client));
        page.contains("flink_jobmanager_taskSlotsAvailable{host=\"localhost\"} 0\n")
    });
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    let records = "flink_taskmanager_job_task_numRecordsIn";
    let labels = ["host=\"", "tm_id=\"", "job_id=\"", "task_id=\"", "task_attempt_num=\"0\""];
    assert_eq!(sum(&page, records, &labels), 200.0, "100 in each vertex: {page}");
    assert_eq!(sum(&page, records, &["job_name=\"metrics_job\"", "subtask_index=\"1\""]), {
        sum(&page, records, &[]) - sum(&page, records, &["subtask_index=\"0\""])
    });
    assert!(page.contains("# TYPE flink_taskmanager_job_task_numRecordsIn gauge\n"));
    let operator = "flink_taskmanager_job_task_operator_numRecordsOut";
    assert_eq!(sum(&page, operator, &["operator_name=\"Map\""]), 100.0, "{page}");
    let mine = "flink_taskmanager_job_task_operator_mine_parity_seen";
    assert_eq!(sum(&page, mine, &["parity=\"odd\""]), 50.0);
    assert_eq!(sum(&page, "flink_jobmanager_taskSlotsTotal", &[]), 2.0);
    assert_eq!(sum(&page, "flink_jobmanager_numRunningJobs", &[]), 1.0);
    assert_eq!(sum(&page, "flink_jobmanager_numRegisteredTaskManagers", &[]), 1.0);
    assert_eq!(sum(&page, "flink_jobmanager_job_numRestarts", &[]), 0.0);
    assert!(page.contains("flink_taskmanager_job_task_Shuffle_Netty_Input_Buffers_inPoolUsage{"));
    gate.open();
    wait(&client).unwrap();
    let mut page = String::new();
    eventually("the job is forgotten", || {
        page = scrape(address(&client));
        !page.contains("_job_") && sum(&page, "flink_jobmanager_numRunningJobs", &[]) == 0.0
    });
    assert!(page.contains("flink_taskmanager_Status_Shuffle_Netty_TotalMemory{"), "{page}");
}

#[test]
fn the_catalogue_is_what_a_cluster_registers() {
    let env = environment(&["metrics.latency.interval=1 ms"]);
    env.enable_checkpointing(3_600_000);
    let (client, gate) = start(&env);
    client.trigger_checkpoint().unwrap();
    // Sources that have nothing to read emit markers all the same.
    let all = || client.cluster().metrics().snapshot(&MetricsQuery::all());
    let mut snapshot = all();
    // A role notes what it has done after it has answered.
    eventually("latencies and the checkpoint are seen", || {
        snapshot = all();
        let seen = |name: &str| snapshot.metrics.iter().any(|sample| sample.name == name);
        seen(LATENCY) && seen(LAST_CHECKPOINT_SIZE)
    });
    let mut seen = BTreeSet::new();
    for (scope, sample) in snapshot.iter() {
        if scope.groups.first().is_some_and(|group| group == "mine") {
            continue;
        }
        let spec = catalogue::find(scope.kind, &scope.groups, &sample.name);
        let spec = spec.unwrap_or_else(|| panic!("{scope:?} {} has no entry", sample.name));
        assert_eq!(sample.value.kind(), spec.kind, "{}", sample.name);
        seen.insert((spec.scope, spec.groups, spec.name));
    }
    // Nothing here has windows or watermarks, and other systems than Linux tell nothing of processes.
    let absent = [NUM_LATE_RECORDS_DROPPED, WATERMARK_LAG];
    let watermarks = [CURRENT_INPUT_WATERMARK, CURRENT_OUTPUT_WATERMARK];
    let known = |spec: &&MetricSpec| cfg!(target_os = "linux") || !spec.groups.contains(&"Process");
    // These sources know no timestamps and do not count bytes, and these sinks commit nothing.
    let unmet = ["of a source, once", "of a source that", "of a sink that"];
    for spec in METRICS.iter().filter(known) {
        let condition = spec.condition.unwrap_or_default();
        let is_unmet = unmet.iter().any(|unmet| condition.starts_with(unmet));
        let expected =
            !absent.contains(&spec.name) && !watermarks.contains(&spec.name) && !is_unmet;
        let registered = seen.contains(&(spec.scope, spec.groups, spec.name));
        assert_eq!(registered, expected, "{:?} {}", spec.scope, spec.name);
    }
    gate.open();
    wait(&client).unwrap();
}

#[test]
fn the_gateways_answer_for_a_job_and_its_back_pressure() {
    let env = environment(&[]);
    env.set_task_executors(2);
    let (client, gate) = start(&env);
    let vertices = client.details().unwrap().vertices;
    let of_last = MetricsQuery::all().with("task_id", vertices[1].id).name(NUM_RECORDS_IN);
    let snapshot = client.metrics(of_last.clone().kind(ScopeKind::Task)).unwrap();
    let counts = snapshot.metrics.iter().filter_map(|sample| sample.value.as_f64());
    assert_eq!((snapshot.metrics.len(), counts.sum::<f64>()), (2, 100.0));
    let executors: BTreeSet<_> =
        snapshot.scopes.iter().filter_map(|scope| scope.variable("tm_id")).collect();
    assert_eq!(executors.len(), 2, "each is asked once");
    let job = client.metrics(MetricsQuery::all().kind(ScopeKind::JobManagerJob)).unwrap();
    let uptime = job.value(ScopeKind::JobManagerJob, &[], UPTIME);
    assert!(uptime.and_then(MetricValue::as_f64).is_some_and(|uptime| uptime >= 0.0), "{job:?}");
    let pressure = client.back_pressure(vertices[0].id).unwrap().unwrap();
    assert_eq!((pressure.level, pressure.subtasks.len()), (BackPressureLevel::Ok, 2));
    gate.open();
    wait(&client).unwrap();
    assert!(client.metrics(of_last).unwrap().metrics.is_empty());
    assert_eq!(client.back_pressure(vertices[0].id).unwrap(), None);
}

/// Fails in its first attempt.
#[derive(Clone)]
struct FailsOnce;

impl MapFunction<i64, i64> for FailsOnce {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        context.metric_group().counter("opened").inc();
        if context.attempt() == 0 { Err("the first attempt".into()) } else { Ok(()) }
    }

    fn map(&mut self, value: i64) -> Result<i64, BoxError> {
        Ok(value)
    }
}

#[test]
fn metrics_of_a_failed_attempt_are_forgotten() {
    let env = environment(&[]);
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 1, delay_ms: 1 });
    let (numbers, gate) = GatedSource::stream(&env, 10);
    let (sink, seen) = VecSink::new();
    numbers.map_with(FailsOnce).sink_to(sink);
    let client = env.execute_async("fails once").unwrap();
    eventually("all numbers have arrived", || seen.lock().len() == 10);
    let opened = client.metrics(MetricsQuery::all().name("opened")).unwrap();
    let attempts: Vec<_> =
        opened.scopes.iter().filter_map(|scope| scope.variable("task_attempt_num")).collect();
    assert_eq!(attempts, ["1"]);
    let restarts = || {
        let job = client.metrics(MetricsQuery::all().name(NUM_RESTARTS)).unwrap();
        job.value(ScopeKind::JobManagerJob, &[], NUM_RESTARTS).and_then(MetricValue::as_f64)
    };
    eventually("the restart is noted", || restarts() == Some(1.0));
    gate.open();
    wait(&client).unwrap();
    assert_eq!(restarts(), None);
}
