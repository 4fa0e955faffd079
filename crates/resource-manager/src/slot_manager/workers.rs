//! How many TaskManagers there should be, where a driver can start and stop them.
//!
//! A worker is *pending* from its start until it registers. So many are started that their slots
//! cover what jobs lack, the least number of slots, and the redundant TaskManagers; never more than
//! the most slots allow. Workers that have nothing to do for long are stopped, as far as they are
//! not wanted all the same. TaskManagers that the driver has not started are never stopped.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hurtig_types::ResourceId;

use super::{SlotCommand, SlotManager};

/// Failures of starts are counted over so long.
const FAILURE_WINDOW_MS: i64 = 60_000;
/// Most workers that are started and not registered at the same time.
const MAX_PENDING_WORKERS: usize = 1_000;

/// What is known of the driver's workers.
#[derive(Debug)]
pub struct Workers {
    can_start: bool,
    started: u64,
    /// Since when.
    pending: BTreeMap<ResourceId, i64>,
    /// Registered ones.
    owned: BTreeSet<ResourceId>,
    failures: VecDeque<i64>,
    not_before_ms: i64,
}

impl Workers {
    pub(super) fn new(can_start: bool) -> Self {
        Self {
            can_start,
            started: 0,
            pending: BTreeMap::new(),
            owned: BTreeSet::new(),
            failures: VecDeque::new(),
            not_before_ms: i64::MIN,
        }
    }

    pub(super) fn on_registered(&mut self, worker: ResourceId) {
        if self.pending.remove(&worker).is_some() {
            self.owned.insert(worker);
        }
    }
}

impl SlotManager {
    /// A worker has ended, or could not be started.
    pub fn on_worker_ended(&mut self, worker: ResourceId, now_ms: i64) -> Vec<SlotCommand> {
        self.workers.owned.remove(&worker);
        if self.workers.pending.remove(&worker).is_some() {
            self.note_failure(now_ms);
        }
        self.forget(worker);
        self.decide(now_ms)
    }

    /// Number of workers that were started and have not registered.
    pub fn pending_workers(&self) -> usize {
        self.workers.pending.len()
    }

    fn note_failure(&mut self, now_ms: i64) {
        let failures = &mut self.workers.failures;
        failures.push_back(now_ms);
        while failures.front().is_some_and(|at| *at <= now_ms - FAILURE_WINDOW_MS) {
            failures.pop_front();
        }
        let most = self.config.start_worker_max_failures as usize;
        if failures.len() > most {
            failures.pop_front();
            let retry_ms = self.config.start_worker_retry_ms;
            self.workers.not_before_ms = now_ms.saturating_add_unsigned(retry_ms);
        }
    }

    pub(super) fn manage_workers(&mut self, now_ms: i64) {
        if !self.workers.can_start {
            return;
        }
        self.give_up_late_workers(now_ms);
        self.stop_idle_workers(now_ms);
        self.start_workers(now_ms);
    }

    fn give_up_late_workers(&mut self, now_ms: i64) {
        let before = now_ms.saturating_sub_unsigned(self.config.registration_timeout_ms);
        let pending = self.workers.pending.iter().filter(|(_, since)| **since <= before);
        let late: Vec<ResourceId> = pending.map(|(worker, _)| *worker).collect();
        for worker in late {
            self.workers.pending.remove(&worker);
            self.note_failure(now_ms);
            let reason = "it has not registered in time";
            self.commands.push(SlotCommand::StopWorker { worker, reason });
        }
    }

    /// Slots that are to be free: for redundancy, and because there are to be so many at least.
    fn spare_slots(&self) -> u32 {
        let redundant =
            self.config.redundant_task_managers.saturating_mul(self.config.slots_per_worker);
        let used: u32 = self.resources.values().map(|resource| resource.used).sum();
        redundant.max(self.config.min_slots.saturating_sub(used))
    }

    fn stop_idle_workers(&mut self, now_ms: i64) {
        let before = now_ms.saturating_sub_unsigned(self.config.task_manager_timeout_ms);
        let mut free: u32 = self.resources.values().map(|r| r.slots.len() as u32 - r.used).sum();
        let spare = self.spare_slots();
        let mut idle: Vec<(i64, ResourceId, u32)> = Vec::new();
        for worker in &self.workers.owned {
            if let Some(resource) = self.resources.get(worker)
                && resource.used == 0
                && resource.idle_since_ms <= before
            {
                idle.push((resource.idle_since_ms, *worker, resource.slots.len() as u32));
            }
        }
        // Those that have been idle for longest first.
        idle.sort_unstable();
        for (_, worker, slots) in idle {
            if free < spare.saturating_add(slots) {
                continue;
            }
            free -= slots;
            self.workers.owned.remove(&worker);
            self.resources.remove(&worker);
            let reason = "nobody has needed it for long";
            self.commands.push(SlotCommand::StopWorker { worker, reason });
        }
    }

    fn start_workers(&mut self, now_ms: i64) {
        if now_ms < self.workers.not_before_ms {
            return;
        }
        let lacking: u32 = self
            .required
            .iter()
            .map(|required| {
                let given = self.given.get(&required.job).copied().unwrap_or(0);
                required.slots.saturating_sub(given)
            })
            .fold(0, u32::saturating_add);
        let per_worker = self.config.slots_per_worker.max(1);
        let free: u32 = self.resources.values().map(|r| r.slots.len() as u32 - r.used).sum();
        let pending = (self.workers.pending.len() as u32).saturating_mul(per_worker);
        let wanted = lacking.saturating_add(self.spare_slots());
        let missing = wanted.saturating_sub(free.saturating_add(pending));
        let most = self.config.max_slots.saturating_sub(self.count_all().saturating_add(pending));
        let room = MAX_PENDING_WORKERS.saturating_sub(self.workers.pending.len());
        let workers = missing.div_ceil(per_worker).min(most / per_worker).min(room as u32);
        for _ in 0..workers {
            self.workers.started += 1;
            // Not a number that a TaskManager draws for itself by accident.
            let number = (1 << 63) | u128::from(self.workers.started);
            let worker = ResourceId((u128::from(self.seed) << 64) | number);
            self.workers.pending.insert(worker, now_ms);
            self.commands.push(SlotCommand::StartWorker(worker));
        }
    }
}
