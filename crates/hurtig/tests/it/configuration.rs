//! Jobs that are configured by keys: which level wins, and that values arrive where they count.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use expect_test::{Expect, expect};
use hurtig::{
    config::catalogue::{pipeline, task_manager},
    graph::RestartStrategyConfig,
    prelude::*,
};
use hurtig_cluster_api::DispatcherGateway;
use tempfile::TempDir;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn conf_dir(yaml: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("config.yaml"), yaml).unwrap();
    directory
}

fn environment(args: &str, directory: &Path) -> StreamExecutionEnvironment {
    StreamExecutionEnvironment::from_args_and_conf_dir(words(args), Some(directory)).unwrap().0
}

/// Parallelism of one operator, given the four levels from the lowest to the highest.
fn parallelism(
    cluster: Option<u32>,
    client: Option<&str>,
    environment_level: Option<u32>,
    operator: Option<u32>,
) -> u32 {
    let directory =
        conf_dir(&cluster.map_or(String::new(), |p| format!("parallelism.default: {p}")));
    let env = environment(client.unwrap_or_default(), directory.path());
    if let Some(parallelism) = environment_level {
        env.set_parallelism(parallelism);
    }
    let mut mapped = env.from_sequence(1, 9).map(|n| n).name("Observed");
    if let Some(parallelism) = operator {
        mapped = mapped.set_parallelism(parallelism);
    }
    mapped.rebalance().print();
    let plan: serde_json::Value = serde_json::from_str(&env.execution_plan().unwrap()).unwrap();
    let nodes = plan["nodes"].as_array().unwrap();
    let observed = nodes.iter().find(|node| node["type"] == "Observed").unwrap();
    observed["parallelism"].as_u64().unwrap() as u32
}

#[test]
fn each_level_of_parallelism_wins_over_the_lower_ones() {
    let (cluster, client) = (Some(2), Some("-Dparallelism.default=3"));
    assert_eq!(parallelism(None, None, None, None), 1);
    assert_eq!(parallelism(cluster, None, None, None), 2);
    assert_eq!(parallelism(cluster, client, None, None), 3);
    assert_eq!(parallelism(cluster, client, Some(4), None), 4);
    assert_eq!(parallelism(cluster, client, Some(4), Some(5)), 5);
    // A level that is left out does not matter to those around it.
    assert_eq!(parallelism(cluster, None, Some(4), None), 4);
    assert_eq!(parallelism(None, client, None, Some(5)), 5);
    // The client's level has three spellings; the shorter ones win over the key.
    assert_eq!(parallelism(cluster, Some("-p 6"), None, None), 6);
    assert_eq!(parallelism(cluster, Some("--parallelism=6"), None, None), 6);
    assert_eq!(parallelism(cluster, Some("-D parallelism.default=3 -p 6"), Some(4), None), 4);
    assert_eq!(parallelism(cluster, Some("-D parallelism.default=3 -p 6"), None, None), 6);
}

#[test]
fn a_program_may_configure_its_environment() {
    let directory = conf_dir("parallelism.default: 2\ntaskmanager.numberOfTaskSlots: 8");
    let env = environment("-p 3", directory.path());
    let mut own = Configuration::new();
    own.set(&pipeline::DEFAULT_PARALLELISM, 4.try_into().unwrap());
    env.configure(own).unwrap();
    env.from_sequence(1, 9).print();
    assert!(env.explain().unwrap().contains("parallelism 4/"), "{}", env.explain().unwrap());
    let configuration = env.configuration();
    assert_eq!(configuration.get(&pipeline::DEFAULT_PARALLELISM).unwrap().get(), 4);
    assert_eq!(configuration.get(&task_manager::NUM_TASK_SLOTS).unwrap().get(), 8);
}

