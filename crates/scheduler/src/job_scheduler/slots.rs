//! Events of slots: offers, losses, time-outs; and the deployments that follow.

use hurtig_cluster_api::{
    ExecutionState, FailureClass, FailureInfo, JobStatus, PeerAddress, SlotOffer,
};
use hurtig_types::{AllocationId, ResourceId};

use super::{Command, JobScheduler, SchedulerTimer};
use crate::{
    deployment::Deployment,
    slot_pool::{Offered, PhysicalSlot, SharedSlotId},
};

impl JobScheduler {
    pub(super) fn schedule(&mut self, indices: &[usize], now_ms: i64, commands: &mut Vec<Command>) {
        for index in indices {
            // Created attempts can always be scheduled.
            let _ = self.graph.transition(*index, ExecutionState::Scheduled, now_ms);
            self.readiness.wait(self.graph.execution(*index).region);
        }
        self.deploy_ready(now_ms, commands);
    }

    pub(crate) fn shared_of(&self, index: usize) -> Option<SharedSlotId> {
        let attempt = self.graph.execution(index).attempt;
        self.pool.shared_of(self.graph.position_of(attempt.vertex)?, attempt.subtask)
    }

    /// Deploys the regions that wait and whose slots are all there.
    fn deploy_ready(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        let ready = self.readiness.take_ready();
        let mut described = Vec::new();
        if !ready.is_empty() {
            let mut deployment = Deployment::new(&self.graph, &self.pool);
            for index in ready.iter().flat_map(|region| &self.graph.regions()[*region]) {
                if self.graph.execution(*index).state != ExecutionState::Scheduled {
                    continue;
                }
                match deployment.describe(*index) {
                    Some(descriptor) => described.push((*index, descriptor)),
                    None => debug_assert!(false, "a region that is ready has all its slots"),
                }
            }
        }
        for (index, descriptor) in described {
            let _ = self.graph.transition(index, ExecutionState::Deploying, now_ms);
            let slot = self.pool.slot(descriptor.allocation);
            // The data address may be that of a host, whose id is of no use to people.
            let location = slot.map(|slot| PeerAddress {
                resource: slot.offer.slot.resource,
                address: slot.data_address.address.clone(),
            });
            let execution = self.graph.execution_mut(index);
            execution.allocation = Some(descriptor.allocation);
            execution.location = location;
            commands.push(Command::Deploy(Box::new(descriptor)));
        }
        let left_waiting = self.readiness.is_waiting();
        if left_waiting && !self.waiting_for_slots {
            self.slot_round += 1;
            let timer = SchedulerTimer::SlotTimeout { round: self.slot_round };
            commands
                .push(Command::SetTimer(timer, self.graph.graph.config.slot_request_timeout_ms));
        }
        self.waiting_for_slots = left_waiting;
        if !left_waiting && self.status == JobStatus::Restarting && self.restarting.is_empty() {
            self.set_status(JobStatus::Running, now_ms, commands);
        }
    }

    /// Slots are offered; returns the grants that are accepted.
    pub fn on_slots_offered(
        &mut self,
        offers: &[SlotOffer],
        data_address: &PeerAddress,
        now_ms: i64,
    ) -> (Vec<AllocationId>, Vec<Command>) {
        let (mut accepted, mut commands) = (Vec::with_capacity(offers.len()), Vec::new());
        if self.status.is_globally_terminal() {
            return (accepted, commands);
        }
        for offer in offers {
            let slot = PhysicalSlot { offer: *offer, data_address: data_address.clone() };
            match self.pool.offer(slot, now_ms) {
                Offered::Refused => continue,
                Offered::Known | Offered::Free => {}
                Offered::Serves(shared) => self.readiness.served(shared),
            }
            accepted.push(offer.allocation);
        }
        for shared in self.pool.serve_waiting() {
            self.readiness.served(shared);
        }
        if self.elastic.is_some() {
            self.on_slots_changed(now_ms, &mut commands);
        } else if matches!(self.status, JobStatus::Running | JobStatus::Restarting) {
            self.deploy_ready(now_ms, &mut commands);
        }
        (accepted, commands)
    }

    /// The ResourceManager cannot give all slots that were declared: there are only so many.
    pub fn on_not_enough_slots(&mut self, available: u32) {
        self.available_slots = Some(available);
    }

    /// How many slots there are and what could be done about it, for people.
    pub(super) fn describe_missing(&self, needed: usize) -> String {
        let had = self.pool.len();
        let mut groups = String::new();
        if self.elastic.is_none() && self.pool.groups().count() > 1 {
            let of_group = |(name, slots): (&str, usize)| format!("{slots} of group {name:?}");
            let of_groups = self.pool.groups().map(of_group).collect::<Vec<_>>();
            groups = format!(" ({})", of_groups.join(", "));
        }
        let available = match self.available_slots {
            Some(available) => {
                format!("the ResourceManager has {available} for this job and no more")
            }
            None => "the ResourceManager has not refused any".to_owned(),
        };
        format!(
            "needed: {needed}{groups}, offered: {had}, {available}. Start more TaskManagers, \
             give them more slots (taskmanager.numberOfTaskSlots), or lower the parallelism"
        )
    }

