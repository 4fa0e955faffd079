//! The decisions of one contender: `(state, event, now) -> (state, commands)`.
//!
//! At most one request to the store is under way. Its answer, or the lack of one, is an event.
//! Times are milliseconds of any monotonic clock of this process.
//!
//! Invariants: commands grant and revoke take turns, and granted tokens grow. A record is written
//! only on condition that it is the one last read. A write whose answer is lost is found out by
//! reading: a record that names this contender is its own.

use std::collections::BTreeMap;

use hurtig_cluster_api::FencingToken;

use super::{ContenderId, LeaderRecord, Leadership};
use crate::{
    options::ElectionOptions,
    store::{LatchState, Precondition, RecordVersion},
};

/// When a contender may try to take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeoverRule {
    /// After it has seen no change of the record for the holder's lease.
    Lease,
    /// When it is the first in the backend's line.
    Latch,
}

/// What has happened.
#[derive(Debug)]
pub enum ElectionEvent {
    /// Time has passed.
    Tick,
    /// The record was read; `None` if there is none.
    Read(Option<(LeaderRecord, RecordVersion)>),
    /// It could not be read.
    ReadFailed,
    /// It was written.
    Written(RecordVersion),
    /// It was not written: it is not as it was read.
    Conflict,
    /// It may or may not have been written.
    WriteUncertain,
    /// The state of the place in line.
    Latch(LatchState),
    /// A component is reached there; `None` if it is not reached any more.
    Publish {
        /// The component.
        component: String,
        /// Its address.
        address: Option<String>,
    },
    /// The contender leaves.
    Leave,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectionCommand {
    /// Read the record.
    Read,
    /// Write the record on that condition.
    Write(LeaderRecord, Precondition),
    /// Leadership begins.
    Grant(FencingToken),
    /// Leadership has ended.
    Revoke(FencingToken),
    /// The contender has left; nothing follows.
    Left,
}

/// The record as it was last read.
#[derive(Debug)]
struct Observed {
    record: LeaderRecord,
    version: RecordVersion,
    /// When it was first seen so.
    since_ms: u64,
}

/// A write that was sent.
#[derive(Debug)]
struct Proposal {
    record: LeaderRecord,
    sent_ms: u64,
}

#[derive(Debug)]
struct Held {
    token: FencingToken,
    /// Until then nobody else may try to take over, by the rule of leases.
    certain_until_ms: u64,
}

/// One contender. See the module documentation.
#[derive(Debug)]
pub struct Election {
    me: ContenderId,
    rule: TakeoverRule,
    may_create: bool,
    options: ElectionOptions,

    observed: Option<Observed>,
    held: Option<Held>,
    proposal: Option<Proposal>,
    /// A write without an answer that was not in the record when it was read: it may still come.
    doubtful: Option<Proposal>,
    addresses: BTreeMap<String, String>,
    latch: LatchState,
    in_flight: bool,
    /// The record is not known for certain: it was never read, or a write had no certain answer.
    must_read: bool,
    next_request_ms: u64,
    last_answer_ms: Option<u64>,
    now_ms: u64,
    leaving: bool,
    left: bool,
}

impl Election {
    /// A contender that has read nothing yet. `may_create`: whether it makes a record that is not
    /// there.
    pub fn new(
        me: ContenderId,
        rule: TakeoverRule,
        may_create: bool,
        options: ElectionOptions,
    ) -> Self {
        Self {
            me,
            rule,
            may_create,
            options,
            observed: None,
            held: None,
            proposal: None,
            doubtful: None,
            addresses: BTreeMap::new(),
            latch: LatchState::default(),
            in_flight: false,
            must_read: true,
            next_request_ms: 0,
            last_answer_ms: None,
            now_ms: 0,
            leaving: false,
            left: false,
        }
    }

    /// Whether it leads, as of the last event.
    pub fn leadership(&self) -> Leadership {
        let Some(held) = &self.held else {
            return Leadership::Standby;
        };
        let certain = match self.rule {
            TakeoverRule::Lease => self.now_ms < held.certain_until_ms,
            TakeoverRule::Latch => self.latch.connected,
        };
        if certain { Leadership::Leader(held.token) } else { Leadership::Suspended(held.token) }
    }

    /// When a tick is needed at the latest; `None` while a request is under way that will end.
    pub fn next_tick_ms(&self) -> Option<u64> {
        let lapse = self.held.as_ref().filter(|_| self.rule == TakeoverRule::Lease);
        let lapse = lapse.map(|held| held.certain_until_ms).filter(|at| *at > self.now_ms);
        let request = (!self.in_flight && !self.left).then_some(self.next_request_ms);
        lapse.into_iter().chain(request).min()
    }

