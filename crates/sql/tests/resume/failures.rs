//! Failures in the middle: what a job has committed in the end is as if there had been none.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use hurtig::{JobClient, JobStatus};
use hurtig_sql::{Session, StatementResult, connectors::gate::SourceGate};

/// Rows of a file; there are several files, each of a time of its own.
const ROWS_PER_FILE: i64 = 400;
const FILES: i64 = 4;
const KEYS: i64 = 7;
const WINDOW_MS: i64 = 10_000;
const ROW_EVERY_MS: i64 = 100;

/// Writes the input; gives per window and key what the result must be: a sum and a count.
fn input(directory: &Path) -> BTreeMap<(i64, String), (i64, i64)> {
    fs::create_dir(directory).unwrap();
    let mut expected = BTreeMap::new();
    for file in 0..FILES {
        let mut text = String::new();
        for row in file * ROWS_PER_FILE..(file + 1) * ROWS_PER_FILE {
            let (key, value, at) = (format!("k{}", row * 31 % KEYS), row % 13, row * ROW_EVERY_MS);
            let time = text_of(at);
            writeln!(text, r#"{{"k": "{key}", "v": {value}, "ts": "{time}"}}"#).unwrap();
            let window: &mut (i64, i64) = expected.entry((at / WINDOW_MS, key)).or_default();
            *window = (window.0 + value, window.1 + 1);
        }
        fs::write(directory.join(format!("{file}.json")), text).unwrap();
    }
    expected
}

/// A time of the day, as JSON has it.
fn text_of(at_ms: i64) -> String {
    let (seconds, millis) = (at_ms / 1000, at_ms % 1000);
    format!(
        "2024-01-01 {:02}:{:02}:{:02}.{millis:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The lines of all committed files of a directory.
fn committed(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(['.', '_']) {
            let text = fs::read_to_string(entry.path()).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines.sort();
    lines
}

fn rows_read(gate: &SourceGate) -> u64 {
    gate.rows().values().sum()
}

/// Waits for something that the job does.
fn eventually(client: &JobClient, what: &str, mut done: impl FnMut() -> bool) {
    let clock = hurtig_env::Clock::system();
    while !done() {
        let status = client.status().unwrap();
        assert!(!status.is_globally_terminal(), "{what}: the job has ended as {status:?}");
        assert!(clock.monotonic().as_secs() < 300, "{what}");
        std::thread::yield_now();
    }
}

/// Takes a checkpoint; it is refused until all tasks run.
fn checkpoint(client: &JobClient) {
    eventually(client, "a checkpoint is taken", || client.trigger_checkpoint().is_ok());
}

/// Takes the TaskExecutor of the first subtask away, and waits until the job runs again.
fn fail(client: &JobClient, nth: u32) {
    let details = client.details().unwrap();
    let host = details.vertices[0].subtasks[0].task_executor.expect("it runs somewhere");
    // The low half of the id numbers the TaskExecutors of an embedded cluster.
    client.stop_task_executor((host.0 & u128::from(u64::MAX)) as usize);
    eventually(client, "it runs again", || {
        let details = client.details().unwrap();
        details.restarts >= nth && details.overview.status == JobStatus::Running
    });
}

#[test]
fn committed_files_have_each_result_once_whatever_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (input_path, output) = (directory.path().join("in"), directory.path().join("out"));
    let expected = input(&input_path);
    let mut session = Session::new();
    let statements = format!(
        "SET 'parallelism.default' = '2';
        SET 'minicluster.number-of-taskmanagers' = '3';
        SET 'taskmanager.numberOfTaskSlots' = '2';
        SET 'execution.checkpointing.interval' = '1 h';
        SET 'execution.checkpointing.dir' = 'file://{state}';
        SET 'restart-strategy.type' = 'fixed-delay';
        SET 'restart-strategy.fixed-delay.attempts' = '10';
        SET 'restart-strategy.fixed-delay.delay' = '1 ms';
        CREATE TABLE source (k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
            WITH ('connector' = 'filesystem', 'path' = '{input}', 'format' = 'json');
        CREATE TABLE sink (w STRING, k STRING, s BIGINT, c BIGINT)
            WITH ('connector' = 'filesystem', 'path' = '{output}', 'format' = 'json');
        INSERT INTO sink SELECT CAST(window_start AS STRING), k, SUM(v), COUNT(*)
            FROM TABLE(TUMBLE(TABLE source, DESCRIPTOR(ts), INTERVAL '10' SECOND))
            GROUP BY window_start, window_end, k;",
        state = directory.path().join("state").display(),
        input = input_path.display(),
        output = output.display(),
    );
    let gate = SourceGate::after(600);
    session.hold_sources(Some(gate.clone()));
    let mut job = None;
    for part in hurtig_sql_parser::SqlParser::default().split(&statements).unwrap() {
        match session.execute(&statements, part) {
            Ok(StatementResult::Job(one)) => job = Some(one),
            Ok(_) => {}
            Err(error) => panic!("{}", error.render(&statements)),
        }
    }
    let job = job.expect("INSERT is a job");
    let client = job.client().expect("the cluster is embedded");

    eventually(client, "it has read some", || rows_read(&gate) >= 600);
    checkpoint(client);
    // What follows is read, aggregated and written in vain.
    gate.let_through(1000);
    eventually(client, "it has read more", || rows_read(&gate) >= 1000);
    fail(client, 1);
    // 600 to 1000 again, and on.
    gate.let_through(1700);
    eventually(client, "it has read that again", || rows_read(&gate) >= 1600);
    checkpoint(client);
    fail(client, 2);
    gate.open();
    // What is written last becomes visible with a checkpoint, and no other one is near.
    while !client.status().unwrap().is_globally_terminal() {
        // It is refused once tasks have ended, or before they run.
        let _ = client.trigger_checkpoint();
    }
    job.wait().unwrap();

    let rows = expected.iter().map(|((window, key), (sum, count))| {
        let time = text_of(window * WINDOW_MS);
        format!(r#"{{"w":"{time}","k":"{key}","s":{sum},"c":{count}}}"#)
    });
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    assert_eq!(committed(&output), rows);
    let read = rows_read(&gate);
    assert!(read > (FILES * ROWS_PER_FILE) as u64, "{read}: nothing was read again");
}
