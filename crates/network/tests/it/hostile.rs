//! Peers that break the protocol: their connection is closed, everybody else goes on.

use hurtig_cluster_api::PeerAddress;
use hurtig_network::frame::{self, MAGIC, Message, VERSION};
use hurtig_network::transport::BoxedStream;
use hurtig_types::{ResourceId, element::ControlElement};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    harness::{Blob, Cluster, Kind, blob, partition_id, small, within},
    over_all_transports,
};

over_all_transports![
    bytes_that_are_no_handshake_end_the_connection,
    frames_that_break_the_protocol_end_the_connection,
    half_open_connections_by_the_thousand_stop_nobody,
    a_dialler_that_vanishes_does_not_occupy_its_place,
    a_producer_that_breaks_the_protocol_fails_its_consumer,
];

fn hello(magic: u32, version: u16, from: u128, to: u128) -> Vec<u8> {
    let mut bytes = Vec::new();
    let message = Message::Hello {
        magic,
        version,
        from: PeerAddress { resource: ResourceId(from), address: "nowhere".to_owned() },
        to: ResourceId(to),
    };
    frame::write_message(&message, &mut bytes).unwrap();
    bytes
}

fn messages(messages: &[Message]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        frame::write_message(message, &mut bytes).unwrap();
    }
    bytes
}

fn data(channel: u32, sequence: u32, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write_data_header(channel, sequence, 0, len, &mut bytes);
    bytes.resize(bytes.len() + len, 0);
    bytes
}

async fn closed(mut stream: BoxedStream) {
    within("the connection to be closed", async {
        let mut buffer = [0; 1024];
        while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {}
    })
    .await;
}

/// Shows that the stack still serves others.
async fn still_works(cluster: &Cluster, number: u32) {
    let mut producer = cluster.producer(0, number, 1);
    let mut consumer = cluster.consumer(1, &[(0, number, 0)]);
    producer.partition.push(0, Blob::boxed(10, 3)).unwrap();
    assert_eq!(blob(consumer.next().await.1), Blob(vec![3; 10]));
}

async fn bytes_that_are_no_handshake_end_the_connection(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let address = cluster.address(0).address;
    let openings = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 100],
        vec![0xff; 100],
        hello(MAGIC + 1, VERSION, 77, 1),
        hello(MAGIC, VERSION + 1, 77, 1),
        hello(MAGIC, VERSION, 77, 99),
        hello(MAGIC, VERSION, 1, 1),
        data(0, 0, 10),
        messages(&[Message::CancelChannel { channel: 0 }]),
    ];
    for opening in openings {
        let mut stream = cluster.transport.connect(&address).await.unwrap();
        stream.write_all(&opening).await.unwrap();
        closed(stream).await;
    }
    still_works(&cluster, 0).await;
}

async fn frames_that_break_the_protocol_end_the_connection(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let address = cluster.address(0).address;
    let request = Message::PartitionRequest {
        channel: 0,
        partition: partition_id(50),
        subpartition: 0,
        credit_bytes: u64::MAX,
    };
    let control = Message::Control { channel: 4, sequence: 0, element: ControlElement::EndOfInput };
    let error = Message::ChannelError { channel: 4, reason: "?".to_owned() };
    let credit = Message::AddCredit { channel: 3, bytes: u64::MAX };
    let cancel = Message::CancelChannel { channel: 3 };
    let openings = [
        data(0, 0, 10),
        messages(&[control]),
        messages(&[error]),
        messages(&[credit]),
        messages(&[cancel]),
        messages(&[request.clone(), request]),
        vec![0xff; 9],
        vec![0; 4],
        vec![2, 0, 0, 0, 1, 0],
        vec![3, 0, 0, 0, 0, 0xee, 0xee],
        hello(MAGIC, VERSION, 77, 1),
    ];
    for (number, opening) in openings.into_iter().enumerate() {
        let mut stream = cluster.transport.connect(&address).await.unwrap();
        let mut bytes = hello(MAGIC, VERSION, 100 + number as u128, 1);
        bytes.extend_from_slice(&opening);
        stream.write_all(&bytes).await.unwrap();
        closed(stream).await;
    }
    still_works(&cluster, 0).await;
}

/// Many more than there may be handshakes. All are there before anybody dials in earnest, and stay.
async fn half_open_connections_by_the_thousand_stop_nobody(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let addresses = [cluster.address(0).address, cluster.address(1).address];
    let mut half_open = Vec::new();
    for number in 0..3000 {
        let stream = cluster.transport.connect(&addresses[number % 2]).await.unwrap();
        half_open.push(stream);
    }
    still_works(&cluster, 0).await;
    // The oldest has made room, long before its handshake would have timed out.
    closed(half_open.swap_remove(0)).await;
}

async fn a_dialler_that_vanishes_does_not_occupy_its_place(kind: Kind) {
    let cluster = Cluster::start(kind, 2, small()).await;
    let address = cluster.address(0).address;
    for _ in 0..20 {
        // In the name of the second stack, gone before the answer.
        let mut stream = cluster.transport.connect(&address).await.unwrap();
        let bytes = hello(MAGIC, VERSION, 2, 1);
        stream.write_all(&bytes).await.unwrap();
        drop(stream);
    }
    still_works(&cluster, 0).await;
}

/// A peer that answers the dial of a stack and then sends what it should not.
async fn a_producer_that_breaks_the_protocol_fails_its_consumer(kind: Kind) {
    let cluster = Cluster::start(kind, 1, small()).await;
    let watermark = |sequence| {
        messages(&[Message::Control { channel: 0, sequence, element: ControlElement::EndOfInput }])
    };
    let wrongs = [
        data(0, 1, 10),
        watermark(7),
        [data(0, 0, 100_000), data(0, 1, 1)].concat(),
        data(0, 0, 10)[..20].to_vec(),
        vec![0xff; 30],
    ];
    for (number, wrong) in wrongs.into_iter().enumerate() {
        let mut listener = cluster.transport.listen().await.unwrap();
        let mut spec = cluster.spec((0, 0, 0));
        spec.producer.resource = ResourceId(500 + number as u128);
        spec.producer.address = listener.address();
        let signal = hurtig_env::Signal::new();
        let edge = std::sync::Arc::new(crate::harness::BlobEdge);
        let gate = cluster.stacks[0].create_gate(vec![spec], edge, signal.clone());
        let mut consumer = crate::harness::Consumer { gate: gate.unwrap(), signal };
        let mut stream = within("the dial", listener.accept()).await.unwrap();
        let mut bytes = messages(&[Message::HelloAnswer { accepted: true }]);
        bytes.extend_from_slice(&wrong);
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        consumer.failure().await;
        closed(stream).await;
    }
}
