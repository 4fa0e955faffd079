//! Carries out what [`crate::clients`] decides.

use std::time::Duration;

use hurtig_cluster_api::RpcResult;
use hurtig_types::JobId;

use super::{Dispatcher, Message};
use crate::{
    jobs::{JobCommand, Phase},
    storage::unknown,
};

/// The look that is to come.
pub(super) struct NextLook {
    at_ms: i64,
    timer: tokio::task::AbortHandle,
}

impl Dispatcher {
    /// A client is there. Of a job that has ended it need not know.
    pub(super) fn on_client_heartbeat(&mut self, job: JobId, expires_ms: i64) -> RpcResult<()> {
        match self.table.phase(job) {
            Some(Phase::Ending | Phase::Ended) => Ok(()),
            Some(_) => {
                self.clients.on_heartbeat(job, expires_ms);
                Ok(())
            }
            None => Err(unknown(job)),
        }
    }

    /// Cancels the jobs whose clients are gone.
    pub(super) fn on_clients_due(&mut self) -> Vec<JobCommand> {
        self.next_look = None;
        let mut commands = Vec::new();
        for job in self.clients.expired(self.clock.now_ms()) {
            tracing::warn!(
                job_id = %job,
                "the job's client is silent, and the job is cancelled \
                 (client.heartbeat.interval, client.heartbeat.timeout)"
            );
            commands.extend(self.table.on_cancel(job));
        }
        commands
    }

    /// Sees to it that the next client that is gone is noticed.
    pub(super) fn watch_clients(&mut self) {
        let Some(at_ms) = self.clients.next_ms() else { return };
        if self.next_look.as_ref().is_some_and(|next| next.at_ms <= at_ms) {
            return;
        }
        if let Some(later) = self.next_look.take() {
            later.timer.abort();
        }
        let left_ms = u64::try_from(at_ms.saturating_sub(self.clock.now_ms())).unwrap_or(0);
        let mailbox = self.mailbox.clone();
        let timer = self.runtimes.control.spawn(async move {
            tokio::time::sleep(Duration::from_millis(left_ms)).await;
            let _ = mailbox.tell(Message::ClientsDue).await;
        });
        self.next_look = Some(NextLook { at_ms, timer: timer.abort_handle() });
    }
}
