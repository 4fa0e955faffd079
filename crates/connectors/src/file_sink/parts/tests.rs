//! Scripts: what is done to the files of a writer, and which files begin and end.
//!
//! `@MS write BUCKET BYTES`, `@MS time`, `checkpoint`, `end`, `relieve`.

use expect_test::{Expect, expect};

use super::*;
use crate::file_sink::policy::{DefaultRollingPolicy, OnCheckpointRollingPolicy};

/// A file knows its number.
fn run<P: RollingPolicy<()>>(policy: &P, limits: Limits, script: &str) -> String {
    let mut parts = Parts::<usize>::default();
    let (mut log, mut next, mut now_ms) = (String::new(), 0, 0);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words: Vec<_> = line.split(' ').collect();
        if let Some(time) = words[0].strip_prefix('@') {
            now_ms = time.parse().unwrap();
            words.remove(0);
        }
        let mut ended = Vec::new();
        match words[..] {
            ["write", bucket, bytes] => {
                let rolls = |part: &Part<usize>| policy.should_roll_on_event(&part.info, &());
                let mut at = parts.find(bucket);
                if let Some(full) = at.filter(|at| rolls(parts.get_mut(*at).unwrap())) {
                    ended.push(parts.end(full));
                    at = None;
                }
                let at = at.unwrap_or_else(|| {
                    ended.extend(parts.make_room(&limits));
                    next += 1;
                    let info = PartFileInfo {
                        bucket: bucket.to_owned(),
                        size_bytes: 0,
                        creation_time_ms: now_ms,
                        last_update_time_ms: now_ms,
                    };
                    parts.open(Part { info, file: next })
                });
                let info = &mut parts.get_mut(at).unwrap().info;
                info.size_bytes += bytes.parse::<u64>().unwrap();
                info.last_update_time_ms = now_ms;
            }
            ["time"] => ended = parts.on_processing_time(policy, now_ms),
            ["checkpoint"] => ended = parts.on_checkpoint(policy, false),
            ["end"] => ended = parts.on_checkpoint(policy, true),
            ["relieve"] => {
                let sizes: HashMap<_, _> =
                    parts.iter().map(|part| (part.file, part.info.size_bytes as usize)).collect();
                ended = parts.relieve(&limits, |file| sizes[file]);
            }
            _ => panic!("{line}"),
        }
        for Part { info, file } in ended {
            assert_eq!(parts.find(&info.bucket).filter(|at| parts.open[*at].file == file), None);
            log += &format!("{line}: {}#{file} ends with {}\n", info.bucket, info.size_bytes);
        }
        for (bucket, at) in &parts.by_bucket {
            assert_eq!(&parts.open[*at].info.bucket, bucket);
        }
    }
    let mut open: Vec<_> = parts.iter().map(|p| format!("{}#{}", p.info.bucket, p.file)).collect();
    open.sort();
    if open.is_empty() { log } else { log + &format!("open: {}\n", open.join(" ")) }
}

fn check<P: RollingPolicy<()>>(policy: P, script: &str, expected: Expect) {
    expected.assert_eq(&run(&policy, Limits::default(), script));
}

fn millis(ms: u64) -> std::time::Duration {
    std::time::Duration::from_millis(ms)
}

#[test]
fn a_file_ends_beyond_its_size_when_the_next_record_comes_or_at_a_checkpoint() {
    check(
        DefaultRollingPolicy::new().with_max_part_size(100),
        "write a 60
         write a 60
         write b 5
         checkpoint
         write a 10
         checkpoint
         write a 100
         write a 1",
        expect![[r#"
            checkpoint: a#1 ends with 120
            write a 1: a#3 ends with 110
            open: a#4 b#2
        "#]],
    );
}

#[test]
fn a_file_ends_when_it_is_old_or_nobody_writes_to_it() {
    let policy = DefaultRollingPolicy::new()
        .with_rollover_interval(millis(1000))
        .with_inactivity_interval(millis(300));
    check(
        policy,
        "@0 write a 1
         @0 write b 1
         @250 write a 1
         @299 time
         @300 time
         @500 write a 1
         @750 write a 1
         @999 write a 1
         @999 time
         @1000 time
         @1001 write b 1
         @1400 time",
        expect![[r#"
            @300 time: b#2 ends with 1
            @1000 time: a#1 ends with 5
            @1400 time: b#3 ends with 1
        "#]],
    );
}

#[test]
fn files_end_at_every_checkpoint_or_only_at_the_end() {
    let script = "write a 1
        write b 1
        @999999999 time
        checkpoint
        checkpoint
        write b 2
        end";
    check(
        OnCheckpointRollingPolicy,
        script,
        expect![[r#"
            checkpoint: a#1 ends with 1
            checkpoint: b#2 ends with 1
            end: b#3 ends with 2
        "#]],
    );
    check(
        DefaultRollingPolicy::new()
            .with_rollover_interval(millis(u64::MAX))
            .with_inactivity_interval(millis(u64::MAX)),
        script,
        expect![[r#"
            end: a#1 ends with 1
            end: b#2 ends with 3
        "#]],
    );
}

#[test]
fn the_file_that_was_written_to_least_recently_makes_room() {
    let limits = Limits { open_parts: 2, buffered_bytes: 10 };
    let script = "@1 write a 1
        @2 write b 1
        @3 write a 1
        @4 write c 1
        @5 write b 1";
    expect![[r#"
        @4 write c 1: b#2 ends with 1
        @5 write b 1: a#1 ends with 2
        open: b#4 c#3
    "#]]
    .assert_eq(&run(&OnCheckpointRollingPolicy, limits, script));
}

#[test]
fn the_files_that_hold_most_end_when_memory_is_short() {
    let limits = Limits { open_parts: 9, buffered_bytes: 10 };
    let script = "write a 3
        write b 7
        relieve
        write c 6
        write d 2
        relieve";
    expect![[r#"
        relieve: b#2 ends with 7
        relieve: c#3 ends with 6
        open: a#1 d#4
    "#]]
    .assert_eq(&run(&OnCheckpointRollingPolicy, limits, script));
}

#[test]
fn a_bucket_stays_below_the_base() {
    for good in ["", "a", "2024-01-01--00", "a/b=c/d e"] {
        assert_eq!(bucket_problem(good), None, "{good}");
    }
    for bad in ["/a", "a/", "a//b", "..", "a/../b", ".", ".hidden", "a/.inprogress", "a\\b", "\0"] {
        assert!(bucket_problem(bad).is_some(), "{bad}");
    }
}
