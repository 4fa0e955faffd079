//! What is particular to object stores.

use std::sync::Arc;

use hurtig_env::{Runtimes, Signal};
use hurtig_filesystem::{
    Stores,
    object_store::{ObjectStoreExt, memory::InMemory},
    recoverable::{Surroundings, open},
};

use crate::contract::{PART, Place, finish, flushed, persist};

/// The whole chain of an error's texts.
fn chain_text(error: &(dyn std::error::Error + 'static)) -> String {
    let cause = error.source().map(|cause| format!(": {}", chain_text(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_counts() {
    let place = Place::object();
    let (writer, signal) = place.writer();
    let mut file = writer.create("f", "f").unwrap();
    file.write(b"content").unwrap();
    let pending = finish(file, &signal).await;
    place.store.as_ref().unwrap().lose_answer();
    writer.commit(pending.clone()).await.unwrap();
    assert_eq!(place.visible().await, ["f=content"]);
    writer.commit(pending).await.unwrap();
}

#[tokio::test]
async fn a_commit_that_fails_can_be_repeated() {
    let place = Place::object();
    let (writer, signal) = place.writer();
    let mut file = writer.create("f", "f").unwrap();
    file.write(b"content").unwrap();
    let pending = finish(file, &signal).await;
    let store = place.store.clone().unwrap();
    store.fail(Some("complete"));
    let error = writer.commit(pending.clone()).await.unwrap_err();
    let text = "cannot commit out/f: Generic parts error: complete fails: complete fails";
    assert_eq!(chain_text(&error), text);
    store.fail(None);
    writer.commit(pending).await.unwrap();
    assert_eq!(place.visible().await, ["f=content"]);
}

#[tokio::test]
async fn a_part_that_cannot_be_uploaded_is_an_error_that_names_it() {
    let place = Place::object();
    let (writer, signal) = place.writer();
    let mut file = writer.create("f", "bucket/f").unwrap();
    file.write(&[b'x'; PART]).unwrap();
    persist(&mut *file, &signal).await;
    place.store.as_ref().unwrap().fail(Some("put_part"));
    file.write(&[b'y'; PART]).unwrap();
    file.flush().unwrap();
    flushed(&*file, &signal).await;
    let error = file.persist().unwrap_err().to_string();
    assert_eq!(error, "cannot upload part 2 of out/bucket/f");
}

#[tokio::test]
async fn a_failed_upload_is_told_while_records_still_come() {
    let place = Place::object();
    let (writer, signal) = place.writer();
    place.store.as_ref().unwrap().fail(Some("create"));
    let mut file = writer.create("f", "f").unwrap();
    // Nobody flushes: the next bytes tell.
    let error = loop {
        if let Err(error) = file.write(&[b'x'; PART]) {
            break error;
        }
        signal.wait().await;
    };
    assert_eq!(error.to_string(), "cannot begin the upload of out/f");
    assert!(writer.is_available(), "what failed is not on its way");
}

#[tokio::test]
async fn a_writer_takes_no_more_while_too_much_is_on_its_way() {
    let place = Place::object();
    let (writer, signal) = place.writer();
    let mut file = writer.create("f", "f").unwrap();
    assert!(writer.is_available());
    file.write(&[b'x'; 5 * PART]).unwrap();
    assert!(!writer.is_available());
    while !writer.is_available() {
        signal.wait().await;
    }
    let pending = finish(file, &signal).await;
    assert_eq!(pending.upload.as_ref().unwrap().parts.len(), 5);
    assert_eq!(pending.length, 80);
}

#[tokio::test]
async fn a_memory_url_is_a_store_with_uploads_and_a_read_only_one_is_refused() {
    let stores = Stores::default();
    let signal = Signal::new();
    let surroundings = Surroundings { runtimes: Runtimes::current(), signal: signal.clone() };
    let writer = open(&stores, "memory:///out", surroundings.clone()).unwrap();
    let mut file = writer.create("f", "a/f").unwrap();
    file.write(b"content").unwrap();
    let pending = finish(file, &signal).await;
    writer.commit(pending.clone()).await.unwrap();
    writer.commit(pending).await.unwrap();
    let store = stores.locate("memory:///out/a/f").unwrap();
    let bytes = store.store.get(&store.path).await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes, "content");

    stores.register("s3://plain", Arc::new(InMemory::new()));
    let error = open(&stores, "s3://plain/out", surroundings.clone()).err().unwrap();
    assert!(error.to_string().contains("s3://plain/out has no multipart"), "{error}");
    let error = open(&stores, "nonsense://x", surroundings).err().unwrap();
    assert!(error.to_string().contains("nonsense://x"), "{error}");
}
