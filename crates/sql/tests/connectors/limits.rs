//! LIMIT reaches the source: it stops when it has given enough.

use std::fs;

use hurtig_sql::{Session, StatementResult};
use hurtig_sql_parser::SqlParser;

use crate::scripts::run;

#[test]
fn a_generated_table_without_end_ends_at_its_limit() {
    let table = "CREATE TABLE g (n INT, s STRING) WITH ('connector' = 'datagen');";
    for parallelism in [1, 3] {
        let rows = run(&format!("{table} SELECT n + 1, s FROM g LIMIT 7;"), parallelism).unwrap();
        assert_eq!(rows.len(), 7, "{rows:?}");
        let rows = run(&format!("{table} SELECT n FROM g LIMIT 5 OFFSET 2;"), parallelism).unwrap();
        assert_eq!(rows.len(), 5, "{rows:?}");
        let query = "SELECT COUNT(*) FROM (SELECT n FROM g LIMIT 1000) WHERE n IS NOT NULL";
        assert_eq!(run(&format!("{table} {query};"), parallelism).unwrap(), ["1000"]);
    }
}

#[test]
fn what_is_behind_the_limit_is_not_read() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().display();
    fs::write(root.path().join("a.json"), "{\"v\": 1}\n{\"v\": 2}\n{\"v\": 3}\nno record\n")
        .unwrap();
    fs::write(root.path().join("b.json"), "no record\n").unwrap();
    let table = format!(
        "CREATE TABLE t (v INT) WITH (
         'connector' = 'filesystem', 'path' = '{path}', 'format' = 'json');"
    );
    let of = |query: &str| run(&format!("{table} {query};"), 1);
    assert_eq!(of("SELECT v * 10 FROM t LIMIT 2").unwrap(), ["10", "20"]);
    assert_eq!(of("SELECT v FROM t LIMIT 1 OFFSET 2").unwrap(), ["3"]);
    assert_eq!(of("SELECT v FROM t LIMIT 0").unwrap(), Vec::<String>::new());
    // Every reader has its own rows; what is in front of a limit counts.
    for query in [
        "SELECT v FROM t LIMIT 4",
        "SELECT v FROM t WHERE v > 1 LIMIT 1",
        "SELECT v FROM t ORDER BY v LIMIT 1",
        "SELECT MAX(v) FROM t LIMIT 1",
    ] {
        let failed = of(query).unwrap_err().to_string();
        assert!(failed.contains("no record"), "{query}: {failed}");
    }
    let script = format!("{table} EXPLAIN SELECT v FROM t LIMIT 1 OFFSET 2;");
    let mut session = Session::new();
    let mut plan = String::new();
    for part in SqlParser::default().split(&script).unwrap() {
        if let StatementResult::Text(text) = session.execute(&script, part).unwrap() {
            plan = text;
        }
    }
    assert!(plan.contains("fields=[v], limit=[3])"), "{plan}");
}
