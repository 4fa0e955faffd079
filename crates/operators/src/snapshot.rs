//! How the keyed operators take part in checkpoints.
//!
//! An operator's keyed state consists of parts: stores of named states, tables, timers. They are
//! captured and restored in one order, always the same, into one file.

use hurtig_operator_api::{Captured, KeyedFile, ListStateData, OperatorContext, OperatorRestore};
use hurtig_state_api::Key;
use hurtig_state_heap::{
    Block, BlockKind, CaptureWriter, KeyedStateStore, keyed_state_meta, read_blocks,
};
use hurtig_types::{
    FlowError, FlowResult, KeyGroupRange, Record, RedistributionMode, StateKind, StateMeta,
    codec::CodecError,
};

use crate::keyed::Timers;

/// Checks that a list state is read as it was written.
pub(crate) fn check_list<T: Record>(
    context: &OperatorContext,
    name: &str,
    mode: RedistributionMode,
) -> FlowResult {
    let written = context.restored.as_ref().and_then(|restored| restored.meta(name));
    written.map_or(Ok(()), |written| check_meta(&StateMeta::of_elements::<T>(name, mode), written))
}

/// The keyed state of an operator.
pub trait KeyedParts {
    /// Begins the capture of all parts, and returns its number; `None` for one that is of
    /// everything whatever was asked for.
    fn begin(&mut self, since: Option<u32>) -> Option<u32>;
    /// Calls `take` with the next block; false if there is none.
    fn next(
        &mut self,
        max_bytes: usize,
        take: &mut dyn FnMut(&StateMeta, Block) -> Result<(), CodecError>,
    ) -> Result<bool, CodecError>;
    /// Gives the capture up.
    fn cancel(&mut self);
    /// No capture will reach back before this one.
    fn forget_before(&mut self, capture: u32);
    /// Operator state beside the keyed one.
    fn operator_states(&self) -> Result<Vec<ListStateData>, CodecError> {
        Ok(Vec::new())
    }
    /// Describes all states.
    fn metas(&self) -> Vec<StateMeta>;
    /// Takes a block of a snapshot.
    fn restore(&mut self, meta: &StateMeta, block: Block) -> FlowResult;
}

/// A capture of an operator's keyed state under way.
///
/// The timers of a chain of files are those of its last one. A delta that is empty makes no file,
/// so when the last timers have gone it says so by a declaration without content.
#[derive(Default)]
pub struct Capturing {
    writer: Option<CaptureWriter>,
    number: Option<u32>,
    since: Option<u32>,
    is_empty: bool,
    /// The latest capture that had timers.
    with_timers: Option<u32>,
}

impl Capturing {
    /// Begins the capture of all parts; see [`hurtig_operator_api::Operator::begin_capture`].
    pub fn begin(
        &mut self,
        parts: &mut dyn KeyedParts,
        since: Option<u32>,
    ) -> FlowResult<Captured> {
        let operator_states = parts.operator_states()?;
        self.writer = Some(CaptureWriter::default());
        let number = parts.begin(since);
        (self.number, self.since, self.is_empty) = (number, since, true);
        Ok(Captured { keyed: true, number, operator_states, metas: parts.metas() })
    }

