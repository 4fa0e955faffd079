//! Key selectors: from the records of a batch to their keys and hashes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use hurtig_state_api::Key;
use hurtig_types::{Batch, FlowResult, KeyHashError, KeyHashes, Record, stable_hash};

type Select<T, K> = dyn Fn(&[T], &mut Vec<K>) + Send + Sync;
type Hash<T> = dyn Fn(&[T], &mut Vec<u64>) -> Result<(), KeyHashError> + Send + Sync;

/// Selects the keys of a whole batch: one call per batch, a compiled loop inside.
pub struct KeySelector<T, K> {
    id: u64,
    select: Arc<Select<T, K>>,
    hash: Arc<Hash<T>>,
}

impl<T, K> Clone for KeySelector<T, K> {
    fn clone(&self) -> Self {
        Self { id: self.id, select: self.select.clone(), hash: self.hash.clone() }
    }
}

impl<T: Record, K: Key> KeySelector<T, K> {
    /// Selects by a function of one record.
    pub fn new(f: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        static SELECTORS: AtomicU64 = AtomicU64::new(0);
        let f = Arc::new(f);
        let selecting = f.clone();
        Self {
            id: SELECTORS.fetch_add(1, Relaxed),
            select: Arc::new(move |values, keys| keys.extend(values.iter().map(|v| selecting(v)))),
            hash: Arc::new(move |values, hashes| {
                for value in values {
                    hashes.push(stable_hash(&f(value))?);
                }
                Ok(())
            }),
        }
    }

    /// Identifies the selector (and its clones) within the process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The keys of a batch; `keys` is overwritten.
    pub fn select(&self, values: &[T], keys: &mut Vec<K>) {
        keys.clear();
        keys.reserve(values.len());
        (self.select)(values, keys);
    }

    /// The hashes of the keys of a batch; `hashes` is overwritten. Keys are not kept.
    pub fn hash(&self, values: &[T], hashes: &mut Vec<u64>) -> Result<(), KeyHashError> {
        hashes.clear();
        hashes.reserve(values.len());
        (self.hash)(values, hashes)
    }
}

/// A selector with its buffers: keys and hashes of one batch at a time.
pub struct BatchKeys<T, K> {
    selector: KeySelector<T, K>,
    /// Keys of the batch.
    pub keys: Vec<K>,
    /// Their stable hashes.
    pub hashes: Vec<u64>,
}

impl<T: Record, K: Key> BatchKeys<T, K> {
    /// Buffers for a selector.
    pub fn new(selector: KeySelector<T, K>) -> Self {
        Self { selector, keys: Vec::new(), hashes: Vec::new() }
    }

    /// Selects the keys of a batch, and takes their hashes from it or computes them.
    pub fn load(&mut self, batch: &mut Batch<T>) -> FlowResult {
        self.selector.select(&batch.values, &mut self.keys);
        match batch.key_hashes.take() {
            Some(KeyHashes { selector, hashes })
                if selector == self.selector.id && hashes.len() == batch.values.len() =>
            {
                self.hashes = hashes;
            }
            _ => {
                self.hashes.clear();
                for key in &self.keys {
                    self.hashes.push(stable_hash(key)?);
                }
            }
        }
        Ok(())
    }
}
