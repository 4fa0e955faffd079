//! Everything that a stranger may do to the ports of a cluster, while a job runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use hurtig_cluster_api::{FencingToken, NOT_FENCED, ResourceManagerGateway, RpcError, SlotReport};
use hurtig_config::Configuration;
use hurtig_env::{Clock, Runtimes};
use hurtig_network::frame::{self, MAGIC, Message, VERSION};
use hurtig_rest::{RestClient, messages::programs::JarRunRequestBody};
use hurtig_rpc::{RESOURCE_MANAGER, RpcConfig, RpcServer};
use hurtig_types::{JobId, ResourceId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    cluster::{job_binary, numbers_below, until},
    failures::children_of,
    remote::start,
};

/// Connections to each port that say nothing.
const HALF_OPEN: usize = 1_000;
/// Most memory of any process of the cluster, whatever is done to it.
const MOST_MEMORY_KB: u64 = 256 << 10;
/// Longest wait for an answer to what deserves none.
const ANSWER: Duration = Duration::from_millis(300);

/// A process and all that it has started.
fn family_of(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while next < family.len() {
        family.extend(children_of(family[next]));
        next += 1;
    }
    family
}

/// The ports on which processes listen, by process.
fn listening(processes: &[u32]) -> BTreeMap<u32, BTreeSet<u16>> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let mut ports = BTreeMap::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // State 0A is listening.
        if fields[3] == "0A" {
            let port = u16::from_str_radix(fields[1].rsplit_once(':').unwrap().1, 16).unwrap();
            ports.insert(format!("socket:[{}]", fields[9]), port);
        }
    }
    let ports_of = |pid: u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        targets.filter_map(|target| ports.get(target.to_str()?).copied()).collect()
    };
    processes.iter().map(|pid| (*pid, ports_of(*pid))).collect()
}

fn peak_memory_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state as u8
    };
    (0..length).map(|_| step(&mut state)).collect()
}

/// Openings that no port may be harmed by, whatever it speaks.
fn openings() -> Vec<Vec<u8>> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let followed = |rest: &[u8]| [&preface[..], rest].concat();
    let hello = |from: u128, to: u128| {
        let mut bytes = Vec::new();
        let address = "nowhere".to_owned();
        let from = hurtig_cluster_api::PeerAddress { resource: ResourceId(from), address };
        let hello = Message::Hello { magic: MAGIC, version: VERSION, from, to: ResourceId(to) };
        frame::write_message(&hello, &mut bytes).unwrap();
        bytes
    };
    let mut oversized_data = Vec::new();
    frame::write_data_header(0, 0, u64::MAX, 200 << 20, &mut oversized_data);
    let mut openings = vec![
        // Lengths beyond every limit, and below them, without what they promise.
        vec![0xff; 64],
        vec![0xff, 0xff, 0xff, 0x0f, 0, 1, 2, 3],
        vec![0; 4096],
        oversized_data,
        hello(1, 2),
        hello(u128::MAX, 0),
        preface.clone(),
        // Frames of HTTP/2: the longest length of any kind, settings that are none, endless names.
        followed(&[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]),
        followed(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        followed(&[0, 0x3f, 0xff, 1, 0, 0, 0, 0, 1]),
        b"GET / HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n".to_vec(),
        b"POST /v1/binaries/upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n"
            .to_vec(),
        [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'a'; 1 << 20]].concat(),
    ];
    let lengths = [1, 3, 17, 100, 1_000, 30_000, 300_000];
    for (seed, length) in lengths.into_iter().enumerate() {
        openings.push(random_bytes(seed as u64 + 1, length));
        openings.push(followed(&random_bytes(seed as u64 + 100, length)));
    }
    openings
}

/// Sends an opening, and listens for a while to what comes.
async fn attack(port: u16, opening: Vec<u8>) {
    // A port that is full may refuse.
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let talk = async {
        // It may be closed before all is sent.
        let _ = stream.write_all(&opening).await;
        let mut buffer = [0; 4096];
        while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {}
    };
    let _ = tokio::time::timeout(ANSWER, talk).await;
}

/// Connections that stay open and say nothing.
async fn half_open(ports: &[u16]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..HALF_OPEN {
        for port in ports {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", *port)).await {
                streams.push(stream);
            }
        }
    }
    streams
}

/// What somebody may ask who speaks the protocol of roles, and is none of them.
async fn impostor(endpoint: &str) {
    let config = RpcConfig::loopback(u128::MAX - 1);
    let server = RpcServer::start(config, &Runtimes::current(), Clock::system()).await.unwrap();
    let service = server.service();
    let manager: std::sync::Arc<dyn ResourceManagerGateway> =
        service.connect_to(endpoint, RESOURCE_MANAGER, NOT_FENCED).unwrap();
    let stranger = ResourceId(4711);
    let heartbeat =
        manager.heartbeat_from_task_executor(stranger, SlotReport { slots: Vec::new() }).await;
    assert!(matches!(heartbeat, Err(RpcError::NotFound(_))), "{heartbeat:?}");
    let (job, token) = (JobId(4711), FencingToken(u64::MAX));
    let declared = manager.declare_required_slots(job, token, u32::MAX).await;
    assert!(declared.is_err(), "slots for a job without a JobMaster: {declared:?}");
    let fenced: std::sync::Arc<dyn ResourceManagerGateway> =
        service.connect_to(endpoint, RESOURCE_MANAGER, token).unwrap();
    let answer =
        fenced.heartbeat_from_task_executor(stranger, SlotReport { slots: Vec::new() }).await;
    assert!(matches!(answer, Err(RpcError::Fenced { .. })), "{answer:?}");
    let nobody: std::sync::Arc<dyn ResourceManagerGateway> =
        service.connect_to(endpoint, "no-such-gateway", NOT_FENCED).unwrap();
    let answer =
        nobody.heartbeat_from_task_executor(stranger, SlotReport { slots: Vec::new() }).await;
    assert!(answer.is_err());
}