#[test]
fn keys_reach_the_job_and_the_cluster() {
    let directory = conf_dir(
        "restart-strategy: {type: fixed-delay, fixed-delay: {attempts: 2, delay: 1 ms}}\n\
         execution.buffer-timeout.interval: 3 ms\npipeline.auto-watermark-interval: 40 ms\n\
         slot.request.timeout: 20 s\nminicluster.number-of-taskmanagers: 2\n\
         taskmanager: {numberOfTaskSlots: 3, memory.network: {min: 8mb, max: 8mb}}\n\
         pipeline.global-job-parameters: {from: file}\n",
    );
    let env = environment("--input in.txt", directory.path());
    env.set_parallelism(4);
    env.from_sequence(1, 100).rebalance().map(|n| n).print();
    let client = env.execute_async("configured").unwrap();
    let details = client.details().unwrap();
    let cluster = client.cluster();
    let executors = cluster.runtimes().control.block_on(cluster.dispatcher().task_executors());
    let executors = executors.unwrap();
    let usage = cluster.network_usage();
    let timeouts = details.graph.vertices.iter().flat_map(|v| &v.outputs);
    let timeouts: Vec<i64> = timeouts.map(|output| output.buffer_timeout_ms).collect();
    let config = &details.graph.config;
    assert_eq!(
        config.restart_strategy,
        RestartStrategyConfig::FixedDelay { attempts: 2, delay_ms: 1 }
    );
    assert_eq!((config.auto_watermark_interval_ms, config.slot_request_timeout_ms), (40, 20_000));
    let parameters: Vec<(&str, &str)> =
        config.global_parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(parameters, [("from", "file"), ("input", "in.txt")]);
    assert_eq!(timeouts, [3]);
    assert_eq!(executors.iter().map(|e| e.slots).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(usage.iter().map(|u| u.total_bytes >> 20).collect::<Vec<_>>(), [8, 8]);
    client.wait().unwrap();
}

/// Fails in its first attempt.
#[derive(Clone, Default)]
struct FailsOnce(Arc<AtomicU32>);

impl MapFunction<i64, i64> for FailsOnce {
    fn open(&mut self, _: &RuntimeContext) -> Result<(), BoxError> {
        if self.0.fetch_add(1, SeqCst) == 0 { Err("the first time".into()) } else { Ok(()) }
    }

    fn map(&mut self, value: i64) -> Result<i64, BoxError> {
        Ok(value)
    }
}

#[test]
fn the_restart_strategy_of_a_key_restarts_and_the_program_wins_over_it() {
    let run = |args: &str, program: Option<RestartStrategyConfig>| {
        let (env, _) =
            StreamExecutionEnvironment::from_args_and_conf_dir(words(args), None).unwrap();
        if let Some(strategy) = program {
            env.set_restart_strategy(strategy);
        }
        env.from_sequence(1, 3).map_with(FailsOnce::default()).execute_and_collect("once").is_ok()
    };
    assert!(!run("", None), "nothing is restarted unless somebody wants it");
    let keys = "-Drestart-strategy=fixeddelay -Drestart-strategy.fixed-delay.delay=1ms";
    assert!(run(keys, None));
    assert!(!run(keys, Some(RestartStrategyConfig::None)));
}

#[test]
fn mistakes_say_where_they_are() {
    let check = |args: &str, yaml: &str, expected: Expect| {
        let directory = conf_dir(yaml);
        let result =
            StreamExecutionEnvironment::from_args_and_conf_dir(words(args), Some(directory.path()));
        let error = result.err().unwrap().to_string();
        expected.assert_eq(&error.replace(&directory.path().display().to_string(), "CONF"));
    };
    check(
        "",
        "parallelism.default: 2\nrest: {prot: 1}",
        expect![[r#"CONF/config.yaml:2: unknown key "rest.prot"; did you mean "rest.port"?"#]],
    );
    check(
        "-Dslot.request.timeout=soon",
        "",
        expect![[
            r#"-D: slot.request.timeout has the value "soon", but needs a duration such as 10 s, 200 ms, 1 min, 2 h, or a number of milliseconds"#
        ]],
    );
    check(
        "-Dheartbeat.timeout=1s",
        "heartbeat.interval: 2 s",
        expect![
            "CONF/config.yaml:1 and -D: heartbeat.interval (2 s) is above heartbeat.timeout (1 s)"
        ],
    );
    check(
        "-p many",
        "",
        expect![[r#"--parallelism has the value "many": invalid digit found in string"#]],
    );
    check("stray", "", expect![[r#"expected --name, got "stray""#]]);
    let nowhere = Path::new("/nowhere");
    let result = StreamExecutionEnvironment::from_args_and_conf_dir([], Some(nowhere));
    let error = result.err().unwrap().to_string();
    assert!(error.starts_with("cannot read the configuration /nowhere/config.yaml"), "{error}");
}
