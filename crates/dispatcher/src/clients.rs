//! Jobs that shall not outlive their clients: until when each of these has been heard of. Pure.
//!
//! 1. A job is submitted with `execution.attached`, `execution.shutdown-on-attached-exit` and
//!    `client.heartbeat.timeout` among the configuration of its client.
//! 2. Once its JobMaster is there, the client has so long to say that it is there, and says each time
//!    until when that holds.
//! 3. When that time has come without another word, the job is cancelled.
//!
//! The next leader finds the job with its configuration, and gives the client as long again.

use std::collections::BTreeMap;

use hurtig_config::{
    ConfigError, Configuration,
    catalogue::client::{CLIENT_HEARTBEAT_TIMEOUT, EXECUTION_ATTACHED, SHUTDOWN_ON_ATTACHED_EXIT},
};
use hurtig_graph::JobGraph;
use hurtig_types::JobId;

/// How far the client of a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lease {
    /// The job has no JobMaster yet; then the client has so many milliseconds.
    Waiting(u64),
    /// Until that moment.
    Until(i64),
}

/// The jobs whose clients are waited for; one entry for each at most, of jobs that have not ended.
#[derive(Debug, Default)]
pub(crate) struct ClientTable(BTreeMap<JobId, Lease>);

impl ClientTable {
    /// A job is there, with the time that its client has, if it shall not outlive it.
    pub(crate) fn on_job(&mut self, job: JobId, timeout_ms: Option<u64>) {
        if let Some(timeout_ms) = timeout_ms {
            self.0.insert(job, Lease::Waiting(timeout_ms));
        }
    }

    /// Its JobMaster is there.
    pub(crate) fn on_launched(&mut self, job: JobId, now_ms: i64) {
        if let Some(lease) = self.0.get_mut(&job)
            && let Lease::Waiting(timeout_ms) = *lease
        {
            *lease = Lease::Until(now_ms.saturating_add_unsigned(timeout_ms));
        }
    }

    /// The client of a job that has not ended says until when it counts as being there.
    pub(crate) fn on_heartbeat(&mut self, job: JobId, expires_ms: i64) {
        self.0.insert(job, Lease::Until(expires_ms));
    }

    /// A job has ended.
    pub(crate) fn on_ended(&mut self, job: JobId) {
        self.0.remove(&job);
    }

    /// The jobs whose clients are gone; they are told once.
    pub(crate) fn expired(&mut self, now_ms: i64) -> Vec<JobId> {
        let gone = |lease: &Lease| matches!(lease, Lease::Until(at) if *at <= now_ms);
        let jobs: Vec<JobId> =
            self.0.iter().filter(|(_, lease)| gone(lease)).map(|(job, _)| *job).collect();
        self.0.retain(|_, lease| !gone(lease));
        jobs
    }

    /// When to look again.
    pub(crate) fn next_ms(&self) -> Option<i64> {
        let times = self.0.values().filter_map(|lease| match lease {
            Lease::Until(at) => Some(*at),
            Lease::Waiting(_) => None,
        });
        times.min()
    }
}

/// How long the client of a job may be silent, in milliseconds, if the job shall not outlive it.
pub(crate) fn client_timeout_ms(graph: &JobGraph) -> Option<u64> {
    let program = graph.config.program.as_ref()?;
    let of_client = || -> Result<Option<u64>, ConfigError> {
        let mut configuration = Configuration::new();
        let keys = [
            EXECUTION_ATTACHED.key(),
            SHUTDOWN_ON_ATTACHED_EXIT.key(),
            CLIENT_HEARTBEAT_TIMEOUT.key(),
        ];
        for key in keys {
            if let Some(value) = program.configuration.get(key) {
                configuration.set_text(key, value)?;
            }
        }
        let bound = configuration.get(&EXECUTION_ATTACHED)?
            && configuration.get(&SHUTDOWN_ON_ATTACHED_EXIT)?;
        let timeout = configuration.get(&CLIENT_HEARTBEAT_TIMEOUT)?;
        Ok(bound.then(|| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)))
    };
    // It was checked when the program was run; what is wrong binds nobody.
    of_client().ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hurtig_graph::{JobConfig, ProgramReference};
    use hurtig_types::{BlobId, GraphFingerprint};

    use super::*;

    const JOB: JobId = JobId(7);

    #[test]
    fn a_job_ends_when_its_client_is_silent() {
        let mut clients = ClientTable::default();
        clients.on_job(JOB, Some(100));
        // As long as there is no JobMaster, nobody can tell the client that the job is there.
        assert_eq!((clients.next_ms(), clients.expired(i64::MAX)), (None, Vec::new()));
        clients.on_launched(JOB, 1000);
        assert_eq!(clients.next_ms(), Some(1100));
        clients.on_heartbeat(JOB, 1190);
        assert_eq!(clients.expired(1100), []);
        // Another JobMaster changes nothing.
        clients.on_launched(JOB, 1150);
        assert_eq!(clients.next_ms(), Some(1190));
        assert_eq!(clients.expired(1189), []);
        assert_eq!(clients.expired(1190), [JOB]);
        assert_eq!(clients.expired(1191), [], "once");
    }

    #[test]
    fn each_job_has_its_own_client() {
        let mut clients = ClientTable::default();
        let (free, other) = (JobId(1), JobId(2));
        clients.on_job(free, None);
        clients.on_job(JOB, Some(100));
        clients.on_job(other, Some(50));
        for job in [free, JOB, other] {
            clients.on_launched(job, 0);
        }
        assert_eq!(clients.next_ms(), Some(50));
        clients.on_ended(other);
        assert_eq!(clients.next_ms(), Some(100));
        assert_eq!(clients.expired(1000), [JOB]);
        // Whoever speaks is waited for, as in Flink.
        clients.on_heartbeat(free, 2000);
        assert_eq!(clients.expired(2000), [free]);
        assert_eq!(clients.next_ms(), None);
    }

    #[test]
    fn times_beyond_all_numbers_never_come() {
        let mut clients = ClientTable::default();
        clients.on_job(JOB, Some(u64::MAX));
        clients.on_launched(JOB, 5);
        assert_eq!(clients.next_ms(), Some(i64::MAX));
        clients.on_heartbeat(JOB, i64::MIN);
        assert_eq!(clients.expired(0), [JOB]);
    }

    #[test]
    fn both_keys_bind_a_job_to_its_client() {
        let timeout = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let program = ProgramReference {
                binary: BlobId([0; 32]),
                name: "p".to_owned(),
                arguments: Vec::new(),
                configuration: pairs.collect::<BTreeMap<_, _>>(),
                files: BTreeMap::new(),
                fingerprint: GraphFingerprint::from_bytes_hash(&[]),
            };
            let config = JobConfig { program: Some(program), ..JobConfig::default() };
            let graph =
                JobGraph { job_id: JOB, name: "j".to_owned(), vertices: Vec::new(), config };
            client_timeout_ms(&graph)
        };
        let (attached, shutdown) =
            (("execution.attached", "true"), ("execution.shutdown-on-attached-exit", "true"));
        assert_eq!(timeout(&[]), None);
        assert_eq!(timeout(&[attached]), None);
        assert_eq!(timeout(&[shutdown]), None);
        assert_eq!(timeout(&[attached, shutdown]), Some(180_000));
        let short = ("client.heartbeat.timeout", "5 s");
        assert_eq!(timeout(&[attached, shutdown, short]), Some(5000));
        assert_eq!(timeout(&[attached, shutdown, ("client.heartbeat.timeout", "soon")]), None);
    }
}
