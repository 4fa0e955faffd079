//! Joins. Here is the regular one; those by time are in modules of their own.
//!
//! Of a regular join both inputs are kept, and each change of one is joined with what is there of the
//! other.
//!
//! What is kept of a side, as in Flink, depends on its unique key: one row per unique key (whatever
//! the row, the next one of that key replaces it), or rows with how often they are there. A row of
//! a side whose rows are also given without partner carries how many partners it has, so that the
//! one with NULLs can be taken back with the first partner and given again after the last. Of an input
//! that only inserts, rows that have none of this are a plain list.
//!
//! Rows whose key has NULL (where NULL equals nothing) have no partners and find none.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_types::{FlowError, FlowResult};

use crate::{
    config::{JoinVariant, RegularJoin},
    core::{Core, KeyedOperator, Logic},
    layout::Layout,
    rows::{Encoded, Grouping, RowCodec},
    sink::RowSink,
};

mod interval;
mod outer;
mod pairs;
mod side;
mod temporal;
mod window;

use pairs::Pairs;
use side::{Side, SideCodec};

fn not_open() -> FlowError {
    FlowError::internal("the operator was not opened")
}

struct JoinLogic {
    kind: JoinVariant,
    sides: [Side; 2],
    sink: RowSink,
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

/// A batch of one side, and what its rows are in state.
struct Turn<'a> {
    side: usize,
    batch: &'a ChangelogBatch,
    keys: Encoded,
    grouping: Grouping,
    rows: Encoded,
    unique: Option<Encoded>,
    alone: Option<Vec<bool>>,
}

impl<'a> Turn<'a> {
    fn new(side: usize, at: &Side, batch: &'a ChangelogBatch) -> FlowResult<Self> {
        let keys = at.codec.key.encode(&batch.rows)?;
        Ok(Self {
            side,
            batch,
            grouping: Grouping::of(&keys, batch.rows.num_rows())?,
            keys,
            rows: at.codec.row.encode(&batch.rows)?,
            unique: at.unique.as_ref().map(|codec| codec.encode(&batch.rows)).transpose()?,
            alone: at.codec.without_partner(&batch.rows),
        })
    }

    fn len(&self) -> u32 {
        self.batch.rows.num_rows() as u32
    }

    /// Makes the key of a row current.
    fn set_key(&self, row: u32, core: &mut Core) {
        let group = self.grouping.groups[row as usize] as usize;
        core.store.set_current_key(self.grouping.hashes[group], self.keys.get(row as usize).into());
    }

    fn row(&self, row: u32) -> &[u8] {
        self.rows.get(row as usize)
    }

    /// What a row is found by in the map.
    fn map_key(&self, row: u32) -> &[u8] {
        self.unique.as_ref().map_or_else(|| self.row(row), |unique| unique.get(row as usize))
    }

    fn kind(&self, row: u32) -> RowKind {
        self.batch.kind(row as usize)
    }

    fn can_match(&self, row: u32) -> bool {
        self.alone.as_ref().is_none_or(|alone| !alone[row as usize])
    }

    /// The numbers of a pair, left first.
    fn pair(&self, row: u32, other: u32) -> (u32, u32) {
        if self.side == 0 { (row, other) } else { (other, row) }
    }

    /// For [`Pairs::join`].
    fn given(&self) -> Option<(usize, &'a RecordBatch)> {
        Some((self.side, &self.batch.rows))
    }
}

impl JoinLogic {
    /// An inner join. Rows of one key meet their partners together, unless the order among changes of
    /// several keys counts.
    fn join_inner(&mut self, turn: &Turn<'_>, core: &mut Core, out: &mut dyn Output) -> FlowResult {
        let by_key = turn.batch.kinds.is_none().then(|| turn.grouping.rows_by_group());
        let each: Vec<u32> = if by_key.is_some() { Vec::new() } else { (0..turn.len()).collect() };
        let groups = by_key.iter().flatten().map(Vec::as_slice).chain(each.chunks(1));
        for members in groups {
            let Some(first) = members.first().filter(|first| turn.can_match(**first)) else {
                continue;
            };
            turn.set_key(*first, core);
            self.pair_up(turn, members, core, out)?;
            let side = &self.sides[turn.side];
            if turn.kind(*first).adds() {
                let rows = members.iter().map(|row| (turn.map_key(*row), turn.row(*row)));
                side.add(rows, 0, core)?;
            } else {
                side.remove(turn.map_key(*first), core)?;
            }
        }
        self.pairs.join(turn.given())?.give(&self.schema, out)
    }

    /// The pairs of rows of a batch that have the current key, to be given later. No row of this
    /// side changes what is there of the other one, so that a batch can meet it as a whole.
    fn pair_up(
        &mut self,
        turn: &Turn<'_>,
        members: &[u32],
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let theirs = 1 - turn.side;
        for (partner, times) in self.sides[theirs].rows(core)? {
            let mut other = self.pairs.row(theirs, partner);
            for member in members {
                for _ in 0..times {
                    if self.pairs.is_full() {
                        self.pairs.join(turn.given())?.give(&self.schema, out)?;
                        other = self.pairs.row(theirs, partner);
                    }
                    let (left, right) = turn.pair(*member, other);
                    self.pairs.push(turn.kind(*member), left, right);
                }
            }
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
        let turn = Turn::new(side, &self.sides[side], &batch)?;
        match self.kind {
            JoinVariant::Inner => self.join_inner(&turn, core, out),
            _ => self.join_outer(&turn, core, out),
        }
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}
