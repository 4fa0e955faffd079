//! The archive: what is kept, found again and cleared.

use hurtig_cluster_api::BlobSource;

use super::*;
use crate::BlobStoreOptions;

fn store(directory: &Path) -> BlobStore {
    let options = BlobStoreOptions {
        directory: directory.to_owned(),
        max_blob_bytes: 100 << 20,
        max_total_bytes: 100 << 20,
        max_uploads: 1,
    };
    BlobStore::open(options, || 0).unwrap()
}

fn archive(directory: &Path) -> BlobArchive {
    let url = format!("file://{}", directory.display());
    BlobArchive::open(&Stores::default(), &url, "a/b").unwrap()
}

/// What another process has kept for a job is there for the next, byte by byte, until the job goes.
#[tokio::test]
async fn a_job_finds_its_blobs_after_the_loss_of_their_store() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (first, job) = (store(&at("first")), JobId(7));
    let content: Vec<u8> = (0..CHUNK_BYTES * 2 + 17).map(|i| (i % 251) as u8).collect();
    std::fs::write(at("program"), &content).unwrap();
    let blob = first.put_file(&at("program")).await.unwrap().id;
    std::fs::create_dir(at("ha")).unwrap();
    let kept = archive(&at("ha"));
    for _ in 0..2 {
        kept.keep(job, blob, &first.path(blob).unwrap()).await.unwrap();
    }
    let (second, found) = (store(&at("second")), archive(&at("ha")));
    assert_eq!(found.fetch(job, blob, &second).await.unwrap().id, blob);
    assert_eq!(std::fs::read(second.path(blob).unwrap()).unwrap(), content);
    assert_eq!(second.blob_size(blob).await.unwrap(), content.len() as u64);
    let missing = found.fetch(JobId(8), blob, &second).await.unwrap_err();
    assert!(matches!(missing, BlobError::NotFound(_)), "{missing}");
    found.release(job).await.unwrap();
    let released = found.fetch(job, blob, &second).await.unwrap_err();
    assert!(matches!(released, BlobError::NotFound(_)), "{released}");
}

#[tokio::test]
async fn what_belongs_to_no_job_goes() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let store = store(&at("store"));
    std::fs::write(at("program"), b"content").unwrap();
    let blob = store.put_file(&at("program")).await.unwrap().id;
    std::fs::create_dir(at("ha")).unwrap();
    let archive = archive(&at("ha"));
    // Nothing was kept yet.
    archive.retain(&BTreeSet::new()).await.unwrap();
    for job in [JobId(1), JobId(2)] {
        archive.keep(job, blob, &store.path(blob).unwrap()).await.unwrap();
    }
    archive.retain(&[JobId(2)].into()).await.unwrap();
    assert!(archive.fetch(JobId(1), blob, &store).await.is_err());
    assert!(archive.fetch(JobId(2), blob, &store).await.is_ok());
}

/// A copy that was damaged is not run.
#[tokio::test]
async fn a_copy_that_is_not_what_its_name_says_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let first = store(&at("first"));
    std::fs::write(at("program"), b"content").unwrap();
    let blob = first.put_file(&at("program")).await.unwrap().id;
    std::fs::create_dir(at("ha")).unwrap();
    let archive = archive(&at("ha"));
    archive.keep(JobId(1), blob, &first.path(blob).unwrap()).await.unwrap();
    let copy = at("ha").join(format!("a/b/blob/job_{}/{blob}", JobId(1)));
    std::fs::write(copy, b"contents").unwrap();
    let second = store(&at("second"));
    let error = archive.fetch(JobId(1), blob, &second).await.unwrap_err();
    assert!(error.to_string().contains(&blob.to_string()), "{error}");
    assert!(second.list().await.unwrap().is_empty());
}
