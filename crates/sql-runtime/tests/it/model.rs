//! Aggregates and joins against naive models, with a restore between any two batches.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_sql_runtime::config::{
    GroupAggregate, JoinInput, JoinKeys, JoinVariant, RegularJoin, SharedExpression,
    WindowAggregate, WindowProperty, WindowSpec, WindowTime,
};
use proptest::prelude::*;

use crate::harness::{Harness, Less, count, materialize, schema, sum, sum_distinct};

/// Insertions, and deletions of what is there; each with the input it is for.
fn changes(inputs: usize, raw: &[(usize, u8, i64, bool)]) -> Vec<(usize, bool, String, i64)> {
    let mut there: Vec<(usize, String, i64)> = Vec::new();
    raw.iter()
        .map(|(input, key, value, deletes)| {
            let input = input % inputs;
            let mine: Vec<usize> = (0..there.len()).filter(|at| there[*at].0 == input).collect();
            if *deletes && !mine.is_empty() {
                let (input, key, value) = there.remove(mine[(*value as usize) % mine.len()]);
                return (input, false, key, value);
            }
            let key = if *key == 0 { "null".to_owned() } else { format!("k{key}") };
            there.push((input, key.clone(), *value));
            (input, true, key, *value)
        })
        .collect()
}

fn tables(changes: &[(usize, bool, String, i64)]) -> [Vec<(String, i64)>; 2] {
    let mut tables = [Vec::new(), Vec::new()];
    for (input, adds, key, value) in changes {
        let row = (key.clone(), *value);
        if *adds {
            tables[*input].push(row);
        } else if let Some(at) = tables[*input].iter().position(|known| *known == row) {
            tables[*input].remove(at);
        }
    }
    tables
}

fn drive(
    harness: &mut Harness,
    changes: &[(usize, bool, String, i64)],
    batch: usize,
    restores: bool,
) {
    for part in changes.chunks(batch) {
        // Rows of one input in a row are one batch.
        let mut at = 0;
        while at < part.len() {
            let input = part[at].0;
            let end = (at..part.len()).find(|index| part[*index].0 != input).unwrap_or(part.len());
            let rows = part[at..end].iter().map(|(_, adds, key, value)| {
                format!("{} {key} {value}", if *adds { "+I" } else { "-D" })
            });
            let line = rows.collect::<Vec<_>>().join(" | ");
            let second = if input == 1 { "second " } else { "" };
            let got = harness.run(&format!("{second}{line}"));
            assert!(!got.contains("error"), "{got}");
            at = end;
        }
        if restores {
            harness.restore();
        }
    }
}

/// The same without deletions.
fn only_inserts(raw: &[(usize, u8, i64, bool)]) -> Vec<(usize, u8, i64, bool)> {
    raw.iter().map(|(input, key, value, _)| (*input, *key, *value, false)).collect()
}

