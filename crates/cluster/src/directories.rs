//! Where a process keeps files.

use std::{
    env, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use hurtig_config::{
    ConfigError, Configuration,
    catalogue::cluster::{
        JOB_MANAGER_PROCESS_WORKING_DIR_BASE, LOG_DIR, TASK_MANAGER_PROCESS_WORKING_DIR_BASE,
        TMP_DIRS,
    },
};
use hurtig_types::ResourceId;

/// The working directory of one process, which goes with it. One that was killed leaves its own.
#[derive(Debug)]
pub(crate) struct WorkingDirectory(PathBuf);

impl WorkingDirectory {
    fn create(base: &Path, name: &str) -> io::Result<Self> {
        fs::create_dir_all(base)?;
        let path = std::path::absolute(base)?.join(name);
        // Nobody else may read what hosts are told.
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// A JobManager's, as configured.
    pub(crate) fn of_job_manager(
        configuration: &Configuration,
        resource: ResourceId,
    ) -> Result<io::Result<Self>, ConfigError> {
        let base = base(configuration, configuration.get(&JOB_MANAGER_PROCESS_WORKING_DIR_BASE)?)?;
        Ok(Self::create(&base, &format!("jm_{resource}")))
    }

    /// A TaskManager's, as configured.
    pub(crate) fn of_task_manager(
        configuration: &Configuration,
        resource: ResourceId,
    ) -> Result<io::Result<Self>, ConfigError> {
        let base = base(configuration, configuration.get(&TASK_MANAGER_PROCESS_WORKING_DIR_BASE)?)?;
        Ok(Self::create(&base, &format!("tm_{resource}")))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the outputs of hosts go.
    pub(crate) fn logs(&self, configuration: &Configuration) -> Result<PathBuf, ConfigError> {
        let configured = configuration.get(&LOG_DIR)?;
        let name = self.0.file_name().unwrap_or_default();
        // Processes of one machine may share the directory.
        Ok(configured.map_or_else(|| self.0.join("log"), |dir| Path::new(&dir).join(name)))
    }
}

impl Drop for WorkingDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the working directory stays");
        }
    }
}

fn base(configuration: &Configuration, set: Option<String>) -> Result<PathBuf, ConfigError> {
    if let Some(directory) = set {
        return Ok(directory.into());
    }
    let temporary = configuration.get(&TMP_DIRS)?.unwrap_or_default();
    let mut parts = temporary.split(',').flat_map(env::split_paths);
    let first = parts.find(|path| !path.as_os_str().is_empty());
    Ok(first.unwrap_or_else(env::temp_dir))
}
