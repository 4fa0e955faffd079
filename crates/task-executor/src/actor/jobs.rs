//! What each job has here: its JobMaster, its task host, its slots.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_cluster_api::{
    ExecutionState, FencingToken, JobMasterGateway, Leader, OccupiedSlot, PeerAddress, RpcError,
    SlotId, SlotOffer, TaskDeploymentDescriptor,
};
use hurtig_types::{AllocationId, ExecutionAttemptId, JobId};
use tokio::sync::oneshot;

use super::{JobEntry, Message, OFFER_RETRY, Speaker, TaskExecutor};
use crate::host::{HostNews, HostNumber, Reply, StartedHost, TaskStates};

impl TaskExecutor {
    /// A job has been given a slot: its host is started if this is its first.
    pub(super) fn admit(&mut self, job: JobId, leader: Leader<dyn JobMasterGateway>) {
        let token = leader.token;
        if self.jobs.contains_key(&job) {
            // What it had here before is about to go.
            self.set_job_master(job, leader, None);
        } else {
            self.job_masters.follow(job, leader.clone());
            self.hosts_started += 1;
            let number = self.hosts_started;
            let started = self.hosts.start(job, number, leader, self.listener.clone());
            let StartedHost { host, data_address } = started;
            let (accepted_by, to_offer) = (None, Vec::new());
            let heard_ms = self.clock.now_ms();
            let entry = JobEntry { accepted_by, heard_ms, host, number, data_address, to_offer };
            self.jobs.insert(job, entry);
        }
        if let Some(entry) = self.jobs.get_mut(&job) {
            entry.accepted_by = Some(token);
        }
    }

    /// Has a job's tasks report to this JobMaster. Who wants to know gets the tasks' states.
    pub(super) fn set_job_master(
        &mut self,
        job: JobId,
        leader: Leader<dyn JobMasterGateway>,
        states: Option<Reply<TaskStates>>,
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        entry.heard_ms = self.clock.now_ms();
        if states.is_none() && self.job_masters.is_followed(job, leader.token) {
            return;
        }
        self.job_masters.follow(job, leader.clone());
        let (reply, answer) = oneshot::channel();
        entry.host.set_job_master(leader, states.unwrap_or(reply));
        drop(answer);
    }

    pub(super) fn on_host(&mut self, news: HostNews) {
        match news {
            HostNews::Ready(job, number, address) => {
                let entry = self.jobs.get_mut(&job).filter(|entry| entry.number == number);
                let Some(entry) = entry else { return };
                entry.data_address = Some(address);
                let (to_offer, accepted_by) =
                    (std::mem::take(&mut entry.to_offer), entry.accepted_by);
                match self.job_masters.get(job) {
                    // It has taken over meanwhile.
                    Some(leader) if accepted_by != Some(leader.token) => {
                        self.offer_occupied(job, leader);
                    }
                    _ => to_offer.into_iter().for_each(|offer| self.offer_when_ready(job, offer)),
                }
            }
            HostNews::Lost(job, number, reason) => self.lose_host(job, number, &reason),
            HostNews::TaskEnded(attempt) => {
                if let Some(entry) = self.jobs.get_mut(&attempt.job) {
                    entry.host.forget(attempt);
                }
                self.ledger.on_end(attempt);
                if let Some((slot, allocation)) = self.slots.remove_task(attempt) {
                    self.announce_free(slot, allocation);
                }
                self.forget_jobs_without_slots();
            }
            HostNews::JobMasterLost(job, reason) => self.disconnect_job(job, &reason),
        }
    }

