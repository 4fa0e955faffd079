//! Elastic jobs as scripts: slots come and go, the parallelism follows.

use expect_test::{Expect, expect};
use hurtig_cluster_api::{
    ExecutionState, FailureClass, FailureInfo, JobResourceRequirements, JobStatus,
    ParallelismBounds, PeerAddress, SlotId, SlotOffer, TaskIoMetrics, TaskStateUpdate,
};
use hurtig_graph::{AdaptiveConfig, DistributionPattern, RestartStrategyConfig};
use hurtig_types::{AllocationId, JobVertexId, ResourceId};

use crate::{Command, JobScheduler, SchedulerTimer, tests::job};

/// Two vertices of up to 4 subtasks. Slots have the number of their TaskExecutor in the tens.
fn elastic(config: AdaptiveConfig) -> JobScheduler {
    let restart = RestartStrategyConfig::FixedDelay { attempts: 3, delay_ms: 10 };
    let mut graph = job(DistributionPattern::AllToAll, restart);
    for vertex in &mut graph.vertices {
        vertex.parallelism = 4;
    }
    graph.config.adaptive = Some(config);
    JobScheduler::new(graph, 1, 0)
}

fn quick() -> AdaptiveConfig {
    AdaptiveConfig {
        submission_stabilization_ms: 100,
        cooldown_ms: 1_000,
        executing_stabilization_ms: 500,
        resource_wait_timeout_ms: Some(5_000),
        ..AdaptiveConfig::default()
    }
}

struct Script {
    scheduler: JobScheduler,
    now_ms: i64,
    timers: Vec<(i64, SchedulerTimer)>,
    log: String,
}

impl Script {
    fn new(config: AdaptiveConfig) -> Self {
        let scheduler = elastic(config);
        let mut script = Self { scheduler, now_ms: 0, timers: Vec::new(), log: String::new() };
        let commands = script.scheduler.start(0);
        script.take(commands);
        script
    }

    /// Notes what is to be done, and does it: tasks run as soon as they are deployed, and end as
    /// soon as they are cancelled.
    fn take(&mut self, commands: Vec<Command>) {
        let mut deployed: Vec<(u128, u32, u32)> = Vec::new();
        let mut updates = Vec::new();
        for command in commands {
            match command {
                Command::DeclareSlots(slots) => self.note(format!("declares {slots} slots")),
                Command::ReturnSlot(offer) => {
                    self.note(format!("returns slot {}", offer.allocation.0));
                }
                Command::Rescaled => self.note("starts from the latest checkpoint".to_owned()),
                Command::Deploy(deployment) => {
                    let attempt = deployment.attempt;
                    match deployed.last_mut() {
                        Some((vertex, count, _)) if *vertex == attempt.vertex.0 => *count += 1,
                        _ => deployed.push((attempt.vertex.0, 1, attempt.attempt)),
                    }
                    updates.push((attempt, ExecutionState::Initializing));
                    updates.push((attempt, ExecutionState::Running));
                }
                Command::Cancel { attempt, .. } => {
                    updates.push((attempt, ExecutionState::Canceled));
                }
                Command::SetTimer(timer, delay_ms) => {
                    self.timers.push((self.now_ms.saturating_add_unsigned(delay_ms), timer));
                }
                Command::StatusChanged(status) => self.note(format!("{status:?}")),
                Command::ResetSubtask { .. } => panic!("an elastic job starts as a whole"),
                Command::Ended => {}
            }
        }
        for (vertex, count, attempt) in deployed {
            self.note(format!("deploys {count} subtasks of v{vertex} in attempt {attempt}"));
        }
        for (attempt, state) in updates {
            self.report(attempt, state);
        }
    }

    fn note(&mut self, what: String) {
        self.log.push_str(&format!("@{} {what}\n", self.now_ms));
    }

    fn report(&mut self, attempt: hurtig_types::ExecutionAttemptId, state: ExecutionState) {
        let failure = (state == ExecutionState::Failed).then(|| FailureInfo {
            class: FailureClass::User,
            message: "boom".into(),
            task: None,
            timestamp_ms: self.now_ms,
        });
        let (metrics, accumulators) = (TaskIoMetrics::default(), Default::default());
        let update = TaskStateUpdate { attempt, state, failure, metrics, accumulators };
        let commands = self.scheduler.on_task_state(update, self.now_ms);
        self.take(commands);
    }

