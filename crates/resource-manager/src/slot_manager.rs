//! The SlotManager: which slot goes to which job, and how many TaskManagers there should be. Pure:
//! events in, commands out, the time is given.
//!
//! Jobs declare how many slots they need in all; the manager gives them free slots until they have
//! that many ([`allocation`]). What is still missing is asked of new workers, if there is a driver
//! that can start some ([`workers`]).
//!
//! # Life of a slot
//!
//! ```text
//! Free --allocate--> Pending --accepted--> Allocated --freed--> Free
//!                       |                     ^
//!                       +-- refused: Free, but not tried again before the next report
//!                       +-- no answer in time: likewise
//! ```
//!
//! # What contradicts itself
//!
//! Messages about a slot take different ways, so they may arrive in any order:
//! - A report that calls a *pending* slot free may have been sent before the request arrived: it
//!   changes nothing.
//! - The first report behind an answer that calls the slot free may have been sent before that: it
//!   changes nothing either, but the second one does.
//! - A report that names another owner is right: the TaskExecutor knows. The request that is pending
//!   will be refused.
//! - An answer that comes after its time-out is believed if nothing else is known of the slot.
//! - Whatever concerns a TaskExecutor that is lost, or a grant that is not the slot's, is dropped.
//!
//! Invariant: a grant is given once, and a slot has one at most.

pub mod allocation;
pub mod workers;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use hurtig_cluster_api::{SlotId, SlotReport};
use hurtig_types::{AllocationId, JobId, ResourceId};

use workers::Workers;

/// How slots are chosen; `taskmanager.load-balance.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadBalance {
    /// One TaskExecutor after the other is filled.
    #[default]
    None,
    /// The TaskExecutor with the largest share of slots in use comes first.
    MinResources,
    /// The TaskExecutor with the smallest share of slots in use comes first:
    /// `cluster.evenly-spread-out-slots`.
    Slots,
}

/// Settings of a [`SlotManager`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotManagerConfig {
    /// How slots are chosen.
    pub load_balance: LoadBalance,
    /// A TaskExecutor that does not answer a request for so long may be asked again.
    pub request_timeout_ms: u64,
    /// `resourcemanager.standalone.start-up-time`: for so long nobody is told that there are not
    /// enough slots, since TaskManagers are still starting.
    pub start_up_time_ms: u64,
    /// `slotmanager.number-of-slots.max`: with more, TaskManagers are refused and none is started.
    pub max_slots: u32,
    /// `slotmanager.number-of-slots.min`: so many are there also when nobody needs them.
    pub min_slots: u32,
    /// `resourcemanager.taskmanager-timeout`: a TaskManager that the driver has started and nobody
    /// has needed for so long is stopped.
    pub task_manager_timeout_ms: u64,
    /// `slotmanager.redundant-taskmanager-num`: so many more are kept, to take the place of lost
    /// ones at once.
    pub redundant_task_managers: u32,
    /// `taskmanager.numberOfTaskSlots` of TaskManagers that the driver starts.
    pub slots_per_worker: u32,
    /// `resourcemanager.taskmanager-registration.timeout`: one that was started and does not
    /// register for so long is given up.
    pub registration_timeout_ms: u64,
    /// `resourcemanager.start-worker.max-failure-rate`: with more failures within a minute, the next
    /// start waits for `start_worker_retry_ms`.
    pub start_worker_max_failures: u32,
    /// `resourcemanager.start-worker.retry-interval`.
    pub start_worker_retry_ms: u64,
}

impl Default for SlotManagerConfig {
    fn default() -> Self {
        Self {
            load_balance: LoadBalance::None,
            request_timeout_ms: 10_000,
            start_up_time_ms: 0,
            max_slots: i32::MAX as u32,
            min_slots: 0,
            task_manager_timeout_ms: 30_000,
            redundant_task_managers: 0,
            slots_per_worker: 1,
            registration_timeout_ms: 300_000,
            start_worker_max_failures: 10,
            start_worker_retry_ms: 3_000,
        }
    }
}

/// What a SlotManager wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotCommand {
    /// Ask the slot's TaskExecutor to give it to the job; answer with `on_answer`.
    Allocate {
        /// The slot.
        slot: SlotId,
        /// The job.
        job: JobId,
        /// The grant.
        allocation: AllocationId,
    },
    /// Tell the job that it cannot have all the slots that it needs.
    NotEnough {
        /// The job.
        job: JobId,
        /// How many it has or is getting.
        available: u32,
    },
    /// Start a TaskManager with that id.
    StartWorker(ResourceId),
    /// Stop a TaskManager that the driver has started.
    StopWorker {
        /// Which.
        worker: ResourceId,
        /// Why.
        reason: &'static str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    /// Refused ones wait for the next report: no busy loop.
    Free {
        refused: bool,
    },
    Pending {
        allocation: AllocationId,
        job: JobId,
        since_ms: i64,
    },
    /// `reported`: a report may contradict.
    Allocated {
        allocation: AllocationId,
        job: JobId,
        reported: bool,
    },
}

