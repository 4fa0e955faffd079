//! Programs: the binaries that users upload, and how a job is made of one.
//!
//! 1. A binary is uploaded once ([`BlobService::begin_upload`]) and named by its content.
//! 2. To run it, the cluster starts it with arguments as a *plan host*: it runs up to `execute()`,
//!    writes its JobGraph and ends ([`ProgramRunner`]).
//! 3. The graph refers to the binary, so every process that runs a part of the job can get it
//!    ([`BlobSource`]) and build the same graph again, code included.

use std::collections::BTreeMap;

use async_trait::async_trait;
use hurtig_graph::{JobGraph, RestoreFrom};
use hurtig_types::{BlobId, JobId};
use serde::{Deserialize, Serialize};

use crate::{
    gateway::{RpcError, RpcResult},
    peer::Peer,
};

/// What is known of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobInfo {
    /// Its content.
    pub id: BlobId,
    /// The name under which it was uploaded last.
    pub name: String,
    /// Bytes.
    pub size_bytes: u64,
    /// When it was uploaded last, in milliseconds since the Unix epoch.
    pub uploaded_ms: i64,
}

/// Why a blob cannot be kept, found or deleted.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is none of that content.
    #[error("there is no blob {0}")]
    NotFound(BlobId),
    /// A job needs it.
    #[error("blob {id} is used by job {job}")]
    InUse {
        /// The blob.
        id: BlobId,
        /// One of the jobs.
        job: JobId,
    },
    /// It is larger than may be.
    #[error("the blob is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The largest size.
        limit_bytes: u64,
    },
    /// There is no room for more.
    #[error("the blobs are larger than {limit_bytes} bytes together, and no job has left one")]
    Full {
        /// The largest sum.
        limit_bytes: u64,
    },
    /// The name is no file name.
    #[error("{0:?} is no name of a file")]
    BadName(String),
    /// The disk failed.
    #[error("blob storage: {0}")]
    Storage(String),
}

/// The blobs of a cluster: uploaded binaries and files of the distributed cache.
#[async_trait]
pub trait BlobService: Send + Sync {
    /// Begins an upload under a file name, for people. It has no effect before it is finished;
    /// dropping it gives it up.
    async fn begin_upload(&self, name: &str) -> Result<Box<dyn BlobUpload>, BlobError>;
    /// All blobs that people uploaded, newest first (bounded by the size of the storage).
    async fn list(&self) -> Result<Vec<BlobInfo>, BlobError>;
    /// One blob.
    async fn info(&self, id: BlobId) -> Result<BlobInfo, BlobError>;
    /// Deletes a blob, unless a job uses it.
    async fn delete(&self, id: BlobId) -> Result<(), BlobError>;
}

/// An upload under way.
#[async_trait]
pub trait BlobUpload: Send {
    /// Adds bytes at the end.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError>;
    /// All bytes are there. What was there before under the same content is the same blob.
    async fn finish(self: Box<Self>) -> Result<BlobInfo, BlobError>;
}

/// Where a process gets blobs from, chunk by chunk. Who reads checks the whole by its hash.
#[async_trait]
pub trait BlobSource: Send + Sync {
    /// Who is behind this gateway.
    fn peer(&self) -> Peer {
        Peer::unknown()
    }
    /// The size of a blob in bytes.
    async fn blob_size(&self, id: BlobId) -> RpcResult<u64>;
    /// Bytes from `offset` on, at most `length` of them (and of the server's own limit); none at
    /// the end.
    async fn read_blob(&self, id: BlobId, offset: u64, length: u32) -> RpcResult<Vec<u8>>;
}

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRequest {
    /// The binary.
    pub binary: BlobId,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Parallelism of operators that set none (`-p`); `None`: the cluster's.
    pub parallelism: Option<u32>,
    /// What to start from, over what the program says.
    pub restore: Option<RestoreFrom>,
    /// Configuration for this job alone, by key, over that of the cluster.
    pub configuration: BTreeMap<String, String>,
    /// The job's id; `None`: a new one.
    pub job_id: Option<JobId>,
}

impl ProgramRequest {
    /// A binary without arguments, all else as the cluster has it.
    pub fn new(binary: BlobId) -> Self {
        Self {
            binary,
            arguments: Vec::new(),
            parallelism: None,
            restore: None,
            configuration: BTreeMap::new(),
            job_id: None,
        }
    }
}

/// Why a program does not become a job.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The request is wrong: an unknown configuration key, too many arguments.
    #[error("{0}")]
    Invalid(String),
    /// The binary is not there, or cannot be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The program did not get as far as a graph: it could not be started, panicked, returned
    /// before `execute()`, took too long.
    #[error("{message}")]
    Program {
        /// What happened, with the last lines that it wrote to standard error.
        message: String,
    },
    /// The cluster did not take the job.
    #[error(transparent)]
    Cluster(#[from] RpcError),
}

/// Makes jobs of programs.
#[async_trait]
pub trait ProgramRunner: Send + Sync {
    /// The graph that the program builds, without running it.
    async fn plan(&self, request: ProgramRequest) -> Result<JobGraph, ProgramError>;
    /// Submits the program as a job; returns once the Dispatcher has accepted it.
    async fn run(&self, request: ProgramRequest) -> Result<JobId, ProgramError>;
}

/// A file that a process writes and people may read: its log, or what its hosts wrote to standard
/// output and standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    /// Its name, without directory.
    pub name: String,
    /// Bytes that can be read.
    pub size_bytes: u64,
    /// When it was written last, in milliseconds since the Unix epoch.
    pub modified_ms: i64,
}

/// A thread of a process or of one of its hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessThread {
    /// The process: its id, and what it is called.
    pub process: String,
    /// Its id within the system.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// What it does, as the system says: `R (running)`, `S (sleeping)`, ...
    pub state: String,
    /// For how long it has had a processor, in milliseconds.
    pub cpu_ms: u64,
    /// How often it has waited by itself, and how often it was made to.
    pub switches: (u64, u64),
}

/// What a process tells of itself and its hosts: logs and threads.
#[async_trait]
pub trait LogSource: Send + Sync {
    /// Who is behind this gateway.
    fn peer(&self) -> Peer {
        Peer::unknown()
    }
    /// All of them (bounded: rolled files are counted, and hosts that ended are forgotten).
    async fn list_logs(&self) -> RpcResult<Vec<LogFile>>;
    /// Bytes of one from `offset` on, at most `length` of them (and of the server's own limit);
    /// none at the end. A name with a directory in it is not found.
    async fn read_log(&self, name: String, offset: u64, length: u32) -> RpcResult<Vec<u8>>;
    /// The threads (bounded) of the process and its hosts.
    async fn threads(&self) -> RpcResult<Vec<ProcessThread>>;
}
