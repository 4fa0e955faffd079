//! What a host is told by the process that starts it.

use std::{
    collections::BTreeMap,
    fmt,
    fs::OpenOptions,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use hurtig_cluster_api::{FencingToken, GatewayAddress, HostId};
use hurtig_config::{ConfigErrors, Configuration};
use hurtig_graph::JobGraph;
use hurtig_types::{GraphFingerprint, JobId, ResourceId, codec};
use serde::{Deserialize, Serialize};

/// The variable of a host's environment that names the file with its [`HostSpec`].
pub const SPEC_VARIABLE: &str = "HURTIG_HOST_SPEC";

/// Largest file.
const LARGEST_SPEC_BYTES: u64 = 256 << 20;

/// What a host is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostSpec {
    /// What it is to be.
    pub role: HostRole,
    /// The cluster's configuration, without secrets.
    pub cluster: BTreeMap<String, String>,
    /// What the one who submits the job has configured.
    pub client: BTreeMap<String, String>,
    /// How object stores are opened.
    pub stores: StoreOptions,
}

/// Options of object stores, secrets among them: they are for the host, and not for people.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreOptions(pub Vec<(String, String)>);

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// What a host is to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HostRole {
    /// One that tells the program's graph.
    Plan(PlanRole),
    /// One that runs the JobMaster.
    JobMaster(Box<JobMasterRole>),
    /// One that runs tasks.
    Task(Box<TaskRole>),
}

/// A plan host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRole {
    /// The id of the job.
    pub job: JobId,
    /// The file for the graph.
    pub result: PathBuf,
}

/// A JobMaster host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobMasterRole {
    /// Which start of a host this is.
    pub host: HostId,
    /// Where the process that starts it is called.
    pub parent: GatewayAddress,
    /// The job, as it was submitted.
    pub graph: JobGraph,
    /// Proof of leadership.
    pub token: FencingToken,
    /// Feeds the jitter of restarts.
    pub seed: u64,
    /// The ResourceManager.
    pub resource_manager: GatewayAddress,
    /// Address to listen on; any port.
    pub bind_host: String,
    /// Name or address that others use; not set, the one that is listened on.
    pub host_name: Option<String>,
    /// `heartbeat.interval`.
    pub heartbeat_interval: Duration,
    /// The register of the job's checkpoints.
    pub register: GatewayAddress,
    /// How long the tasks of an earlier JobMaster are waited for.
    pub takeover_timeout: Duration,
}

/// A task host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRole {
    /// Which start of a host this is.
    pub host: HostId,
    /// Where the process that starts it is called.
    pub parent: GatewayAddress,
    /// The job.
    pub job: JobId,
    /// The graph that was submitted.
    pub fingerprint: GraphFingerprint,
    /// The TaskExecutor, after which metrics are named.
    pub resource: ResourceId,
    /// The host itself, among the peers of the data plane: one that is started again is another.
    pub peer: ResourceId,
    /// Address on which the data plane listens; any port.
    pub bind_host: String,
    /// Name or address that others use; not set, the one that is listened on.
    pub host_name: Option<String>,
    /// Files of the distributed cache: where they are on this machine, by name.
    pub cached_files: BTreeMap<String, PathBuf>,
}

/// Why a file tells a host nothing.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// It cannot be read or written.
    #[error("the file for a host, {path:?}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It says something else, or belongs to another version.
    #[error("the file {path:?} is not for a host of this version: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Writes a file that its owner alone may read.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), SpecError> {
    let failed = |cause| SpecError::File { path: path.to_owned(), cause };
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(failed)
}

/// Reads a file of bounded size.
pub(crate) fn read_file(path: &Path, most: u64) -> Result<Vec<u8>, SpecError> {
    let failed = |cause| SpecError::File { path: path.to_owned(), cause };
    let file = OpenOptions::new().read(true).open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        let reason = format!("it has more than {most} bytes");
        return Err(SpecError::Malformed { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

impl HostSpec {
    /// Writes the file.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, path: &Path) -> Result<(), SpecError> {
        let malformed = |e: codec::CodecError| SpecError::Malformed {
            path: path.into(),
            reason: e.to_string(),
        };
        write_file(path, &codec::encode(self).map_err(malformed)?)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If there is none, or it is of another version.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        let bytes = read_file(path, LARGEST_SPEC_BYTES)?;
        codec::decode(&bytes)
            .map_err(|e| SpecError::Malformed { path: path.into(), reason: e.to_string() })
    }

    /// The configuration that the program finds: the cluster's, and over it the client's.
    ///
    /// # Errors
    /// If a key or value is wrong.
    pub fn configuration(&self) -> Result<Configuration, ConfigErrors> {
        let mut configuration = Configuration::new();
        let quoted = |text: &String| serde_json::Value::from(text.as_str()).to_string();
        // A text of JSON is one of YAML.
        let lines = self.cluster.iter().map(|(key, value)| format!("{key}: {}\n", quoted(value)));
        configuration.add_yaml(&lines.collect::<String>(), "the cluster's configuration")?;
        for (key, value) in &self.client {
            configuration.set_dynamic(key, value)?;
        }
        Ok(configuration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_finds_the_clusters_configuration_and_over_it_the_clients() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spec");
        let set = |entries: &[(&str, &str)]| {
            entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
        };
        let spec = HostSpec {
            role: HostRole::Plan(PlanRole { job: JobId(7), result: "x".into() }),
            cluster: set(&[
                ("parallelism.default", "2"),
                ("execution.checkpointing.dir", "file:///a b: \"c\" #"),
            ]),
            client: set(&[("parallelism.default", "3")]),
            stores: StoreOptions(vec![("aws_secret_access_key".into(), "hidden".into())]),
        };
        spec.write(&path).unwrap();
        let read = HostSpec::read(&path).unwrap();
        assert_eq!(read, spec);
        let configuration = read.configuration().unwrap();
        use hurtig_config::catalogue::{checkpointing, pipeline};
        assert_eq!(configuration.get(&pipeline::DEFAULT_PARALLELISM).unwrap().get(), 3);
        let directory = configuration.get(&checkpointing::CHECKPOINTS_DIRECTORY).unwrap();
        assert_eq!(directory.as_deref(), Some("file:///a b: \"c\" #"));
    }

    #[test]
    fn what_is_no_spec_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spec");
        assert!(matches!(HostSpec::read(&path), Err(SpecError::File { .. })));
        for bytes in [&b""[..], b"\xff\xff\xff\xff\xff", &[3; 100]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(HostSpec::read(&path), Err(SpecError::Malformed { .. })), "{bytes:?}");
        }
    }
}
