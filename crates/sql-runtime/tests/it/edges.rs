//! Edges, and operators without state.

use std::sync::Arc;

use expect_test::expect;
use hurtig_operator_api::{ChannelSink, EdgeFactory, PartitionContext};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_sql_runtime::config::{
    Calc, DropUpdateBefore, Exchange, Expand, FromChangelog, LengthEnforcer, LengthRule,
    NotNullEnforcer, TableEdge, ToChangelog, WatermarkAssigner,
};
use hurtig_types::{BoxedPayload, FlowResult};

use crate::harness::{Column, Harness, Less, lines, rows, schema};

#[derive(Default)]
struct Channels(Vec<Vec<String>>);

impl ChannelSink for Channels {
    fn push(&mut self, channel: usize, batch: BoxedPayload) -> FlowResult {
        let mut bytes = Vec::new();
        batch.encode(&mut bytes)?;
        self.0.resize(self.0.len().max(channel + 1), Vec::new());
        self.0[channel].extend(lines(&ChangelogBatch::from_payload(batch)?));
        Ok(())
    }
}

fn run(distribution: Exchange, channels: usize, batches: &[&str]) -> Vec<Vec<String>> {
    let schema = schema("k:s v:i");
    let edge = TableEdge { schema: schema.clone(), distribution };
    let context = PartitionContext {
        channels,
        subtask: 1,
        parallelism: 2,
        target_parallelism: channels as u32,
        target_max_parallelism: 128,
        buffer_bytes: 1 << 16,
    };
    let mut partitioner = edge.create_partitioner(&context).unwrap();
    let mut sink = Channels::default();
    for batch in batches {
        partitioner.partition(rows(&schema, batch).boxed(), &mut sink).unwrap();
    }
    partitioner.flush(&mut sink).unwrap();
    assert!(partitioner.is_empty());
    sink.0.resize(channels, Vec::new());
    sink.0
}

#[test]
fn every_distribution_reaches_the_right_channels() {
    let batches = ["a 1 | -D b 2", "c 3"];
    assert_eq!(run(Exchange::Global, 2, &batches)[0].len(), 3);
    assert!(run(Exchange::Broadcast, 2, &batches).iter().all(|channel| channel.len() == 3));
    assert_eq!(run(Exchange::Rebalance, 2, &batches), [vec!["+I c 3"], vec!["+I a 1", "-D b 2"]]);
}

#[test]
fn equal_keys_meet_whatever_the_batch() {
    let text: Vec<String> =
        (0..40).map(|n| format!("k{} {n} | +U k{} {n}", n % 10, n % 7)).collect();
    let batches: Vec<&str> = text.iter().map(String::as_str).collect();
    let channels = run(Exchange::Hash(vec![0]), 3, &batches);
    assert_eq!(channels.iter().map(Vec::len).sum::<usize>(), 80);
    assert!(channels.iter().all(|channel| !channel.is_empty()));
    for key in (0..10).map(|n| format!(" k{n} ")) {
        let owners = channels.iter().filter(|rows| rows.iter().any(|row| row.contains(&key)));
        assert_eq!(owners.count(), 1, "{key}");
    }
}

