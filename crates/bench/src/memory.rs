//! Memory of processes, as Linux tells it.

use std::fs;

/// Forgets the peak so far. Where that is not possible, peaks are those since the start.
pub fn reset_peak() {
    // Needs no privilege for the process itself; without it the reading is only less sharp.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The largest resident set since the last reset, in MiB.
pub fn peak_rss_mb() -> Option<u64> {
    Some(field_kb("self", "VmHWM:")? / 1024)
}

/// The resident set of a process, in KiB.
pub fn rss_kb(process: u32) -> Option<u64> {
    field_kb(&process.to_string(), "VmRSS:")
}

fn field_kb(process: &str, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
