//! The open connections: what [`Admission`] decides, carried out.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::admission::Admission;

/// All connections of a server.
pub(crate) struct Connections {
    state: Mutex<State>,
}

struct State {
    admission: Admission,
    evictions: HashMap<u64, CancellationToken>,
}

impl Connections {
    pub(crate) fn new(max_unproven: usize, max_proven: usize) -> Self {
        let admission = Admission::new(max_unproven, max_proven);
        Self { state: Mutex::new(State { admission, evictions: HashMap::new() }) }
    }

    /// A connection has come; the oldest unproven one may have to go.
    pub(crate) fn arrive(self: &Arc<Self>) -> Arc<Connection> {
        let mut state = self.state.lock();
        let (number, evicted) = state.admission.arrive();
        if let Some(evicted) = evicted.and_then(|number| state.evictions.get(&number)) {
            evicted.cancel();
        }
        let eviction = CancellationToken::new();
        state.evictions.insert(number, eviction.clone());
        let proven = AtomicBool::new(false);
        Arc::new(Connection { number, eviction, proven, connections: self.clone() })
    }
}

/// One connection; it has left when the last holder drops it.
pub(crate) struct Connection {
    number: u64,
    eviction: CancellationToken,
    proven: AtomicBool,
    connections: Arc<Connections>,
}

impl Connection {
    /// Waits until the connection has to go.
    pub(crate) async fn evicted(&self) {
        self.eviction.cancelled().await;
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Relaxed)
    }

    /// An admissible call was made. False if there are too many connections.
    pub(crate) fn prove(&self) -> bool {
        if self.is_proven() {
            return true;
        }
        let proven = self.connections.state.lock().admission.prove(self.number);
        self.proven.store(proven, Relaxed);
        proven
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.connections.state.lock();
        state.admission.leave(self.number);
        state.evictions.remove(&self.number);
    }
}
