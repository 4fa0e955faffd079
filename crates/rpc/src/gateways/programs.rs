//! Blobs and logs, chunk by chunk.

use hurtig_cluster_api::{BlobSource, LogFile, LogSource, ProcessThread};
use hurtig_types::BlobId;

use crate::{argument::plain_arguments, gateway::gateway};

mod blobs {
    use super::*;

    gateway! { BlobSource, "blob server":
        ask blob_size(id: BlobId) -> u64;
        ask read_blob(id: BlobId, offset: u64, length: u32) -> Vec<u8>;
    }
}

mod logs {
    use super::*;

    gateway! { LogSource, "log server":
        ask list_logs() -> Vec<LogFile>;
        ask read_log(name: String, offset: u64, length: u32) -> Vec<u8>;
        ask threads() -> Vec<ProcessThread>;
    }
}

plain_arguments!(BlobId, Vec<LogFile>, Vec<ProcessThread>);
