//! `hurtig sql` as a script meets it: options, output modes, errors, exit codes.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::hurtig;

const VALUES: &str = "SELECT a, COUNT(*) AS n FROM (VALUES ('x'), ('y'), ('x')) AS t(a) GROUP BY a";

fn sql(arguments: &[&str]) -> (i32, String, String) {
    hurtig(&[&["sql"], arguments].concat())
}

#[test]
fn changes_are_lines_of_json() {
    let (code, out, error) =
        sql(&["-p", "1", "--output", "jsonl", "-e", "VALUES (1, CAST(NULL AS INT))"]);
    assert_eq!((code, &*out), (0, "{\"op\":\"+I\",\"row\":[\"1\",null]}\n"), "{error}");
    let typed = "SELECT CAST(NULL AS INT), DATE '2024-02-29', 1.50, TRUE, ARRAY[1, 2], X'41'";
    let (code, out, error) = sql(&["--output", "jsonl", "-e", typed]);
    let wanted =
        "{\"op\":\"+I\",\"row\":[null,\"2024-02-29\",\"1.50\",\"TRUE\",\"[1, 2]\",\"x'41'\"]}\n";
    assert_eq!((code, &*out), (0, wanted), "{error}");
}

#[test]
fn what_is_left_at_the_end_comes_sorted() {
    let (code, out, error) = sql(&["--output", "jsonl", "--materialize", "-e", VALUES]);
    assert_eq!((code, &*out), (0, "[\"x\",\"2\"]\n[\"y\",\"1\"]\n"), "{error}");
    let (code, _, error) = sql(&["--materialize", "-e", VALUES]);
    assert_eq!(code, 1);
    assert!(error.contains("--materialize needs --output jsonl"), "{error}");
}

#[test]
fn tables_are_drawn_for_people() {
    let (code, out, error) = sql(&["--output", "tableau", "-e", "VALUES (1, 'one')"]);
    assert_eq!(code, 0, "{error}");
    for part in ["| op |", "EXPR$0", "| +I |", "one"] {
        assert!(out.contains(part), "{part} is not in:\n{out}");
    }
    let set = "SET 'sql-client.execution.result-mode' = 'changelog'; VALUES (2)";
    let (code, out, error) = sql(&["-e", set]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("| +I |") && out.contains('2'), "{out}");
}

#[test]
fn scripts_are_run_in_order_and_end_at_the_first_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let out = directory.path().join("out");
    let init = path("init.sql", "CREATE VIEW v AS SELECT * FROM (VALUES (1), (2)) AS t(a);");
    let script = format!(
        "CREATE TABLE sink (a INT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');
         INSERT INTO sink SELECT a FROM v;
         SELECT a + 1 AS b FROM sink;",
        out.display()
    );
    let script = path("script.sql", &script);
    let (code, text, error) =
        sql(&["-i", &init, "-f", &script, "-e", "SELECT 7", "--output", "jsonl", "--materialize"]);
    assert_eq!((code, &*text), (0, "[\"2\"]\n[\"3\"]\n[\"7\"]\n"), "{error}");
    let wrong = path("wrong.sql", "SELECT 1;\nSELECT nothing\n  FROM v;\nSELECT 3;");
    let (code, text, error) = sql(&["-i", &init, "-f", &wrong, "--output", "jsonl"]);
    assert_eq!((code, &*text), (1, "{\"op\":\"+I\",\"row\":[\"1\"]}\n"));
    assert!(error.starts_with("error: Column 'nothing' not found"), "{error}");
    assert!(error.contains("line 2, column 8") && error.contains("^^^^^^^"), "{error}");
    let (code, _, error) = sql(&["-f", "/no/such/script.sql"]);
    assert_eq!(code, 1);
    assert!(error.contains("/no/such/script.sql"), "{error}");
}

#[test]
fn a_script_comes_from_the_standard_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hurtig"))
        .args(["sql", "--output", "jsonl"])
        .env_remove("HURTIG_CONF_DIR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"VALUES ('in'); VALUES ('put')").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let wanted = "{\"op\":\"+I\",\"row\":[\"in\"]}\n{\"op\":\"+I\",\"row\":[\"put\"]}\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), wanted);
}

#[test]
fn settings_are_checked() {
    let (code, out, error) =
        sql(&["-D", "table.local-time-zone=Asia/Tokyo", "--output", "jsonl", "-e", "SET"]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("[\"table.local-time-zone\",\"Asia/Tokyo\"]"), "{out}");
    for (property, wanted) in [
        ("table.local-time-zone=Nowhere", "is wrong, expected a time zone"),
        ("paralelism.default=2", "parallelism.default"),
        ("no-value", "KEY=VALUE is wanted"),
    ] {
        let (code, _, error) = sql(&["-D", property, "-e", "SELECT 1"]);
        assert_eq!(code, 1, "{property}");
        assert!(error.contains(wanted), "{property}: {error}");
    }
    assert_eq!(sql(&["-p", "many", "-e", "SELECT 1"]).0, 2);
}

#[test]
fn a_job_that_fails_says_why() {
    let (code, _, error) = sql(&["-e", "SELECT CAST(a AS INT) FROM (VALUES ('x')) AS t(a)"]);
    assert_eq!(code, 1);
    assert!(error.contains("'x'") && !error.contains("internal"), "{error}");
}
