//! Wake-ups of a task's loop.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes the one task that waits on it. A post without a waiter is remembered once.
#[derive(Clone, Debug, Default)]
pub struct Signal(Arc<Notify>);

impl Signal {
    /// A signal that nobody has posted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the waiter, or lets the next wait return at once.
    pub fn post(&self) {
        self.0.notify_one();
    }

    /// Returns once the signal has been posted since the last wait.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}
