//! The kit of an actor: a bounded inbox and a cheap handle to it.
//!
//! An actor is a spawned future that owns its state and takes one message after the other from its
//! [`Inbox`]. Others hold a [`Mailbox`]. When the actor has ended, messages to it fail with
//! [`RpcError::Unreachable`].

use tokio::sync::{mpsc, oneshot};

use crate::{RpcError, RpcResult};

/// Messages that may wait for one actor; beyond that senders wait.
const INBOX_MESSAGES: usize = 1024;

/// The receiving end, owned by the actor.
pub type Inbox<M> = mpsc::Receiver<M>;

/// The sending end.
pub struct Mailbox<M> {
    sender: mpsc::Sender<M>,
    role: &'static str,
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), role: self.role }
    }
}

impl<M: Send + 'static> Mailbox<M> {
    /// A mailbox of the named role and its inbox.
    pub fn new(role: &'static str) -> (Self, Inbox<M>) {
        let (sender, inbox) = mpsc::channel(INBOX_MESSAGES);
        (Self { sender, role }, inbox)
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
}