    /// True if the addresses of the leader are in the record.
    pub fn is_published(&self, component: &str, address: &str) -> bool {
        let Some(observed) = self.observed.as_ref().filter(|_| self.held.is_some()) else {
            return false;
        };
        observed.record.is_held_by(self.me)
            && observed.record.addresses.get(component).is_some_and(|known| known == address)
    }

    /// Takes an event.
    pub fn on_event(&mut self, now_ms: u64, event: ElectionEvent) -> Vec<ElectionCommand> {
        self.now_ms = now_ms.max(self.now_ms);
        let mut commands = Vec::new();
        if self.left {
            return commands;
        }
        match event {
            ElectionEvent::Tick => {}
            ElectionEvent::Read(found) => {
                self.in_flight = false;
                self.on_read(found, &mut commands);
            }
            ElectionEvent::ReadFailed => {
                self.in_flight = false;
                self.must_read = true;
                self.next_request_ms = self.now_ms + self.options.retry_ms();
            }
            ElectionEvent::Written(version) => {
                self.in_flight = false;
                self.on_written(version, &mut commands);
            }
            ElectionEvent::Conflict => {
                self.in_flight = false;
                self.must_read = true;
                self.next_request_ms = self.now_ms;
            }
            ElectionEvent::WriteUncertain => {
                self.in_flight = false;
                self.must_read = true;
                self.next_request_ms = self.now_ms + self.options.retry_ms() / 2;
            }
            ElectionEvent::Latch(state) => {
                if state != self.latch {
                    self.latch = state;
                    self.look_soon();
                }
            }
            ElectionEvent::Publish { component, address } => {
                match address {
                    Some(address) => self.addresses.insert(component, address),
                    None => self.addresses.remove(&component),
                };
                if self.held.is_some() {
                    self.next_request_ms = self.now_ms;
                }
            }
            ElectionEvent::Leave => {
                self.leaving = true;
                self.next_request_ms = self.now_ms;
            }
        }
        if !self.in_flight && self.now_ms >= self.next_request_ms {
            self.act(&mut commands);
        }
        commands
    }

    fn look_soon(&mut self) {
        self.must_read = true;
        self.next_request_ms = self.now_ms;
    }

    fn on_read(
        &mut self,
        found: Option<(LeaderRecord, RecordVersion)>,
        commands: &mut Vec<ElectionCommand>,
    ) {
        self.must_read = false;
        self.last_answer_ms = Some(self.now_ms);
        // A proposal that is in the record was accepted, though its answer was lost.
        let proposal = self.proposal.take().or(self.doubtful.take());
        let Some((record, version)) = found else {
            self.observed = None;
            self.doubtful = proposal;
            self.revoke(commands);
            return;
        };
        if self.observed.as_ref().is_none_or(|known| known.version != version) {
            let record = record.clone();
            self.observed = Some(Observed { record, version, since_ms: self.now_ms });
        }
        let token = FencingToken(record.token);
        if !record.is_held_by(self.me) || self.held.as_ref().is_some_and(|h| h.token != token) {
            self.revoke(commands);
        }
        let accepted = proposal.as_ref().is_some_and(|sent| sent.record == record);
        let sent_ms = proposal.as_ref().filter(|_| accepted).map(|sent| sent.sent_ms);
        self.doubtful = proposal.filter(|_| !accepted);
        if !record.is_held_by(self.me) {
            return;
        }
        let certain_until_ms = sent_ms.map_or(0, |sent_ms| sent_ms + self.options.lease_ms());
        match &mut self.held {
            Some(held) => held.certain_until_ms = held.certain_until_ms.max(certain_until_ms),
            None => {
                self.held = Some(Held { token, certain_until_ms });
                commands.push(ElectionCommand::Grant(token));
            }
        }
    }

    fn on_written(&mut self, version: RecordVersion, commands: &mut Vec<ElectionCommand>) {
        self.last_answer_ms = Some(self.now_ms);
        let Some(Proposal { record, sent_ms }) = self.proposal.take() else {
            self.look_soon();
            return;
        };
        let token = FencingToken(record.token);
        let certain_until_ms = sent_ms + self.options.lease_ms();
        if !record.is_held_by(self.me) {
            self.revoke(commands);
        } else if let Some(held) = &mut self.held {
            held.certain_until_ms = certain_until_ms;
        } else {
            self.held = Some(Held { token, certain_until_ms });
            commands.push(ElectionCommand::Grant(token));
        }
        self.observed = Some(Observed { record, version, since_ms: self.now_ms });
        self.next_request_ms = self.now_ms;
    }

