//! Commands for a running cluster, as a user or a script meets them.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use hurtig::{connectors::BlackHoleSink, prelude::*};
use hurtig_cluster_api::{
    BlobError, BlobInfo, BlobService, BlobUpload, DispatcherGateway, ProgramError, ProgramRequest,
    ProgramRunner,
};
use hurtig_config::Configuration;
use hurtig_env::Clock;
use hurtig_graph::JobGraph;
use hurtig_minicluster::{MiniCluster, MiniClusterConfig};
use hurtig_rest::{RestServer, RestServerConfig, RestServices};
use hurtig_types::{BlobId, JobId};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::{hurtig, json};

/// Keeps one blob, and makes the same job of it, whatever it is: one that ends if its first argument
/// is `ends`, one that fails if it is `fails`, else one that runs for ever.
struct Programs {
    cluster: Arc<MiniCluster>,
    blob: Mutex<Option<BlobInfo>>,
    uploads: Mutex<u32>,
}

struct Upload(Arc<Programs>, Sha256, u64, String);

/// The way to [`Programs`].
struct Shared(Arc<Programs>);

#[async_trait]
impl BlobUpload for Upload {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.1.update(bytes);
        self.2 += bytes.len() as u64;
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<BlobInfo, BlobError> {
        let Self(programs, hash, size_bytes, name) = *self;
        let id = BlobId(hash.finalize().into());
        let info = BlobInfo { id, name, size_bytes, uploaded_ms: 1 };
        *programs.blob.lock() = Some(info.clone());
        *programs.uploads.lock() += 1;
        Ok(info)
    }
}

#[async_trait]
impl BlobService for Shared {
    async fn begin_upload(&self, name: &str) -> Result<Box<dyn BlobUpload>, BlobError> {
        Ok(Box::new(Upload(self.0.clone(), Sha256::new(), 0, name.to_owned())))
    }

    async fn list(&self) -> Result<Vec<BlobInfo>, BlobError> {
        Ok(self.0.blob.lock().iter().cloned().collect())
    }

    async fn info(&self, id: BlobId) -> Result<BlobInfo, BlobError> {
        let known = self.0.blob.lock().clone().filter(|blob| blob.id == id);
        known.ok_or(BlobError::NotFound(id))
    }

    async fn delete(&self, id: BlobId) -> Result<(), BlobError> {
        Err(BlobError::NotFound(id))
    }
}

fn program(request: &ProgramRequest) -> StreamExecutionEnvironment {
    let first = request.arguments.first().cloned().unwrap_or_default();
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(request.parallelism.unwrap_or(1));
    let end = if first == "ends" { 10 } else { i64::MAX };
    env.from_sequence(1, end)
        .try_map(move |n: i64| if first == "fails" { Err("it fails".into()) } else { Ok(n) })
        .sink_to(BlackHoleSink::new());
    env
}

#[async_trait]
impl ProgramRunner for Shared {
    async fn plan(&self, request: ProgramRequest) -> Result<JobGraph, ProgramError> {
        Ok(program(&request).job_graph("numbers", JobId(7)).unwrap().0)
    }

    async fn run(&self, request: ProgramRequest) -> Result<JobId, ProgramError> {
        let id = JobId::from_bytes_hash(format!("{request:?}").as_bytes());
        let (graph, program) = program(&request).job_graph("numbers", id).unwrap();
        self.0.cluster.submit(graph, program.into()).await?;
        Ok(id)
    }
}

struct Cluster {
    programs: Arc<Programs>,
    server: RestServer,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Its connections hold on to the cluster, which must not end on a thread of its own.
        self.programs.cluster.runtimes().control.block_on(self.server.shut_down());
    }
}

impl Cluster {
    fn start() -> Self {
        let cluster = Arc::new(
            MiniCluster::start(MiniClusterConfig {
                slots_per_task_executor: 4,
                compute_threads: Some(1),
                ..MiniClusterConfig::default()
            })
            .unwrap(),
        );
        let (blob, uploads) = (Mutex::default(), Mutex::default());
        let programs = Arc::new(Programs { cluster: cluster.clone(), blob, uploads });
        let dispatcher: Arc<dyn DispatcherGateway> = Arc::new(cluster.dispatcher().clone());
        let services = RestServices {
            dispatcher,
            blobs: Some(Arc::new(Shared(programs.clone()))),
            programs: Some(Arc::new(Shared(programs.clone()))),
            logs: None,
            task_manager_logs: None,
            stores: Arc::default(),
            configuration: Configuration::new(),
            shutdown: None,
            clock: Clock::system(),
            runtimes: cluster.runtimes().clone(),
            seed: 1,
        };
        let config = RestServerConfig { ports: vec![0], ..RestServerConfig::default() };
        let starting = RestServer::start(config, services);
        let server = cluster.runtimes().control.block_on(starting).unwrap();
        Self { programs, server }
    }

