//! The task of a contender, and the handle to it.
//!
//! The task owns the decisions ([`super::decision`]), carries out one request after the other, and
//! tells contenders. Contenders are called from that task and must not block: they post to their
//! own mailbox.

use std::{sync::Arc, time::Duration};

use futures::future::{BoxFuture, FutureExt};
use hurtig_cluster_api::FencingToken;
use hurtig_env::Clock;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

use super::{
    ContenderId, LeaderRecord, LeaderScope, Leadership, TakeoverRule,
    decision::{Election, ElectionCommand, ElectionEvent},
};
use crate::{
    error::HighAvailabilityError,
    options::ElectionOptions,
    store::{HighAvailabilityBackend, Latch, LatchState, RecordStore, RecordStoreError},
};

/// Messages that may wait for the task.
const INBOX_MESSAGES: usize = 64;

/// One who can lead. Calls come in turns: grant, revoke, grant, ... with growing tokens.
pub trait LeaderContender: Send + Sync {
    /// The contender leads now. It claims what it owns, and then confirms.
    fn grant_leadership(&self, token: FencingToken);
    /// The contender leads no more: another may.
    fn revoke_leadership(&self, token: FencingToken);
}

enum Message {
    Contend(Arc<dyn LeaderContender>),
    Confirm {
        token: FencingToken,
        component: String,
        address: String,
        answer: oneshot::Sender<bool>,
    },
    Leave(oneshot::Sender<()>),
}

/// A contender's part in the election of one scope. When the last handle is dropped the contender
/// leaves as if it had crashed: others wait for its lease or session to end.
#[derive(Clone)]
pub struct LeaderElection {
    scope: LeaderScope,
    messages: mpsc::Sender<Message>,
    leadership: watch::Receiver<Leadership>,
    patience: Duration,
}

impl std::fmt::Debug for LeaderElection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaderElection").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl LeaderElection {
    /// Enters the election of a scope.
    pub fn start(
        backend: &dyn HighAvailabilityBackend,
        scope: LeaderScope,
        me: ContenderId,
        options: ElectionOptions,
        clock: Clock,
        control: &Handle,
    ) -> Self {
        let key = scope.record_key();
        let latch = backend.latch(&key, me);
        let rule = if latch.is_some() { TakeoverRule::Latch } else { TakeoverRule::Lease };
        let (messages, inbox) = mpsc::channel(INBOX_MESSAGES);
        let (sender, leadership) = watch::channel(Leadership::Standby);
        let patience = options.request_timeout * 2;
        let task = Task {
            election: Election::new(me, rule, scope.contenders_create(), options.clone()),
            store: backend.records(),
            key,
            scope,
            clock,
            request_timeout: options.request_timeout,
            contenders: Vec::new(),
            waiting: Vec::new(),
            leavers: Vec::new(),
            leadership: sender,
            request: None,
        };
        control.spawn(task.run(inbox, latch));
        Self { scope, messages, leadership, patience }
    }

    /// Takes part in leadership: `contender` is granted it when this process gets it, or at once if
    /// it has it.
    pub async fn contend(
        &self,
        contender: Arc<dyn LeaderContender>,
    ) -> Result<(), HighAvailabilityError> {
        let sent = self.messages.send(Message::Contend(contender)).await;
        sent.map_err(|_| self.closed())
    }

    /// The leader of that token is ready, and `component` is reached at `address`. Returns once
    /// that is in the leader's record, for those that follow it; false if leadership has been lost
    /// meanwhile.
    pub async fn confirm_leadership(
        &self,
        token: FencingToken,
        component: &str,
        address: &str,
    ) -> Result<bool, HighAvailabilityError> {
        let (answer, answered) = oneshot::channel();
        let (component, address) = (component.to_owned(), address.to_owned());
        let message = Message::Confirm { token, component, address, answer };
        self.messages.send(message).await.map_err(|_| self.closed())?;
        answered.await.map_err(|_| self.closed())
    }

    /// Whether this process leads with that token, as far as it can know.
    pub fn has_leadership(&self, token: FencingToken) -> bool {
        self.leadership.borrow().token() == Some(token)
    }

    /// Leadership as it is and changes.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// Leaves in order, so that another can lead at once. Waits for the store only for so long.
    pub async fn close(&self) {
        let (sender, left) = oneshot::channel();
        if self.messages.send(Message::Leave(sender)).await.is_ok() {
            // Left, or the task has ended, or the store does not answer: then leases end it.
            let _ = tokio::time::timeout(self.patience, left).await;
        }
    }

    fn closed(&self) -> HighAvailabilityError {
        HighAvailabilityError::Closed { scope: self.scope.to_string() }
    }
}