    fn revoke(&mut self, commands: &mut Vec<ElectionCommand>) {
        if let Some(held) = self.held.take() {
            commands.push(ElectionCommand::Revoke(held.token));
            // They were those of the leadership that has ended.
            self.addresses.clear();
        }
    }

    /// Nothing is under way and it is time: asks, writes, or sets the time of the next look.
    fn act(&mut self, commands: &mut Vec<ElectionCommand>) {
        if self.leaving && self.held.is_none() && self.proposal.is_none() {
            self.left = true;
            commands.push(ElectionCommand::Left);
            return;
        }
        if self.must_read || self.look_is_due() {
            self.in_flight = true;
            commands.push(ElectionCommand::Read);
            return;
        }
        if let Some(record) = self.next_record() {
            let precondition = match &self.observed {
                Some(observed) => Precondition::Unchanged(observed.version.clone()),
                None => Precondition::Absent,
            };
            // The same write may have been sent before, and be the one that is carried out.
            let before = self.doubtful.take().filter(|sent| sent.record == record);
            let sent_ms = before.map_or(self.now_ms, |sent| sent.sent_ms);
            self.in_flight = true;
            self.proposal = Some(Proposal { record: record.clone(), sent_ms });
            commands.push(ElectionCommand::Write(record, precondition));
            return;
        }
        self.next_request_ms = self.next_look_ms();
    }

    /// Those who do not write must read now and then.
    fn look_is_due(&self) -> bool {
        let writes = self.held.is_some() && self.rule == TakeoverRule::Lease;
        let due = |at: u64| self.now_ms >= at + self.options.retry_ms();
        !writes && self.last_answer_ms.is_none_or(due)
    }

    fn next_look_ms(&self) -> u64 {
        let look = self.last_answer_ms.unwrap_or(self.now_ms) + self.options.retry_ms();
        let next = match (&self.held, self.rule) {
            (Some(held), TakeoverRule::Lease) => {
                // The lease counts from when its write was sent, and so do renewals.
                let sent_ms = held.certain_until_ms.saturating_sub(self.options.lease_ms());
                sent_ms + self.options.renew_ms()
            }
            (None, TakeoverRule::Lease) => {
                look.min(self.observed.as_ref().map_or(look, |seen| self.silent_at_ms(seen)))
            }
            (_, TakeoverRule::Latch) => look,
        };
        next.max(self.now_ms + 1)
    }

    /// When the holder of a record will have been silent for too long. The margin is for clocks
    /// of which one runs slower than the other.
    fn silent_at_ms(&self, seen: &Observed) -> u64 {
        seen.since_ms + seen.record.lease_ms + seen.record.lease_ms / 8
    }

    /// The record to be written now, if any.
    fn next_record(&self) -> Option<LeaderRecord> {
        match &self.held {
            Some(held) => self.next_record_as_leader(held),
            None if self.leaving => None,
            None => self.next_record_as_contender(),
        }
    }

    fn next_record_as_leader(&self, held: &Held) -> Option<LeaderRecord> {
        let Observed { record, .. } = self.observed.as_ref()?;
        let renewal = record.renewal + 1;
        if self.leaving {
            let record = LeaderRecord { renewal, holder: None, ..record.clone() };
            return Some(LeaderRecord { addresses: BTreeMap::new(), ..record });
        }
        let sent_ms = held.certain_until_ms.saturating_sub(self.options.lease_ms());
        let is_due =
            self.rule == TakeoverRule::Lease && self.now_ms >= sent_ms + self.options.renew_ms();
        (is_due || record.addresses != self.addresses).then(|| LeaderRecord {
            renewal,
            addresses: self.addresses.clone(),
            lease_ms: self.options.lease_ms(),
            ..record.clone()
        })
    }

    fn next_record_as_contender(&self) -> Option<LeaderRecord> {
        if self.rule == TakeoverRule::Latch && !(self.latch.first && self.latch.connected) {
            return None;
        }
        let token = match &self.observed {
            None => self.may_create.then_some(1)?,
            Some(seen) => {
                let free = seen.record.holder.is_none()
                    || self.rule == TakeoverRule::Latch
                    || self.now_ms >= self.silent_at_ms(seen);
                free.then_some(seen.record.token + 1)?
            }
        };
        Some(LeaderRecord {
            token,
            renewal: 0,
            holder: Some(self.me.to_string()),
            lease_ms: self.options.lease_ms(),
            addresses: BTreeMap::new(),
        })
    }
}

#[cfg(test)]
mod tests;
