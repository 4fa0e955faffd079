//! `hurtig sql -m`: statements that are planned here and run on a cluster of processes.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{
    cluster::{TestProcess, signal, until},
    remote::start,
};
use crate::{hurtig, json};

/// Runs statements on the cluster; standard output as lines.
fn sql(address: &str, statements: &str) -> Vec<String> {
    let (code, out, error) =
        hurtig(&["sql", "-m", address, "-p", "2", "--output", "jsonl", "-e", statements]);
    assert_eq!(code, 0, "{error}");
    out.lines().map(str::to_owned).collect()
}

/// A table over a file of orders, in a catalog on disk, with a view on it.
fn definitions(directory: &Path) -> String {
    let orders = directory.join("orders.json");
    let line = |n: usize| format!("{{\"id\": {n}, \"item\": \"{}\"}}\n", ["tea", "ink"][n % 2]);
    fs::write(&orders, (0..1000).map(line).collect::<String>()).unwrap();
    format!(
        "CREATE CATALOG shop WITH ('type' = 'filesystem', 'path' = '{catalog}');
         USE CATALOG shop;
         CREATE TABLE IF NOT EXISTS orders (id INT, item STRING, twice AS id * 2)
           WITH ('connector' = 'filesystem', 'path' = '{orders}', 'format' = 'json');
         CREATE VIEW IF NOT EXISTS counted AS
           SELECT item, COUNT(*) AS n, SUM(twice) AS s FROM orders GROUP BY item;
         CREATE TABLE IF NOT EXISTS sink (item STRING, n BIGINT)
           WITH ('connector' = 'filesystem', 'path' = '{sink}', 'format' = 'json');",
        catalog = directory.join("catalog").display(),
        orders = orders.display(),
        sink = directory.join("sink").display(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_run_on_the_cluster_and_rows_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let (_cluster, address) = start(directory.path());
    let definitions = definitions(directory.path());
    let query = "SELECT item, n, s FROM counted";
    let (code, out, error) = hurtig(&[
        "sql",
        "-m",
        &address,
        "-p",
        "2",
        "--output",
        "jsonl",
        "--materialize",
        "-e",
        &definitions,
        "-e",
        query,
    ]);
    assert_eq!(code, 0, "{error}");
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        rows,
        [serde_json::json!(["ink", "500", "500000"]), serde_json::json!(["tea", "500", "499000"]),]
    );
    let jobs = json(&["list", "-a", "--json", "-m", &address]);
    assert_eq!(jobs[0]["state"], "FINISHED", "{jobs}");
    assert!(jobs[0]["name"].as_str().unwrap().starts_with("collect: "), "{jobs}");
    // An INSERT is left to the cluster; asked to, the client waits for it.
    let insert = "INSERT INTO sink SELECT item, 1 FROM orders WHERE id < 10";
    let out = sql(&address, &format!("{definitions} {insert}; SHOW JOBS"));
    let id: Vec<String> = serde_json::from_str(&out[0]).unwrap();
    assert!(
        out.iter().any(|line| line.contains(&id[0]) && line.contains("insert-into")),
        "{out:?}"
    );
    let waits = format!("{definitions} SET 'table.dml-sync' = 'true'; {insert}");
    sql(&address, &waits);
    until("the first INSERT is done", async || {
        let status = json(&["status", "--json", "-m", &address, &id[0]]);
        (status["state"] == "FINISHED").then_some(())
    })
    .await;
    let out = sql(&address, &format!("{definitions} SELECT COUNT(*) FROM sink"));
    assert!(out.last().unwrap().ends_with("[\"20\"]}"), "{out:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_comes_back_too() {
    let directory = tempfile::tempdir().unwrap();
    let (_cluster, address) = start(directory.path());
    let refused = |statements: &str| {
        let (code, _, error) = hurtig(&["sql", "-m", &address, "-e", statements]);
        assert_eq!(code, 1, "{error}");
        error
    };
    // Found by the client: with a position, and before anything is submitted.
    let error = refused("SELECT nothing FROM (VALUES (1)) AS t(a)");
    assert!(error.contains("nothing") && error.contains('^'), "{error}");
    assert_eq!(json(&["list", "-a", "--json", "-m", &address]), serde_json::json!([]));
    // Found by the job.
    let error = refused("SELECT 1 / a FROM (VALUES (1), (0)) AS t(a)");
    assert!(error.contains("/ by zero"), "{error}");
    // Found by the cluster.
    let error = refused("SET 'execution.checkpointing.interval' = '1 s'; SELECT 1");
    assert!(error.contains("execution.checkpointing.dir is not set"), "{error}");
    let (code, _, error) = hurtig(&["sql", "-m", "127.0.0.1:1", "-e", "SELECT 1"]);
    assert_eq!(code, 1);
    assert!(error.contains("cannot connect to 127.0.0.1:1"), "{error}");
    let (code, _, error) = hurtig(&["sql-job", "x"]);
    assert_eq!(code, 1);
    assert!(error.contains("no SQL program"), "{error}");
}

const ENDLESS: &str = "CREATE TEMPORARY TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', \
    'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '1000000000', \
    'rows-per-second' = '100');";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_ends_with_its_client_and_a_job_when_it_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let (_cluster, address) = start(directory.path());
    let statements = format!("{ENDLESS} SELECT n FROM numbers");
    let child = Command::new(env!("CARGO_BIN_EXE_hurtig"))
        .args(["sql", "-m", &address, "--output", "jsonl", "-e", &statements])
        .env_remove("HURTIG_CONF_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = TestProcess(child);
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    // Rows come while the job runs.
    assert_eq!(lines.next().unwrap().unwrap(), "{\"op\":\"+I\",\"row\":[\"1\"]}");
    signal(child.0.id(), "-INT");
    let status = until("the client ends", async || child.0.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(1));
    until("the query's job ends", async || {
        let jobs = json(&["list", "-a", "--json", "-m", &address]);
        (jobs[0]["state"] == "CANCELED").then_some(())
    })
    .await;
    let sink = "CREATE TEMPORARY TABLE sink (n BIGINT) WITH ('connector' = 'blackhole');";
    let out = sql(&address, &format!("{ENDLESS} {sink} INSERT INTO sink SELECT n FROM numbers"));
    let id: Vec<String> = serde_json::from_str(out.last().unwrap()).unwrap();
    until("it runs", async || {
        let status = json(&["status", "--json", "-m", &address, &id[0]]);
        (status["state"] == "RUNNING").then_some(())
    })
    .await;
    // Another session stops it.
    sql(&address, &format!("STOP JOB '{}'", id[0]));
    until("the job ends", async || {
        let status = json(&["status", "--json", "-m", &address, &id[0]]);
        (status["state"] == "CANCELED").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_does_not_outlive_a_client_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let (_cluster, address) = start(directory.path());
    let statements = format!("{ENDLESS} SELECT n FROM numbers");
    let child = Command::new(env!("CARGO_BIN_EXE_hurtig"))
        .args(["sql", "-m", &address, "--output", "jsonl"])
        .args(["-D", "client.heartbeat.interval=200 ms", "-D", "client.heartbeat.timeout=10 s"])
        .args(["-e", &statements])
        .env_remove("HURTIG_CONF_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = TestProcess(child);
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "{\"op\":\"+I\",\"row\":[\"1\"]}");
    let jobs = json(&["list", "-a", "--json", "-m", &address]);
    assert_eq!(jobs[0]["state"], "RUNNING", "{jobs}");
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    until("the query's job ends", async || {
        let jobs = json(&["list", "-a", "--json", "-m", &address]);
        (jobs[0]["state"] == "CANCELED").then_some(())
    })
    .await;
}