/// One who waits for a confirmation.
struct Waiting {
    token: FencingToken,
    component: String,
    address: String,
    answer: oneshot::Sender<bool>,
}

struct Task {
    election: Election,
    store: Arc<dyn RecordStore>,
    key: String,
    scope: LeaderScope,
    clock: Clock,
    request_timeout: Duration,
    contenders: Vec<Arc<dyn LeaderContender>>,
    waiting: Vec<Waiting>,
    leavers: Vec<oneshot::Sender<()>>,
    leadership: watch::Sender<Leadership>,
    request: Option<BoxFuture<'static, ElectionEvent>>,
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>, mut latch: Option<Latch>) {
        if let Some(latch) = &mut latch {
            let state = *latch.state.borrow_and_update();
            self.on_event(ElectionEvent::Latch(state));
        }
        while self.step(&mut inbox, &mut latch).await {}
        let held = self.leadership.borrow().token();
        if let Some(token) = held {
            self.contenders.iter().for_each(|contender| contender.revoke_leadership(token));
            self.leadership.send_replace(Leadership::Standby);
        }
    }

    /// Takes one event; false at the end.
    async fn step(
        &mut self,
        inbox: &mut mpsc::Receiver<Message>,
        latch: &mut Option<Latch>,
    ) -> bool {
        let wake_ms = self.election.next_tick_ms().and_then(|at| i64::try_from(at).ok());
        let wake_at = tick_instant(self.clock, wake_ms.unwrap_or(i64::MAX));
        tokio::select! {
            event = request(&mut self.request) => {
                self.request = None;
                self.on_event(event)
            }
            message = inbox.recv() => match message {
                Some(message) => self.on_message(message),
                // Nobody holds a handle.
                None => false,
            },
            state = latch_change(latch) => self.on_event(ElectionEvent::Latch(state)),
            () = tokio::time::sleep_until(wake_at) => self.on_event(ElectionEvent::Tick),
        }
    }

    fn on_message(&mut self, message: Message) -> bool {
        match message {
            Message::Contend(contender) => {
                if let Some(token) = self.leadership.borrow().token() {
                    contender.grant_leadership(token);
                }
                self.contenders.push(contender);
                true
            }
            Message::Confirm { token, component, address, answer } => {
                if self.leadership.borrow().token() != Some(token) {
                    // The asker may have gone.
                    let _ = answer.send(false);
                    return true;
                }
                let event = ElectionEvent::Publish {
                    component: component.clone(),
                    address: Some(address.clone()),
                };
                self.waiting.push(Waiting { token, component, address, answer });
                self.on_event(event)
            }
            Message::Leave(sender) => {
                self.leavers.push(sender);
                self.on_event(ElectionEvent::Leave)
            }
        }
    }

    fn on_event(&mut self, event: ElectionEvent) -> bool {
        let now_ms = self.clock.monotonic().as_millis() as u64;
        let commands = self.election.on_event(now_ms, event);
        let mut goes_on = true;
        for command in commands {
            match command {
                ElectionCommand::Read => self.request = Some(self.read()),
                ElectionCommand::Write(record, precondition) => {
                    let (store, key) = (self.store.clone(), self.key.clone());
                    let limit = self.request_timeout;
                    let write = async move {
                        let bytes = record.to_bytes().into();
                        let put = store.put(&key, bytes, precondition);
                        match tokio::time::timeout(limit, put).await {
                            Ok(Ok(version)) => ElectionEvent::Written(version),
                            Ok(Err(RecordStoreError::Conflict { .. })) => ElectionEvent::Conflict,
                            Ok(Err(error)) => {
                                warn_of(&key, &error);
                                ElectionEvent::WriteUncertain
                            }
                            Err(_) => ElectionEvent::WriteUncertain,
                        }
                    };
                    self.request = Some(write.boxed());
                }
                ElectionCommand::Grant(token) => {
                    tracing::info!(scope = %self.scope, token = token.0, "leadership granted");
                    self.contenders.iter().for_each(|one| one.grant_leadership(token));
                }
                ElectionCommand::Revoke(token) => {
                    tracing::info!(scope = %self.scope, token = token.0, "leadership revoked");
                    self.contenders.iter().for_each(|one| one.revoke_leadership(token));
                }
                ElectionCommand::Left => goes_on = false,
            }
        }
        self.tell_leadership();
        self.answer_confirmations();
        if !goes_on {
            for leaver in self.leavers.drain(..) {
                let _ = leaver.send(());
            }
        }
        goes_on
    }

    fn read(&self) -> BoxFuture<'static, ElectionEvent> {
        let (store, key, limit) = (self.store.clone(), self.key.clone(), self.request_timeout);
        let read = async move {
            let found = match tokio::time::timeout(limit, store.get(&key)).await {
                Ok(Ok(found)) => found,
                Ok(Err(error)) => {
                    warn_of(&key, &error);
                    return ElectionEvent::ReadFailed;
                }
                Err(_) => return ElectionEvent::ReadFailed,
            };
            let Some(found) = found else {
                return ElectionEvent::Read(None);
            };
            match LeaderRecord::from_bytes(&found.bytes) {
                Ok(record) => ElectionEvent::Read(Some((record, found.version))),
                Err(error) => {
                    // A person must look: overwriting it could give a token out twice.
                    tracing::error!(key, error = %error, "the leader's record is damaged");
                    ElectionEvent::ReadFailed
                }
            }
        };
        read.boxed()
    }

    fn tell_leadership(&self) {
        let now = self.election.leadership();
        let before = self.leadership.send_replace(now);
        match (before, now) {
            (Leadership::Leader(_), Leadership::Suspended(token)) => tracing::warn!(
                scope = %self.scope,
                token = token.0,
                "leadership cannot be confirmed; work goes on until it is known to be lost"
            ),
            (Leadership::Suspended(_), Leadership::Leader(token)) => {
                tracing::info!(scope = %self.scope, token = token.0, "leadership confirmed again");
            }
            _ => {}
        }
    }

    fn answer_confirmations(&mut self) {
        let held = self.election.leadership().token();
        for waiting in std::mem::take(&mut self.waiting) {
            if held != Some(waiting.token) {
                let _ = waiting.answer.send(false);
            } else if self.election.is_published(&waiting.component, &waiting.address) {
                let _ = waiting.answer.send(true);
            } else if !waiting.answer.is_closed() {
                self.waiting.push(waiting);
            }
        }
    }
}

fn warn_of(key: &str, error: &RecordStoreError) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(
        key,
        error = %error,
        cause = cause.as_deref().unwrap_or_default(),
        "the leader's record is not reachable"
    );
}

fn tick_instant(clock: Clock, at_ms: i64) -> tokio::time::Instant {
    // From the monotonic clock, which decisions use, to the wall clock, which is an offset away.
    let offset_ms = clock.now_ms() - clock.monotonic().as_millis() as i64;
    clock.instant_at(at_ms.saturating_add(offset_ms).saturating_add(1))
}

async fn request(request: &mut Option<BoxFuture<'static, ElectionEvent>>) -> ElectionEvent {
    match request {
        Some(request) => request.await,
        None => std::future::pending().await,
    }
}

async fn latch_change(latch: &mut Option<Latch>) -> LatchState {
    if let Some(latch) = latch
        && latch.state.changed().await.is_ok()
    {
        return *latch.state.borrow_and_update();
    }
    std::future::pending().await
}
