//! What a savepoint promises beyond a checkpoint, and what a job takes over from one.

use expect_test::expect;
use hurtig_cluster_api::{ExecutionState, JobStatus};
use hurtig_types::{
    CheckpointConfig, CheckpointId, CheckpointMetrics, CheckpointType, ExecutionAttemptId, JobId,
    RecoveryClaimMode, TaskStateSnapshot,
};

use super::script::{check, topology};
use crate::{
    CheckpointCommand, CheckpointCoordinator, CheckpointMetadata, RequestId, SnapshotRequest,
    model::METADATA_FORMAT_VERSION,
};

fn on_demand() -> CheckpointConfig {
    CheckpointConfig { tolerable_failed: Some(5), ..CheckpointConfig::default() }
}

#[test]
fn a_canonical_savepoint_has_no_deltas_a_native_one_may() {
    check(
        on_demand(),
        false,
        "run
        ask 1 savepoint
        ack 1 map/0 d:base+delta
        ask 2 native
        ack 2 map/0 d:base+delta
        acks 2
        written 2",
        expect![[r#"
            run
            ask 1 savepoint
              trigger 1 src/0 (canonical savepoint, Aligned)
              trigger 1 src/1 (canonical savepoint, Aligned)
              trigger 1 map/0 (canonical savepoint, Aligned)
              trigger 1 map/1 (canonical savepoint, Aligned)
            ack 1 map/0 d:base+delta
              Rejected
              aborted 1 -> src/0 src/1 map/0 map/1
              discard pending 1 in sp ["base", "delta"]
              answer 1: a task declined it: 00000000000000000000000000000002_0_0 keeps deltas in a canonical savepoint
            ask 2 native
              trigger 2 src/0 (native savepoint, Aligned)
              trigger 2 src/1 (native savepoint, Aligned)
              trigger 2 map/0 (native savepoint, Aligned)
              trigger 2 map/1 (native savepoint, Aligned)
            ack 2 map/0 d:base+delta
            acks 2
              write 2 to sp
            written 2
              answer 2: 2 in dir-2
        "#]],
    );
}

#[test]
fn later_snapshots_have_the_key_groups_that_the_first_one_brought() {
    let mut topology = topology(false);
    topology.vertices[1].max_parallelism_derived = true;
    let brought = topology.vertices.iter().map(|vertex| (vertex.id, 6)).collect();
    let mut coordinator = CheckpointCoordinator::new(on_demand(), topology.clone(), 0);
    coordinator.take_over_max_parallelism(&brought);
    let attempts: Vec<ExecutionAttemptId> = topology
        .subtasks()
        .map(|subtask| ExecutionAttemptId {
            job: JobId(1),
            vertex: topology.vertices[subtask.vertex].id,
            subtask: subtask.subtask,
            attempt: 0,
        })
        .collect();
    for attempt in &attempts {
        coordinator.on_task_state(*attempt, ExecutionState::Running, 0);
    }
    coordinator.on_request(RequestId(1), SnapshotRequest::Checkpoint { full: false }, 0);
    let id = coordinator.pending().next().map(|pending| pending.id).expect("it was triggered");
    let mut commands = Vec::new();
    for attempt in attempts {
        let snapshot = TaskStateSnapshot::default();
        let metrics = CheckpointMetrics::default();
        commands.extend(coordinator.on_acknowledge(attempt, id, snapshot, metrics, 0).1);
    }
    let written = commands.into_iter().find_map(|command| match command {
        CheckpointCommand::WriteMetadata { metadata, .. } => Some(metadata),
        _ => None,
    });
    let operators = &written.expect("all have acknowledged").operators;
    let groups: Vec<u32> = operators.values().map(|operator| operator.max_parallelism).collect();
    assert_eq!(groups, [8, 6], "what is declared stays");
}

#[test]
fn a_claimed_snapshot_outlives_a_job_that_failed_before_its_first_checkpoint() {
    let of_another_job = CheckpointMetadata {
        format_version: METADATA_FORMAT_VERSION,
        job: JobId(2),
        checkpoint_id: CheckpointId(7),
        checkpoint_type: CheckpointType::Checkpoint,
        timestamp_ms: 0,
        operators: Default::default(),
        master_states: Vec::new(),
    };
    let deleted_at = |status| {
        let mut coordinator = CheckpointCoordinator::new(on_demand(), topology(false), 0);
        let metadata = of_another_job.clone().into();
        coordinator.start_from(metadata, "old".into(), RecoveryClaimMode::Claim);
        let commands = coordinator.shut_down(status, 0);
        commands.iter().any(|c| matches!(c, CheckpointCommand::DiscardCheckpoint(_)))
    };
    assert!(!deleted_at(JobStatus::Failed));
    assert!(deleted_at(JobStatus::Canceled), "somebody wanted its end");
    assert!(deleted_at(JobStatus::Finished));
}
