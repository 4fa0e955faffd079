//! A child process that listens on a port.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::Duration,
};

use hurtig_env::Clock;

/// Who does not listen after this long never will.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    child: Child,
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until somebody listens.
pub(crate) fn wait_for(address: &str) {
    let clock = Clock::system();
    let began = clock.monotonic();
    while TcpStream::connect(address).is_err() {
        assert!(clock.monotonic() - began < PATIENCE, "nobody listens on {address}");
        std::thread::yield_now();
    }
}

impl Server {
    pub(crate) fn launch(mut command: Command) -> Self {
        Self { child: command.spawn().unwrap() }
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