    /// Lets timers fire until then.
    fn until(&mut self, then_ms: i64) -> &mut Self {
        while let Some(next) = (0..self.timers.len())
            .filter(|i| self.timers[*i].0 <= then_ms)
            .min_by_key(|i| self.timers[*i].0)
        {
            let (at_ms, timer) = self.timers.remove(next);
            self.now_ms = self.now_ms.max(at_ms);
            let commands = self.scheduler.on_timer(timer, self.now_ms);
            self.take(commands);
        }
        self.now_ms = then_ms;
        self
    }

    fn offer(&mut self, allocations: &[u128]) -> &mut Self {
        for allocation in allocations {
            let resource = ResourceId(allocation / 10);
            let slot = SlotId { resource, index: (allocation % 10) as u32 };
            let offer = SlotOffer { allocation: AllocationId(*allocation), slot };
            let address = PeerAddress { resource, address: "here".into() };
            let (accepted, commands) =
                self.scheduler.on_slots_offered(&[offer], &address, self.now_ms);
            if accepted.is_empty() {
                self.note(format!("refuses slot {allocation}"));
            }
            self.take(commands);
        }
        self
    }

    fn lose(&mut self, resource: u128) -> &mut Self {
        let commands = self.scheduler.on_resource_lost(ResourceId(resource), "gone", self.now_ms);
        self.take(commands);
        self
    }

    fn checkpoint(&mut self, completed: bool) -> &mut Self {
        let commands = self.scheduler.on_checkpoint_ended(completed, self.now_ms);
        self.take(commands);
        self
    }

    fn ask(&mut self, lower: u32, upper: u32) -> Result<(), String> {
        let bounds = ParallelismBounds { lower_bound: lower, upper_bound: upper };
        let vertices = [1, 2].map(|id| (JobVertexId(id), bounds)).into();
        let asked = JobResourceRequirements { vertices };
        let commands = self.scheduler.update_requirements(&asked, self.now_ms)?;
        assert_eq!(self.scheduler.requirements(), Some(asked));
        self.take(commands);
        Ok(())
    }

    fn check(&mut self, expected: Expect) -> &mut Self {
        expected.assert_eq(&self.log);
        self.log.clear();
        self
    }
}

