//! Scripts: one event per line, its outcome and the table behind it.
//!
//! ```text
//! @5 allocate 0 j7:1   slot 0 to job 7 by grant 1, at 5 ms; it must be accepted 10 ms later
//! accept 1             the job has accepted
//! task 1 3             its subtask 3 is to run in the slot of grant 1
//! end 3                subtask 3 has ended
//! free 1               the job gives it back
//! time                 nothing but time
//! named 1 2            job 7's heartbeat names grants 1 and 2
//! ```
//! A slot reads `-` (free), `?1` (allocated), `1` or `1+2` (active, with two tasks), `~1+2`
//! (releasing).

use expect_test::{Expect, expect};
use hurtig_types::JobVertexId;
use proptest::prelude::*;

use super::*;

const ME: ResourceId = ResourceId(1);
const JOB: JobId = JobId(7);
const TIMEOUT_MS: i64 = 10;

fn slot(index: u32) -> SlotId {
    SlotId { resource: ME, index }
}

fn attempt(subtask: u32) -> ExecutionAttemptId {
    ExecutionAttemptId { job: JOB, vertex: JobVertexId(1), subtask, attempt: 0 }
}

fn show(table: &TaskSlotTable) -> String {
    let slot = |slot: &Slot| {
        let grant = slot.owner.map_or(0, |(allocation, _)| allocation.0);
        let tasks = match slot.tasks.len() {
            0 => String::new(),
            tasks => format!("+{tasks}"),
        };
        match slot.state {
            State::Free => format!("-{tasks}"),
            State::Allocated { .. } => format!("?{grant}{tasks}"),
            State::Active => format!("{grant}{tasks}"),
            State::Releasing => format!("~{grant}{tasks}"),
        }
    };
    table.slots.iter().map(slot).collect::<Vec<_>>().join(" ")
}

fn freed(freed: impl IntoIterator<Item = (SlotId, AllocationId)>) -> String {
    freed.into_iter().map(|(slot, a)| format!(" frees {}:{}", slot.index, a.0)).collect()
}

fn line(table: &mut TaskSlotTable, now_ms: i64, words: &[&str]) -> String {
    let number = |index: usize| words[index].parse::<u32>().unwrap();
    let grant = |index: usize| AllocationId(number(index).into());
    let refused = |outcome: Result<(), SlotError>| match outcome {
        Ok(()) => String::new(),
        Err(error) => format!(" refused: {error}"),
    };
    match words[0] {
        "allocate" => {
            let (job, allocation) = words[2][1..].split_once(':').unwrap();
            let (job, allocation) = (job.parse().unwrap(), allocation.parse().unwrap());
            let (job, allocation) = (JobId(job), AllocationId(allocation));
            refused(table.allocate(slot(number(1)), job, allocation, now_ms + TIMEOUT_MS))
        }
        "accept" => refused(table.activate(grant(1))),
        "task" => refused(table.add_task(grant(1), attempt(number(2)))),
        "end" => freed(table.remove_task(attempt(number(1)))),
        "free" => {
            let (tasks, slot) = table.free(grant(1));
            let cancels: String = tasks.iter().map(|t| format!(" cancels {}", t.subtask)).collect();
            cancels + &freed(slot)
        }
        "time" => freed(table.expire(now_ms)),
        "named" => {
            let named: Vec<_> = (1..words.len()).map(grant).collect();
            let (missing, superfluous) = table.compare(JOB, &named);
            let missing = missing.iter().map(|a| format!(" has not {}", a.0));
            missing.chain(superfluous.iter().map(|a| format!(" nobody has {}", a.0))).collect()
        }
        other => panic!("{other}"),
    }
}

fn check(slots: u32, script: &str, expected: Expect) {
    let mut table = TaskSlotTable::new(ME, slots);
    let (mut now_ms, mut text) = (0, String::new());
    for script_line in script.lines().map(str::trim) {
        let mut words: Vec<&str> = script_line.split_whitespace().collect();
        if let Some(at) = words[0].strip_prefix('@') {
            now_ms = at.parse().unwrap();
            words.remove(0);
        }
        let outcome = line(&mut table, now_ms, &words);
        text.push_str(&format!("{script_line}:{outcome} | {}\n", show(&table)));
    }
    expected.assert_eq(&text);
}

