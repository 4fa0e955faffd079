//! Scripts whose results are known beside those of the oracle: what Flink's rules say of queries,
//! hints and settings.

use std::time::Duration;

use hurtig_sql::{QueryResult, Session, SqlError, StatementResult};
use hurtig_sql_parser::SqlParser;

/// The rows of the script's last query when it has ended, sorted, values between bars.
pub fn run(script: &str, parallelism: u32) -> Result<Vec<String>, SqlError> {
    let mut session = Session::new();
    session.set("parallelism.default", &parallelism.to_string())?;
    session.set("table.local-time-zone", "UTC")?;
    let mut rows = Vec::new();
    for part in SqlParser::default().split(script)? {
        match session.execute(script, part)? {
            StatementResult::Query(query) => rows = folded(query)?,
            StatementResult::Job(job) => job.wait()?,
            _ => {}
        }
    }
    Ok(rows)
}

fn folded(mut query: QueryResult) -> Result<Vec<String>, SqlError> {
    let mut rows: Vec<String> = Vec::new();
    while let Some(changes) = query.next(Duration::from_millis(200))? {
        for (kind, row) in changes {
            let values = row.into_iter().map(|value| value.unwrap_or_else(|| "null".to_owned()));
            let row = values.collect::<Vec<_>>().join("|");
            if kind.adds() {
                rows.push(row);
            } else {
                let place = rows.iter().position(|known| *known == row);
                rows.remove(place.expect("what is taken away was there"));
            }
        }
    }
    rows.sort();
    Ok(rows)
}

fn check(script: &str, expected: &[&str]) {
    for parallelism in [1, 3] {
        let found = run(script, parallelism).unwrap_or_else(|error| {
            panic!("{script}\nat parallelism {parallelism}: {}", error.render(script))
        });
        assert_eq!(found, expected, "{script}\nat parallelism {parallelism}");
    }
}

fn refused(script: &str, why: &str) {
    let error = run(script, 1).expect_err(script);
    assert!(error.to_string().contains(why), "{script}: {error}");
}

const TABLES: &str = "
CREATE VIEW l AS SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c'), (CAST(NULL AS INT), 'd')) AS v (id, s);
CREATE VIEW r AS SELECT * FROM (VALUES (1, 'a', 10), (1, 'x', 30), (2, 'y', 20), (7, 'b', 40)) AS v (k, t, n);
CREATE VIEW holes AS SELECT * FROM (VALUES (1), (CAST(NULL AS INT))) AS v (k);
";

fn on_tables(query: &str, expected: &[&str]) {
    check(&format!("{TABLES}{query};"), expected);
}

#[test]
fn exists_and_in_stand_where_values_do() {
    on_tables(
        "SELECT s FROM l WHERE id = 3 OR EXISTS (SELECT 1 FROM r WHERE r.k = l.id)",
        &["a", "b", "c"],
    );
    on_tables("SELECT s FROM l WHERE s = 'd' OR id IN (SELECT k FROM r)", &["a", "b", "d"]);
    on_tables(
        "SELECT s FROM l WHERE s = 'd' OR NOT EXISTS (SELECT 1 FROM r WHERE r.k = l.id)",
        &["c", "d"],
    );
    on_tables("SELECT s FROM l WHERE s = 'd' OR EXISTS (SELECT 1 FROM r WHERE n > 99)", &["d"]);
    on_tables(
        "SELECT s, id IN (SELECT k FROM r) AS i, id NOT IN (SELECT k FROM holes) AS n FROM l",
        &["a|TRUE|FALSE", "b|TRUE|null", "c|FALSE|null", "d|null|null"],
    );
    on_tables(
        "SELECT s, id IN (SELECT k FROM r WHERE n > 99) AS i FROM l",
        &["a|FALSE", "b|FALSE", "c|FALSE", "d|FALSE"],
    );
}

#[test]
fn rows_are_compared_value_by_value() {
    on_tables("SELECT id FROM l WHERE (id, s) IN (SELECT k, t FROM r)", &["1"]);
    on_tables("SELECT s FROM l WHERE (id, s) NOT IN (SELECT k, t FROM r)", &["b", "c", "d"]);
    on_tables("SELECT s FROM l WHERE (id, 'a') NOT IN (SELECT k, t FROM r)", &["b", "c"]);
    refused(
        &format!("{TABLES}SELECT id FROM l WHERE (id, s) IN (SELECT k FROM r);"),
        "IN compares 2 values with a query of 1 columns",
    );
}

