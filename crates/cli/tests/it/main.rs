//! The command as a user or a script meets it: output, exit codes, what it does to files.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod processes;
mod remote;
mod sql;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use hurtig_checkpoint::{CheckpointMetadata, OperatorState, model::METADATA_FORMAT_VERSION};
use hurtig_storage::{CheckpointStorage, StateTarget, StateWriter, StorageOptions, Stores};
use hurtig_types::{
    CheckpointId, CheckpointType, JobId, KeyGroupRange, KeyedStateHandle, OperatorId,
    OperatorSubtaskState, SavepointFormat, StateKind, StateMeta,
};
use serde_json::Value;

/// Runs the command, and returns its exit code, standard output and standard error.
fn hurtig(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hurtig"));
    let output = command.args(arguments).env_remove("HURTIG_CONF_DIR").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(arguments: &[&str]) -> Value {
    let (code, out, error) = hurtig(arguments);
    assert_eq!(code, 0, "{error}");
    serde_json::from_str(&out).unwrap()
}

const JOB: JobId = JobId(0xabc << 116);

/// Writes a snapshot with one file of state, shared if it is a checkpoint.
fn write(directory: &Path, id: u64, savepoint: bool) -> PathBuf {
    let base = url::Url::from_directory_path(directory).unwrap().to_string();
    let stores = Arc::new(Stores::default());
    let options = StorageOptions { directory: Some(base.clone()), ..StorageOptions::default() };
    let storage = CheckpointStorage::new(stores.clone(), options.clone(), JOB);
    let target = savepoint.then(|| storage.savepoint_directory(&base, id));
    let state = match &target {
        Some(directory) => StateTarget::Savepoint(directory.clone()),
        None => StateTarget::Shared(CheckpointId(id)),
    };
    let format = SavepointFormat::Native;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let pointer = runtime.block_on(async {
        let mut writer = StateWriter::new(&stores, &options, JOB, &state, "state").unwrap();
        writer.write(&[7; 50_000]).await.unwrap();
        let chain = vec![writer.finish().await.unwrap()];
        let key_groups = KeyGroupRange { start: 0, end: 7 };
        let keyed = vec![KeyedStateHandle { key_groups, chain }];
        let operator = OperatorState {
            name: "Word Count".to_owned(),
            uid: Some("word-count".to_owned()),
            parallelism: 1,
            max_parallelism: 8,
            fully_finished: false,
            finished_subtasks: Default::default(),
            ended_subtasks: Default::default(),
            states: vec![StateMeta {
                name: "count".to_owned(),
                kind: StateKind::Value,
                codec: "postcard-1".to_owned(),
                schema: "u64 by String".to_owned(),
                fingerprint: 1,
            }],
            subtasks: [(0, OperatorSubtaskState { keyed, ..Default::default() })].into(),
            coordinator_state: None,
            inputs: Vec::new(),
        };
        let metadata = CheckpointMetadata {
            format_version: METADATA_FORMAT_VERSION,
            job: JOB,
            checkpoint_id: CheckpointId(id),
            checkpoint_type: match savepoint {
                true => CheckpointType::Savepoint { format, terminate: None },
                false => CheckpointType::Checkpoint,
            },
            timestamp_ms: 1_000,
            operators: [(OperatorId(1), operator)].into(),
            master_states: Vec::new(),
        };
        storage.write_metadata(&metadata, target.as_deref()).await.unwrap()
    });
    url::Url::parse(&pointer).unwrap().to_file_path().unwrap()
}

#[test]
fn a_savepoint_is_inspected_and_verified() {
    let directory = tempfile::tempdir().unwrap();
    let savepoint = write(directory.path(), 3, true);
    let path = savepoint.to_str().unwrap();
    let (code, text, _) = hurtig(&["savepoint", "inspect", path]);
    assert_eq!(code, 0);
    for part in ["savepoint 3 (native)", "\"word-count\"", "u64 by String", "50000 bytes"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let report = json(&["savepoint", "inspect", path, "--json", "--verify"]);
    assert_eq!(report["files"][0]["intact"], true);
    assert_eq!(report["operators"][0]["states"][0]["name"], "count");
    std::fs::write(savepoint.join("state"), b"damage").unwrap();
    let (code, text, _) = hurtig(&["savepoint", "inspect", path, "--verify"]);
    assert_eq!(code, 3, "what is damaged can be told by the exit code");
    assert!(text.contains("DAMAGED") && text.contains("problems"), "{text}");
}

#[test]
fn a_savepoint_is_disposed_of_and_then_there_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let savepoint = write(directory.path(), 3, true);
    let path = savepoint.to_str().unwrap();
    let (code, text, _) = hurtig(&["savepoint", "dispose", path]);
    assert_eq!(code, 0);
    assert!(text.starts_with("disposed of ") && text.contains("1 files"), "{text}");
    assert!(!savepoint.exists());
    let (code, text, error) = hurtig(&["savepoint", "dispose", path]);
    assert_eq!((code, &*text), (1, ""));
    assert!(error.starts_with("error: cannot read file:///"), "{error}");
}

#[test]
fn a_checkpoint_with_shared_files_is_disposed_of_only_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let checkpoint = write(directory.path(), 3, false);
    let path = checkpoint.to_str().unwrap();
    let (code, _, error) = hurtig(&["savepoint", "dispose", path]);
    assert_eq!(code, 1);
    assert!(error.contains("shares 1 files with other checkpoints"), "{error}");
    let disposed = json(&["savepoint", "dispose", path, "--with-shared", "--json"]);
    assert_eq!(disposed["deleted"].as_array().map(Vec::len), Some(1));
    assert_eq!(disposed["kept"].as_array().map(Vec::len), Some(0));
}

