//! Savepoints and checkpoints through REST: started, asked for, asked for twice, many at once.

use std::collections::BTreeSet;

use hurtig_rest::{
    RestServerConfig, TriggerId,
    messages::operations::{
        CheckpointTriggerRequestBody, CheckpointTypeRequest, SavepointFormatType,
        SavepointTriggerRequestBody, StopWithSavepointRequestBody,
    },
};
use serde_json::json;

use crate::support::{Gate, start, start_with};

fn directory() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    (directory, url)
}

fn savepoint(directory: &str) -> SavepointTriggerRequestBody {
    SavepointTriggerRequestBody {
        target_directory: Some(directory.to_owned()),
        ..Default::default()
    }
}

#[test]
fn a_savepoint_is_taken_found_and_disposed_of() {
    let (cluster, gate) = (start(), Gate::default());
    let (kept, url) = directory();
    let job = cluster.submit_sums(&gate);
    let trigger = cluster.wait(cluster.client.trigger_savepoint(job, &savepoint(&url))).unwrap();
    let taken = cluster.wait(cluster.client.savepoint(job, trigger)).unwrap();
    assert_eq!(taken.failure_cause, None);
    let location = taken.location.unwrap();
    assert!(location.starts_with(&url), "{location}");
    let answer = cluster.get(&format!("/jobs/{job}/savepoints/{trigger}"));
    let expected = json!({
        "status": { "id": "COMPLETED" },
        "operation": { "location": location },
    });
    assert_eq!(answer, expected);
    let stats = cluster.get(&format!("/jobs/{job}/checkpoints"));
    let latest = &stats["latest"]["savepoint"];
    assert_eq!(latest["checkpoint_type"], "SAVEPOINT");
    assert_eq!(latest["savepointFormat"], "CANONICAL");
    assert_eq!(latest["external_path"], location);
    assert_eq!(latest["num_acknowledged_subtasks"], 4);
    let disposed = cluster.wait(cluster.client.dispose_savepoint(&location)).unwrap();
    assert_eq!(disposed.failure_cause, None);
    let path = location.strip_prefix("file://").unwrap();
    assert!(!std::path::Path::new(path).join("_metadata").exists());
    let again = cluster.wait(cluster.client.dispose_savepoint(&location)).unwrap();
    assert!(again.failure_cause.is_some(), "it is gone");
    drop(kept);
    gate.open();
}

#[test]
fn a_checkpoint_is_told_by_its_number_and_in_detail() {
    let (cluster, gate) = (start(), Gate::default());
    let job = cluster.submit_sums(&gate);
    let request = CheckpointTriggerRequestBody::default();
    let trigger = cluster.wait(cluster.client.trigger_checkpoint(job, &request)).unwrap();
    let taken = cluster.wait(cluster.client.checkpoint(job, trigger)).unwrap();
    assert_eq!((taken.checkpoint_id, taken.failure_cause), (Some(1), None));
    let details = cluster.get(&format!("/jobs/{job}/checkpoints/details/1"));
    assert_eq!(
        (&details["className"], &details["status"]),
        (&json!("completed"), &json!("COMPLETED"))
    );
    let tasks = details["tasks"].as_object().unwrap();
    assert_eq!(tasks.len(), 2);
    for (vertex, task) in tasks {
        assert_eq!(task["num_acknowledged_subtasks"], 2);
        let path = format!("/jobs/{job}/checkpoints/details/1/subtasks/{vertex}");
        let subtasks = cluster.get(&path)["subtasks"].clone();
        assert_eq!(subtasks[1]["status"], "completed");
        assert!(subtasks[1]["state_size"].is_u64());
    }
    // One that names no file of the first.
    let request = CheckpointTriggerRequestBody {
        checkpoint_type: Some(CheckpointTypeRequest::Full),
        ..CheckpointTriggerRequestBody::default()
    };
    let trigger = cluster.wait(cluster.client.trigger_checkpoint(job, &request)).unwrap();
    let taken = cluster.wait(cluster.client.checkpoint(job, trigger)).unwrap();
    assert_eq!((taken.checkpoint_id, taken.failure_cause), (Some(2), None));
    let details = cluster.get(&format!("/jobs/{job}/checkpoints/details/2"));
    assert_eq!(details["checkpointed_size"], details["state_size"], "{details}");
    gate.open();
}

#[test]
fn a_job_whose_client_is_gone_is_cancelled() {
    let (cluster, gate) = (start(), Gate::default());
    let job = cluster.submit_sums(&gate);
    cluster.wait(cluster.client.client_heartbeat(job, i64::MAX)).unwrap();
    let path = format!("/jobs/{job}/status");
    cluster.eventually(&path, |status| status["status"] == "RUNNING");
    // A client whose time is over, and that says no more.
    cluster.wait(cluster.client.client_heartbeat(job, 1)).unwrap();
    let result = cluster.wait(cluster.client.result(job)).unwrap();
    assert_eq!(result.application_status, "CANCELED");
    cluster.wait(cluster.client.client_heartbeat(job, i64::MAX)).unwrap();
    assert_eq!(cluster.get(&path)["status"], "CANCELED");
}

