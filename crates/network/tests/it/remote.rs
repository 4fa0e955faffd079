//! Channels between TaskExecutors.

use std::sync::Arc;

use hurtig_types::{
    Alignment, CheckpointId, CheckpointOptions, CheckpointType, ErrorClass, StreamElement,
    element::{CheckpointBarrier, ControlElement, Watermark},
};
use tokio::sync::Barrier;

use crate::{
    harness::{Blob, Cluster, Kind, blob, small, until, within},
    over_all_transports,
};

over_all_transports![
    elements_arrive_in_order_and_the_producer_learns_that_all_is_consumed,
    what_was_produced_before_the_consumer_came_arrives,
    a_request_waits_for_its_partition,
    a_request_for_a_partition_that_never_comes_fails,
    a_request_for_a_subpartition_that_is_not_there_fails,
    many_channels_in_both_directions_share_one_connection,
    peers_that_dial_each_other_at_once_end_with_one_connection,
    a_dropped_gate_releases_its_producer,
    a_gate_dropped_before_its_producer_came_releases_it,
    a_dropped_producer_fails_its_consumer,
    batches_larger_than_all_credit_arrive,
    a_blocked_remote_channel_keeps_its_elements,
];

async fn elements_arrive_in_order_and_the_producer_learns_that_all_is_consumed(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut producer = cluster.producer(0, 0, 1);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0)]);
    let producing = tokio::spawn(async move {
        for number in 0..1000u64 {
            producer.available().await;
            let len = (number * 37 % 3000) as usize;
            producer.partition.push(0, Blob::boxed(len, number as u8)).unwrap();
            if number % 10 == 0 {
                let barrier = CheckpointBarrier {
                    checkpoint_id: CheckpointId(number),
                    timestamp_ms: 0,
                    options: CheckpointOptions {
                        checkpoint_type: CheckpointType::Checkpoint,
                        alignment: Alignment::Aligned,
                        target: None,
                    },
                };
                let barrier = ControlElement::Barrier(barrier);
                producer.partition.broadcast_control(barrier).unwrap();
            }
        }
        let end = ControlElement::EndOfInput;
        producer.partition.broadcast_control(end).unwrap();
        producer.all_consumed().await;
        producer
    });
    for number in 0..1000u64 {
        let (channel, element) = consumer.next().await;
        assert_eq!(channel, 0);
        let expected = Blob(vec![number as u8; (number * 37 % 3000) as usize]);
        assert_eq!(blob(element), expected, "batch {number}");
        if number % 10 == 0 {
            match consumer.next().await.1 {
                StreamElement::Barrier(b) => assert_eq!(b.checkpoint_id, CheckpointId(number)),
                other => panic!("expected barrier {number}, got {other:?}"),
            }
        }
    }
    assert!(!consumer.gate.is_finished());
    assert!(matches!(consumer.next().await.1, StreamElement::EndOfInput));
    assert!(consumer.gate.is_finished());
    let producer = producing.await.unwrap();
    drop(producer);
    assert!(consumer.gate.poll().unwrap().is_none());
    assert_eq!(cluster.used_bytes(), 0, "memory is still held");
}

async fn what_was_produced_before_the_consumer_came_arrives(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut producer = cluster.producer(0, 0, 1);
    for fill in 0..3 {
        producer.partition.push(0, Blob::boxed(500, fill)).unwrap();
    }
    let watermark = ControlElement::Watermark(Watermark(5));
    producer.partition.send_control(0, watermark).unwrap();
    let mut consumer = cluster.consumer(1, &[(0, 0, 0)]);
    for fill in 0..3 {
        assert_eq!(blob(consumer.next().await.1), Blob(vec![fill; 500]));
    }
    let (_, element) = consumer.next().await;
    assert!(matches!(element, StreamElement::Watermark(Watermark(5))));
}

async fn a_request_waits_for_its_partition(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    // The second channel shows that the first request was handled before the partition came.
    let _other = cluster.producer(0, 1, 1);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0), (0, 1, 9)]);
    let error = consumer.failure().await;
    assert!(error.to_string().contains("number 9"), "{error}");
    let mut waiting = cluster.consumer(1, &[(0, 2, 0)]);
    let mut producer = cluster.producer(0, 2, 1);
    producer.partition.push(0, Blob::boxed(9, 9)).unwrap();
    assert_eq!(blob(waiting.next().await.1), Blob(vec![9; 9]));
}

async fn a_request_for_a_partition_that_never_comes_fails(kind: Kind) {
    let mut config = small();
    config.partition_request_timeout = std::time::Duration::from_millis(30);
    let cluster = Cluster::start(kind, 2, config).await;
    for stack in [0, 1] {
        let mut consumer = cluster.consumer(stack, &[(0, 0, 0)]);
        let error = consumer.failure().await;
        assert_eq!(error.class, ErrorClass::InputLost);
        assert!(error.to_string().contains("was not found"), "{error}");
    }
    // It can be asked for again.
    let mut producer = cluster.producer(0, 0, 1);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0)]);
    producer.partition.push(0, Blob::boxed(9, 9)).unwrap();
    consumer.next().await;
}

async fn a_request_for_a_subpartition_that_is_not_there_fails(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let _producer = cluster.producer(0, 0, 2);
    let mut consumer = cluster.consumer(1, &[(0, 0, 2)]);
    let error = consumer.failure().await;
    assert_eq!(error.class, ErrorClass::InputLost);
    assert!(error.to_string().contains("2 subpartitions"), "{error}");
}