impl SlotState {
    const FREE: Self = Self::Free { refused: false };

    fn owner(self) -> Option<(AllocationId, JobId)> {
        match self {
            Self::Free { .. } => None,
            Self::Pending { allocation, job, .. } | Self::Allocated { allocation, job, .. } => {
                Some((allocation, job))
            }
        }
    }
}

/// One TaskExecutor.
#[derive(Debug)]
struct Resource {
    slots: Vec<SlotState>,
    /// Place in the order of registrations.
    order: u64,
    /// Slots that are pending or allocated.
    used: u32,
    /// Slots that could be given at once.
    available: u32,
    /// Since when nobody needs it.
    idle_since_ms: i64,
}

/// What a job has declared.
#[derive(Debug)]
struct Requirement {
    job: JobId,
    slots: u32,
    /// What it was told last.
    told: Option<u32>,
}

/// All slots of the cluster.
#[derive(Debug)]
pub struct SlotManager {
    config: SlotManagerConfig,
    resources: BTreeMap<ResourceId, Resource>,
    registered: u64,
    /// In the order in which jobs came.
    required: Vec<Requirement>,
    /// Slots that jobs have or are getting.
    given: BTreeMap<JobId, u32>,
    workers: Workers,
    seed: u64,
    grants: u64,
    /// When "not enough" may be told.
    started_ms: i64,
    commands: Vec<SlotCommand>,
}

impl SlotManager {
    /// A manager without slots; `seed` makes its grants and workers differ from those of another
    /// leader. `can_start`: there is a driver that can start TaskManagers.
    pub fn new(config: SlotManagerConfig, seed: u64, can_start: bool, now_ms: i64) -> Self {
        Self {
            started_ms: now_ms.saturating_add_unsigned(config.start_up_time_ms),
            config,
            resources: BTreeMap::new(),
            registered: 0,
            required: Vec::new(),
            given: BTreeMap::new(),
            workers: Workers::new(can_start),
            seed,
            grants: 0,
            commands: Vec::new(),
        }
    }

    /// A TaskExecutor registers, perhaps again.
    ///
    /// # Errors
    /// If there are too many slots, with the reason.
    pub fn on_registered(
        &mut self,
        resource: ResourceId,
        report: &SlotReport,
        now_ms: i64,
    ) -> Result<Vec<SlotCommand>, String> {
        let slots = report.slots.len() as u32;
        let max = self.config.max_slots;
        if !self.resources.contains_key(&resource) {
            let all = self.count_all();
            if all.saturating_add(slots) > max {
                return Err(format!(
                    "there are {all} slots: with {slots} more there would be more than {max} \
                     (slotmanager.number-of-slots.max)"
                ));
            }
            self.registered += 1;
            let order = self.registered;
            let new =
                Resource { slots: Vec::new(), order, used: 0, available: 0, idle_since_ms: now_ms };
            self.resources.insert(resource, new);
        }
        self.workers.on_registered(resource);
        Ok(self.on_report(resource, report, now_ms))
    }

    /// A TaskExecutor reports its slots.
    pub fn on_report(
        &mut self,
        resource: ResourceId,
        report: &SlotReport,
        now_ms: i64,
    ) -> Vec<SlotCommand> {
        let Some(known) = self.resources.get(&resource) else { return Vec::new() };
        let before = known.slots.len();
        for index in report.slots.len()..before {
            // It has fewer than it had.
            self.set(SlotId { resource, index: index as u32 }, SlotState::FREE, now_ms);
        }
        if let Some(known) = self.resources.get_mut(&resource) {
            known.slots.resize(report.slots.len(), SlotState::FREE);
        }
        self.recount(resource);
        for (index, status) in report.slots.iter().enumerate() {
            let slot = SlotId { resource, index: index as u32 };
            let Some(known) = self.state(slot) else { continue };
            let state = match (status.allocated, known) {
                (None, SlotState::Pending { .. }) => known,
                (None, SlotState::Allocated { allocation, job, reported: false }) => {
                    SlotState::Allocated { allocation, job, reported: true }
                }
                (None, _) => SlotState::FREE,
                (Some((allocation, job)), _) => {
                    SlotState::Allocated { allocation, job, reported: true }
                }
            };
            self.set(slot, state, now_ms);
        }
        self.decide(now_ms)
    }

    /// A TaskExecutor is gone.
    pub fn on_lost(&mut self, resource: ResourceId, now_ms: i64) -> Vec<SlotCommand> {
        self.forget(resource);
        self.decide(now_ms)
    }

    fn forget(&mut self, resource: ResourceId) {
        let lost = self.resources.remove(&resource).into_iter().flat_map(|lost| lost.slots);
        for (_, job) in lost.filter_map(SlotState::owner) {
            self.take_from(job);
        }
    }

