//! A JobManager that starts TaskManagers when jobs need them.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use hurtig_config::Configuration;
use hurtig_rest::RestClient;

use super::cluster::{TestProcess, job_binary, numbers_below, signal, until};
use crate::hurtig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn task_managers_come_with_a_job_and_go_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let child = Command::new(env!("CARGO_BIN_EXE_hurtig"))
        .args(["jobmanager", "--start-taskmanagers"])
        .args(["-D", "rest.port=0", "-D", "jobmanager.rpc.port=0"])
        .args(["-D", &format!("process.working-dir={}", at("work"))])
        .args(["-D", &format!("env.log.dir={}", at("logs"))])
        .args(["-D", "heartbeat.interval=100 ms"])
        .args(["-D", "resourcemanager.taskmanager-timeout=300 ms"])
        .env_remove("HURTIG_CONF_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(directory.path().join("jobmanager.log")).unwrap())
        .spawn()
        .unwrap();
    let mut manager = TestProcess(child);
    let mut line = String::new();
    BufReader::new(manager.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap();
    let client = RestClient::new(address, &Configuration::new()).unwrap();
    assert_eq!(client.overview().await.unwrap().taskmanagers, 0);
    let (binary, output) = (job_binary().display().to_string(), at("output"));
    let words = ["run", "-m", address, "-p", "2", &binary, "--", "--output", &output];
    let (code, _, error) = hurtig(&words);
    assert_eq!(code, 0, "{error}");
    assert_eq!(numbers_below(output.as_ref()), (0..1000).collect::<Vec<_>>());
    let working = || {
        let entries = std::fs::read_dir(at("work")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("tm_")).count()
    };
    until("TaskManagers have gone", async || {
        (client.overview().await.unwrap().taskmanagers == 0 && working() == 0).then_some(())
    })
    .await;
    // Those of a job that runs end in order with the JobManager.
    let words = ["--records", "1000000", "--rate", "100"];
    let running = ["run", "-d", "-m", address, &binary, "--", "--output", &output];
    let words: Vec<&str> = running.into_iter().chain(words).collect();
    assert_eq!(hurtig(&words).0, 0);
    until("one has come", async || (working() > 0).then_some(())).await;
    signal(manager.0.id(), "-TERM");
    let status = until("it ends", async || manager.0.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
    assert_eq!(working(), 0);
}
