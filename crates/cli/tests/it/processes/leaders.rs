//! JobManagers that compete for leadership, in a directory of this machine.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use hurtig_cluster::leading_rest_address;
use hurtig_config::Configuration;
use hurtig_rest::{ClientError, RestClient};
use serde_json::Value;

use super::cluster::{TestProcess, hosts_below, job_binary, numbers_below, until};
use crate::hurtig;

/// Longest wait for a leader; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Records of the jobs.
const RECORDS: u64 = 3000;

struct Leaders {
    /// Processes, and where they answer REST.
    managers: Vec<(TestProcess, String)>,
    task_managers: Vec<TestProcess>,
    directory: tempfile::TempDir,
}

impl Leaders {
    /// Two JobManagers, and a TaskManager with two slots.
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut cluster = Self { managers: Vec::new(), task_managers: Vec::new(), directory };
        for _ in 0..2 {
            let (process, line) = cluster.launch("jobmanager");
            let address = line.trim().rsplit(' ').next().unwrap().to_owned();
            cluster.managers.push((process, address));
        }
        let (process, _) = cluster.launch("taskmanager");
        cluster.task_managers.push(process);
        cluster
    }

    fn properties(&self) -> Vec<String> {
        let at = |name: &str| self.directory.path().join(name).display().to_string();
        [
            ("high-availability.type", "DIRECTORY".to_owned()),
            ("high-availability.storageDir", at("ha")),
            ("high-availability.leader-election.lease-duration", "1 s".to_owned()),
            ("high-availability.leader-election.retry-period", "50 ms".to_owned()),
            ("process.working-dir", at("work")),
            ("taskmanager.numberOfTaskSlots", "2".to_owned()),
            ("heartbeat.interval", "100 ms".to_owned()),
            ("rest.port", "0".to_owned()),
            ("rest.retry.delay", "100 ms".to_owned()),
            ("rest.retry.max-attempts", "600".to_owned()),
        ]
        .map(|(key, value)| format!("{key}={value}"))
        .into()
    }

    /// Starts a process, and returns what it says when it is there.
    fn launch(&self, role: &str) -> (TestProcess, String) {
        let number = self.managers.len() + self.task_managers.len();
        let log = self.directory.path().join(format!("{role}-{number}.log"));
        let child = Command::new(env!("CARGO_BIN_EXE_hurtig"))
            .arg(role)
            .args(self.properties().iter().flat_map(|property| ["-D", property]))
            .env_remove("HURTIG_CONF_DIR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut process = TestProcess(child);
        let mut line = String::new();
        BufReader::new(process.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        (process, line)
    }

    fn configuration(&self) -> Configuration {
        let mut configuration = Configuration::new();
        for property in self.properties() {
            configuration.add_dynamic(&property).unwrap();
        }
        configuration
    }

    /// Index of the one that leads after another, which may be named until its lease has run out.
    async fn leader_after(&self, before: Option<usize>) -> usize {
        until("somebody leads", async || {
            let address = leading_rest_address(&self.configuration(), PATIENCE).await.unwrap();
            let leader = self.managers.iter().position(|(_, own)| Some(own) == address.as_ref());
            leader.filter(|leader| Some(*leader) != before)
        })
        .await
    }

    /// Runs the command without an address: it finds the leader by itself.
    fn command(&self, first: &[&str], rest: &[&str]) -> (i32, String, String) {
        let properties = self.properties();
        let properties = properties.iter().flat_map(|property| ["-D", property]);
        let words = first.iter().copied().chain(properties).chain(rest.iter().copied());
        hurtig(&words.collect::<Vec<_>>())
    }

    /// Arguments of a job that lasts until [`Self::let_jobs_end`].
    fn job(&self) -> Vec<String> {
        let at = |name: &str| self.directory.path().join(name).display().to_string();
        let (records, end) = (RECORDS.to_string(), at("end-of-jobs"));
        let checkpoints = format!("file://{}", at("checkpoints"));
        let words = ["--records", &records, "--rate", "1000", "--until", &end];
        let words = [&words[..], &["--checkpoints", &checkpoints]].concat();
        let output = ["--output".to_owned(), at("output")];
        let program = [job_binary().display().to_string(), "--".to_owned()];
        program.into_iter().chain(words.into_iter().map(str::to_owned)).chain(output).collect()
    }

    fn let_jobs_end(&self) {
        std::fs::write(self.directory.path().join("end-of-jobs"), "").unwrap();
    }

    fn task_hosts(&self) -> Vec<u32> {
        let hosts = hosts_below(&self.directory.path().join("work")).into_iter();
        hosts.filter(|(name, _)| name.starts_with("task-")).map(|(_, pid)| pid).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_while_tasks_run_on_and_the_client_waits() {
    let mut cluster = Leaders::start();
    let first = cluster.leader_after(None).await;
    let job = cluster.job();
    let words: Vec<&str> = job.iter().map(String::as_str).collect();
    let (code, out, error) = cluster.command(&["run", "-d", "--json"], &words);
    assert_eq!(code, 0, "{error}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    let job: hurtig_types::JobId = answer["job"].as_str().unwrap().parse().unwrap();
    let client = RestClient::new(&cluster.managers[first].1, &cluster.configuration()).unwrap();
    let completed = async |client: &RestClient| {
        let checkpoints = client.checkpoints(job).await.ok()?;
        (checkpoints.counts.completed >= 1).then_some(())
    };
    until("a checkpoint", async || completed(&client).await).await;
    let tasks = cluster.task_hosts();
    assert_eq!(tasks.len(), 1);
    cluster.managers[first].0.0.kill().unwrap();
    cluster.managers[first].0.0.wait().unwrap();
    let second = cluster.leader_after(Some(first)).await;
    let standby = RestClient::new(&cluster.managers[second].1, &cluster.configuration()).unwrap();
    until("the next JobMaster completes a checkpoint", async || completed(&standby).await).await;
    assert_eq!(cluster.task_hosts(), tasks, "the tasks run where they ran");
    cluster.let_jobs_end();
    // One that comes back stands by, and sends its clients to the leader.
    let (process, line) = cluster.launch("jobmanager");
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    cluster.managers[first] = (process, address.clone());
    let sent_on = RestClient::new(&address, &cluster.configuration()).unwrap();
    let result = until("the job's end", async || match sent_on.result(job).await {
        Ok(result) => Some(result),
        // It does not know yet who leads.
        Err(ClientError::Refused { .. }) => None,
        Err(error) => panic!("{error}"),
    });
    assert_eq!(result.await.application_status, "SUCCEEDED");
    assert_eq!(sent_on.address(), cluster.managers[second].1);
    assert_eq!(
        numbers_below(&cluster.directory.path().join("output")),
        (0..RECORDS).collect::<Vec<_>>()
    );
    // Its result outlives the one that has seen its end.
    cluster.managers[second].0.0.kill().unwrap();
    // The command waits for the next leader by itself.
    let (code, _, error) = cluster.command(&["list"], &[]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(cluster.leader_after(Some(second)).await, first);
    assert_eq!(sent_on.result(job).await.unwrap().application_status, "SUCCEEDED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_told_to_end_leaves_jobs_to_the_next_one_which_has_their_programs() {
    let mut cluster = Leaders::start();
    let first = cluster.leader_after(None).await;
    let standby = cluster.managers[1 - first].1.clone();
    let job = cluster.job();
    let words: Vec<&str> = job.iter().map(String::as_str).collect();
    // The standby sends a submission on to the leader, with the upload before it.
    let (code, _, error) = cluster.command(&["run", "-d", "-m", &standby], &words);
    assert_eq!(code, 0, "{error}");
    let client = RestClient::new(&standby, &cluster.configuration()).unwrap();
    until("the job runs", async || {
        let jobs = client.jobs().await.unwrap().jobs;
        jobs.iter().any(|job| job.state == "RUNNING").then_some(())
    })
    .await;
    let pid = cluster.managers[first].0.0.id();
    super::cluster::signal(pid, "-TERM");
    // Its tasks go with their TaskManager: the next leader must bring the program to another one.
    cluster.task_managers.clear();
    let (process, _) = cluster.launch("taskmanager");
    cluster.task_managers.push(process);
    until("it ends", async || cluster.managers[first].0.0.try_wait().unwrap()).await;
    assert_eq!(cluster.leader_after(None).await, 1 - first, "there is no lease to wait for");
    cluster.let_jobs_end();
    let output = cluster.directory.path().join("output");
    until("the job's end", async || {
        let jobs = client.jobs().await.ok()?.jobs;
        jobs.iter().any(|job| job.state == "FINISHED").then_some(())
    })
    .await;
    assert_eq!(numbers_below(&output), (0..RECORDS).collect::<Vec<_>>());
    let ha = cluster.directory.path().join("ha/default/blob");
    until("the job's copies are gone", async || {
        let mut left = std::fs::read_dir(&ha).into_iter().flatten();
        left.next().is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_cluster_is_the_end_of_all_job_managers_and_of_what_they_kept() {
    let mut cluster = Leaders::start();
    let first = cluster.leader_after(None).await;
    let job = cluster.job();
    let words: Vec<&str> = job.iter().map(String::as_str).collect();
    let (code, _, error) = cluster.command(&["run", "-d"], &words);
    assert_eq!(code, 0, "{error}");
    let standby = cluster.managers[1 - first].1.clone();
    // The standby sends the wish on to the leader.
    let client = RestClient::new(&standby, &cluster.configuration()).unwrap();
    client.shut_down().await.unwrap();
    for index in 0..2 {
        let process = &mut cluster.managers[index].0;
        let status = until("it ends", async || process.0.try_wait().unwrap()).await;
        assert!(status.success(), "{status}");
    }
    // Another one of that name is a new cluster.
    let (process, line) = cluster.launch("jobmanager");
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    cluster.managers[0] = (process, address.clone());
    assert_eq!(cluster.leader_after(Some(1)).await, 0);
    let client = RestClient::new(&address, &cluster.configuration()).unwrap();
    let jobs = until("it answers", async || client.jobs().await.ok()).await.jobs;
    assert_eq!(jobs, []);
}
