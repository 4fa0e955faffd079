//! The slots of a job.
//!
//! Subtasks do not own physical slots: one of each vertex of a slot sharing group share one
//! ([`placement`]). So a group needs as many slots as its widest vertex has subtasks.
//!
//! # Life of a slot
//!
//! 1. It is *offered*. The pool takes as many as the job has declared, and refuses the rest.
//! 2. It *serves* a shared slot, or is *free*: spare slots of an elastic job wait for the next
//!    change of its parallelism.
//! 3. When all subtasks that it serves have finished, or when nobody needs it, it is idle, and
//!    after `slot.idle.timeout` it is returned.
//! 4. It is *lost*.
//!
//! What a slot serves it goes on serving as long as the job has it, also across restarts, since
//! the TaskExecutor keeps local copies of state by slot. A slot that was believed lost and is
//! offered again serves what it did before, if nothing else does by now; failing that, a slot of
//! the same TaskExecutor is taken, which may read those copies, too ([`matching`]).
//!
//! To balance tasks, the slots must be known before it is decided what they serve: then all that
//! the job lacks are waited for, and those with many tasks go to TaskExecutors that have few.

mod arrange;
pub mod matching;
pub mod placement;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use hurtig_cluster_api::{PeerAddress, SlotOffer};
use hurtig_graph::JobGraph;
use hurtig_types::{AllocationId, ResourceId};

use matching::{Served, Unserved};
use placement::Placement;

/// A slot that subtasks share: position of the slot sharing group, and index in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharedSlotId {
    /// The group.
    pub group: u32,
    /// The index of the subtasks in it.
    pub index: u32,
}

/// A slot that a TaskExecutor has given to the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalSlot {
    /// The TaskExecutor and the grant.
    pub offer: SlotOffer,
    /// Where its data plane is reached.
    pub data_address: PeerAddress,
}

#[derive(Clone, Debug)]
struct Pooled {
    slot: PhysicalSlot,
    serves: Option<SharedSlotId>,
    /// Since when nobody needs it.
    idle_since_ms: Option<i64>,
}

#[derive(Clone, Debug, Default)]
struct Shared {
    slot: Option<AllocationId>,
    /// Who served it last.
    before: Option<Served>,
    /// All subtasks that share it.
    tasks: u32,
    /// Subtasks that have not finished.
    unfinished: u32,
    /// It was given up, because all subtasks had finished.
    given_up: bool,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// The job does not need it.
    Refused,
    /// The job has it already.
    Known,
    /// The job has taken it, and it waits.
    Free,
    /// The job has taken it for that shared slot.
    Serves(SharedSlotId),
}

/// All slots of a job and what they serve.
#[derive(Clone, Debug, Default)]
pub struct SlotPool {
    slots: BTreeMap<AllocationId, Pooled>,
    by_resource: BTreeMap<ResourceId, BTreeSet<AllocationId>>,
    /// Names of the groups, and the shared slots of each by index.
    groups: Vec<(String, Vec<Shared>)>,
    placement: Placement,
    /// TaskExecutors are to have equal numbers of tasks.
    balance_tasks: bool,
    unserved: Unserved,
    /// How many slots the job wants to have.
    target: usize,
    /// Slots are only collected: what they serve is decided when there are enough.
    collecting: bool,
}

impl SlotPool {
    /// A pool with the needs of a graph and no slot yet.
    pub fn new(graph: &JobGraph) -> Self {
        let mut pool = Self::default();
        pool.lay_out(graph);
        pool.target = pool.unserved.len();
        pool
    }

    /// Number of slots that the job wants to have.
    pub fn required(&self) -> usize {
        self.target
    }

    /// Number of slots that the job has.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True if the job has no slot.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Number of slots that are still missing.
    pub fn missing(&self) -> usize {
        self.target.saturating_sub(self.slots.len())
    }

    /// A slot is offered.
    pub fn offer(&mut self, slot: PhysicalSlot, now_ms: i64) -> Offered {
        let SlotOffer { allocation, slot: id } = slot.offer;
        if self.slots.contains_key(&allocation) {
            return Offered::Known;
        }
        if self.slots.len() >= self.target {
            return Offered::Refused;
        }
        let by = Served { allocation, resource: id.resource };
        let at_once = !self.collecting && !self.balance_tasks;
        let serves = if at_once { self.unserved.choose(by) } else { None };
        self.by_resource.entry(id.resource).or_default().insert(allocation);
        let idle_since_ms = serves.is_none().then_some(now_ms);
        self.slots.insert(allocation, Pooled { slot, serves: None, idle_since_ms });
        match serves {
            Some(shared) => {
                self.serve(shared, by);
                Offered::Serves(shared)
            }
            None => Offered::Free,
        }
    }

    /// A slot of an earlier JobMaster goes on serving what it did. True if it serves that now, which
    /// nobody did before.
    pub fn adopt(&mut self, id: SharedSlotId, slot: PhysicalSlot) -> bool {
        let SlotOffer { allocation, slot: at } = slot.offer;
        let is_free = self.shared(id).is_some_and(|shared| shared.slot.is_none());
        if !is_free || self.slots.contains_key(&allocation) {
            return false;
        }
        self.by_resource.entry(at.resource).or_default().insert(allocation);
        self.slots.insert(allocation, Pooled { slot, serves: None, idle_since_ms: None });
        self.serve(id, Served { allocation, resource: at.resource });
        true
    }

