//! The socket source against a local peer.

use std::time::Duration;

use hurtig_connector_api::{ReadStatus, Source, SourceOutput};
use hurtig_connectors::SocketTextSource;
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::driver::{all_splits, chain_text, reader_context};

/// Sends one text per connection while a reader reads; returns the lines, or the error's text.
async fn receive(
    delimiter: &str,
    max_retries: Option<u32>,
    connections: Vec<String>,
) -> Result<Vec<String>, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = async move {
        for text in connections {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        // From here on, connections are refused.
    };
    let source = SocketTextSource::new("127.0.0.1", port, delimiter, max_retries)
        .retry_delay(Duration::ZERO);
    tokio::join!(peer, read(&source)).1
}

async fn read(source: &SocketTextSource) -> Result<Vec<String>, String> {
    let mut enumerator = source.create_enumerator(2).unwrap();
    let context = reader_context(0, 2);
    let signal = context.signal.clone();
    let mut reader = source.create_reader(context).unwrap();
    reader.add_splits(all_splits(&mut *enumerator)).unwrap();
    assert_eq!(reader.snapshot().len(), 1);
    let mut out = SourceOutput::default();
    loop {
        match reader.read(3, &mut out) {
            Ok(ReadStatus::More) => {}
            Ok(ReadStatus::Wait { until_ms: None }) => signal.wait().await,
            Ok(ReadStatus::Wait { .. }) => panic!("only the signal wakes it"),
            Ok(ReadStatus::NeedSplit) => {
                assert!(out.split_finished && reader.snapshot().is_empty());
                return Ok(out.values);
            }
            Err(e) => return Err(chain_text(&*e)),
        }
    }
}

#[tokio::test]
async fn lines_arrive_until_the_peer_closes() {
    let text = "a\r\nb\n\n\u{e9}t\u{e9}\nlast";
    let lines = receive("\n", Some(0), vec![text.to_owned()]).await;
    assert_eq!(lines.unwrap(), ["a", "b", "", "\u{e9}t\u{e9}", "last"]);
}

#[tokio::test]
async fn a_delimiter_may_be_long_and_connections_many() {
    let texts = ["a<>b<", ">c<>", ""].map(str::to_owned);
    let lines = receive("<>", Some(2), texts.to_vec()).await;
    assert_eq!(lines.unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn back_pressure_loses_nothing() {
    let text: String = (0..300_000).map(|i| format!("line {i}\n")).collect();
    let lines = receive("\n", Some(0), vec![text.clone()]).await.unwrap();
    assert!(lines.iter().eq(&text.lines().collect::<Vec<_>>()));
}

#[tokio::test]
async fn a_refused_connection_fails_after_its_retries() {
    let error = receive("\n", Some(1), Vec::new()).await.unwrap_err();
    assert!(error.starts_with("cannot receive from 127.0.0.1:"));
    assert!(error.contains("after 1 retries: "), "{error}");
}

#[tokio::test]
async fn a_closed_reader_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let source = SocketTextSource::new("127.0.0.1", port, "\n", None);
    let mut enumerator = source.create_enumerator(1).unwrap();
    let mut reader = source.create_reader(reader_context(0, 1)).unwrap();
    reader.add_splits(all_splits(&mut *enumerator)).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    reader.close().unwrap();
    while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
}

#[test]
fn an_empty_delimiter_is_refused() {
    let source = SocketTextSource::new("localhost", 1, "", None);
    assert!(source.create_enumerator(1).is_err());
}
