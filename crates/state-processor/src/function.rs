//! All states of a key together, with its timers: what a [`KeyedStateReaderFunction`] makes of it.
//!
//! As Flink 2.3's `KeyedStateReaderFunction`: it is opened, registers the states that it wants, and
//! is then called once per key that has any of them or a timer.

use std::{collections::BTreeMap, marker::PhantomData, ops::RangeInclusive, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use hurtig_state_api::Key;
use hurtig_state_heap::{Block, BlockKind, KeyedStateStore, TimerQueue, keyed_state_meta};
use hurtig_types::{BoxError, CodecError, Record, StateKind, StateMeta, codec, stable_hash};

use crate::{
    error::StateProcessorError,
    keyed::{KeyedFiles, key_groups},
    records::{LoadedRecords, StateRecords},
};

/// The name under which operators keep timers.
const TIMERS: &str = "_timers";

/// Turns the state of keys into records. It is cloned for every range of key groups.
pub trait KeyedStateReaderFunction<K: Key, O>: Clone + Send + Sync + 'static {
    /// Registers the states that are to be read.
    ///
    /// # Errors
    /// If a state cannot be read as it is registered.
    fn open(&mut self, state: &mut KeyedStateStore<K>) -> Result<(), BoxError>;

    /// Reads one key.
    ///
    /// # Errors
    /// Ends the reading.
    fn read_key(
        &mut self,
        context: &mut KeyedStateReaderContext<'_, K>,
        out: &mut Vec<O>,
    ) -> Result<(), BoxError>;
}

/// What a reader function sees of a key.
pub struct KeyedStateReaderContext<'a, K> {
    /// Its state.
    pub state: &'a mut KeyedStateStore<K>,
    key: &'a K,
    event_timers: &'a [i64],
    processing_timers: &'a [i64],
}

impl<K> KeyedStateReaderContext<'_, K> {
    /// The key.
    pub fn current_key(&self) -> &K {
        self.key
    }

    /// Its event-time timers, in milliseconds, ascending.
    pub fn registered_event_time_timers(&self) -> &[i64] {
        self.event_timers
    }

    /// Its processing-time timers, in milliseconds since the Unix epoch, ascending.
    pub fn registered_processing_time_timers(&self) -> &[i64] {
        self.processing_timers
    }
}

/// What a function makes of an operator's state.
pub(crate) struct FunctionRecords<K, O, F> {
    files: Arc<KeyedFiles>,
    function: F,
    types: PhantomData<fn() -> (K, O)>,
}

impl<K: Key, O: Record, F: KeyedStateReaderFunction<K, O>> FunctionRecords<K, O, F> {
    pub(crate) fn new(files: KeyedFiles, function: F) -> Self {
        Self { files: Arc::new(files), function, types: PhantomData }
    }
}

impl<K: Key, O: Record, F: KeyedStateReaderFunction<K, O>> StateRecords<O>
    for FunctionRecords<K, O, F>
{
    fn parts(&self, at_least: u32) -> Vec<RangeInclusive<u32>> {
        self.files.parts(at_least)
    }

    fn load(&self, part: RangeInclusive<u32>) -> BoxFuture<'static, LoadedRecords<O>> {
        let (files, function) = (self.files.clone(), self.function.clone());
        async move { read_part(&files, function, &part).await }.boxed()
    }
}

/// A key with its hash, and its timers of event time and of the wall clock.
struct KeyWithTimers<K> {
    hash: u64,
    key: K,
    timers: [Vec<i64>; 2],
}

async fn read_part<K: Key, O: Record, F: KeyedStateReaderFunction<K, O>>(
    files: &KeyedFiles,
    mut function: F,
    part: &RangeInclusive<u32>,
) -> LoadedRecords<O> {
    let range = key_groups(part);
    // At the beginning of time nothing has expired: all that the snapshot has is read.
    let mut store = KeyedStateStore::<K>::new(range, files.max_parallelism, 0);
    let mut timers = [TimerQueue::<K, ()>::default(), TimerQueue::default()];
    let declared = keyed_state_meta::<K, ()>(TIMERS, StateKind::Timers);
    let apply = |meta: &StateMeta, block: Block, meant| {
        let queue = match block.kind {
            BlockKind::Entries | BlockKind::Removals => {
                store.restore(meta, block);
                return Ok(());
            }
            BlockKind::EventTimers => &mut timers[0],
            BlockKind::ProcessingTimers => &mut timers[1],
        };
        // Timers of windows are for something: they have other types, and are not offered here.
        if declared.check_restorable_from(meta).is_err() {
            return Ok(());
        }
        let restored = queue.restore(&block, meant, files.max_parallelism);
        restored.map_err(|error| files.unreadable(&meta.name, error))
    };
    files.each_block(range, apply).await?;
    let failed = |source| StateProcessorError::Function { operator: files.label.clone(), source };
    function.open(&mut store).map_err(failed)?;
    let keys = keys(&store, &timers).map_err(|error| files.unreadable(TIMERS, error))?;
    let mut out = Vec::new();
    for KeyWithTimers { hash, key, timers: [event, processing] } in keys.values() {
        store.set_current_key(*hash, key.clone());
        let mut context = KeyedStateReaderContext {
            state: &mut store,
            key,
            event_timers: event,
            processing_timers: processing,
        };
        function.read_key(&mut context, &mut out).map_err(failed)?;
    }
    Ok(out)
}

/// Every key once, by its encoding, so that the order is the same each time.
type Keys<K> = BTreeMap<Vec<u8>, KeyWithTimers<K>>;

fn keys<K: Key>(
    store: &KeyedStateStore<K>,
    timers: &[TimerQueue<K, ()>; 2],
) -> Result<Keys<K>, CodecError> {
    let mut keys: Keys<K> = BTreeMap::new();
    let mut problem = None;
    let mut entry = |key: &K, hash: u64, timer: Option<(usize, i64)>| match codec::encode(key) {
        Ok(bytes) => {
            let fresh = || KeyWithTimers { hash, key: key.clone(), timers: Default::default() };
            let known = keys.entry(bytes).or_insert_with(fresh);
            if let Some((domain, time)) = timer {
                known.timers[domain].push(time);
            }
        }
        Err(error) => problem = Some(error),
    };
    store.each_key(|hash, key| entry(key, hash, None));
    for (domain, queue) in timers.iter().enumerate() {
        for timer in queue.iter() {
            let hash = stable_hash(&timer.key);
            let hash = hash.map_err(|error| CodecError::Malformed(error.to_string()))?;
            entry(&timer.key, hash, Some((domain, timer.time)));
        }
    }
    if let Some(error) = problem {
        return Err(error);
    }
    for key in keys.values_mut() {
        key.timers.iter_mut().for_each(|timers| timers.sort_unstable());
    }
    Ok(keys)
}
