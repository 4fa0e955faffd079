//! Who is behind a gateway, where it is found, and when it is gone.
//!
//! A gateway whose other side is known answers with more than [`Peer::unknown`] to `peer()`: an
//! actor's handle by [`crate::Mailbox::peer`], a client of a gateway in another process by its
//! address and connection. So a gateway can be passed on to a third process, and a loss is noticed
//! before a heartbeat times out.

use std::{fmt, pin::Pin};

use serde::{Deserialize, Serialize};

use crate::FencingToken;

/// The fencing token of what is not fenced.
pub const NOT_FENCED: FencingToken = FencingToken(0);

/// Where a gateway of another process is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GatewayAddress {
    /// `host:port` of the process's RPC server.
    pub endpoint: String,
    /// Which of the server's gateways: a well-known name, or an id that was given to one gateway
    /// of one process and will never mean another.
    pub export: String,
    /// The token that messages carry; [`NOT_FENCED`] if the gateway is not fenced.
    pub token: FencingToken,
}

impl fmt::Display for GatewayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.endpoint, self.export)
    }
}

/// Who is behind a gateway. Two gateways of equal identity lead to the same place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// An actor of this process. The number means that actor only while a gateway to it is held.
    Actor(usize),
    /// A gateway of another process.
    Remote(GatewayAddress),
    /// Nobody knows.
    Unknown,
}

/// The other side of a gateway.
pub struct Peer {
    identity: Identity,
    gone: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Peer {
    /// A peer, and what ends when it is gone.
    pub fn new(identity: Identity, gone: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { identity, gone: Box::pin(gone) }
    }

    /// One of which nothing is known; it never seems gone.
    pub fn unknown() -> Self {
        Self::new(Identity::Unknown, std::future::pending())
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Waits until the peer is gone: its actor has ended, or the connection to its process is
    /// broken or cannot be made. A peer that is gone for one gateway may be back for another.
    pub async fn gone(self) {
        self.gone.await;
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peer").field(&self.identity).finish()
    }
}
