//! Programs that run in a process of a cluster: what [`StreamExecutionEnvironment`] does there.
//!
//! The environment begins with the configuration of the cluster and of the one who submitted the
//! job, and `execute` does not return: the process becomes what it was started for, and ends.

use hurtig_job_host::{JobCode, TaskHostSettings};
use hurtig_types::JobId;

use crate::{ExecuteError, StreamExecutionEnvironment};

/// Takes over the configuration that a host is given. Mistakes are reported by `execute`.
pub(crate) fn configure(env: &StreamExecutionEnvironment) {
    let spec = match hurtig_job_host::current() {
        Ok(None) => return,
        Ok(Some(spec)) => spec,
        Err(error) => return env.builder.lock().mistakes.push(error.to_string()),
    };
    hurtig_job_host::end_with_parent();
    let configured = spec.configuration().and_then(|all| env.configure(all).map(|_| ()));
    if let Err(error) = configured {
        env.builder.lock().mistakes.push(error.to_string());
    }
}

/// True if this process is a host: one that a cluster has started to plan or run a program.
pub fn is_host() -> bool {
    !matches!(hurtig_job_host::current(), Ok(None))
}

/// In a host, becomes what the process was started for, and ends. Elsewhere nothing happens.
///
/// # Errors
/// If the program is wrong, or is not the one that was submitted.
pub(crate) fn become_host(
    env: &StreamExecutionEnvironment,
    job_name: &str,
) -> Result<(), ExecuteError> {
    let failed = |error: hurtig_job_host::HostError| {
        ExecuteError::Host(hurtig_types::error::chain_text(&error))
    };
    let Some(spec) = hurtig_job_host::current().map_err(failed)? else { return Ok(()) };
    let (graph, program) = env.job_graph(job_name, JobId(0))?;
    // What belongs to the TaskManager is for the cluster to say, not for the program.
    let cluster = StreamExecutionEnvironment::new().settings.lock().cluster.clone();
    let settings = TaskHostSettings {
        network: cluster.network,
        local_state: cluster.local_state,
        compute_threads: cluster.compute_threads,
        metrics: cluster.metrics.options,
    };
    Err(failed(hurtig_job_host::run(spec, JobCode { graph, program, settings })))
}
