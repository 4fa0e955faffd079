//! The TaskSlotTable: the slots of a TaskExecutor. Pure.
//!
//! ```text
//! free --allocate--> allocated --activate--> active --free--> releasing --(last task ends)--> free
//!   ^                   |                       |
//!   +---- timeout ------+                       +--- free, no task left ---> free
//! ```
//! A slot is *allocated* from the ResourceManager's request until the JobMaster has accepted it;
//! if it does not within the timeout, the slot is free again.

use std::collections::BTreeSet;

use hurtig_cluster_api::{SlotId, SlotOffer, SlotReport, SlotStatus};
use hurtig_types::{AllocationId, ExecutionAttemptId, JobId, ResourceId};

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Free,
    Allocated { until_ms: i64 },
    Active,
    Releasing,
}

#[derive(Clone, Debug)]
struct Slot {
    state: State,
    owner: Option<(AllocationId, JobId)>,
    tasks: BTreeSet<ExecutionAttemptId>,
    /// The JobMaster's last heartbeat did not name it.
    unnamed: bool,
}

/// Why a slot cannot do what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotError {
    /// There is no such slot.
    Unknown,
    /// It belongs to somebody else.
    Taken(JobId),
    /// No active slot has that grant for that job.
    NotActive,
}

impl std::fmt::Display for SlotError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SlotError::Unknown => f.write_str("there is no such slot"),
            SlotError::Taken(job) => write!(f, "the slot belongs to job {job}"),
            SlotError::NotActive => f.write_str("no active slot has that grant for that job"),
        }
    }
}

/// The slots of a TaskExecutor.
#[derive(Clone, Debug)]
pub struct TaskSlotTable {
    resource: ResourceId,
    slots: Vec<Slot>,
}

impl TaskSlotTable {
    /// That many free slots.
    pub fn new(resource: ResourceId, slots: u32) -> Self {
        let free = Slot { state: State::Free, owner: None, tasks: BTreeSet::new(), unnamed: false };
        Self { resource, slots: vec![free; slots as usize] }
    }

    fn index_of(&self, allocation: AllocationId) -> Option<usize> {
        self.slots.iter().position(|slot| slot.owner.is_some_and(|(a, _)| a == allocation))
    }

    fn id(&self, index: usize) -> SlotId {
        SlotId { resource: self.resource, index: index as u32 }
    }

    /// Gives a slot to a job; it must be activated before `until_ms`. Asking again is fine.
    pub fn allocate(
        &mut self,
        slot: SlotId,
        job: JobId,
        allocation: AllocationId,
        until_ms: i64,
    ) -> Result<(), SlotError> {
        // A grant is of one slot: who comes with it for another one is mistaken.
        if let Some(index) = self.index_of(allocation).filter(|index| self.id(*index) != slot) {
            let owner = self.slots[index].owner.map_or(job, |(_, owner)| owner);
            return Err(SlotError::Taken(owner));
        }
        let known = self.slots.get_mut(slot.index as usize);
        let slot = known.filter(|_| slot.resource == self.resource).ok_or(SlotError::Unknown)?;
        match (&slot.state, slot.owner) {
            (State::Free, _) => {
                slot.state = State::Allocated { until_ms };
                slot.unnamed = false;
                slot.owner = Some((allocation, job));
                Ok(())
            }
            (State::Allocated { .. } | State::Active, Some((known, _))) if known == allocation => {
                Ok(())
            }
            (_, Some((_, owner))) => Err(SlotError::Taken(owner)),
            (_, None) => Err(SlotError::Unknown),
        }
    }

    /// The job has accepted the slot.
    pub fn activate(&mut self, allocation: AllocationId) -> Result<(), SlotError> {
        let index = self.index_of(allocation).ok_or(SlotError::NotActive)?;
        match self.slots[index].state {
            State::Allocated { .. } | State::Active => {
                self.slots[index].state = State::Active;
                Ok(())
            }
            State::Free | State::Releasing => Err(SlotError::NotActive),
        }
    }

    /// A task is to run in a slot of its job.
    pub fn add_task(
        &mut self,
        allocation: AllocationId,
        attempt: ExecutionAttemptId,
    ) -> Result<(), SlotError> {
        let index = self.index_of(allocation).ok_or(SlotError::NotActive)?;
        let slot = &mut self.slots[index];
        let may_run = matches!(slot.state, State::Allocated { .. } | State::Active);
        if !may_run || slot.owner != Some((allocation, attempt.job)) {
            return Err(SlotError::NotActive);
        }
        // A JobMaster may deploy as soon as it has accepted: its answer may still be on the way.
        slot.state = State::Active;
        slot.tasks.insert(attempt);
        Ok(())
    }

