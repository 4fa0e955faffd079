//! One ZooKeeper server with a port and a data directory of its own.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

const SCRIPT: &str = "/usr/share/zookeeper/bin/zkServer.sh";

pub struct Server {
    folder: TempDir,
    address: String,
    child: Child,
}

fn launch(folder: &Path) -> Child {
    // The script becomes the server by `exec`, so the child's id is the server's.
    Command::new(SCRIPT)
        .arg("start-foreground")
        .arg(folder.join("zoo.cfg"))
        .env("JMXDISABLE", "true")
        .env("JVMFLAGS", "-Xmx128m -XX:TieredStopAtLevel=1")
        .env("ZOO_LOG_DIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Server {
    /// Starts a server; `None`, with a loud word, where none is installed.
    pub fn start() -> Option<Self> {
        if !Path::new(SCRIPT).exists() {
            eprintln!(
                "SKIPPED: ZooKeeper is not installed ({SCRIPT}); `scripts/zookeeper install` does"
            );
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = folder.path().join("data");
        let configuration = format!(
            "tickTime=200\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n\
             admin.enableServer=false\nforceSync=no\n",
            data.display()
        );
        std::fs::write(folder.path().join("zoo.cfg"), configuration).unwrap();
        let child = launch(folder.path());
        Some(Self { address: format!("127.0.0.1:{port}"), child, folder })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.child = launch(self.folder.path());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
