//! The two executors of a process.

use std::{io, thread, time::Duration};

use tokio::runtime::{Builder, Handle, Runtime};

/// The stack of threads that run tasks. Chained operators call each other, and expressions of SQL
/// recurse; both have bounds that fit. Only what is used of it takes memory.
const TASK_STACK_BYTES: usize = 16 << 20;

/// Handles to the two executors. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Runtimes {
    /// Runs tasks: as many threads as cores.
    pub compute: Handle,
    /// Runs actors, heartbeats and network I/O.
    pub control: Handle,
}

impl Runtimes {
    /// Both roles on the runtime of the caller. For simulation and tests.
    pub fn current() -> Self {
        let handle = Handle::current();
        Self { compute: handle.clone(), control: handle }
    }

    /// Runs `future` to its end on a thread of its own: for user code that declares that it
    /// blocks.
    pub fn spawn_dedicated<F>(&self, name: &str, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let handle = self.compute.clone();
        thread::Builder::new().name(name.to_owned()).spawn(move || handle.block_on(future))?;
        Ok(())
    }
}

/// Runs `work` on a thread with a stack of that size, and waits for it: for work that recurses to a
/// depth that is bounded, but not by the stack of whoever calls. The inner error is its panic.
pub fn with_stack<T: Send>(
    name: &str,
    stack_bytes: usize,
    work: impl FnOnce() -> T + Send,
) -> io::Result<thread::Result<T>> {
    let thread = thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes);
    thread::scope(|scope| Ok(thread.spawn_scoped(scope, work)?.join()))
}

/// The executors themselves; dropping them stops everything that runs on them.
#[derive(Debug)]
pub struct OwnedRuntimes {
    compute: Option<Runtime>,
    control: Option<Runtime>,
}

impl OwnedRuntimes {
    /// Starts both executors; `compute_threads` of `None` means one per core.
    pub fn start(compute_threads: Option<usize>) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let compute = Builder::new_multi_thread()
            .worker_threads(compute_threads.unwrap_or(cores).max(1))
            .thread_name("hurtig-task")
            .thread_stack_size(TASK_STACK_BYTES)
            .enable_all()
            .build()?;
        let control = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("hurtig-control")
            .enable_all()
            .build()?;
        Ok(Self { compute: Some(compute), control: Some(control) })
    }

    /// Handles to both.
    pub fn handles(&self) -> Runtimes {
        match (&self.compute, &self.control) {
            (Some(compute), Some(control)) => {
                Runtimes { compute: compute.handle().clone(), control: control.handle().clone() }
            }
            _ => unreachable!("both are present until drop"),
        }
    }
}

impl Drop for OwnedRuntimes {
    fn drop(&mut self) {
        // A task that does not give way must not keep the process: it gets a moment, no more.
        if let Some(compute) = self.compute.take() {
            compute.shutdown_timeout(Duration::from_millis(200));
        }
        if let Some(control) = self.control.take() {
            control.shutdown_timeout(Duration::from_millis(200));
        }
    }
}
