//! The tables: every option is what it says it is.

use std::collections::BTreeMap;

use expect_test::expect;
use hurtig_config::{OptionStatus, catalogue};

#[test]
fn every_default_is_a_value() {
    for spec in catalogue::options() {
        if let Some(default) = spec.default {
            assert_eq!(spec.check(default), Ok(()), "{}: {default}", spec.key);
        }
    }
}

#[test]
fn every_key_leads_to_one_option() {
    let mut owners = BTreeMap::new();
    for spec in catalogue::options() {
        for key in [&spec.key].into_iter().chain(spec.deprecated) {
            let other = owners.insert(*key, spec.key);
            assert_eq!(other, None, "{key} belongs to {} too", spec.key);
        }
    }
    for spec in catalogue::options() {
        for key in spec.fallback {
            let known = owners.contains_key(key) || catalogue::lookup(key).is_some();
            assert!(known, "{} falls back to the unknown {key}", spec.key);
        }
    }
}

#[test]
fn every_option_has_a_description_of_whole_sentences() {
    for spec in catalogue::options() {
        let text = spec.description();
        assert!(text.len() > 10 && text.ends_with('.'), "{}: {text:?}", spec.key);
        assert!(!text.contains("  "), "{}: {text:?}", spec.key);
    }
}

#[test]
fn fallbacks_have_the_type_of_what_falls_back() {
    for spec in catalogue::options() {
        for key in spec.fallback {
            let Some(other) = catalogue::option(key) else {
                continue;
            };
            if let Some(default) = other.default {
                assert_eq!(spec.check(default), Ok(()), "{} from {key}", spec.key);
            }
        }
    }
}