#[test]
fn calc_filters_and_projects() {
    let input = schema("a:i b:i");
    let config = Calc {
        condition: Some(Arc::new(Less(0, 1))),
        projection: Some(vec![Arc::new(Column(1))]),
        schema: schema("b:i"),
    };
    let got = Harness::new(config, &[&input]).run("1 2 | 2 1 | -D 3 4 | null 5\n 2 1");
    expect![[r#"
        1 2 | 2 1 | -D 3 4 | null 5
          +I 2
          -D 4
        2 1
    "#]]
    .assert_eq(&got);
}

#[test]
fn rows_are_copied_and_kinds_dropped() {
    let input = schema("a:i b:i");
    let config = Expand {
        projections: vec![vec![Arc::new(Column(0))], vec![Arc::new(Column(1))]],
        schema: schema("x:i"),
    };
    let mut harness = Harness::new(config, &[&input]);
    harness.run("1 2 | -D 3 4");
    assert_eq!(harness.out.rows, ["+I 1", "-D 3", "+I 2", "-D 4"]);
    let mut harness = Harness::new(DropUpdateBefore, &[&input]);
    harness.run("1 2 | -U 3 4 | +U 5 6");
    assert_eq!(harness.out.rows, ["+I 1 2", "+U 5 6"]);
}

#[test]
fn null_is_refused_or_dropped() {
    let input = schema("a:i b:i");
    let config = |drop| NotNullEnforcer { columns: vec![(1, "b".to_owned())], drop };
    let got = Harness::new(config(false), &[&input]).run("1 2\n 1 null");
    assert!(got.contains("error") && got.contains("Column 'b' is NOT NULL"), "{got}");
    let mut harness = Harness::new(config(true), &[&input]);
    harness.run("1 2 | 3 null");
    assert_eq!(harness.out.rows, ["+I 1 2"]);
}

#[test]
fn changes_are_told_in_rows_and_taken_from_them() {
    let input = schema("a:i");
    let code = |text: &str| Some(text.to_owned());
    let told =
        ToChangelog { codes: [code("I"), None, code("U"), code("D")], schema: schema("op:s a:i") };
    let mut harness = Harness::new(told, &[&input]);
    harness.run("1 | -U 1 | +U 2 | -D 2");
    assert_eq!(harness.out.rows, ["+I I 1", "+I U 2", "+I D 2"]);
    let taken = |skips_unknown, drops_update_before| FromChangelog {
        op: 0,
        kinds: vec![
            ("c".to_owned(), RowKind::Insert),
            ("b".to_owned(), RowKind::UpdateBefore),
            ("u".to_owned(), RowKind::UpdateAfter),
        ],
        skips_unknown,
        drops_update_before,
        schema: schema("a:i"),
    };
    let input = schema("op:s a:i");
    let mut harness = Harness::new(taken(true, false), &[&input]);
    harness.run("c 1 | b 1 | u 2 | x 3 | null 4");
    assert_eq!(harness.out.rows, ["+I 1", "-U 1", "+U 2"]);
    let mut harness = Harness::new(taken(true, true), &[&input]);
    harness.run("c 1 | b 1 | u 2");
    assert_eq!(harness.out.rows, ["+I 1", "+U 2"]);
    let got = Harness::new(taken(false, false), &[&input]).run("c 1 | x 3");
    assert!(got.contains("invalid op code 'x'. Defined op codes are: [c, b, u]"), "{got}");
}

#[test]
fn texts_are_cut_padded_or_refused() {
    let input = schema("a:s b:s");
    let rule =
        |column, length, fixed| LengthRule { column, name: format!("c{column}"), length, fixed };
    let config = |trims| LengthEnforcer { rules: vec![rule(0, 2, true), rule(1, 3, false)], trims };
    let mut harness = Harness::new(config(true), &[&input]);
    harness.run("x öäüß | -D xyz ö | null null | ab abc");
    assert_eq!(harness.out.rows, ["+I x  öäü", "-D xy ö", "+I null null", "+I ab abc"]);
    let got = Harness::new(config(false), &[&input]).run("ab öäü\n ab abcd");
    assert!(got.contains("Column 'c1' is VARCHAR(3), however, a string of length 4"), "{got}");
    assert!(got.contains("+I ab öäü"), "{got}");
}

#[test]
fn watermarks_follow_event_time_and_the_clock() {
    let input = schema("v:i t:t");
    let config = WatermarkAssigner {
        time: 1,
        watermark: Arc::new(Column(1)),
        idle_timeout: Some(std::time::Duration::from_millis(500)),
    };
    let script = "1 1000 | 2 900\n 3 1100\n pt 200\n pt 800\n 4 1150\n 5 null\n wm 7\n end";
    let got = Harness::new(config, &[&input]).run(script);
    expect![[r#"
        1 1000 | 2 900
          +I 1 1000
          +I 2 900
          wm 1000
        3 1100
          +I 3 1100
        pt 200
          wm 1100
        pt 800
          Idle
        4 1150
          Active
          +I 4 1150
        5 null
          error: RowTime field should not be null, please convert it to a non-null long value.
        wm 7
        end
          wm end
    "#]]
    .assert_eq(&got);
}
