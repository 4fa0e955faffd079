//! Who leads a component at present, for those that follow it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::slot::FencingToken;

/// A leader and the way to it.
pub struct Leader<G: ?Sized> {
    /// Its token. A higher one supersedes a lower.
    pub token: FencingToken,
    /// The way to it.
    pub gateway: Arc<G>,
}

impl<G: ?Sized> Clone for Leader<G> {
    fn clone(&self) -> Self {
        Self { token: self.token, gateway: self.gateway.clone() }
    }
}

/// The leader as it is known and changes; `None` while none is known.
pub type LeaderReceiver<G> = watch::Receiver<Option<Leader<G>>>;

/// A leader that never changes: of a cluster without high availability.
pub fn fixed<G: ?Sized>(token: FencingToken, gateway: Arc<G>) -> LeaderReceiver<G> {
    watch::channel(Some(Leader { token, gateway })).1
}