    fn serve(&mut self, id: SharedSlotId, by: Served) {
        if let Some(shared) = self.shared_mut(id) {
            let before = shared.before.replace(by);
            shared.slot = Some(by.allocation);
            self.unserved.remove(id, before);
        }
        if let Some(pooled) = self.slots.get_mut(&by.allocation) {
            pooled.serves = Some(id);
            pooled.idle_since_ms = None;
        }
    }

    /// A slot is lost or returned. Tells what it served, if the job had it.
    pub fn lose(&mut self, allocation: AllocationId) -> Option<Option<SharedSlotId>> {
        let lost = self.slots.remove(&allocation)?;
        let resource = lost.slot.offer.slot.resource;
        if let Some(of_resource) = self.by_resource.get_mut(&resource) {
            of_resource.remove(&allocation);
            if of_resource.is_empty() {
                self.by_resource.remove(&resource);
            }
        }
        if let Some(id) = lost.serves
            && let Some(shared) = self.shared_mut(id)
        {
            shared.slot = None;
            let (before, needed) = (shared.before, shared.unfinished > 0);
            if needed {
                self.unserved.insert(id, before);
            } else if !std::mem::replace(&mut shared.given_up, true) {
                self.target -= 1;
            }
        }
        Some(lost.serves)
    }

    /// The grants on one TaskExecutor.
    pub fn on_resource(&self, resource: ResourceId) -> Vec<AllocationId> {
        self.by_resource.get(&resource).into_iter().flatten().copied().collect()
    }

    /// The shared slot of a subtask of the vertex at that position.
    pub fn shared_of(&self, vertex: usize, subtask: u32) -> Option<SharedSlotId> {
        self.placement.shared_of(vertex, subtask)
    }

    /// The slot of a subtask of the vertex at that position.
    pub fn slot_for(&self, vertex: usize, subtask: u32) -> Option<&PhysicalSlot> {
        let shared = self.shared(self.shared_of(vertex, subtask)?)?;
        self.slot(shared.slot?)
    }

    /// True if there is a slot for it.
    pub fn is_served(&self, id: SharedSlotId) -> bool {
        self.shared(id).is_some_and(|shared| shared.slot.is_some())
    }

    /// A slot by its grant.
    pub fn slot(&self, allocation: AllocationId) -> Option<&PhysicalSlot> {
        self.slots.get(&allocation).map(|pooled| &pooled.slot)
    }

    /// All slots.
    pub fn slots(&self) -> impl Iterator<Item = &PhysicalSlot> {
        self.slots.values().map(|pooled| &pooled.slot)
    }

    /// Groups by name, with their shared slots.
    pub fn groups(&self) -> impl Iterator<Item = (&str, usize)> {
        self.groups.iter().map(|(name, shared)| (name.as_str(), shared.len()))
    }

    fn shared(&self, id: SharedSlotId) -> Option<&Shared> {
        self.groups.get(id.group as usize)?.1.get(id.index as usize)
    }

    fn shared_mut(&mut self, id: SharedSlotId) -> Option<&mut Shared> {
        self.groups.get_mut(id.group as usize)?.1.get_mut(id.index as usize)
    }

    /// A subtask has finished. True if that made its slot idle.
    pub fn on_finished(&mut self, id: SharedSlotId, now_ms: i64) -> bool {
        let Some(shared) = self.shared_mut(id) else { return false };
        shared.unfinished = shared.unfinished.saturating_sub(1);
        let (done, slot) = (shared.unfinished == 0, shared.slot);
        match slot.and_then(|allocation| self.slots.get_mut(&allocation)) {
            Some(pooled) if done => {
                pooled.idle_since_ms = Some(now_ms);
                true
            }
            _ => false,
        }
    }

    /// A subtask that had finished starts over. True if the job needs one slot more for it.
    pub fn on_started_over(&mut self, id: SharedSlotId) -> bool {
        let Some(shared) = self.shared_mut(id) else { return false };
        shared.unfinished += 1;
        let (given_up, slot, before) = (shared.given_up, shared.slot, shared.before);
        shared.given_up = false;
        if given_up {
            self.target += 1;
            self.unserved.insert(id, before);
        }
        if let Some(pooled) = slot.and_then(|allocation| self.slots.get_mut(&allocation)) {
            pooled.idle_since_ms = None;
        }
        given_up
    }

    /// Gives up slots that nobody has needed for that long; they are no longer the job's. Slots
    /// that an elastic job has declared are kept: it may need them soon.
    pub fn expire_idle(&mut self, now_ms: i64, timeout_ms: u64) -> Vec<SlotOffer> {
        let due = |pooled: &Pooled| {
            pooled.idle_since_ms.is_some_and(|at| now_ms >= at.saturating_add_unsigned(timeout_ms))
        };
        let idle: Vec<_> = self.slots.values().filter(|pooled| due(pooled)).cloned().collect();
        let mut returned = Vec::new();
        for Pooled { slot, serves, .. } in idle {
            match serves {
                // It has nothing left to do, and goes with its place.
                Some(_) => {}
                None if self.slots.len() > self.target => {}
                None => continue,
            }
            self.lose(slot.offer.allocation);
            returned.push(slot.offer);
        }
        returned
    }

    /// True if a slot is idle that may be given up.
    pub fn has_idle(&self) -> bool {
        let surplus = self.slots.len() > self.target;
        let idle = |p: &Pooled| p.idle_since_ms.is_some() && (surplus || p.serves.is_some());
        self.slots.values().any(idle)
    }
}