    /// A task has ended. Returns the slot if that made it free.
    pub fn remove_task(&mut self, attempt: ExecutionAttemptId) -> Option<(SlotId, AllocationId)> {
        let index = self.slots.iter().position(|slot| slot.tasks.contains(&attempt))?;
        let slot = &mut self.slots[index];
        slot.tasks.remove(&attempt);
        if slot.state == State::Releasing && slot.tasks.is_empty() {
            slot.state = State::Free;
            return slot.owner.take().map(|(allocation, _)| (self.id(index), allocation));
        }
        None
    }

    /// The job gives a slot back. Returns its tasks, which are to be cancelled, and the slot if it
    /// is free at once.
    pub fn free(
        &mut self,
        allocation: AllocationId,
    ) -> (Vec<ExecutionAttemptId>, Option<(SlotId, AllocationId)>) {
        let Some(index) = self.index_of(allocation) else {
            return (Vec::new(), None);
        };
        let slot = &mut self.slots[index];
        if slot.tasks.is_empty() {
            slot.state = State::Free;
            slot.owner = None;
            return (Vec::new(), Some((self.id(index), allocation)));
        }
        slot.state = State::Releasing;
        (slot.tasks.iter().copied().collect(), None)
    }

    /// Frees the slots that were not activated in time.
    pub fn expire(&mut self, now_ms: i64) -> Vec<(SlotId, AllocationId)> {
        let mut freed = Vec::new();
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if let State::Allocated { until_ms } = slot.state
                && until_ms <= now_ms
            {
                slot.state = State::Free;
                if let Some((allocation, _)) = slot.owner.take() {
                    freed.push((self.id(index), allocation));
                }
            }
        }
        freed
    }

    /// Compares a job's slots with those that its JobMaster believes to have. Returns the grants
    /// that are not here, and those to be freed: active ones that were not named twice. The first
    /// time, the word that the job has accepted a slot may have overtaken the heartbeat.
    pub fn compare(
        &mut self,
        job: JobId,
        named: &[AllocationId],
    ) -> (Vec<AllocationId>, Vec<AllocationId>) {
        let here = self.allocations_of(job);
        let missing = named.iter().filter(|grant| !here.contains(grant)).copied().collect();
        let mut superfluous = Vec::new();
        for slot in &mut self.slots {
            let Some((allocation, _)) = slot.owner.filter(|(_, owner)| *owner == job) else {
                continue;
            };
            let unnamed = slot.state == State::Active && !named.contains(&allocation);
            if unnamed && slot.unnamed {
                superfluous.push(allocation);
            }
            slot.unnamed = unnamed;
        }
        (missing, superfluous)
    }

    /// Whom a grant is for.
    pub fn owner_of(&self, allocation: AllocationId) -> Option<JobId> {
        let owners = self.slots.iter().filter_map(|slot| slot.owner);
        owners.filter(|(known, _)| *known == allocation).map(|(_, job)| job).next()
    }

    /// The slots of a job that it may go on using, with their tasks.
    pub fn occupied_by(&self, job: JobId) -> Vec<(SlotOffer, Vec<ExecutionAttemptId>)> {
        let slots = self.slots.iter().enumerate();
        let in_use = slots.filter_map(|(index, slot)| match (&slot.state, slot.owner) {
            (State::Allocated { .. } | State::Active, Some((allocation, owner)))
                if owner == job =>
            {
                let offer = SlotOffer { allocation, slot: self.id(index) };
                Some((offer, slot.tasks.iter().copied().collect()))
            }
            _ => None,
        });
        in_use.collect()
    }

    /// The grants of a job.
    pub fn allocations_of(&self, job: JobId) -> Vec<AllocationId> {
        let owners = self.slots.iter().filter_map(|slot| slot.owner);
        owners.filter(|(_, owner)| *owner == job).map(|(allocation, _)| allocation).collect()
    }

    /// All slots as the ResourceManager wants to know them.
    pub fn report(&self) -> SlotReport {
        let status = |(index, slot): (usize, &Slot)| SlotStatus {
            slot: self.id(index),
            allocated: slot.owner,
        };
        SlotReport { slots: self.slots.iter().enumerate().map(status).collect() }
    }
}

#[cfg(test)]
mod tests;
