//! What is in itself.

use crate::{joined, nested, refused, select, taken, views};

#[test]
fn expressions_within_the_parsers_bounds_run() {
    taken(&select(&vec!["a"; 390].join(" + ")));
    taken(&select(&vec!["d"; 190].join(" - ")));
    taken(&select(&vec!["1"; 390].join(" + ")));
    taken(&select(&nested("ABS(", "a", ")", 48)));
    taken(&select(&nested("CASE WHEN a > 0 THEN a ELSE ", "1", " END", 95)));
    taken(&select(&nested("ARRAY[", "a", "]", 48)));
    taken(&select(&nested("ROW(", "a", ")", 48)));
    refused(&select(&nested("(a + ", "1", ")", 500)), "nested more than");
}

#[test]
fn queries_within_the_parsers_bounds_run() {
    taken(&nested("SELECT * FROM (", "SELECT * FROM t", ")", 30));
    taken(&select(&nested("(SELECT MAX(a) + ", "1", " FROM t)", 7)));
    let deep = select(&nested("(SELECT MAX(a) + ", "1", " FROM t)", 18));
    refused(&deep, "reads from more than 1000 tables");
    let exists = nested("EXISTS (SELECT 1 FROM t WHERE a > 1 AND ", "a = 1", ")", 25);
    taken(&format!("SELECT a FROM t WHERE {exists}"));
    let within = nested("a IN (SELECT a FROM t WHERE ", "a = 1", ")", 25);
    taken(&format!("SELECT a FROM t WHERE {within}"));
    refused(&nested("SELECT * FROM (", "SELECT * FROM t", ")", 500), "nested more than");
}

#[test]
fn views_of_views_have_bounds() {
    let plain = |i: usize| format!("SELECT a FROM v{i}");
    taken(&format!("{} SELECT * FROM v45", views("SELECT a FROM t", 45, plain)));
    let too_deep = format!("{} SELECT * FROM v60", views("SELECT a FROM t", 60, plain));
    refused(&too_deep, "views are nested deeper than 50");
    refused(
        "CREATE VIEW v AS SELECT * FROM t; ALTER VIEW v AS SELECT * FROM v; SELECT * FROM v",
        "views are nested deeper than 50",
    );
    refused(
        "CREATE VIEW v AS SELECT a FROM t; CREATE VIEW w AS SELECT a FROM v; \
         ALTER VIEW v AS SELECT a FROM w; SELECT * FROM v",
        "views are nested deeper than 50",
    );
}

#[test]
fn filters_over_what_views_compute_from_each_other_do_not_multiply() {
    let doubled = views("SELECT a FROM t", 40, |i| format!("SELECT a + a AS a FROM v{i}"));
    taken(&format!("{doubled} SELECT * FROM v40 WHERE a > 3"));
    let long =
        views("SELECT a FROM t", 40, |i| format!("SELECT a{} AS a FROM v{i}", " + 1".repeat(350)));
    taken(&format!("{long} SELECT * FROM v40 WHERE a > 3"));
    let filtered = views("SELECT a FROM t", 45, |i| {
        format!("SELECT a + 1 AS a FROM v{i} WHERE a <> {i} AND a + 1 <> a")
    });
    taken(&format!("{filtered} SELECT * FROM v45"));
}

#[test]
fn views_that_double_end_at_a_bound() {
    for each in [
        "SELECT x.a FROM v# x JOIN v# y ON x.a = y.a",
        "SELECT a FROM v# UNION ALL SELECT a FROM v#",
        "SELECT (SELECT MAX(a) FROM v#) + (SELECT MAX(a) FROM v#) AS a",
    ] {
        // The definition of a view is checked, so it is CREATE that is refused.
        let all = views("SELECT 1 AS a", 40, |i| each.replace('#', &i.to_string()));
        refused(&format!("{all} SELECT * FROM v40"), "reads from more than 1000 tables");
    }
}

#[test]
fn common_tables_of_common_tables_have_bounds() {
    let chain = |count: usize| {
        let rest = joined(count, ", ", |i| format!("c{} AS (SELECT a + 1 AS a FROM c{i})", i + 1));
        format!("WITH c0 AS (SELECT a FROM t), {rest} SELECT * FROM c{count} WHERE a > 1")
    };
    taken(&chain(150));
    refused(&chain(1_000), "queries are nested more than 200 levels deep");
    let doubled = joined(40, ", ", |i| format!("c{} AS (SELECT x.a FROM c{i} x, c{i} y)", i + 1));
    let doubled = format!("WITH c0 AS (SELECT a FROM t), {doubled} SELECT * FROM c40");
    refused(&doubled, "reads from more than 1000 tables");
}

#[test]
fn types_in_types_run() {
    let table = |data_type: String| {
        format!(
            "CREATE TABLE c (r {data_type}) WITH ('connector' = 'datagen', 'number-of-rows' = '1');\
             SELECT * FROM c"
        )
    };
    taken(&table(nested("ROW<a ", "INT", ">", 90)));
    refused(&table(nested("ARRAY<", "INT", ">", 90)), "values a row");
    taken(&table(nested("ARRAY<", "INT", ">", 9)));
}

#[test]
fn json_of_any_depth_is_answered() {
    taken(&select(
        "JSON_VALUE(REPEAT('[', 100000), '$'), REPEAT('[', 100000) IS JSON, \
         JSON_EXISTS(REPEAT('[', 100000), '$.a'), JSON_QUERY(REPEAT('[', 100000), '$'), \
         CONCAT(REPEAT('[', 100000), REPEAT(']', 100000)) IS JSON, \
         JSON_QUERY(CONCAT(REPEAT('{\"a\":', 100000), '1', REPEAT('}', 100000)), '$.a'), \
         TRY_PARSE_JSON(CONCAT(REPEAT('[', 100000), REPEAT(']', 100000)))",
    ));
    refused(&select("PARSE_JSON(REPEAT('[', 100000))"), "Failed to parse");
    taken(&select("JSON_VALUE('{}', CONCAT('$', REPEAT('.a', 100000)))"));
    let nested = "CONCAT(REPEAT('[1,', 500), '1', REPEAT(']', 500))";
    taken(&select(&format!("JSON_QUERY({nested}, CONCAT('$', REPEAT('[*]', 20)))")));
}

#[test]
fn patterns_in_patterns_do_not_match_or_are_refused() {
    for open in ["(", "(?=", "(?:a|"] {
        let pattern = format!("CONCAT(s, REPEAT('{open}', 100000), REPEAT(')', 100000))");
        taken(&select(&format!("REGEXP(s, {pattern})")));
        refused(&select(&format!("s SIMILAR TO {pattern}")), "is longer than");
    }
}
