//! Random interleavings: whatever the order of pushes, polls, blocked channels and shares, all
//! elements arrive once, in order, and all memory is given back.

use std::collections::VecDeque;

use hurtig_types::{
    StreamElement,
    element::{ControlElement, Watermark},
};
use proptest::prelude::*;

use crate::harness::{Blob, Cluster, Kind, small, until};

#[derive(Clone, Debug)]
enum Step {
    Push {
        channel: usize,
        len: usize,
    },
    Control {
        channel: usize,
    },
    Poll(usize),
    Block(usize),
    Unblock(usize),
    /// Lets the connections work.
    Yield(usize),
}

const CHANNELS: usize = 4;

fn step() -> impl Strategy<Value = Step> {
    let channel = 0..CHANNELS;
    prop_oneof![
        6 => (channel.clone(), prop_oneof![0usize..50, 500usize..1500, 5000usize..9000])
            .prop_map(|(channel, len)| Step::Push { channel, len }),
        2 => channel.clone().prop_map(|channel| Step::Control { channel }),
        4 => (1usize..8).prop_map(Step::Poll),
        1 => channel.clone().prop_map(Step::Block),
        1 => channel.prop_map(Step::Unblock),
        4 => (1usize..6).prop_map(Step::Yield),
    ]
}

/// What was sent and has not arrived, by channel: the number and length of a batch, or a watermark.
type Expected = Vec<VecDeque<(u32, Option<usize>)>>;

fn check(expected: &mut Expected, channel: usize, element: StreamElement) {
    let (number, len) = expected[channel]
        .pop_front()
        .unwrap_or_else(|| panic!("channel {channel} gave what was never sent: {element:?}"));
    match (element, len) {
        (StreamElement::Batch(batch), Some(len)) => {
            let blob = batch.into_any().downcast::<Blob>().unwrap();
            assert_eq!(blob.0, vec![number as u8; len]);
        }
        (StreamElement::Watermark(Watermark(time)), None) => assert_eq!(time, i64::from(number)),
        (element, _) => panic!("channel {channel}: {element:?} came out of order"),
    }
}

async fn run(steps: Vec<Step>) {
    let cluster = Cluster::start(Kind::Memory, 2, small()).await;
    // Channels 0 and 1 are remote, 2 and 3 local.
    let mut producers = [cluster.producer(0, 0, 2), cluster.producer(1, 1, 2)];
    let channels = [(0, 0, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1)];
    let mut consumer = cluster.consumer(1, &channels);
    let mut expected: Expected = vec![VecDeque::new(); CHANNELS];
    let mut number = 0;
    for step in steps {
        number += 1;
        match step {
            Step::Push { channel, len } => {
                let partition = &mut producers[channel / 2].partition;
                if partition.is_available() {
                    let batch = Blob::boxed(len, number as u8);
                    partition.push(channel % 2, batch).unwrap();
                    expected[channel].push_back((number, Some(len)));
                }
            }
            Step::Control { channel } => {
                let partition = &mut producers[channel / 2].partition;
                let watermark = ControlElement::Watermark(Watermark(i64::from(number)));
                partition.send_control(channel % 2, watermark).unwrap();
                expected[channel].push_back((number, None));
            }
            Step::Poll(times) => {
                for _ in 0..times {
                    if let Some((channel, element)) = consumer.gate.poll().unwrap() {
                        check(&mut expected, channel, element);
                    }
                }
            }
            Step::Block(channel) => consumer.gate.block_channel(channel),
            Step::Unblock(channel) => consumer.gate.unblock_channel(channel),
            Step::Yield(times) => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    for channel in 0..CHANNELS {
        consumer.gate.unblock_channel(channel);
    }
    while expected.iter().any(|e| !e.is_empty()) {
        let (channel, element) = consumer.next().await;
        check(&mut expected, channel, element);
    }
    assert!(consumer.gate.poll().unwrap().is_none());
    for producer in &mut producers {
        assert!(producer.partition.is_available());
        let end = ControlElement::EndOfInput;
        producer.partition.broadcast_control(end).unwrap();
    }
    while !consumer.gate.is_finished() {
        assert!(matches!(consumer.next().await.1, StreamElement::EndOfInput));
    }
    for producer in &producers {
        producer.all_consumed().await;
    }
    until("all memory to be free", || cluster.used_bytes() == 0).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn everything_arrives_whatever_the_interleaving(steps in prop::collection::vec(step(), 0..300)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
