//! Regular joins: both inputs are kept, and each change of one is joined with what is there of the
//! other.
//!
//! What is kept of a side, as in Flink, depends on its unique key: one row per unique key (whatever
//! the row, the next one of that key replaces it), or rows with how often they are there. A row of
//! a side whose rows are also given without partner carries how many partners it has, so that the
//! one with NULLs can be taken back with the first partner and given again after the last. Of an input
//! that only inserts, rows that have none of this are a plain list, which takes a third of the space.
//!
//! Rows whose key has NULL (where NULL equals nothing) have no partners and find none.

use std::collections::BTreeMap;

use arrow_array::{Array, ArrayRef};
use arrow_schema::{Schema, SchemaRef};
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_types::FlowResult;

use crate::{
    config::{JoinKeys, JoinVariant, RegularJoin, SharedExpression},
    core::{Core, KeyedOperator, Logic},
    layout::Layout,
    pairs::Pairs,
    rows::{Grouping, RowBytes, RowCodec, make_rows, state_error},
    sink::RowSink,
    stateless::condition,
};

mod side;

pub(crate) use side::SideCodec;
use side::{Kept, Side};

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

struct JoinLogic {
    kind: JoinVariant,
    sides: [Side; 2],
    condition: PairCondition,
    sink: RowSink,
    /// Of an inner join.
    pairs: Pairs,
    schema: SchemaRef,
}

impl OperatorFactory for RegularJoin {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let nulls = &self.keys.null_equal;
        let left = Side::new(&self.left, &self.keys.left, nulls, is_outer(self.kind, 0))?;
        let right = Side::new(&self.right, &self.keys.right, nulls, is_outer(self.kind, 1))?;
        let mut codecs = vec![RowCodec::all(&self.left.schema)?];
        if !matches!(self.kind, JoinVariant::Semi | JoinVariant::Anti) {
            codecs.push(RowCodec::all(&self.right.schema)?);
        }
        Ok(KeyedOperator::boxed(JoinLogic {
            kind: self.kind,
            pairs: Pairs::new(&self.keys, &self.left.schema, &self.right.schema)?,
            schema: self.schema.clone(),
            condition: PairCondition::new(&self.keys, &self.left.schema, &self.right.schema)?,
            sink: RowSink::new(&self.schema, codecs),
            sides: [left, right],
        }))
    }
}

/// True if what is given of a side's row depends on whether it has partners.
fn is_outer(kind: JoinVariant, side: usize) -> bool {
    match kind {
        JoinVariant::Left => side == 0,
        JoinVariant::Right => side == 1,
        JoinVariant::Full => true,
        JoinVariant::Inner => false,
        JoinVariant::Semi | JoinVariant::Anti => side == 0,
    }
}

/// A row that a change was joined with.
struct Partner {
    /// Of the map, where rows are counted.
    map_key: RowBytes,
    row: RowBytes,
    times: i64,
    partners: i64,
}

