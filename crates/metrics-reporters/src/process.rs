//! The process itself: memory in RAM, CPU time and load, open file descriptors, as the kernel tells
//! (`/proc/self`). Where there is no such thing, nothing is reported.

use std::{fs, sync::Arc, time::Duration};

use hurtig_metrics::{
    MetricGroup,
    catalogue::{CPU_STATUS, FILE_STATUS, MEMORY_STATUS},
};

/// Ticks per second in `/proc`: fixed by Linux for all programs.
const TICKS_PER_SECOND: u64 = 100;

/// Registers the process in the group of a role that runs in it.
pub fn register(group: &MetricGroup) {
    let inside = |names: &[&str]| names.iter().fold(group.clone(), |group, name| group.group(name));
    let cpu = inside(CPU_STATUS);
    cpu.computed_option("Time", || Some(cpu_time()?.as_nanos() as u64));
    // The rate of the time is the number of busy cores.
    cpu.core_load("Load", Arc::new(|| cpu_time().unwrap_or_default()));
    inside(MEMORY_STATUS)
        .computed_option("Used", || memory(&fs::read_to_string("/proc/self/status").ok()?));
    let files = inside(FILE_STATUS);
    // The directory itself is open while it is read.
    files.computed_option("Open", || Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64 - 1));
    files.computed_option("Max", || most_files(&fs::read_to_string("/proc/self/limits").ok()?));
}

fn cpu_time() -> Option<Duration> {
    ticks(&fs::read_to_string("/proc/self/stat").ok()?)
        .map(|ticks| Duration::from_millis(ticks.saturating_mul(1000 / TICKS_PER_SECOND)))
}

/// User and system time of a line of `stat`. The second field, a name, may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// Bytes of the resident set.
fn memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The soft limit of open files.
fn most_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 8 0";
        assert_eq!(ticks(stat), Some(200));
        assert_eq!(ticks("42 nonsense"), None);
        assert_eq!(memory("Name:\tx\nVmRSS:\t  2048 kB\n"), Some(2048 * 1024));
        assert_eq!(memory("Name:\tx\n"), None);
        let limits = "Limit  Soft Hard Units\nMax open files            1024   4096  files\n";
        assert_eq!(most_files(limits), Some(1024));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_open_files() {
        use hurtig_metrics::{MetricRegistry, MetricsQuery, ScopeKind};
        let registry = MetricRegistry::default();
        register(&registry.task_manager("h", "1"));
        let snapshot = registry.snapshot(&MetricsQuery::all());
        let value = |name| {
            snapshot.value(ScopeKind::TaskManager, &[], name).and_then(|value| value.as_f64())
        };
        assert!(value("Status.Process.Memory.Used").unwrap() > 100_000.0);
        assert!(value("Status.Process.FileDescriptor.Open").unwrap() >= 3.0);
        assert!(value("Status.Process.CPU.Time").is_some());
    }
}
