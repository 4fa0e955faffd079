//! The state of aligned event-time windows: one accumulator per key and slice.
//!
//! Windows with the default trigger and without lateness keep slices, which overlapping windows
//! share (see `hurtig_operators::window::slice`): a tumbling window is one slice, a sliding one the
//! slices from its start to its end. Windows with triggers, evictors or lateness are kept by the
//! general operator, in a form of its own that is not offered here.

use std::{collections::BTreeMap, marker::PhantomData, ops::RangeInclusive, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use hurtig_state_api::Key;
use hurtig_state_heap::{Block, KeyedTable, keyed_state_meta};
use hurtig_types::{Record, StateKind, StateMeta};
use serde::{Deserialize, Serialize};

use crate::{
    error::StateProcessorError,
    keyed::{KeyedFiles, key_groups},
    records::{LoadedRecords, StateRecords},
};

/// The name under which slices are kept.
const SLICES: &str = "_slices";
/// Names of states per key and window begin with this.
pub(crate) const PER_WINDOW: &str = "_window/";

/// What one key has in one slice of event time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSlice<K, C> {
    /// The key.
    pub key: K,
    /// Where the slice begins, in milliseconds of event time.
    pub start: i64,
    /// The accumulator; the records themselves as a `Vec` where the window function wants those.
    pub accumulator: C,
}

/// The slices of one operator.
pub(crate) struct SliceRecords<K, C> {
    files: Arc<KeyedFiles>,
    declared: StateMeta,
    types: PhantomData<fn() -> (K, C)>,
}

impl<K: Key, C: Record> SliceRecords<K, C> {
    pub(crate) fn new(files: KeyedFiles) -> Result<Self, StateProcessorError> {
        let declared = keyed_state_meta::<K, C>(SLICES, StateKind::Aggregating);
        let restored = files.meta(SLICES)?;
        declared
            .check_restorable_from(restored)
            .map_err(|difference| files.incompatible(restored, difference))?;
        Ok(Self { files: Arc::new(files), declared, types: PhantomData })
    }
}

impl<K: Key, C: Record> StateRecords<WindowSlice<K, C>> for SliceRecords<K, C> {
    fn parts(&self, at_least: u32) -> Vec<RangeInclusive<u32>> {
        self.files.parts(at_least)
    }

    fn load(
        &self,
        part: RangeInclusive<u32>,
    ) -> BoxFuture<'static, LoadedRecords<WindowSlice<K, C>>> {
        let (files, declared) = (self.files.clone(), self.declared.clone());
        async move {
            let range = key_groups(&part);
            let mut slices: BTreeMap<i64, KeyedTable<K, C>> = BTreeMap::new();
            let apply = |meta: &StateMeta, block: Block, _| {
                if meta.name != declared.name {
                    return Ok(());
                }
                declared
                    .check_restorable_from(meta)
                    .map_err(|difference| files.incompatible(meta, difference))?;
                let fresh = || KeyedTable::new(range, files.max_parallelism);
                let table = slices.entry(block.namespace).or_insert_with(fresh);
                table.restore(&block).map_err(|error| files.unreadable(&meta.name, error))
            };
            files.each_block(range, apply).await?;
            let records = slices.into_iter().flat_map(|(start, table)| {
                table.into_entries().map(move |(_, key, accumulator)| WindowSlice {
                    key,
                    start,
                    accumulator,
                })
            });
            Ok(records.collect())
        }
        .boxed()
    }
}