    pub(super) fn on_slot_timeout(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        let executions = self.graph.executions();
        let waiting = executions.iter().position(|e| e.state == ExecutionState::Scheduled);
        let Some(index) = waiting else { return };
        let timeout_ms = self.graph.graph.config.slot_request_timeout_ms;
        let (missing, required) = (self.pool.missing(), self.pool.required());
        let failure = FailureInfo {
            class: FailureClass::External,
            message: format!(
                "{missing} of {required} slots are missing after {timeout_ms} ms \
                 (slot.request.timeout): {}",
                self.describe_missing(required),
            ),
            task: None,
            timestamp_ms: now_ms,
        };
        self.handle_failure(index, failure, now_ms, commands);
        self.after_change(now_ms, commands);
    }

    /// A subtask has finished: its slot may be of no use any more.
    pub(super) fn after_finish(&mut self, index: usize, now_ms: i64, commands: &mut Vec<Command>) {
        // An elastic job is restarted as a whole: it would need the slot again.
        if self.elastic.is_none()
            && let Some(shared) = self.shared_of(index)
            && self.pool.on_finished(shared, now_ms)
        {
            self.watch_idle_slots(commands);
        }
    }

    pub(super) fn watch_idle_slots(&mut self, commands: &mut Vec<Command>) {
        if !self.idle_timer && self.pool.has_idle() {
            self.idle_timer = true;
            let timeout_ms = self.graph.graph.config.slot_idle_timeout_ms;
            commands.push(Command::SetTimer(SchedulerTimer::IdleSlots, timeout_ms));
        }
    }

    pub(super) fn return_idle_slots(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        self.idle_timer = false;
        if self.status.is_globally_terminal() {
            return;
        }
        let timeout_ms = self.graph.graph.config.slot_idle_timeout_ms;
        let returned = self.pool.expire_idle(now_ms, timeout_ms);
        if !returned.is_empty() {
            // Said first, so that they are not given to this job again.
            commands.push(Command::DeclareSlots(self.pool.required() as u32));
            commands.extend(returned.into_iter().map(Command::ReturnSlot));
        }
        self.watch_idle_slots(commands);
    }

    /// A slot is lost: what ran in it has failed.
    pub fn on_slot_lost(
        &mut self,
        allocation: AllocationId,
        reason: &str,
        now_ms: i64,
    ) -> Vec<Command> {
        let mut commands = Vec::new();
        self.lose_slots(&[allocation], reason, now_ms, &mut commands);
        commands
    }

    /// A TaskExecutor is lost with all its slots.
    pub fn on_resource_lost(
        &mut self,
        resource: ResourceId,
        reason: &str,
        now_ms: i64,
    ) -> Vec<Command> {
        let mut commands = Vec::new();
        self.lose_slots(&self.pool.on_resource(resource), reason, now_ms, &mut commands);
        commands
    }

    /// Slots are lost at the same time: all of them are gone before anything is decided.
    fn lose_slots(
        &mut self,
        allocations: &[AllocationId],
        reason: &str,
        now_ms: i64,
        commands: &mut Vec<Command>,
    ) {
        let required = self.pool.required();
        let mut any = false;
        for allocation in allocations {
            let Some(served) = self.pool.lose(*allocation) else { continue };
            any = true;
            if let Some(shared) = served {
                self.readiness.lost(shared);
            }
        }
        if !any {
            return;
        }
        if self.pool.required() != required {
            commands.push(Command::DeclareSlots(self.pool.required() as u32));
        }
        let is_in = |e: &crate::Execution| {
            !e.state.is_terminal() && e.allocation.is_some_and(|a| allocations.contains(&a))
        };
        let executions = self.graph.executions().iter().enumerate();
        let affected: Vec<usize> = executions.filter(|(_, e)| is_in(e)).map(|(i, _)| i).collect();
        let mut failed = Vec::new();
        for index in affected {
            let was_cancelling = self.graph.execution(index).state == ExecutionState::Canceling;
            let end =
                if was_cancelling { ExecutionState::Canceled } else { ExecutionState::Failed };
            let _ = self.graph.transition(index, end, now_ms);
            if !was_cancelling {
                failed.push(index);
            }
        }
        for index in failed {
            let failure = FailureInfo {
                class: FailureClass::External,
                message: format!("its slot was lost: {reason}"),
                task: Some(self.graph.task_name(index)),
                timestamp_ms: now_ms,
            };
            self.handle_failure(index, failure, now_ms, commands);
        }
        self.after_change(now_ms, commands);
    }
}
