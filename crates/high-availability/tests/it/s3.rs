//! The contract on a server that speaks S3.

use std::{sync::Arc, time::Duration};

use hurtig_filesystem::Stores;
use hurtig_high_availability::store::object::ObjectStoreBackend;
use hurtig_test_util::S3;

use crate::{contract, harness::Cluster};

#[tokio::test]
async fn s3_keeps_the_contract() {
    let Some(server) = S3::start() else { return };
    let store = Stores::new(server.options()).locate(&server.url()).unwrap().store;
    let poll = Duration::from_millis(20);
    contract::run_all(|name| {
        let (store, folder) = (store.clone(), format!("ha/{name}"));
        Cluster::new(move |_| {
            Arc::new(ObjectStoreBackend::new(store.clone(), folder.as_str().into(), poll))
        })
    })
    .await;
}
