//! Joins with the version of a row at a time.

use std::collections::BTreeMap;

use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_state_heap::ValueState;
use hurtig_types::FlowResult;
use serde::{Deserialize, Serialize};

use super::{SideCodec, not_open, pairs::Pairs};
use crate::{
    config::{JoinVariant, TemporalJoin},
    core::{Core, KeyedOperator, Logic},
    layout::Layout,
    rows::{RowBytes, RowCodec, state_error},
    sink::RowSink,
    time::rowtimes,
};

/// What is kept of a key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Versions {
    /// Kind, time and row, in the order of their arrival.
    left: Vec<(u8, i64, RowBytes)>,
    /// By the time since when they count; `None`: the row is gone since then.
    right: BTreeMap<i64, Option<RowBytes>>,
}

struct TemporalLogic {
    config: TemporalJoin,
    sides: [SideCodec; 2],
    null: RowBytes,
    pairs: Pairs,
    state: Option<ValueState<Versions>>,
    sink: RowSink,
}

impl OperatorFactory for TemporalJoin {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let left = SideCodec::new(&self.left, &self.keys.left, &self.keys.null_equal)?;
        let right = SideCodec::new(&self.right, &self.keys.right, &self.keys.null_equal)?;
        let codecs = vec![RowCodec::all(&self.left)?, RowCodec::all(&self.right)?];
        Ok(KeyedOperator::boxed(TemporalLogic {
            null: right.row.null_row(&self.right)?,
            sides: [left, right],
            pairs: Pairs::new(&self.keys, &self.left, &self.right)?,
            state: None,
            sink: RowSink::new(&self.schema, codecs),
            config: self.clone(),
        }))
    }
}

impl Logic for TemporalLogic {
    fn layout(&self) -> Layout {
        let [left, right] = &self.sides;
        Layout::default()
            .with("key", &left.key)
            .with("left row", &left.row)
            .with("right row", &right.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = hurtig_state_api::ValueStateDescriptor::new("versions");
        self.state = Some(core.store.value_state(&state).map_err(state_error)?);
        Ok(())
    }

    fn process(
        &mut self,
        side: usize,
        batch: ChangelogBatch,
        core: &mut Core,
        _: &mut dyn Output,
    ) -> FlowResult {
        let state = self.state.ok_or_else(not_open)?;
        let codec = &self.sides[side];
        let (keys, rows) = (codec.key.encode(&batch.rows)?, codec.row.encode(&batch.rows)?);
        let alone = codec.without_partner(&batch.rows);
        let at = if side == 0 { self.config.times.0 } else { self.config.times.1 };
        let times = rowtimes(batch.rows.column(at))?;
        for row in 0..batch.rows.num_rows() {
            let (time, kind) = (times.value(row), batch.kind(row));
            let can_match = alone.as_ref().is_none_or(|alone| !alone[row]);
            if !can_match && side == 1 {
                continue;
            }
            if side == 1 && kind == RowKind::UpdateBefore {
                // What comes after it says since when.
                continue;
            }
            core.set_key(keys.get(row))?;
            let kept = state.get_or_insert_with(&mut core.store, Versions::default);
            let kept = kept.map_err(state_error)?;
            if side == 0 {
                kept.left.push((kind as u8, time, rows.get(row).into()));
            } else {
                kept.right.insert(time, kind.adds().then(|| rows.get(row).into()));
            }
            core.register_timer(true, time)?;
        }
        Ok(())
    }

    fn on_timer(&mut self, _: i64, _: bool, core: &mut Core, out: &mut dyn Output) -> FlowResult {
        let state = self.state.ok_or_else(not_open)?;
        let watermark = core.watermark();
        let Some(kept) = state.get_mut(&mut core.store).map_err(state_error)? else {
            return Ok(());
        };
        let (ready, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut kept.left).into_iter().partition(|(_, time, _)| *time <= watermark);
        kept.left = later;
        let versions = ready.iter().map(|(_, time, _)| {
            kept.right.range(..=*time).next_back().and_then(|(_, version)| version.as_ref())
        });
        let versions: Vec<Option<&RowBytes>> = versions.collect();
        let pairs = ready.iter().zip(&versions);
        let pairs =
            pairs.filter_map(|((_, _, row), version)| version.map(|v| (row.bytes(), v.bytes())));
        let holds = self.pairs.matching(pairs)?;
        let mut holds = holds.map(Vec::into_iter);
        for ((kind, _, row), version) in ready.iter().zip(&versions) {
            let kind = RowKind::of(*kind).unwrap_or(RowKind::Insert);
            let version = version
                .filter(|_| holds.as_mut().is_none_or(|holds| holds.next().unwrap_or(false)));
            match version {
                Some(version) => self.sink.push_pair(kind, row.bytes(), version.bytes()),
                None if self.config.kind == JoinVariant::Left => {
                    self.sink.push_pair(kind, row.bytes(), self.null.bytes());
                }
                None => {}
            }
        }
        // The version at the watermark counts for what is to come; earlier ones do not.
        let current = kept.right.range(..=watermark).next_back().map(|(time, _)| *time);
        if let Some(current) = current {
            kept.right = kept.right.split_off(&current);
        }
        if kept.left.is_empty() && kept.right.is_empty() {
            state.clear(&mut core.store).map_err(state_error)?;
        }
        self.sink.flush_if_full(out)
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}
