//! Group aggregates and OVER.

use std::{sync::Arc, time::Duration};

use expect_test::expect;
use hurtig_sql_runtime::config::{
    AggregateCall, GlobalGroupAggregate, GroupAggregate, LocalGroupAggregate, MiniBatch,
    OverAggregate, OverCall, OverFrame, OverOrder, OverRanking, SortColumn,
};

use crate::harness::{Harness, count, materialize, rows, schema, sum, sum_distinct};

fn group(keys: Vec<usize>, calls: Vec<AggregateCall>, out: &str) -> GroupAggregate {
    GroupAggregate {
        input: schema("k:s v:i f:b"),
        keys,
        calls,
        schema: schema(out),
        insert_only: false,
        emits_update_before: true,
        ttl: None,
    }
}

#[test]
fn a_group_changes_once_per_batch() {
    let input = schema("k:s v:i f:b");
    let config = group(vec![0], vec![count(), sum(1)], "k:s c:i s:i");
    let script = "a 1 true | b 2 true | a 3 true
        restore
        -U a 1 true | +U a 5 true | null 1 true
        -D b 2 true | -D c 9 true
        a 0 true | -D a 0 true
        -D a 3 true | -D a 5 true | d 1 true | -D d 1 true";
    let got = Harness::new(config, &[&input]).run(script);
    expect![[r#"
        a 1 true | b 2 true | a 3 true
          +I a 2 4
          +I b 1 2
        restore
        -U a 1 true | +U a 5 true | null 1 true
          -U a 2 4
          +U a 2 8
          +I null 1 1
        -D b 2 true | -D c 9 true
          -D b 1 2
        a 0 true | -D a 0 true
        -D a 3 true | -D a 5 true | d 1 true | -D d 1 true
          -D a 2 8
    "#]]
    .assert_eq(&got);
}

#[test]
fn distinct_values_and_filters_count() {
    let input = schema("k:s v:i f:b");
    let filtered = AggregateCall { filter: Some(2), ..sum(1) };
    let filtered_distinct = AggregateCall { filter: Some(2), ..sum_distinct(1) };
    let calls = vec![sum_distinct(1), filtered, filtered_distinct];
    let config = group(vec![], calls, "d:i f:i fd:i");
    let script = "a 1 true | a 1 false | a 2 null | a 1 true\n restore\n -D a 1 true\n -D a 1 true";
    let got = Harness::new(config, &[&input]).run(script);
    expect![[r#"
        a 1 true | a 1 false | a 2 null | a 1 true
          +I 3 2 1
        restore
        -D a 1 true
          -U 3 2 1
          +U 3 1 1
        -D a 1 true
          -U 3 1 1
          +U 3 null null
    "#]]
    .assert_eq(&got);
}

#[test]
fn a_mini_batch_ends_by_size_time_barrier_and_at_the_end() {
    let input = schema("k:s v:i f:b");
    let operator = Arc::new(group(vec![0], vec![count(), sum(1)], "k:s c:i s:i"));
    let config = MiniBatch { operator, size: 3, latency: Duration::from_secs(1) };
    let script = "a 1 true
        wm 7
        a 2 true | b 1 true
        -U a 2 true
        pt 900
        +U a 5 true
        pt 1000
        b 4 true
        restore
        b 5 true
        end";
    let got = Harness::new(config, &[&input]).run(script);
    expect![[r#"
        a 1 true
        wm 7
          wm 7
        a 2 true | b 1 true
          +I a 2 3
          +I b 1 1
        -U a 2 true
        pt 900
        +U a 5 true
        pt 1000
          -U a 2 3
          +U a 2 6
        b 4 true
        restore
          -U b 1 1
          +U b 2 5
        b 5 true
        end
          -U b 2 5
          +U b 3 10
          wm end
    "#]]
    .assert_eq(&got);
}

#[test]
fn in_mini_batches_of_one_row_each_row_has_its_changes() {
    let input = schema("k:s v:i f:b");
    let operator = Arc::new(group(vec![0], vec![count(), sum(1)], "k:s c:i s:i"));
    let config = MiniBatch { operator, size: 1, latency: Duration::ZERO };
    let got = Harness::new(config, &[&input]).run("a 1 true | b 1 true | a 2 true\n end");
    expect![[r#"
        a 1 true | b 1 true | a 2 true
          +I a 1 1
          +I b 1 1
          -U a 1 1
          +U a 2 3
        end
          wm end
    "#]]
    .assert_eq(&got);
}

#[test]
fn two_phases_give_what_one_gives() {
    let input = schema("k:s v:i f:b");
    let partial = schema("k:s p:x");
    let calls = vec![count(), sum(1), sum_distinct(1)];
    let local = LocalGroupAggregate {
        input: input.clone(),
        keys: vec![0],
        calls: calls.clone(),
        schema: partial.clone(),
    };
    let global = GlobalGroupAggregate {
        input: partial.clone(),
        arguments: vec![
            vec![],
            vec![arrow_schema::DataType::Int64],
            vec![arrow_schema::DataType::Int64],
        ],
        calls: calls.clone(),
        schema: schema("k:s c:i s:i d:i"),
        insert_only: false,
        emits_update_before: true,
        ttl: None,
    };
    let one = GroupAggregate { schema: schema("k:s c:i s:i d:i"), ..group(vec![0], calls, "") };
    let mut one = Harness::new(one, &[&input]);
    let (mut local, mut global) =
        (Harness::new(local, &[&input]), Harness::new(global, &[&partial]));
    for line in ["a 1 true | b 2 true | a 1 true", "a 4 true | c 1 true", "b 2 true"] {
        one.process(0, rows(&input, line)).unwrap();
        local.process(0, rows(&input, line)).unwrap();
        for batch in std::mem::take(&mut local.out.batches) {
            global.process(0, batch).unwrap();
        }
        global.restore();
    }
    assert_eq!(global.out.rows, one.out.rows);
    assert_eq!(materialize(&one.out.rows), ["a 3 6 5", "b 2 4 2", "c 1 1 1"]);
}

fn over(order: OverOrder, rows: bool, preceding: Option<i64>) -> OverAggregate {
    let frame = OverFrame { rows, preceding };
    OverAggregate {
        input: schema("k:s v:i t:t"),
        partition: vec![0],
        order,
        calls: vec![
            OverCall::Aggregate { call: sum(1), frame },
            OverCall::Ranking(OverRanking::RowNumber),
            OverCall::Ranking(OverRanking::Lag { column: 1, offset: 1, default: None }),
        ],
        schema: schema("k:s v:i t:t s:i n:i l:i"),
        ttl: None,
    }
}

#[test]
fn frames_by_event_time() {
    let input = schema("k:s v:i t:t");
    let script =
        "a 1 10 | a 2 10 | b 7 11 | a 4 5\n restore\n wm 10\n a 9 10 | a 8 13 | a 16 12\n end";
    let run = |rows, preceding| {
        Harness::new(over(OverOrder::Rowtime(2), rows, preceding), &[&input]).run(script)
    };
    expect![[r#"
        a 1 10 | a 2 10 | b 7 11 | a 4 5
        restore
        wm 10
          +I a 4 5 4 1 null
          +I a 1 10 7 2 1
          +I a 2 10 7 3 1
          wm 10
        a 9 10 | a 8 13 | a 16 12
        end
          +I b 7 11 7 1 null
          +I a 16 12 23 4 2
          +I a 8 13 31 5 16
          wm end
    "#]]
    .assert_eq(&run(false, None));
    expect![[r#"
        a 1 10 | a 2 10 | b 7 11 | a 4 5
        restore
        wm 10
          +I a 4 5 4 1 null
          +I a 1 10 5 2 1
          +I a 2 10 3 3 1
          wm 10
        a 9 10 | a 8 13 | a 16 12
        end
          +I b 7 11 7 1 null
          +I a 16 12 18 4 2
          +I a 8 13 24 5 16
          wm end
    "#]]
    .assert_eq(&run(true, Some(1)));
    expect![[r#"
        a 1 10 | a 2 10 | b 7 11 | a 4 5
        restore
        wm 10
          +I a 4 5 4 1 null
          +I a 1 10 3 2 1
          +I a 2 10 3 3 1
          wm 10
        a 9 10 | a 8 13 | a 16 12
        end
          +I b 7 11 7 1 null
          +I a 16 12 19 4 2
          +I a 8 13 24 5 16
          wm end
    "#]]
    .assert_eq(&run(false, Some(2)));
}

#[test]
fn frames_by_other_columns_change_with_what_comes_between() {
    let input = schema("k:s v:i t:t");
    let order =
        OverOrder::Columns(vec![SortColumn { column: 1, descending: false, nulls_first: true }]);
    let mut harness = Harness::new(over(order, true, None), &[&input]);
    harness.run("a 1 0 | a 5 0\n restore\n a 3 0\n -D a 1 0");
    assert_eq!(materialize(&harness.out.rows), ["a 3 0 3 1 null", "a 5 0 8 2 3"]);
}
