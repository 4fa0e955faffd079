//! Regular joins: both inputs are kept, and each change of one is joined with what is there of the
//! other.
//!
//! What is kept of a side, as in Flink, depends on its unique key: one row per unique key (whatever
//! the row, the next one of that key replaces it), or rows with how often they are there. A row of
//! a side whose rows are also given without partner carries how many partners it has, so that the
//! one with NULLs can be taken back with the first partner and given again after the last.
//!
//! Rows whose key has NULL (where NULL equals nothing) have no partners and find none.

use std::collections::BTreeMap;

use arrow_array::{Array, ArrayRef};
use arrow_schema::{Schema, SchemaRef};
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_state_heap::MapState;
use hurtig_types::{FlowError, FlowResult};
use serde::{Deserialize, Serialize};

use crate::{
    config::{JoinInput, JoinKeys, JoinVariant, RegularJoin, SharedExpression},
    core::{Core, KeyedOperator, Logic, descriptor},
    layout::Layout,
    pairs::Pairs,
    rows::{RowBytes, RowCodec, hash_of, make_rows, state_error},
    sink::RowSink,
    stateless::condition,
};

/// Evaluates the rest of a join's condition over pairs of rows.
pub(crate) struct PairCondition {
    expression: Option<SharedExpression>,
    schema: SchemaRef,
    codecs: [RowCodec; 2],
}

impl PairCondition {
    pub(crate) fn new(keys: &JoinKeys, left: &SchemaRef, right: &SchemaRef) -> FlowResult<Self> {
        // What is nullable in a join's output need not be here, and the other way round.
        let fields = left.fields().iter().chain(right.fields());
        let fields: Vec<_> = fields.map(|field| (**field).clone().with_nullable(true)).collect();
        Ok(Self {
            expression: keys.condition.clone(),
            schema: std::sync::Arc::new(Schema::new(fields)),
            codecs: [RowCodec::all(left)?, RowCodec::all(right)?],
        })
    }

    /// For each of `others`, whether it and a row of the side fulfil the condition.
    pub(crate) fn matches(
        &self,
        row: &[u8],
        row_is_left: bool,
        others: &[&[u8]],
    ) -> FlowResult<Vec<bool>> {
        let pairs =
            others.iter().map(|other| if row_is_left { (row, *other) } else { (*other, row) });
        self.holds(&pairs.collect::<Vec<_>>())
    }

    /// For each pair, whether it fulfils the condition.
    pub(crate) fn holds(&self, pairs: &[(&[u8], &[u8])]) -> FlowResult<Vec<bool>> {
        let Some(expression) = &self.expression else { return Ok(vec![true; pairs.len()]) };
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let mut columns: Vec<ArrayRef> = self.codecs[0].decode(pairs.iter().map(|pair| pair.0))?;
        columns.extend(self.codecs[1].decode(pairs.iter().map(|pair| pair.1))?);
        let rows = make_rows(&self.schema, columns, pairs.len())?;
        let mask = condition(&**expression, &rows)?;
        Ok((0..mask.len()).map(|row| mask.is_valid(row) && mask.value(row)).collect())
    }
}

/// Rows of one input: their keys and their bytes.
pub(crate) struct SideCodec {
    pub(crate) key: RowCodec,
    pub(crate) row: RowCodec,
    null_equal: Vec<bool>,
}

impl SideCodec {
    pub(crate) fn new(schema: &SchemaRef, keys: &[usize], null_equal: &[bool]) -> FlowResult<Self> {
        let (key, row) = (RowCodec::new(schema, keys)?, RowCodec::all(schema)?);
        Ok(Self { key, row, null_equal: null_equal.to_vec() })
    }

    /// Which rows can have no partner, since their key has NULL.
    pub(crate) fn without_partner(&self, rows: &arrow_array::RecordBatch) -> Option<Vec<bool>> {
        self.key.nulls(rows, |key| !self.null_equal.get(key).copied().unwrap_or(false))
    }
}

/// What is kept of equal rows, or of the row of a unique key.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    /// The row; empty where the map's key is the row.
    row: RowBytes,
    /// How often it is there.
    times: i64,
    /// How many partners each of them has, if that counts.
    partners: i64,
}

type Table = MapState<RowBytes, Kept>;

struct Side {
    codec: SideCodec,
    /// What the map is keyed by: `None`, the row itself.
    unique: Option<RowCodec>,
    input: JoinInput,
    null: RowBytes,
    table: Option<Table>,
}

impl Side {
    fn new(input: &JoinInput, keys: &[usize], null_equal: &[bool]) -> FlowResult<Self> {
        let codec = SideCodec::new(&input.schema, keys, null_equal)?;
        let unique = match (&input.unique_key, input.join_key_contains_unique_key) {
            (_, true) => Some(RowCodec::new(&input.schema, &[])?),
            (Some(key), false) => Some(RowCodec::new(&input.schema, key)?),
            (None, false) => None,
        };
        let null = codec.row.null_row(&input.schema)?;
        Ok(Self { codec, unique, input: input.clone(), null, table: None })
    }

