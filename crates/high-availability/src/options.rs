//! Options, from configuration keys to numbers.

use std::time::Duration;

use hurtig_config::{
    Configuration,
    catalogue::job_manager::{
        HA_CLUSTER_ID, HA_LEASE_DURATION, HA_MODE, HA_RETRY_PERIOD, HA_STORAGE_PATH,
        HA_ZOOKEEPER_CONNECTION_TIMEOUT, HA_ZOOKEEPER_QUORUM, HA_ZOOKEEPER_ROOT,
        HA_ZOOKEEPER_SESSION_TIMEOUT, JOB_RESULT_DELETE_ON_COMMIT,
    },
    value::HighAvailabilityType,
};

use crate::error::HighAvailabilityError;

/// When contenders read and write the leader's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionOptions {
    /// A holder that is silent for this long may be replaced.
    pub lease: Duration,
    /// Contenders look this often, and a holder that got no answer asks again after it.
    pub retry: Duration,
    /// A request without an answer is given up after this long.
    pub request_timeout: Duration,
}

impl Default for ElectionOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            retry: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
        }
    }
}

impl ElectionOptions {
    pub(crate) fn lease_ms(&self) -> u64 {
        self.lease.as_millis() as u64
    }

    pub(crate) fn retry_ms(&self) -> u64 {
        (self.retry.as_millis() as u64).max(1)
    }

    /// A holder renews often enough that two renewals may fail.
    pub(crate) fn renew_ms(&self) -> u64 {
        (self.lease_ms() / 4).max(1)
    }
}

/// How long changes of records are tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOptions {
    /// First pause; each is twice the one before.
    pub first_pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
    /// Sum of pauses after which a change is given up as uncertain.
    pub patience: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
            patience: Duration::from_secs(30),
        }
    }
}

/// Which backend, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendOptions {
    /// Memory of this process.
    Memory,
    /// A local directory, as a `file:` URL.
    Directory(String),
    /// An object store, as a URL.
    ObjectStore(String),
    /// ZooKeeper for records; `storage` is the URL of what is bulky.
    ZooKeeper {
        /// Servers, as ZooKeeper's clients take them: `host:port,host:port`.
        quorum: String,
        /// The node beneath which everything is.
        root: String,
        /// A process that ZooKeeper does not hear of for this long loses its place.
        session_timeout: Duration,
        /// A server that does not answer for this long is left for another.
        connection_timeout: Duration,
        /// URL of a directory or object store.
        storage: String,
    },
}

/// All options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HighAvailabilityOptions {
    /// The backend.
    pub backend: BackendOptions,
    /// This cluster's name among those that share the backend: a path of plain names.
    pub cluster_id: String,
    /// When contenders read and write.
    pub election: ElectionOptions,
    /// How long changes are tried again.
    pub retry: RetryOptions,
    /// Results of jobs go when the job is cleaned up, instead of being kept for clients. A job's
    /// id may then run again.
    pub delete_results: bool,
}

/// A path of plain names from what a user wrote: without empty parts, other characters as `_`.
fn plain_path(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let parts = text.split('/').filter(|part| !part.is_empty());
    let parts = parts.map(|part| match part {
        "." | ".." => "_".repeat(part.len()),
        part => part.chars().map(plain).collect::<String>(),
    });
    parts.collect::<Vec<_>>().join("/")
}

impl HighAvailabilityOptions {
    /// True if another process can go on where this one was.
    pub fn is_enabled(&self) -> bool {
        self.storage().is_some()
    }

    /// URL of what is bulky; `None` if all is in the memory of this process.
    pub fn storage(&self) -> Option<&str> {
        match &self.backend {
            BackendOptions::Memory => None,
            BackendOptions::Directory(storage)
            | BackendOptions::ObjectStore(storage)
            | BackendOptions::ZooKeeper { storage, .. } => Some(storage),
        }
    }

    /// The options of a configuration.
    pub fn from_configuration(
        configuration: &Configuration,
    ) -> Result<Self, HighAvailabilityError> {
        fn get<T: hurtig_config::ConfigValue>(
            configuration: &Configuration,
            option: &'static hurtig_config::ConfigOption<T>,
        ) -> Result<T, HighAvailabilityError> {
            configuration.get(option).map_err(|error| HighAvailabilityError::Configuration {
                key: option.key(),
                problem: error.to_string(),
            })
        }
        let storage = || -> Result<String, HighAvailabilityError> {
            let set: Option<String> = get(configuration, &HA_STORAGE_PATH)?;
            let url = set.ok_or_else(|| HighAvailabilityError::Configuration {
                key: HA_STORAGE_PATH.key(),
                problem: "must be set for this kind of high availability".to_owned(),
            })?;
            // A bare path is a local directory.
            Ok(if url.starts_with('/') { format!("file://{url}") } else { url })
        };
        let cluster_id = plain_path(&get(configuration, &HA_CLUSTER_ID)?);
        if cluster_id.is_empty() {
            return Err(HighAvailabilityError::Configuration {
                key: HA_CLUSTER_ID.key(),
                problem: "must not be empty".to_owned(),
            });
        }
        let backend = match get(configuration, &HA_MODE)? {
            HighAvailabilityType::None => BackendOptions::Memory,
            HighAvailabilityType::Directory => BackendOptions::Directory(storage()?),
            HighAvailabilityType::ObjectStore => BackendOptions::ObjectStore(storage()?),
            HighAvailabilityType::ZooKeeper => {
                let quorum: Option<String> = get(configuration, &HA_ZOOKEEPER_QUORUM)?;
                BackendOptions::ZooKeeper {
                    quorum: quorum.ok_or_else(|| HighAvailabilityError::Configuration {
                        key: HA_ZOOKEEPER_QUORUM.key(),
                        problem: "must be set for ZooKeeper".to_owned(),
                    })?,
                    root: plain_path(&get(configuration, &HA_ZOOKEEPER_ROOT)?),
                    session_timeout: get(configuration, &HA_ZOOKEEPER_SESSION_TIMEOUT)?,
                    connection_timeout: get(configuration, &HA_ZOOKEEPER_CONNECTION_TIMEOUT)?,
                    storage: storage()?,
                }
            }
            HighAvailabilityType::Kubernetes => {
                return Err(HighAvailabilityError::Configuration {
                    key: HA_MODE.key(),
                    problem: "leases of Kubernetes are not supported yet".to_owned(),
                });
            }
        };
        let lease: Duration = get(configuration, &HA_LEASE_DURATION)?;
        let retry: Duration = get(configuration, &HA_RETRY_PERIOD)?;
        if retry.is_zero() || lease < retry * 2 {
            return Err(HighAvailabilityError::Configuration {
                key: HA_LEASE_DURATION.key(),
                problem: format!("must be at least twice {}", HA_RETRY_PERIOD.key()),
            });
        }
        let request_timeout = (lease / 3).max(Duration::from_millis(100));
        Ok(Self {
            backend,
            cluster_id,
            election: ElectionOptions { lease, retry, request_timeout },
            retry: RetryOptions::default(),
            delete_results: get(configuration, &JOB_RESULT_DELETE_ON_COMMIT)?,
        })
    }
}