#[test]
fn lateral_queries_see_what_is_left_of_them() {
    on_tables(
        "SELECT l.s, q.t FROM l, LATERAL (SELECT t, n FROM r WHERE r.k = l.id AND n > 10) AS q",
        &["a|x", "b|y"],
    );
    on_tables(
        "SELECT l.s, q.t FROM l LEFT JOIN LATERAL (SELECT t FROM r WHERE k = l.id) AS q ON TRUE",
        &["a|a", "a|x", "b|y", "c|null", "d|null"],
    );
    on_tables(
        "SELECT l.s, q.m FROM l, LATERAL (SELECT MAX(n) AS m FROM r WHERE k = l.id) AS q",
        &["a|30", "b|20"],
    );
    on_tables(
        "SELECT l.s, q.t, q.n FROM l, LATERAL (
           SELECT t, n FROM r WHERE k = l.id ORDER BY n DESC LIMIT 1) AS q",
        &["a|x|30", "b|y|20"],
    );
    on_tables(
        "SELECT s, (SELECT t FROM r WHERE k = l.id ORDER BY n LIMIT 1) AS first FROM l",
        &["a|a", "b|y", "c|null", "d|null"],
    );
    on_tables(
        "SELECT s, (SELECT t FROM r WHERE k = l.id AND n < 30) AS o FROM l",
        &["a|a", "b|y", "c|null", "d|null"],
    );
    refused(
        &format!("{TABLES}SELECT s, (SELECT t FROM r WHERE k = l.id) FROM l;"),
        "SingleValueAggFunction received more than one element.",
    );
}

#[test]
fn functions_over_windows_share_one() {
    on_tables(
        "SELECT n, SUM(n) OVER w, COUNT(*) OVER w FROM r WINDOW w AS (PARTITION BY k ORDER BY n)",
        &["10|10|1", "20|20|1", "30|40|2", "40|40|1"],
    );
    for over in [
        "SUM(n) OVER (ORDER BY n), COUNT(*) OVER (PARTITION BY k ORDER BY n)",
        "SUM(n) OVER (ORDER BY n), ROW_NUMBER() OVER (ORDER BY n)",
    ] {
        refused(
            &format!("{TABLES}SELECT {over} FROM r;"),
            "All aggregates must be computed on the same window",
        );
    }
    refused(
        &format!("{TABLES}SELECT SUM(n) OVER (ORDER BY n, k) FROM r;"),
        "can only be ordered by a single time column",
    );
}

#[test]
fn changes_become_rows_and_rows_changes() {
    let counted = "CREATE VIEW c AS SELECT k, COUNT(*) AS n FROM r GROUP BY k;";
    let rows = "CREATE VIEW ops AS SELECT * FROM (VALUES
        ('c', 1, 'a'), ('c', 2, 'b'), ('u', 1, 'c'), ('d', 2, 'b')) AS v (code, id, s);";
    on_tables(
        &format!(
            "{counted} CREATE VIEW changes AS SELECT * FROM TO_CHANGELOG(input => TABLE c);
             SELECT * FROM FROM_CHANGELOG(input => TABLE changes)"
        ),
        &["1|2", "2|1", "7|1"],
    );
    on_tables(
        &format!(
            "{rows} SELECT s, id FROM FROM_CHANGELOG(
                input => TABLE ops,
                op => DESCRIPTOR(code),
                op_mapping => MAP['c, u', 'INSERT', 'd', 'DELETE'])"
        ),
        &["a|1", "c|1"],
    );
    on_tables(
        &format!(
            "{rows} SELECT * FROM FROM_CHANGELOG(
                input => TABLE ops, op => DESCRIPTOR(code),
                op_mapping => MAP['c', 'INSERT'], error_handling => 'SKIP')"
        ),
        &["1|a", "2|b"],
    );
    on_tables(
        "SELECT code, k FROM TO_CHANGELOG(
            input => TABLE r, op => DESCRIPTOR(code), op_mapping => MAP['INSERT, UPDATE_AFTER', 'u'])",
        &["u|1", "u|1", "u|2", "u|7"],
    );
    let partitioned = "SELECT * FROM FROM_CHANGELOG(input => TABLE ops PARTITION BY id)";
    refused(&format!("{TABLES}{rows}{partitioned};"), "Only tables with set semantics");
    for (arguments, why) in [
        ("op => DESCRIPTOR(nope)", "The op column 'nope' does not exist"),
        ("op => DESCRIPTOR(id)", "must be of STRING type"),
        ("op => DESCRIPTOR(code), op_mapping => MAP['c', 'ADD']", "Unknown change operation 'ADD'"),
        (
            "op => DESCRIPTOR(code), op_mapping => MAP['c', 'INSERT', 'u', 'UPDATE_AFTER']",
            "must define both UPDATE_BEFORE and UPDATE_AFTER",
        ),
        ("op => DESCRIPTOR(code), op_mapping => MAP['c', 'INSERT']", "invalid op code 'u'"),
    ] {
        let query = format!("SELECT * FROM FROM_CHANGELOG(input => TABLE ops, {arguments})");
        refused(&format!("{TABLES}{rows}{query};"), why);
    }
}