    fn table(&self) -> FlowResult<Table> {
        self.table.ok_or_else(|| FlowError::internal("the operator was not opened"))
    }
}

struct JoinLogic {
    kind: JoinVariant,
    sides: [Side; 2],
    condition: PairCondition,
    sink: RowSink,
    /// Of an inner join.
    pairs: Pairs,
}

impl OperatorFactory for RegularJoin {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let nulls = &self.keys.null_equal;
        let left = Side::new(&self.left, &self.keys.left, nulls)?;
        let right = Side::new(&self.right, &self.keys.right, nulls)?;
        let mut codecs = vec![RowCodec::all(&self.left.schema)?];
        if !matches!(self.kind, JoinVariant::Semi | JoinVariant::Anti) {
            codecs.push(RowCodec::all(&self.right.schema)?);
        }
        Ok(KeyedOperator::boxed(JoinLogic {
            kind: self.kind,
            pairs: Pairs::new(&self.keys, &self.left.schema, &self.right.schema, &self.schema)?,
            condition: PairCondition::new(&self.keys, &self.left.schema, &self.right.schema)?,
            sink: RowSink::new(&self.schema, codecs),
            sides: [left, right],
        }))
    }
}

/// A row that a change was joined with.
struct Partner {
    map_key: RowBytes,
    row: RowBytes,
    times: i64,
    partners: i64,
}

impl JoinLogic {
    fn is_outer(&self, side: usize) -> bool {
        match self.kind {
            JoinVariant::Left => side == 0,
            JoinVariant::Right => side == 1,
            JoinVariant::Full => true,
            JoinVariant::Inner => false,
            // Whether a left row is given depends on its partners.
            JoinVariant::Semi | JoinVariant::Anti => side == 0,
        }
    }

    fn is_filter(&self) -> bool {
        matches!(self.kind, JoinVariant::Semi | JoinVariant::Anti)
    }

    fn push(&mut self, kind: RowKind, side: usize, row: &[u8], other: &[u8]) {
        if side == 0 {
            self.sink.push_pair(kind, row, other);
        } else {
            self.sink.push_pair(kind, other, row);
        }
    }

    /// The rows of the other side that a row joins, in the order of their bytes.
    fn partners(&self, side: usize, row: &[u8], core: &mut Core) -> FlowResult<Vec<Partner>> {
        let other = self.sides[1 - side].table()?;
        let is_unique = self.sides[1 - side].unique.is_some();
        let entries = other.entries(&mut core.store).map_err(state_error)?;
        let mut found: BTreeMap<&RowBytes, &Kept> = BTreeMap::new();
        found.extend(entries);
        let rows: Vec<&[u8]> = found
            .iter()
            .map(|(key, kept)| if is_unique { &*kept.row.0 } else { &*key.0 })
            .collect();
        let matches = self.condition.matches(row, side == 0, &rows)?;
        let partners = found.iter().zip(rows).zip(matches).filter(|(_, matches)| *matches);
        Ok(partners
            .map(|(((key, kept), row), _)| Partner {
                map_key: (*key).clone(),
                row: row.into(),
                times: kept.times,
                partners: kept.partners,
            })
            .collect())
    }

    /// Adds to the number of partners of rows of a side.
    fn count_partners(
        &self,
        side: usize,
        partners: &[Partner],
        by: i64,
        core: &mut Core,
    ) -> FlowResult {
        let table = self.sides[side].table()?;
        for partner in partners {
            let kept = table.get_mut(&mut core.store, &partner.map_key).map_err(state_error)?;
            if let Some(kept) = kept {
                kept.partners += by;
            }
        }
        Ok(())
    }

    /// A change of `side` meets its partners: what goes out, and how many partners the row has.
    fn join(
        &mut self,
        side: usize,
        kind: RowKind,
        row: &[u8],
        can_match: bool,
        core: &mut Core,
    ) -> FlowResult<i64> {
        let partners = if can_match { self.partners(side, row, core)? } else { Vec::new() };
        let adds = kind.adds();
        let count: i64 = partners.iter().map(|partner| partner.times).sum();
        if self.is_filter() {
            self.join_filter(side, kind, row, &partners, core)?;
            return Ok(count);
        }
        // Nothing is known of what was there before an update: as Flink, joined rows are inserted and
        // deleted. (An inner join passes the kind on; it does not come here.)
        let out = if adds { RowKind::Insert } else { RowKind::Delete };
        let nulls = [self.sides[0].null.clone(), self.sides[1].null.clone()];
        for partner in &partners {
            for _ in 0..partner.times {
                if adds && self.is_outer(1 - side) && partner.partners == 0 {
                    self.push(RowKind::Delete, 1 - side, &partner.row.0, &nulls[side].0);
                }
                self.push(out, side, row, &partner.row.0);
                if !adds && self.is_outer(1 - side) && partner.partners <= 1 {
                    self.push(RowKind::Insert, 1 - side, &partner.row.0, &nulls[side].0);
                }
            }
        }
        if partners.is_empty() && self.is_outer(side) {
            let kind = if adds { RowKind::Insert } else { RowKind::Delete };
            self.push(kind, side, row, &nulls[1 - side].0);
        }
        if self.is_outer(1 - side) {
            self.count_partners(1 - side, &partners, if adds { 1 } else { -1 }, core)?;
        }
        Ok(count)
    }

