//! Programs through REST, over an implementation in memory of what keeps and runs them.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use async_trait::async_trait;
use hurtig_cluster_api::{
    BlobError, BlobInfo, BlobService, BlobUpload, LogFile, LogSource, ProcessThread, ProgramError,
    ProgramRequest, ProgramRunner, RpcError, RpcResult,
};
use hurtig_graph::JobGraph;
use hurtig_rest::{RestServerConfig, TaskManagerLogs, messages::programs::JarRunRequestBody};
use hurtig_types::{BlobId, JobId, RecoveryClaimMode, ResourceId};
use parking_lot::Mutex;
use serde_json::json;

use crate::support::{Cluster, Gate, start_with, sums};

/// Largest blob that [`Memory`] takes.
const LARGEST: usize = 3_000_000;

type Blobs = Arc<Mutex<BTreeMap<BlobId, (BlobInfo, Vec<u8>)>>>;

/// Blobs in memory, named by a hash that is good enough here; programs that all build one graph.
#[derive(Clone, Default)]
struct Memory {
    blobs: Blobs,
    requests: Arc<Mutex<Vec<ProgramRequest>>>,
}

struct MemoryUpload {
    blobs: Blobs,
    name: String,
    bytes: Vec<u8>,
}

fn id_of(bytes: &[u8]) -> BlobId {
    let half = |seed: u8| JobId::from_bytes_hash(&[bytes, &[seed]].concat()).0.to_be_bytes();
    let mut id = [0; 32];
    id[..16].copy_from_slice(&half(0));
    id[16..].copy_from_slice(&half(1));
    BlobId(id)
}

#[async_trait]
impl BlobUpload for MemoryUpload {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.bytes.extend_from_slice(bytes);
        let limit_bytes = LARGEST as u64;
        if self.bytes.len() > LARGEST { Err(BlobError::TooLarge { limit_bytes }) } else { Ok(()) }
    }

    async fn finish(self: Box<Self>) -> Result<BlobInfo, BlobError> {
        let id = id_of(&self.bytes);
        let size_bytes = self.bytes.len() as u64;
        let info = BlobInfo { id, name: self.name, size_bytes, uploaded_ms: 5 };
        self.blobs.lock().insert(id, (info.clone(), self.bytes));
        Ok(info)
    }
}

#[async_trait]
impl BlobService for Memory {
    async fn begin_upload(&self, name: &str) -> Result<Box<dyn BlobUpload>, BlobError> {
        let (blobs, name) = (self.blobs.clone(), name.to_owned());
        Ok(Box::new(MemoryUpload { blobs, name, bytes: Vec::new() }))
    }

    async fn list(&self) -> Result<Vec<BlobInfo>, BlobError> {
        Ok(self.blobs.lock().values().map(|(info, _)| info.clone()).collect())
    }

    async fn info(&self, id: BlobId) -> Result<BlobInfo, BlobError> {
        let found = self.blobs.lock().get(&id).map(|(info, _)| info.clone());
        found.ok_or(BlobError::NotFound(id))
    }

    async fn delete(&self, id: BlobId) -> Result<(), BlobError> {
        self.blobs.lock().remove(&id).map(drop).ok_or(BlobError::NotFound(id))
    }
}

#[async_trait]
impl ProgramRunner for Memory {
    async fn plan(&self, request: ProgramRequest) -> Result<JobGraph, ProgramError> {
        self.info(request.binary).await?;
        if request.arguments.iter().any(|argument| argument == "--panic") {
            let message = "the program panicked: no".to_owned();
            return Err(ProgramError::Program { message });
        }
        let (graph, _) = sums(&Gate::default()).job_graph("sums", JobId(3)).unwrap();
        self.requests.lock().push(request);
        Ok(graph)
    }

    async fn run(&self, request: ProgramRequest) -> Result<JobId, ProgramError> {
        Ok(self.plan(request).await?.job_id)
    }
}

#[async_trait]
impl LogSource for Memory {
    async fn list_logs(&self) -> RpcResult<Vec<LogFile>> {
        let file =
            |name: &str, at| LogFile { name: name.to_owned(), size_bytes: 9, modified_ms: at };
        Ok(vec![file("jobmanager.log", 2), file("jobmanager.out", 1)])
    }

