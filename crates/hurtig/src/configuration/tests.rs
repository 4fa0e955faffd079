//! Each option that counts, and what it does to the settings.

use expect_test::{Expect, expect};
use hurtig_config::{OptionStatus, catalogue};

use super::*;

fn settings(yaml: &str) -> Settings {
    let mut configuration = Configuration::new();
    configuration.add_yaml(yaml, "config.yaml").unwrap();
    let env = StreamExecutionEnvironment::from_configuration(configuration).unwrap();
    let mut settings = env.settings.lock().clone();
    settings.configuration = Configuration::new();
    settings
}

/// The lines of the settings that a configuration changes.
fn changes(yaml: &str) -> String {
    let (before, after) = (format!("{:#?}", settings("")), format!("{:#?}", settings(yaml)));
    let before: Vec<&str> = before.lines().collect();
    let changed = after.lines().filter(|line| !before.contains(line));
    changed.map(|line| line.trim().to_owned() + "\n").collect()
}

fn check(yaml: &str, expected: Expect) {
    expected.assert_eq(&changes(yaml));
}

#[test]
fn programs() {
    check(
        "parallelism.default: 3\npipeline: {max-parallelism: 64, operator-chaining.enabled: false, \
         auto-watermark-interval: 1 s}\nexecution.buffer-timeout.interval: 7\n",
        expect![[r#"
            cluster_parallelism: 3,
            max_parallelism: Some(
            64,
            ),
            buffer_timeout_ms: 7,
            chaining_enabled: false,
            auto_watermark_interval_ms: 1000,
        "#]],
    );
    check(
        "execution.buffer-timeout: {enabled: false, interval: 5}",
        expect![[r#"
        buffer_timeout_ms: -1,
    "#]],
    );
    check(
        "pipeline.global-job-parameters: {a: 1, b: 2}",
        expect![[r#"
        global_parameters: {
        "a": "1",
        "b": "2",
    "#]],
    );
    check(
        "slot.request.timeout: 1 min",
        expect![[r#"
        slot_request_timeout_ms: 60000,
    "#]],
    );
    check(
        "taskmanager.load-balance.mode: tasks",
        expect![[r#"
            balance_tasks: true,
            load_balance: Slots,
        "#]],
    );
}

#[test]
fn elastic_jobs() {
    check("jobmanager.scheduler: default", expect![""]);
    check(
        "jobmanager: {scheduler: adaptive, adaptive-scheduler: {scaling-interval.min: 3 s, \
         executing.resource-stabilization-timeout: 4 s, resource-wait-timeout: 5 s, \
         rescale-trigger: {max-delay: 6 s, max-checkpoint-failures: 7}, \
         min-parallelism-increase: 8, prefer-minimal-taskmanagers: false, \
         submission.resource-stabilization-timeout: 9 s}}",
        expect![[r#"
            adaptive: Some(
            AdaptiveConfig {
            reactive: false,
            resource_wait_timeout_ms: Some(
            5000,
            submission_stabilization_ms: 9000,
            cooldown_ms: 3000,
            executing_stabilization_ms: 4000,
            max_trigger_delay_ms: Some(
            6000,
            max_checkpoint_failures: 7,
            min_parallelism_increase: 8,
            prefer_minimal_task_managers: false,
            ),
        "#]],
    );
    check(
        "scheduler-mode: reactive",
        expect![[r#"
            adaptive: Some(
            AdaptiveConfig {
            reactive: true,
            resource_wait_timeout_ms: None,
            submission_stabilization_ms: 0,
            cooldown_ms: 30000,
            executing_stabilization_ms: 0,
            max_trigger_delay_ms: None,
            max_checkpoint_failures: 2,
            min_parallelism_increase: 1,
            prefer_minimal_task_managers: true,
            ),
        "#]],
    );
    check(
        "slot.idle.timeout: 7 s",
        expect![[r#"
        slot_idle_timeout_ms: 7000,
    "#]],
    );
}

#[test]
fn what_a_job_starts_from() {
    check(
        "execution.state-recovery: {path: 'file:///s', claim-mode: claim, \
         ignore-unclaimed-state: true}",
        expect![[r#"
            restore_from: Some(
            RestoreFrom {
            pointer: "file:///s",
            allow_non_restored_state: true,
            claim_mode: Claim,
            ),
        "#]],
    );
}

#[test]
fn restart_strategies() {
    check("restart-strategy.type: none", expect![""]);
    check(
        "restart-strategy: {type: fixed-delay, fixed-delay: {attempts: 7, delay: 2 s}}",
        expect![[r#"
            restart_strategy: FixedDelay {
            attempts: 7,
            delay_ms: 2000,
        "#]],
    );
    check(
        "restart-strategy.type: exponential-delay",
        expect![[r#"
        restart_strategy: ExponentialDelay {
        initial_ms: 1000,
        max_ms: 60000,
        multiplier: 1.5,
        reset_threshold_ms: 3600000,
        jitter: 0.1,
        max_attempts: None,
    "#]],
    );
    check(
        "restart-strategy: {type: failure-rate, failure-rate.max-failures-per-interval: 4}",
        expect![[r#"
            restart_strategy: FailureRate {
            max_failures: 4,
            interval_ms: 60000,
            delay_ms: 1000,
        "#]],
    );
}

#[test]
fn clusters() {
    check(
        "minicluster.number-of-taskmanagers: 2\ntaskmanager.numberOfTaskSlots: 4\n\
         heartbeat: {interval: 3 s, timeout: 30 s}\n",
        expect![[r#"
            slot_idle_timeout_ms: 30000,
            task_executors: 2,
            slots: Some(
            4,
            ),
            heartbeat_interval: 3s,
            heartbeat_timeout: 30s,
            slots_per_worker: 4,
        "#]],
    );
    check(
        "taskmanager.network: {memory: {buffers-per-channel: 3, floating-buffers-per-gate: 9}, \
         partition-request-timeout: 2 s, retries: 4}\ntaskmanager.memory.segment-size: 64kb\n",
        expect![[r#"
            buffer_bytes: 65536,
            buffers_per_channel: 3,
            floating_buffers_per_gate: 9,
            partition_request_timeout: 2s,
            connect_attempts: 5,
        "#]],
    );
}

#[test]
fn local_recovery() {
    let roots = |yaml: &str| settings(yaml).cluster.local_state.map(|local| local.roots);
    let paths = |paths: &[&str]| Some(paths.iter().map(PathBuf::from).collect::<Vec<_>>());
    let on = "execution.state-recovery.from-local: true\n";
    assert_eq!(roots("io.tmp.dirs: /a"), None, "off unless asked for");
    assert_eq!(roots(on), Some(vec![env::temp_dir()]));
    assert_eq!(roots(&format!("{on}io.tmp.dirs: '/a,/b'")), paths(&["/a"]));
    assert_eq!(roots(&format!("{on}io.tmp.dirs: /a\nprocess.working-dir: /w")), paths(&["/w"]));
    let working = "process: {working-dir: /w, taskmanager.working-dir: /t}\n";
    assert_eq!(roots(&format!("{on}{working}")), paths(&["/t"]));
    let configured = format!("{on}{working}taskmanager.state.local.root-dirs: '/l,/m:/n'");
    assert_eq!(roots(&configured), paths(&["/l", "/m", "/n"]));
    let recovery = |yaml: &str| settings(yaml).cluster.local_state.map(|local| local.recovery);
    assert_eq!(recovery(on), Some(true));
    assert_eq!(recovery("state.backend.local-recovery: true"), Some(true), "the old key");
    let backup = "execution.checkpointing.local-backup.enabled";
    assert_eq!(recovery(&format!("{backup}: true")), Some(false), "written, not read");
    assert_eq!(recovery(&format!("{on}{backup}: false")), None, "nothing to read");
}

#[test]
fn network_memory_is_a_share_or_a_bound() {
    let mebibytes = |yaml: &str| settings(yaml).cluster.network.total_bytes >> 20;
    assert_eq!(mebibytes(""), 64);
    assert_eq!(mebibytes("taskmanager.memory.network.min: 32m"), 32);
    assert_eq!(mebibytes("taskmanager.memory.network.max: 128m"), 128);
    assert_eq!(mebibytes("taskmanager.memory.network: {min: 1m, max: 8m}"), 8);
    assert_eq!(mebibytes("taskmanager.memory.flink.size: 2000m"), 200);
    assert_eq!(mebibytes("taskmanager.memory.process.size: 2000m"), 200, "without a JVM the same");
    assert_eq!(mebibytes("taskmanager.memory: {flink.size: 2000m, network.fraction: 0.5}"), 1000);
    assert_eq!(mebibytes("taskmanager.memory: {flink.size: 2000m, network.max: 150m}"), 150);
    assert_eq!(mebibytes("taskmanager.memory.flink.size: 100m"), 64, "not below the minimum");
    assert_eq!(mebibytes("taskmanager.network.memory.max: 90m"), 90, "the old key");
}

#[test]
fn metrics() {
    check(
        "metrics:\n  latency: {interval: 2 s, granularity: subtask, history-size: 9}\n  \
         scope.tm: <host>.tm\n  reporter.prom: {type: prometheus, port: 9250-9252}\n",
        expect![[r#"
            latency_interval_ms: 2000,
            "tm",
            granularity: Subtask,
            history_size: 9,
            reporters: [
            ReporterSettings {
            name: "prom",
            kind: Prometheus,
            interval: 10s,
            host: None,
            ports: 9250..=9252,
            delimiter: '.',
            filter: MetricFilter {
            includes: [],
            excludes: [],
            },
            excluded_variables: [],
            additional_variables: [],
            prefix: None,
            filter_label_values: true,
            otlp: None,
            ],
        "#]],
    );
}

#[test]
fn a_reporter_that_is_not_one_is_an_error() {
    let mut configuration = Configuration::new();
    configuration.add_dynamic("metrics.reporter.x.type=carrier pigeon").unwrap();
    let error = StreamExecutionEnvironment::from_configuration(configuration).err().unwrap();
    let error = error.to_string();
    assert!(error.contains("metrics.reporter.x.type: \"carrier pigeon\" is none of"), "{error}");
}

/// Options whose default in Flink is not what the embedded cluster does; their texts say so.
const OWN_DEFAULTS: &[&str] =
    &["heartbeat.interval", "taskmanager.numberOfTaskSlots", "taskmanager.network.retries"];

#[test]
fn setting_an_option_to_its_default_changes_nothing() {
    for spec in catalogue::options().filter(|spec| spec.status == OptionStatus::Effective) {
        let (Some(default), false) = (spec.default, OWN_DEFAULTS.contains(&spec.key)) else {
            continue;
        };
        // Asking for no bound is not the same as asking for none in particular.
        if spec.key != task_manager::NETWORK_MEMORY_MAX.key() {
            assert_eq!(changes(&format!("{}: '{default}'", spec.key)), "", "{}", spec.key);
        }
    }
}

#[test]
fn contradictions_change_nothing() {
    let env = StreamExecutionEnvironment::new();
    let mut configuration = Configuration::new();
    configuration.add_dynamic("parallelism.default=9").unwrap();
    configuration.add_dynamic("pipeline.max-parallelism=8").unwrap();
    let error = env.configure(configuration).err().unwrap().to_string();
    assert!(error.contains("parallelism.default (9) is above"), "{error}");
    assert_eq!(env.settings.lock().graph.client_parallelism, None);
    assert_eq!(env.configuration(), Configuration::new());
}
