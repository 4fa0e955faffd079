//! Queries beyond the oracle's.

use crate::support::{Planner, columns};

const TABLES: &str = "
CREATE TABLE a (id INT NOT NULL, s STRING, d DECIMAL(10, 2), ts TIMESTAMP(3), r ROW<x INT, y STRING>,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'c');
CREATE TABLE b (id BIGINT, v STRING, w INT) WITH ('connector' = 'c');
";

fn types(query: &str) -> String {
    let mut planner = Planner::new();
    planner.script(TABLES).unwrap();
    match planner.script(query) {
        Ok(Some(bound)) => {
            let shown = columns(&bound).into_iter().map(|(name, one)| format!("{name} {one}"));
            shown.collect::<Vec<_>>().join(", ")
        }
        Ok(None) => "no query".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn names_and_types_follow_flink() {
    let cases = [
        ("SELECT id, id, s AS id FROM a", "id INT NOT NULL, id0 INT NOT NULL, id1 STRING"),
        ("SELECT r.x, a.r.y, r FROM a", "x INT, y STRING, r ROW<`x` INT, `y` STRING>"),
        ("SELECT * FROM a LEFT JOIN b ON a.id = b.id WHERE a.s = 'x'", ""),
        ("SELECT COUNT(*), SUM(id) FROM a", "EXPR$0 BIGINT NOT NULL, EXPR$1 INT"),
        ("SELECT s, MAX(id) m FROM a GROUP BY s ORDER BY m LIMIT 3", "s STRING, m INT NOT NULL"),
        ("SELECT w FROM b ORDER BY id DESC LIMIT 2", "w INT"),
        ("WITH t(x) AS (SELECT id FROM a) SELECT x FROM t UNION SELECT w FROM b", "x INT"),
        ("SELECT id FROM a WHERE id IN (SELECT w FROM b WHERE v = a.s)", "id INT NOT NULL"),
        ("SELECT (SELECT COUNT(*) FROM b WHERE b.v = a.s) AS n FROM a", "n BIGINT"),
        ("SELECT s FROM a WHERE id > ALL (SELECT w FROM b)", "s STRING"),
        ("SELECT CASE WHEN id > 1 THEN 1 ELSE 2.5 END c FROM a", "c DECIMAL(11, 1) NOT NULL"),
        ("VALUES (1, 'a'), (2, 'bc')", "EXPR$0 INT NOT NULL, EXPR$1 VARCHAR(2) NOT NULL"),
    ];
    for (query, wanted) in cases {
        let found = types(query);
        if wanted.is_empty() {
            assert!(!found.starts_with("error"), "{query}: {found}");
        } else {
            assert_eq!(found, wanted, "{query}");
        }
    }
}

#[test]
fn mistakes_name_what_is_wrong() {
    let cases = [
        ("SELECT nme FROM a", "Column 'nme' not found in any table"),
        ("SELECT a.nme FROM a", "Column 'nme' not found in table 'a'"),
        ("SELECT id FROM a JOIN b ON a.id = b.id", "Column 'id' is ambiguous"),
        ("SELECT id, COUNT(*) FROM a", "Expression 'id' is not being grouped"),
        ("SELECT SUM(SUM(id)) FROM a", "Aggregate expressions cannot be nested"),
        ("SELECT id FROM a WHERE SUM(id) > 1", "Aggregate expression is illegal in WHERE clause"),
        ("SELECT NOSUCH(id) FROM a", "No match found for function signature NOSUCH"),
        ("INSERT INTO b SELECT id FROM a", "Different number of columns"),
        ("INSERT INTO b SELECT s, s, s FROM a", "Incompatible types for sink column 'id'"),
        ("SELECT id FROM a UNION SELECT id, v FROM b", "Column count mismatch in UNION"),
    ];
    for (query, wanted) in cases {
        let found = types(query);
        assert!(found.starts_with("error") && found.contains(wanted), "{query}: {found}");
    }
}
