//! The operators with state, each in the variants that keep state differently.

use std::{sync::Arc, time::Duration};

use arrow_schema::{DataType, SchemaRef};
use hurtig_operator_api::OperatorFactory;
use hurtig_sql_common::ChangelogBatch;
use hurtig_sql_runtime::config::*;

use crate::harness::{Harness, count, schema, sum, sum_distinct};

/// What comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Rows are only added.
    Inserts,
    /// Rows are added, changed and taken away.
    Retractions,
    /// By key: the new row, or that it is gone.
    Upserts,
}

/// An operator and what it is fed with.
pub struct Subject {
    pub name: String,
    pub factory: Arc<dyn OperatorFactory>,
    /// Schemas, and the columns by which rows are distributed; none: all to one place.
    pub inputs: Vec<(SchemaRef, Vec<usize>)>,
    pub changes: Changes,
    /// Times are multiples of it, so that rows of one time meet.
    pub step: i64,
    /// What rows go through before.
    before: Option<LocalGroupAggregate>,
}

impl Subject {
    /// True if there can be one subtask alone.
    pub fn is_global(&self) -> bool {
        self.inputs.iter().any(|(_, keys)| keys.is_empty())
    }

    /// The schema of the rows that are generated.
    pub fn generated(&self, input: usize) -> &SchemaRef {
        self.before.as_ref().map_or(&self.inputs[input].0, |before| &before.input)
    }

    /// A batch as the operator gets it.
    pub fn prepared(&self, batch: ChangelogBatch) -> ChangelogBatch {
        let Some(before) = &self.before else { return batch };
        let mut harness = Harness::new(before.clone(), &[&before.input]);
        harness.process(0, batch).unwrap();
        harness.run("end");
        harness.out.batches.pop().expect("rows make partial results")
    }
}

/// `k` is the key, `v` a number, `t` the time.
const ROW: &str = "k:s v:i t:t";
const PAIR: &str = "k:s v:i t:t k2:s w:i u:t";

fn made(
    name: &str,
    factory: impl OperatorFactory + 'static,
    inputs: usize,
    changes: Changes,
) -> Subject {
    Subject {
        name: name.to_owned(),
        factory: Arc::new(factory),
        inputs: vec![(schema(ROW), vec![0]); inputs],
        changes,
        step: 1,
        before: None,
    }
}

/// All rows to one place.
fn global(subject: Subject) -> Subject {
    Subject { inputs: vec![(schema(ROW), Vec::new())], ..subject }
}

fn by(column: usize, descending: bool) -> SortColumn {
    SortColumn { column, descending, nulls_first: !descending }
}

fn keys() -> JoinKeys {
    JoinKeys { left: vec![0], right: vec![0], ..JoinKeys::default() }
}

const KINDS: [JoinVariant; 6] = [
    JoinVariant::Inner,
    JoinVariant::Left,
    JoinVariant::Right,
    JoinVariant::Full,
    JoinVariant::Semi,
    JoinVariant::Anti,
];

fn joined(kind: JoinVariant) -> SchemaRef {
    schema(if matches!(kind, JoinVariant::Semi | JoinVariant::Anti) { ROW } else { PAIR })
}

