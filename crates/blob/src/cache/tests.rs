//! What the cache fetches, checks and gives up.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use async_trait::async_trait;
use hurtig_cluster_api::{RpcError, RpcResult};
use sha2::{Digest, Sha256};

use super::*;

/// Gives out blobs that consist of one byte, again and again.
#[derive(Default)]
struct Source {
    /// Answers that are wrong before they are right.
    wrong: AtomicU32,
    fetches: AtomicU32,
}

const SIZE: u64 = 40;

fn content(byte: u8) -> Vec<u8> {
    vec![byte; SIZE as usize]
}

fn id(byte: u8) -> BlobId {
    BlobId(Sha256::digest(content(byte)).into())
}

#[async_trait]
impl BlobSource for Source {
    async fn blob_size(&self, blob: BlobId) -> RpcResult<u64> {
        self.fetches.fetch_add(1, Relaxed);
        match (0..9).any(|byte| id(byte) == blob) {
            true => Ok(SIZE),
            false => Err(RpcError::NotFound("unknown".to_owned())),
        }
    }

    async fn read_blob(&self, blob: BlobId, offset: u64, length: u32) -> RpcResult<Vec<u8>> {
        tokio::task::yield_now().await;
        let byte = (0..9).find(|byte| id(*byte) == blob).unwrap();
        let wrong = self.wrong.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok();
        let bytes = content(if wrong { 99 } else { byte });
        let (from, most) = (offset as usize, (length as usize).min(16));
        Ok(bytes[from..(from + most).min(bytes.len())].to_vec())
    }
}

fn cache(directory: &Path) -> BlobCache {
    let options = BlobCacheOptions {
        directory: directory.to_owned(),
        max_bytes: 2 * SIZE,
        max_blob_bytes: 100,
        retries: 2,
    };
    BlobCache::open(options).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_blob_is_fetched_once_for_all_who_ask() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, source) = (cache(directory.path()), Source::default());
    let (one, two) = tokio::join!(cache.get(id(1), &source), cache.get(id(1), &source));
    assert_eq!(fs::read(one.unwrap().path()).unwrap(), content(1));
    assert_eq!(fs::read(two.unwrap().path()).unwrap(), content(1));
    cache.get(id(1), &source).await.unwrap();
    assert_eq!(source.fetches.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_its_name_is_fetched_again() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, source) = (cache(directory.path()), Source::default());
    source.wrong.store(1, Relaxed);
    assert_eq!(fs::read(cache.get(id(1), &source).await.unwrap().path()).unwrap(), content(1));
    assert_eq!(source.fetches.load(Relaxed), 2);
    source.wrong.store(1000, Relaxed);
    let error = cache.get(id(2), &source).await.unwrap_err().to_string();
    assert!(error.contains("came blob"), "{error}");
    assert_eq!(source.fetches.load(Relaxed), 5);
    let error = cache.get(id(77), &source).await.unwrap_err().to_string();
    assert!(error.contains("cannot be fetched"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_uses_makes_room_least_recently_used_first() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, source) = (cache(directory.path()), Source::default());
    let used = cache.get(id(1), &source).await.unwrap();
    for byte in 2..5 {
        cache.get(id(byte), &source).await.unwrap();
    }
    let mut here: Vec<_> = scan(directory.path()).unwrap().into_iter().map(|(id, _)| id).collect();
    here.sort();
    let mut expected = vec![id(1), id(4)];
    expected.sort();
    assert_eq!(here, expected);
    assert!(used.path().exists());
}