impl JoinLogic {
    fn is_outer(&self, side: usize) -> bool {
        is_outer(self.kind, side)
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

    /// The rows of the other side that a row joins; those that are counted in the order of their
    /// bytes.
    fn partners(&self, side: usize, row: &[u8], core: &mut Core) -> FlowResult<Vec<Partner>> {
        let other = &self.sides[1 - side];
        let Some(table) = other.counted()? else {
            let rows: Vec<&[u8]> = other.rows(core)?.map(|(row, _)| row).collect();
            let matches = self.condition.matches(row, side == 0, &rows)?;
            let partners = rows.into_iter().zip(matches).filter(|(_, matches)| *matches);
            let partner = |(row, _): (&[u8], bool)| Partner {
                map_key: RowBytes::default(),
                row: row.into(),
                times: 1,
                partners: 0,
            };
            return Ok(partners.map(partner).collect());
        };
        let is_unique = other.unique.is_some();
        let entries = table.entries(&mut core.store).map_err(state_error)?;
        let mut found: BTreeMap<&RowBytes, &Kept> = BTreeMap::new();
        found.extend(entries);
        let rows: Vec<&[u8]> = found
            .iter()
            .map(|(key, kept)| if is_unique { kept.row.bytes() } else { key.bytes() })
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
        let Some(table) = self.sides[side].counted()? else { return Ok(()) };
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
                    self.push(RowKind::Delete, 1 - side, partner.row.bytes(), nulls[side].bytes());
                }
                self.push(out, side, row, partner.row.bytes());
                if !adds && self.is_outer(1 - side) && partner.partners <= 1 {
                    self.push(RowKind::Insert, 1 - side, partner.row.bytes(), nulls[side].bytes());
                }
            }
        }
        if partners.is_empty() && self.is_outer(side) {
            let kind = if adds { RowKind::Insert } else { RowKind::Delete };
            self.push(kind, side, row, nulls[1 - side].bytes());
        }
        if self.is_outer(1 - side) {
            self.count_partners(1 - side, &partners, if adds { 1 } else { -1 }, core)?;
        }
        Ok(count)
    }

    /// The pairs of rows of a batch that have the current key, to be given later. No row of this
    /// side changes what is there of the other one, so that a batch can meet it as a whole.
    fn pair_up(
        &mut self,
        side: usize,
        (batch, members): (&ChangelogBatch, &[u32]),
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let given = Some((side, &batch.rows));
        for (partner, times) in self.sides[1 - side].rows(core)? {
            let mut other = self.pairs.row(1 - side, partner);
            for member in members {
                let kind = batch.kind(*member as usize);
                for _ in 0..times {
                    if self.pairs.is_full() {
                        self.pairs.join(given)?.give(&self.schema, out)?;
                        other = self.pairs.row(1 - side, partner);
                    }
                    let (left, right) = if side == 0 { (*member, other) } else { (other, *member) };
                    self.pairs.push(kind, left, right);
                }
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
                    self.sink.push(kind, partner.row.bytes());
                }
            }
        }
        self.count_partners(0, partners, if adds { 1 } else { -1 }, core)
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
            side.open(name, core)?;
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
        let can_match = |row: u32| alone.as_ref().is_none_or(|alone| !alone[row as usize]);
        let of = |row: u32| {
            let row = row as usize;
            (unique.as_ref().map_or(rows.get(row), |unique| unique.get(row)), rows.get(row))
        };
        if self.kind == JoinVariant::Inner {
            let grouping = Grouping::of(&keys, batch.rows.num_rows())?;
            let by_key = batch.kinds.is_none().then(|| grouping.rows_by_group());
            let each: Vec<u32> = match by_key {
                None => (0..batch.rows.num_rows() as u32).collect(),
                Some(_) => Vec::new(),
            };
            // Rows of one key meet their partners together, unless the order among changes of several
            // keys counts.
            let turns = by_key.iter().flatten().map(Vec::as_slice).chain(each.chunks(1));
            for members in turns {
                let Some(first) = members.first().filter(|first| can_match(**first)) else {
                    continue;
                };
                let group = grouping.groups[*first as usize] as usize;
                core.store
                    .set_current_key(grouping.hashes[group], keys.get(*first as usize).into());
                self.pair_up(side, (&batch, members), core, out)?;
                if batch.kind(*first as usize).adds() {
                    self.sides[side].add(members.iter().map(|row| of(*row)), 0, core)?;
                } else {
                    self.sides[side].remove(of(*first).0, core)?;
                }
            }
            return self.pairs.join(Some((side, &batch.rows)))?.give(&self.schema, out);
        }
        for row in 0..batch.rows.num_rows() as u32 {
            let index = row as usize;
            let (key, kind) = (keys.get(index), batch.kind(index));
            core.set_key(key)?;
            let partners = self.join(side, kind, rows.get(index), can_match(row), core)?;
            // A row that never matches must be known only where it is to be taken back; the change
            // itself says all that is needed, so it is not kept.
            if can_match(row) && kind.adds() {
                self.sides[side].add(std::iter::once(of(row)), partners, core)?;
            } else if can_match(row) {
                self.sides[side].remove(of(row).0, core)?;
            }
            self.sink.flush_if_full(out)?;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}