/// Changes: input, key, value, and whether a row is taken away.
fn raw() -> impl Strategy<Value = Vec<(usize, u8, i64, bool)>> {
    prop::collection::vec((0..2usize, 0..4u8, 0..5i64, prop::bool::weighted(0.3)), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn groups_are_those_of_the_table(
        raw in raw(),
        batch in 1..9usize,
        inserts: bool,
        restores: bool,
    ) {
        let changes = changes(1, &if inserts { only_inserts(&raw) } else { raw });
        let input = schema("k:s v:i");
        let config = GroupAggregate {
            input: input.clone(),
            keys: vec![0],
            calls: vec![count(), sum(1), sum_distinct(1)],
            schema: schema("k:s c:i s:i d:i"),
            insert_only: inserts,
            emits_update_before: true,
            ttl: None,
        };
        let mut harness = Harness::new(config, &[&input]);
        drive(&mut harness, &changes, batch, restores);
        let mut groups: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (key, value) in &tables(&changes)[0] {
            groups.entry(key.clone()).or_default().push(*value);
        }
        let mut wanted: Vec<String> = groups.into_iter().map(|(key, mut values)| {
            let (count, sum) = (values.len(), values.iter().sum::<i64>());
            values.sort_unstable();
            values.dedup();
            format!("{key} {count} {sum} {}", values.iter().sum::<i64>())
        }).collect();
        wanted.sort();
        prop_assert_eq!(materialize(&harness.out.rows), wanted);
    }

    #[test]
    fn joins_are_those_of_the_tables(
        raw in raw(),
        kind in prop::sample::select(vec![
            JoinVariant::Inner, JoinVariant::Left, JoinVariant::Right, JoinVariant::Full, JoinVariant::Semi, JoinVariant::Anti,
        ]),
        inserts: bool,
        conditional: bool,
        restores: bool,
    ) {
        let changes = changes(2, &if inserts { only_inserts(&raw) } else { raw });
        let is_filter = matches!(kind, JoinVariant::Semi | JoinVariant::Anti);
        let input = schema("k:s v:i");
        let side = JoinInput {
            schema: input.clone(),
            unique_key: None,
            join_key_contains_unique_key: false,
            insert_only: inserts,
            ttl: None,
        };
        let config = RegularJoin {
            kind,
            left: side.clone(),
            right: side,
            keys: JoinKeys {
                left: vec![0],
                right: vec![0],
                condition: conditional.then(|| Arc::new(Less(1, 3)) as SharedExpression),
                ..JoinKeys::default()
            },
            schema: schema(if is_filter { "k:s v:i" } else { "k:s v:i k2:s v2:i" }),
        };
        let mut harness = Harness::new(config, &[&input, &input]);
        drive(&mut harness, &changes, 4, restores);
        let [left, right] = tables(&changes);
        let holds = |left: &(String, i64), right: &(String, i64)| {
            left.0 != "null" && left.0 == right.0 && (!conditional || left.1 < right.1)
        };
        let mut wanted = Vec::new();
        for row in &left {
            let found: Vec<_> = right.iter().filter(|other| holds(row, other)).collect();
            match kind {
                JoinVariant::Semi | JoinVariant::Anti => {
                    if found.is_empty() == (kind == JoinVariant::Anti) {
                        wanted.push(format!("{} {}", row.0, row.1));
                    }
                    continue;
                }
                JoinVariant::Left | JoinVariant::Full if found.is_empty() => {
                    wanted.push(format!("{} {} null null", row.0, row.1));
                }
                _ => {}
            }
            wanted.extend(found.iter().map(|other| format!("{} {} {} {}", row.0, row.1, other.0, other.1)));
        }
        if matches!(kind, JoinVariant::Right | JoinVariant::Full) {
            for row in right.iter().filter(|row| !left.iter().any(|left| holds(left, row))) {
                wanted.push(format!("null null {} {}", row.0, row.1));
            }
        }
        wanted.sort();
        prop_assert_eq!(materialize(&harness.out.rows), wanted);
    }

    #[test]
    fn hops_hold_every_row_of_their_time(
        rows in prop::collection::vec((0..3u8, 0..5i64, 0..60i64), 0..40),
        size in 1..20i64, slide in 1..10i64, restores: bool,
    ) {
        let input = schema("k:s v:i t:t");
        let config = WindowAggregate {
            input: input.clone(),
            keys: vec![0],
            window: WindowSpec::Hop { size_ms: size, slide_ms: slide, offset_ms: 0 },
            time: WindowTime::Rowtime { column: 2, zone: None },
            calls: vec![count(), sum_distinct(1)],
            properties: vec![WindowProperty::Start],
            latest_first: false,
            schema: schema("k:s c:i d:i s:t"),
        };
        let mut harness = Harness::new(config, &[&input]);
        for part in rows.chunks(5) {
            let line = part.iter().map(|(k, v, t)| format!("k{k} {v} {t}")).collect::<Vec<_>>();
            let got = harness.run(&line.join(" | "));
            prop_assert!(!got.contains("error"), "{got}");
            if restores {
                harness.restore();
            }
        }
        harness.run("end");
        let mut windows: BTreeMap<(String, i64), Vec<i64>> = BTreeMap::new();
        for (key, value, time) in &rows {
            for start in (-40..80).map(|n| n * slide).filter(|s| s <= time && *time < s + size) {
                windows.entry((format!("k{key}"), start)).or_default().push(*value);
            }
        }
        let mut wanted: Vec<String> = windows.into_iter().map(|((key, start), mut values)| {
            let count = values.len();
            values.sort_unstable();
            values.dedup();
            format!("{key} {count} {} {start}", values.iter().sum::<i64>())
        }).collect();
        wanted.sort();
        prop_assert_eq!(materialize(&harness.out.rows), wanted);
    }
}
