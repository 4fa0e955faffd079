//! What a person sees of a running job: one line that is rewritten on a terminal, and a report at
//! the end. Both go to standard error, so that standard output stays the job's own.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use hurtig_cluster_api::{DispatcherGateway, JobDetails, JobResult, JobStatus, RpcResult};
use hurtig_types::{JobId, MAX_TIMESTAMP};

/// Time between two lines.
const INTERVAL: Duration = Duration::from_millis(500);

/// Waits for a job's end and shows its progress if standard error is a terminal.
pub async fn follow(dispatcher: &dyn DispatcherGateway, job: JobId) -> RpcResult<JobResult> {
    if !std::io::stderr().is_terminal() {
        return dispatcher.job_result(job).await;
    }
    let mut before: Option<(u64, u64)> = None;
    let result = dispatcher.job_result(job);
    tokio::pin!(result);
    loop {
        tokio::select! {
            ended = &mut result => {
                eprint!("\r\x1b[K");
                return ended;
            }
            () = tokio::time::sleep(INTERVAL) => {
                if let Ok(details) = dispatcher.job_details(job).await {
                    let (line, now) = progress_line(&details, before);
                    before = Some(now);
                    eprint!("\r\x1b[K{line}");
                    // A terminal that has gone away is no reason to stop.
                    let _ = std::io::stderr().flush();
                }
            }
        }
    }
}

/// The line, and the totals to compute the next one's rates from.
fn progress_line(details: &JobDetails, before: Option<(u64, u64)>) -> (String, (u64, u64)) {
    let sources = details.vertices.iter().zip(&details.graph.vertices);
    let read: u64 =
        sources.filter(|(_, v)| v.inputs.is_empty()).map(|(d, _)| d.metrics.records_in).sum();
    let last = details.vertices.iter().zip(&details.graph.vertices);
    let written: u64 =
        last.filter(|(_, v)| v.outputs.is_empty()).map(|(d, _)| d.metrics.records_in).sum();
    let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / INTERVAL.as_secs_f64();
    let (then_read, then_written) = before.unwrap_or((read, written));
    let watermarks = details.vertices.iter().filter_map(|vertex| vertex.metrics.watermark);
    let watermark = match watermarks.min() {
        Some(MAX_TIMESTAMP) => "end".to_owned(),
        Some(time) => time.to_string(),
        None => "-".to_owned(),
    };
    let pressed = details.vertices.iter().max_by_key(|vertex| vertex.metrics.back_pressured_ms);
    let pressed = pressed.filter(|vertex| vertex.metrics.back_pressured_ms > 0);
    let pressed = pressed.map_or("none".to_owned(), |vertex| vertex.name.clone());
    let line = format!(
        "{:?}  in {read} ({:.0}/s)  out {written} ({:.0}/s)  watermark {watermark}  back pressure {pressed}",
        details.overview.status,
        per_second(read, then_read),
        per_second(written, then_written),
    );
    (line, (read, written))
}

/// Prints how a job ended.
pub fn report(result: &JobResult) {
    let seconds = result.run_time_ms as f64 / 1000.0;
    let status = match result.status {
        JobStatus::Finished => "finished".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    eprintln!("job {:?} {status} after {seconds:.3} s, {} restarts", result.name, result.restarts);
    for vertex in &result.vertices {
        let metrics = vertex.metrics;
        eprintln!(
            "  {} x{}: {} in, {} out, busy {} ms, idle {} ms, back-pressured {} ms",
            vertex.name,
            vertex.parallelism,
            metrics.records_in,
            metrics.records_out,
            metrics.busy_ms,
            metrics.idle_ms,
            metrics.back_pressured_ms
        );
    }
}
