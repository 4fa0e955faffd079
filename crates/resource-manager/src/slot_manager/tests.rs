//! Scripts: one event per line, what follows from it behind it.
//!
//! ```text
//! @100 register 1 2        TaskExecutor 1 with 2 slots, at 100 ms
//! report 1 - j7:3          its slots: the first free, the second job 7's by grant 3
//! require 7 3              job 7 declares 3 slots
//! accept 3 | refuse 3      the answer to the request of grant 3
//! free 3                   the slot of grant 3 is freed
//! lose 1 | ended w1        TaskExecutor 1 is gone; worker 1 has ended
//! started w1 2             worker 1 registers with 2 slots
//! time                     nothing but time
//! ```

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use hurtig_cluster_api::SlotStatus;
use proptest::prelude::*;

use super::*;

const SEED: u64 = 5;

struct Script {
    manager: SlotManager,
    now_ms: i64,
    grants: BTreeMap<u64, (SlotId, JobId)>,
}

fn grant(number: u64) -> AllocationId {
    AllocationId((u128::from(SEED) << 64) | u128::from(number))
}

fn worker(number: u64) -> ResourceId {
    ResourceId((u128::from(SEED) << 64) | (1 << 63) | u128::from(number))
}

fn name(resource: ResourceId) -> String {
    match resource.0 as u64 {
        number if number >> 63 == 1 => format!("w{}", number & (u64::MAX >> 1)),
        number => number.to_string(),
    }
}

impl Script {
    fn new(config: SlotManagerConfig, can_start: bool) -> Self {
        let manager = SlotManager::new(config, SEED, can_start, 0);
        Self { manager, now_ms: 0, grants: BTreeMap::new() }
    }

    fn resource(text: &str) -> ResourceId {
        match text.strip_prefix('w') {
            Some(number) => worker(number.parse().unwrap()),
            None => ResourceId(text.parse().unwrap()),
        }
    }

    fn report(resource: ResourceId, slots: &[&str]) -> SlotReport {
        let status = |(index, text): (usize, &&str)| {
            let slot = SlotId { resource, index: index as u32 };
            let allocated = text.strip_prefix('j').map(|owner| {
                let (job, number) = owner.split_once(':').unwrap();
                (grant(number.parse().unwrap()), JobId(job.parse().unwrap()))
            });
            SlotStatus { slot, allocated }
        };
        SlotReport { slots: slots.iter().enumerate().map(status).collect() }
    }

    fn line(&mut self, line: &str) -> Vec<SlotCommand> {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        if let Some(at) = words[0].strip_prefix('@') {
            self.now_ms = at.parse().unwrap();
            words.remove(0);
        }
        let (now, manager) = (self.now_ms, &mut self.manager);
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        match words[0] {
            "register" | "started" => {
                let resource = Self::resource(words[1]);
                let free = vec!["-"; number(2) as usize];
                match manager.on_registered(resource, &Self::report(resource, &free), now) {
                    Ok(commands) => commands,
                    Err(reason) => panic!("refused: {reason}"),
                }
            }
            "report" => {
                let resource = Self::resource(words[1]);
                manager.on_report(resource, &Self::report(resource, &words[2..]), now)
            }
            "require" => manager.on_required(JobId(number(1).into()), number(2) as u32, now),
            "accept" | "refuse" => {
                let (slot, job) = self.grants[&number(1)];
                manager.on_answer(slot, job, grant(number(1)), words[0] == "accept", now)
            }
            "free" => manager.on_free(self.grants[&number(1)].0, grant(number(1)), now),
            "lose" => manager.on_lost(Self::resource(words[1]), now),
            "ended" => manager.on_worker_ended(Self::resource(words[1]), now),
            "time" => manager.on_time(now),
            other => panic!("{other}"),
        }
    }

    fn run(&mut self, script: &str) -> String {
        let mut text = String::new();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let commands = self.line(line);
            text.push_str(line);
            for command in commands {
                text.push_str(&match command {
                    SlotCommand::Allocate { slot, job, allocation } => {
                        let number = allocation.0 as u64;
                        self.grants.insert(number, (slot, job));
                        format!(" | {number}: {}/{} -> j{}", name(slot.resource), slot.index, job.0)
                    }
                    SlotCommand::NotEnough { job, available } => {
                        format!(" | only {available} for j{}", job.0)
                    }
                    SlotCommand::StartWorker(worker) => format!(" | start {}", name(worker)),
                    SlotCommand::StopWorker { worker, reason } => {
                        format!(" | stop {}: {reason}", name(worker))
                    }
                });
            }
            text.push('\n');
        }
        text
    }
}

