//! What a peer may do wrong: every kind is refused with a reason, costs little, and disturbs
//! nobody else.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hurtig_cluster_api::*;
use hurtig_rpc::{Export, PROTOCOL_VERSION, RpcLimits, RpcServer};
use hyper::{body::Frame, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    recorder::RecordingJobMaster,
    support::{one, server, server_with, soon},
};

type Master = Arc<dyn JobMasterGateway>;
type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const BRIEF: Duration = Duration::from_millis(40);

/// A server with a JobMaster, and a client of it that behaves.
async fn under_attack(
    change: impl FnOnce(&mut RpcLimits),
) -> (RpcServer, RpcServer, Export, Master) {
    let (callee, caller) = (server_with(1, change).await, server(2).await);
    let service = callee.service();
    let export = service.export_as("jm", RecordingJobMaster::plain(), NOT_FENCED).unwrap();
    let client = caller.service().connect(export.address()).unwrap();
    (callee, caller, export, client)
}

async fn dial(server: &RpcServer) -> TcpStream {
    soon(TcpStream::connect(server.service().endpoint())).await.unwrap()
}

/// Reads until the other side has closed.
async fn closed(mut stream: TcpStream) {
    let mut bytes = [0; 1024];
    soon(async { while !matches!(stream.read(&mut bytes).await, Ok(0) | Err(_)) {} }).await;
}

/// Requests as no client of ours would send them.
struct Raw(http2::SendRequest<Body>);

impl Raw {
    async fn connect(server: &RpcServer) -> Self {
        let io = TokioIo::new(dial(server).await);
        let (requests, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        Self(requests)
    }

    async fn send(
        &mut self,
        request: Request<Body>,
    ) -> hyper::Result<Response<hyper::body::Incoming>> {
        soon(self.0.send_request(request)).await
    }

    /// What a request is refused with: the code and text of gRPC, or the error of the gateway.
    async fn refusal(&mut self, request: Request<Body>) -> String {
        let response = self.send(request).await.unwrap();
        let text = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or("").to_owned()
        };
        let (status, message) = (text("grpc-status"), text("grpc-message"));
        if !status.is_empty() {
            return format!("status {status} {message}");
        }
        let body = soon(response.into_body().collect()).await.unwrap().to_bytes();
        String::from_utf8_lossy(&body).into_owned()
    }
}

fn full(bytes: &[u8]) -> Body {
    Full::new(Bytes::copy_from_slice(bytes)).boxed_unsync()
}

/// A message in its frame.
fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

/// A call of a JobMaster's method, as it should be.
fn call(method: &str, message: &[u8]) -> Request<Body> {
    Request::post(format!("http://server/hurtig.JobMasterGateway/{method}"))
        .header("hurtig-version", PROTOCOL_VERSION)
        .header("hurtig-export", "jm")
        .header("hurtig-fencing-token", "0")
        .header("content-type", "application/grpc")
        .body(full(&framed(message)))
        .unwrap()
}

