//! Names of directories and files, as Flink 2.3's:
//!
//! ```text
//! <dir>/<job id>/chk-<n>/_metadata      one checkpoint: metadata and exclusive files
//! <dir>/<job id>/shared/                files of several checkpoints
//! <dir>/<job id>/taskowned/             files that tasks delete
//! <dir>/savepoint-<short job>-<random>/ one savepoint: metadata and all its files
//! ```

use hurtig_types::{CheckpointId, JobId};

/// Name of a metadata file.
pub const METADATA_FILE: &str = "_metadata";

/// Directory of a job.
pub fn job_directory(base: &str, job: JobId) -> String {
    format!("{}/{job}", base.trim_end_matches('/'))
}

/// Directory of one checkpoint.
pub fn checkpoint_directory(base: &str, job: JobId, checkpoint: CheckpointId) -> String {
    format!("{}/chk-{checkpoint}", job_directory(base, job))
}

/// Directory of files of several checkpoints.
pub fn shared_directory(base: &str, job: JobId) -> String {
    format!("{}/shared", job_directory(base, job))
}

/// Directory of files that tasks delete.
pub fn task_owned_directory(base: &str, job: JobId) -> String {
    format!("{}/taskowned", job_directory(base, job))
}

/// Directory of a new savepoint; `random` makes it unique.
pub fn savepoint_directory(base: &str, job: JobId, random: u64) -> String {
    let (base, job) = (base.trim_end_matches('/'), job.to_string());
    format!("{base}/savepoint-{}-{:012x}", &job[..6], random & 0xffff_ffff_ffff)
}

/// The number in the name of a checkpoint's directory.
pub fn checkpoint_of(directory_name: &str) -> Option<CheckpointId> {
    let digits = directory_name.strip_prefix("chk-")?;
    let canonical = digits == "0" || !digits.starts_with('0');
    (canonical && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok().map(CheckpointId))
        .flatten()
}

/// True for the name of a directory in which there is one checkpoint or savepoint and nothing else.
pub fn is_snapshot_directory(name: &str) -> bool {
    checkpoint_of(name).is_some() || name.starts_with("savepoint-")
}
