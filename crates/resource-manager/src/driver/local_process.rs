//! TaskManagers as child processes on this machine.
//!
//! What is started is said by whoever makes the driver: a function from the worker's id to a
//! command. The driver ends a child by SIGTERM, so that it can drain, and by SIGKILL if it has not
//! ended within the grace period. When the driver is dropped, its children are killed; whoever can
//! wait has them end in order before ([`LocalProcessDriver::stop_all`]).

use std::{collections::BTreeMap, process::Command, sync::Arc, time::Duration};

use hurtig_env::Runtimes;
use hurtig_types::ResourceId;
use parking_lot::Mutex;
use tokio::{
    process::Child,
    sync::{oneshot, watch},
};

use super::{ResourceDriver, WorkerEnded, WorkerListener};

/// The command that starts a worker. Its standard streams are the caller's business.
pub type WorkerCommand = dyn Fn(ResourceId) -> Command + Send + Sync;

/// Children that are stopped by sending, or by dropping the sender.
type Children = Arc<Mutex<BTreeMap<ResourceId, oneshot::Sender<()>>>>;

/// Starts TaskManagers as child processes.
pub struct LocalProcessDriver {
    command: Box<WorkerCommand>,
    grace: Duration,
    runtimes: Runtimes,
    children: Children,
    /// Children that run, those that were told to end among them.
    running: watch::Sender<usize>,
}

impl LocalProcessDriver {
    /// A driver that starts workers by that command, and lets them drain for `grace`.
    pub fn new(
        command: impl Fn(ResourceId) -> Command + Send + Sync + 'static,
        grace: Duration,
        runtimes: &Runtimes,
    ) -> Self {
        let (command, runtimes) = (Box::new(command), runtimes.clone());
        let (children, running) = (Children::default(), watch::channel(0).0);
        Self { command, grace, runtimes, children, running }
    }

    /// Asks all children to end, and waits until they have.
    pub async fn stop_all(&self) {
        let children = std::mem::take(&mut *self.children.lock());
        for (_, stop) in children {
            // One that has just ended needs no more.
            let _ = stop.send(());
        }
        // The sender is this object's.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Number of children that have not ended.
    pub fn children(&self) -> usize {
        self.children.lock().len()
    }
}

impl ResourceDriver for LocalProcessDriver {
    fn can_start_workers(&self) -> bool {
        true
    }

    fn start_worker(&self, worker: ResourceId, listener: WorkerListener) {
        let command = (self.command)(worker);
        let program = command.get_program().to_string_lossy().into_owned();
        let (stop, stopped) = oneshot::channel();
        self.children.lock().insert(worker, stop);
        let (children, grace) = (self.children.clone(), self.grace);
        let running = self.running.clone();
        running.send_modify(|running| *running += 1);
        self.runtimes.control.spawn(async move {
            let mut command = tokio::process::Command::from(command);
            let reason = match command.kill_on_drop(true).spawn() {
                Ok(child) => until_end(child, stopped, grace).await,
                Err(error) => format!("cannot start {program}: {error}"),
            };
            children.lock().remove(&worker);
            running.send_modify(|running| *running -= 1);
            listener(WorkerEnded { worker, reason });
        });
    }

