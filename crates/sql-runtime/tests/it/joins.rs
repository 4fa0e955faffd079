//! Joins of tables, by time, and of versions.

use std::sync::Arc;

use expect_test::expect;
use hurtig_sql_runtime::config::{
    IntervalJoin, JoinInput, JoinKeys, JoinVariant, RegularJoin, TemporalJoin,
};

use crate::harness::{Harness, Less, materialize, schema};

fn keys() -> JoinKeys {
    JoinKeys { left: vec![0], right: vec![0], ..JoinKeys::default() }
}

fn join(kind: JoinVariant) -> RegularJoin {
    let input = |text| JoinInput {
        schema: schema(text),
        unique_key: None,
        join_key_contains_unique_key: false,
        insert_only: false,
        ttl: None,
    };
    let is_filter = matches!(kind, JoinVariant::Semi | JoinVariant::Anti);
    RegularJoin {
        kind,
        left: input("k:s v:i"),
        right: input("k:s w:i"),
        keys: keys(),
        schema: schema(if is_filter { "k:s v:i" } else { "k:s v:i k2:s w:i" }),
    }
}

fn run(config: RegularJoin, script: &str) -> String {
    let inputs = (config.left.schema.clone(), config.right.schema.clone());
    Harness::new(config, &[&inputs.0, &inputs.1]).run(script)
}

#[test]
fn an_outer_join_takes_its_nulls_back() {
    let script = "a 1 | null 9\n restore\n second a 5 | null 6\n second a 7\n restore\n -D a 1\n second -D a 5";
    expect![[r#"
        a 1 | null 9
          +I a 1 null null
          +I null 9 null null
        restore
        second a 5 | null 6
          -D a 1 null null
          +I a 1 a 5
          +I null null null 6
        second a 7
          +I a 1 a 7
        restore
        -D a 1
          -D a 1 a 5
          +I null null a 5
          -D a 1 a 7
          +I null null a 7
        second -D a 5
          -D null null a 5
    "#]]
    .assert_eq(&run(join(JoinVariant::Full), script));
}

#[test]
fn equal_rows_count_and_kinds_pass() {
    expect![[r#"
        a 1 | a 1
        second a 5
          +I a 1 a 5
          +I a 1 a 5
        second -U a 5 | +U a 6
          -U a 1 a 5
          -U a 1 a 5
          +U a 1 a 6
          +U a 1 a 6
        -D a 1
          -D a 1 a 6
    "#]]
    .assert_eq(&run(
        join(JoinVariant::Inner),
        "a 1 | a 1\n second a 5\n second -U a 5 | +U a 6\n -D a 1",
    ));
}

#[test]
fn semi_and_anti_joins_follow_the_right() {
    let script =
        "a 1 | null 2\n second a 5\n second a 6\n restore\n second -D a 5\n second -D a 6\n -D a 1";
    expect![[r#"
        a 1 | null 2
        second a 5
          +I a 1
        second a 6
        restore
        second -D a 5
        second -D a 6
          -D a 1
        -D a 1
    "#]]
    .assert_eq(&run(join(JoinVariant::Semi), script));
    expect![[r#"
        a 1 | null 2
          +I a 1
          +I null 2
        second a 5
          -D a 1
        second a 6
        restore
        second -D a 5
        second -D a 6
          +I a 1
        -D a 1
          -D a 1
    "#]]
    .assert_eq(&run(join(JoinVariant::Anti), script));
}

#[test]
fn conditions_and_unique_keys() {
    let mut config = join(JoinVariant::Left);
    config.keys.condition = Some(Arc::new(Less(1, 3)));
    config.right.unique_key = Some(vec![0]);
    config.right.join_key_contains_unique_key = true;
    expect![[r#"
        second a 5
        a 1 | a 9
          +I a 1 a 5
          +I a 9 null null
        second -U a 5 | +U a 0
          -D a 1 a 5
          +I a 1 null null
    "#]]
    .assert_eq(&run(config, "second a 5\n a 1 | a 9\n second -U a 5 | +U a 0"));
}

#[test]
fn null_may_equal_null() {
    let mut config = join(JoinVariant::Inner);
    config.keys.null_equal = vec![true];
    expect![[r#"
        null 1
        second null 2
          +I null 1 null 2
    "#]]
    .assert_eq(&run(config, "null 1\n second null 2"));
}

fn interval(kind: JoinVariant) -> Harness {
    let (left, right) = (schema("k:s t:t"), schema("k:s u:t"));
    let config = IntervalJoin {
        kind,
        left: left.clone(),
        right: right.clone(),
        times: Some((1, 1)),
        lower_ms: -2,
        upper_ms: 5,
        keys: keys(),
        schema: schema("k:s t:t k2:s u:t"),
    };
    Harness::new(config, &[&left, &right])
}

#[test]
fn rows_of_close_times_are_joined_and_others_are_padded() {
    let got = interval(JoinVariant::Full).run(
        "a 10 | a 20 | b 1
        second a 12 | a 13
        restore
        second a 5
        wm 12
        wm 18
        second a 4
        end",
    );
    // Watermarks are held back by 5.
    expect![[r#"
        a 10 | a 20 | b 1
        second a 12 | a 13
          +I a 10 a 12
        restore
        second a 5
          +I a 10 a 5
        wm 12
          +I b 1 null null
          wm 7
        wm 18
          wm 13
        second a 4
          +I null null a 4
        end
          +I null null a 13
          +I a 20 null null
          wm end
    "#]]
    .assert_eq(&got);
    let mut harness = interval(JoinVariant::Inner);
    harness.run("second a 10\n a 8 | a 15 | a 7 | a 16\n end");
    assert_eq!(materialize(&harness.out.rows), ["a 15 a 10", "a 8 a 10"]);
}

#[test]
fn a_row_meets_the_version_of_its_time() {
    let (left, right) = (schema("k:s t:t"), schema("k:s r:i u:t"));
    let config = TemporalJoin {
        kind: JoinVariant::Left,
        left: left.clone(),
        right: right.clone(),
        times: (1, 2),
        keys: keys(),
        schema: schema("k:s t:t k2:s r:i u:t"),
    };
    let got = Harness::new(config, &[&left, &right]).run(
        "a 3 | a 15 | a 7
        second a 100 5 | +U a 200 10
        restore
        wm 9
        second -D a 200 20
        a 25 | null 1
        restore
        wm 20
        end",
    );
    expect![[r#"
        a 3 | a 15 | a 7
        second a 100 5 | +U a 200 10
        restore
        wm 9
          +I a 3 null null null
          +I a 7 a 100 5
          wm 9
        second -D a 200 20
        a 25 | null 1
        restore
        wm 20
          +I null 1 null null null
          +I a 15 a 200 10
          wm 20
        end
          +I a 25 null null null
          wm end
    "#]]
    .assert_eq(&got);
}
