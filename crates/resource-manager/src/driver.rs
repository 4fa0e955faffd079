//! Drivers: who starts and stops TaskManagers when the ResourceManager wants more or fewer of them.
//!
//! The ResourceManager gives each worker its id before it is started, and expects a TaskManager to
//! register with that id. A driver tells of every worker's end, whoever has caused it, and of every
//! start that came to nothing, both as [`WorkerEnded`]; that a worker has started well is told by
//! its registration.

pub mod local_process;

use std::sync::Arc;

use hurtig_types::ResourceId;

/// A worker has ended, or could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerEnded {
    /// Which.
    pub worker: ResourceId,
    /// How or why.
    pub reason: String,
}

/// Where a driver tells of ends. May be called on any thread; does not block.
pub type WorkerListener = Arc<dyn Fn(WorkerEnded) + Send + Sync>;

/// Starts and stops TaskManagers. The calls return at once.
pub trait ResourceDriver: Send + Sync {
    /// True if it can start any.
    fn can_start_workers(&self) -> bool;
    /// Starts a TaskManager that will register with that id.
    fn start_worker(&self, worker: ResourceId, listener: WorkerListener);
    /// Stops a TaskManager that it has started. Unknown ones are fine.
    fn stop_worker(&self, worker: ResourceId);
}

/// TaskManagers are started by people or scripts: this driver can start none.
#[derive(Clone, Copy, Debug, Default)]
pub struct StandaloneDriver;

impl ResourceDriver for StandaloneDriver {
    fn can_start_workers(&self) -> bool {
        false
    }

    fn start_worker(&self, worker: ResourceId, listener: WorkerListener) {
        let reason = "a standalone cluster starts no TaskManagers by itself".to_owned();
        listener(WorkerEnded { worker, reason });
    }

    fn stop_worker(&self, _: ResourceId) {}
}
