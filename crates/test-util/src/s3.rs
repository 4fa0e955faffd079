//! One server that speaks S3, with everything in its memory: `moto`, from the package index of
//! Python.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::server::{Server, free_port, wait_for};

/// An S3 server with one bucket.
pub struct S3 {
    port: u16,
    _server: Server,
}

/// The bucket that is there.
const BUCKET: &str = "hurtig";

fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache.unwrap_or_default().join("hurtig-s3/bin/moto_server")
}

impl S3 {
    /// Starts a server; `None`, with a loud word, where none is installed.
    pub fn start() -> Option<Self> {
        let program = program();
        if !program.exists() {
            let path = program.display();
            eprintln!("SKIPPED: no S3 server is installed ({path}); `scripts/s3 install` does");
            return None;
        }
        let port = free_port();
        let mut command = Command::new(program);
        command
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = Server::launch(command);
        let address = format!("127.0.0.1:{port}");
        wait_for(&address);
        let mut stream = TcpStream::connect(&address).unwrap();
        let request = format!(
            "PUT /{BUCKET} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "no bucket: {answer}");
        Some(Self { port, _server: server })
    }

    /// The URL of the bucket.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}")
    }

    /// What a user puts into the configuration to reach it.
    pub fn configuration(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        pairs([
            ("s3.endpoint", &endpoint),
            ("s3.endpoint.region", "us-east-1"),
            ("s3.access-key", "key"),
            ("s3.secret-key", "secret"),
            ("s3.path.style.access", "true"),
        ])
    }

    /// The same as options of the store.
    pub fn options(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        pairs([
            ("aws_endpoint", &endpoint),
            ("aws_allow_http", "true"),
            ("aws_region", "us-east-1"),
            ("aws_access_key_id", "key"),
            ("aws_secret_access_key", "secret"),
        ])
    }
}

fn pairs<const N: usize>(of: [(&str, &str); N]) -> Vec<(String, String)> {
    of.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}
