//! The slots of a job.
//!
//! Subtasks do not own physical slots: the subtasks with the same index of all vertices of a slot
//! sharing group share one. So a group needs as many slots as its widest vertex has subtasks, and
//! every slot holds a whole slice of the pipeline. Co-location holds by itself, since equal
//! indices share a slot.
//!
//! What a slot serves it goes on serving as long as the job has it, also across restarts, since
//! the TaskExecutor keeps local copies of state by slot. A slot that was believed lost and is
//! offered again serves what it did before, if nothing else does by now.

use std::collections::BTreeMap;

use hurtig_cluster_api::{PeerAddress, SlotOffer};
use hurtig_graph::JobGraph;
use hurtig_types::{AllocationId, ResourceId};

/// A slot that subtasks share: a slot sharing group and an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharedSlotId {
    /// The group.
    pub group: String,
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

/// All slots of a job and what they serve.
#[derive(Clone, Debug, Default)]
pub struct SlotPool {
    slots: BTreeMap<AllocationId, PhysicalSlot>,
    serves: BTreeMap<SharedSlotId, Option<AllocationId>>,
    /// The last grant that each has had.
    served_before: BTreeMap<SharedSlotId, AllocationId>,
}

impl SlotPool {
    /// A pool with the needs of a graph and no slot yet.
    pub fn new(graph: &JobGraph) -> Self {
        let mut serves = BTreeMap::new();
        for vertex in &graph.vertices {
            for index in 0..vertex.parallelism {
                let group = vertex.slot_sharing_group.clone();
                serves.insert(SharedSlotId { group, index }, None);
            }
        }
        Self { slots: BTreeMap::new(), serves, served_before: BTreeMap::new() }
    }

    /// Number of slots that the job needs.
    pub fn required(&self) -> usize {
        self.serves.len()
    }

    /// Number of slots that are still missing.
    pub fn missing(&self) -> usize {
        self.serves.values().filter(|slot| slot.is_none()).count()
    }

    /// A slot is offered. True if the job takes it: it needs it, or has it already.
    pub fn offer(&mut self, slot: PhysicalSlot) -> bool {
        let allocation = slot.offer.allocation;
        if self.slots.contains_key(&allocation) {
            return true;
        }
        let free = || self.serves.iter().filter(|(_, served)| served.is_none()).map(|(id, _)| id);
        let before = |id: &&SharedSlotId| self.served_before.get(*id) == Some(&allocation);
        // One that has never had a slot leaves to the others what they had.
        let new = |id: &&SharedSlotId| !self.served_before.contains_key(*id);
        let chosen = free().find(before).or_else(|| free().find(new)).or_else(|| free().next());
        let Some(chosen) = chosen.cloned() else { return false };
        self.served_before.insert(chosen.clone(), allocation);
        self.serves.insert(chosen, Some(allocation));
        self.slots.insert(allocation, slot);
        true
    }

    /// A slot of an earlier JobMaster goes on serving what it did. False if that is served by
    /// another, or the job has no need of it.
    pub fn adopt(&mut self, id: SharedSlotId, slot: PhysicalSlot) -> bool {
        let allocation = slot.offer.allocation;
        match self.serves.get_mut(&id) {
            Some(served @ None) if !self.slots.contains_key(&allocation) => {
                *served = Some(allocation);
                self.served_before.insert(id, allocation);
                self.slots.insert(allocation, slot);
                true
            }
            Some(served) => *served == Some(allocation),
            None => false,
        }
    }

    /// A slot is lost. True if the job had it.
    pub fn lose(&mut self, allocation: AllocationId) -> bool {
        for served in self.serves.values_mut() {
            if *served == Some(allocation) {
                *served = None;
            }
        }
        self.slots.remove(&allocation).is_some()
    }

    /// The grants on one TaskExecutor.
    pub fn on_resource(&self, resource: ResourceId) -> Vec<AllocationId> {
        let slots = self.slots.values().filter(|slot| slot.offer.slot.resource == resource);
        slots.map(|slot| slot.offer.allocation).collect()
    }

    /// The slot of subtasks with that index in that group.
    pub fn slot_for(&self, group: &str, index: u32) -> Option<&PhysicalSlot> {
        let id = SharedSlotId { group: group.to_owned(), index };
        let allocation = self.serves.get(&id)?.as_ref()?;
        self.slots.get(allocation)
    }

    /// A slot by its grant.
    pub fn slot(&self, allocation: AllocationId) -> Option<&PhysicalSlot> {
        self.slots.get(&allocation)
    }

    /// All slots.
    pub fn slots(&self) -> impl Iterator<Item = &PhysicalSlot> {
        self.slots.values()
    }
}

#[cfg(test)]
mod tests {
    use hurtig_cluster_api::SlotId;
    use proptest::prelude::*;

    use super::*;

    fn pool(slots: u32) -> SlotPool {
        let id = |index| SharedSlotId { group: "default".to_owned(), index };
        let serves = (0..slots).map(|index| (id(index), None)).collect();
        SlotPool { slots: BTreeMap::new(), serves, served_before: BTreeMap::new() }
    }

    fn slot(allocation: u128) -> PhysicalSlot {
        let resource = ResourceId(1);
        let allocation = AllocationId(allocation);
        PhysicalSlot {
            offer: SlotOffer { allocation, slot: SlotId { resource, index: 0 } },
            data_address: PeerAddress { resource, address: "here".into() },
        }
    }

    fn grants(pool: &SlotPool) -> Vec<Option<u128>> {
        pool.serves.values().map(|served| served.map(|allocation| allocation.0)).collect()
    }

    #[test]
    fn a_slot_that_comes_back_serves_what_it_did_before() {
        let mut pool = pool(3);
        assert!([1, 2, 3].into_iter().all(|allocation| pool.offer(slot(allocation))));
        for allocation in [1, 2, 3] {
            assert!(pool.lose(AllocationId(allocation)));
        }
        assert!(pool.offer(slot(3)) && pool.offer(slot(1)));
        assert_eq!(grants(&pool), [Some(1), None, Some(3)]);
        // Another takes the place of the one that stays away.
        assert!(pool.offer(slot(4)));
        assert!(!pool.offer(slot(2)));
        assert_eq!(grants(&pool), [Some(1), Some(4), Some(3)]);
    }

    #[test]
    fn a_new_slot_goes_where_there_never_was_one() {
        let mut pool = pool(2);
        assert!(pool.offer(slot(1)));
        assert!(pool.lose(AllocationId(1)));
        assert!(pool.offer(slot(2)));
        assert_eq!(grants(&pool), [None, Some(2)]);
        assert!(pool.offer(slot(1)));
        assert_eq!(grants(&pool), [Some(1), Some(2)]);
    }

    proptest! {
        /// Whatever is offered and lost: what has a slot keeps it until that is lost, and a slot is
        /// refused only if none is missing.
        #[test]
        fn what_has_a_slot_keeps_it(events in prop::collection::vec((any::<bool>(), 0u128..6), 0..40)) {
            let mut pool = pool(4);
            for (offered, allocation) in events {
                let before = grants(&pool);
                if offered {
                    let (known, full) = (before.contains(&Some(allocation)), pool.missing() == 0);
                    prop_assert_eq!(pool.offer(slot(allocation)), known || !full);
                    let kept = before.iter().zip(grants(&pool)).all(|(b, a)| b.is_none() || *b == a);
                    prop_assert!(kept);
                } else {
                    pool.lose(AllocationId(allocation));
                    let left = before.iter().map(|b| b.filter(|b| *b != allocation));
                    prop_assert!(left.eq(grants(&pool)));
                }
            }
        }
    }
}
