//! Running reductions.

use hurtig_operator_api::{Operator, OperatorContext, Output};
use hurtig_state_api::Key;
use hurtig_state_heap::{Block, KeyedTable, keyed_state_meta};
use hurtig_types::{
    Batch, BoxError, BoxedPayload, FlowError, FlowResult, Record, StateKind, StateMeta,
    codec::CodecError,
};

use super::not_open;
use crate::{
    KeySelector,
    key::BatchKeys,
    snapshot::{self, Capturing, KeyedParts, check_meta, keyed_snapshots, unreadable},
};

/// A running reduction per key: every record gives the new value.
pub struct ReduceOperator<T, K, F> {
    f: F,
    keys: BatchKeys<T, K>,
    core: Option<ReduceCore<K, T>>,
}

/// What comes with `open`.
pub(crate) struct ReduceCore<K, T> {
    values: KeyedTable<K, T>,
    pub(crate) capturing: Capturing,
}

impl<K: Key, T: Record> ReduceCore<K, T> {
    fn meta() -> StateMeta {
        keyed_state_meta::<K, T>("_reduce", StateKind::Reducing)
    }
}

impl<K: Key, T: Record> KeyedParts for ReduceCore<K, T> {
    fn begin(&mut self, since: Option<u32>) -> Option<u32> {
        Some(self.values.begin_capture(since))
    }

    fn next(
        &mut self,
        max_bytes: usize,
        take: &mut dyn FnMut(&StateMeta, Block) -> Result<(), CodecError>,
    ) -> Result<bool, CodecError> {
        match self.values.next_block(max_bytes)? {
            Some(block) => take(&Self::meta(), block).map(|()| true),
            None => Ok(false),
        }
    }

    fn cancel(&mut self) {
        self.values.cancel_capture();
    }

    fn forget_before(&mut self, capture: u32) {
        self.values.forget_removals_before(capture);
    }

    fn metas(&self) -> Vec<StateMeta> {
        vec![Self::meta()]
    }

    fn restore(&mut self, meta: &StateMeta, block: Block) -> FlowResult {
        check_meta(&Self::meta(), meta)?;
        self.values.restore(&block).map_err(|error| unreadable(meta, &error))
    }
}

impl<T: Record, K: Key, F> ReduceOperator<T, K, F> {
    /// Reduces with `f(value so far, record)`.
    pub fn new(selector: KeySelector<T, K>, f: F) -> Self {
        Self { f, keys: BatchKeys::new(selector), core: None }
    }
}

impl<T: Record, K: Key, F: FnMut(&mut T, T) -> Result<(), BoxError> + Send> Operator
    for ReduceOperator<T, K, F>
{
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let values = KeyedTable::new(context.key_groups(), context.max_parallelism);
        let core = self.core.insert(ReduceCore { values, capturing: Capturing::default() });
        snapshot::restore(core, context)
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let state = &mut self.core.as_mut().ok_or_else(not_open)?.values;
        let mut batch = Batch::<T>::from_payload(batch)?;
        self.keys.load(&mut batch)?;
        let Batch { mut values, timestamps, .. } = batch;
        for ((value, key), hash) in values.iter_mut().zip(&self.keys.keys).zip(&self.keys.hashes) {
            // The record is replaced by the reduced value in place: the batch's memory is reused.
            let (reduced, fresh) = state.get_or_insert_with(*hash, key, || value.clone());
            if !fresh {
                (self.f)(reduced, value.clone()).map_err(FlowError::user)?;
                *value = reduced.clone();
            }
        }
        out.emit(Batch::from_parts(values, timestamps).boxed())
    }

    keyed_snapshots!(core);
}