    /// The words of a command, with the address of the cluster after its name.
    fn words<'a>(&self, address: &'a mut String, words: &[&'a str]) -> Vec<&'a str> {
        *address = self.server.address().to_string();
        [&words[..1], &["-m", address.as_str()], &words[1..]].concat()
    }

    fn run(&self, words: &[&str]) -> (i32, String, String) {
        hurtig(&self.words(&mut String::new(), words))
    }

    fn json(&self, words: &[&str]) -> serde_json::Value {
        json(&self.words(&mut String::new(), words))
    }
}

/// Some file: what it contains is not run here.
fn binary(directory: &Path) -> String {
    let path = directory.join("my_job");
    std::fs::write(&path, b"#!/bin/true\n").unwrap();
    path.display().to_string()
}

#[test]
fn a_program_is_uploaded_once_and_run_to_its_end() {
    let (cluster, directory) = (Cluster::start(), tempfile::tempdir().unwrap());
    let binary = binary(directory.path());
    let (code, out, error) = cluster.run(&["info", "-p", "2", &binary, "--", "ends"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(out, "numbers\n0 [Sequence Source -> Map -> Sink] parallelism 2\n");
    let (code, out, error) = cluster.run(&["run", &binary, "--", "ends"]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("has finished after"), "{out}");
    assert!(error.contains("is submitted"), "{error}");
    let (code, out, error) = cluster.run(&["run", &binary, "--", "fails"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains("the job failed: ") && error.contains("it fails"), "{error}");
    let (code, out, _) = cluster.run(&["run", "--json", &binary, "--", "fails", "again"]);
    assert_eq!(code, 4);
    let result: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(result["application-status"], "FAILED");
    assert_eq!(*cluster.programs.uploads.lock(), 1, "the same content is uploaded once");
}

#[test]
fn a_job_is_listed_looked_at_kept_and_ended() {
    let (cluster, directory) = (Cluster::start(), tempfile::tempdir().unwrap());
    let binary = binary(directory.path());
    let run = |argument: &str| {
        let answer = cluster.json(&["run", "-d", "--json", &binary, "--", argument]);
        answer["job"].as_str().unwrap().to_owned()
    };
    let job = run("a");
    // A savepoint is taken when all tasks run.
    let patience = std::time::Duration::from_secs(60);
    let clock = Clock::system();
    let began = clock.monotonic();
    while cluster.json(&["status", "--json", &job])["status-counts"]["RUNNING"] != 1 {
        assert!(clock.monotonic() - began < patience, "the job does not run");
    }
    let (_, out, _) = cluster.run(&["list"]);
    assert!(out.starts_with(&format!("{job} RUNNING 1/1 tasks running")), "{out}");
    assert_eq!(cluster.json(&["list", "--json"])[0]["jid"], job);
    assert_eq!(cluster.json(&["list", "-r", "--json"])[0]["jid"], job);
    assert_eq!(cluster.run(&["list", "-s"]).1, "no jobs\n");
    let (_, out, _) = cluster.run(&["status", &job]);
    assert!(out.contains("Sequence Source -> Map -> Sink"), "{out}");
    let (code, out, error) = cluster.run(&["checkpoint", &job]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(out, format!("checkpoint 1 of job {job} is complete\n"));
    // Flink's spelling.
    let target = format!("file://{}", directory.path().display());
    let (code, out, error) = cluster.run(&["savepoint", "-type", "NATIVE", &job, &target]);
    assert_eq!(code, 0, "{error}");
    assert!(out.starts_with(&target), "{out}");
    // What was taken can be looked into by the same command.
    let report = json(&["savepoint", "inspect", "--json", out.trim()]);
    assert_eq!(report["job"], job);
    let (code, disposed, error) = cluster.run(&["savepoint", "-d", out.trim()]);
    assert_eq!(
        (code, disposed),
        (0, format!("savepoint {} is disposed of\n", out.trim())),
        "{error}"
    );
    assert_eq!(hurtig(&["savepoint", "inspect", out.trim()]).0, 1);
    let (code, out, error) = cluster.run(&["stop", "-p", &target, &job]);
    assert_eq!((code, out.starts_with(&target)), (0, true), "{out} {error}");
    assert_eq!(cluster.json(&["status", "--json", &job])["state"], "FINISHED");
    let job = run("b");
    let (code, out, error) = cluster.run(&["cancel", &job]);
    assert_eq!((code, out), (0, format!("job {job} is cancelled\n")), "{error}");
    assert_eq!(cluster.run(&["list"]).1, "no jobs\n");
    assert_eq!(cluster.json(&["list", "-a", "--json"]).as_array().map(Vec::len), Some(2));
}

#[test]
fn what_cannot_be_done_is_told_with_an_exit_code() {
    let cluster = Cluster::start();
    let none = "0".repeat(32);
    let fails = |words: &[&str], code: i32, text: &str| {
        let (seen, out, error) = cluster.run(words);
        assert_eq!((seen, out.as_str()), (code, ""), "{words:?}: {error}");
        assert!(error.contains(text), "{words:?}: {error}");
    };
    fails(&["status", &none], 1, "there is no job");
    fails(&["cancel", &none], 1, "there is no job");
    fails(&["savepoint", &none], 1, "execution.checkpointing.savepoint-dir");
    fails(&["run", "/no/such/file"], 1, "cannot read /no/such/file");
    fails(&["logs", "x.log"], 1, "keeps no logs");
    fails(&["status", "xyz"], 2, "32 hexadecimal digits");
    fails(&["run", "-p", "0", "x"], 2, "0 is not in 1..");
    fails(&["run", "-n", "x"], 2, "--from-savepoint");
    fails(&["list", "-r", "-a"], 2, "--all");
    fails(&["savepoint", "-d", "/no/such", &none], 2, "--dispose");
    let (code, _, error) = hurtig(&["list", "-m", "localhost:1"]);
    assert_eq!(code, 1);
    assert!(error.contains("cannot connect to localhost:1"), "{error}");
    assert_eq!(hurtig(&["list", "-m", "nonsense"]).0, 1);
    assert_eq!(hurtig(&["savepoint"]).0, 2);
}

#[test]
fn shells_are_told_all_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, error) = hurtig(&["completion", shell]);
        assert_eq!(code, 0, "{error}");
        for command in ["run", "savepoint", "from-savepoint", "inspect"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}