    /// Writes the next piece; false when there is no more.
    pub fn next(
        &mut self,
        parts: &mut dyn KeyedParts,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> FlowResult<bool> {
        let Self { writer: Some(writer), number, since, is_empty, with_timers } = self else {
            return Ok(false);
        };
        let end = out.len().saturating_add(max_bytes);
        while out.len() < end {
            let left = end - out.len();
            let mut has_looked_enough = false;
            let more = parts.next(left, &mut |meta, block| {
                if block.count == 0 {
                    has_looked_enough = true;
                    return Ok(());
                }
                *is_empty = false;
                if is_timers(&block) {
                    *with_timers = *number;
                }
                writer.append(meta, &block, out)
            })?;
            if !more {
                let timers_gone = since.is_some() && *with_timers >= *since;
                if let (true, true, Some(meta)) = (*is_empty, timers_gone, parts.metas().first()) {
                    writer.declare(meta, out)?;
                }
                self.writer = None;
                return Ok(false);
            }
            if has_looked_enough {
                break;
            }
        }
        Ok(true)
    }

    /// Gives the capture under way up.
    pub fn cancel(&mut self, parts: &mut dyn KeyedParts) {
        if self.writer.take().is_some() {
            parts.cancel();
        }
    }
}

/// Restores an operator's keyed state.
pub fn restore(parts: &mut dyn KeyedParts, context: &OperatorContext) -> FlowResult {
    let Some(restored) = &context.restored else {
        return Ok(());
    };
    let OperatorRestore { keyed, checkpoint_id, .. } = &**restored;
    for KeyedFile { content, is_latest } in keyed {
        let mut failure = None;
        let read = read_blocks(content, |meta, block| {
            if !is_latest && block.kind.is_timers() {
                // Gone off or deleted since, or in the later file too.
                return Ok(());
            }
            parts.restore(meta, block).map_err(|error| {
                let text = error.to_string();
                failure = Some(error);
                CodecError::Malformed(text)
            })
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        read.map_err(|error| {
            FlowError::fatal(format!("keyed state of checkpoint {checkpoint_id}: {error}"))
        })?;
    }
    Ok(())
}

fn is_timers(block: &Block) -> bool {
    matches!(block.kind, BlockKind::EventTimers | BlockKind::ProcessingTimers)
}

/// A block could not be read.
pub fn unreadable(meta: &StateMeta, error: &CodecError) -> FlowError {
    FlowError::fatal(format!("state {:?} cannot be restored: {error}", meta.name))
}

/// Checks that a state is read as it was written.
pub fn check_meta(declared: &StateMeta, restored: &StateMeta) -> FlowResult {
    declared.check_restorable_from(restored).map_err(|difference| {
        let name = &declared.name;
        FlowError::fatal(format!("state {name:?} cannot be restored: {difference}"))
    })
}

/// Passes the next block of a store on.
pub fn next_of_store<K: Key>(
    store: &mut KeyedStateStore<K>,
    prefix: &str,
    max_bytes: usize,
    take: &mut dyn FnMut(&StateMeta, Block) -> Result<(), CodecError>,
) -> Result<bool, CodecError> {
    match store.next_block(max_bytes)? {
        Some((meta, block)) if prefix.is_empty() => take(meta, block).map(|()| true),
        Some((meta, block)) => {
            let meta = StateMeta { name: format!("{prefix}{}", meta.name), ..meta.clone() };
            take(&meta, block).map(|()| true)
        }
        None => Ok(false),
    }
}

/// The name under which timers are kept.
const TIMERS: &str = "_timers";

impl<K: Key, N: Record + Eq> Timers<K, N> {
    /// Describes them for snapshots.
    pub fn meta() -> StateMeta {
        keyed_state_meta::<K, N>(TIMERS, StateKind::Timers)
    }

    /// Begins a capture of all timers.
    pub fn begin_capture(&mut self) {
        self.event.begin_capture();
        self.processing.begin_capture();
    }

    /// Gives the capture under way up.
    pub fn cancel_capture(&mut self) {
        self.event.cancel_capture();
        self.processing.cancel_capture();
    }

    /// Passes the next block on; false if there is none.
    pub fn next(
        &mut self,
        max_bytes: usize,
        take: &mut dyn FnMut(&StateMeta, Block) -> Result<(), CodecError>,
    ) -> Result<bool, CodecError> {
        let block = match self.event.next_block(BlockKind::EventTimers, max_bytes)? {
            Some(block) => Some(block),
            None => self.processing.next_block(BlockKind::ProcessingTimers, max_bytes)?,
        };
        match block {
            Some(block) => take(&Self::meta(), block).map(|()| true),
            None => Ok(false),
        }
    }

    /// Takes a block if it is one of timers.
    pub fn restore(
        &mut self,
        meta: &StateMeta,
        block: &Block,
        range: KeyGroupRange,
        max_parallelism: u32,
    ) -> FlowResult<bool> {
        let queue = match block.kind {
            BlockKind::EventTimers => &mut self.event,
            BlockKind::ProcessingTimers => &mut self.processing,
            BlockKind::Entries | BlockKind::Removals => return Ok(false),
        };
        check_meta(&Self::meta(), meta)?;
        let restored = queue.restore(block, range, max_parallelism);
        restored.map_err(|error| unreadable(meta, &error))?;
        Ok(true)
    }
}

/// The snapshot methods of an operator whose field `$core: Option<impl KeyedParts>` holds its keyed
/// state, and `$core.capturing` the capture under way.
///
/// With `$function`, that field's hook is called first, for the operator state in
/// `$core.operator_state`.
macro_rules! keyed_snapshots {
    ($core:ident $(, $($function:ident).+)?) => {
        fn begin_capture(
            &mut self,
            checkpoint: hurtig_types::CheckpointId,
            since: Option<u32>,
        ) -> FlowResult<hurtig_operator_api::Captured> {
            let core = self.$core.as_mut().ok_or_else($crate::keyed::not_open)?;
            $(
                let function = &mut self.$($function).+;
                let store = &mut core.operator_state;
                $crate::checkpointed::update(store, checkpoint, |context| {
                    function.snapshot_state(context)
                })?;
            )?
            let _ = checkpoint;
            let mut capturing = std::mem::take(&mut core.capturing);
            let captured = capturing.begin(core, since);
            core.capturing = capturing;
            captured
        }

        fn next_capture(&mut self, max_bytes: usize, out: &mut Vec<u8>) -> FlowResult<bool> {
            let core = self.$core.as_mut().ok_or_else($crate::keyed::not_open)?;
            let mut capturing = std::mem::take(&mut core.capturing);
            let more = capturing.next(core, max_bytes, out);
            core.capturing = capturing;
            more
        }

        fn cancel_capture(&mut self) {
            if let Some(core) = &mut self.$core {
                let mut capturing = std::mem::take(&mut core.capturing);
                capturing.cancel(core);
            }
        }

        fn forget_captures_before(&mut self, capture: u32) {
            if let Some(core) = &mut self.$core {
                $crate::snapshot::KeyedParts::forget_before(core, capture);
            }
        }
    };
}
pub(crate) use keyed_snapshots;
