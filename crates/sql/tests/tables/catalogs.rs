//! Catalogs that are kept on disk.

use std::{fs, path::Path};

use hurtig_sql::{Session, StatementResult};

use super::{error, rows};

fn run(session: &mut Session, statement: &str) -> Vec<String> {
    match session.execute_one(statement).unwrap() {
        StatementResult::Done => Vec::new(),
        result => rows(result),
    }
}

fn session(directory: &Path) -> Session {
    let mut session = Session::new();
    let path = directory.display();
    run(
        &mut session,
        &format!("CREATE CATALOG disk WITH ('type' = 'filesystem', 'path' = '{path}')"),
    );
    run(&mut session, "USE CATALOG disk");
    session
}

const TABLE: &str = "CREATE TABLE `Orders of Ä` (
  id BIGINT NOT NULL,
  item STRING COMMENT 'what',
  price DECIMAL(10, 2),
  ts TIMESTAMP(3),
  `at` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  total AS price * 2 + CAST(id AS INT),
  place ROW<x INT, `y z` ARRAY<STRING>>,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND,
  PRIMARY KEY (id) NOT ENFORCED
) COMMENT 'of a shop' PARTITIONED BY (item) WITH ('connector' = 'print', 'a''b' = 'c')";

#[test]
fn definitions_outlive_the_session() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = session(directory.path());
    run(&mut first, TABLE);
    run(&mut first, "CREATE VIEW totals AS SELECT id, total AS t, '' AS e FROM `Orders of Ä`");
    run(&mut first, "CREATE DATABASE other COMMENT 'more' WITH ('k' = 'v')");
    run(&mut first, "CREATE FUNCTION f AS 'impl'");
    run(&mut first, "CREATE TABLE gone (a INT) WITH ('connector' = 'print')");
    run(&mut first, "DROP TABLE gone");
    let mut second = session(directory.path());
    assert_eq!(run(&mut second, "SHOW DATABASES"), ["default", "other"]);
    assert_eq!(run(&mut second, "SHOW TABLES"), ["Orders of Ä", "totals"]);
    assert_eq!(run(&mut second, "SHOW USER FUNCTIONS"), ["f"]);
    for statement in [
        "SHOW CREATE TABLE `Orders of Ä`",
        "DESCRIBE `Orders of Ä`",
        "SHOW CREATE VIEW totals",
        "DESCRIBE totals",
        "DESCRIBE DATABASE other",
    ] {
        assert_eq!(run(&mut first, statement), run(&mut second, statement), "{statement}");
    }
    // Each sees what the other one does.
    run(&mut second, "ALTER TABLE `Orders of Ä` RENAME TO orders");
    assert_eq!(run(&mut first, "SHOW TABLES"), ["orders", "totals"]);
    run(&mut second, "DROP DATABASE other");
    assert_eq!(run(&mut first, "SHOW DATABASES"), ["default"]);
}

