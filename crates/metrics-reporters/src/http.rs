//! The little of HTTP that a scrape needs: `GET` of one page, one request per connection.
//!
//! Written by hand because that is less code than the glue to a server would be, and so that every
//! process of a cluster, each of which listens, pays for no more than it uses. Whoever connects is a
//! stranger: a request has bounded bytes and time, and there are few connections at once.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};

/// Most bytes of a request's head.
const MOST_HEAD_BYTES: usize = 8 * 1024;
/// Most connections at once; others wait to be accepted.
pub(crate) const MOST_CONNECTIONS: usize = 16;
/// Most time for a request to come, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted: most often there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A page, with its path.
    Page {
        path: String,
        /// Only the head of the answer is wanted.
        head_only: bool,
    },
    /// Something that is not understood, with the status to answer.
    Refused(&'static str),
}

/// Reads the head of a request.
fn parse(head: &[u8]) -> Asked {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return Asked::Refused("400 Bad Request") };
    let mut words = line.trim_end().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let version_is_known = version.is_some_and(|version| version.starts_with("HTTP/1."));
    let (Some(target), true, None) = (target, version_is_known, words.next()) else {
        return Asked::Refused("400 Bad Request");
    };
    let path = target.split(['?', '#']).next().unwrap_or_default().to_owned();
    match method {
        Some("GET") => Asked::Page { path, head_only: false },
        Some("HEAD") => Asked::Page { path, head_only: true },
        _ => Asked::Refused("405 Method Not Allowed"),
    }
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Asked> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(Asked::Refused("400 Bad Request"));
        }
        // The end may lie across two reads.
        let from = head.len().saturating_sub(3);
        head.extend_from_slice(&chunk[..read]);
        if head[from..].windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(parse(&head));
        }
        if head.len() > MOST_HEAD_BYTES {
            return Ok(Asked::Refused("431 Request Header Fields Too Large"));
        }
    }
}

async fn answer<S, F>(stream: &mut S, page: impl Fn() -> F) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = String>,
{
    let asked = timeout(PATIENCE, read_head(stream)).await??;
    let (status, body, head_only) = match asked {
        Asked::Page { path, head_only } if path == "/" || path == "/metrics" => {
            ("200 OK", page().await, head_only)
        }
        Asked::Page { head_only, .. } => ("404 Not Found", "not found\n".to_owned(), head_only),
        Asked::Refused(status) => (status, format!("{status}\n"), false),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let sending = async {
        stream.write_all(head.as_bytes()).await?;
        if !head_only {
            stream.write_all(body.as_bytes()).await?;
        }
        stream.shutdown().await
    };
    timeout(PATIENCE, sending).await?
}

/// Answers requests for a page until it is dropped, and all connections with it.
pub(crate) async fn serve<F>(listener: TcpListener, page: impl Fn() -> F + Clone + Send + 'static)
where
    F: Future<Output = String> + Send,
{
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // The semaphore is never closed.
        let Ok(place) = free.clone().acquire_owned().await else { return };
        let mut stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let page = page.clone();
        connections.spawn(async move {
            if let Err(error) = answer(&mut stream, page).await {
                tracing::debug!(%error, "a scrape was broken off");
            }
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_and_nonsense_is_refused() {
        let page = |path: &str, head_only| Asked::Page { path: path.to_owned(), head_only };
        assert_eq!(parse(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"), page("/metrics", false));
        assert_eq!(parse(b"HEAD / HTTP/1.0\r\n\r\n"), page("/", true));
        assert_eq!(parse(b"POST / HTTP/1.1\r\n\r\n"), Asked::Refused("405 Method Not Allowed"));
        for nonsense in
            [&b""[..], b"GET\r\n", b"GET / HTTP/2\r\n", b"GET / a HTTP/1.1", b"\xff\xfe / HTTP/1.1"]
        {
            assert_eq!(parse(nonsense), Asked::Refused("400 Bad Request"), "{nonsense:?}");
        }
    }

    async fn ask(request: &[u8]) -> String {
        let (mut client, mut server) = tokio::io::duplex(64 * 1024);
        client.write_all(request).await.unwrap();
        let serving = answer(&mut server, || async { "a 1\n".to_owned() });
        let mut text = String::new();
        let reading = client.read_to_string(&mut text);
        let (served, read) = tokio::join!(serving, reading);
        served.unwrap();
        read.unwrap();
        text
    }

    #[tokio::test]
    async fn answers_are_whole() {
        let answered = ask(b"GET /metrics HTTP/1.1\r\n\r\n").await;
        assert!(answered.starts_with("HTTP/1.1 200 OK\r\n"), "{answered}");
        assert!(answered.ends_with("Content-Length: 4\r\nConnection: close\r\n\r\na 1\n"));
        let head = ask(b"HEAD /metrics HTTP/1.1\r\n\r\n").await;
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        assert!(ask(b"GET /x HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
    }

    #[tokio::test]
    async fn a_head_without_end_is_cut_off() {
        let answered = ask(&b"a".repeat(MOST_HEAD_BYTES + 2048)).await;
        assert!(answered.starts_with("HTTP/1.1 431 "), "{answered}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for() {
        let (client, mut server) = tokio::io::duplex(64);
        let answered = answer(&mut server, || async { String::new() }).await;
        assert_eq!(answered.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
