//! Windows: table functions, aggregates, top lists, joins.

use expect_test::expect;
use hurtig_sql_runtime::config::{
    JoinKeys, JoinVariant, SortColumn, WindowAggregate, WindowDeduplicate, WindowJoin,
    WindowProperty, WindowRank, WindowSpec, WindowTableFunction, WindowTime,
};

use crate::harness::{Harness, count, schema, sum, sum_distinct};

const TUMBLE: WindowSpec = WindowSpec::Tumble { size_ms: 10, offset_ms: 0 };
const HOP: WindowSpec = WindowSpec::Hop { size_ms: 10, slide_ms: 5, offset_ms: 0 };
const CUMULATE: WindowSpec = WindowSpec::Cumulate { size_ms: 10, step_ms: 5, offset_ms: 0 };
const SESSION: WindowSpec = WindowSpec::Session { gap_ms: 5 };

fn aggregate(window: WindowSpec) -> WindowAggregate {
    WindowAggregate {
        input: schema("k:s v:i t:t"),
        keys: vec![0],
        window,
        time: WindowTime::Rowtime { column: 2, zone: None },
        calls: vec![count(), sum_distinct(1)],
        properties: vec![WindowProperty::Start, WindowProperty::End],
        latest_first: false,
        schema: schema("k:s c:i d:i s:t e:t"),
    }
}