/// Operators whose state lives for a time, if one is given.
pub fn with_time_to_live(ttl: Option<Duration>) -> Vec<Subject> {
    use Changes::*;
    let row = || schema(ROW);
    let group = GroupAggregate {
        input: row(),
        keys: vec![0],
        calls: vec![count(), sum(1), sum_distinct(1)],
        schema: schema("k:s c:i s:i d:i"),
        insert_only: false,
        emits_update_before: true,
        ttl,
    };
    let rank = |append_only: bool, with_rank: bool| Rank {
        input: row(),
        partition: vec![0],
        order: vec![by(1, true)],
        start: 1,
        end: 2,
        with_rank,
        append_only,
        upsert_key: None,
        emits_update_before: true,
        ttl,
        schema: if with_rank { schema("k:s v:i t:t n:i") } else { row() },
    };
    let deduplicate = |rowtime: bool, last: bool| Deduplicate {
        schema: row(),
        keys: vec![0],
        rowtime: rowtime.then_some(2),
        last,
        insert_only: false,
        emits_update_before: true,
        every_version: false,
        ttl,
    };
    let mut all = vec![
        made("rank", rank(false, false), 1, Retractions),
        made("rank of inserts", rank(true, false), 1, Inserts),
        made("rank with its number", rank(false, true), 1, Retractions),
        made("first row by arrival", deduplicate(false, false), 1, Inserts),
        made("last row by arrival", deduplicate(false, true), 1, Inserts),
        made("first row by time", deduplicate(true, false), 1, Inserts),
        made("last row by time", deduplicate(true, true), 1, Inserts),
        made(
            "changelog normalize",
            ChangelogNormalize {
                schema: row(),
                keys: vec![0],
                emits_update_before: true,
                every_version: false,
                ttl,
                condition: None,
            },
            1,
            Upserts,
        ),
        made(
            "sink materialize",
            SinkMaterialize { schema: row(), primary_key: vec![0], upsert_key: None, ttl },
            1,
            Retractions,
        ),
        made("group aggregate", group.clone(), 1, Retractions),
        made(
            "group aggregate over inserts",
            GroupAggregate { insert_only: true, ..group.clone() },
            1,
            Inserts,
        ),
        global(made(
            "sort with a limit",
            SortLimit {
                schema: row(),
                order: vec![by(1, false)],
                offset: 1,
                fetch: 3,
                append_only: false,
                upsert_key: None,
                emits_update_before: true,
                ttl,
            },
            1,
            Retractions,
        )),
        global(made(
            "limit",
            Limit {
                schema: row(),
                offset: 1,
                fetch: 3,
                append_only: false,
                emits_update_before: true,
                ttl,
            },
            1,
            Retractions,
        )),
        made(
            "over in another order",
            OverAggregate {
                input: row(),
                partition: vec![0],
                order: OverOrder::Columns(vec![by(1, false)]),
                calls: vec![
                    OverCall::Aggregate {
                        call: sum(1),
                        frame: OverFrame { rows: true, preceding: None },
                    },
                    OverCall::Ranking(OverRanking::Lead { column: 1, offset: 1, default: None }),
                ],
                schema: schema("k:s v:i t:t s:i l:i"),
                ttl,
            },
            1,
            Retractions,
        ),
    ];
    let partial = schema("k:s p:x");
    let local = LocalGroupAggregate {
        input: row(),
        keys: vec![0],
        calls: group.calls.clone(),
        schema: partial.clone(),
    };
    let second = GlobalGroupAggregate {
        input: partial.clone(),
        arguments: vec![vec![], vec![DataType::Int64], vec![DataType::Int64]],
        calls: group.calls,
        schema: group.schema,
        insert_only: false,
        emits_update_before: true,
        ttl,
    };
    all.push(Subject {
        inputs: vec![(partial, vec![0])],
        before: Some(local),
        ..made("second phase of an aggregate", second, 1, Retractions)
    });
    for (except, every) in [(false, false), (false, true), (true, false), (true, true)] {
        let name = format!("set operation, except {except}, all {every}");
        let config = SetOperation { schema: row(), except, all: every, ttl };
        let subject = made(&name, config, 2, Retractions);
        all.push(Subject { inputs: vec![(row(), vec![0, 1, 2]); 2], step: 50, ..subject });
    }
    for kind in KINDS {
        for unique in [false, true] {
            let input = JoinInput {
                schema: row(),
                // With upserts the key of the join is unique, too.
                unique_key: unique.then(|| vec![0]),
                join_key_contains_unique_key: unique,
                insert_only: false,
                ttl,
            };
            let config = RegularJoin {
                kind,
                left: input.clone(),
                right: input,
                keys: keys(),
                schema: joined(kind),
            };
            if !unique {
                let inserts = JoinInput { insert_only: true, ..config.left.clone() };
                let config =
                    RegularJoin { left: inserts.clone(), right: inserts, ..config.clone() };
                all.push(made(&format!("{kind:?} join of inserts"), config, 2, Inserts));
            }
            let changes = if unique { Upserts } else { Retractions };
            // Of upserts, outer joins want to know what was before.
            if !unique || kind == JoinVariant::Inner {
                all.push(made(&format!("{kind:?} join, unique {unique}"), config, 2, changes));
            }
        }
    }
    all
}

