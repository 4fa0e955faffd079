//! Lost connections and shutdown.

use hurtig_types::ErrorClass;

use crate::{
    harness::{Blob, Cluster, Kind, blob, small, until},
    over_all_transports,
};

over_all_transports![
    a_lost_connection_fails_consumers_and_releases_producers,
    a_new_connection_is_made_after_a_loss,
    a_peer_that_cannot_be_reached_fails_the_gate,
    shutdown_fails_what_is_open_and_what_comes_later,
];

async fn a_lost_connection_fails_consumers_and_releases_producers(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut producer = cluster.producer(0, 0, 1);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0)]);
    producer.partition.push(0, Blob::boxed(10, 1)).unwrap();
    consumer.next().await;
    while producer.partition.is_available() {
        producer.partition.push(0, Blob::boxed(1000, 1)).unwrap();
    }
    cluster.probe.cut_all();
    let error = consumer.failure().await;
    assert_eq!(error.class, ErrorClass::InputLost);
    let peer = cluster.address(0).address;
    assert!(error.to_string().contains(&peer), "{error}");
    producer.all_consumed().await;
    producer.available().await;
    drop(consumer);
    until("all memory to be free", || cluster.used_bytes() == 0).await;
}

async fn a_new_connection_is_made_after_a_loss(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    for round in 0..5 {
        let mut producer = cluster.producer(0, round, 1);
        let mut consumer = cluster.consumer(1, &[(0, round, 0)]);
        producer.partition.push(0, Blob::boxed(10, round as u8)).unwrap();
        assert_eq!(blob(consumer.next().await.1).0[0], round as u8);
        cluster.probe.cut_all();
        consumer.failure().await;
        producer.all_consumed().await;
    }
}

async fn a_peer_that_cannot_be_reached_fails_the_gate(kind: Kind) {
    let mut config = small();
    config.connect_attempts = 2;
    let cluster = Cluster::start(kind, 2, config).await;
    cluster.stacks[0].shutdown();
    let mut consumer = cluster.consumer(1, &[(0, 0, 0)]);
    let error = consumer.failure().await;
    assert_eq!(error.class, ErrorClass::InputLost);
    assert!(error.to_string().contains(&cluster.address(0).address));
}

async fn shutdown_fails_what_is_open_and_what_comes_later(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut producer = cluster.producer(0, 0, 2);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0)]);
    producer.partition.push(0, Blob::boxed(10, 1)).unwrap();
    consumer.next().await;
    cluster.stacks[1].shutdown();
    assert_eq!(consumer.failure().await.class, ErrorClass::InputLost);
    let mut late = cluster.consumer(1, &[(0, 0, 1)]);
    assert_eq!(late.failure().await.class, ErrorClass::InputLost);
}
