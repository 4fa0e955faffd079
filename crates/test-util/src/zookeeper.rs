//! One ZooKeeper server: Debian's package.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::server::{Server, free_port};

const SCRIPT: &str = "/usr/share/zookeeper/bin/zkServer.sh";

/// A ZooKeeper server. It may take a while until it answers: clients try again.
pub struct ZooKeeper {
    folder: TempDir,
    address: String,
    server: Server,
}

fn launch(folder: &Path) -> Server {
    // The script becomes the server by `exec`, so the child's id is the server's.
    let mut command = Command::new(SCRIPT);
    command
        .arg("start-foreground")
        .arg(folder.join("zoo.cfg"))
        .env("JMXDISABLE", "true")
        .env("JVMFLAGS", "-Xmx128m -XX:TieredStopAtLevel=1")
        .env("ZOO_LOG_DIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Server::launch(command)
}

impl ZooKeeper {
    /// Starts a server; `None`, with a loud word, where none is installed.
    pub fn start() -> Option<Self> {
        if !Path::new(SCRIPT).exists() {
            eprintln!(
                "SKIPPED: ZooKeeper is not installed ({SCRIPT}); `scripts/zookeeper install` does"
            );
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let data = folder.path().join("data");
        let configuration = format!(
            "tickTime=200\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n\
             admin.enableServer=false\nforceSync=no\n",
            data.display()
        );
        std::fs::write(folder.path().join("zoo.cfg"), configuration).unwrap();
        let server = launch(folder.path());
        Some(Self { address: format!("127.0.0.1:{port}"), server, folder })
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A directory that lives as long as the server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends it a signal by name, such as `STOP`.
    pub fn signal(&self, signal: &str) {
        self.server.signal(signal);
    }

    /// Kills it, as a crash does.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again with the same data and port.
    pub fn restart(&mut self) {
        self.server = launch(self.folder.path());
    }
}
