//! Very many of everything.

use crate::{joined, refused, select, taken};

#[test]
fn long_lists_of_in() {
    let within = |operand: &str, list: String| {
        taken(&format!("SELECT a FROM t WHERE {operand} IN ({list})"));
    };
    within("a", joined(100_000, ", ", |i| i.to_string()));
    within("s", joined(100_000, ", ", |i| format!("'s{i}'")));
    within("a", joined(20_000, ", ", |i| format!("b + {i}")));
    within("a", joined(20_000, ", ", |i| format!("'{i}'")));
    within("a", format!("{}, 1.5, '7', NULL", joined(20_000, ", ", |i| i.to_string())));
    within("(a, b)", joined(20_000, ", ", |i| format!("({i}, {i})")));
    within("ts", joined(20_000, ", ", |i| format!("'2020-01-01 00:00:00.{:03}'", i % 1000)));
    let list = joined(100_000, ", ", |i| i.to_string());
    taken(&format!("SELECT a FROM t WHERE a NOT IN ({list})"));
    let list = joined(20_000, ", ", |i| i.to_string());
    taken(&format!("SELECT a FROM t WHERE a > ALL ({list})"));
}

#[test]
fn long_conditions() {
    let terms = |count: usize, between: &str, term: &str| {
        joined(count, between, |i| term.replace('#', &i.to_string()))
    };
    taken(&format!("SELECT a FROM t WHERE {}", terms(50_000, " OR ", "a = #")));
    taken(&format!("SELECT a FROM t WHERE {}", terms(50_000, " AND ", "a <> #")));
    let having = terms(20_000, " AND ", "COUNT(*) <> #");
    taken(&format!("SELECT a, COUNT(*) FROM t GROUP BY a HAVING {having}"));
    let on = terms(20_000, " AND ", "x.a <> y.a + #");
    taken(&format!("SELECT x.a FROM t x JOIN t y ON {on}"));
    let on = terms(5_000, " AND ", "x.a = y.a + #");
    taken(&format!("SELECT x.a FROM t x JOIN t y ON {on}"));
    let cases = joined(20_000, " ", |i| format!("WHEN {i} THEN {i}"));
    taken(&select(&format!("CASE a {cases} ELSE 0 END")));
}

#[test]
fn many_rows_of_constants() {
    let rows = |count: usize, row: fn(usize) -> String| {
        format!("SELECT COUNT(*) FROM (VALUES {}) AS v(a, b)", joined(count, ", ", row))
    };
    taken(&rows(80_000, |i| format!("({i}, 's{i}')")));
    taken(&rows(20_000, |i| match i % 2 {
        0 => format!("({i}, 's{i}')"),
        _ => format!("({i}.5, CAST(NULL AS STRING))"),
    }));
    taken(&rows(10_000, |i| format!("({i} + 1, UPPER('s{i}'))")));
    refused(&rows(100_000, |i| format!("({i}, 's{i}')")), "more than 500000 words");
}

#[test]
fn many_stars() {
    taken(&format!("SELECT {} FROM t", joined(2_000, ", ", |_| "*".to_owned())));
}

#[test]
fn many_columns() {
    let table = |columns: String| {
        format!(
            "CREATE TABLE w (c0 INT, {columns}) WITH ('connector' = 'datagen', 'number-of-rows' = '5');\
             SELECT * FROM w"
        )
    };
    taken(&table(joined(2_000, ", ", |i| format!("c{} INT", i + 1))));
    taken(&table(joined(1_000, ", ", |i| format!("c{} AS c0 + {i}", i + 1))));
    taken(&select(&joined(20_000, ", ", |i| format!("a + {i}"))));
    taken(&select(&joined(1_000, ", ", |i| format!("SUM(a + {i})"))));
    let keys = joined(2_000, ", ", |i| format!("a + {i}"));
    taken(&format!("SELECT COUNT(*) FROM t GROUP BY {keys}"));
}