    /// A host is gone, and all tasks of its job here with it. The job gets new slots, and they a
    /// new host: what the JobMaster knows of these slots, their data address, is no longer true.
    pub(super) fn lose_host(&mut self, job: JobId, number: HostNumber, reason: &str) {
        if self.jobs.get(&job).is_none_or(|entry| entry.number != number) {
            return;
        }
        let Some(entry) = self.jobs.remove(&job) else { return };
        tracing::warn!(job_id = %job, reason, "task host lost");
        let allocations = self.slots.allocations_of(job);
        let leader = self.job_masters.get(job);
        self.job_masters.forget(job);
        let told = allocations.clone();
        let resource = self.resource;
        let reason = format!("the task host on TaskExecutor {resource} is gone: {reason}");
        let was_ready = entry.data_address.is_some();
        self.runtimes.control.spawn(async move {
            // One that comes later finds nothing here.
            let Some(Leader { gateway, .. }) = leader else { return };
            if !was_ready {
                // The JobMaster knows nothing of these slots, and would wait for them.
                let _ = gateway.task_host_failed(resource, reason).await;
                return;
            }
            for allocation in told {
                // The JobMaster's next heartbeat finds out too.
                let _ = gateway.fail_slot(allocation, reason.clone()).await;
            }
        });
        for allocation in allocations {
            let (tasks, mut freed) = self.slots.free(allocation);
            for attempt in tasks {
                self.ledger.on_end(attempt);
                freed = self.slots.remove_task(attempt).or(freed);
            }
            // If it could not be started, the next heartbeat tells of the slots: told at once, they
            // would be given to the job again at once.
            if let Some((slot, allocation)) = freed.filter(|_| was_ready) {
                self.announce_free(slot, allocation);
            }
        }
        entry.host.abandon();
    }

    pub(super) fn forget_jobs_without_slots(&mut self) {
        let without = self.jobs.keys().filter(|job| self.slots.allocations_of(**job).is_empty());
        let without: Vec<JobId> = without.copied().collect();
        for job in without {
            if let Some(entry) = self.jobs.remove(&job) {
                entry.host.end();
                self.job_masters.forget(job);
            }
        }
    }