fn with_header(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

fn without_header(mut request: Request<Body>, name: &str) -> Request<Body> {
    request.headers_mut().remove(name);
    request
}

fn with_body(request: Request<Body>, body: &[u8]) -> Request<Body> {
    request.map(|_| full(body))
}

fn with_path(mut request: Request<Body>, path: &str) -> Request<Body> {
    *request.uri_mut() = format!("http://server{path}").parse().unwrap();
    request
}

#[tokio::test]
async fn malformed_calls_are_refused_with_a_reason() {
    let (callee, _caller, _export, client) = under_attack(|_| ()).await;
    let mut raw = Raw::connect(&callee).await;
    let right = || call("status", &[]);
    let mut too_long = vec![0, 0xff, 0xff, 0xff, 0xff];
    too_long.push(1);
    let cases = [
        (without_header(right(), "hurtig-version"), "version unknown cannot speak"),
        (with_header(right(), "hurtig-version", "9.9.9/1"), "version 9.9.9/1 cannot speak"),
        (without_header(right(), "hurtig-export"), "export is missing"),
        (with_header(right(), "hurtig-export", "nobody"), "there is no such gateway"),
        (with_header(right(), "hurtig-fencing-token", "x"), "malformed fencing token"),
        (with_header(right(), "hurtig-fencing-token", "-1"), "malformed fencing token"),
        (with_path(right(), "/"), "no such method"),
        (with_path(right(), "/hurtig.JobMasterGateway"), "no such method"),
        (with_path(right(), "/hurtig.DispatcherGateway/status"), "is a JobMasterGateway"),
        (call("explode", &[]), "has no method \"explode\""),
        (call("status", &[1]), "malformed arguments of status"),
        (call("fail_slot", &[7]), "malformed arguments of fail_slot"),
        (call("fail_slot", &[1, 255, 255, 255, 255, 15]), "malformed arguments of fail_slot"),
        (with_body(right(), &[]), "incomplete"),
        (with_body(right(), &[0, 0]), "incomplete"),
        (with_body(right(), &[0, 0, 0, 0, 2, 1]), "incomplete"),
        (with_body(right(), &[0, 0, 0, 0, 1, 1, 1]), "one message"),
        (with_body(right(), &[1, 0, 0, 0, 0]), "not compressed"),
        (with_body(right(), &too_long), "pekko.framesize allows"),
    ];
    for (request, expected) in cases {
        let shown = format!("{request:?}");
        let refusal = raw.refusal(request).await;
        let refusal = percent_decoded(&refusal);
        assert!(refusal.contains(expected), "{expected:?} expected of {shown}, got {refusal:?}");
    }
    let answered = raw.send(right()).await.unwrap();
    assert!(answered.headers().get("grpc-status").is_none(), "the connection is still good");
    client.status().await.unwrap();
}

/// gRPC writes texts of status with percent signs.
fn percent_decoded(text: &str) -> String {
    text.replace("%20", " ").replace("%22", "\"").replace("%2F", "/")
}

#[tokio::test]
async fn a_peer_of_another_version_is_told_so() {
    let (callee, _caller, _export, _client) = under_attack(|_| ()).await;
    let mut raw = Raw::connect(&callee).await;
    let refusal = raw.refusal(with_header(call("status", &[]), "hurtig-version", "7/1")).await;
    let expected = format!(
        "status 9 version 7/1 cannot speak with version {PROTOCOL_VERSION}: all processes of a \
         cluster and its jobs must be built from one release"
    );
    assert_eq!(percent_decoded(&refusal), expected);
}

#[tokio::test]
async fn oversize_messages_are_refused_by_either_side_and_the_connection_stays() {
    const LIMIT: usize = 1 << 16;
    let (callee, _caller, export, client) =
        under_attack(|limits| limits.frame_size_bytes = LIMIT).await;
    let generous = server_with(3, |limits| limits.frame_size_bytes = 64 << 20).await;
    let reckless: Master = generous.service().connect(export.address()).unwrap();
    let id = hurtig_types::OperatorId(1);
    for size in [LIMIT + 1, 1 << 20, 16 << 20] {
        let refused = reckless.coordination_request(id, vec![7; size]).await.unwrap_err();
        assert!(matches!(&refused, RpcError::Rejected(_)), "{size}: {refused:?}");
        reckless.status().await.unwrap();
    }
    reckless.coordination_request(id, vec![7; LIMIT - 64]).await.unwrap();

    // Not even sent.
    let strict = server_with(4, |limits| limits.frame_size_bytes = LIMIT).await;
    let careful: Master = strict.service().connect(export.address()).unwrap();
    let refused = careful.coordination_request(id, vec![7; LIMIT + 1]).await.unwrap_err();
    assert!(refused.to_string().contains("was not sent"), "{refused}");

    // An answer of more than 64 KiB.
    drop((callee, client));
    let (_callee, _caller, _export, client) =
        under_attack(|limits| limits.frame_size_bytes = 64).await;
    let refused = client.details().await.unwrap_err();
    assert!(refused.to_string().starts_with("the answer has "), "{refused}");
    client.status().await.unwrap();
}

#[tokio::test]
async fn random_bytes_close_a_connection_and_nothing_else() {
    let (callee, _caller, _export, client) = under_attack(|_| ()).await;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |len: usize| -> Vec<u8> {
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    };
    for round in 0..300 {
        let mut stream = dial(&callee).await;
        // Every other one gets as far as the parser of HTTP/2.
        let mut bytes = if round % 2 == 0 { Vec::new() } else { PREFACE.to_vec() };
        bytes.extend(random(24 + round % 400));
        // Fails if the server has had enough already.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        closed(stream).await;
        if round % 50 == 0 {
            client.status().await.unwrap();
        }
    }
    // Frames that are well formed, and mean nothing.
    for kind in 0..=255_u8 {
        let mut stream = dial(&callee).await;
        let mut bytes = PREFACE.to_vec();
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        bytes.extend([0, 0, 8, kind, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        bytes.extend(random(8));
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        closed(stream).await;
    }
    client.status().await.unwrap();
}

#[tokio::test]
async fn half_open_connections_by_the_thousand_keep_nobody_out() {
    const PLACES: usize = 64;
    const ATTACKERS: usize = 3000;
    let (callee, caller, export, client) =
        under_attack(|limits| limits.max_unproven_connections = PLACES).await;
    client.status().await.unwrap();
    let mut silent = Vec::new();
    for number in 0..ATTACKERS {
        let mut stream = dial(&callee).await;
        match number % 3 {
            0 => {}
            1 => stream.write_all(&PREFACE[..7]).await.unwrap(),
            _ => stream.write_all(PREFACE).await.unwrap(),
        }
        silent.push(stream);
        if number % 500 == 0 {
            // One that is connected, and one that comes now.
            client.status().await.unwrap();
            let newcomer = server(3).await;
            let fresh: Master = newcomer.service().connect(export.address()).unwrap();
            fresh.status().await.unwrap();
        }
    }
    let last = silent.split_off(ATTACKERS - PLACES);
    for stream in silent {
        closed(stream).await;
    }
    drop((last, caller));
}

#[tokio::test]
async fn a_connection_that_never_calls_is_closed() {
    let (callee, _caller, _export, client) =
        under_attack(|limits| limits.proof_timeout = BRIEF).await;
    client.status().await.unwrap();
    let (silent, mut greeted) = (dial(&callee).await, dial(&callee).await);
    greeted.write_all(PREFACE).await.unwrap();
    // Calls that are not admissible are no proof.
    let mut raw = Raw::connect(&callee).await;
    raw.refusal(with_header(call("status", &[]), "hurtig-export", "nobody")).await;
    closed(silent).await;
    closed(greeted).await;
    let gone = async {
        while raw.0.ready().await.is_ok() {
            tokio::task::yield_now().await
        }
    };
    soon(gone).await;
    client.status().await.unwrap();
}

#[tokio::test]
async fn more_connections_than_allowed_are_refused() {
    let (_callee, _caller, export, client) =
        under_attack(|limits| limits.max_connections = 1).await;
    client.status().await.unwrap();
    let second = server(3).await;
    let client: Master = second.service().connect(export.address()).unwrap();
    let refused = client.status().await.unwrap_err();
    assert_eq!(refused, RpcError::Rejected("too many connections".to_owned()));
}

#[tokio::test]
async fn more_calls_than_allowed_are_refused() {
    let (hold, master) = RecordingJobMaster::held();
    let callee = server_with(1, |limits| limits.max_calls = 1).await;
    let export = callee.service().export(master, NOT_FENCED).unwrap();
    let caller = server(2).await;
    let client: Master = caller.service().connect(export.address()).unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.result().await }
    });
    one(&hold.entered).await;
    let refused = client.status().await.unwrap_err();
    assert_eq!(refused, RpcError::Rejected("too many calls are under way".to_owned()));
    hold.release.add_permits(2);
    soon(waiting).await.unwrap().unwrap();
    client.status().await.unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_is_given_up_and_its_memory_is_free_again() {
    let (callee, _caller, _export, client) = under_attack(|limits| {
        limits.ask_timeout = Duration::from_millis(200);
        limits.frame_size_bytes = 4096;
        limits.max_request_bytes = 4096;
    })
    .await;
    let mut raw = Raw::connect(&callee).await;
    let (sender, receiver) = futures::channel::mpsc::unbounded();
    // All of the memory there is, but for a few bytes.
    let mut start = BytesMut::from(&framed(&[0; 4096])[..4092]);
    start.truncate(4092);
    sender.unbounded_send(Ok(Frame::data(start.freeze()))).unwrap();
    let body = StreamBody::new(receiver).boxed_unsync();
    let refusal = raw.refusal(call("status", &[]).map(|_| body)).await;
    assert!(percent_decoded(&refusal).contains("did not arrive in time"), "{refusal}");
    drop(sender);
    client.coordination_request(hurtig_types::OperatorId(1), vec![0; 3000]).await.unwrap();
}
