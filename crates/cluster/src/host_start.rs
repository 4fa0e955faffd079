//! Starting a host: a directory of its own, the file that tells it what to be, the process.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hurtig_cluster_api::{GatewayAddress, HostId};
use hurtig_config::{ConfigError, Configuration, catalogue::cluster::LOG_MAX};
use hurtig_job_host::{HostRole, HostSpec, SPEC_VARIABLE, StoreOptions};
use hurtig_process_host::{
    OutputOptions, ProcessExit, ProcessHandle, ProcessSpec, ProcessSupervisor, random_bits,
};
use hurtig_types::error::chain_text;

use crate::host_calls::HostCalls;

/// How long a host may take from its start to `execute()`; as long as a client waits for an answer
/// (`client.timeout`).
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a host that was told to end may take.
pub(crate) const END_GRACE: Duration = Duration::from_secs(5);
/// What the keys of object stores begin with.
const STORE_PREFIX: &str = "s3.";
/// Bytes of one file of output.
const OUTPUT_FILE_BYTES: u64 = 10 << 20;

/// What it takes to start hosts. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct HostStarter(Arc<Inner>);

struct Inner {
    supervisor: ProcessSupervisor,
    directory: PathBuf,
    logs: PathBuf,
    full_files: u32,
    calls: HostCalls,
    parent: GatewayAddress,
    configuration: BTreeMap<String, String>,
    /// What the cluster says of object stores.
    stores: Configuration,
    started: AtomicU64,
}

/// A host that was started. Dropping it kills the process and removes its directory.
pub(crate) struct Host {
    pub(crate) process: ProcessHandle,
    /// Where it runs; gone with it.
    _directory: HostDirectory,
}

/// The directory of one host; removed when this is dropped.
pub(crate) struct HostDirectory(PathBuf);

impl HostDirectory {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for HostDirectory {
    fn drop(&mut self) {
        // What cannot be removed now goes with the working directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl HostStarter {
    pub(crate) fn new(
        supervisor: ProcessSupervisor,
        directory: &Path,
        logs: PathBuf,
        calls: HostCalls,
        parent: GatewayAddress,
        configuration: &Configuration,
    ) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(Inner {
            supervisor,
            directory: directory.join("hosts"),
            logs,
            full_files: configuration.get(&LOG_MAX)?,
            calls,
            parent,
            configuration: configuration.without_secrets(),
            stores: configuration.clone(),
            started: AtomicU64::new(0),
        })))
    }

    pub(crate) fn calls(&self) -> &HostCalls {
        &self.0.calls
    }

    /// Where hosts call this process.
    pub(crate) fn parent(&self) -> &GatewayAddress {
        &self.0.parent
    }

    /// A new directory for a host, below which it starts.
    pub(crate) fn directory(&self, name: &str) -> io::Result<HostDirectory> {
        let number = self.0.started.fetch_add(1, Relaxed);
        let path = self.0.directory.join(format!("{name}-{number}"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(HostDirectory(path))
    }

    /// How a host opens object stores: as the cluster does, unless the client says otherwise.
    fn store_options(
        &self,
        client: &BTreeMap<String, String>,
    ) -> Result<StoreOptions, ConfigError> {
        let mut configuration = self.0.stores.clone();
        for (key, value) in client.iter().filter(|(key, _)| key.starts_with(STORE_PREFIX)) {
            configuration.set_dynamic(key, value)?;
        }
        Ok(StoreOptions(hurtig_filesystem::store_options(&configuration)?))
    }

    /// Starts a binary as a host. Its outputs are files of the directory's name.
    pub(crate) async fn start(
        &self,
        binary: &Path,
        arguments: &[String],
        client: &BTreeMap<String, String>,
        role: HostRole,
        directory: HostDirectory,
    ) -> Result<Host, String> {
        let stores = self.store_options(client).map_err(|error| chain_text(&error))?;
        let cluster = self.0.configuration.clone();
        let spec = HostSpec { role, cluster, client: client.clone(), stores };
        let spec_path = directory.path().join("spec");
        spec.write(&spec_path).map_err(|error| chain_text(&error))?;
        let name = directory.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let process = ProcessSpec {
            program: binary.to_owned(),
            arguments: arguments.iter().map(Into::into).collect(),
            environment: vec![
                (SPEC_VARIABLE.into(), Some(spec_path.into())),
                // The cluster's configuration is in the specification.
                ("HURTIG_CONF_DIR".into(), None),
            ],
            directory: directory.path().to_owned(),
            output: OutputOptions {
                directory: self.0.logs.clone(),
                name,
                file_bytes: OUTPUT_FILE_BYTES,
                full_files: self.0.full_files,
            },
        };
        let process = self.0.supervisor.spawn(process).await.map_err(|e| chain_text(&e))?;
        Ok(Host { process, _directory: directory })
    }
}

/// An id that nobody guesses.
pub(crate) fn new_host_id() -> Result<HostId, String> {
    random_bits().map(HostId).map_err(|error| format!("no random number: {error}"))
}

/// How a host ended, for people: with what it said last.
pub(crate) fn describe(exit: &ProcessExit) -> String {
    match exit.last_words.as_str() {
        "" => exit.reason.to_string(),
        words => format!("{}; it wrote last: {words}", exit.reason),
    }
}