#[test]
fn it_starts_at_once_with_all_slots_and_after_a_while_with_fewer() {
    Script::new(quick()).until(5).offer(&[10, 11, 20, 21]).check(expect![[r#"
        @0 declares 4 slots
        @5 starts from the latest checkpoint
        @5 Running
        @5 deploys 4 subtasks of v1 in attempt 0
        @5 deploys 4 subtasks of v2 in attempt 0
    "#]]);
    Script::new(quick()).until(5).offer(&[10, 11]).until(200).check(expect![[r#"
        @0 declares 4 slots
        @105 starts from the latest checkpoint
        @105 Running
        @105 deploys 2 subtasks of v1 in attempt 0
        @105 deploys 2 subtasks of v2 in attempt 0
    "#]]);
}

#[test]
fn slots_that_come_are_used_after_the_cooldown_and_those_that_go_are_done_without() {
    let mut script = Script::new(quick());
    script.offer(&[10, 11]).until(200).check(expect![[r#"
        @0 declares 4 slots
        @100 starts from the latest checkpoint
        @100 Running
        @100 deploys 2 subtasks of v1 in attempt 0
        @100 deploys 2 subtasks of v2 in attempt 0
    "#]]);
    script.offer(&[20, 21]).until(900).check(expect![[r#""#]]);
    script.until(1_300).check(expect![[r#"
        @1100 Restarting
        @1100 starts from the latest checkpoint
        @1100 Running
        @1100 deploys 4 subtasks of v1 in attempt 1
        @1100 deploys 4 subtasks of v2 in attempt 1
    "#]]);
    script.until(2_000).lose(1).until(2_300).check(expect![[r#"
        @2000 Restarting
        @2110 starts from the latest checkpoint
        @2110 Running
        @2110 deploys 2 subtasks of v1 in attempt 2
        @2110 deploys 2 subtasks of v2 in attempt 2
    "#]]);
    assert_eq!((script.scheduler.restarts(), script.scheduler.rescales()), (1, 1));
}

#[test]
fn a_change_waits_for_a_checkpoint() {
    let config = AdaptiveConfig { cooldown_ms: 0, max_trigger_delay_ms: Some(60_000), ..quick() };
    let mut script = Script::new(config.clone());
    script.offer(&[10, 11]).until(200).offer(&[20]).until(5_000);
    script.log.clear();
    script.checkpoint(true).check(expect![[r#"
        @5000 Restarting
        @5000 starts from the latest checkpoint
        @5000 Running
        @5000 deploys 3 subtasks of v1 in attempt 1
        @5000 deploys 3 subtasks of v2 in attempt 1
    "#]]);
    // Or for as many failed ones as are accepted.
    let mut script = Script::new(config);
    script.offer(&[10, 11]).until(200).offer(&[20]).until(5_000);
    script.log.clear();
    script.checkpoint(false).check(expect![""]);
    script.checkpoint(false).check(expect![[r#"
        @5000 Restarting
        @5000 starts from the latest checkpoint
        @5000 Running
        @5000 deploys 3 subtasks of v1 in attempt 1
        @5000 deploys 3 subtasks of v2 in attempt 1
    "#]]);
}

#[test]
fn a_gain_that_is_too_small_is_not_worth_a_restart() {
    let config = AdaptiveConfig { cooldown_ms: 0, min_parallelism_increase: 4, ..quick() };
    let mut script = Script::new(config);
    script.offer(&[10, 11]).until(200);
    script.log.clear();
    script.offer(&[20]).until(5_000).check(expect![""]);
    script.offer(&[21]).until(6_000).check(expect![[r#"
        @5000 Restarting
        @5000 starts from the latest checkpoint
        @5000 Running
        @5000 deploys 4 subtasks of v1 in attempt 1
        @5000 deploys 4 subtasks of v2 in attempt 1
    "#]]);
}

#[test]
fn it_says_what_is_missing_when_its_patience_ends() {
    let mut script = Script::new(quick());
    script.ask(3, 4).unwrap();
    script.offer(&[10, 11]).until(4_999);
    assert_eq!(script.scheduler.status(), JobStatus::Created);
    script.scheduler.on_not_enough_slots(2);
    script.until(5_000);
    assert_eq!(script.scheduler.status(), JobStatus::Failed);
    let message = &script.scheduler.root_failure().unwrap().message;
    expect![[r#"1 of 3 slots are missing after 5000 ms (jobmanager.adaptive-scheduler.submission.resource-wait-timeout): needed: 3, offered: 2, the ResourceManager has 2 for this job and no more. Start more TaskManagers, give them more slots (taskmanager.numberOfTaskSlots), or lower the parallelism"#]].assert_eq(message);
}

#[test]
fn requirements_can_be_changed_while_it_runs() {
    let mut script = Script::new(AdaptiveConfig { cooldown_ms: 0, ..quick() });
    script.offer(&[10, 11, 20, 21]).until(100);
    script.log.clear();
    script.ask(1, 2).unwrap();
    script.until(60_000).check(expect![[r#"
        @100 declares 2 slots
        @100 Restarting
        @100 starts from the latest checkpoint
        @100 Running
        @100 deploys 2 subtasks of v1 in attempt 1
        @100 deploys 2 subtasks of v2 in attempt 1
        @50100 declares 2 slots
        @50100 returns slot 10
        @50100 returns slot 11
    "#]]);
    script.ask(1, 3).unwrap();
    script.until(60_010).offer(&[22]).until(61_000).check(expect![[r#"
        @60000 declares 3 slots
        @60010 Restarting
        @60010 starts from the latest checkpoint
        @60010 Running
        @60010 deploys 3 subtasks of v1 in attempt 2
        @60010 deploys 3 subtasks of v2 in attempt 2
    "#]]);
    let refused = |lower, upper, script: &mut Script| script.ask(lower, upper).unwrap_err();
    expect![[r#"bounds 2 to 1 of vertex "v1" are not in order: the lower one must be at least 1 and at most the upper one"#]].assert_eq(&refused(2, 1, &mut script));
    expect![[r#"vertex "v1" cannot have parallelism 129: 128 at most"#]].assert_eq(&refused(
        1,
        129,
        &mut script,
    ));
}

#[test]
fn reactive_mode_takes_every_slot_and_cannot_be_told_otherwise() {
    let mut script = Script::new(AdaptiveConfig { cooldown_ms: 0, ..AdaptiveConfig::reactive() });
    script.check(expect![[r#"
        @0 declares 128 slots
    "#]]);
    script.until(1_000_000).offer(&[10]).until(1_000_001).check(expect![[r#"
        @1000000 starts from the latest checkpoint
        @1000000 Running
        @1000000 deploys 1 subtasks of v1 in attempt 0
        @1000000 deploys 1 subtasks of v2 in attempt 0
    "#]]);
    script.offer(&[11, 12, 13, 14]).until(1_000_100).check(expect![[r#"
        @1000001 Restarting
        @1000001 starts from the latest checkpoint
        @1000001 Running
        @1000001 deploys 2 subtasks of v1 in attempt 1
        @1000001 deploys 2 subtasks of v2 in attempt 1
        @1000001 Restarting
        @1000001 starts from the latest checkpoint
        @1000001 Running
        @1000001 deploys 3 subtasks of v1 in attempt 2
        @1000001 deploys 3 subtasks of v2 in attempt 2
        @1000001 Restarting
        @1000001 starts from the latest checkpoint
        @1000001 Running
        @1000001 deploys 4 subtasks of v1 in attempt 3
        @1000001 deploys 4 subtasks of v2 in attempt 3
        @1000001 Restarting
        @1000001 starts from the latest checkpoint
        @1000001 Running
        @1000001 deploys 5 subtasks of v1 in attempt 4
        @1000001 deploys 5 subtasks of v2 in attempt 4
    "#]]);
    expect![
        "a job in reactive mode takes every slot: it has no requirements that could be changed"
    ]
    .assert_eq(&script.ask(1, 2).unwrap_err());
}

#[test]
fn a_job_that_waits_can_be_cancelled() {
    let mut script = Script::new(quick());
    let commands = script.scheduler.cancel(1);
    script.take(commands);
    script.offer(&[10, 11, 12, 13]).until(10_000).check(expect![[r#"
        @0 declares 4 slots
        @0 Cancelling
        @0 Canceled
        @0 refuses slot 10
        @0 refuses slot 11
        @0 refuses slot 12
        @0 refuses slot 13
    "#]]);
}

#[test]
fn failures_that_are_too_many_end_it() {
    let mut script = Script::new(quick());
    script.offer(&[10, 11, 12, 13]);
    for round in 1..=4 {
        let attempt = script.scheduler.graph().execution(3).attempt;
        script.report(attempt, ExecutionState::Failed);
        script.until(round * 100);
    }
    script.check(expect![[r#"
        @0 declares 4 slots
        @0 starts from the latest checkpoint
        @0 Running
        @0 deploys 4 subtasks of v1 in attempt 0
        @0 deploys 4 subtasks of v2 in attempt 0
        @0 Restarting
        @10 starts from the latest checkpoint
        @10 Running
        @10 deploys 4 subtasks of v1 in attempt 1
        @10 deploys 4 subtasks of v2 in attempt 1
        @100 Restarting
        @110 starts from the latest checkpoint
        @110 Running
        @110 deploys 4 subtasks of v1 in attempt 2
        @110 deploys 4 subtasks of v2 in attempt 2
        @200 Restarting
        @210 starts from the latest checkpoint
        @210 Running
        @210 deploys 4 subtasks of v1 in attempt 3
        @210 deploys 4 subtasks of v2 in attempt 3
        @300 Failing
        @300 Failed
    "#]]);
}
