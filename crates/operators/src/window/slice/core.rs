//! The state of a slice window operator.

use std::collections::{BTreeMap, VecDeque};

use hurtig_operator_api::ListStateData;
use hurtig_state_api::Key;
use hurtig_state_heap::{Block, KeyedTable, keyed_state_meta};
use hurtig_types::{
    FlowResult, KeyGroupRange, MIN_TIMESTAMP, Record, RedistributionMode, StateKind, StateMeta,
    codec, codec::CodecError,
};

use super::AlignedWindows;
use crate::{
    snapshot::{Capturing, KeyedParts, check_meta, unreadable},
    window::function::WindowFunctionState,
};

/// Restored slices of key groups whose windows have fired up to a time that this subtask has not
/// reached yet.
pub(super) struct Ahead<K, C> {
    pub(super) watermark: i64,
    ranges: Vec<KeyGroupRange>,
    slices: BTreeMap<i64, KeyedTable<K, C>>,
}

/// What comes with `open`.
pub(super) struct SliceCore<K, C> {
    pub(super) windows: AlignedWindows,
    pub(super) key_groups: KeyGroupRange,
    pub(super) max_parallelism: u32,
    pub(super) slices: BTreeMap<i64, KeyedTable<K, C>>,
    /// The slice that records fell into last, kept out of the map.
    pub(super) current: Option<(i64, KeyedTable<K, C>)>,
    pub(super) next_end: Option<i64>,
    /// Windows that end at or before this time have fired.
    pub(super) watermark: i64,
    /// By time, the earliest last.
    pub(super) ahead: Vec<Ahead<K, C>>,
    pub(super) states: WindowFunctionState<K>,
    /// Blocks of slices that went while they were being captured.
    pub(super) captured: VecDeque<Block>,
    pub(super) capturing: Capturing,
}

impl<K: Key, C: Record> SliceCore<K, C> {
    pub(super) fn meta() -> StateMeta {
        keyed_state_meta::<K, C>("_slices", StateKind::Aggregating)
    }

    /// Makes the slice that begins at `start` the current one.
    pub(super) fn switch_to(&mut self, start: i64) {
        if let Some((old, table)) = self.current.take()
            && !table.is_empty()
        {
            self.slices.insert(old, table);
        }
        let table = self.slices.remove(&start);
        let table = table.unwrap_or_else(|| KeyedTable::new(self.key_groups, self.max_parallelism));
        self.current = Some((start, table));
        self.expect_windows_of(start);
    }

    /// The windows of a slice are going to fire, but for those that the watermark has passed.
    pub(super) fn expect_windows_of(&mut self, start: i64) {
        let first_end = self.windows.first_end(start);
        let first_end = if first_end.saturating_sub(1) > self.watermark {
            first_end
        } else {
            let behind = self.watermark.saturating_add(1).saturating_sub(first_end);
            let steps = behind / self.windows.slide.max(1) + 1;
            first_end.saturating_add(steps.saturating_mul(self.windows.slide))
        };
        self.next_end = Some(self.next_end.map_or(first_end, |end| end.min(first_end)));
    }

    /// Captures the rest of a slice that is about to go.
    pub(super) fn capture_rest(
        captured: &mut VecDeque<Block>,
        start: i64,
        table: &mut KeyedTable<K, C>,
    ) -> Result<(), CodecError> {
        while let Some(block) = table.next_block(1 << 16)? {
            if block.count == 0 {
                continue;
            }
            captured.push_back(Block { namespace: start, ..block });
        }
        Ok(())
    }

    pub(super) fn tables(&mut self) -> impl Iterator<Item = (i64, &mut KeyedTable<K, C>)> {
        let current = self.current.iter_mut().map(|(start, table)| (*start, table));
        let ahead = self.ahead.iter_mut().flat_map(|ahead| &mut ahead.slices);
        let slices = self.slices.iter_mut().chain(ahead);
        slices.map(|(start, table)| (*start, table)).chain(current)
    }

