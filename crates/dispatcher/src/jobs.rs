//! The jobs of a Dispatcher and what is to be done for them. Pure.
//!
//! ```text
//! storing --> launching --> running --(ended)--> ending --> ended
//!                ^  |          |
//!                |  +--(lost)--+--> pausing --(too often)--> ending, as FAILED
//!                +-----------------------+
//! ```
//! - A job is launched once it is stored: from then on it runs to its end, whoever leads.
//! - Every launch has a fencing token of its own, higher than all before, also those of earlier
//!   leaders: the leader's token stands in front. News of another launch change nothing.
//! - A JobMaster that is lost is launched again after a pause that grows with each loss. One that
//!   was there for long enough begins anew with the shortest.
//! - A user's cancellation is repeated to the JobMaster that comes after a lost one.

use std::collections::{BTreeMap, VecDeque};

use hurtig_cluster_api::FencingToken;
use hurtig_types::JobId;

/// Which ended jobs are remembered: `jobstore.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobStoreOptions {
    /// Most of them; the oldest are forgotten first.
    pub max_capacity: usize,
    /// For so long at most, in milliseconds.
    pub expiration_ms: u64,
}

impl Default for JobStoreOptions {
    fn default() -> Self {
        Self { max_capacity: 256, expiration_ms: 3_600_000 }
    }
}

impl JobStoreOptions {
    /// True if what has ended then is not remembered any more.
    pub(crate) fn has_expired(&self, ended_ms: i64, now_ms: i64) -> bool {
        now_ms >= ended_ms.saturating_add_unsigned(self.expiration_ms)
    }
}
/// Losses in a row after which a job fails.
const MOST_LOSSES: u32 = 10;
/// First and longest pause before a JobMaster is launched again.
const PAUSES_MS: (u64, u64) = (50, 10_000);
/// A JobMaster that was there for this long is no bad start.
const STABLE_MS: i64 = 60_000;
/// Bits of a token that count the launches of one leader.
const LAUNCH_BITS: u32 = 24;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Storing,
    Launching,
    Running,
    Pausing,
    Ending,
    Ended,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JobCommand {
    Store(JobId),
    /// End what is left of the JobMaster before, and launch one.
    Launch(JobId, FencingToken),
    /// Call `on_pause_over` after so many milliseconds.
    Pause(JobId, u64),
    /// Tell the JobMaster that a user cancels.
    Cancel(JobId),
    /// Store that the job has failed for that reason.
    Fail(JobId, String),
    /// Store the result that its JobMaster gave.
    End(JobId),
    /// Nothing more is known of it.
    Forget(JobId),
}

#[derive(Debug)]
struct Entry {
    phase: Phase,
    token: FencingToken,
    losses: u32,
    launched_ms: i64,
    cancelled: bool,
}

/// All jobs.
#[derive(Debug)]
pub(crate) struct JobTable {
    jobs: BTreeMap<JobId, Entry>,
    /// With the times at which they were cleaned up.
    ended: VecDeque<(JobId, i64)>,
    store: JobStoreOptions,
    leader: FencingToken,
    launches: u64,
}

impl JobTable {
    /// No jobs yet, under the leader of that token.
    pub(crate) fn new(leader: FencingToken, store: JobStoreOptions) -> Self {
        Self { jobs: BTreeMap::new(), ended: VecDeque::new(), store, leader, launches: 0 }
    }

    pub(crate) fn phase(&self, job: JobId) -> Option<Phase> {
        self.jobs.get(&job).map(|entry| entry.phase)
    }

    /// Number of jobs that have not ended.
    pub(crate) fn running(&self) -> usize {
        self.jobs.values().filter(|entry| entry.phase != Phase::Ended).count()
    }

