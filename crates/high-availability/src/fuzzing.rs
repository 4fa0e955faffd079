//! The decoders of records as functions of bytes, for fuzzers alone.

use bytes::Bytes;
use hurtig_cluster_api::FencingToken;
use hurtig_types::CheckpointId;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    checkpoints::{CheckpointPointer, JobCheckpoints},
    election::LeaderRecord,
    jobs::{JobEntry, JobIndex},
    register::{self, FencedRecord},
    sealed,
};

fn fenced<C: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Vec<u8>> {
    let record: FencedRecord<C> = register::decode("fuzzed", bytes).ok()?;
    serde_json::to_vec(&record).ok()
}

/// Decodes a record of that kind, and encodes it again; `None` if it is refused.
pub fn decode(kind: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    match kind % 4 {
        0 => LeaderRecord::from_bytes(bytes).ok().map(|record| record.to_bytes()),
        1 => fenced::<JobIndex>(bytes),
        2 => fenced::<JobCheckpoints>(bytes),
        _ => {
            let content = sealed::open(&Bytes::copy_from_slice(bytes)).ok()?;
            Some(sealed::seal(&content).to_vec())
        }
    }
}

/// A record of each kind.
pub fn samples() -> Vec<Vec<u8>> {
    let mut leader = LeaderRecord::unclaimed();
    leader.holder = Some("0123456789abcdef".to_owned());
    leader.addresses.insert("rest".to_owned(), "127.0.0.1:8081".to_owned());
    let mut index = JobIndex::default();
    let entry = JobEntry { graph: "graphs/1".to_owned(), result: Some("results/1".to_owned()) };
    index.jobs.insert("00ff".to_owned(), entry);
    let pointer = CheckpointPointer {
        id: CheckpointId(7),
        external_pointer: "file:///chk-7".to_owned(),
        owned: true,
    };
    let checkpoints = JobCheckpoints { completed: vec![pointer], ..JobCheckpoints::default() };
    let token = FencingToken(3);
    let json = |record: serde_json::Result<Vec<u8>>| record.unwrap_or_default();
    vec![
        leader.to_bytes(),
        json(serde_json::to_vec(&FencedRecord::sample(token, 2, index))),
        json(serde_json::to_vec(&FencedRecord::sample(token, 5, checkpoints))),
        sealed::seal(b"a graph").to_vec(),
    ]
}