    async fn read_log(&self, name: String, offset: u64, length: u32) -> RpcResult<Vec<u8>> {
        let text = match name.as_str() {
            "jobmanager.log" => "line\n".repeat(100_000),
            "jobmanager.out" => "out\n".to_owned(),
            _ => return Err(RpcError::NotFound(format!("there is no log {name}"))),
        };
        let from = (offset as usize).min(text.len());
        let to = (from + length as usize).min(text.len());
        Ok(text.as_bytes()[from..to].to_vec())
    }

    async fn threads(&self) -> RpcResult<Vec<ProcessThread>> {
        Ok(vec![ProcessThread {
            process: "7 hurtig".to_owned(),
            id: 8,
            name: "compute-0".to_owned(),
            state: "R (running)".to_owned(),
            cpu_ms: 1_230,
            switches: (3, 1),
        }])
    }
}

#[async_trait]
impl TaskManagerLogs for Memory {
    async fn of_task_manager(&self, _: ResourceId) -> Option<Arc<dyn LogSource>> {
        Some(Arc::new(self.clone()))
    }
}

fn start() -> (Cluster, Memory) {
    let memory = Memory::default();
    let with = memory.clone();
    let cluster = start_with(RestServerConfig::default(), |services| {
        services.blobs = Some(Arc::new(with.clone()));
        services.programs = Some(Arc::new(with.clone()));
        services.task_manager_logs = Some(Arc::new(with.clone()));
        services.logs = Some(Arc::new(with));
    });
    (cluster, memory)
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn a_program_is_uploaded_listed_planned_run_and_deleted() {
    let (cluster, memory) = start();
    let bytes: Vec<u8> = (0..2_000_000u32).map(|i| (i % 251) as u8).collect();
    let file = file(&bytes);
    let id = cluster.wait(cluster.client.upload(file.path())).unwrap();
    assert_eq!(id, id_of(&bytes), "all bytes have come");
    assert!(memory.blobs.lock()[&id].1 == bytes);
    let listed = cluster.get("/jars")["files"].clone();
    assert_eq!(listed[0]["id"], id.to_string());
    assert_eq!(cluster.get("/binaries")["files"], listed);
    let known = cluster.wait(cluster.client.program(id)).unwrap().unwrap();
    assert_eq!((known.size, known.uploaded), (2_000_000, 5));
    let request = JarRunRequestBody {
        program_args_list: Some(vec!["--rate".to_owned(), "a,b".to_owned()]),
        parallelism: Some(3),
        savepoint_path: Some("file:///s".to_owned()),
        claim_mode: Some(hurtig_rest::messages::programs::ClaimMode::Claim),
        ..Default::default()
    };
    let plan = cluster.wait(cluster.client.plan(id, &request)).unwrap();
    assert_eq!((plan.name.as_str(), plan.nodes.len()), ("sums", 2));
    let job = cluster.wait(cluster.client.run(id, &request)).unwrap();
    assert_eq!(job, JobId(3).to_string());
    // Flink's clients put everything into the query.
    let path = format!(
        "/jars/{id}/run?programArg=--rate,7&parallelism=4&savepointPath=x&allowNonRestoredState=true"
    );
    assert_eq!(cluster.request("POST", &path, "").0, 200);
    let requests = memory.requests.lock();
    assert_eq!(requests[1].arguments, ["--rate", "a,b"]);
    assert_eq!(requests[1].parallelism, Some(3));
    let restore = requests[1].restore.as_ref().unwrap();
    assert_eq!(
        (restore.pointer.as_str(), restore.claim_mode),
        ("file:///s", RecoveryClaimMode::Claim)
    );
    assert_eq!(requests[2].arguments, ["--rate", "7"]);
    assert!(requests[2].restore.as_ref().unwrap().allow_non_restored_state);
    assert_eq!(cluster.request("DELETE", &format!("/jars/{id}"), "").0, 200);
    assert_eq!(cluster.wait(cluster.client.program(id)).unwrap(), None);
}

#[test]
fn what_goes_wrong_with_programs_is_told() {
    let (cluster, _) = start();
    let too_large = file(&vec![7; LARGEST + 1]);
    let refused = cluster.wait(cluster.client.upload(too_large.path())).unwrap_err();
    assert_eq!(refused.status().map(|status| status.as_u16()), Some(413), "{refused}");
    let small = file(b"#!");
    let id = cluster.wait(cluster.client.upload(small.path())).unwrap();
    let run = format!("/jars/{id}/run");
    let panics = json!({ "programArgsList": ["--panic"] }).to_string();
    let (status, body) = cluster.request("POST", &run, &panics);
    assert_eq!((status, body.as_str()), (400, r#"{"errors":["the program panicked: no"]}"#));
    for (path, body, status) in [
        (run.as_str(), r#"{"parallelism":0}"#, 400),
        (&run, r#"{"parallelism":-1}"#, 400),
        (&run, r#"{"jobId":"x"}"#, 400),
        (&run, r#"{"programArgs":"one text"}"#, 400),
        ("/jars/unknown/run", "", 404),
        ("/jars/upload", "no form", 400),
    ] {
        assert_eq!(cluster.request("POST", path, body).0, status, "{path} {body}");
    }
    assert_eq!(cluster.request("DELETE", &format!("/jars/{}", "0".repeat(64)), "").0, 404);
}

#[test]
fn an_upload_that_breaks_off_counts_for_nothing() {
    let (cluster, memory) = start();
    let form = "--b\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"x\"\r\n\r\nabc";
    let end = "\r\n--b--\r\n";
    let request = |body: &str| {
        format!(
            "POST /jars/upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: \
             multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert!(cluster.raw(request(form).as_bytes()).starts_with("HTTP/1.1 400"));
    let two = format!("{form}\r\n{form}{end}");
    assert!(cluster.raw(request(&two).as_bytes()).starts_with("HTTP/1.1 400"));
    assert!(cluster.raw(request("--b--\r\n").as_bytes()).starts_with("HTTP/1.1 400"));
    assert!(memory.blobs.lock().is_empty());
    assert!(cluster.raw(request(&format!("{form}{end}")).as_bytes()).starts_with("HTTP/1.1 200"));
    assert_eq!(memory.blobs.lock().len(), 1);
}

#[test]
fn logs_are_read_to_their_end() {
    let (cluster, _) = start();
    let list = cluster.get("/jobmanager/logs");
    assert_eq!(list["logs"][0], json!({ "name": "jobmanager.log", "size": 9, "mtime": 2 }));
    for path in ["/jobmanager/log", "/jobmanager/logs/jobmanager.log"] {
        let mut bytes = 0;
        let taken = cluster.wait(cluster.client.read_log(None, "jobmanager.log", |chunk| {
            bytes += chunk.len();
            Ok(())
        }));
        taken.unwrap();
        assert_eq!(bytes, 500_000);
        assert!(cluster.request("GET", path, "").1.contains("line\nline\n"));
    }
    assert!(cluster.request("GET", "/jobmanager/stdout", "").1.contains("out\n"));
    for hostile in ["..%2fsecret", "%2fetc%2fpasswd", "unknown", "%00"] {
        assert_eq!(cluster.request("GET", &format!("/jobmanager/logs/{hostile}"), "").0, 404);
    }
}

#[test]
fn the_threads_of_a_task_manager_are_told() {
    let (cluster, _) = start();
    let managers = cluster.get("/taskmanagers");
    let id = managers["taskmanagers"][0]["id"].as_str().unwrap();
    let dump = cluster.get(&format!("/taskmanagers/{id}/thread-dump"));
    let thread = &dump["threadInfos"][0];
    assert_eq!(thread["threadName"], "compute-0", "{dump}");
    let text = thread["stringifiedThreadInfo"].as_str().unwrap();
    assert!(text.starts_with("\"compute-0\" Id=8 R (running)\nProcess: 7 hurtig\n"), "{text}");
    let unknown = cluster.client.get::<serde_json::Value>("/taskmanagers/00/thread-dump");
    assert!(cluster.wait(unknown).is_err());
}