#[test]
fn mini_batches_need_a_size_and_a_latency() {
    let enabled = "SET 'table.exec.mini-batch.enabled' = 'true';";
    let size = "SET 'table.exec.mini-batch.size' = '3';";
    let latency = "SET 'table.exec.mini-batch.allow-latency' = '1 h';";
    let query = "SELECT k, COUNT(*), SUM(DISTINCT n) FROM r GROUP BY k";
    refused(&format!("{TABLES}{enabled}{latency}{query};"), "mini-batch.size must be > 0");
    refused(&format!("{TABLES}{enabled}{size}{query};"), "allow-latency must be > 0");
    for phases in ["AUTO", "ONE_PHASE", "TWO_PHASE"] {
        let strategy = format!("SET 'table.optimizer.agg-phase-strategy' = '{phases}';");
        let script = format!("{enabled}{size}{latency}{strategy}");
        on_tables(&format!("{script}{query}"), &["1|2|40", "2|1|20", "7|1|40"]);
        // The inner aggregate takes rows away from the outer one.
        let nested = format!("SELECT c, COUNT(*), MAX(s) FROM ({query}) AS q (k, c, s) GROUP BY c");
        on_tables(&format!("{script}{nested}"), &["1|2|40", "2|1|40"]);
    }
}

#[test]
fn windows_in_two_phases_are_those_of_one() {
    let orders = crate::oracle("orders.json");
    let tables = format!(
        "CREATE TABLE o (customer_id INT, price DECIMAL(10, 2), order_time TIMESTAMP(3), status STRING,
           WATERMARK FOR order_time AS order_time - INTERVAL '5' SECOND) WITH (
           'connector' = 'filesystem', 'path' = '{orders}', 'format' = 'json');"
    );
    for window in [
        "TUMBLE(TABLE o, DESCRIPTOR(order_time), INTERVAL '10' MINUTES)",
        "HOP(TABLE o, DESCRIPTOR(order_time), INTERVAL '10' MINUTES, INTERVAL '30' MINUTES)",
        "CUMULATE(TABLE o, DESCRIPTOR(order_time), INTERVAL '10' MINUTES, INTERVAL '1' HOUR)",
    ] {
        let query = format!(
            "{tables} SELECT status, window_start, window_end, window_time, COUNT(*), SUM(price),
               COUNT(DISTINCT customer_id), MAX(price) FILTER (WHERE customer_id > 5)
             FROM {window} GROUP BY status, window_start, window_end, window_time;"
        );
        let split = "SET 'table.optimizer.agg-phase-strategy' = 'TWO_PHASE';";
        let one = run(&query, 1).unwrap();
        assert!(one.len() > 10, "{one:?}");
        let one: Vec<&str> = one.iter().map(String::as_str).collect();
        check(&format!("{split}{query}"), &one);
        let mut session = Session::new();
        let explained =
            format!("{split}{}", query.replace("SELECT status", "EXPLAIN SELECT status"));
        let mut plan = String::new();
        for part in SqlParser::default().split(&explained).unwrap() {
            if let StatementResult::Text(text) = session.execute(&explained, part).unwrap() {
                plan = text;
            }
        }
        assert!(plan.contains("GlobalWindowAggregate") && plan.contains("LocalWindowAggregate"));
    }
}

#[test]
fn state_ttl_hints_name_inputs() {
    let joined = |hint: &str| {
        format!("SELECT /*+ STATE_TTL({hint}) */ l.s, q.t FROM l JOIN r AS q ON l.id = q.k")
    };
    on_tables(&joined("'l' = '1 d', 'q' = '2 h'"), &["a|a", "a|x", "b|y"]);
    on_tables(
        "SELECT /*+ STATE_TTL('r' = '1 d') */ k, COUNT(*) FROM r GROUP BY k",
        &["1|2", "2|1", "7|1"],
    );
    for (hint, why) in [
        ("'r' = '1 d'", "cannot match the name of input tables or views: `r` in `STATE_TTL`"),
        ("'l' = 'soon'", "Invalid STATE_TTL hint value"),
    ] {
        refused(&format!("{TABLES}{};", joined(hint)), why);
    }
}