    /// A job declares how many slots it needs; 0 ends its claims.
    pub fn on_required(&mut self, job: JobId, slots: u32, now_ms: i64) -> Vec<SlotCommand> {
        let known = self.required.iter().position(|required| required.job == job);
        match known {
            Some(index) if slots == 0 => {
                self.required.remove(index);
            }
            // It is told again what it cannot have.
            Some(index) => self.required[index] = Requirement { job, slots, told: None },
            None if slots == 0 => {}
            None => self.required.push(Requirement { job, slots, told: None }),
        }
        self.decide(now_ms)
    }

    /// The TaskExecutor has accepted or refused a request.
    pub fn on_answer(
        &mut self,
        slot: SlotId,
        job: JobId,
        allocation: AllocationId,
        accepted: bool,
        now_ms: i64,
    ) -> Vec<SlotCommand> {
        let Some(known) = self.state(slot) else { return Vec::new() };
        let allocated = SlotState::Allocated { allocation, job, reported: false };
        match known {
            SlotState::Pending { allocation: pending, .. } if pending == allocation => {
                let state = if accepted { allocated } else { SlotState::Free { refused: true } };
                self.set(slot, state, now_ms);
            }
            // Behind its time-out.
            SlotState::Free { .. } if accepted => self.set(slot, allocated, now_ms),
            _ => {}
        }
        self.decide(now_ms)
    }

    /// A slot was freed.
    pub fn on_free(
        &mut self,
        slot: SlotId,
        allocation: AllocationId,
        now_ms: i64,
    ) -> Vec<SlotCommand> {
        let owner = self.state(slot).and_then(SlotState::owner);
        if owner.is_some_and(|(known, _)| known == allocation) {
            self.set(slot, SlotState::FREE, now_ms);
        }
        self.decide(now_ms)
    }

    /// Time has passed. To be called now and then: time-outs are as exact as that.
    pub fn on_time(&mut self, now_ms: i64) -> Vec<SlotCommand> {
        let before = now_ms.saturating_sub_unsigned(self.config.request_timeout_ms);
        let is_late = |state: &SlotState| matches!(state, SlotState::Pending { since_ms, .. } if *since_ms <= before);
        let mut late = Vec::new();
        for (resource, known) in &self.resources {
            let slots = known.slots.iter().enumerate().filter(|(_, state)| is_late(state));
            late.extend(
                slots.map(|(index, _)| SlotId { resource: *resource, index: index as u32 }),
            );
        }
        for slot in late {
            self.set(slot, SlotState::Free { refused: true }, now_ms);
        }
        self.decide(now_ms)
    }

    /// All slots and the free ones of a TaskExecutor.
    pub fn count(&self, resource: ResourceId) -> (u32, u32) {
        let known = self.resources.get(&resource);
        known.map_or((0, 0), |known| {
            let all = known.slots.len() as u32;
            (all, all - known.used)
        })
    }

    fn count_all(&self) -> u32 {
        self.resources.values().map(|resource| resource.slots.len() as u32).sum()
    }

    fn state(&self, slot: SlotId) -> Option<SlotState> {
        self.resources.get(&slot.resource)?.slots.get(slot.index as usize).copied()
    }

    fn take_from(&mut self, job: JobId) {
        if let Some(given) = self.given.get_mut(&job) {
            *given -= 1;
            if *given == 0 {
                self.given.remove(&job);
            }
        }
    }

    fn set(&mut self, slot: SlotId, state: SlotState, now_ms: i64) {
        let Some(resource) = self.resources.get_mut(&slot.resource) else { return };
        let Some(known) = resource.slots.get_mut(slot.index as usize) else { return };
        let before = std::mem::replace(known, state);
        resource.available -= u32::from(before == SlotState::FREE);
        resource.available += u32::from(state == SlotState::FREE);
        resource.used -= u32::from(before.owner().is_some());
        resource.used += u32::from(state.owner().is_some());
        if before.owner().is_some() && resource.used == 0 {
            resource.idle_since_ms = now_ms;
        }
        if let Some((_, job)) = state.owner() {
            *self.given.entry(job).or_default() += 1;
        }
        if let Some((_, job)) = before.owner() {
            self.take_from(job);
        }
    }

    fn recount(&mut self, resource: ResourceId) {
        if let Some(known) = self.resources.get_mut(&resource) {
            let available = known.slots.iter().filter(|state| **state == SlotState::FREE).count();
            known.available = available as u32;
        }
    }

    fn decide(&mut self, now_ms: i64) -> Vec<SlotCommand> {
        self.allocate(now_ms);
        self.manage_workers(now_ms);
        self.tell_not_enough(now_ms);
        std::mem::take(&mut self.commands)
    }

    fn tell_not_enough(&mut self, now_ms: i64) {
        // What is on its way may be enough.
        if now_ms < self.started_ms || self.pending_workers() > 0 {
            return;
        }
        for required in &mut self.required {
            let available = self.given.get(&required.job).copied().unwrap_or(0);
            let told = (available < required.slots).then_some(available);
            if told != std::mem::replace(&mut required.told, told)
                && let Some(available) = told
            {
                self.commands.push(SlotCommand::NotEnough { job: required.job, available });
            }
        }
    }
}