    fn stop_worker(&self, worker: ResourceId) {
        if let Some(stop) = self.children.lock().remove(&worker) {
            // One that has just ended needs no more.
            let _ = stop.send(());
        }
    }
}

impl Drop for LocalProcessDriver {
    fn drop(&mut self) {
        // Those that watch the children hold the map, too.
        self.children.lock().clear();
    }
}

/// Waits for a child's end; says how it ended.
async fn until_end(
    mut child: Child,
    mut stopped: oneshot::Receiver<()>,
    grace: Duration,
) -> String {
    let ended = tokio::select! {
        biased;
        ended = child.wait() => ended,
        asked = &mut stopped => {
            // Without a driver there is no time for grace.
            if asked.is_ok() {
                terminate(&child);
                if let Ok(ended) = tokio::time::timeout(grace, child.wait()).await {
                    return describe(ended);
                }
            }
            // One that has just ended cannot be killed any more.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    describe(ended)
}

fn describe(ended: std::io::Result<std::process::ExitStatus>) -> String {
    match ended {
        Ok(status) => format!("its process has ended: {status}"),
        Err(error) => format!("its process cannot be waited for: {error}"),
    }
}

/// Asks a child to end.
fn terminate(child: &Child) {
    // A child that was waited for has no id any more, so no stranger can be hit.
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
        // It may have ended in this moment.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use hurtig_env::OwnedRuntimes;
    use tokio::sync::mpsc;

    use super::*;

    struct Test {
        driver: LocalProcessDriver,
        ended: mpsc::UnboundedReceiver<WorkerEnded>,
        listener: WorkerListener,
        owned: OwnedRuntimes,
    }

    /// Workers run a line of the shell.
    fn test(line: &'static str, grace: Duration) -> Test {
        let owned = OwnedRuntimes::start(Some(1)).unwrap();
        let command = move |worker: ResourceId| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", line]).env("WORKER", worker.0.to_string());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let driver = LocalProcessDriver::new(command, grace, &owned.handles());
        let (sender, ended) = mpsc::unbounded_channel();
        let listener: WorkerListener = Arc::new(move |event| sender.send(event).unwrap());
        Test { driver, ended, listener, owned }
    }

    impl Test {
        fn start(&self, worker: u128) {
            self.driver.start_worker(ResourceId(worker), self.listener.clone());
        }

        fn next_end(&mut self) -> (u128, String) {
            let ended = self.ended.blocking_recv().unwrap();
            (ended.worker.0, ended.reason)
        }
    }

    const FOR_EVER: &str = "exec sleep 1000";

    #[test]
    fn the_end_of_a_child_is_told_at_once_with_its_status() {
        let mut test = test("exit $WORKER", Duration::ZERO);
        test.start(7);
        let (worker, reason) = test.next_end();
        assert_eq!((worker, test.driver.children()), (7, 0));
        assert!(reason.contains("exit status: 7"), "{reason}");
    }

    #[test]
    fn a_child_is_asked_to_end() {
        let mut test = test(FOR_EVER, Duration::from_secs(1_000));
        test.start(1);
        test.start(2);
        test.driver.stop_worker(ResourceId(2));
        let (worker, reason) = test.next_end();
        assert_eq!((worker, test.driver.children()), (2, 1));
        assert!(reason.contains("15 (SIGTERM)"), "{reason}");
        // Again, and one that never was.
        test.driver.stop_worker(ResourceId(2));
        test.driver.stop_worker(ResourceId(3));
    }

    #[test]
    fn all_children_end_in_order() {
        let mut test = test(FOR_EVER, Duration::from_secs(1_000));
        test.start(1);
        test.start(2);
        test.owned.handles().control.block_on(test.driver.stop_all());
        for _ in 0..2 {
            let (_, reason) = test.next_end();
            assert!(reason.contains("15 (SIGTERM)"), "{reason}");
        }
    }

    #[test]
    fn a_child_that_does_not_listen_is_killed() {
        // It ignores the signal from its first moment on: the shell passes that on.
        let mut test = test("trap '' TERM; exec sleep 1000", Duration::from_millis(1));
        test.start(1);
        test.driver.stop_worker(ResourceId(1));
        let (_, reason) = test.next_end();
        assert!(reason.contains("signal: "), "{reason}");
    }

    #[test]
    fn what_cannot_be_started_is_told() {
        let owned = OwnedRuntimes::start(Some(1)).unwrap();
        let command = |_| Command::new("/no/such/program");
        let driver = LocalProcessDriver::new(command, Duration::ZERO, &owned.handles());
        let (sender, mut ended) = mpsc::unbounded_channel();
        driver.start_worker(ResourceId(1), Arc::new(move |event| sender.send(event).unwrap()));
        let reason = ended.blocking_recv().unwrap().reason;
        assert!(reason.starts_with("cannot start /no/such/program: "), "{reason}");
    }

    #[test]
    fn children_do_not_outlive_the_driver() {
        let Test { driver, mut ended, listener, owned } =
            test(FOR_EVER, Duration::from_secs(1_000));
        driver.start_worker(ResourceId(1), listener);
        drop(driver);
        assert!(ended.blocking_recv().unwrap().reason.contains("9 (SIGKILL)"));
        drop(owned);
    }
}
