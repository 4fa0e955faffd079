//! The cluster as a whole and the JobManager: overview, configuration, environment, shutdown.

use hurtig_cluster_api::JobStatus;
use hurtig_config::{ConfigOrigin, HIDDEN, is_sensitive};

use crate::{
    error::{RestError, RestResult},
    messages::{
        EmptyResponseBody,
        cluster::{
            ClusterOverview, ConfigurationInfoEntry, DashboardConfiguration, DashboardFeatures,
            EnvironmentInfo, RuntimeInfo, ThreadDumpInfo, ThreadInfo,
        },
    },
    server::call::Call,
};

/// Version of this software.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Its commit, if the build was told.
pub(crate) const COMMIT: &str = match option_env!("HURTIG_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// A value, or stars if the key says that it is a secret.
pub(crate) fn hide_secrets(key: &str, value: &str) -> String {
    if is_sensitive(key) { HIDDEN.to_owned() } else { value.to_owned() }
}

pub(crate) async fn overview(call: Call) -> RestResult<ClusterOverview> {
    let services = &call.context.services;
    let executors = services.dispatcher.task_executors().await?;
    let jobs = services.dispatcher.list_jobs().await?;
    let count = |wanted: fn(JobStatus) -> bool| {
        u32::try_from(jobs.iter().filter(|job| wanted(job.status)).count()).unwrap_or(u32::MAX)
    };
    Ok(ClusterOverview {
        taskmanagers: u32::try_from(executors.len()).unwrap_or(u32::MAX),
        slots_total: executors.iter().map(|executor| executor.slots).sum(),
        slots_available: executors.iter().map(|executor| executor.free_slots).sum(),
        taskmanagers_blocked: 0,
        slots_free_and_blocked: 0,
        jobs_running: count(|status| !status.is_globally_terminal()),
        jobs_finished: count(|status| status == JobStatus::Finished),
        jobs_cancelled: count(|status| status == JobStatus::Canceled),
        jobs_failed: count(|status| status == JobStatus::Failed),
        flink_version: VERSION.to_owned(),
        flink_commit: COMMIT.to_owned(),
    })
}

pub(crate) async fn dashboard(call: Call) -> RestResult<DashboardConfiguration> {
    let (config, services) = (&call.context.config, &call.context.services);
    let can_run = services.blobs.is_some() && services.programs.is_some();
    Ok(DashboardConfiguration {
        refresh_interval: u64::try_from(config.refresh_interval.as_millis()).unwrap_or(u64::MAX),
        timezone_name: "Coordinated Universal Time".to_owned(),
        timezone_offset: 0,
        flink_version: VERSION.to_owned(),
        flink_revision: COMMIT.to_owned(),
        features: DashboardFeatures {
            web_submit: config.submit_enabled && can_run,
            web_cancel: config.cancel_enabled,
            web_rescale: false,
            web_history: false,
        },
    })
}

pub(crate) async fn configuration(call: Call) -> RestResult<Vec<ConfigurationInfoEntry>> {
    let all = call.context.services.configuration.list();
    let set = all.into_iter().filter(|option| option.origin != ConfigOrigin::Default);
    let entries = set.filter_map(|option| {
        Some(ConfigurationInfoEntry { value: option.value?, key: option.key })
    });
    Ok(entries.collect())
}

pub(crate) async fn environment(_: Call) -> RestResult<EnvironmentInfo> {
    Ok(EnvironmentInfo {
        jvm: RuntimeInfo {
            version: format!("hurtig {VERSION}"),
            arch: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
            options: arguments(std::env::args().skip(1)),
        },
        classpath: Vec::new(),
    })
}

/// Arguments without secrets: `key=value` and `-Dkey=value`.
fn arguments(given: impl Iterator<Item = String>) -> Vec<String> {
    let hide = |argument: String| match argument.split_once('=') {
        Some((key, value)) => format!("{key}={}", hide_secrets(key, value)),
        None => argument,
    };
    given.map(hide).collect()
}

/// Tasks are futures here, and a thread has no stack worth showing; what the operating system tells
/// of the process's threads is their names and states.
pub(crate) async fn thread_dump(_: Call) -> RestResult<ThreadDumpInfo> {
    /// Most threads that are told of.
    const MOST_THREADS: usize = 4096;
    let tasks = std::fs::read_dir("/proc/self/task");
    let tasks = tasks.map_err(|_| RestError::unavailable("threads cannot be listed here"))?;
    let threads = tasks.flatten().take(MOST_THREADS).filter_map(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let wanted = ["State:", "voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
        let lines =
            wanted.iter().filter_map(|name| Some(format!("{name} {}\n", line(name)?.trim())));
        let name = line("Name:")?.trim();
        let id = task.file_name().to_string_lossy().into_owned();
        Some(ThreadInfo {
            thread_name: name.to_owned(),
            stringified_thread_info: format!("\"{name}\" Id={id}\n{}", lines.collect::<String>()),
        })
    });
    Ok(ThreadDumpInfo { thread_infos: threads.collect() })
}

pub(crate) async fn shutdown(call: Call) -> RestResult<EmptyResponseBody> {
    let Some(shutdown) = &call.context.services.shutdown else {
        return Err(RestError::unavailable("this cluster ends with the process that started it"));
    };
    tracing::info!("the cluster is asked to end");
    shutdown();
    Ok(EmptyResponseBody {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_are() {
        assert_eq!(hide_secrets("rest.port", "8081"), "8081");
        assert_eq!(hide_secrets("rest.server.bearer-token", "t"), "******");
        assert_eq!(hide_secrets("S3.Secret-Key", "t"), "******");
        let given = ["-Drest.server.bearer-token=t", "jobmanager", "-Drest.port=1"];
        let shown = arguments(given.into_iter().map(str::to_owned));
        assert_eq!(shown, ["-Drest.server.bearer-token=******", "jobmanager", "-Drest.port=1"]);
    }
}