#[test]
fn checkpoints_are_listed_with_what_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let (code, text, _) = hurtig(&["checkpoint", "list", path]);
    assert_eq!((code, &*text), (0, "none\n"));
    for id in [2, 10] {
        write(directory.path(), id, false);
    }
    let savepoint = write(directory.path(), 3, true);
    let list = json(&["checkpoint", "list", path, "--json"]);
    let ids = list.as_array().unwrap().iter().map(|line| line["snapshot"]["checkpoint-id"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), [3, 2, 10]);
    std::fs::write(savepoint.join("_metadata"), b"damage").unwrap();
    let (code, text, _) = hurtig(&["checkpoint", "list", path]);
    assert_eq!(code, 3);
    assert!(text.contains("no usable checkpoint") && text.contains("checkpoint 10 of"), "{text}");
}

#[test]
fn options_are_explained() {
    let key = "execution.state-recovery.claim-mode";
    let (code, text, _) = hurtig(&["config", key]);
    assert_eq!(code, 0);
    assert!(text.starts_with(key) && text.contains("NO_CLAIM"), "{text}");
    let one = json(&["config", key, "--json", "-D", &format!("{key}=CLAIM")]);
    assert_eq!((&one["value"], &one["default"]), (&"CLAIM".into(), &"NO_CLAIM".into()));
    let all = json(&["config", "--json"]);
    assert!(all.as_array().unwrap().len() > 50);
    let set = json(&["config", "--set", "--json", "-D", "parallelism.default=3"]);
    assert_eq!(set.as_array().unwrap().len(), 1);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.yaml"), "parallelism.default: 7\n").unwrap();
    let conf_dir = directory.path().to_str().unwrap();
    let one = json(&["config", "parallelism.default", "--json", "--conf-dir", conf_dir]);
    assert_eq!(one["value"], "7");
    let (code, _, error) = hurtig(&["config", "parallelism.defualt"]);
    assert_eq!(code, 1);
    assert!(error.contains("parallelism.default"), "{error}");
}

#[test]
fn wrong_arguments_are_told_from_failures() {
    let (code, _, error) = hurtig(&["savepoint", "inspekt", "x"]);
    assert_eq!(code, 2);
    assert!(error.contains("inspect"), "{error}");
    assert_eq!(hurtig(&[]).0, 2);
    let (code, text, _) = hurtig(&["--help"]);
    assert_eq!(code, 0);
    assert!(text.contains("savepoint") && text.contains("checkpoint") && text.contains("config"));
}