async fn many_channels_in_both_directions_share_one_connection(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut tasks = Vec::new();
    for side in 0..2usize {
        for number in 0..20 {
            let id = side as u32 * 100 + number;
            let mut producer = cluster.producer(side, id, 3);
            tasks.push(tokio::spawn(async move {
                for round in 0..30 {
                    for subpartition in 0..3 {
                        producer.available().await;
                        let batch = Blob::boxed(700, round);
                        producer.partition.push(subpartition, batch).unwrap();
                    }
                }
                let end = ControlElement::EndOfInput;
                producer.partition.broadcast_control(end).unwrap();
                producer.all_consumed().await;
            }));
        }
        for subpartition in 0..3 {
            let channels: Vec<_> =
                (0..20).map(|n| (side, side as u32 * 100 + n, subpartition)).collect();
            let mut consumer = cluster.consumer(1 - side, &channels);
            tasks.push(tokio::spawn(async move {
                let mut next = [0; 20];
                while !consumer.gate.is_finished() {
                    match consumer.next().await {
                        (_, StreamElement::EndOfInput) => {}
                        (channel, element) => {
                            assert_eq!(blob(element).0[0], next[channel]);
                            next[channel] += 1;
                        }
                    }
                }
                assert_eq!(next, [30; 20]);
            }));
        }
    }
    for task in tasks {
        within("all tasks to end", task).await.unwrap();
    }
    assert_eq!(cluster.probe.open_ends(), 2);
    assert_eq!(cluster.used_bytes(), 0);
}

async fn peers_that_dial_each_other_at_once_end_with_one_connection(kind: Kind) {
    for round in 0..10 {
        let cluster = Cluster::start(kind, 2, small()).await;
        // Both dials are under way before either arrives.
        *cluster.probe.meet.lock() = Some(Arc::new(Barrier::new(2)));
        let mut there = cluster.producer(0, 0, 1);
        let mut back = cluster.producer(1, 1, 1);
        let mut at_1 = cluster.consumer(1, &[(0, 0, 0)]);
        let mut at_0 = cluster.consumer(0, &[(1, 1, 0)]);
        there.partition.push(0, Blob::boxed(1, round)).unwrap();
        back.partition.push(0, Blob::boxed(1, round)).unwrap();
        assert_eq!(blob(at_1.next().await.1).0, [round]);
        assert_eq!(blob(at_0.next().await.1).0, [round]);
        *cluster.probe.meet.lock() = None;
        until("one connection to remain", || cluster.probe.open_ends() == 2).await;
        assert_eq!(cluster.stacks[0].usage().connections, 1);
        assert_eq!(cluster.stacks[1].usage().connections, 1);
    }
}

async fn a_dropped_gate_releases_its_producer(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut producer = cluster.producer(0, 0, 1);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0)]);
    while producer.partition.is_available() {
        producer.partition.push(0, Blob::boxed(1000, 1)).unwrap();
    }
    consumer.next().await;
    drop(consumer);
    producer.all_consumed().await;
    producer.available().await;
    for _ in 0..100 {
        producer.partition.push(0, Blob::boxed(1000, 1)).unwrap();
    }
    assert!(producer.partition.is_available());
    until("all memory to be free", || cluster.used_bytes() == 0).await;
}

async fn a_gate_dropped_before_its_producer_came_releases_it(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let early = cluster.consumer(1, &[(0, 0, 0)]);
    // An answer to a later request shows that the cancellation was handled.
    drop(early);
    let _other = cluster.producer(0, 1, 1);
    cluster.consumer(1, &[(0, 1, 5)]).failure().await;
    let mut producer = cluster.producer(0, 0, 1);
    producer.partition.push(0, Blob::boxed(1000, 1)).unwrap();
    producer.all_consumed().await;
    until("all memory to be free", || cluster.used_bytes() == 0).await;
}

async fn a_dropped_producer_fails_its_consumer(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut producer = cluster.producer(0, 0, 1);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0)]);
    producer.partition.push(0, Blob::boxed(10, 1)).unwrap();
    consumer.next().await;
    drop(producer);
    let error = consumer.failure().await;
    assert_eq!(error.class, ErrorClass::InputLost);
    assert!(error.to_string().contains("gone away"), "{error}");
}

async fn batches_larger_than_all_credit_arrive(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut producer = cluster.producer(0, 0, 1);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0)]);
    for fill in 0..20 {
        producer.available().await;
        let batch = Blob::boxed(300_000, fill);
        producer.partition.push(0, batch).unwrap();
        assert_eq!(blob(consumer.next().await.1), Blob(vec![fill; 300_000]));
    }
    // One that no frame can hold fails its producer, not the connection.
    let larger = producer.partition.push(0, Blob::boxed(2 << 20, 1));
    assert!(larger.is_err());
    producer.partition.push(0, Blob::boxed(10, 7)).unwrap();
    assert_eq!(blob(consumer.next().await.1), Blob(vec![7; 10]));
}

async fn a_blocked_remote_channel_keeps_its_elements(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut producer = cluster.producer(0, 0, 2);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0), (0, 0, 1)]);
    consumer.gate.block_channel(0);
    for subpartition in [0, 0, 1] {
        let batch = Blob::boxed(10, 1);
        producer.partition.push(subpartition, batch).unwrap();
    }
    assert_eq!(consumer.next().await.0, 1);
    consumer.gate.unblock_channel(0);
    assert_eq!(consumer.next().await.0, 0);
    assert_eq!(consumer.next().await.0, 0);
}