    /// Offers a slot, now or when the host of its job is ready.
    pub(super) fn offer_when_ready(&mut self, job: JobId, offer: SlotOffer) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        match entry.data_address.clone() {
            Some(address) => {
                let Some(leader) = self.job_masters.get(job) else { return };
                self.offer(job, offer, address, leader);
            }
            None if entry.to_offer.contains(&offer) => {}
            None => entry.to_offer.push(offer),
        }
    }

    /// Follows the JobMaster of a job that has slots here, and offers it what is in them.
    pub(super) fn follow_job_master(&mut self, job: JobId, leader: Leader<dyn JobMasterGateway>) {
        let token = leader.token;
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let is_ready = entry.data_address.is_some();
        let is_accepted = entry.accepted_by == Some(token);
        // In the latter case it is being offered, or will be when the host is ready.
        if is_accepted || self.job_masters.is_followed(job, token) {
            self.set_job_master(job, leader, None);
        } else if is_ready {
            self.offer_occupied(job, leader);
        } else {
            self.set_job_master(job, leader, None);
        }
    }

    /// Offers a JobMaster that has taken over what its job has here, with the states that tasks
    /// have when they begin to report to it.
    pub(super) fn offer_occupied(&mut self, job: JobId, leader: Leader<dyn JobMasterGateway>) {
        let token = leader.token;
        let data_address = self.jobs.get(&job).and_then(|entry| entry.data_address.clone());
        let Some(address) = data_address else { return };
        // One that has ended and whose end is being told is not among those with a state.
        let surviving =
            |attempt: &ExecutionAttemptId| self.ledger.surviving(*attempt, ExecutionState::Failed);
        let occupied = self.slots.occupied_by(job).into_iter().map(|(offer, tasks)| OccupiedSlot {
            offer,
            tasks: tasks.iter().map(surviving).collect(),
        });
        let mut slots: Vec<OccupiedSlot> = occupied.collect();
        let offered: Vec<AllocationId> = slots.iter().map(|slot| slot.offer.allocation).collect();
        let gateway = Arc::new(self.handle(Speaker::JobMaster(job, token)));
        let resource = self.resource;
        let (told, states) = oneshot::channel();
        self.set_job_master(job, leader.clone(), Some(told));
        let (mailbox, job_masters) = (self.mailbox.clone(), self.job_masters.clone());
        self.runtimes.control.spawn(async move {
            let states = match states.await {
                Ok(Ok(states)) => states.into_iter().collect::<BTreeMap<_, _>>(),
                // It is lost, which is told as such.
                Err(_) => return,
                Ok(Err(error)) => {
                    let reason = format!("tasks were not told of it: {error}");
                    let lost = Message::Host(HostNews::JobMasterLost(job, reason));
                    let _ = mailbox.tell((Speaker::Own, lost)).await;
                    return;
                }
            };
            for task in slots.iter_mut().flat_map(|slot| &mut slot.tasks) {
                task.state = states.get(&task.attempt).copied().unwrap_or(task.state);
            }
            // As long as nobody else is followed: what it has not got it cannot take over.
            while job_masters.is_followed(job, token) {
                let (address, gateway) = (address.clone(), gateway.clone());
                let offering =
                    leader.gateway.offer_occupied_slots(resource, address, gateway, slots.clone());
                match offering.await {
                    Ok(accepted) => {
                        let answer = Message::OccupiedAnswered(job, token, offered, accepted);
                        // Without the actor there are no slots.
                        let _ = mailbox.tell((Speaker::Own, answer)).await;
                        return;
                    }
                    Err(error) => {
                        tracing::debug!(%job, %error, "occupied slots are offered again");
                        job_masters.changed_or(OFFER_RETRY).await;
                    }
                }
            }
        });
    }

    pub(super) fn offer(
        &mut self,
        job: JobId,
        offer: SlotOffer,
        address: PeerAddress,
        leader: Leader<dyn JobMasterGateway>,
    ) {
        let Leader { token, gateway: job_master } = leader;
        let gateway = Arc::new(self.handle(Speaker::JobMaster(job, token)));
        let resource = self.resource;
        let mailbox = self.mailbox.clone();
        let tries = self.config.slot_timeout.as_millis() / OFFER_RETRY.as_millis();
        self.runtimes.control.spawn(async move {
            let offer_once = || {
                let (address, gateway) = (address.clone(), gateway.clone());
                job_master.offer_slots(resource, address, gateway, vec![offer])
            };
            let mut answer = offer_once().await;
            for _ in 0..tries {
                // Nobody knows whether it was accepted: it is offered again, which does no harm.
                if !matches!(answer, Err(RpcError::Timeout(_))) {
                    break;
                }
                tokio::time::sleep(OFFER_RETRY).await;
                answer = offer_once().await;
            }
            let answered = Message::OfferAnswered(offer.allocation, answer);
            let _ = mailbox.tell((Speaker::Own, answered)).await;
        });
    }

    pub(super) fn free_slot(&mut self, allocation: AllocationId) {
        if let Some((slot, allocation)) = self.free_quietly(allocation) {
            self.announce_free(slot, allocation);
        }
    }

    /// Frees a slot; returns it if it is free at once.
    pub(super) fn free_quietly(
        &mut self,
        allocation: AllocationId,
    ) -> Option<(SlotId, AllocationId)> {
        let (tasks, freed) = self.slots.free(allocation);
        for attempt in tasks {
            if let Some(entry) = self.jobs.get_mut(&attempt.job) {
                entry.host.cancel(attempt);
            }
        }
        freed
    }

    pub(super) fn submit(
        &mut self,
        deployment: Box<TaskDeploymentDescriptor>,
        token: FencingToken,
        reply: Reply<()>,
    ) {
        let attempt = deployment.attempt;
        let entry = self.jobs.get_mut(&attempt.job);
        let followed = self.job_masters.get(attempt.job).map(|leader| leader.token);
        let refused = match followed {
            Some(current) if current != token => Some(RpcError::Fenced { got: token, current }),
            _ => {
                let added = self.slots.add_task(deployment.allocation, attempt).err();
                added.map(|e| RpcError::Rejected(format!("cannot run task {attempt}: {e}")))
            }
        };
        match (refused, entry) {
            (None, Some(entry)) => {
                let restored = deployment.restore.as_ref().map(|restore| restore.checkpoint_id);
                self.ledger.on_start(attempt, restored);
                entry.host.submit(deployment, reply);
            }
            (refused, _) => {
                let unknown =
                    || RpcError::NotFound(format!("job {} has no slot here", attempt.job));
                // Who asked may have gone: nothing has happened.
                let _ = reply.send(Err(refused.unwrap_or_else(unknown)));
            }
        }
    }
}
