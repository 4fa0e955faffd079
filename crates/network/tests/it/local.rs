//! Channels within one TaskExecutor.

use hurtig_types::{
    StreamElement,
    element::{ControlElement, Watermark},
};

use crate::harness::{Blob, Cluster, Kind, blob, small, within};

#[tokio::test]
async fn batches_pass_by_pointer() {
    let cluster = Cluster::start(Kind::Memory, 1, small()).await;
    let mut producer = cluster.producer(0, 0, 1);
    let mut consumer = cluster.consumer(0, &[(0, 0, 0)]);
    let payload = Blob(vec![7; 100]);
    let address = payload.0.as_ptr() as usize;
    producer.partition.push(0, Box::new(payload)).unwrap();
    let (_, element) = consumer.next().await;
    assert_eq!(blob(element).0.as_ptr() as usize, address, "it was copied");
    assert_eq!(cluster.used_bytes(), 0);
}

#[tokio::test]
async fn channels_take_turns() {
    let cluster = Cluster::start(Kind::Memory, 1, small()).await;
    let mut producer = cluster.producer(0, 0, 3);
    for subpartition in [0, 0, 0, 1, 1, 2] {
        let batch = Blob::boxed(10, subpartition as u8);
        producer.partition.push(subpartition, batch).unwrap();
    }
    let mut consumer = cluster.consumer(0, &[(0, 0, 0), (0, 0, 1), (0, 0, 2)]);
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(consumer.next().await.0);
    }
    assert_eq!(order, [0, 1, 2, 0, 1, 0]);
}

#[tokio::test]
async fn a_blocked_channel_keeps_its_elements() {
    let cluster = Cluster::start(Kind::Memory, 1, small()).await;
    let mut producer = cluster.producer(0, 0, 2);
    let mut consumer = cluster.consumer(0, &[(0, 0, 0), (0, 0, 1)]);
    consumer.gate.block_channel(0);
    for subpartition in [0, 1, 0, 1] {
        let batch = Blob::boxed(10, 1);
        producer.partition.push(subpartition, batch).unwrap();
    }
    assert_eq!(consumer.next().await.0, 1);
    assert_eq!(consumer.next().await.0, 1);
    assert!(consumer.gate.poll().unwrap().is_none());
    consumer.gate.unblock_channel(0);
    assert_eq!(consumer.next().await.0, 0);
    assert_eq!(consumer.next().await.0, 0);
    assert!(consumer.gate.poll().unwrap().is_none());
}

#[tokio::test]
async fn a_full_partition_is_available_again_once_half_of_it_is_free() {
    let cluster = Cluster::start(Kind::Memory, 1, small()).await;
    let mut producer = cluster.producer(0, 0, 1);
    let mut consumer = cluster.consumer(0, &[(0, 0, 0)]);
    while producer.partition.is_available() {
        producer.partition.push(0, Blob::boxed(1000, 1)).unwrap();
    }
    let limit = 6 * 1024;
    let queued = producer.partition.queued_bytes();
    assert!((limit..limit + 1100).contains(&queued), "{queued}");
    while producer.partition.queued_bytes() > limit / 2 {
        assert!(!producer.partition.is_available());
        consumer.next().await;
    }
    within("the signal", producer.signal.wait()).await;
    assert!(producer.partition.is_available());
}

#[tokio::test]
async fn a_share_that_grew_wakes_its_producer() {
    let mut config = small();
    config.total_bytes = 64 << 10;
    config.floating_buffers_per_gate = 60;
    let cluster = Cluster::start(Kind::Memory, 1, config).await;
    let mut others = Vec::new();
    for number in 1..64 {
        others.push(cluster.producer(0, number, 1));
    }
    let mut producer = cluster.producer(0, 0, 1);
    let consumer = cluster.consumer(0, &[(0, 0, 0)]);
    producer.partition.push(0, Blob::boxed(2000, 1)).unwrap();
    assert!(!producer.partition.is_available());
    drop(others);
    within("the signal", producer.signal.wait()).await;
    assert!(producer.partition.is_available());
    drop(consumer);
}

