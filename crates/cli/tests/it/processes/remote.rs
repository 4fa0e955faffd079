//! The command line against a cluster of processes: everything goes through REST.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use hurtig_config::Configuration;
use hurtig_rest::RestClient;

use super::cluster::{TestProcess, job_binary, until};
use crate::{hurtig, json};

/// A cluster on this machine, and the address of its REST server.
pub fn start(directory: &std::path::Path) -> (TestProcess, String) {
    let work = directory.display();
    let child = Command::new(env!("CARGO_BIN_EXE_hurtig"))
        .args(["cluster", "--taskmanagers", "2"])
        .args(["-D", "rest.port=0", "-D", "jobmanager.rpc.port=0"])
        .args(["-D", &format!("process.working-dir={work}")])
        .args(["-D", "heartbeat.interval=100 ms"])
        .args(["--logs", &directory.join("logs").display().to_string()])
        .env_remove("HURTIG_CONF_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(directory.join("cluster.log")).unwrap())
        .spawn()
        .unwrap();
    let mut process = TestProcess(child);
    let mut line = String::new();
    BufReader::new(process.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(line.starts_with("JobManager ") && address.contains(':'), "{line}");
    (process, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_run_and_the_cluster_ended_from_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let (mut cluster, address) = start(directory.path());
    let binary = job_binary().display().to_string();
    let output = directory.path().join("output").display().to_string();
    let program = [&binary, "--", "--output", &output, "--records", "100"];
    let words = |first: &[&'static str]| -> Vec<String> {
        let all = first.iter().copied().chain(["-m", &address]).chain(program);
        all.map(str::to_owned).collect()
    };
    let run = |words: Vec<String>| hurtig(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let (code, plan, error) = run(words(&["info"]));
    assert_eq!(code, 0, "{error}");
    assert!(plan.starts_with("numbers\n0 [Numbers]"), "{plan}");
    let (code, out, error) = run(words(&["run"]));
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("has finished after"), "{out}");
    let jobs = json(&["list", "-a", "--json", "-m", &address]);
    assert_eq!((&jobs[0]["state"], &jobs[0]["name"]), (&"FINISHED".into(), &"numbers".into()));
    let client = RestClient::new(&address, &Configuration::new()).unwrap();
    assert_eq!(client.overview().await.unwrap().taskmanagers, 2);
    let (code, logs, error) = hurtig(&["logs", "-m", &address]);
    assert_eq!(code, 0, "{error}");
    let log = logs.lines().find(|log| log.starts_with("plan-")).unwrap();
    let name = log.split(' ').next().unwrap();
    assert_eq!(hurtig(&["logs", "-m", &address, name]).0, 0, "{logs}");
    client.shut_down().await.unwrap();
    let status = until("the cluster ends", async || cluster.0.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
}
