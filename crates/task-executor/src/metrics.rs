//! The metrics of a TaskExecutor: its groups, and the memory of its network stack.

use hurtig_metrics::{MetricGroup, MetricRegistry, ScopeKind, catalogue::SHUFFLE_STATUS};
use hurtig_network::NetworkEnvironment;
use hurtig_types::JobId;

/// Registers a TaskExecutor in the registry of its process.
pub fn register(registry: &MetricRegistry, network: &NetworkEnvironment) -> MetricGroup {
    let address = network.address();
    // The in-memory transport has names without a host.
    let host = address.address.rsplit_once(':').map_or("localhost", |(host, _)| host);
    let manager = registry.task_manager(host, &address.resource.to_string());
    let shuffle = SHUFFLE_STATUS.iter().fold(manager.clone(), |group, name| group.group(name));
    let usage = |read: fn(&NetworkEnvironment) -> usize| {
        let network = network.clone();
        move || read(&network)
    };
    shuffle.computed("TotalMemory", usage(|network| network.usage().total_bytes));
    shuffle.computed("UsedMemory", usage(|network| network.usage().used_bytes));
    let available = usage(|network| {
        let usage = network.usage();
        usage.total_bytes.saturating_sub(usage.used_bytes)
    });
    shuffle.computed("AvailableMemory", available);
    manager
}

/// The group of a job in a TaskExecutor. The name counts only when the group is new.
pub fn job_group(manager: &MetricGroup, job: JobId, name: &str) -> MetricGroup {
    let id = job.to_string();
    let values = [("job_id", &*id), ("job_name", name)];
    manager.scoped(ScopeKind::TaskManagerJob, &id, &values)
}