#[test]
fn what_is_written_is_as_long_as_its_column() {
    // Formats neither cut nor pad what they read, so that values may be of another length.
    let source = tempfile::tempdir().unwrap();
    let rows =
        "{\"a\":\"é\",\"b\":\"äöü\",\"c\":1}\n{\"a\":\"abc\",\"b\":\"x\",\"c\":2}\n{\"c\":3}\n";
    std::fs::write(source.path().join("rows.json"), rows).unwrap();
    let table = |name: &str, path: &std::path::Path| {
        let path = path.display();
        format!(
            "CREATE TABLE {name} (a CHAR(3), b VARCHAR(2), c INT) WITH (
               'connector' = 'filesystem', 'path' = '{path}', 'format' = 'json');"
        )
    };
    let written = |enforcer: &str| {
        let directory = tempfile::tempdir().unwrap();
        let tables = table("s", source.path()) + &table("t", directory.path());
        let script = format!(
            "SET 'table.exec.sink.type-length-enforcer' = '{enforcer}'; {tables}
             INSERT INTO t SELECT * FROM s;
             SELECT '[' || a || ']', b, c FROM t;"
        );
        run(&script, 1)
    };
    assert_eq!(written("IGNORE").unwrap(), ["[abc]|x|2", "[é]|äöü|1", "null|null|3"]);
    assert_eq!(written("TRIM_PAD").unwrap(), ["[abc]|x|2", "[é  ]|äö|1", "null|null|3"]);
    let error = written("ERROR").unwrap_err().to_string();
    assert!(error.contains("Column 'a' is CHAR(3), however, a string of length 1"), "{error}");
}

#[test]
fn functions_of_the_session_and_of_time() {
    check("CREATE DATABASE d; USE d; SELECT CURRENT_DATABASE();", &["d"]);
    let times = "CREATE TABLE t (ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (
        'connector' = 'datagen', 'number-of-rows' = '1');";
    check(
        &format!(
            "{times} SELECT COUNT(*) FROM t WHERE CURRENT_WATERMARK(ts) IS NULL OR ts IS NOT NULL;"
        ),
        &["1"],
    );
    refused(
        &format!("{TABLES}SELECT CURRENT_WATERMARK(id) FROM l;"),
        "must be a rowtime attribute",
    );
}

#[test]
fn settings_without_effect_are_told_once() {
    let mut session = Session::new();
    let mut set = |key: &str, value: &str| {
        let script = format!("SET '{key}' = '{value}'");
        let part = SqlParser::default().split(&script).unwrap().remove(0);
        match session.execute(&script, part).unwrap() {
            StatementResult::Warning(text) => Some(text),
            StatementResult::Done => None,
            _ => panic!("{script} gives neither"),
        }
    };
    let told = set("table.some.future", "x").unwrap();
    assert!(told.contains("table.some.future is not known here"), "{told}");
    assert_eq!(set("table.exec.mini-batch.enabled", "true"), None);
}

#[test]
fn the_right_side_is_looked_at_where_the_left_one_has_not_decided() {
    let view =
        "CREATE VIEW n AS SELECT * FROM (VALUES (0), (1), (5), (CAST(NULL AS INT))) AS v (x);";
    let with = |query: &str| format!("{view} {query}");
    check(&with("SELECT x FROM n WHERE x <> 0 AND 10 / x > 2"), &["1"]);
    check(&with("SELECT x FROM n WHERE x = 0 OR 10 / x > 4"), &["0", "1"]);
    check(
        &with("SELECT x, x <> 0 AND 10 / x > 2, NOT (x = 0 OR 10 / x > 2) FROM n"),
        &["0|FALSE|FALSE", "1|TRUE|FALSE", "5|FALSE|TRUE", "null|null|null"],
    );
    check(&with("SELECT x FROM (SELECT x, 10 / x AS d FROM n WHERE x <> 0) WHERE d > 2"), &["1"]);
    refused(&with("SELECT x FROM n WHERE 10 / x > 2 AND x <> 0"), "/ by zero");
}
