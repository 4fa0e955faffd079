//! Top lists, first and last rows, sorting, what keeps rows.

use expect_test::expect;
use hurtig_sql_runtime::config::{
    ChangelogNormalize, Deduplicate, Limit, Rank, SetOperation, SinkMaterialize, SortColumn,
    TemporalSort,
};

use crate::harness::{Harness, schema};

fn rank(with_rank: bool) -> Rank {
    let input = schema("k:s v:i");
    Rank {
        schema: if with_rank { schema("k:s v:i n:i") } else { input.clone() },
        input,
        partition: vec![0],
        order: vec![SortColumn { column: 1, descending: true, nulls_first: false }],
        start: 1,
        end: 2,
        with_rank,
        append_only: false,
        upsert_key: None,
        emits_update_before: true,
        ttl: None,
    }
}

#[test]
fn a_top_list_follows_insertions_and_deletions() {
    let script = "a 1 | a 3 | b 7\n restore\n a 2\n -D a 3\n a 1 | -D b 7";
    let input = schema("k:s v:i");
    let got = Harness::new(rank(false), &[&input]).run(script);
    expect![[r#"
        a 1 | a 3 | b 7
          +I a 3
          +I a 1
          +I b 7
        restore
        a 2
          -D a 1
          +I a 2
        -D a 3
          -D a 3
          +I a 1
        a 1 | -D b 7
          -D b 7
    "#]]
    .assert_eq(&got);
    let got = Harness::new(rank(true), &[&input]).run("a 1 | a 3\n a 2\n -D a 3");
    expect![[r#"
        a 1 | a 3
          +I a 3 1
          +I a 1 2
        a 2
          -U a 1 2
          +U a 2 2
        -D a 3
          -U a 3 1
          +U a 2 1
          -U a 2 2
          +U a 1 2
    "#]]
    .assert_eq(&got);
}

#[test]
fn of_inserts_alone_no_more_than_the_list_is_kept() {
    let input = schema("k:s v:i");
    let config = Rank { append_only: true, end: 1, ..rank(false) };
    let got = Harness::new(config, &[&input]).run("a 1\n a 1\n a 5\n a 4");
    expect![[r#"
        a 1
          +I a 1
        a 1
        a 5
          -D a 1
          +I a 5
        a 4
    "#]]
    .assert_eq(&got);
}

#[test]
fn a_limit_takes_the_next_row_for_one_that_goes() {
    let input = schema("v:i");
    let config = Limit {
        schema: input.clone(),
        offset: 1,
        fetch: 1,
        append_only: false,
        emits_update_before: true,
        ttl: None,
    };
    let got = Harness::new(config, &[&input]).run("5 | 3 | 4\n -D 5");
    expect![[r#"
        5 | 3 | 4
          +I 3
        -D 5
          -D 3
          +I 4
    "#]]
    .assert_eq(&got);
}

fn deduplicate(rowtime: bool, last: bool, insert_only: bool) -> Deduplicate {
    Deduplicate {
        schema: schema("k:s v:i t:t"),
        keys: vec![0],
        rowtime: rowtime.then_some(2),
        last,
        insert_only,
        emits_update_before: true,
        every_version: false,
        ttl: None,
    }
}

#[test]
fn first_and_last_rows_by_time_and_by_arrival() {
    let input = schema("k:s v:i t:t");
    let script = "a 1 10 | a 2 5\n restore\n a 3 20 | b 4 1\n a 5 20";
    let run = |config| Harness::new(config, &[&input]).run(script);
    expect![[r#"
        a 1 10 | a 2 5
          +I a 1 10
        restore
        a 3 20 | b 4 1
          +I b 4 1
        a 5 20
    "#]]
    .assert_eq(&run(deduplicate(false, false, false)));
    expect![[r#"
        a 1 10 | a 2 5
          +I a 2 5
        restore
        a 3 20 | b 4 1
          -U a 2 5
          +U a 3 20
          +I b 4 1
        a 5 20
          -U a 3 20
          +U a 5 20
    "#]]
    .assert_eq(&run(deduplicate(false, true, false)));
    expect![[r#"
        a 1 10 | a 2 5
          +I a 2 5
        restore
        a 3 20 | b 4 1
          +I b 4 1
        a 5 20
    "#]]
    .assert_eq(&run(deduplicate(true, false, false)));
    expect![[r#"
        a 1 10 | a 2 5
          +I a 1 10
        restore
        a 3 20 | b 4 1
          -U a 1 10
          +U a 3 20
          +I b 4 1
        a 5 20
          -U a 3 20
          +U a 5 20
    "#]]
    .assert_eq(&run(deduplicate(true, true, false)));
}

#[test]
fn versions_between_are_given_to_those_who_look_at_them() {
    let input = schema("k:s v:i t:t");
    let config = Deduplicate { every_version: true, ..deduplicate(true, true, false) };
    let got = Harness::new(config, &[&input]).run("a 1 10 | b 2 5 | a 3 20 | a 4 15 | a 5 20");
    expect![[r#"
        a 1 10 | b 2 5 | a 3 20 | a 4 15 | a 5 20
          +I a 1 10
          +I b 2 5
          -U a 1 10
          +U a 3 20
          -U a 3 20
          +U a 5 20
    "#]]
    .assert_eq(&got);
}

#[test]
fn a_first_row_that_is_given_once_waits_for_the_watermark() {
    let input = schema("k:s v:i t:t");
    let mut harness = Harness::new(deduplicate(true, false, true), &[&input]);
    let got = harness.run("a 1 10 | a 2 5\n restore\n wm 4\n wm 5\n a 3 4 | b 1 7 | a 4 9\n end");
    expect![[r#"
        a 1 10 | a 2 5
        restore
        wm 4
          wm 4
        wm 5
          +I a 2 5
          wm 5
        a 3 4 | b 1 7 | a 4 9
        end
          +I b 1 7
          wm end
    "#]]
    .assert_eq(&got);
}

#[test]
fn upserts_become_a_whole_changelog() {
    let input = schema("k:s v:i");
    let config = ChangelogNormalize {
        schema: input.clone(),
        keys: vec![0],
        emits_update_before: true,
        every_version: false,
        ttl: None,
        condition: None,
    };
    let script = "+U a 1\n +U a 1\n restore\n +U a 2 | b 1\n -D a null | -D c 1";
    let got = Harness::new(config, &[&input]).run(script);
    expect![[r#"
        +U a 1
          +I a 1
        +U a 1
        restore
        +U a 2 | b 1
          -U a 1
          +U a 2
          +I b 1
        -D a null | -D c 1
          -D a 2
    "#]]
    .assert_eq(&got);
}

#[test]
fn the_latest_row_of_a_primary_key_counts_until_it_goes() {
    let input = schema("k:s u:i");
    let config = SinkMaterialize {
        schema: input.clone(),
        primary_key: vec![0],
        upsert_key: Some(vec![1]),
        ttl: None,
    };
    let script = "a 1 | a 2\n restore\n -D a 1\n -D a 2 | -D a 3";
    let got = Harness::new(config, &[&input]).run(script);
    expect![[r#"
        a 1 | a 2
          +I a 1
          +U a 2
        restore
        -D a 1
        -D a 2 | -D a 3
          -D a 2
    "#]]
    .assert_eq(&got);
}

#[test]
fn set_operations_count() {
    let input = schema("v:i");
    let run = |except, all| {
        let config = SetOperation { schema: input.clone(), except, all, ttl: None };
        let script = "1 | 1 | 2\n restore\n second 1\n second -D 1";
        Harness::new(config, &[&input, &input]).run(script)
    };
    expect![[r#"
        1 | 1 | 2
        restore
        second 1
          +I 1
        second -D 1
          -D 1
    "#]]
    .assert_eq(&run(false, true));
    expect![[r#"
        1 | 1 | 2
          +I 1
          +I 2
        restore
        second 1
          -D 1
        second -D 1
          +I 1
    "#]]
    .assert_eq(&run(true, false));
    expect![[r#"
        1 | 1 | 2
          +I 1
          +I 1
          +I 2
        restore
        second 1
          -D 1
        second -D 1
          +I 1
    "#]]
    .assert_eq(&run(true, true));
}

#[test]
fn rows_are_sorted_by_time_and_then_by_others() {
    let input = schema("v:i t:t");
    let config = TemporalSort {
        schema: input.clone(),
        rowtime: Some(1),
        order: vec![SortColumn { column: 0, descending: false, nulls_first: true }],
    };
    let got = Harness::new(config, &[&input])
        .run("5 10 | 3 10 | 1 12 | 9 7\n restore\n wm 10\n 1 10\n end");
    expect![[r#"
        5 10 | 3 10 | 1 12 | 9 7
        restore
        wm 10
          +I 9 7
          +I 3 10
          +I 5 10
          wm 10
        1 10
        end
          +I 1 12
          wm end
    "#]]
    .assert_eq(&got);
}