#[test]
fn damaged_definitions_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut session = session(directory.path());
    run(&mut session, "CREATE TABLE t (a INT) WITH ('connector' = 'print')");
    let file = directory.path().join("default/tables/t.json");
    let whole = fs::read_to_string(&file).unwrap();
    let mut check = |content: &[u8], wanted: &str| {
        fs::write(&file, content).unwrap();
        let text = error(session.execute_one("DESCRIBE t"));
        assert!(text.contains("default/tables/t.json"), "{text}");
        assert!(text.contains(wanted), "{text}");
    };
    for end in [0, 1, whole.len() / 2, whole.len() - 2] {
        check(&whole.as_bytes()[..end], "no definition of a catalog");
    }
    check(&[0xff, 0xfe], "no definition of a catalog");
    check(whole.replace("\"version\": 1", "\"version\": 2").as_bytes(), "version 2");
    check(whole.replace("\"INT\"", "\"INTT\"").as_bytes(), "INTT");
    check(whole.replace("\"INT\"", "\"DECIMAL(99, 2)\"").as_bytes(), "DECIMAL(99, 2)");
    check(whole.replace("\"PHYSICAL\"", "\"COMPUTED\"").as_bytes(), "no expression");
    check(whole.replace("\"columns\"", "\"colums\"").as_bytes(), "colums");
    check(b"{\"version\": 1}", "neither of a table nor of a view");
    let deep = format!("{{\"version\": 1, \"view\": {}", "[".repeat(100_000));
    check(deep.as_bytes(), "no definition of a catalog");
    let nested = whole.replace("\"INT\"", &format!("\"{}INT\"", "ARRAY<".repeat(10_000)));
    check(nested.as_bytes(), "no definition of a catalog");
    fs::write(&file, whole).unwrap();
    assert_eq!(run(&mut session, "DESCRIBE t").len(), 1);
    // What is no file of ours is left alone.
    fs::write(directory.path().join("default/tables/.1-2.inprogress"), "x").unwrap();
    fs::write(directory.path().join("default/tables/no%zz.json"), "x").unwrap();
    assert_eq!(run(&mut session, "SHOW TABLES"), ["t"]);
}

#[test]
fn names_never_leave_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("catalog");
    let mut session = session(&inside);
    run(&mut session, "CREATE TABLE `../../evil` (a INT) WITH ('connector' = 'print')");
    run(&mut session, "CREATE DATABASE `../outside`");
    assert_eq!(run(&mut session, "SHOW TABLES"), ["../../evil"]);
    let beside: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(beside.len(), 1);
}

#[test]
fn the_catalog_store_brings_catalogs_back() {
    let directory = tempfile::tempdir().unwrap();
    let (store, catalog) = (directory.path().join("store"), directory.path().join("catalog"));
    let begin = || {
        let mut session = Session::new();
        session.set("table.catalog-store.kind", "file").unwrap();
        session.set("table.catalog-store.file.path", &store.display().to_string()).unwrap();
        session
    };
    let mut first = begin();
    let path = catalog.display();
    run(&mut first, &format!("CREATE CATALOG c WITH ('type' = 'filesystem', 'path' = '{path}')"));
    run(&mut first, "CREATE CATALOG m WITH ('type' = 'generic_in_memory')");
    run(&mut first, "CREATE TABLE c.`default`.t (a INT) WITH ('connector' = 'print')");
    let mut second = begin();
    assert_eq!(run(&mut second, "SHOW CATALOGS"), ["c", "default_catalog", "m"]);
    run(&mut second, "USE CATALOG c");
    assert_eq!(run(&mut second, "SHOW TABLES"), ["t"]);
    let text = error(first.execute_one("CREATE CATALOG c WITH ('type' = 'generic_in_memory')"));
    assert!(text.contains("Catalog c already exists"), "{text}");
    run(&mut first, "DROP CATALOG m");
    assert_eq!(run(&mut begin(), "SHOW CATALOGS"), ["c", "default_catalog"]);
    fs::write(store.join("c.yaml"), "type: [").unwrap();
    let text = error(begin().execute_one("SHOW CATALOGS"));
    assert!(text.contains("c.yaml"), "{text}");
}

#[test]
fn wrong_catalogs_are_refused() {
    let mut session = Session::new();
    for (options, wanted) in [
        ("'type' = 'hive'", "no catalog of type 'hive'"),
        ("'type' = 'filesystem'", "needs the option 'path'"),
        ("'type' = 'filesystem', 'path' = 's3://b/c'", "no directory of this machine"),
        ("'type' = 'filesystem', 'path' = '/tmp', 'pth' = 'x'", "no option 'pth'"),
        ("'type' = 'filesystem', 'path' = '/dev/null/c'", "/dev/null/c"),
    ] {
        let text = error(session.execute_one(&format!("CREATE CATALOG c WITH ({options})")));
        assert!(text.contains(wanted), "{text}");
    }
    assert_eq!(run(&mut session, "SHOW CATALOGS"), ["default_catalog"]);
}
