//! Processes that are killed.

use std::process::{Command, Stdio};

use hurtig_cluster_api::JobStatus;

use super::cluster::{Cluster, TestProcess, hosts_below, signal, until};

/// Records of a job that lasts until it is let end.
const RECORDS: u64 = 3000;

/// Starts a job that takes checkpoints, and lasts until [`Cluster::let_jobs_end`].
async fn start_lasting(cluster: &Cluster, width: u32) -> hurtig_types::JobId {
    let checkpoints = format!("file://{}", cluster.path("checkpoints").display());
    let end = cluster.end_of_jobs().display().to_string();
    let records = RECORDS.to_string();
    let words = ["--records", &records, "--rate", "1000", "--until", &end];
    let words = [&words[..], &["--checkpoints", &checkpoints]].concat();
    let job = cluster.run_wide(&words, width).await.unwrap();
    cluster.until_running(job).await;
    until("two checkpoints", async || {
        let stats = cluster.manager.dispatcher().unwrap().checkpoint_stats(job).await.unwrap();
        (stats.counts.completed >= 2).then_some(())
    })
    .await;
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_a_task_manager_restarts_the_job_elsewhere() {
    let mut cluster = Cluster::with_task_managers(3, 1).await;
    let job = start_lasting(&cluster, 2).await;
    let details = cluster.details(job).await;
    let victim = details.vertices[0].subtasks[0].task_executor.unwrap();
    // Which process that is: the one whose working directory has its name.
    let name = format!("tm_{victim}");
    let of_victim = |cluster: &Cluster| {
        let hosts = hosts_below(&cluster.path(&name));
        hosts.into_iter().map(|(_, pid)| pid).collect::<Vec<u32>>()
    };
    assert_eq!(of_victim(&cluster).len(), 1);
    let logs = (0..3).map(|n| cluster.path(&format!("taskmanager-{n}.log")));
    let knows = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path).unwrap().contains(&victim.to_string())
    };
    let index = logs.collect::<Vec<_>>().iter().position(knows).unwrap();
    cluster.task_managers[index].0.kill().unwrap();
    until("its hosts are gone", async || of_victim(&cluster).is_empty().then_some(())).await;
    cluster.let_jobs_end();
    let result = cluster.result(job).await;
    assert_eq!(result.status, JobStatus::Finished, "{result:?}");
    assert!(result.restarts >= 1);
    assert_eq!(cluster.output(), (0..RECORDS).collect::<Vec<_>>());
    assert_eq!(cluster.task_executors().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_a_task_host_is_a_failure_of_its_tasks() {
    let cluster = Cluster::with_task_managers(1, 1).await;
    let job = start_lasting(&cluster, 1).await;
    let hosts = cluster.hosts();
    let (_, pid) = hosts.iter().find(|(name, _)| name.starts_with("task-")).unwrap();
    signal(*pid, "-KILL");
    cluster.let_jobs_end();
    let result = cluster.result(job).await;
    assert_eq!(result.status, JobStatus::Finished, "{result:?}");
    assert_eq!(result.restarts, 1);
    assert_eq!(cluster.output(), (0..RECORDS).collect::<Vec<_>>());
    let failures = cluster.details(job).await.failures;
    let told = failures.iter().any(|failure| failure.message.contains("it was killed (SIGKILL)"));
    assert!(told, "{failures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_manager_that_is_told_to_end_leaves_in_order() {
    let mut cluster = Cluster::with_task_managers(3, 1).await;
    let job = start_lasting(&cluster, 2).await;
    let pid = cluster.task_managers[0].0.id();
    signal(pid, "-TERM");
    until("it ends", async || cluster.task_managers[0].0.try_wait().unwrap()).await;
    assert_eq!(cluster.task_executors().await.len(), 2);
    let left = std::fs::read_dir(cluster.directory.path()).unwrap();
    let left =
        left.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("tm_"));
    assert_eq!(left.count(), 2, "its directory is gone");
    cluster.let_jobs_end();
    let result = cluster.result(job).await;
    assert_eq!(result.status, JobStatus::Finished, "{result:?}");
    assert_eq!(cluster.output(), (0..RECORDS).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_outlives_its_job_master_host() {
    let cluster = Cluster::with_task_managers(1, 1).await;
    let job = start_lasting(&cluster, 1).await;
    let host = |prefix: &str| {
        let hosts = cluster.hosts();
        hosts.into_iter().find(|(name, _)| name.starts_with(prefix)).map(|(_, pid)| pid)
    };
    let (first, tasks) = (host("jobmaster-").unwrap(), host("task-").unwrap());
    signal(first, "-KILL");
    until("another JobMaster", async || host("jobmaster-").filter(|pid| *pid != first)).await;
    until("it completes a checkpoint", async || {
        let stats = cluster.manager.dispatcher().unwrap().checkpoint_stats(job).await.ok()?;
        (stats.counts.completed >= 1).then_some(())
    })
    .await;
    assert_eq!(host("task-"), Some(tasks), "the tasks run where they ran");
    cluster.let_jobs_end();
    let result = cluster.result(job).await;
    assert_eq!(result.status, JobStatus::Finished, "{result:?}");
    assert_eq!(cluster.output(), (0..RECORDS).collect::<Vec<_>>());
    until("no host is left", async || cluster.hosts().is_empty().then_some(())).await;
}

fn local_cluster(directory: &std::path::Path) -> TestProcess {
    let work = directory.display();
    let child = Command::new(env!("CARGO_BIN_EXE_hurtig"))
        .args(["cluster", "--taskmanagers", "2"])
        .args(["-D", "rest.port=0"])
        .args(["-D", "jobmanager.rpc.port=0"])
        .args(["-D", &format!("process.working-dir={work}")])
        .args(["-D", "heartbeat.interval=100 ms"])
        .args(["--logs", &directory.join("logs").display().to_string()])
        .env_remove("HURTIG_CONF_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(directory.join("cluster.log")).unwrap())
        .spawn()
        .unwrap();
    TestProcess(child)
}

/// Processes that were started below a process that was started by the test.
pub fn children_of(pid: u32) -> Vec<u32> {
    let output = Command::new("pgrep").args(["-P", &pid.to_string()]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_ends_with_its_process_however_that_ends() {
    for end in ["-KILL", "-TERM"] {
        let directory = tempfile::tempdir().unwrap();
        let mut cluster = local_cluster(directory.path());
        let pid = cluster.0.id();
        let children = until("TaskManagers run", async || {
            let work = std::fs::read_dir(directory.path()).unwrap();
            let names = work.map(|entry| entry.unwrap().file_name());
            let ready = names.filter(|name| name.to_string_lossy().starts_with("tm_")).count() == 2;
            Some(children_of(pid)).filter(|children| ready && children.len() == 2)
        })
        .await;
        signal(pid, end);
        until("it ends", async || cluster.0.try_wait().unwrap()).await;
        until("its TaskManagers end", async || {
            let lives = |pid: &u32| {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
                stat.is_ok_and(|stat| !stat.contains(") Z "))
            };
            (!children.iter().any(lives)).then_some(())
        })
        .await;
        let log = std::fs::read_to_string(directory.path().join("cluster.log")).unwrap();
        let orderly = end == "-TERM";
        assert!(!orderly || !log.contains("ERROR"), "an end that was asked for is no error: {log}");
    }
}

#[test]
fn a_task_manager_that_finds_no_job_manager_gives_up() {
    let directory = tempfile::tempdir().unwrap();
    // Nobody listens at a port that was just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = Command::new(env!("CARGO_BIN_EXE_hurtig"))
        .arg("taskmanager")
        .args(["-D", "jobmanager.rpc.address=127.0.0.1"])
        .args(["-D", &format!("jobmanager.rpc.port={port}")])
        .args(["-D", &format!("process.working-dir={}", directory.path().display())])
        .args(["-D", "heartbeat.interval=20 ms"])
        .args(["-D", "taskmanager.registration.timeout=500 ms"])
        .env_remove("HURTIG_CONF_DIR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no ResourceManager has answered for"), "{text}");
    // With pauses of 100 ms, 200 ms and more there is no room for many.
    let tries = text.matches("cannot register with the ResourceManager yet").count();
    assert!((1..=4).contains(&tries), "{text}");
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "its directory is gone");
}