    /// The times of all key groups at the snapshot.
    pub(super) fn restore_watermarks(&mut self, elements: &[(KeyGroupRange, i64)]) {
        let own = self.key_groups;
        let is_own = |range: &KeyGroupRange| range.start <= own.end && own.start <= range.end;
        let own = elements.iter().filter(|(range, _)| is_own(range));
        self.watermark = own.clone().map(|(_, time)| *time).min().unwrap_or(MIN_TIMESTAMP);
        for (range, watermark) in own.filter(|(_, time)| *time > self.watermark) {
            let found = self.ahead.binary_search_by(|ahead| watermark.cmp(&ahead.watermark));
            match found {
                Ok(at) => self.ahead[at].ranges.push(*range),
                Err(at) => {
                    let (watermark, ranges) = (*watermark, vec![*range]);
                    self.ahead.insert(at, Ahead { watermark, ranges, slices: BTreeMap::new() });
                }
            }
        }
    }

    /// Slices that were ahead take part again, now that event time passes them.
    pub(super) fn admit(
        &mut self,
        ahead: Ahead<K, C>,
        merge: impl Fn(&mut C, &C),
    ) -> Result<(), CodecError> {
        for (start, mut table) in ahead.slices {
            Self::capture_rest(&mut self.captured, start, &mut table)?;
            let into = self.slices.entry(start).or_insert_with(|| table.empty_like());
            for (hash, key, accumulator) in table.into_entries() {
                match into.get_mut(hash, &key) {
                    Some(sum) => merge(sum, &accumulator),
                    None => into.insert(hash, &key, accumulator),
                }
            }
            self.expect_windows_of(start);
        }
        Ok(())
    }
}

/// The state that says how far event time was: windows that have fired do not fire again.
pub(super) const WATERMARK: &str = "_watermark";

impl<K: Key, C: Record> KeyedParts for SliceCore<K, C> {
    fn begin(&mut self, _: Option<u32>) -> Option<u32> {
        // Slices come and go: changes since an earlier capture would be most of them.
        for (_, table) in self.tables() {
            table.begin_capture(None);
        }
        self.captured.clear();
        self.states.begin_capture(None);
        None
    }

    fn next(
        &mut self,
        max_bytes: usize,
        take: &mut dyn FnMut(&StateMeta, Block) -> Result<(), CodecError>,
    ) -> Result<bool, CodecError> {
        let meta = Self::meta();
        if let Some(block) = self.captured.pop_front() {
            return take(&meta, block).map(|()| true);
        }
        for (start, table) in self.tables().filter(|(_, table)| table.is_capturing()) {
            if let Some(block) = table.next_block(max_bytes)? {
                return take(&meta, Block { namespace: start, ..block }).map(|()| true);
            }
        }
        self.states.next(max_bytes, take)
    }

    fn cancel(&mut self) {
        self.tables().for_each(|(_, table)| table.cancel_capture());
        self.captured.clear();
        self.states.cancel_capture();
    }

    fn forget_before(&mut self, capture: u32) {
        self.states.forget_before(capture);
    }

    fn operator_states(&self) -> Result<Vec<ListStateData>, CodecError> {
        let ahead = self
            .ahead
            .iter()
            .flat_map(|ahead| ahead.ranges.iter().map(|range| (*range, ahead.watermark)));
        let all = std::iter::once((self.key_groups, self.watermark)).chain(ahead);
        let elements = all.map(|element| codec::encode(&element)).collect::<Result<_, _>>()?;
        let mode = RedistributionMode::PartialUnion;
        Ok(vec![ListStateData { name: WATERMARK.to_owned(), mode, elements }])
    }

    fn metas(&self) -> Vec<StateMeta> {
        let watermark = StateMeta::of_elements::<(KeyGroupRange, i64)>(
            WATERMARK,
            RedistributionMode::PartialUnion,
        );
        [Self::meta(), watermark].into_iter().chain(self.states.metas()).collect()
    }

    fn restore(&mut self, meta: &StateMeta, block: Block) -> FlowResult {
        let declared = Self::meta();
        if meta.name != declared.name {
            self.states.restore(meta, block);
            return Ok(());
        }
        check_meta(&declared, meta)?;
        if !self.key_groups.contains(block.key_group) {
            return Ok(());
        }
        let (key_groups, max_parallelism) = (self.key_groups, self.max_parallelism);
        let group = block.key_group;
        let ahead = self.ahead.iter_mut().find(|ahead| {
            // The latest time counts: ranges of what was ahead lie within others.
            ahead.ranges.iter().any(|range| range.contains(group))
        });
        let slices = ahead.map_or(&mut self.slices, |ahead| &mut ahead.slices);
        let table = slices.entry(block.namespace);
        let table = table.or_insert_with(|| KeyedTable::new(key_groups, max_parallelism));
        table.restore(&block).map_err(|error| unreadable(meta, &error))
    }
}
