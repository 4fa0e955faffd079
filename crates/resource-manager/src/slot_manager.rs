//! The SlotManager: which slot goes to which job. Pure.
//!
//! Jobs declare how many slots they need in all; the manager gives them free slots until they have
//! that many, those of one TaskExecutor after the other. A slot is *pending* from the decision
//! until the TaskExecutor has answered.

use std::collections::BTreeMap;

use hurtig_cluster_api::{SlotId, SlotReport};
use hurtig_types::{AllocationId, JobId, ResourceId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    Free,
    Pending(AllocationId, JobId),
    Allocated(AllocationId, JobId),
}

/// A decision to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Ask the slot's TaskExecutor to give it to the job.
    Allocate {
        /// The slot.
        slot: SlotId,
        /// The job.
        job: JobId,
        /// The grant.
        allocation: AllocationId,
    },
    /// The job cannot have all the slots that it needs.
    NotEnough {
        /// The job.
        job: JobId,
        /// How many it has or is getting.
        available: u32,
    },
}

/// All slots of the cluster.
#[derive(Debug, Default)]
pub struct SlotManager {
    slots: BTreeMap<SlotId, SlotState>,
    /// In the order in which they registered.
    resources: Vec<ResourceId>,
    required: BTreeMap<JobId, u32>,
    seed: u64,
    grants: u64,
}

impl SlotManager {
    /// A manager without slots; `seed` makes its grants differ from those of another leader.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// A TaskExecutor has registered, or reports its slots.
    pub fn on_report(&mut self, resource: ResourceId, report: &SlotReport) -> Vec<Decision> {
        if !self.resources.contains(&resource) {
            self.resources.push(resource);
        }
        for status in &report.slots {
            let known = self.slots.get(&status.slot).copied();
            let state = match (status.allocated, known) {
                // The report was sent before the request has arrived.
                (None, Some(pending @ SlotState::Pending(..))) => pending,
                (None, _) => SlotState::Free,
                (Some((allocation, job)), _) => SlotState::Allocated(allocation, job),
            };
            self.slots.insert(status.slot, state);
        }
        self.decide()
    }

    /// A TaskExecutor is gone.
    pub fn on_lost(&mut self, resource: ResourceId) -> Vec<Decision> {
        self.resources.retain(|known| *known != resource);
        self.slots.retain(|slot, _| slot.resource != resource);
        self.decide()
    }

    /// A job declares how many slots it needs; 0 ends its claims.
    pub fn on_required(&mut self, job: JobId, slots: u32) -> Vec<Decision> {
        if slots == 0 {
            self.required.remove(&job);
        } else {
            self.required.insert(job, slots);
        }
        self.decide()
    }

    /// The TaskExecutor has accepted or refused a request.
    pub fn on_answer(
        &mut self,
        slot: SlotId,
        allocation: AllocationId,
        accepted: bool,
    ) -> Vec<Decision> {
        if let Some(state) = self.slots.get_mut(&slot)
            && let SlotState::Pending(pending, job) = *state
            && pending == allocation
        {
            *state = if accepted { SlotState::Allocated(allocation, job) } else { SlotState::Free };
        }
        // A refused slot is tried again with the next report, not at once: no busy loop.
        if accepted { self.decide() } else { Vec::new() }
    }

    /// A slot was freed.
    pub fn on_free(&mut self, slot: SlotId, allocation: AllocationId) -> Vec<Decision> {
        if let Some(state) = self.slots.get_mut(&slot)
            && let SlotState::Allocated(known, _) | SlotState::Pending(known, _) = *state
            && known == allocation
        {
            *state = SlotState::Free;
        }
        self.decide()
    }

    /// All slots and the free ones of a TaskExecutor.
    pub fn count(&self, resource: ResourceId) -> (u32, u32) {
        let slots = self.slots.iter().filter(|(slot, _)| slot.resource == resource);
        let free = slots.clone().filter(|(_, state)| **state == SlotState::Free).count();
        (slots.count() as u32, free as u32)
    }

    fn decide(&mut self) -> Vec<Decision> {
        let mut decisions = Vec::new();
        for (job, required) in &self.required {
            let is_of_job = |state: &&SlotState| matches!(state, SlotState::Pending(_, j) | SlotState::Allocated(_, j) if j == job);
            let mut has = self.slots.values().filter(is_of_job).count() as u32;
            for resource in &self.resources {
                if has >= *required {
                    break;
                }
                let first = SlotId { resource: *resource, index: 0 };
                let last = SlotId { resource: *resource, index: u32::MAX };
                for (slot, state) in self.slots.range_mut(first..=last) {
                    if has >= *required {
                        break;
                    }
                    if *state == SlotState::Free {
                        self.grants += 1;
                        let allocation =
                            AllocationId((u128::from(self.seed) << 64) | u128::from(self.grants));
                        *state = SlotState::Pending(allocation, *job);
                        has += 1;
                        decisions.push(Decision::Allocate { slot: *slot, job: *job, allocation });
                    }
                }
            }
            if has < *required {
                decisions.push(Decision::NotEnough { job: *job, available: has });
            }
        }
        decisions
    }
}

#[cfg(test)]
mod tests {
    use hurtig_cluster_api::SlotStatus;

    use super::*;

    fn report(resource: ResourceId, slots: u32) -> SlotReport {
        let status = |index| SlotStatus { slot: SlotId { resource, index }, allocated: None };
        SlotReport { slots: (0..slots).map(status).collect() }
    }

    fn allocated(decisions: &[Decision]) -> Vec<(SlotId, AllocationId)> {
        let allocate = |decision: &Decision| match decision {
            Decision::Allocate { slot, allocation, .. } => Some((*slot, *allocation)),
            Decision::NotEnough { .. } => None,
        };
        decisions.iter().filter_map(allocate).collect()
    }

    #[test]
    fn jobs_get_what_they_declared_as_slots_appear() {
        let (one, two, job) = (ResourceId(1), ResourceId(2), JobId(7));
        let mut manager = SlotManager::new(1);
        let not_enough = [Decision::NotEnough { job, available: 0 }];
        assert_eq!(manager.on_required(job, 3), not_enough);
        assert_eq!(allocated(&manager.on_report(one, &report(one, 2))).len(), 2);
        assert_eq!(allocated(&manager.on_report(two, &report(two, 2))).len(), 1);
        assert_eq!(manager.count(two), (2, 1));
        assert_eq!(allocated(&manager.on_lost(one)).len(), 1, "lost slots are replaced");
    }

    #[test]
    fn a_report_does_not_undo_a_pending_request() {
        let (one, job) = (ResourceId(1), JobId(7));
        let mut manager = SlotManager::new(1);
        manager.on_report(one, &report(one, 1));
        let (slot, allocation) = allocated(&manager.on_required(job, 1))[0];
        assert!(manager.on_report(one, &report(one, 1)).is_empty());
        assert!(manager.on_answer(slot, allocation, true).is_empty());
        manager.on_required(job, 0);
        assert_eq!(manager.count(one), (1, 0));
        manager.on_free(slot, allocation);
        assert_eq!(manager.count(one), (1, 1));
    }

    #[test]
    fn a_refused_slot_waits_for_the_next_report() {
        let (one, job) = (ResourceId(1), JobId(7));
        let mut manager = SlotManager::new(1);
        manager.on_report(one, &report(one, 1));
        let (slot, allocation) = allocated(&manager.on_required(job, 1))[0];
        assert!(manager.on_answer(slot, allocation, false).is_empty());
        assert_eq!(allocated(&manager.on_report(one, &report(one, 1))).len(), 1);
    }
}