    /// The pairs of a row, to be given later. No row of this side changes what is there of the other
    /// one, so that a batch can meet it as a whole.
    fn pair_up(&mut self, side: usize, index: usize, kind: RowKind, core: &mut Core) -> FlowResult {
        let other = self.sides[1 - side].table()?;
        let is_unique = self.sides[1 - side].unique.is_some();
        for (key, kept) in other.entries(&mut core.store).map_err(state_error)? {
            let partner = if is_unique { &*kept.row.0 } else { &*key.0 };
            for _ in 0..kept.times {
                self.pairs.push(index, kind, partner);
            }
        }
        Ok(())
    }

    fn join_filter(
        &mut self,
        side: usize,
        kind: RowKind,
        row: &[u8],
        partners: &[Partner],
        core: &mut Core,
    ) -> FlowResult {
        let semi = self.kind == JoinVariant::Semi;
        if side == 0 {
            if partners.is_empty() != semi {
                self.sink.push(kind, row);
            }
            return Ok(());
        }
        let adds = kind.adds();
        for partner in partners {
            let (first, last) = (adds && partner.partners == 0, !adds && partner.partners == 1);
            let given = match (first, last) {
                (true, _) => Some(if semi { RowKind::Insert } else { RowKind::Delete }),
                (_, true) => Some(if semi { RowKind::Delete } else { RowKind::Insert }),
                _ => None,
            };
            for _ in 0..partner.times {
                if let Some(kind) = given {
                    self.sink.push(kind, &partner.row.0);
                }
            }
        }
        self.count_partners(0, partners, if adds { 1 } else { -1 }, core)
    }

    /// Keeps a row, or forgets one.
    fn keep(
        &self,
        side: usize,
        kind: RowKind,
        row: &[u8],
        map_key: RowBytes,
        partners: i64,
        core: &mut Core,
    ) -> FlowResult {
        let table = self.sides[side].table()?;
        let is_unique = self.sides[side].unique.is_some();
        if kind.adds() {
            if !is_unique
                && let Some(kept) = table.get_mut(&mut core.store, &map_key).map_err(state_error)?
            {
                kept.times += 1;
                kept.partners = partners;
                return Ok(());
            }
            let row = if is_unique { row.into() } else { RowBytes::default() };
            let kept = Kept { row, times: 1, partners };
            return table.put(&mut core.store, map_key, kept).map_err(state_error);
        }
        let kept = table.get_mut(&mut core.store, &map_key).map_err(state_error)?;
        let gone = match kept {
            Some(kept) if kept.times > 1 && !is_unique => {
                kept.times -= 1;
                false
            }
            Some(_) => true,
            None => false,
        };
        if gone {
            table.remove(&mut core.store, &map_key).map_err(state_error)?;
        }
        Ok(())
    }
}

impl Logic for JoinLogic {
    fn layout(&self) -> Layout {
        let [left, right] = &self.sides;
        let left = Layout::default().with("key", &left.codec.key).with("left row", &left.codec.row);
        left.with("right row", &right.codec.row)
            .with_some("left's unique key", self.sides[0].unique.as_ref())
            .with_some("right's unique key", self.sides[1].unique.as_ref())
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        for (side, name) in self.sides.iter_mut().zip(["left", "right"]) {
            let state = descriptor!(MapStateDescriptor, name, side.input.ttl);
            side.table = Some(core.store.map_state(&state).map_err(state_error)?);
        }
        Ok(())
    }

    fn process(
        &mut self,
        side: usize,
        batch: ChangelogBatch,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let at = &self.sides[side];
        let keys = at.codec.key.encode(&batch.rows)?;
        let rows = at.codec.row.encode(&batch.rows)?;
        let unique = at.unique.as_ref().map(|codec| codec.encode(&batch.rows)).transpose()?;
        let alone = at.codec.without_partner(&batch.rows);
        let is_inner = self.kind == JoinVariant::Inner;
        for index in 0..batch.rows.num_rows() {
            let (key, row, kind) = (keys.get(index), rows.get(index), batch.kind(index));
            core.store.set_current_key(hash_of(key)?, key.into());
            let can_match = alone.as_ref().is_none_or(|alone| !alone[index]);
            let map_key = unique.as_ref().map_or(row, |unique| unique.get(index)).into();
            let partners = if is_inner {
                if can_match {
                    self.pair_up(side, index, kind, core)?;
                }
                0
            } else {
                self.join(side, kind, row, can_match, core)?
            };
            // A row that never matches must be known only where it is to be taken back; the change
            // itself says all that is needed, so it is not kept.
            if can_match {
                self.keep(side, kind, row, map_key, partners, core)?;
            }
            self.sink.flush_if_full(out)?;
            if self.pairs.is_full() {
                self.pairs.give(side, &batch, out)?;
            }
        }
        self.pairs.give(side, &batch, out)
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}
