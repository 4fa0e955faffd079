//! Back pressure across a connection: what a slow consumer may and may not do.

use hurtig_types::{StreamElement, element::ControlElement};

use crate::{
    harness::{Blob, Cluster, Kind, blob, small},
    over_all_transports,
};

over_all_transports![
    a_slow_consumer_holds_memory_flat_and_slows_only_its_own_channel,
    control_elements_need_no_credit,
    a_slow_channel_of_a_gate_leaves_the_others_their_credit,
    a_slow_consumer_is_caught_up_without_loss,
];

async fn a_slow_consumer_holds_memory_flat_and_slows_only_its_own_channel(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut stuck = cluster.producer(0, 0, 1);
    let mut flowing = cluster.producer(0, 1, 1);
    let _never_polls = cluster.consumer(1, &[(0, 0, 0)]);
    let mut consumer = cluster.consumer(1, &[(0, 1, 0)]);
    let batch = 1000;
    let mut stuck_bytes = 0;
    let mut stuck_at_half = 0;
    let rounds = 20_000u32;
    for round in 0..rounds {
        // The stuck producer takes every chance it gets.
        while stuck.partition.is_available() {
            stuck.partition.push(0, Blob::boxed(batch, 1)).unwrap();
            stuck_bytes += batch;
        }
        flowing.available().await;
        let fill = round as u8;
        flowing.partition.push(0, Blob::boxed(batch, fill)).unwrap();
        assert_eq!(blob(consumer.next().await.1).0[0], fill);
        if round == rounds / 2 {
            stuck_at_half = stuck_bytes;
        }
    }
    assert_eq!(stuck_bytes, stuck_at_half, "the stuck channel never stopped");
    // Two buffers and four floating ones on each side, and one batch beyond on each side.
    let one_channel = 2 * (6 * 1024 + batch + 100);
    assert!(stuck_bytes <= one_channel, "{stuck_bytes}");
    let peak: usize = cluster.stacks.iter().map(|s| s.usage().peak_bytes).sum();
    assert!(peak <= 2 * one_channel, "{peak} bytes at the peak");
}

async fn control_elements_need_no_credit(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut producer = cluster.producer(0, 0, 1);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0)]);
    // More than all credit of the channel in one batch; it is never taken.
    producer.partition.push(0, Blob::boxed(100_000, 1)).unwrap();
    let end = ControlElement::EndOfInput;
    producer.partition.send_control(0, end).unwrap();
    producer.all_consumed().await;
    assert_eq!(producer.partition.queued_bytes(), 0);
    assert_eq!(blob(consumer.next().await.1).0.len(), 100_000);
    assert!(matches!(consumer.next().await.1, StreamElement::EndOfInput));
}

async fn a_slow_channel_of_a_gate_leaves_the_others_their_credit(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut blocked = cluster.producer(0, 0, 1);
    let mut flowing = cluster.producer(0, 1, 1);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0), (0, 1, 0)]);
    consumer.gate.block_channel(0);
    while blocked.partition.is_available() {
        blocked.partition.push(0, Blob::boxed(1000, 1)).unwrap();
    }
    for round in 0..2000 {
        flowing.available().await;
        let batch = Blob::boxed(1000, round as u8);
        flowing.partition.push(0, batch).unwrap();
        let (channel, element) = consumer.next().await;
        assert_eq!((channel, blob(element).0[0]), (1, round as u8));
    }
}

async fn a_slow_consumer_is_caught_up_without_loss(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let mut producer = cluster.producer(0, 0, 2);
    let mut consumer = cluster.consumer(1, &[(0, 0, 0), (0, 0, 1)]);
    let mut next = [0u8; 2];
    let mut pushed = [0u8; 2];
    for round in 0..300 {
        while producer.partition.is_available() && pushed[round % 2] < 250 {
            let batch = Blob::boxed(400, pushed[round % 2]);
            producer.partition.push(round % 2, batch).unwrap();
            pushed[round % 2] += 1;
        }
        if next != pushed {
            let (channel, element) = consumer.next().await;
            assert_eq!(blob(element).0[0], next[channel]);
            next[channel] += 1;
        }
    }
    while next != pushed {
        let (channel, element) = consumer.next().await;
        assert_eq!(blob(element).0[0], next[channel]);
        next[channel] += 1;
    }
}