fn check(config: SlotManagerConfig, can_start: bool, script: &str, expected: Expect) {
    expected.assert_eq(&Script::new(config, can_start).run(script));
}

fn standalone(script: &str, expected: Expect) {
    check(SlotManagerConfig::default(), false, script, expected);
}

#[test]
fn jobs_get_what_they_declared_as_slots_appear() {
    standalone(
        "require 7 3
         register 1 2
         register 2 2
         accept 1
         accept 2
         accept 3
         lose 1",
        expect![[r#"
            require 7 3 | only 0 for j7
            register 1 2 | 1: 1/0 -> j7 | 2: 1/1 -> j7 | only 2 for j7
            register 2 2 | 3: 2/0 -> j7
            accept 1
            accept 2
            accept 3
            lose 1 | 4: 2/1 -> j7 | only 2 for j7
        "#]],
    );
}

#[test]
fn jobs_are_served_in_the_order_in_which_they_came() {
    standalone(
        "require 9 2
         require 7 2
         register 1 3
         require 9 0
         free 1",
        expect![[r#"
            require 9 2 | only 0 for j9
            require 7 2 | only 0 for j7
            register 1 3 | 1: 1/0 -> j9 | 2: 1/1 -> j9 | 3: 1/2 -> j7 | only 1 for j7
            require 9 0
            free 1 | 4: 1/0 -> j7
        "#]],
    );
}

#[test]
fn one_after_the_other_is_filled_or_all_evenly() {
    let script = "register 1 3
                  register 2 2
                  require 7 4";
    standalone(
        script,
        expect![[r#"
        register 1 3
        register 2 2
        require 7 4 | 1: 1/0 -> j7 | 2: 1/1 -> j7 | 3: 1/2 -> j7 | 4: 2/0 -> j7
    "#]],
    );
    let evenly = SlotManagerConfig { load_balance: LoadBalance::Slots, ..Default::default() };
    check(
        evenly,
        false,
        script,
        expect![[r#"
        register 1 3
        register 2 2
        require 7 4 | 1: 1/0 -> j7 | 2: 2/0 -> j7 | 3: 1/1 -> j7 | 4: 2/1 -> j7
    "#]],
    );
}

#[test]
fn the_one_that_is_used_most_comes_first_where_few_are_wanted() {
    let few = SlotManagerConfig { load_balance: LoadBalance::MinResources, ..Default::default() };
    check(
        few,
        false,
        "register 1 2
         register 2 2
         require 7 3
         require 7 1
         free 1
         free 2
         require 8 1",
        expect![[r#"
            register 1 2
            register 2 2
            require 7 3 | 1: 1/0 -> j7 | 2: 1/1 -> j7 | 3: 2/0 -> j7
            require 7 1
            free 1
            free 2
            require 8 1 | 4: 2/1 -> j8
        "#]],
    );
}

#[test]
fn a_report_that_was_sent_before_the_request_changes_nothing() {
    standalone(
        "register 1 1
         require 7 1
         report 1 -
         accept 1
         report 1 -
         report 1 j7:1
         report 1 -",
        expect![[r#"
            register 1 1
            require 7 1 | 1: 1/0 -> j7
            report 1 -
            accept 1
            report 1 -
            report 1 j7:1
            report 1 - | 2: 1/0 -> j7
        "#]],
    );
}

#[test]
fn two_reports_that_contradict_an_answer_are_believed() {
    standalone(
        "register 1 1
         require 7 1
         accept 1
         report 1 -
         report 1 -",
        expect![[r#"
            register 1 1
            require 7 1 | 1: 1/0 -> j7
            accept 1
            report 1 -
            report 1 - | 2: 1/0 -> j7
        "#]],
    );
}

#[test]
fn a_report_that_names_another_owner_is_right() {
    standalone(
        "register 1 2
         require 7 1
         report 1 j8:90 -
         refuse 1
         report 1 j8:90 j7:2",
        expect![[r#"
            register 1 2
            require 7 1 | 1: 1/0 -> j7
            report 1 j8:90 - | 2: 1/1 -> j7
            refuse 1
            report 1 j8:90 j7:2
        "#]],
    );
}

#[test]
fn a_refused_slot_waits_for_the_next_report() {
    standalone(
        "register 1 1
         require 7 1
         refuse 1
         require 7 1
         report 1 -",
        expect![[r#"
            register 1 1
            require 7 1 | 1: 1/0 -> j7
            refuse 1 | only 0 for j7
            require 7 1 | only 0 for j7
            report 1 - | 2: 1/0 -> j7
        "#]],
    );
}

#[test]
fn a_request_without_an_answer_is_made_again_and_a_late_answer_believed() {
    standalone(
        "register 1 1
         require 7 1
         @9999 time
         @10000 time
         accept 1
         report 1 j7:1
         require 7 2",
        expect![[r#"
            register 1 1
            require 7 1 | 1: 1/0 -> j7
            @9999 time
            @10000 time | only 0 for j7
            accept 1
            report 1 j7:1
            require 7 2 | only 1 for j7
        "#]],
    );
    // Too late: the slot is asked for again already, and will be refused.
    standalone(
        "register 1 1
         require 7 1
         @10000 time
         report 1 -
         accept 1
         refuse 2
         report 1 j7:1",
        expect![[r#"
            register 1 1
            require 7 1 | 1: 1/0 -> j7
            @10000 time | only 0 for j7
            report 1 - | 2: 1/0 -> j7
            accept 1
            refuse 2 | only 0 for j7
            report 1 j7:1
        "#]],
    );
}

#[test]
fn a_slot_that_is_freed_while_it_is_requested_is_asked_for_again() {
    standalone(
        "register 1 1
         require 7 1
         free 1
         accept 1
         accept 2",
        expect![[r#"
            register 1 1
            require 7 1 | 1: 1/0 -> j7
            free 1 | 2: 1/0 -> j7
            accept 1
            accept 2
        "#]],
    );
}

#[test]
fn what_concerns_a_lost_task_executor_is_dropped() {
    standalone(
        "register 1 1
         require 7 1
         lose 1
         accept 1
         free 1
         report 1 j7:1
         register 1 1",
        expect![[r#"
            register 1 1
            require 7 1 | 1: 1/0 -> j7
            lose 1 | only 0 for j7
            accept 1
            free 1
            report 1 j7:1
            register 1 1 | 2: 1/0 -> j7
        "#]],
    );
}

#[test]
fn slots_of_a_job_that_has_gone_are_for_others_once_they_are_free() {
    standalone(
        "register 1 1
         require 7 1
         accept 1
         require 8 1
         require 7 0
         free 1",
        expect![[r#"
            register 1 1
            require 7 1 | 1: 1/0 -> j7
            accept 1
            require 8 1 | only 0 for j8
            require 7 0
            free 1 | 2: 1/0 -> j8
        "#]],
    );
}

#[test]
fn nobody_is_told_that_slots_are_missing_before_the_cluster_has_started_up() {
    let config = SlotManagerConfig { start_up_time_ms: 1_000, ..Default::default() };
    check(
        config,
        false,
        "require 7 2
         @500 register 1 1
         @1000 time
         @2000 time
         require 7 2
         register 2 1",
        expect![[r#"
            require 7 2
            @500 register 1 1 | 1: 1/0 -> j7
            @1000 time | only 1 for j7
            @2000 time
            require 7 2 | only 1 for j7
            register 2 1 | 2: 2/0 -> j7
        "#]],
    );
}

#[test]
fn a_task_executor_that_comes_back_with_fewer_slots_has_fewer() {
    standalone(
        "register 1 2
         require 7 2
         accept 1
         accept 2
         register 1 1
         report 1 j7:9",
        expect![[r#"
            register 1 2
            require 7 2 | 1: 1/0 -> j7 | 2: 1/1 -> j7
            accept 1
            accept 2
            register 1 1 | only 1 for j7
            report 1 j7:9
        "#]],
    );
}

fn workers() -> SlotManagerConfig {
    SlotManagerConfig { slots_per_worker: 2, ..Default::default() }
}

#[test]
fn workers_are_started_for_what_is_missing_and_stopped_when_nobody_needs_them() {
    check(
        workers(),
        true,
        "register 1 1
         require 7 4
         started w1 2
         started w2 2
         accept 1
         accept 2
         accept 3
         accept 4
         @1000 free 2
         @2000 require 7 1
         free 3
         free 4
         @31999 time
         @32000 time
         lose 1",
        expect![[r#"
            register 1 1
            require 7 4 | 1: 1/0 -> j7 | start w1 | start w2
            started w1 2 | 2: w1/0 -> j7 | 3: w1/1 -> j7
            started w2 2 | 4: w2/0 -> j7
            accept 1
            accept 2
            accept 3
            accept 4
            @1000 free 2 | 5: w1/0 -> j7
            @2000 require 7 1
            free 3
            free 4
            @31999 time
            @32000 time | stop w2: nobody has needed it for long
            lose 1 | 6: w1/1 -> j7
        "#]],
    );
}

#[test]
fn as_many_workers_are_kept_as_are_to_be_redundant() {
    let config = SlotManagerConfig { redundant_task_managers: 1, ..workers() };
    check(
        config,
        true,
        "time
         started w1 2
         require 7 1
         started w2 2
         accept 1
         @1000 free 1
         require 7 0
         @40000 time
         ended w2",
        expect![[r#"
            time | start w1
            started w1 2
            require 7 1 | 1: w1/0 -> j7 | start w2
            started w2 2
            accept 1
            @1000 free 1 | 2: w1/0 -> j7
            require 7 0
            @40000 time | stop w2: nobody has needed it for long
            ended w2
        "#]],
    );
}

#[test]
fn there_are_never_more_slots_than_allowed_nor_fewer() {
    let config = SlotManagerConfig { max_slots: 5, min_slots: 3, ..workers() };
    let mut script = Script::new(config, true);
    expect![[r#"
        time | start w1 | start w2
        started w1 2
        started w2 2
        require 7 9 | 1: w1/0 -> j7 | 2: w1/1 -> j7 | 3: w2/0 -> j7 | 4: w2/1 -> j7 | only 4 for j7
        @90000 time | only 0 for j7
    "#]]
    .assert_eq(&script.run(
        "time
         started w1 2
         started w2 2
         require 7 9
         @90000 time",
    ));
    let report = Script::report(ResourceId(9), &["-", "-"]);
    let refused = script.manager.on_registered(ResourceId(9), &report, 0).unwrap_err();
    expect!["there are 4 slots: with 2 more there would be more than 5 (slotmanager.number-of-slots.max)"].assert_eq(&refused);
}

#[test]
fn a_worker_that_does_not_come_is_given_up_and_failures_slow_starts_down() {
    let config = SlotManagerConfig { start_worker_max_failures: 1, ..workers() };
    check(
        config,
        true,
        "require 7 1
         @300000 time
         @300001 ended w2
         @300002 time
         @303001 time
         started w3 2
         ended w3",
        expect![[r#"
            require 7 1 | start w1
            @300000 time | stop w1: it has not registered in time | start w2
            @300001 ended w2 | only 0 for j7
            @300002 time
            @303001 time | start w3
            started w3 2 | 1: w3/0 -> j7
            ended w3 | start w4
        "#]],
    );
}

proptest! {
    /// Whatever happens in whatever order: grants are given once, counts are right, and a job is
    /// not given more than it has declared.
    #[test]
    fn counts_hold_in_any_order(
        events in prop::collection::vec((0u8..9, 0u64..4, 0u64..5), 0..120),
        evenly: bool,
        can_start: bool,
    ) {
        let load_balance = if evenly { LoadBalance::Slots } else { LoadBalance::None };
        let config = SlotManagerConfig { load_balance, max_slots: 12, ..workers() };
        let mut script = Script::new(config, can_start);
        let mut granted = std::collections::BTreeSet::new();
        for (event, a, b) in events {
            script.now_ms += 700;
            let known: Vec<u64> = script.grants.keys().copied().collect();
            let of = known.get(known.len().saturating_sub(1 + (a * 5 + b) as usize)).copied();
            let owner = of.map_or("-".to_owned(), |of| format!("j{}:{of}", script.grants[&of].1.0));
            let line = match (event, of) {
                (0, _) => format!("require {a} {b}"),
                (1 | 2, _) if script.manager.count_all() <= 8 => format!("register {a} {b}"),
                (3, _) => format!("report {a} - {owner}"),
                (4, Some(of)) => format!("accept {of}"),
                (5, Some(of)) => format!("refuse {of}"),
                (6, Some(of)) => format!("free {of}"),
                (7, _) => format!("lose {a}"),
                (8, _) => format!("ended w{a}"),
                _ => "time".to_owned(),
            };
            let before = script.grants.len();
            script.run(&line);
            prop_assert!(script.grants.len() >= before);
            for new in script.grants.keys() {
                granted.insert(*new);
            }
            prop_assert_eq!(granted.len() as u64, script.manager.grants, "each grant is new");
            let manager = &script.manager;
            let mut given: BTreeMap<JobId, u32> = BTreeMap::new();
            for (id, resource) in &manager.resources {
                let owners = resource.slots.iter().filter_map(|state| state.owner());
                owners.for_each(|(_, job)| *given.entry(job).or_default() += 1);
                let free = resource.slots.iter().filter(|s| **s == SlotState::FREE).count();
                prop_assert_eq!(resource.available as usize, free);
                let used = resource.slots.iter().filter(|s| s.owner().is_some()).count();
                prop_assert_eq!(resource.used as usize, used);
                prop_assert_eq!(manager.count(*id).1 as usize, resource.slots.len() - used);
            }
            prop_assert_eq!(&given, &manager.given);
            for required in &manager.required {
                let has = given.get(&required.job).copied().unwrap_or(0);
                let free = manager.resources.values().any(|r| r.available > 0);
                prop_assert!(has >= required.slots || !free, "a free slot is given");
            }
        }
    }
}