    pub(crate) fn jobs(&self) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.keys().copied()
    }

    /// A token that was never used.
    pub(crate) fn next_token(&mut self) -> FencingToken {
        self.launches += 1;
        FencingToken((self.leader.0 << LAUNCH_BITS) | self.launches)
    }

    fn add(&mut self, job: JobId, phase: Phase) {
        let entry =
            Entry { phase, token: FencingToken(0), losses: 0, launched_ms: 0, cancelled: false };
        self.jobs.insert(job, entry);
    }

    /// A user submits a job; `None` if it is known.
    pub(crate) fn on_submitted(&mut self, job: JobId) -> Option<JobCommand> {
        if self.jobs.contains_key(&job) {
            return None;
        }
        self.add(job, Phase::Storing);
        Some(JobCommand::Store(job))
    }

    /// An earlier leader has left a job that has not ended.
    pub(crate) fn on_recovered(&mut self, job: JobId) -> Vec<JobCommand> {
        self.add(job, Phase::Storing);
        self.on_stored(job)
    }

    /// An earlier leader has left a job that is to be cleaned up, or is damaged.
    pub(crate) fn on_recovered_ending(&mut self, job: JobId) {
        self.add(job, Phase::Ending);
    }

    /// A job is stored.
    pub(crate) fn on_stored(&mut self, job: JobId) -> Vec<JobCommand> {
        self.launch(job, Phase::Storing)
    }

    /// A job could not be stored.
    pub(crate) fn on_refused(&mut self, job: JobId) {
        self.jobs.remove(&job);
    }

    fn launch(&mut self, job: JobId, from: Phase) -> Vec<JobCommand> {
        if self.phase(job) != Some(from) {
            return Vec::new();
        }
        let token = self.next_token();
        if let Some(entry) = self.jobs.get_mut(&job) {
            entry.phase = Phase::Launching;
            entry.token = token;
        }
        vec![JobCommand::Launch(job, token)]
    }

    fn of_launch(&mut self, job: JobId, token: FencingToken) -> Option<&mut Entry> {
        let entry = self.jobs.get_mut(&job)?;
        let current = entry.token == token;
        (current && matches!(entry.phase, Phase::Launching | Phase::Running)).then_some(entry)
    }

    /// A JobMaster is there.
    pub(crate) fn on_launched(
        &mut self,
        job: JobId,
        token: FencingToken,
        now_ms: i64,
    ) -> Option<Vec<JobCommand>> {
        let entry = self.of_launch(job, token)?;
        entry.phase = Phase::Running;
        entry.launched_ms = now_ms;
        Some(if entry.cancelled { vec![JobCommand::Cancel(job)] } else { Vec::new() })
    }

    /// A JobMaster is gone, or could not be launched. `forever`: nor ever will be.
    pub(crate) fn on_lost(
        &mut self,
        job: JobId,
        token: FencingToken,
        reason: &str,
        forever: bool,
        now_ms: i64,
    ) -> Vec<JobCommand> {
        let Some(entry) = self.of_launch(job, token) else { return Vec::new() };
        if entry.phase == Phase::Running && now_ms - entry.launched_ms >= STABLE_MS {
            entry.losses = 0;
        }
        entry.losses += 1;
        let losses = entry.losses;
        if forever || losses > MOST_LOSSES {
            entry.phase = Phase::Ending;
            let times =
                if losses > 1 { format!(" {losses} times in a row") } else { String::new() };
            let reason = format!("its JobMaster was lost{times}, at last: {reason}");
            return vec![JobCommand::Fail(job, reason)];
        }
        entry.phase = Phase::Pausing;
        let (first, longest) = PAUSES_MS;
        let pause = first.saturating_mul(1 << (losses - 1)).min(longest);
        vec![JobCommand::Pause(job, pause)]
    }

    /// A pause is over.
    pub(crate) fn on_pause_over(&mut self, job: JobId) -> Vec<JobCommand> {
        self.launch(job, Phase::Pausing)
    }

    /// A JobMaster says that the job has ended. True if it may.
    pub(crate) fn on_ended(&mut self, job: JobId, token: FencingToken) -> Vec<JobCommand> {
        match self.of_launch(job, token) {
            Some(entry) => {
                entry.phase = Phase::Ending;
                vec![JobCommand::End(job)]
            }
            None => Vec::new(),
        }
    }

    /// A user cancels.
    pub(crate) fn on_cancel(&mut self, job: JobId) -> Vec<JobCommand> {
        match self.jobs.get_mut(&job) {
            Some(entry) => {
                entry.cancelled = true;
                let running = entry.phase == Phase::Running;
                if running { vec![JobCommand::Cancel(job)] } else { Vec::new() }
            }
            None => Vec::new(),
        }
    }

    /// The result is stored, and the job cleaned up.
    pub(crate) fn on_clean(&mut self, job: JobId, now_ms: i64) -> Vec<JobCommand> {
        match self.jobs.get_mut(&job) {
            Some(entry) if entry.phase == Phase::Ending => entry.phase = Phase::Ended,
            _ => return Vec::new(),
        }
        self.ended.push_back((job, now_ms));
        self.forget(now_ms)
    }

    /// Forgets jobs that ended long ago, and those that are too many.
    pub(crate) fn forget(&mut self, now_ms: i64) -> Vec<JobCommand> {
        let mut commands = Vec::new();
        while let Some((oldest, ended_ms)) = self.ended.front().copied()
            && (self.ended.len() > self.store.max_capacity
                || self.store.has_expired(ended_ms, now_ms))
        {
            self.ended.pop_front();
            self.jobs.remove(&oldest);
            commands.push(JobCommand::Forget(oldest));
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId(7);

    fn table() -> JobTable {
        JobTable::new(FencingToken(3), JobStoreOptions::default())
    }

    fn running(table: &mut JobTable, now_ms: i64) -> FencingToken {
        let commands = match table.phase(JOB) {
            None => {
                assert_eq!(table.on_submitted(JOB), Some(JobCommand::Store(JOB)));
                table.on_stored(JOB)
            }
            Some(_) => table.on_pause_over(JOB),
        };
        let [JobCommand::Launch(JOB, token)] = commands[..] else { panic!("{commands:?}") };
        assert!(table.on_launched(JOB, token, now_ms).is_some());
        token
    }

    #[test]
    fn a_lost_job_master_is_launched_again_with_the_next_token() {
        let mut table = table();
        let first = running(&mut table, 0);
        assert_eq!(table.on_submitted(JOB), None);
        assert_eq!(table.on_lost(JOB, first, "gone", false, 1), [JobCommand::Pause(JOB, 50)]);
        let second = running(&mut table, 60);
        assert!(second > first);
        assert!(table.on_lost(JOB, first, "late news", false, 61).is_empty());
        assert!(table.on_ended(JOB, first).is_empty());
        assert_eq!(table.on_ended(JOB, second), [JobCommand::End(JOB)]);
        assert!(table.on_lost(JOB, second, "behind its end", false, 62).is_empty());
        assert!(table.on_clean(JOB, 63).is_empty());
        assert_eq!(table.phase(JOB), Some(Phase::Ended));
    }

    #[test]
    fn tokens_of_a_later_leader_are_higher() {
        let (mut earlier, mut later) = (table(), table());
        later.leader = FencingToken(4);
        let many = (0..100).map(|_| earlier.next_token()).max();
        assert!(many < Some(later.next_token()));
    }

    #[test]
    fn losses_in_a_row_are_bounded_and_pauses_grow() {
        let mut table = table();
        let mut pauses = Vec::new();
        for now_ms in 0.. {
            let token = running(&mut table, now_ms);
            match &table.on_lost(JOB, token, "gone", false, now_ms)[..] {
                [JobCommand::Pause(JOB, pause)] => pauses.push(*pause),
                [JobCommand::Fail(JOB, reason)] => {
                    assert_eq!(reason, "its JobMaster was lost 11 times in a row, at last: gone");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(table.phase(JOB), Some(Phase::Ending));
    }

    #[test]
    fn one_that_was_there_for_long_begins_anew_with_the_shortest_pause() {
        let mut table = table();
        let token = running(&mut table, 0);
        table.on_lost(JOB, token, "gone", false, 1);
        let token = running(&mut table, 100);
        let commands = table.on_lost(JOB, token, "gone", false, 100 + STABLE_MS);
        assert_eq!(commands, [JobCommand::Pause(JOB, 50)]);
    }

    #[test]
    fn a_cancellation_is_repeated_to_the_next_job_master() {
        let mut table = table();
        let token = running(&mut table, 0);
        assert_eq!(table.on_cancel(JOB), [JobCommand::Cancel(JOB)]);
        table.on_lost(JOB, token, "gone", false, 1);
        assert!(table.on_cancel(JOB).is_empty());
        let [JobCommand::Launch(_, token)] = table.on_pause_over(JOB)[..] else { panic!() };
        assert_eq!(table.on_launched(JOB, token, 2), Some(vec![JobCommand::Cancel(JOB)]));
    }

    #[test]
    fn ended_jobs_are_forgotten_when_they_are_old_or_too_many() {
        let store = JobStoreOptions { max_capacity: 2, expiration_ms: 100 };
        let mut table = JobTable::new(FencingToken(3), store);
        let ends = |table: &mut JobTable, number: u128, now_ms: i64| {
            table.on_recovered_ending(JobId(number));
            table.on_clean(JobId(number), now_ms)
        };
        assert!(ends(&mut table, 1, 10).is_empty() && ends(&mut table, 2, 20).is_empty());
        assert_eq!(ends(&mut table, 3, 30), [JobCommand::Forget(JobId(1))]);
        assert!(table.forget(119).is_empty());
        assert_eq!(table.forget(120), [JobCommand::Forget(JobId(2))]);
        assert_eq!((table.phase(JobId(2)), table.phase(JobId(3))), (None, Some(Phase::Ended)));
    }

    #[test]
    fn what_can_never_be_launched_fails_at_once() {
        let mut table = table();
        table.on_submitted(JOB);
        let [JobCommand::Launch(_, token)] = table.on_stored(JOB)[..] else { panic!() };
        let commands = table.on_lost(JOB, token, "no code", true, 0);
        let reason = "its JobMaster was lost, at last: no code".to_owned();
        assert_eq!(commands, [JobCommand::Fail(JOB, reason)]);
    }
}
