//! Bytes from people who mean no good, or are slow, or many.

use std::time::Duration;

use hurtig_rest::RestServerConfig;
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::support::{Cluster, Gate, raw, start, start_with};

fn still_answers(cluster: &Cluster) {
    let (status, body) = cluster.request("GET", "/jobs", "");
    assert_eq!((status, body.as_str()), (200, "{\"jobs\":[]}"));
}

#[test]
fn what_is_no_http_is_refused_and_harms_nobody() {
    let cluster = start();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for length in [0, 1, 7, 100, 5_000, 200_000] {
        let random: Vec<u8> = (0..length)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u8
            })
            .collect();
        let answer = cluster.wait(async {
            let mut stream = TcpStream::connect(cluster.address()).await.unwrap();
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &random).await;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            answer
        });
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{length}");
    }
    still_answers(&cluster);
}

#[test]
fn heads_have_limits() {
    let cluster = start();
    let long_path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(20_000));
    assert!(cluster.raw(long_path.as_bytes()).starts_with("HTTP/1.1 414"));
    let endless = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(1_000_000));
    assert!(cluster.raw(endless.as_bytes()).starts_with("HTTP/1.1 431"));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(5_000));
    assert!(cluster.raw(many.as_bytes()).starts_with("HTTP/1.1 431"));
    assert_eq!(cluster.request("GET", "/%ff%fe", "").0, 400);
    assert_eq!(cluster.request("GET", "/jobs/..%2f..%2fetc%2fpasswd", "").0, 400);
    assert_eq!(cluster.request("GET", "//////", "").0, 404);
    still_answers(&cluster);
}

#[test]
fn bodies_have_limits_whether_announced_or_not() {
    let config = RestServerConfig { max_content_length_bytes: 1_000, ..Default::default() };
    let cluster = start_with(config, |_| {});
    let path = format!("/jobs/{}/savepoints", "0".repeat(32));
    let (status, body) = cluster.request("POST", &path, &" ".repeat(2_000));
    assert_eq!((status, body.contains("larger than 1000 bytes")), (413, true), "{body}");
    let chunks = format!("{:x}\r\n{}\r\n", 500, " ".repeat(500)).repeat(10);
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let answer = cluster.raw(format!("{head}{chunks}0\r\n\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let deep = "[".repeat(900);
    let (status, body) = cluster.request("POST", &path, &deep);
    assert_eq!((status, body.contains("Bad request received")), (400, true), "{body}");
    still_answers(&cluster);
}

#[test]
fn the_slow_are_not_waited_for() {
    let config = RestServerConfig {
        header_timeout: Duration::from_millis(50),
        body_timeout: Duration::from_millis(50),
        idleness_timeout: Duration::from_millis(500),
        ..Default::default()
    };
    let cluster = start_with(config, |_| {});
    // Half a head: the connection is closed, sooner or later without a word.
    let answer = cluster.raw(b"GET /jobs HTTP/1.1\r\nHost:");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    let path = format!("/jobs/{}/savepoints", "0".repeat(32));
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{{");
    let answer = cluster.raw(head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    // Nothing at all.
    assert_eq!(cluster.raw(b""), "");
    still_answers(&cluster);
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let config = RestServerConfig {
        max_connections: 4,
        // Longer than anybody here waits.
        header_timeout: Duration::from_secs(3_600),
        ..Default::default()
    };
    let cluster = start_with(config, |_| {});
    let address = cluster.address();
    cluster.wait(async {
        let mut half_open = Vec::new();
        for _ in 0..50 {
            half_open.push(TcpStream::connect(address).await.unwrap());
        }
        // Those in front say nothing; the oldest make room.
        let request = b"GET /jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = raw(address, request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let mut end = Vec::new();
        let read = half_open[0].read_to_end(&mut end).await;
        assert!(read.is_err() || end.is_empty(), "{end:?}");
    });
}

#[test]
fn more_requests_than_places_wait_for_their_turn() {
    let config = RestServerConfig {
        max_connections: 1,
        header_timeout: Duration::from_millis(300),
        ..Default::default()
    };
    let cluster = start_with(config, |_| {});
    let address = cluster.address();
    cluster.wait(async {
        // It has the only place until it is closed, since it asks for nothing more.
        let mut first = TcpStream::connect(address).await.unwrap();
        let request = b"GET /jobs HTTP/1.1\r\nHost: x\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut first, request).await.unwrap();
        let mut begin = [0; 12];
        first.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        let request = b"GET /jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = raw(address, request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let mut rest = Vec::new();
        first.read_to_end(&mut rest).await.unwrap();
        assert!(rest.ends_with(b"{\"jobs\":[]}"), "the first one was answered and then closed");
    });
}

#[test]
fn without_the_token_nothing_is_told() {
    let config =
        RestServerConfig { bearer_token: Some("open sesame".to_owned()), ..Default::default() };
    let cluster = start_with(config, |_| {});
    for (header, status) in [
        ("", 401),
        ("Authorization: Bearer open\r\n", 401),
        ("Authorization: Bearer open sesame!\r\n", 401),
        ("Authorization: Basic open sesame\r\n", 401),
        ("Authorization: Bearer open sesame\r\n", 200),
    ] {
        for path in ["/jobs", "/openapi.json"] {
            let request = format!("GET {path} HTTP/1.1\r\n{header}Connection: close\r\n\r\n");
            let answer = cluster.raw(request.as_bytes());
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{header} {path}: {answer}");
        }
    }
    assert_eq!(cluster.request("GET", "/unknown", "").0, 401, "not even what there is");
}

#[test]
fn what_the_configuration_forbids_is_forbidden() {
    let config =
        RestServerConfig { submit_enabled: false, cancel_enabled: false, ..Default::default() };
    let (cluster, gate) = (start_with(config, |_| {}), Gate::default());
    let job = cluster.submit_sums(&gate);
    for (method, path) in [
        ("PATCH", format!("/jobs/{job}")),
        ("POST", format!("/jobs/{job}/savepoints")),
        ("POST", format!("/jobs/{job}/stop")),
        ("GET", "/jars".to_owned()),
        ("POST", "/binaries/upload".to_owned()),
        ("DELETE", "/jars/x".to_owned()),
    ] {
        assert_eq!(cluster.request(method, &path, "").0, 403, "{method} {path}");
    }
    let features = cluster.get("/config")["features"].clone();
    assert_eq!((&features["web-submit"], &features["web-cancel"]), (&false.into(), &false.into()));
    gate.open();
}

#[test]
fn a_server_that_shuts_down_answers_what_is_under_way_and_takes_nothing_new() {
    let cluster = start();
    let address = cluster.address();
    let connection = cluster.wait(TcpStream::connect(address)).unwrap();
    cluster.wait(cluster.server.shut_down());
    drop(connection);
    let refused = cluster.wait(TcpStream::connect(address));
    assert!(refused.is_err(), "nobody listens");
}
