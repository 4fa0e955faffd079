//! Tells a cluster that a client is there, whose jobs shall not outlive it.
//!
//! Each job has a task of its own, beside whatever the client does: also one that waits for its user
//! is there. A heartbeat that fails is followed by the next; a killed process sends none.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::OnceLock,
    time::Duration,
};

use hurtig_config::{
    ConfigError, Configuration,
    catalogue::client::{
        CLIENT_HEARTBEAT_INTERVAL, CLIENT_HEARTBEAT_TIMEOUT, EXECUTION_ATTACHED,
        SHUTDOWN_ON_ATTACHED_EXIT,
    },
};
use hurtig_env::Clock;
use hurtig_rest::RestClient;
use hurtig_types::JobId;
use parking_lot::Mutex;
use tokio::{
    runtime::{Builder, Runtime},
    task::AbortHandle,
};

/// The shortest pause, whatever is configured.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// How often a client says that it is there, and for how long that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rhythm {
    interval: Duration,
    timeout: Duration,
}

impl Rhythm {
    /// That of a client's configuration; nothing if its jobs may outlive it.
    pub(crate) fn of(all: &BTreeMap<String, String>) -> Result<Option<Self>, ConfigError> {
        let mut configuration = Configuration::new();
        let keys = [
            EXECUTION_ATTACHED.key(),
            SHUTDOWN_ON_ATTACHED_EXIT.key(),
            CLIENT_HEARTBEAT_INTERVAL.key(),
            CLIENT_HEARTBEAT_TIMEOUT.key(),
        ];
        for key in keys {
            if let Some(value) = all.get(key) {
                configuration.set_text(key, value)?;
            }
        }
        let interval = configuration.get(&CLIENT_HEARTBEAT_INTERVAL)?.max(SHORTEST_INTERVAL);
        let timeout = configuration.get(&CLIENT_HEARTBEAT_TIMEOUT)?;
        let bound = configuration.get(&EXECUTION_ATTACHED)?
            && configuration.get(&SHUTDOWN_ON_ATTACHED_EXIT)?;
        Ok(bound.then_some(Self { interval, timeout }))
    }
}

/// The jobs of a client that it tells of.
#[derive(Default)]
pub(crate) struct Heartbeats {
    /// One thread for all of them; there is none before the first.
    runtime: OnceLock<Runtime>,
    jobs: Mutex<HashMap<JobId, AbortHandle>>,
}

impl Heartbeats {
    /// From now on, until [`Heartbeats::stop`] or the end of the process.
    pub(crate) fn start(&self, client: &RestClient, job: JobId, rhythm: Rhythm) -> io::Result<()> {
        let runtime = match self.runtime.get() {
            Some(runtime) => runtime,
            None => {
                let made = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
                self.runtime.get_or_init(|| made)
            }
        };
        let client = client.clone();
        let beats = runtime.spawn(async move {
            let clock = Clock::system();
            let timeout_ms = u64::try_from(rhythm.timeout.as_millis()).unwrap_or(u64::MAX);
            loop {
                let until_ms = clock.now_ms().saturating_add_unsigned(timeout_ms);
                // The next one may reach it.
                let _ = client.client_heartbeat(job, until_ms).await;
                tokio::time::sleep(rhythm.interval).await;
            }
        });
        self.jobs.lock().insert(job, beats.abort_handle());
        Ok(())
    }

    /// The job has ended, or is to end.
    pub(crate) fn stop(&self, job: JobId) {
        if let Some(beats) = self.jobs.lock().remove(&job) {
            beats.abort();
        }
    }
}

impl Drop for Heartbeats {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_keys_make_a_rhythm() {
        let rhythm = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            Rhythm::of(&pairs.collect())
        };
        let both =
            [("execution.attached", "true"), ("execution.shutdown-on-attached-exit", "true")];
        assert_eq!(rhythm(&both[..1]).unwrap(), None);
        let usual = Rhythm { interval: Duration::from_secs(30), timeout: Duration::from_secs(180) };
        assert_eq!(rhythm(&both).unwrap(), Some(usual));
        let wrong = [both[0], both[1], ("client.heartbeat.interval", "often")];
        let error = rhythm(&wrong).unwrap_err().to_string();
        assert!(error.contains("client.heartbeat.interval"), "{error}");
    }
}