/// What REST answers to those who guess.
async fn guesses(client: &RestClient) {
    let unknown = JobId(4711);
    let status = |answer: Result<(), hurtig_rest::ClientError>| {
        answer.unwrap_err().status().map(|status| status.as_u16())
    };
    assert_eq!(status(client.job(unknown).await.map(drop)), Some(404));
    assert_eq!(status(client.cancel(unknown).await), Some(404));
    let body = serde_json::json!({ "no-such-field": [[[[]]]] });
    let path = format!("/jobs/{unknown}/savepoints");
    let answer = client.post::<_, serde_json::Value>(&path, &body).await;
    assert_eq!(status(answer.map(drop)), Some(400));
    let program = hurtig_types::BlobId([7; 32]);
    let run = client.run(program, &JarRunRequestBody::default()).await;
    assert!(matches!(status(run.map(drop)), Some(400 | 404)));
}

fn request(directory: &Path, output: &str, records: u64, rate: u64) -> JarRunRequestBody {
    let at = |name: &str| directory.join(name).display().to_string();
    let (records, rate) = (records.to_string(), rate.to_string());
    let checkpoints = format!("file://{}", at("checkpoints"));
    let output = at(output);
    let words = ["--output", &output, "--records", &records, "--rate", &rate];
    let words = words.into_iter().chain(["--checkpoints", &checkpoints]);
    JarRunRequestBody {
        program_args_list: Some(words.map(str::to_owned).collect()),
        parallelism: Some(2),
        ..JarRunRequestBody::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_at_every_port_harm_no_job() {
    let directory = tempfile::tempdir().unwrap();
    let (mut cluster, address) = start(directory.path());
    let client = RestClient::new(&address, &Configuration::new()).unwrap();
    let program = client.upload(&job_binary()).await.unwrap();
    until("TaskManagers", async || {
        (client.overview().await.ok()?.slots_available == 2).then_some(())
    })
    .await;
    let endless = request(directory.path(), "long", 1_000_000, 1_000);
    let job: JobId = client.run(program, &endless).await.unwrap().parse().unwrap();
    let runs = async || {
        let details = client.job(job).await.ok()?;
        let running = |tasks: &BTreeMap<String, u32>| tasks.get("RUNNING") == Some(&2);
        let vertices = details.vertices;
        (!vertices.is_empty() && vertices.iter().all(|v| running(&v.tasks))).then_some(())
    };
    until("all tasks run", runs).await;

    let family = family_of(cluster.0.id());
    let ports = listening(&family);
    // A JobManager, two TaskManagers, a JobMaster host, two task hosts.
    assert_eq!(ports.len(), 6, "{ports:?}");
    assert!(ports.values().all(|ports| !ports.is_empty()), "{ports:?}");
    let several = ports.values().filter(|ports| ports.len() >= 2).count();
    assert_eq!(several, 3, "REST, and the data ports of task hosts: {ports:?}");
    let rest: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let of_job_manager = &ports[&cluster.0.id()];
    let rpc = of_job_manager.iter().find(|port| **port != rest).unwrap();
    let all: Vec<u16> = ports.values().flatten().copied().collect();

    let silent = half_open(&all).await;
    assert!(silent.len() > HALF_OPEN, "most are let in, or wait");
    let mut attacks = JoinSet::new();
    for port in &all {
        for opening in openings() {
            attacks.spawn(attack(*port, opening));
        }
    }
    let (endpoint, guessing) = (format!("127.0.0.1:{rpc}"), client.clone());
    attacks.spawn(async move { impostor(&endpoint).await });
    attacks.spawn(async move { guesses(&guessing).await });
    while let Some(attacked) = attacks.join_next().await {
        attacked.unwrap();
    }

    // It has gone on, from checkpoint to checkpoint, and so it does with all of them still there.
    let completed = async || Some(client.checkpoints(job).await.ok()?.counts.completed);
    let before = until("an answer", completed).await;
    until("two more checkpoints", async || (completed().await? >= before + 2).then_some(())).await;
    assert_eq!(runs().await, Some(()));
    assert_eq!(client.exceptions(job).await.unwrap().exception_history.entries, []);
    for pid in &family {
        let peak = peak_memory_kb(*pid);
        assert!(peak < MOST_MEMORY_KB, "process {pid} has used {peak} KB");
    }
    client.cancel(job).await.unwrap();
    assert_eq!(client.result(job).await.unwrap().application_status, "CANCELED");

    // And a job that is submitted now ends right.
    let short = request(directory.path(), "short", 2_000, 0);
    let job = client.run(program, &short).await.unwrap().parse().unwrap();
    let result = client.result(job).await.unwrap();
    assert_eq!(result.application_status, "SUCCEEDED", "{result:?}");
    assert_eq!(numbers_below(&directory.path().join("short")), (0..2_000).collect::<Vec<_>>());
    drop(silent);
    client.shut_down().await.unwrap();
    let status = until("the cluster ends", async || cluster.0.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
    let logs = fs::read_to_string(directory.path().join("cluster.log")).unwrap();
    assert!(!logs.contains("panicked"), "{logs}");
}
