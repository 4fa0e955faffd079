//! The values of DISTINCT calls.

use std::time::Duration;

use hurtig_state_heap::MapState;
use hurtig_types::{FlowError, FlowResult};
use smallvec::SmallVec;

use super::{Group, GroupLogic};
use crate::{
    core::{Core, descriptor},
    rows::{Encoded, Grouping, RowBytes, state_error},
    small::Small,
};

/// How often a value is there for each call of a set of DISTINCT ones.
type Counts = Small<[i64; 4]>;

/// How the values of sets of DISTINCT calls are kept.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// With how often they are there for each call.
    Counted(MapState<RowBytes, Counts>),
    /// Where none ever goes: for which calls they are there, as bits.
    Seen(MapState<RowBytes, u64>),
}

/// A value that a row has for some calls of a set.
pub(super) struct Seen<'a> {
    pub(super) group: u32,
    pub(super) value: &'a [u8],
    /// Bits: the calls.
    pub(super) calls: u64,
    /// How often it comes, or goes.
    pub(super) by: i64,
}

/// What came or went for a call.
#[derive(Default)]
struct Changed<'a> {
    groups: Vec<u32>,
    values: Vec<&'a [u8]>,
    retracts: Vec<bool>,
}

/// A value comes for calls; what is new to some of them is a change.
fn note_seen<'a>(known: &mut u64, one: &Seen<'a>, changed: &mut [Changed<'a>]) {
    let mut new = one.calls & !*known;
    *known |= one.calls;
    while new != 0 {
        let changed = &mut changed[new.trailing_zeros() as usize];
        new &= new - 1;
        changed.groups.push(one.group);
        changed.values.push(one.value);
        changed.retracts.push(false);
    }
}

impl Values {
    /// Registers the state of a set.
    pub(super) fn open(
        name: &str,
        insert_only: bool,
        ttl: Option<Duration>,
        core: &mut Core,
    ) -> FlowResult<Self> {
        Ok(if insert_only {
            let values = descriptor!(MapStateDescriptor, name, ttl);
            Self::Seen(core.store.map_state(&values).map_err(state_error)?)
        } else {
            let values = descriptor!(MapStateDescriptor, name, ttl);
            Self::Counted(core.store.map_state(&values).map_err(state_error)?)
        })
    }

    /// Forgets the values of the current group.
    pub(super) fn clear(&self, core: &mut Core) -> FlowResult {
        match self {
            Self::Counted(values) => drop(values.clear(&mut core.store).map_err(state_error)?),
            Self::Seen(values) => drop(values.clear(&mut core.store).map_err(state_error)?),
        }
        Ok(())
    }
}

impl GroupLogic {
    /// Counts the values of a set of DISTINCT calls and adds what is new to their results, takes what
    /// is gone. What a group has comes one behind the other.
    pub(super) fn update_distinct<'a>(
        &self,
        set: usize,
        groups: &mut [Group],
        seen: impl Iterator<Item = Seen<'a>>,
        (keys, grouping): (&Encoded, &Grouping),
        core: &mut Core,
    ) -> FlowResult {
        let calls = &self.aggregates.sets[set].calls;
        let mut changed: Vec<Changed<'a>> = calls.iter().map(|_| Changed::default()).collect();
        let mut seen = seen.peekable();
        let counts = match self.states()?.distinct[set] {
            Values::Counted(counts) => counts,
            Values::Seen(state) => {
                while let Some(first) = seen.peek() {
                    let group = first.group;
                    self.make_current(group, (keys, grouping), core);
                    let of_group = std::iter::from_fn(|| seen.next_if(|one| one.group == group));
                    let values = of_group.map(|one| (one.value.into(), one));
                    let note = |known: &mut u64, one: Seen<'a>| {
                        note_seen(known, &one, &mut changed);
                    };
                    state.update_each(&mut core.store, values, || 0, note).map_err(state_error)?;
                }
                return self.add_changed(calls, changed, groups);
            }
        };
        let mut current = None;
        for Seen { group, value, calls: mut which, by } in seen {
            if current != Some(group) {
                current = Some(group);
                self.make_current(group, (keys, grouping), core);
            }
            let known = counts.get_mut(&mut core.store, value).map_err(state_error)?;
            let mut fresh = None;
            let known = match known {
                Some(known) => known,
                None => fresh.insert(Small(SmallVec::from_elem(0, calls.len()))),
            };
            if known.len() != calls.len() {
                return Err(FlowError::internal("the counts of values are those of other calls"));
            }
            while which != 0 {
                let call = which.trailing_zeros() as usize;
                which &= which - 1;
                let before = known[call];
                let after = before + by;
                known[call] = after;
                if (before > 0) != (after > 0) {
                    let changed = &mut changed[call];
                    changed.groups.push(group);
                    changed.values.push(value);
                    changed.retracts.push(after <= 0);
                }
            }
            let is_gone = known.iter().all(|count| *count == 0);
            match fresh {
                Some(fresh) if !is_gone => {
                    counts.put(&mut core.store, value.into(), fresh).map_err(state_error)?;
                }
                None if is_gone => {
                    counts.remove(&mut core.store, value).map_err(state_error)?;
                }
                _ => {}
            }
        }
        self.add_changed(calls, changed, groups)
    }

    fn make_current(&self, group: u32, (keys, grouping): (&Encoded, &Grouping), core: &mut Core) {
        let (first, hash) = (grouping.first[group as usize], grouping.hashes[group as usize]);
        core.store.set_current_key(hash, keys.get(first as usize).into());
    }

    /// Adds to the results of DISTINCT calls what has come, takes what has gone.
    fn add_changed(
        &self,
        calls: &[usize],
        changed: Vec<Changed<'_>>,
        groups: &mut [Group],
    ) -> FlowResult {
        for (call, Changed { groups: at, values, retracts }) in calls.iter().zip(changed) {
            let taken = groups.iter_mut().map(|group| std::mem::take(&mut group.states[*call]));
            let mut states: Vec<_> = taken.collect();
            self.aggregates.add_distinct_values(*call, &mut states, &at, &values, &retracts)?;
            for (group, state) in groups.iter_mut().zip(states) {
                group.states[*call] = state;
            }
        }
        Ok(())
    }
}