#[tokio::test]
async fn a_producer_that_waits_is_woken_by_whatever_gives_it_room() {
    let mut config = small();
    config.total_bytes = 64 << 10;
    let cluster = Cluster::start(Kind::Memory, 1, config).await;
    let mut producer = cluster.producer(0, 0, 2);
    let mut consumer = cluster.consumer(0, &[(0, 0, 0), (0, 0, 1)]);
    for round in 0..1000 {
        while producer.partition.is_available() {
            let batch = Blob::boxed(300, round as u8);
            producer.partition.push(round % 2, batch).unwrap();
        }
        while consumer.gate.poll().unwrap().is_some() {}
        within("the signal", producer.signal.wait()).await;
    }
}

#[tokio::test]
async fn batches_without_size_are_bounded_too() {
    let cluster = Cluster::start(Kind::Memory, 1, small()).await;
    let mut producer = cluster.producer(0, 0, 1);
    let _consumer = cluster.consumer(0, &[(0, 0, 0)]);
    let mut pushed = 0;
    while producer.partition.is_available() {
        producer.partition.push(0, Blob::boxed(0, 0)).unwrap();
        pushed += 1;
        assert!(pushed < 100_000, "nothing stops the producer");
    }
}

#[tokio::test]
async fn a_producer_that_goes_away_fails_its_consumer() {
    let cluster = Cluster::start(Kind::Memory, 1, small()).await;
    let producer = cluster.producer(0, 0, 1);
    let mut consumer = cluster.consumer(0, &[(0, 0, 0)]);
    drop(producer);
    let error = consumer.failure().await;
    assert_eq!(error.class, hurtig_types::ErrorClass::InputLost);
}

#[tokio::test]
async fn a_gate_that_was_dropped_early_does_not_hold_up_a_later_producer() {
    let cluster = Cluster::start(Kind::Memory, 1, small()).await;
    drop(cluster.consumer(0, &[(0, 0, 0)]));
    let producer = cluster.producer(0, 0, 1);
    producer.all_consumed().await;
}

#[tokio::test]
async fn a_subpartition_has_one_consumer_and_a_refused_gate_leaves_nothing_behind() {
    let cluster = Cluster::start(Kind::Memory, 1, small()).await;
    let mut producer = cluster.producer(0, 0, 2);
    let mut first = cluster.consumer(0, &[(0, 0, 0)]);
    let specs = vec![cluster.spec((0, 0, 1)), cluster.spec((0, 0, 0))];
    let refused = cluster.stacks[0].create_gate(
        specs,
        std::sync::Arc::new(crate::harness::BlobEdge),
        hurtig_env::Signal::new(),
    );
    assert!(refused.is_err());
    producer.partition.broadcast_control(ControlElement::EndOfInput).unwrap();
    // The first consumer is untouched, the refused gate's other channel was released.
    assert!(matches!(first.next().await.1, StreamElement::EndOfInput));
    producer.all_consumed().await;
}

#[tokio::test]
async fn a_subpartition_that_does_not_exist_is_an_error() {
    let cluster = Cluster::start(Kind::Memory, 1, small()).await;
    let mut producer = cluster.producer(0, 0, 1);
    assert!(producer.partition.push(5, Blob::boxed(1, 1)).is_err());
    let watermark = ControlElement::Watermark(Watermark(1));
    assert!(producer.partition.send_control(5, watermark).is_err());
}

/// 62 500 channels are one shuffle between 250 and 250 subtasks.
#[tokio::test]
async fn a_large_shuffle_is_set_up_and_runs_through() {
    let cluster = Cluster::start(Kind::Memory, 1, small()).await;
    let side = 250;
    let mut producers: Vec<_> = (0..side).map(|n| cluster.producer(0, n, side as usize)).collect();
    let mut consumers: Vec<_> = (0..side as usize)
        .map(|s| {
            let channels: Vec<_> = (0..side).map(|n| (0, n, s)).collect();
            cluster.consumer(0, &channels)
        })
        .collect();
    for producer in &mut producers {
        let end = ControlElement::EndOfInput;
        producer.partition.broadcast_control(end).unwrap();
    }
    for consumer in &mut consumers {
        while consumer.gate.poll().unwrap().is_some() {}
        assert!(consumer.gate.is_finished());
    }
    assert!(producers.iter().all(|p| p.partition.all_consumed()));
}
