//! Places in line: ephemeral sequential nodes, of which the lowest number is first.
//!
//! A place lasts as long as the session. When the session is gone another place is taken, at the
//! end of the line. Being first only allows to try: the leader's record decides, so a line that
//! was read late does no harm.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::watch};
use zookeeper_client::{Acls, Client, CreateMode, Error, OneshotWatcher};

use super::{
    persistent,
    session::{Session, View},
};
use crate::{
    election::ContenderId,
    store::{Latch, LatchState},
};

/// After a request that failed.
const PAUSE: Duration = Duration::from_millis(200);
/// For giving up a place; the end of the session does it, too.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// Takes a place in the line of that folder, and keeps it until the latch is dropped.
pub(super) fn enter(
    session: Arc<Session>,
    folder: String,
    contender: ContenderId,
    control: &Handle,
) -> Latch {
    let (sender, state) = watch::channel(LatchState::default());
    let (latch, left) = Latch::new(state);
    control.spawn(async move {
        let line = Line { folder, prefix: format!("{contender}-"), sender };
        let mut views = session.watch();
        tokio::select! {
            () = line.keep_place(&mut views) => {}
            _ = left => {}
        }
        let view = views.borrow().clone();
        if let Some(view) = view.filter(|view| view.connected) {
            // Without an answer the session's end does it.
            let _ = tokio::time::timeout(LEAVE_LIMIT, line.leave(&view.client)).await;
        }
    });
    latch
}

struct Line {
    folder: String,
    prefix: String,
    sender: watch::Sender<LatchState>,
}

fn number_of(name: &str) -> Option<u64> {
    name.rsplit_once('-').and_then(|(_, number)| number.parse().ok())
}

impl Line {
    async fn keep_place(&self, views: &mut watch::Receiver<Option<View>>) {
        loop {
            let view = views.borrow_and_update().clone();
            let Some(view) = view.filter(|view| view.connected) else {
                self.sender
                    .send_if_modified(|state| std::mem::replace(&mut state.connected, false));
                if views.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let looked = tokio::select! {
                looked = self.look(&view.client) => looked,
                // The answer may never come.
                changed = views.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    continue;
                }
            };
            match looked {
                Ok((first, watcher)) => {
                    self.sender.send_if_modified(|state| {
                        let now = LatchState { first, connected: true };
                        std::mem::replace(state, now) != now
                    });
                    tokio::select! {
                        _ = watcher.changed() => {}
                        changed = views.changed() => {
                            if changed.is_err() {
                                return;
                            }
                        }
                    }
                }
                Err(error) => {
                    tracing::debug!(error = %error, "the line of contenders is not reachable");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Takes a place if there is none, and tells whether it is the first.
    async fn look(&self, client: &Client) -> Result<(bool, OneshotWatcher), Error> {
        loop {
            match client.list_and_watch_children(&self.folder).await {
                Ok((children, watcher)) => {
                    let own = children.iter().filter(|name| name.starts_with(&self.prefix));
                    match own.filter_map(|name| number_of(name)).min() {
                        Some(own) => {
                            let lowest = children.iter().filter_map(|name| number_of(name)).min();
                            return Ok((lowest == Some(own), watcher));
                        }
                        None => self.take_place(client).await?,
                    }
                }
                Err(Error::NoNode) => client.mkdir(&self.folder, &persistent()).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn take_place(&self, client: &Client) -> Result<(), Error> {
        let options = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
        let path = format!("{}/{}", self.folder, self.prefix);
        client.create(&path, &[], &options).await.map(drop)
    }

    async fn leave(&self, client: &Client) -> Result<(), Error> {
        for name in client.list_children(&self.folder).await? {
            if name.starts_with(&self.prefix) {
                client.delete(&format!("{}/{name}", self.folder), None).await?;
            }
        }
        // The line of a job goes with its last contender. Fails if there are others.
        client.delete(&self.folder, None).await
    }
}