/// Operators whose state goes with event time.
pub fn by_time() -> Vec<Subject> {
    use Changes::*;
    let row = || schema(ROW);
    let rowtime = || WindowTime::Rowtime { column: 2, zone: None };
    let windows = [
        ("tumble", WindowSpec::Tumble { size_ms: 20, offset_ms: 0 }),
        ("hop", WindowSpec::Hop { size_ms: 30, slide_ms: 10, offset_ms: 0 }),
        ("cumulate", WindowSpec::Cumulate { size_ms: 40, step_ms: 10, offset_ms: 0 }),
        ("session", WindowSpec::Session { gap_ms: 7 }),
    ];
    let mut all = Vec::new();
    for (name, window) in windows {
        let config = WindowAggregate {
            input: row(),
            keys: vec![0],
            window,
            time: rowtime(),
            calls: vec![count(), sum(1), sum_distinct(1)],
            properties: vec![WindowProperty::Start, WindowProperty::End],
            latest_first: false,
            schema: schema("k:s c:i x:i d:i s:t e:t"),
        };
        all.push(made(&format!("window aggregate, {name}"), config, 1, Inserts));
    }
    all.push(made(
        "sessions of rows",
        WindowTableFunction {
            input: row(),
            window: WindowSpec::Session { gap_ms: 7 },
            time: rowtime(),
            keys: vec![0],
            schema: schema("k:s v:i t:t s:t e:t w:t"),
        },
        1,
        Inserts,
    ));
    for (name, rows, preceding) in [
        ("all rows", true, None),
        ("all times", false, None),
        ("2 rows", true, Some(2)),
        ("15 ms", false, Some(15)),
    ] {
        let frame = OverFrame { rows, preceding };
        let config = OverAggregate {
            input: row(),
            partition: vec![0],
            order: OverOrder::Rowtime(2),
            calls: vec![
                OverCall::Aggregate { call: sum(1), frame },
                OverCall::Ranking(OverRanking::RowNumber),
                OverCall::Ranking(OverRanking::Lag { column: 1, offset: 2, default: None }),
            ],
            schema: schema("k:s v:i t:t s:i n:i l:i"),
            ttl: None,
        };
        all.push(made(&format!("over {name}"), config, 1, Inserts));
    }
    all.push(made(
        "first row at the watermark",
        Deduplicate {
            schema: row(),
            keys: vec![0],
            rowtime: Some(2),
            last: false,
            insert_only: true,
            emits_update_before: false,
            every_version: false,
            ttl: None,
        },
        1,
        Inserts,
    ));
    all.push(global(made(
        "sort by time",
        TemporalSort { schema: row(), rowtime: Some(2), order: vec![by(1, true)] },
        1,
        Inserts,
    )));
    all.push(made(
        "window rank",
        WindowRank {
            input: row(),
            partition: vec![0],
            order: vec![by(1, true)],
            start: 1,
            end: 2,
            with_rank: true,
            window_end: 2,
            zone: None,
            schema: schema("k:s v:i t:t n:i"),
        },
        1,
        Inserts,
    ));
    for last in [false, true] {
        let config = WindowDeduplicate {
            schema: row(),
            keys: vec![0],
            rowtime: 2,
            last,
            window_end: 2,
            zone: None,
        };
        let subject = made(&format!("window deduplicate, last {last}"), config, 1, Inserts);
        all.push(Subject { step: 10, ..subject });
    }
    for kind in KINDS {
        let config = WindowJoin {
            kind,
            left: row(),
            right: row(),
            window_end: (2, 2),
            zone: None,
            keys: keys(),
            schema: joined(kind),
        };
        let subject = made(&format!("window join, {kind:?}"), config, 2, Inserts);
        all.push(Subject { step: 10, ..subject });
    }
    for kind in [JoinVariant::Inner, JoinVariant::Left, JoinVariant::Right, JoinVariant::Full] {
        let config = IntervalJoin {
            kind,
            left: row(),
            right: row(),
            times: Some((2, 2)),
            lower_ms: -6,
            upper_ms: 12,
            keys: keys(),
            schema: schema(PAIR),
        };
        all.push(made(&format!("interval join, {kind:?}"), config, 2, Inserts));
    }
    for kind in [JoinVariant::Inner, JoinVariant::Left] {
        let config = TemporalJoin {
            kind,
            left: row(),
            right: row(),
            times: (2, 2),
            keys: keys(),
            schema: schema(PAIR),
        };
        all.push(made(&format!("temporal join, {kind:?}"), config, 2, Inserts));
    }
    all
}