#[test]
fn a_slot_goes_from_free_to_active_and_back_when_its_last_task_ends() {
    check(
        1,
        "allocate 0 j7:1
         allocate 0 j7:1
         allocate 0 j8:2
         accept 1
         task 1 0
         task 1 1
         free 1
         task 1 2
         end 0
         end 1
         end 1",
        expect![[r#"
            allocate 0 j7:1: | ?1
            allocate 0 j7:1: | ?1
            allocate 0 j8:2: refused: the slot belongs to job 00000000000000000000000000000007 | ?1
            accept 1: | 1
            task 1 0: | 1+1
            task 1 1: | 1+2
            free 1: cancels 0 cancels 1 | ~1+2
            task 1 2: refused: no active slot has that grant for that job | ~1+2
            end 0: | ~1+1
            end 1: frees 0:1 | -
            end 1: | -
        "#]],
    );
}

#[test]
fn an_allocation_that_nobody_accepts_expires() {
    check(
        2,
        "allocate 1 j7:1
         @9 time
         @10 time
         accept 1
         allocate 1 j7:2
         accept 2
         @99 time",
        expect![[r#"
            allocate 1 j7:1: | - ?1
            @9 time: | - ?1
            @10 time: frees 1:1 | - -
            accept 1: refused: no active slot has that grant for that job | - -
            allocate 1 j7:2: | - ?2
            accept 2: | - 2
            @99 time: | - 2
        "#]],
    );
}

#[test]
fn a_deployment_may_overtake_the_answer_to_the_offer() {
    check(
        1,
        "allocate 0 j7:1
         task 1 0
         @10 time
         accept 1
         end 0",
        expect![[r#"
            allocate 0 j7:1: | ?1
            task 1 0: | 1+1
            @10 time: | 1+1
            accept 1: | 1+1
            end 0: | 1
        "#]],
    );
}

#[test]
fn a_slot_that_is_given_back_before_the_answer_to_the_offer_is_free() {
    check(
        1,
        "allocate 0 j7:1
         free 1
         accept 1
         task 1 0
         allocate 0 j8:2
         accept 1
         free 1",
        expect![[r#"
            allocate 0 j7:1: | ?1
            free 1: frees 0:1 | -
            accept 1: refused: no active slot has that grant for that job | -
            task 1 0: refused: no active slot has that grant for that job | -
            allocate 0 j8:2: | ?2
            accept 1: refused: no active slot has that grant for that job | ?2
            free 1: | ?2
        "#]],
    );
}

#[test]
fn a_slot_that_is_being_released_is_nobody_elses_before_its_last_task_has_ended() {
    check(
        1,
        "allocate 0 j7:1
         accept 1
         task 1 0
         free 1
         free 1
         allocate 0 j8:2
         allocate 0 j7:1
         accept 1
         end 0
         allocate 0 j8:2",
        expect![[r#"
            allocate 0 j7:1: | ?1
            accept 1: | 1
            task 1 0: | 1+1
            free 1: cancels 0 | ~1+1
            free 1: cancels 0 | ~1+1
            allocate 0 j8:2: refused: the slot belongs to job 00000000000000000000000000000007 | ~1+1
            allocate 0 j7:1: refused: the slot belongs to job 00000000000000000000000000000007 | ~1+1
            accept 1: refused: no active slot has that grant for that job | ~1+1
            end 0: frees 0:1 | -
            allocate 0 j8:2: | ?2
        "#]],
    );
}

#[test]
fn strangers_are_refused() {
    let mut table = TaskSlotTable::new(ME, 2);
    let elsewhere = SlotId { resource: ResourceId(2), index: 0 };
    assert_eq!(table.allocate(elsewhere, JOB, AllocationId(1), 1), Err(SlotError::Unknown));
    check(
        2,
        "allocate 2 j7:1
         allocate 0 j8:1
         allocate 1 j8:1
         task 1 0
         task 2 0
         free 2
         end 5",
        expect![[r#"
            allocate 2 j7:1: refused: there is no such slot | - -
            allocate 0 j8:1: | ?1 -
            allocate 1 j8:1: refused: the slot belongs to job 00000000000000000000000000000008 | ?1 -
            task 1 0: refused: no active slot has that grant for that job | ?1 -
            task 2 0: refused: no active slot has that grant for that job | ?1 -
            free 2: | ?1 -
            end 5: | ?1 -
        "#]],
    );
}

#[test]
fn a_heartbeat_finds_what_is_not_here_and_what_nobody_has() {
    // The JobMaster's answer to an offer may be on its way: nothing is wrong at first.
    check(
        2,
        "allocate 0 j7:1
         allocate 1 j7:3
         named 1 2
         named 1
         accept 3
         named 1
         named 1 3
         named 1
         named 1",
        expect![[r#"
            allocate 0 j7:1: | ?1 -
            allocate 1 j7:3: | ?1 ?3
            named 1 2: has not 2 | ?1 ?3
            named 1: | ?1 ?3
            accept 3: | ?1 3
            named 1: | ?1 3
            named 1 3: | ?1 3
            named 1: | ?1 3
            named 1: nobody has 3 | ?1 3
        "#]],
    );
}

proptest! {
    /// Whatever happens in whatever order: only slots of a job have tasks, a grant is of one slot,
    /// and a slot that is freed was somebody's.
    #[test]
    fn the_table_holds_together(
        events in prop::collection::vec((0u8..7, 0u32..3, 0u32..4), 0..80)
    ) {
        let mut table = TaskSlotTable::new(ME, 3);
        for (now_ms, (event, a, b)) in events.into_iter().enumerate() {
            let before: Vec<_> = table.slots.iter().map(|slot| slot.owner).collect();
            let text = match event {
                0 | 1 => format!("allocate {a} j7:{b}"),
                2 => format!("accept {b}"),
                3 => format!("task {b} {a}"),
                4 => format!("end {a}"),
                5 => format!("free {b}"),
                _ => "time".to_owned(),
            };
            let words: Vec<&str> = text.split(' ').collect();
            line(&mut table, now_ms as i64 * 4, &words);
            for (slot, before) in table.slots.iter().zip(before) {
                match slot.state {
                    State::Free => prop_assert!(slot.owner.is_none() && slot.tasks.is_empty()),
                    State::Allocated { .. } => {
                        prop_assert!(slot.owner.is_some() && slot.tasks.is_empty());
                    }
                    State::Active => prop_assert!(slot.owner.is_some()),
                    State::Releasing => {
                        prop_assert!(slot.owner.is_some() && !slot.tasks.is_empty());
                    }
                }
                // A grant becomes another one only by way of a free slot.
                prop_assert!(before.is_none() || slot.owner.is_none() || slot.owner == before);
            }
            let owners: BTreeSet<_> = table.slots.iter().filter_map(|slot| slot.owner).collect();
            let owned = table.slots.iter().filter(|slot| slot.owner.is_some()).count();
            prop_assert_eq!(owners.len(), owned);
        }
    }
}
