//! Aggregates with DISTINCT in two steps give what they give in one.

use hurtig_sql::{Session, StatementResult};
use hurtig_sql_parser::SqlParser;

use crate::scripts::run;

const ROWS: &str = "
CREATE VIEW v AS SELECT * FROM (VALUES
  (1, 1, 'a', CAST(1.5 AS FLOAT), CAST(0.10 AS DECIMAL(10, 2)), TRUE),
  (1, 2, 'b', CAST(2.5 AS FLOAT), CAST(0.25 AS DECIMAL(10, 2)), FALSE),
  (1, 2, 'a', CAST(2.5 AS FLOAT), CAST(NULL AS DECIMAL(10, 2)), TRUE),
  (1, CAST(NULL AS INT), 'c', CAST(-7 AS FLOAT), CAST(9.99 AS DECIMAL(10, 2)), TRUE),
  (2, 2147483647, 'z', CAST(0 AS FLOAT), CAST(1 AS DECIMAL(10, 2)), FALSE),
  (2, 2147483646, CAST(NULL AS STRING), CAST(0 AS FLOAT), CAST(2 AS DECIMAL(10, 2)), FALSE),
  (3, CAST(NULL AS INT), CAST(NULL AS STRING), CAST(NULL AS FLOAT), CAST(NULL AS DECIMAL(10, 2)), TRUE)
) AS t (k, i, s, f, d, b);
-- Rows that are taken away again.
CREATE VIEW w AS SELECT i AS i, MAX(k) AS k, MAX(s) AS s, COUNT(*) AS n FROM v GROUP BY i;
CREATE VIEW firsts AS SELECT k, i FROM (SELECT k, i, ROW_NUMBER() OVER (PARTITION BY k ORDER BY d DESC) AS r FROM v) WHERE r = 1;
";

fn split(buckets: u32) -> String {
    format!(
        "SET 'table.optimizer.distinct-agg.split.enabled' = 'true';
         SET 'table.optimizer.distinct-agg.split.bucket-num' = '{buckets}';"
    )
}

#[test]
fn results_are_those_of_one_step() {
    let orders = crate::oracle("orders.json");
    let windows = format!(
        "CREATE TABLE o (customer_id INT, price DECIMAL(10, 2), order_time TIMESTAMP(3), status STRING,
           WATERMARK FOR order_time AS order_time - INTERVAL '5' SECOND) WITH (
           'connector' = 'filesystem', 'path' = '{orders}', 'format' = 'json');"
    );
    for query in [
        "SELECT k, COUNT(DISTINCT i) FROM v GROUP BY k",
        "SELECT k, COUNT(DISTINCT i), COUNT(DISTINCT s), COUNT(*), COUNT(d), SUM(d), AVG(i), AVG(f), SUM(f) FROM v GROUP BY k",
        "SELECT COUNT(DISTINCT i), SUM(DISTINCT i), AVG(DISTINCT i), AVG(DISTINCT d), MIN(s), MAX(f) FROM v",
        "SELECT k, SUM(DISTINCT f), AVG(DISTINCT f), AVG(DISTINCT d), MIN(DISTINCT d), SUM(i), AVG(i) FROM v GROUP BY k",
        "SELECT k, COUNT(DISTINCT i) FILTER (WHERE b), COUNT(DISTINCT i), SUM(d) FILTER (WHERE NOT b), AVG(i) FILTER (WHERE b) FROM v GROUP BY k",
        "SELECT k, COUNT(DISTINCT i), FIRST_VALUE(s), LAST_VALUE(i), MAX(s) FROM v GROUP BY k",
        "SELECT COUNT(DISTINCT k), COUNT(DISTINCT (CASE WHEN b THEN k END)), LISTAGG(DISTINCT s) FROM v WHERE s = 'a'",
        "SELECT k, i, COUNT(DISTINCT i), COUNT(DISTINCT s) FROM v GROUP BY k, i",
        "SELECT s, k, COUNT(DISTINCT i), SUM(i) FROM v GROUP BY GROUPING SETS ((s), (k), ())",
        "SELECT n, COUNT(DISTINCT k), MAX(s), MIN(k), SUM(DISTINCT k), AVG(k) FROM w GROUP BY n",
        "SELECT COUNT(DISTINCT i), MAX(i), SUM(k) FROM firsts",
        "SELECT COUNT(DISTINCT c), SUM(c) FROM (SELECT k, COUNT(DISTINCT i) AS c FROM v GROUP BY k)",
        "SELECT k FROM v GROUP BY k HAVING COUNT(DISTINCT i) > 1",
        "SELECT a.k, (SELECT COUNT(DISTINCT i) FROM v) FROM v AS a WHERE a.k = 3",
        "SELECT COUNT(DISTINCT i) FROM v WHERE FALSE",
        "SELECT status, window_start, window_end, COUNT(DISTINCT customer_id), SUM(price), AVG(price), MAX(price)
         FROM TUMBLE(TABLE o, DESCRIPTOR(order_time), INTERVAL '10' MINUTES)
         GROUP BY status, window_start, window_end",
        "SELECT window_start, window_end, window_time, COUNT(DISTINCT customer_id), COUNT(DISTINCT status), COUNT(*)
         FROM HOP(TABLE o, DESCRIPTOR(order_time), INTERVAL '10' MINUTES, INTERVAL '30' MINUTES)
         GROUP BY window_start, window_end, window_time",
        "SELECT status, window_start, window_end, COUNT(DISTINCT customer_id)
         FROM SESSION(TABLE o PARTITION BY status, DESCRIPTOR(order_time), INTERVAL '5' MINUTES)
         GROUP BY status, window_start, window_end",
    ] {
        let tables = if query.contains("TABLE o") { &windows } else { ROWS };
        let script = format!("{tables} {query};");
        let wanted = run(&script, 1).unwrap_or_else(|error| panic!("{}", error.render(&script)));
        for (buckets, parallelism) in [(1, 1), (2, 1), (1024, 3)] {
            let script = format!("{}{script}", split(buckets));
            let found = run(&script, parallelism)
                .unwrap_or_else(|error| panic!("{}", error.render(&script)));
            assert_eq!(found, wanted, "{query} with {buckets} buckets at {parallelism}");
        }
        let batches = "SET 'table.exec.mini-batch.enabled' = 'true'; SET 'table.exec.mini-batch.size' = '3';
             SET 'table.exec.mini-batch.allow-latency' = '1 h';";
        let found = run(&format!("{batches}{}{script}", split(2)), 2)
            .unwrap_or_else(|error| panic!("{}", error.render(&script)));
        assert_eq!(found, wanted, "{query} with mini-batches");
    }
}

