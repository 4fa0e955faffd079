//! Records in memory: for a cluster without high availability, and for tests.
//!
//! Nothing survives the process. Contenders of one process share the records, and go by leases as
//! elsewhere.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    HighAvailabilityBackend, Latch, Precondition, RecordStore, RecordStoreError, RecordVersion,
    VersionedRecord, check_key,
};
use crate::election::ContenderId;

/// Records in memory.
#[derive(Debug)]
pub struct MemoryRecordStore {
    records: Mutex<BTreeMap<String, (Bytes, u64)>>,
    // Counts changes of any record, so that no version repeats.
    changes: watch::Sender<u64>,
}

impl Default for MemoryRecordStore {
    fn default() -> Self {
        Self { records: Mutex::default(), changes: watch::channel(0).0 }
    }
}

fn version(number: u64) -> RecordVersion {
    RecordVersion::new(number.to_string())
}

impl MemoryRecordStore {
    fn version_of(&self, key: &str) -> Option<RecordVersion> {
        self.records.lock().get(key).map(|(_, number)| version(*number))
    }

    fn count_change(&self) -> u64 {
        let mut now = 0;
        self.changes.send_modify(|count| {
            *count += 1;
            now = *count;
        });
        now
    }
}

#[async_trait]
impl RecordStore for MemoryRecordStore {
    async fn get(&self, key: &str) -> Result<Option<VersionedRecord>, RecordStoreError> {
        check_key("read", key)?;
        let records = self.records.lock();
        let record = records.get(key);
        Ok(record.map(|(bytes, number)| VersionedRecord {
            bytes: bytes.clone(),
            version: version(*number),
        }))
    }

    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        precondition: Precondition,
    ) -> Result<RecordVersion, RecordStoreError> {
        check_key("write", key)?;
        let mut records = self.records.lock();
        let current = records.get(key).map(|(_, number)| version(*number));
        let expected = match precondition {
            Precondition::Absent => None,
            Precondition::Unchanged(version) => Some(version),
        };
        if current != expected {
            return Err(RecordStoreError::conflict(key));
        }
        let number = self.count_change();
        records.insert(key.to_owned(), (bytes, number));
        Ok(version(number))
    }

    async fn delete(&self, key: &str) -> Result<(), RecordStoreError> {
        check_key("delete", key)?;
        self.records.lock().remove(key);
        self.count_change();
        Ok(())
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, RecordStoreError> {
        check_key("list", folder)?;
        let prefix = format!("{folder}/");
        let records = self.records.lock();
        let found = records.keys().filter(|key| key.starts_with(&prefix));
        Ok(found.cloned().collect())
    }

    async fn changed(
        &self,
        key: &str,
        seen: Option<&RecordVersion>,
    ) -> Result<(), RecordStoreError> {
        let mut changes = self.changes.subscribe();
        while self.version_of(key).as_ref() == seen {
            if changes.changed().await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// High availability within one process: the backend of `NONE`.
#[derive(Clone, Debug, Default)]
pub struct MemoryBackend {
    records: Arc<MemoryRecordStore>,
}

#[async_trait]
impl HighAvailabilityBackend for MemoryBackend {
    fn records(&self) -> Arc<dyn RecordStore> {
        self.records.clone()
    }

    fn blobs(&self) -> Arc<dyn RecordStore> {
        self.records.clone()
    }

    fn latch(&self, _: &str, _: ContenderId) -> Option<Latch> {
        None
    }

    async fn close(&self) {}
}