#[test]
fn many_arguments() {
    let numbers = joined(20_000, ", ", |i| format!("a + {i}"));
    taken(&select(&format!("CARDINALITY(ARRAY[{numbers}])")));
    taken(&select(&format!("GREATEST({numbers})")));
    taken(&select(&format!("COALESCE({numbers})")));
    let entries = joined(20_000, ", ", |i| format!("{i}, a"));
    taken(&select(&format!("CARDINALITY(MAP[{entries}])")));
    taken(&select(&format!("ROW({})", vec!["a"; 5_000].join(", "))));
    let pairs = joined(5_000, ", ", |i| format!("'k{i}' VALUE a"));
    taken(&select(&format!("JSON_OBJECT({pairs})")));
}

#[test]
fn many_tables() {
    let values = |count: usize| {
        let rest = joined(count, " ", |i| {
            let i = i + 1;
            format!("LEFT JOIN (VALUES (1)) AS v{i}(a) ON v{i}.a = v0.a")
        });
        format!("SELECT v0.a FROM (VALUES (1)) AS v0(a) {rest}")
    };
    taken(&values(60));
    refused(&values(2_000), "reads from more than 1000 tables");
    let all = joined(5_000, ", ", |i| format!("t t{i}"));
    refused(&format!("SELECT t0.a FROM {all}"), "reads from more than 1000 tables");
    taken(&vec!["SELECT a FROM t"; 100].join(" UNION ALL "));
    taken(&vec!["SELECT a FROM t"; 60].join(" EXCEPT "));
    refused(&vec!["SELECT a FROM t"; 5_000].join(" UNION ALL "), "more than");
}

#[test]
fn many_joins_are_planned() {
    // They are not run: each is an operator with state.
    let joins = joined(400, " ", |i| format!("JOIN t t{i} ON t{i}.a = t.a"));
    taken(&format!("EXPLAIN SELECT t.a FROM t {joins}"));
    let joins = joined(400, " ", |i| format!("LEFT JOIN t t{i} ON t{i}.a = t.a AND t{i}.b > 3"));
    taken(&format!("EXPLAIN SELECT t.a FROM t {joins} WHERE t.b > 3"));
}

#[test]
fn many_grouping_sets() {
    let group = |by: &str| format!("SELECT COUNT(*) FROM t GROUP BY {by}");
    taken(&group("CUBE (a, b, s, d, ts)"));
    let many = joined(30, ", ", |i| format!("a + {i}"));
    refused(&group(&format!("CUBE ({many})")), "CUBE of more than 10 columns");
    refused(&group(&vec!["CUBE (a, b)"; 40].join(", ")), "more than 1024 grouping sets");
    refused(&group(&vec!["ROLLUP (a, b, s)"; 20].join(", ")), "more than 1024 grouping sets");
    let sets = vec!["(a, b), (a), ()"; 20_000].join(", ");
    refused(&group(&format!("GROUPING SETS ({sets})")), "more than 1024 grouping sets");
}

#[test]
fn many_windows() {
    let window = |function: &str, step: &str, size: &str| {
        format!(
            "SELECT COUNT(*) FROM TABLE({function}(TABLE t, DESCRIPTOR(ts), INTERVAL {step}, INTERVAL {size}))"
        )
    };
    taken(&window("HOP", "'1' SECOND", "'1' HOUR"));
    for function in ["HOP", "CUMULATE"] {
        let text = window(function, "'0.001' SECOND", "'10' DAY");
        refused(&text, "would put each row into more than");
    }
    refused(&window("HOP", "'0' SECOND", "'1' DAY"), "requires positive sizes");
    taken(
        "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '99999999' DAY(8))) \
         GROUP BY window_start, window_end",
    );
}

#[test]
fn many_subtasks() {
    for parallelism in ["100000", "2147483647"] {
        let set = format!("SET 'parallelism.default' = '{parallelism}'; SELECT a FROM t");
        refused(&set, "is above its max parallelism");
    }
}
