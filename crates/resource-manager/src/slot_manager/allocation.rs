//! Which free slot goes to which job: jobs in the order in which they came, slots of one
//! TaskExecutor after the other, or of the one that is used least or most.

use std::{cmp::Reverse, collections::BinaryHeap};

use hurtig_cluster_api::SlotId;
use hurtig_types::{AllocationId, JobId, ResourceId};

use super::{LoadBalance, SlotCommand, SlotManager, SlotState};

/// All there is, in the parts in which shares are counted.
const ALL: u64 = 1_000_000;

/// A share in millionths, so that shares can be compared.
fn share(used: u32, all: usize) -> u64 {
    u64::from(used) * ALL / all.max(1) as u64
}

impl SlotManager {
    pub(super) fn allocate(&mut self, now_ms: i64) {
        let lacks = |manager: &Self, index: usize| {
            let required = &manager.required[index];
            let given = manager.given.get(&required.job).copied().unwrap_or(0);
            required.slots.saturating_sub(given)
        };
        if (0..self.required.len()).all(|index| lacks(self, index) == 0) {
            return;
        }
        // The best TaskExecutor first; each goes back with its new share.
        let mode = self.config.load_balance;
        let place = |manager: &Self, id: ResourceId| {
            let resource = manager.resources.get(&id)?;
            let share = share(resource.used, resource.slots.len());
            let rank = match mode {
                LoadBalance::None => 0,
                LoadBalance::MinResources => ALL.saturating_sub(share),
                LoadBalance::Slots => share,
            };
            (resource.available > 0).then_some(Reverse((rank, resource.order, id)))
        };
        let ids = self.resources.keys().copied();
        let mut places: BinaryHeap<_> = ids.filter_map(|id| place(self, id)).collect();
        for index in 0..self.required.len() {
            let job = self.required[index].job;
            for _ in 0..lacks(self, index) {
                let Some(Reverse((_, _, resource))) = places.pop() else { return };
                self.request(resource, job, now_ms);
                places.extend(place(self, resource));
            }
        }
    }

    fn request(&mut self, resource: ResourceId, job: JobId, now_ms: i64) {
        let Some(known) = self.resources.get(&resource) else { return };
        let free = known.slots.iter().position(|state| *state == SlotState::FREE);
        let Some(index) = free else { return };
        let slot = SlotId { resource, index: index as u32 };
        self.grants += 1;
        let allocation = AllocationId((u128::from(self.seed) << 64) | u128::from(self.grants));
        self.set(slot, SlotState::Pending { allocation, job, since_ms: now_ms }, now_ms);
        self.commands.push(SlotCommand::Allocate { slot, job, allocation });
    }
}