#[test]
fn a_request_with_an_id_of_its_own_can_be_repeated() {
    let (cluster, gate) = (start(), Gate::default());
    let (kept, url) = directory();
    let job = cluster.submit_sums(&gate);
    let request = SavepointTriggerRequestBody {
        trigger_id: Some(TriggerId(42)),
        format_type: Some(SavepointFormatType::Native),
        ..savepoint(&url)
    };
    for _ in 0..3 {
        let trigger = cluster.wait(cluster.client.trigger_savepoint(job, &request)).unwrap();
        assert_eq!(trigger, TriggerId(42));
        cluster.wait(cluster.client.savepoint(job, trigger)).unwrap();
    }
    assert_eq!(cluster.get(&format!("/jobs/{job}/checkpoints"))["counts"]["completed"], 1);
    assert_eq!(std::fs::read_dir(kept.path()).unwrap().count(), 1);
    gate.open();
}

#[test]
fn many_at_once_have_an_id_and_an_outcome_each() {
    let (cluster, gate) = (start(), Gate::default());
    let (kept, url) = directory();
    let job = cluster.submit_sums(&gate);
    let outcomes = cluster.wait(async {
        let take = |_| async {
            let trigger = cluster.client.trigger_savepoint(job, &savepoint(&url)).await.unwrap();
            (trigger, cluster.client.savepoint(job, trigger).await.unwrap())
        };
        futures::future::join_all((0..20).map(take)).await
    });
    let triggers: BTreeSet<TriggerId> = outcomes.iter().map(|(trigger, _)| *trigger).collect();
    assert_eq!(triggers.len(), 20);
    let locations: BTreeSet<&String> =
        outcomes.iter().filter_map(|(_, taken)| taken.location.as_ref()).collect();
    let failures = outcomes.iter().filter(|(_, taken)| taken.failure_cause.is_some()).count();
    assert_eq!(locations.len() + failures, 20, "{outcomes:?}");
    assert!(!locations.is_empty());
    assert_eq!(std::fs::read_dir(kept.path()).unwrap().count(), locations.len());
    gate.open();
}

#[test]
fn a_job_is_stopped_with_a_savepoint() {
    let (cluster, gate) = (start(), Gate::default());
    let (_kept, url) = directory();
    let job = cluster.submit_sums(&gate);
    let request =
        StopWithSavepointRequestBody { target_directory: Some(url.clone()), ..Default::default() };
    let trigger = cluster.wait(cluster.client.stop(job, &request)).unwrap();
    let taken = cluster.wait(cluster.client.savepoint(job, trigger)).unwrap();
    assert!(taken.location.is_some_and(|location| location.starts_with(&url)));
    let result = cluster.wait(cluster.client.result(job)).unwrap();
    assert_eq!(result.application_status, "SUCCEEDED");
    let kind = cluster.get(&format!("/jobs/{job}/checkpoints"))["latest"]["savepoint"].clone();
    assert_eq!(kind["checkpoint_type"], "SYNC_SAVEPOINT");
}

#[test]
fn a_savepoint_may_end_with_the_cancellation_of_its_job() {
    let (cluster, gate) = (start(), Gate::default());
    let (_kept, url) = directory();
    let job = cluster.submit_sums(&gate);
    let request = SavepointTriggerRequestBody { cancel_job: Some(true), ..savepoint(&url) };
    let trigger = cluster.wait(cluster.client.trigger_savepoint(job, &request)).unwrap();
    assert!(cluster.wait(cluster.client.savepoint(job, trigger)).unwrap().location.is_some());
    assert_eq!(cluster.wait(cluster.client.result(job)).unwrap().application_status, "CANCELED");
}

#[test]
fn a_failure_is_an_outcome_and_the_configured_directory_the_default() {
    let (kept, url) = directory();
    let cluster = start_with(RestServerConfig::default(), |services| {
        let key = "execution.checkpointing.savepoint-dir";
        services.configuration.set_dynamic(key, &url).unwrap();
    });
    let gate = Gate::default();
    let job = cluster.submit_sums(&gate);
    let request = SavepointTriggerRequestBody::default();
    let trigger = cluster.wait(cluster.client.trigger_savepoint(job, &request)).unwrap();
    assert!(cluster.wait(cluster.client.savepoint(job, trigger)).unwrap().location.is_some());
    assert_eq!(std::fs::read_dir(kept.path()).unwrap().count(), 1);
    let nowhere = savepoint("no-such-scheme://x/y");
    let trigger = cluster.wait(cluster.client.trigger_savepoint(job, &nowhere)).unwrap();
    let failed = cluster.wait(cluster.client.savepoint(job, trigger)).unwrap();
    assert!(failed.location.is_none() && failed.failure_cause.is_some(), "{failed:?}");
    gate.open();
}
