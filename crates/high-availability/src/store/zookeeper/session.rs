//! One session with ZooKeeper, kept for as long as ZooKeeper keeps it.
//!
//! A client that has been without a connection for longer than the session timeout takes its
//! session for expired. It may not be: while ZooKeeper itself is down no session expires. So the
//! session is asked for again by its id, and given up only when ZooKeeper says that it is gone.
//! Then another is opened.

use std::time::Duration;

use tokio::{runtime::Handle, sync::watch, task::AbortHandle};
use zookeeper_client::{Client, Connector, Error, SessionInfo, SessionState};

use super::ZooKeeperOptions;

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(200);

/// The session as it is now.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The client; another one after the session was asked for again.
    pub client: Client,
    /// Whether it has a connection.
    pub connected: bool,
}

/// A session. See the module documentation.
#[derive(Debug)]
pub(super) struct Session {
    view: watch::Receiver<Option<View>>,
    // To close: dropping the last client ends the session in order.
    sender: watch::Sender<Option<View>>,
    task: AbortHandle,
}

impl Session {
    pub fn open(options: &ZooKeeperOptions, control: &Handle) -> Self {
        let (sender, view) = watch::channel(None);
        let task = control.spawn(keep(options.clone(), sender.clone()));
        Self { view, sender, task: task.abort_handle() }
    }

    /// Waits for a client.
    pub async fn client(&self) -> Client {
        let mut view = self.view.clone();
        match view.wait_for(Option::is_some).await.map(|view| view.clone()) {
            Ok(Some(view)) => view.client,
            // Closed: whoever waits is given up by a time limit.
            _ => std::future::pending().await,
        }
    }

    pub fn watch(&self) -> watch::Receiver<Option<View>> {
        self.view.clone()
    }

    /// Ends the session, so that places in line are free at once.
    pub async fn close(&self) {
        self.task.abort();
        let Some(view) = self.sender.send_replace(None) else {
            return;
        };
        let mut state = view.client.state_watcher();
        drop(view);
        let closed = async { while !state.changed().await.is_terminated() {} };
        // Requests under way hold clients, too; they end by their own limits.
        let _ = tokio::time::timeout(Duration::from_secs(2), closed).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(options: ZooKeeperOptions, sender: watch::Sender<Option<View>>) {
    let mut known: Option<SessionInfo> = None;
    loop {
        let mut connector: Connector = Client::connector()
            .with_session_timeout(options.session_timeout)
            .with_connection_timeout(options.connection_timeout);
        if let Some(session) = known.clone() {
            connector = connector.with_session(session);
        }
        let client = match connector.connect(&options.quorum).await {
            Ok(client) => client,
            Err(Error::SessionExpired) => {
                tracing::warn!("the session with ZooKeeper has expired, another is opened");
                known = None;
                continue;
            }
            Err(error) => {
                tracing::warn!(error = %error, "ZooKeeper is not reachable, trying again");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        known = Some(client.session().clone());
        let mut state = client.state_watcher();
        sender.send_replace(Some(View { client, connected: true }));
        loop {
            let now = state.changed().await;
            let connected = now == SessionState::SyncConnected;
            sender.send_modify(|view| {
                if let Some(view) = view {
                    view.connected = connected;
                }
            });
            if now == SessionState::Disconnected {
                tracing::warn!("connection to ZooKeeper lost, trying again");
            } else if connected {
                tracing::info!("connected to ZooKeeper again");
            }
            if now.is_terminated() {
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
