//! The kit of an actor: a bounded inbox and a cheap handle to it.
//!
//! An actor is a spawned future that owns its state and takes one message after the other from its
//! [`Inbox`]. Others hold a [`Mailbox`]. When the actor has ended, messages to it fail with
//! [`RpcError::Unreachable`].

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::{Identity, Peer, RpcError, RpcResult};

/// Messages that may wait for one actor; beyond that senders wait.
const INBOX_MESSAGES: usize = 1024;

/// The receiving end, owned by the actor.
pub type Inbox<M> = mpsc::Receiver<M>;

/// The sending end.
pub struct Mailbox<M> {
    sender: mpsc::Sender<M>,
    role: &'static str,
    /// Alike in all clones and nowhere else: the address is the identity. A byte, since that of
    /// nothing need not be unique.
    identity: Arc<u8>,
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), role: self.role, identity: self.identity.clone() }
    }
}

impl<M: Send + 'static> Mailbox<M> {
    /// A mailbox of the named role and its inbox.
    pub fn new(role: &'static str) -> (Self, Inbox<M>) {
        let (sender, inbox) = mpsc::channel(INBOX_MESSAGES);
        (Self { sender, role, identity: Arc::new(0) }, inbox)
    }

    /// A way to the same actor that counts as another gateway: to those who pass gateways on, its
    /// identity differs.
    pub fn under_another_identity(&self) -> Self {
        Self { identity: Arc::new(0), ..self.clone() }
    }

    fn gone(&self) -> RpcError {
        RpcError::Unreachable { role: self.role, reason: "it has ended".to_owned() }
    }

    /// Sends a message; waits while the inbox is full.
    pub async fn tell(&self, message: M) -> RpcResult<()> {
        self.sender.send(message).await.map_err(|_| self.gone())
    }

    /// Sends a message without waiting; false if the inbox is full or the actor has ended.
    pub fn try_tell(&self, message: M) -> bool {
        self.sender.try_send(message).is_ok()
    }

    /// Sends a message and waits for the answer.
    pub async fn ask<R>(&self, message: impl FnOnce(oneshot::Sender<R>) -> M) -> RpcResult<R> {
        let (sender, receiver) = oneshot::channel();
        self.tell(message(sender)).await?;
        receiver.await.map_err(|_| self.gone())
    }

    /// Waits until the actor has ended.
    pub async fn ended(&self) {
        self.sender.closed().await;
    }

    /// The actor, as what is behind a gateway.
    pub fn peer(&self) -> Peer {
        let sender = self.sender.clone();
        let identity = Identity::Actor(Arc::as_ptr(&self.identity) as usize);
        Peer::new(identity, async move { sender.closed().await })
    }
}
