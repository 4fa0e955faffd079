//! Operators keep their ids when something else in the query changes.

use std::collections::BTreeSet;

use hurtig_sql::{Session, StatementResult, connectors::gate::SourceGate};
use hurtig_types::OperatorId;

fn session() -> Session {
    let mut session = Session::new();
    for table in ["a", "b", "c"] {
        let columns = "k STRING, v INT, w INT, t TIMESTAMP(3), WATERMARK FOR t AS t";
        let table = format!("CREATE TABLE {table} ({columns}) WITH ('connector' = 'datagen')");
        session.execute_one(&table).unwrap();
    }
    for sink in ["two", "other"] {
        let columns = "x STRING, y INT";
        let sink = format!("CREATE TABLE {sink} ({columns}) WITH ('connector' = 'blackhole')");
        session.execute_one(&sink).unwrap();
    }
    // Equal ones are to be told apart, not to be one.
    session.set("table.optimizer.reuse-sub-plan-enabled", "false").unwrap();
    // Nothing is read: the graph is what counts.
    session.hold_sources(Some(SourceGate::after(0)));
    session
}

/// Ids of the operators of that name; of all, without a name.
fn ids(statement: &str, name: &str) -> BTreeSet<OperatorId> {
    let started = session().execute_one(statement);
    let started = started.unwrap_or_else(|error| panic!("{}", error.render(statement)));
    let StatementResult::Job(job) = started else { panic!("{statement} is no job") };
    let client = job.client().expect("the cluster is embedded");
    let graph = client.details().unwrap().graph;
    client.cancel().unwrap();
    let operators = graph.vertices.iter().flat_map(|vertex| &vertex.operators);
    let named: Vec<_> = operators.filter(|operator| operator.name.starts_with(name)).collect();
    assert!(!named.is_empty(), "no {name} in {statement}");
    let ids: BTreeSet<_> = named.iter().map(|operator| operator.id).collect();
    assert_eq!(ids.len(), named.len(), "ids of {statement} are not unique");
    ids
}

const SUMS: &str = "SELECT k, SUM(v) AS s FROM a GROUP BY k";

fn insert(query: &str) -> String {
    format!("INSERT INTO two {query}")
}

#[test]
fn columns_that_are_added_around_an_operator_do_not_change_it() {
    let before = insert(SUMS);
    for after in [
        // Above it, other names and more columns.
        format!("SELECT UPPER(k), s + 1 FROM ({SUMS}) AS x WHERE s > 3"),
        "SELECT k AS other, SUM(v) AS name FROM a GROUP BY k".to_owned(),
        // Below it, more of the table is read.
        "SELECT k, SUM(v) FROM (SELECT *, w + 1 AS z FROM a) AS x WHERE z > 1 GROUP BY k"
            .to_owned(),
    ] {
        let after = insert(&after);
        for operator in ["GroupAggregate", "TableSourceScan", "Sink"] {
            assert_eq!(ids(&before, operator), ids(&after, operator), "{operator} of {after}");
        }
    }
}

#[test]
fn joins_elsewhere_can_be_reordered_and_added() {
    let join = |joins: &str| insert(&format!("SELECT x.k, x.s FROM ({SUMS}) AS x {joins}"));
    let (b, c) = ("JOIN b ON x.k = b.k", "JOIN c ON x.k = c.k");
    let before = join(&format!("{b} {c}"));
    let after = join(&format!("{c} {b}"));
    for operator in ["GroupAggregate", "TableSourceScan", "Sink"] {
        assert_eq!(ids(&before, operator), ids(&after, operator), "{operator}");
    }
    // One join more: what was there stays.
    let fewer = join(b);
    for operator in ["GroupAggregate", "TableSourceScan", "Join"] {
        assert!(ids(&before, operator).is_superset(&ids(&fewer, operator)), "{operator}");
    }
}

#[test]
fn what_keeps_other_state_is_another_operator() {
    let before = ids(&insert(SUMS), "GroupAggregate");
    for after in [
        "SELECT UPPER(k), SUM(v) FROM a GROUP BY UPPER(k)",
        "SELECT k, MAX(v) FROM a GROUP BY k",
        "SELECT k, SUM(w) FROM a GROUP BY k",
        "SELECT k, SUM(DISTINCT v) FROM a GROUP BY k",
        "SELECT k, SUM(v) FROM b GROUP BY k",
    ] {
        assert!(before.is_disjoint(&ids(&insert(after), "GroupAggregate")), "{after}");
    }
    let window = |size: &str| {
        insert(&format!(
            "SELECT k, SUM(v) FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(t), INTERVAL '{size}' MINUTE)) \
             GROUP BY k, window_start, window_end"
        ))
    };
    let (five, ten) = (window("5"), window("10"));
    let of = |statement: &str| ids(statement, "WindowAggregate");
    assert!(of(&five).is_disjoint(&of(&ten)));
}

#[test]
fn equal_operators_are_told_apart_by_what_reads_them() {
    let insert = |sink: &str| format!("INSERT INTO {sink} {SUMS};");
    let set = |first: &str, second: &str| {
        format!("EXECUTE STATEMENT SET BEGIN {} {} END", insert(first), insert(second))
    };
    assert_eq!(ids(&set("two", "other"), ""), ids(&set("other", "two"), ""));
    assert_eq!(ids(&set("two", "other"), "GroupAggregate").len(), 2);
}