#[test]
fn the_options_that_change_something_are_known() {
    let effective = catalogue::options().filter(|spec| spec.status == OptionStatus::Effective);
    let keys: String = effective.map(|spec| format!("{}\n", spec.key)).collect();
    expect![[r#"
        parallelism.default
        pipeline.max-parallelism
        pipeline.operator-chaining.enabled
        pipeline.auto-watermark-interval
        pipeline.global-job-parameters
        execution.buffer-timeout.interval
        execution.buffer-timeout.enabled
        execution.checkpointing.interval
        execution.checkpointing.interval-during-backlog
        execution.checkpointing.mode
        execution.checkpointing.timeout
        execution.checkpointing.min-pause
        execution.checkpointing.max-concurrent-checkpoints
        execution.checkpointing.tolerable-failed-checkpoints
        execution.checkpointing.externalized-checkpoint-retention
        execution.checkpointing.num-retained
        execution.checkpointing.dir
        execution.checkpointing.savepoint-dir
        execution.checkpointing.checkpoints-after-tasks-finish
        execution.checkpointing.local-backup.enabled
        execution.checkpointing.local-backup.dirs
        execution.state-recovery.path
        execution.state-recovery.ignore-unclaimed-state
        execution.state-recovery.claim-mode
        execution.state-recovery.from-local
        restart-strategy.type
        restart-strategy.fixed-delay.attempts
        restart-strategy.fixed-delay.delay
        restart-strategy.exponential-delay.initial-backoff
        restart-strategy.exponential-delay.max-backoff
        restart-strategy.exponential-delay.backoff-multiplier
        restart-strategy.exponential-delay.reset-backoff-threshold
        restart-strategy.exponential-delay.jitter-factor
        restart-strategy.exponential-delay.attempts-before-reset-backoff
        restart-strategy.failure-rate.max-failures-per-interval
        restart-strategy.failure-rate.failure-rate-interval
        restart-strategy.failure-rate.delay
        s3.endpoint
        s3.endpoint.region
        s3.access-key
        s3.secret-key
        s3.path.style.access
        heartbeat.interval
        heartbeat.timeout
        slot.request.timeout
        slot.idle.timeout
        minicluster.number-of-taskmanagers
        cluster.evenly-spread-out-slots
        cluster.registration.initial-timeout
        cluster.registration.error-delay
        cluster.registration.refused-registration-delay
        io.tmp.dirs
        process.working-dir
        process.taskmanager.working-dir
        process.jobmanager.working-dir
        env.log.dir
        env.log.max
        blob.storage.directory
        blob.fetch.retries
        blob.max-size
        blob.storage.max-size
        blob.cache.max-size
        execution.attached
        execution.shutdown-on-attached-exit
        client.heartbeat.interval
        client.heartbeat.timeout
        jobmanager.rpc.address
        jobmanager.rpc.port
        jobmanager.bind-host
        jobmanager.rpc.bind-port
        jobstore.max-capacity
        jobstore.expiration-time
        high-availability.type
        high-availability.cluster-id
        high-availability.storageDir
        high-availability.jobmanager.port
        high-availability.zookeeper.quorum
        high-availability.zookeeper.path.root
        high-availability.zookeeper.client.session-timeout
        high-availability.zookeeper.client.connection-timeout
        high-availability.leader-election.lease-duration
        high-availability.leader-election.retry-period
        job-result-store.delete-on-commit
        jobmanager.scheduler
        scheduler-mode
        jobmanager.adaptive-scheduler.submission.resource-wait-timeout
        jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout
        jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling
        jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout
        jobmanager.adaptive-scheduler.rescale-trigger.max-delay
        jobmanager.adaptive-scheduler.rescale-trigger.max-checkpoint-failures
        jobmanager.adaptive-scheduler.min-parallelism-increase
        jobmanager.adaptive-scheduler.prefer-minimal-taskmanagers
        taskmanager.load-balance.mode
        slotmanager.number-of-slots.min
        slotmanager.number-of-slots.max
        slotmanager.redundant-taskmanager-num
        resourcemanager.taskmanager-timeout
        resourcemanager.taskmanager-registration.timeout
        resourcemanager.standalone.start-up-time
        resourcemanager.start-worker.max-failure-rate
        resourcemanager.start-worker.retry-interval
        rest.address
        rest.port
        rest.bind-address
        rest.bind-port
        rest.await-leader-timeout
        rest.retry.max-attempts
        rest.retry.delay
        rest.connection-timeout
        rest.idleness-timeout
        rest.server.max-content-length
        rest.async.store-duration
        rest.server.bearer-token
        rest.client.max-content-length
        web.refresh-interval
        web.timeout
        web.submit.enable
        web.cancel.enable
        web.access-control-allow-origin
        pekko.ask.timeout
        pekko.tcp.timeout
        pekko.framesize
        pekko.retry-gate-closed-for
        taskmanager.numberOfTaskSlots
        taskmanager.host
        taskmanager.bind-host
        taskmanager.rpc.port
        taskmanager.rpc.bind-port
        taskmanager.resource-id
        taskmanager.registration.timeout
        taskmanager.slot.timeout
        taskmanager.memory.process.size
        taskmanager.memory.flink.size
        taskmanager.memory.network.fraction
        taskmanager.memory.network.min
        taskmanager.memory.network.max
        taskmanager.memory.segment-size
        taskmanager.network.memory.buffers-per-channel
        taskmanager.network.memory.floating-buffers-per-gate
        taskmanager.network.partition-request-timeout
        taskmanager.network.retries
        metrics.reporters
        metrics.latency.interval
        metrics.latency.granularity
        metrics.latency.history-size
        metrics.scope.jm
        metrics.scope.jm-job
        metrics.scope.jm-operator
        metrics.scope.tm
        metrics.scope.tm-job
        metrics.scope.task
        metrics.scope.operator
        metrics.scope.delimiter
        security.ssl.internal.enabled
        security.ssl.rest.enabled
        security.ssl.rest.authentication-enabled
        security.ssl.verify-hostname
        security.ssl.protocol
        security.ssl.keystore
        security.ssl.truststore
        security.ssl.internal.keystore
        security.ssl.internal.truststore
        security.ssl.rest.keystore
        security.ssl.rest.truststore
        taskmanager.data.ssl.enabled
    "#]]
    .assert_eq(&keys);
}

#[test]
fn the_nearest_key_is_named_only_if_it_is_near() {
    let nearest = catalogue::nearest;
    assert_eq!(nearest("paralelism.default"), Some("parallelism.default"));
    assert_eq!(nearest("taskmanager.numberoftaskslots"), Some("taskmanager.numberOfTaskSlots"));
    assert_eq!(nearest("checkpointing.interval"), Some("execution.checkpointing.interval"));
    assert_eq!(nearest("restart-strategy.typ"), Some("restart-strategy.type"));
    assert_eq!(nearest("my.own.setting"), None);
    assert_eq!(nearest(&"x".repeat(1_000_000)), None);
}
