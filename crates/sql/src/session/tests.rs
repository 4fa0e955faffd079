//! Where state finds its operator again: ids of operators, when a query has changed elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use hurtig_sql_parser::{SqlParser, ast::StatementKind};
use hurtig_sql_planner::stream::plan_stream;

use super::Session;
use crate::translate;

const TABLES: &str = "
CREATE TABLE bids (auction INT, bidder INT, price INT, at_time TIMESTAMP(3), WATERMARK FOR at_time AS at_time)
  WITH ('connector' = 'datagen');
CREATE TABLE auctions (id INT, seller INT) WITH ('connector' = 'datagen');
CREATE TABLE people (id INT, name STRING) WITH ('connector' = 'datagen');
";

/// The operators of a query: names and ids.
fn operators(query: &str, set: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut session = Session::new();
    for (key, value) in set {
        session.set(key, value).unwrap();
    }
    for part in SqlParser::default().split(TABLES).unwrap() {
        session.execute(TABLES, part).unwrap();
    }
    let statement = SqlParser::default().statement(query).unwrap();
    let StatementKind::Query(query) = &statement.kind else { panic!("no query") };
    let settings = session.planner_settings().unwrap();
    let bound = session.binder(&session.catalogs, &settings).bind_query(query).unwrap();
    let tables = translate::SessionTables {
        connectors: &session.connectors,
        inserts: &[],
        duplicate_changes: false,
        gate: None,
    };
    let plan = plan_stream(&[bound.plan], &settings, &tables, true).unwrap();
    let env = session.planning_environment().unwrap();
    translate::shown_query(&env, &plan, &tables, &settings).unwrap();
    let nodes = env.stream_graph("test").unwrap().nodes.into_iter();
    nodes.map(|node| (node.name, node.uid.unwrap_or_default())).collect()
}

/// The ids of a query's operators, by their names.
fn uids(query: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, uid) in operators(query, &[]) {
        all.entry(name).or_default().insert(uid);
    }
    all
}

/// Whether both have operators of that name, with the same ids.
fn same(left: &str, right: &str, operator: &str) -> bool {
    let (left, right) = (uids(left), uids(right));
    assert!(left.contains_key(operator), "{operator} is not in {left:?}");
    assert!(right.contains_key(operator), "{operator} is not in {right:?}");
    left[operator] == right[operator]
}

const COUNTED: &str = "SELECT auction, COUNT(*) AS n FROM bids GROUP BY auction";

#[test]
fn the_same_query_has_the_same_ids() {
    assert_eq!(uids(COUNTED), uids(COUNTED));
    // But for the sink, which is there for the graph's sake.
    for (name, ids) in uids(COUNTED).iter().filter(|(name, _)| *name != "Sink: Collect") {
        assert!(ids.iter().all(|id| !id.is_empty()), "{name}: {ids:?}");
    }
}

#[test]
fn what_is_computed_behind_an_aggregate_changes_nothing_of_it() {
    let more = "SELECT auction, n + 1, n * 2 FROM (SELECT auction, COUNT(*) AS n FROM bids GROUP BY auction) WHERE n > 3";
    assert!(same(COUNTED, more, "GroupAggregate"));
}

#[test]
fn a_join_behind_an_aggregate_changes_nothing_of_it() {
    let joined = "SELECT c.n, a.seller FROM (SELECT auction, COUNT(*) AS n FROM bids GROUP BY auction) AS c JOIN auctions AS a ON c.auction = a.id";
    assert!(same(COUNTED, joined, "GroupAggregate"));
    let swapped = "SELECT c.n, a.seller FROM auctions AS a JOIN (SELECT auction, COUNT(*) AS n FROM bids GROUP BY auction) AS c ON c.auction = a.id";
    assert!(same(joined, swapped, "GroupAggregate"));
}

#[test]
fn another_branch_changes_nothing_of_a_branch() {
    let alone = "SELECT auction AS k, COUNT(*) AS n FROM bids GROUP BY auction";
    let both = format!("{alone} UNION ALL SELECT id, CAST(3 AS BIGINT) FROM people");
    assert!(same(alone, &both, "GroupAggregate"));
}

#[test]
fn other_keys_and_other_calls_are_other_state() {
    for other in [
        "SELECT bidder, COUNT(*) AS n FROM bids GROUP BY bidder",
        "SELECT auction, SUM(price) AS n FROM bids GROUP BY auction",
        "SELECT seller, COUNT(*) AS n FROM auctions GROUP BY seller",
    ] {
        assert!(!same(COUNTED, other, "GroupAggregate"), "{other}");
    }
}

#[test]
fn equal_operators_have_different_ids() {
    let twice = format!("({COUNTED}) UNION ALL ({COUNTED})");
    let apart = [("table.optimizer.reuse-sub-plan-enabled", "false")];
    let aggregates = operators(&twice, &apart).into_iter();
    let aggregates = aggregates.filter(|(name, _)| name == "GroupAggregate");
    assert_eq!(aggregates.collect::<BTreeSet<_>>().len(), 2);
    assert!(same(COUNTED, &twice, "GroupAggregate"), "one for both, which is the same as before");
}

/// How many operators of a name there are.
fn count(query: &str, set: &[(&str, &str)], name: &str) -> usize {
    operators(query, set).iter().filter(|(one, _)| one == name).count()
}

#[test]
fn parts_that_are_the_same_are_computed_once() {
    let joined = |left: &str, right: &str| {
        let part = |of: &str| format!("(SELECT auction, COUNT(*) AS n FROM {of} GROUP BY auction)");
        format!("SELECT * FROM {} a JOIN {} b ON a.n = b.n", part(left), part(right))
    };
    let some = |text: &str| format!("(SELECT * FROM bids WHERE CAST(bidder AS STRING) = '{text}')");
    let both = [("table.optimizer.reuse-sub-plan-enabled", "false")];
    let sources = [("table.optimizer.reuse-source-enabled", "false")];
    for (left, right, set, aggregates, scans) in [
        ("bids", "bids", &[][..], 1, 1),
        ("bids", "bids", &both[..], 2, 2),
        ("bids", "bids", &sources[..], 1, 1),
        (&some("x#1"), &some("x#1"), &[][..], 1, 1),
        // Literals that look like names of columns are not.
        (&some("x#1"), &some("x#2"), &[][..], 2, 1),
        (&some("x#1"), &some("x#2"), &sources[..], 2, 2),
        (
            "(SELECT * FROM bids WHERE RAND() < 0.5)",
            "(SELECT * FROM bids WHERE RAND() < 0.5)",
            &[][..],
            2,
            1,
        ),
    ] {
        let query = joined(left, right);
        assert_eq!(count(&query, set, "GroupAggregate"), aggregates, "{query} {set:?}");
        assert_eq!(count(&query, set, "TableSourceScan"), scans, "{query} {set:?}");
    }
}