fn explained(setting: &str, query: &str) -> String {
    let script = format!("{setting}{ROWS} EXPLAIN {query};");
    let mut session = Session::new();
    let mut text = String::new();
    for part in SqlParser::default().split(&script).unwrap() {
        if let StatementResult::Text(found) = session.execute(&script, part).unwrap() {
            text = found;
        }
    }
    let (_, plan) = text.split_once("== Optimized Execution Plan ==").unwrap();
    let (plan, _) = plan.split_once("== State ==").unwrap_or((plan, ""));
    plan.trim().to_owned()
}

#[test]
fn explain_tells_both_steps() {
    let plan = explained(
        &split(1024),
        "SELECT k, COUNT(DISTINCT i), COUNT(DISTINCT s), SUM(d) FROM v GROUP BY k",
    );
    assert_eq!(plan.matches("GroupAggregate(").count(), 2, "{plan}");
    for part in [", 1024) AS $bucket0", "MOD(HASH_CODE(", "Expand(", "$e0", "FILTER $g_0"] {
        assert!(plan.contains(part), "{part} in {plan}");
    }
    let single = "SELECT k, COUNT(DISTINCT i), SUM(d) FROM v GROUP BY k";
    let plan = explained(&split(16), single);
    assert!(plan.contains(", 16) AS $bucket0") && !plan.contains("Expand("), "{plan}");
    for (setting, query) in [
        ("", single),
        (&*split(16), "SELECT k, COUNT(i), MAX(s) FROM v GROUP BY k"),
        (&*split(16), "SELECT k, COUNT(DISTINCT i), COLLECT(s) FROM v GROUP BY k"),
        (&*split(16), "SELECT k, LISTAGG(DISTINCT s) FROM v GROUP BY k"),
    ] {
        let plan = explained(setting, query);
        assert_eq!(plan.matches("GroupAggregate(").count(), 1, "{query}: {plan}");
    }
}

#[test]
fn there_is_a_bucket_at_least() {
    let script = format!("{}{ROWS} SELECT COUNT(DISTINCT i) FROM v;", split(0));
    let error = run(&script, 1).unwrap_err().to_string();
    assert!(error.contains("distinct-agg.split.bucket-num must be from 1"), "{error}");
}
