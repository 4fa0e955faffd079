//! From a configuration to where TaskExecutors keep copies of state for local recovery.

use std::{env, path::PathBuf};

use hurtig_config::{
    ConfigErrors, Configuration,
    catalogue::{
        checkpointing::{LOCAL_BACKUP_DIRS, LOCAL_BACKUP_ENABLED, LOCAL_RECOVERY},
        cluster::{TASK_MANAGER_PROCESS_WORKING_DIR_BASE, TMP_DIRS},
    },
};
use hurtig_minicluster::LocalStateOptions;

/// Directories in one text, separated by commas or as the system separates paths.
fn directories(text: &str) -> Vec<PathBuf> {
    let parts = text.split(',').flat_map(env::split_paths);
    parts.filter(|path| !path.as_os_str().is_empty()).collect()
}

/// The roots of local state: as configured, or the working directory.
fn roots(configuration: &Configuration) -> Result<Vec<PathBuf>, ConfigErrors> {
    let configured = configuration.get(&LOCAL_BACKUP_DIRS)?;
    let configured = configured.map(|text| directories(&text)).unwrap_or_default();
    if !configured.is_empty() {
        return Ok(configured);
    }
    if let Some(directory) = configuration.get(&TASK_MANAGER_PROCESS_WORKING_DIR_BASE)? {
        return Ok(vec![directory.into()]);
    }
    let temporary = configuration.get(&TMP_DIRS)?;
    let first = temporary.and_then(|text| directories(&text).into_iter().next());
    Ok(vec![first.unwrap_or_else(env::temp_dir)])
}

/// Takes over what the configuration sets. Copies are made if local backup is enabled, which by
/// default it is with local recovery; they are read if local recovery is.
pub(super) fn configure(
    local_state: &mut Option<LocalStateOptions>,
    configuration: &Configuration,
) -> Result<(), ConfigErrors> {
    let is_set =
        configuration.is_set(&LOCAL_RECOVERY) || configuration.is_set(&LOCAL_BACKUP_ENABLED);
    if is_set {
        let backup = configuration.get(&LOCAL_BACKUP_ENABLED)?;
        let recovery = configuration.get(&LOCAL_RECOVERY)?;
        let roots = roots(configuration)?;
        *local_state = backup.then_some(LocalStateOptions { roots, recovery });
    }
    Ok(())
}
