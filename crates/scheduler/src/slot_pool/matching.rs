//! Which shared slot a slot is to serve: the one that it served before, else one that was served
//! from the same TaskExecutor, else one that never had a slot (it leaves to the others what they
//! had), else any. Among equals, the first.

use std::collections::{BTreeMap, BTreeSet};

use hurtig_types::{AllocationId, ResourceId};

use super::SharedSlotId;

/// A slot that serves or has served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The grant.
    pub allocation: AllocationId,
    /// The TaskExecutor.
    pub resource: ResourceId,
}

/// Shared slots that wait for a slot. Every choice costs the logarithm of their number.
#[derive(Clone, Debug, Default)]
pub struct Unserved {
    all: BTreeSet<SharedSlotId>,
    new: BTreeSet<SharedSlotId>,
    by_allocation: BTreeMap<AllocationId, SharedSlotId>,
    by_resource: BTreeMap<ResourceId, BTreeSet<SharedSlotId>>,
}

impl Unserved {
    /// Number of shared slots that wait.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True if none waits.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// One more waits, which was served before by that slot.
    pub fn insert(&mut self, id: SharedSlotId, before: Option<Served>) {
        self.all.insert(id);
        match before {
            None => {
                self.new.insert(id);
            }
            Some(Served { allocation, resource }) => {
                self.by_allocation.insert(allocation, id);
                self.by_resource.entry(resource).or_default().insert(id);
            }
        }
    }

    /// It waits no longer.
    pub fn remove(&mut self, id: SharedSlotId, before: Option<Served>) {
        self.all.remove(&id);
        self.new.remove(&id);
        let Some(Served { allocation, resource }) = before else { return };
        if self.by_allocation.get(&allocation) == Some(&id) {
            self.by_allocation.remove(&allocation);
        }
        if let Some(of_resource) = self.by_resource.get_mut(&resource) {
            of_resource.remove(&id);
            if of_resource.is_empty() {
                self.by_resource.remove(&resource);
            }
        }
    }

    /// What that slot served before.
    pub fn by_allocation(&self, allocation: AllocationId) -> Option<SharedSlotId> {
        self.by_allocation.get(&allocation).copied()
    }

    /// What was served from that TaskExecutor before.
    pub fn by_resource(&self, resource: ResourceId) -> Option<SharedSlotId> {
        self.by_resource.get(&resource).and_then(|of_resource| of_resource.first()).copied()
    }

    /// The best for any slot.
    pub fn any(&self) -> Option<SharedSlotId> {
        self.new.first().or_else(|| self.all.first()).copied()
    }

    /// All that wait, the best for any slot first.
    pub fn in_order(&self) -> Vec<SharedSlotId> {
        let rest = self.all.difference(&self.new);
        self.new.iter().chain(rest).copied().collect()
    }

    /// The best for that slot.
    pub fn choose(&self, slot: Served) -> Option<SharedSlotId> {
        let same = self.by_allocation(slot.allocation);
        same.or_else(|| self.by_resource(slot.resource)).or_else(|| self.any())
    }
}
