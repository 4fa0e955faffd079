//! Settings that do not go together.

use expect_test::{Expect, expect};
use hurtig_config::Configuration;

fn check(text: &str, dynamic: &str, expected: Expect) {
    let mut configuration = Configuration::new();
    configuration.add_yaml(text, "c.yaml").unwrap();
    for property in dynamic.split_whitespace() {
        configuration.add_dynamic(property).unwrap();
    }
    let errors = configuration.validate().err().map_or(String::new(), |e| format!("{e}\n"));
    expected.assert_eq(&errors);
}

#[test]
fn defaults_go_together() {
    check("", "", expect![""]);
}

#[test]
fn contradictions_name_both_settings_and_their_places() {
    check(
        "parallelism.default: 8\npipeline.max-parallelism: 4",
        "",
        expect![[r#"
        c.yaml:1 and c.yaml:2: parallelism.default (8) is above pipeline.max-parallelism (4)
    "#]],
    );
    check(
        "pipeline.max-parallelism: 0",
        "",
        expect![[r#"
        c.yaml:1: pipeline.max-parallelism is 0, but must be -1 or from 1 to 32768
    "#]],
    );
    check(
        "pipeline.max-parallelism: 32769",
        "",
        expect![[r#"
        c.yaml:1: pipeline.max-parallelism is 32769, but must be -1 or from 1 to 32768
    "#]],
    );
    check(
        "taskmanager.memory.network.min: 128m",
        "taskmanager.memory.network.max=64m",
        expect![[r#"
            c.yaml:1 and -D: taskmanager.memory.network.min (128 mb) is above taskmanager.memory.network.max (64 mb)
        "#]],
    );
    check(
        "taskmanager.memory.network.max: 1m",
        "",
        expect![[r#"
        default and c.yaml:1: taskmanager.memory.network.min (64 mb) is above taskmanager.memory.network.max (1 mb)
    "#]],
    );
    check(
        "heartbeat: {interval: 1 min, timeout: 10 s}",
        "",
        expect![[r#"
        c.yaml:1: heartbeat.interval (1 min) is above heartbeat.timeout (10 s)
    "#]],
    );
    check(
        "heartbeat.interval: 0",
        "",
        expect![[r#"
        c.yaml:1: heartbeat.interval is 0 ms, but must be at least 1 ms
    "#]],
    );
    check(
        "restart-strategy.exponential-delay: {initial-backoff: 2 min, backoff-multiplier: 0.5}",
        "",
        expect![[r#"
            c.yaml:1 and default: restart-strategy.exponential-delay.initial-backoff (2 min) is above restart-strategy.exponential-delay.max-backoff (1 min)
            c.yaml:1: restart-strategy.exponential-delay.backoff-multiplier is 0.5, but must be at least 1.0
        "#]],
    );
    check(
        "execution.checkpointing: {interval: 5, timeout: 1 ms}",
        "",
        expect![[r#"
            c.yaml:1: execution.checkpointing.timeout is 1 ms, but must be at least 10 ms
            c.yaml:1: execution.checkpointing.interval must be at least 10 ms
        "#]],
    );
    check(
        "execution.checkpointing: {unaligned.enabled: true, max-concurrent-checkpoints: 2}",
        "execution.checkpointing.mode=AT_LEAST_ONCE",
        expect![[r#"
            c.yaml:1 and -D: execution.checkpointing.unaligned.enabled needs the mode EXACTLY_ONCE
            c.yaml:1: execution.checkpointing.unaligned.enabled needs execution.checkpointing.max-concurrent-checkpoints to be 1, not 2
        "#]],
    );
    check(
        "execution.checkpointing.storage: filesystem",
        "",
        expect![[r#"
        c.yaml:1: execution.checkpointing.storage filesystem needs execution.checkpointing.dir
    "#]],
    );
    check(
        "high-availability.type: zookeeper",
        "",
        expect![[r#"
        c.yaml:1: high-availability.type ZOOKEEPER needs high-availability.storageDir
        c.yaml:1: high-availability.type ZOOKEEPER needs high-availability.zookeeper.quorum
    "#]],
    );
    check(
        "taskmanager.network.memory: {buffers-per-channel: 0, floating-buffers-per-gate: 0}",
        "",
        expect![[r#"
            c.yaml:1: taskmanager.network.memory.buffers-per-channel and taskmanager.network.memory.floating-buffers-per-gate must not both be 0
        "#]],
    );
    check(
        "taskmanager.memory.segment-size: 100",
        "",
        expect![[r#"
        default and c.yaml:1: taskmanager.memory.min-segment-size (256 bytes) is above taskmanager.memory.segment-size (100 bytes)
        c.yaml:1: taskmanager.memory.segment-size is 100 bytes, but must be at least 4 kb
    "#]],
    );
    check(
        "taskmanager.memory.segment-size: 1g",
        "",
        expect![[r#"
        c.yaml:1: taskmanager.memory.segment-size is 1 gb, but must be at most 256 mb
    "#]],
    );
    check(
        "taskmanager.network.memory.buffers-per-channel: 65537",
        "",
        expect![[r#"
        c.yaml:1: taskmanager.network.memory.buffers-per-channel is 65537, but must be at most 65536
    "#]],
    );
    check(
        "slot.request.timeout: 366 d",
        "",
        expect![[r#"
        c.yaml:1: slot.request.timeout is 366 d, but must be at most 365 d
    "#]],
    );
}
