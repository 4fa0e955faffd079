//! Two real processes on one directory: the leader is stopped (SIGSTOP), goes on, is killed.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use hurtig_high_availability::{
    HighAvailabilityServices, LeaderScope, SubmittedJob, store::directory::DirectoryBackend,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::harness::{Contender, Told, job, services, soon};

const FOLDER: &str = "HURTIG_TEST_HA_FOLDER";
const MARK: &str = "CHILD: ";

fn process_on(folder: &Path, me: u128) -> HighAvailabilityServices {
    let poll = Duration::from_millis(20);
    services(Arc::new(DirectoryBackend::new(folder, me, poll)), me)
}

/// What the other process does: it leads, and writes a job for each line that it is sent.
#[tokio::test]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let process = process_on(Path::new(&folder), u128::from(std::process::id()) << 64);
    let mut contender = Contender::enter(&process, LeaderScope::Cluster).await;
    let token = contender.granted().await;
    process.job_graph_store(token).recover().await.unwrap();
    println!("{MARK}leads");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut revoked = false;
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line.unwrap(),
            told = contender.next(), if !revoked => {
                assert_eq!(told, Told::Revoked(token));
                revoked = true;
                println!("{MARK}revoked");
                continue;
            }
        };
        let Some(number) = line else { return };
        let submitted = SubmittedJob { job: job(number.parse().unwrap()), graph: "g".into() };
        match process.job_graph_store(token).put(&submitted).await {
            Ok(()) => println!("{MARK}written"),
            Err(error) if error.is_fenced() => println!("{MARK}fenced"),
            Err(error) => println!("{MARK}{error:?}"),
        }
    }
}

struct Other {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, output }
    }

    async fn says(&mut self) -> String {
        let heard = async {
            while let Some(line) = self.output.next_line().await.unwrap() {
                if let Some((_, said)) = line.split_once(MARK) {
                    return said.to_owned();
                }
            }
            panic!("the other process has ended")
        };
        soon("word of the other process", heard).await
    }

    async fn writes(&mut self, number: u32) -> String {
        self.input.write_all(format!("{number}\n").as_bytes()).await.unwrap();
        self.says().await
    }

    async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().await.unwrap().success());
    }
}

#[tokio::test]
async fn a_leader_that_was_stopped_writes_nothing_when_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start(folder.path());
    assert_eq!(other.says().await, "leads");
    assert_eq!(other.writes(1).await, "written");

    let process = process_on(folder.path(), 1);
    let mut standby = Contender::enter(&process, LeaderScope::Cluster).await;
    other.signal("STOP").await;
    let token = standby.granted().await;
    assert_eq!(process.job_graph_store(token).recover().await.unwrap().len(), 1);
    other.signal("CONT").await;
    let said = [other.writes(2).await, other.says().await];
    assert!(
        said.contains(&"fenced".to_owned()) && said.contains(&"revoked".to_owned()),
        "{said:?}"
    );
    assert_eq!(process.job_graph_store(token).job_ids().await.unwrap(), [job(1)]);
}

#[tokio::test]
async fn a_leader_that_is_killed_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start(folder.path());
    assert_eq!(other.says().await, "leads");
    let process = process_on(folder.path(), 1);
    let mut standby = Contender::enter(&process, LeaderScope::Cluster).await;
    for number in 0..20 {
        assert_eq!(other.writes(number).await, "written");
    }
    // In the middle of a write, more often than not.
    other.input.write_all(b"100\n101\n102\n103\n").await.unwrap();
    other.child.kill().await.unwrap();
    let token = standby.granted().await;
    let jobs = process.job_graph_store(token).recover().await.unwrap();
    assert!((20..=24).contains(&jobs.len()), "{jobs:?}");
}