#[test]
fn windows_of_slices_fire_when_the_watermark_passes_them() {
    let input = schema("k:s v:i t:t");
    let script = "a 1 1 | a 1 6 | b 2 12\n restore\n wm 4\n wm 9\n a 9 9 | a 3 11\n restore\n end";
    let run = |window| Harness::new(aggregate(window), &[&input]).run(script);
    expect![[r#"
        a 1 1 | a 1 6 | b 2 12
        restore
        wm 4
          wm 4
        wm 9
          +I a 2 1 0 10
          wm 9
        a 9 9 | a 3 11
        restore
        end
          +I a 1 3 10 20
          +I b 1 2 10 20
          wm end
    "#]]
    .assert_eq(&run(TUMBLE));
    let got = run(HOP);
    expect![[r#"
        a 1 1 | a 1 6 | b 2 12
        restore
        wm 4
          +I a 1 1 -5 5
          wm 4
        wm 9
          +I a 2 1 0 10
          wm 9
        a 9 9 | a 3 11
        restore
        end
          +I a 3 13 5 15
          +I b 1 2 5 15
          +I a 1 3 10 20
          +I b 1 2 10 20
          wm end
    "#]]
    .assert_eq(&got);
    expect![[r#"
        a 1 1 | a 1 6 | b 2 12
        restore
        wm 4
          +I a 1 1 0 5
          wm 4
        wm 9
          +I a 2 1 0 10
          wm 9
        a 9 9 | a 3 11
        restore
        end
          +I a 1 3 10 15
          +I b 1 2 10 15
          +I a 1 3 10 20
          +I b 1 2 10 20
          wm end
    "#]]
    .assert_eq(&run(CUMULATE));
}

#[test]
fn sessions_merge_and_touch() {
    let input = schema("k:s v:i t:t");
    let script =
        "a 1 1 | a 2 12\n restore\n a 4 6 | a 8 20\n restore\n a 1 11\n wm 16\n a 1 2\n end";
    let got = Harness::new(aggregate(SESSION), &[&input]).run(script);
    expect![[r#"
        a 1 1 | a 2 12
        restore
        a 4 6 | a 8 20
        restore
        a 1 11
        wm 16
          +I a 4 7 1 17
          wm 16
        a 1 2
        end
          +I a 1 8 20 25
          wm end
    "#]]
    .assert_eq(&got);
}

#[test]
fn windows_that_are_columns_are_aggregated() {
    let input = schema("k:s v:i s:t e:t");
    let config = WindowAggregate {
        input: input.clone(),
        time: WindowTime::Attached { start: Some(2), end: 3, zone: None, event_time: true },
        calls: vec![sum(1)],
        schema: schema("k:s v:i s:t e:t"),
        ..aggregate(TUMBLE)
    };
    let got = Harness::new(config, &[&input]).run("a 1 0 10 | a 2 0 10 | a 4 10 20\n wm 9\n end");
    expect![[r#"
        a 1 0 10 | a 2 0 10 | a 4 10 20
        wm 9
          +I a 3 0 10
          wm 9
        end
          +I a 4 10 20
          wm end
    "#]]
    .assert_eq(&got);
}

#[test]
fn rows_get_their_windows() {
    let input = schema("k:s t:t");
    let function = |window| WindowTableFunction {
        input: input.clone(),
        window,
        time: WindowTime::Rowtime { column: 1, zone: None },
        keys: vec![0],
        schema: schema("k:s t:t s:t e:t w:t"),
    };
    let got = Harness::new(function(HOP), &[&input]).run("a 7 | +U b 12");
    expect![[r#"
        a 7 | +U b 12
          +I a 7 5 15 14
          +I a 7 0 10 9
          +U b 12 10 20 19
          +U b 12 5 15 14
    "#]]
    .assert_eq(&got);
    let got =
        Harness::new(function(SESSION), &[&input]).run("a 7 | a 10 | b 1\n restore\n wm 13\n end");
    expect![[r#"
        a 7 | a 10 | b 1
        restore
        wm 13
          +I b 1 1 6 5
          wm 13
        end
          +I a 7 7 15 14
          +I a 10 7 15 14
          wm end
    "#]]
    .assert_eq(&got);
}

#[test]
fn top_lists_and_last_rows_per_window() {
    let input = schema("k:s v:i t:t e:t");
    let config = WindowRank {
        input: input.clone(),
        partition: vec![0],
        order: vec![SortColumn { column: 1, descending: true, nulls_first: false }],
        start: 1,
        end: 2,
        with_rank: true,
        window_end: 3,
        zone: None,
        schema: schema("k:s v:i t:t e:t n:i"),
    };
    let script = "a 1 1 10 | a 3 2 10 | a 2 2 10\n restore\n a 9 11 20\n wm 9\n a 5 3 10\n end";
    let got = Harness::new(config, &[&input]).run(script);
    expect![[r#"
        a 1 1 10 | a 3 2 10 | a 2 2 10
        restore
        a 9 11 20
        wm 9
          +I a 3 2 10 1
          +I a 2 2 10 2
          wm 9
        a 5 3 10
        end
          +I a 9 11 20 1
          wm end
    "#]]
    .assert_eq(&got);
    let config = WindowDeduplicate {
        schema: input.clone(),
        keys: vec![0],
        rowtime: 2,
        last: true,
        window_end: 3,
        zone: None,
    };
    let got = Harness::new(config, &[&input]).run(script);
    expect![[r#"
        a 1 1 10 | a 3 2 10 | a 2 2 10
        restore
        a 9 11 20
        wm 9
          +I a 2 2 10
          wm 9
        a 5 3 10
        end
          +I a 9 11 20
          wm end
    "#]]
    .assert_eq(&got);
}

#[test]
fn rows_of_equal_windows_are_joined() {
    let (left, right) = (schema("k:s v:i e:t"), schema("k:s w:i e:t"));
    let run = |kind, out: &str| {
        let config = WindowJoin {
            kind,
            left: left.clone(),
            right: right.clone(),
            window_end: (2, 2),
            zone: None,
            keys: JoinKeys { left: vec![0], right: vec![0], ..JoinKeys::default() },
            schema: schema(out),
        };
        let script = "a 1 10 | a 2 20 | null 3 10\n restore\n second a 5 10 | null 6 10\n end";
        let mut harness = Harness::new(config, &[&left, &right]);
        harness.run(script);
        harness.out.rows.sort();
        harness.out.rows
    };
    let both = "k:s v:i e:t k2:s w:i e2:t";
    assert_eq!(run(JoinVariant::Inner, both), ["+I a 1 10 a 5 10"]);
    assert_eq!(
        run(JoinVariant::Full, both),
        [
            "+I a 1 10 a 5 10",
            "+I a 2 20 null null null",
            "+I null 3 10 null null null",
            "+I null null null null 6 10"
        ]
    );
    assert_eq!(run(JoinVariant::Semi, "k:s v:i e:t"), ["+I a 1 10"]);
    assert_eq!(run(JoinVariant::Anti, "k:s v:i e:t"), ["+I a 2 20", "+I null 3 10"]);
}
