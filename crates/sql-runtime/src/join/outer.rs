//! Regular joins that also give rows for having no partner, or for having one.
//!
//! What a row gives depends on how many partners the rows of the other side have by then, so changes are
//! taken one after the other; the condition is evaluated over the pairs of many.

use hurtig_operator_api::Output;
use hurtig_sql_common::RowKind;
use hurtig_types::FlowResult;

use super::{JoinLogic, JoinVariant, Turn, is_outer};
use crate::{
    core::Core,
    rows::{RowBytes, state_error},
};

/// A row that a change may be joined with.
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

    /// Rows of a batch meet those of the other side, which they do not change.
    pub(super) fn join_outer(
        &mut self,
        turn: &Turn<'_>,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let mut waiting = Vec::new();
        for row in 0..turn.len() {
            turn.set_key(row, core);
            let candidates =
                if turn.can_match(row) { self.candidates(turn.side, core)? } else { Vec::new() };
            if !self.pairs.has_condition() {
                self.settle_row(turn, row, &candidates, core, out)?;
                continue;
            }
            for candidate in &candidates {
                let other = self.pairs.row(1 - turn.side, candidate.row.bytes());
                let (left, right) = turn.pair(row, other);
                self.pairs.push(turn.kind(row), left, right);
            }
            waiting.push((row, candidates));
            if self.pairs.is_full() {
                self.settle(turn, std::mem::take(&mut waiting), core, out)?;
            }
        }
        self.settle(turn, waiting, core, out)
    }

    /// The rows of the other side that have the current key; those that are counted in the order of
    /// their bytes.
    fn candidates(&self, side: usize, core: &mut Core) -> FlowResult<Vec<Partner>> {
        let other = &self.sides[1 - side];
        let Some(table) = other.counted()? else {
            let partner = |(row, times): (&[u8], i64)| Partner {
                map_key: RowBytes::default(),
                row: row.into(),
                times,
                partners: 0,
            };
            return Ok(other.rows(core)?.map(partner).collect());
        };
        let is_unique = other.unique.is_some();
        let entries = table.entries(&mut core.store).map_err(state_error)?;
        let partner = |(key, kept): (&RowBytes, &super::side::Kept)| Partner {
            map_key: key.clone(),
            row: if is_unique { kept.row.clone() } else { key.clone() },
            times: kept.times,
            partners: kept.partners,
        };
        let mut found: Vec<Partner> = entries.map(partner).collect();
        found.sort_by(|one, other| one.map_key.cmp(&other.map_key));
        Ok(found)
    }

    /// Takes changes whose candidates are known, one after the other.
    fn settle(
        &mut self,
        turn: &Turn<'_>,
        waiting: Vec<(u32, Vec<Partner>)>,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let holds: Vec<bool> = match self.pairs.is_empty() {
            true => Vec::new(),
            false => self.pairs.join(turn.given())?.holds().collect(),
        };
        let mut holds = holds.into_iter();
        for (row, mut partners) in waiting {
            turn.set_key(row, core);
            partners.retain(|_| holds.next().unwrap_or(false));
            self.refresh(1 - turn.side, &mut partners, core)?;
            self.settle_row(turn, row, &partners, core, out)?;
        }
        Ok(())
    }

    /// Takes one change, whose key is current.
    fn settle_row(
        &mut self,
        turn: &Turn<'_>,
        row: u32,
        partners: &[Partner],
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let kind = turn.kind(row);
        let count = self.join_row(turn.side, kind, turn.row(row), partners, core)?;
        // A row that never matches must be known only where it is to be taken back; the change
        // itself says all that is needed, so it is not kept.
        if turn.can_match(row) && kind.adds() {
            let rows = std::iter::once((turn.map_key(row), turn.row(row)));
            self.sides[turn.side].add(rows, count, core)?;
        } else if turn.can_match(row) {
            self.sides[turn.side].remove(turn.map_key(row), core)?;
        }
        self.sink.flush_if_full(out)
    }

    /// How many partners rows have by now: changes of the same batch have met them since.
    fn refresh(&self, side: usize, partners: &mut [Partner], core: &mut Core) -> FlowResult {
        if !self.is_outer(side) {
            return Ok(());
        }
        let Some(table) = self.sides[side].counted()? else { return Ok(()) };
        for partner in partners {
            let kept = table.get(&mut core.store, partner.map_key.bytes()).map_err(state_error)?;
            partner.partners = kept.map_or(partner.partners, |kept| kept.partners);
        }
        Ok(())
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
    fn join_row(
        &mut self,
        side: usize,
        kind: RowKind,
        row: &[u8],
        partners: &[Partner],
        core: &mut Core,
    ) -> FlowResult<i64> {
        let adds = kind.adds();
        let count: i64 = partners.iter().map(|partner| partner.times).sum();
        if self.is_filter() {
            self.join_filter(side, kind, row, partners, core)?;
            return Ok(count);
        }
        // Nothing is known of what was there before an update: as Flink, joined rows are inserted and
        // deleted. (An inner join passes the kind on; it does not come here.)
        let out = if adds { RowKind::Insert } else { RowKind::Delete };
        let nulls = [self.sides[0].null.clone(), self.sides[1].null.clone()];
        for partner in partners {
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
            self.count_partners(1 - side, partners, if adds { 1 } else { -1 }, core)?;
        }
        Ok(count)
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
