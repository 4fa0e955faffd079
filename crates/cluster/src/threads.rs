//! The threads of this process and of the hosts that it has started, as the system shows them.

use std::{fs, io, path::Path};

use hurtig_cluster_api::ProcessThread;

/// Most threads that are told of.
const MOST_THREADS: usize = 4096;
/// Most hosts that are looked at.
const MOST_HOSTS: usize = 256;
/// The unit of processor time that Linux tells programs, whatever its own is.
const TICK_MS: u64 = 10;

/// This process and its children.
pub(crate) fn all() -> io::Result<Vec<ProcessThread>> {
    let mut threads = Vec::new();
    let mut hosts = Vec::new();
    for task in fs::read_dir("/proc/self/task")?.flatten() {
        // A thread that has ended meanwhile has no children here any more.
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        hosts.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    of_process(std::process::id(), &mut threads)?;
    for host in hosts.into_iter().take(MOST_HOSTS) {
        // One that has ended meanwhile has none.
        let _ = of_process(host, &mut threads);
    }
    Ok(threads)
}

fn of_process(pid: u32, threads: &mut Vec<ProcessThread>) -> io::Result<()> {
    let directory = Path::new("/proc").join(pid.to_string());
    let name = fs::read_to_string(directory.join("comm"))?;
    let process = format!("{pid} {}", name.trim());
    let left = MOST_THREADS.saturating_sub(threads.len());
    let tasks = fs::read_dir(directory.join("task"))?.flatten();
    threads.extend(tasks.take(left).filter_map(|task| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        thread(&process, task.file_name().to_str()?.parse().ok()?, &status, &stat)
    }));
    Ok(())
}

/// A thread from the texts of its `status` and `stat`.
fn thread(process: &str, id: u32, status: &str, stat: &str) -> Option<ProcessThread> {
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let count = |name: &str| line(name).and_then(|count| count.parse().ok()).unwrap_or(0);
    // The name in parentheses may hold anything; behind it come the numbers, from the third on.
    let numbers = stat.rsplit_once(") ")?.1;
    let ticks = |field: usize| numbers.split(' ').nth(field - 3)?.parse::<u64>().ok();
    Some(ProcessThread {
        process: process.to_owned(),
        id,
        name: line("Name:")?.to_owned(),
        state: line("State:")?.to_owned(),
        cpu_ms: (ticks(14)? + ticks(15)?) * TICK_MS,
        switches: (count("voluntary_ctxt_switches:"), count("nonvoluntary_ctxt_switches:")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_read_whatever_it_is_called() {
        let status = "Name:\ta) R 1 b\nState:\tS (sleeping)\nvoluntary_ctxt_switches:\t7\n\
                      nonvoluntary_ctxt_switches:\t2\n";
        let stat = "12 (a) R 1 b) S 1 12 12 0 -1 4194304 172 0 0 0 30 12 0 0 20 0 1 0 5\n";
        let expected = ProcessThread {
            process: "1 x".to_owned(),
            id: 12,
            name: "a) R 1 b".to_owned(),
            state: "S (sleeping)".to_owned(),
            cpu_ms: 420,
            switches: (7, 2),
        };
        assert_eq!(thread("1 x", 12, status, stat), Some(expected));
        for broken in ["", "12 (a", "12 (a) S 1", "12 (a) S 1 12 12 0 -1 4 1 0 0 0 x 12 0"] {
            assert_eq!(thread("1 x", 12, status, broken), None, "{broken}");
        }
    }

    #[test]
    fn this_process_has_this_thread() {
        let handle = std::thread::Builder::new().name("seen by all".to_owned()).spawn(|| {
            let threads = all().unwrap();
            assert!(threads.iter().any(|thread| thread.name == "seen by all"), "{threads:?}");
        });
        handle.unwrap().join().unwrap();
    }
}
