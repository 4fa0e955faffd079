//! Uploads, bounds, and what a store finds again.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::*;

fn options(directory: &Path) -> BlobStoreOptions {
    BlobStoreOptions {
        directory: directory.to_owned(),
        max_blob_bytes: 100,
        max_total_bytes: 150,
        max_uploads: 4,
    }
}

fn open(directory: &Path) -> BlobStore {
    let clock = AtomicI64::new(0);
    BlobStore::open(options(directory), move || clock.fetch_add(1, Relaxed)).unwrap()
}

async fn put(store: &BlobStore, name: &str, bytes: &[u8]) -> Result<BlobInfo, BlobError> {
    let mut upload = store.begin_upload(name).await?;
    for chunk in bytes.chunks(7) {
        upload.write(chunk).await?;
    }
    upload.finish().await
}

#[tokio::test]
async fn a_blob_is_named_by_its_content_and_outlives_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let info = put(&store, "job", b"abc").await.unwrap();
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(info.id.to_string(), expected);
    assert_eq!(store.read_blob(info.id, 1, 10).await.unwrap(), b"bc");
    assert_eq!(store.read_blob(info.id, 3, 10).await.unwrap(), b"");
    let again = put(&store, "renamed", b"abc").await.unwrap();
    assert_eq!((again.id, &*again.name), (info.id, "renamed"));
    fs::write(directory.path().join("unfinished-1-1"), "x").unwrap();
    let other = put(&store, "torn", b"without description").await.unwrap();
    fs::remove_file(info_path(directory.path(), other.id)).unwrap();
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.list().await.unwrap(), [again]);
    let files = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, 2, "leftovers are gone");
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let error = put(&store, "large", &[0; 101]).await.unwrap_err();
    assert!(matches!(error, BlobError::TooLarge { limit_bytes: 100 }), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    for name in ["", "../x", "a/b", "a\nb"] {
        let error = store.begin_upload(name).await.err().unwrap();
        assert!(matches!(error, BlobError::BadName(_)), "{error}");
    }
    // Given up: nothing is left, and its room is free again.
    let mut upload = store.begin_upload("given up").await.unwrap();
    upload.write(&[1; 100]).await.unwrap();
    drop(upload);
    put(&store, "a", &[2; 100]).await.unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn old_blobs_make_room_unless_a_job_needs_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let first = put(&store, "first", &[1; 70]).await.unwrap().id;
    let second = put(&store, "second", &[2; 70]).await.unwrap().id;
    let job = JobId(1);
    store.reference(job, [first]).unwrap();
    let third = put(&store, "third", &[3; 70]).await.unwrap().id;
    let ids: Vec<_> = store.list().await.unwrap().into_iter().map(|info| info.id).collect();
    assert_eq!(ids, [third, first], "the second was not needed");
    assert!(matches!(store.reference(job, [second]), Err(BlobError::NotFound(id)) if id == second));
    store.reference(JobId(2), [third]).unwrap();
    let error = put(&store, "fourth", &[4; 70]).await.unwrap_err();
    assert!(matches!(error, BlobError::Full { .. }), "{error}");
    let error = store.delete(first).await.unwrap_err();
    assert!(matches!(error, BlobError::InUse { .. }), "{error}");
    store.release(job);
    store.delete(first).await.unwrap();
    assert!(matches!(store.path(first), Err(BlobError::NotFound(_))));
    put(&store, "fourth", &[4; 70]).await.unwrap();
}
