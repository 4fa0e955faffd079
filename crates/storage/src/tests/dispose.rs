//! Disposing of snapshots: what is deleted, what is left, what is refused. And finding them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hurtig_types::{CheckpointId, StateFile, StateLocation, StateScope};

use super::{
    checkpoints::{Local, big, local},
    sample::{JOB, metadata},
};
use crate::{StateTarget, StorageError, location_url};

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

async fn shared(local: &Local, id: u64, name: &str) -> StateFile {
    local.state(StateTarget::Shared(CheckpointId(id)), name, &big(id)).await
}

async fn checkpoint(local: &Local, id: u64, shared: &[&StateFile]) -> Arc<str> {
    let own = local.state(StateTarget::Exclusive(CheckpointId(id)), "own", &big(id)).await;
    let files = shared.iter().map(|file| (*file).clone()).chain([own]).collect();
    local.storage.write_metadata(&metadata(id, files), None).await.unwrap()
}

#[tokio::test]
async fn shared_files_are_refused_unless_asked_for_and_go_with_their_last_checkpoint() {
    let local = local();
    let (base, delta) = (shared(&local, 1, "base").await, shared(&local, 2, "delta").await);
    let first = checkpoint(&local, 1, &[&base]).await;
    let second = checkpoint(&local, 2, &[&base, &delta]).await;
    let before = walk(local.directory.path());
    let error = local.storage.dispose(&second, false).await.unwrap_err();
    assert!(matches!(error, StorageError::SharedFiles { files: 2, .. }), "{error}");
    assert_eq!(walk(local.directory.path()), before, "nothing is touched");
    let disposal = local.storage.dispose(&second, true).await.unwrap();
    assert_eq!(disposal.kept, [base.url().unwrap().clone()]);
    assert!(disposal.deleted.contains(delta.url().unwrap()) && disposal.deleted.len() == 2);
    local.storage.load_verified(&first, crate::Verification::Content).await.unwrap();
    local.storage.dispose(&first, true).await.unwrap();
    assert_eq!(walk(local.directory.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn beside_a_damaged_checkpoint_shared_files_stay() {
    let local = local();
    let base = shared(&local, 1, "base").await;
    let (first, second) =
        (checkpoint(&local, 1, &[&base]).await, checkpoint(&local, 2, &[&base]).await);
    let path = url::Url::parse(&first).unwrap().to_file_path().unwrap().join("_metadata");
    std::fs::write(&path, b"no metadata").unwrap();
    let disposal = local.storage.dispose(&second, true).await.unwrap();
    assert_eq!(disposal.kept, [base.url().unwrap().clone()]);
    assert!(local.storage.dispose(&first, true).await.is_err(), "nothing is known of it");
    assert!(path.exists());
}

#[tokio::test]
async fn files_elsewhere_are_not_a_snapshots_own_whatever_it_says() {
    let local = local();
    let elsewhere = local.directory.path().join("precious");
    std::fs::write(&elsewhere, b"precious").unwrap();
    let location =
        StateLocation::Absolute(url::Url::from_file_path(&elsewhere).unwrap().as_str().into());
    let foreign = StateFile { location, scope: StateScope::Exclusive, length: 8, checksum: 0 };
    let pointer = checkpoint(&local, 3, &[&foreign]).await;
    let disposal = local.storage.dispose(&pointer, true).await.unwrap();
    assert_eq!(disposal.kept, [foreign.url().unwrap().clone()]);
    assert_eq!(walk(local.directory.path()), [elsewhere]);
}

#[tokio::test]
async fn snapshots_are_found_at_every_level() {
    let local = local();
    let base = local.options.directory.clone().unwrap();
    for id in [2, 10, 9] {
        checkpoint(&local, id, &[]).await;
    }
    let savepoint = local.storage.savepoint_directory(&base, 1);
    local.storage.write_metadata(&metadata(4, Vec::new()), Some(&savepoint)).await.unwrap();
    let job = format!("{}/{JOB}", base.trim_end_matches('/'));
    let of_job: Vec<String> = [2, 9, 10].iter().map(|id| format!("{job}/chk-{id}")).collect();
    let found = async |url: &str| local.storage.find_snapshots(url).await.unwrap();
    assert_eq!(found(&job).await, of_job);
    assert_eq!(found(&of_job[0]).await, of_job[..1]);
    let all: Vec<String> = [savepoint.to_string()].into_iter().chain(of_job).collect();
    assert_eq!(found(&base).await, all);
}

#[test]
fn paths_and_urls_are_understood() {
    assert_eq!(location_url("/a b/c/").unwrap(), "file:///a%20b/c");
    assert_eq!(location_url("s3://bucket/c/").unwrap(), "s3://bucket/c");
    assert!(location_url("relative").unwrap().starts_with("file:///"));
    assert!(location_url("://").is_err());
}
