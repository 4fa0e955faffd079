//! Queries and expressions, as they are printed again.

use expect_test::expect;
use hurtig_sql_parser::{SqlParser, ast::ExprKind};

use crate::support::round_trip;

/// Expressions as they are printed again.
fn expressions(all: &[&str]) -> String {
    let parser = SqlParser::default();
    let mut shown = String::new();
    for text in all {
        let expr = match parser.expression(text) {
            Ok(expr) => expr,
            Err(error) => panic!("{}", error.render(text)),
        };
        let printed = expr.to_string();
        assert_eq!(parser.expression(&printed).as_ref(), Ok(&expr), "{printed}");
        shown.push_str(&printed);
        shown.push('\n');
    }
    shown
}

#[test]
fn operators_bind_as_in_calcite() {
    let all = [
        "a + b * c - d",
        "(a + b) * c",
        "a || b || c",
        "a * b || c",
        "-a * b",
        "- - a",
        "-(a + b)",
        "not a = b and c or d",
        "NOT (a AND b)",
        "a and (b and c)",
        "(a or b) and c",
        "a = b is null",
        "(a is null) = b",
        "not not a",
        "a = (not b)",
        "a between 1 and 2 and c",
        "a not between symmetric b + 1 and c",
        "a between asymmetric 1 and 2",
        "a like 'x' || b escape '!'",
        "a not similar to b",
        "a in (1, 2) = true",
        "a in ((1, 2))",
        "a not in (select 1)",
        "a in ((select 1))",
        "(a, b) in (select 1, 2)",
        "a is not distinct from b",
        "a is distinct from b + 1",
        "a < all (select 1)",
        "a = some (1, 2)",
        "exists (select 1)",
        "not exists (select 1) and a",
        "a % 2 <> 0",
        "a is not json object",
        "a is json",
        "a is not a set",
        "a member of b",
        "a multiset union all b",
        "(a - b) day to second",
        "(a, b) overlaps (c, d)",
    ];
    expect![[r#"
        a + b * c - d
        (a + b) * c
        a || b || c
        a * b || c
        -a * b
        - -a
        -(a + b)
        NOT a = b AND c OR d
        NOT (a AND b)
        a AND (b AND c)
        (a OR b) AND c
        a = b IS NULL
        (a IS NULL) = b
        NOT NOT a
        a = (NOT b)
        a BETWEEN 1 AND 2 AND c
        a NOT BETWEEN SYMMETRIC b + 1 AND c
        a BETWEEN 1 AND 2
        a LIKE 'x' || b ESCAPE '!'
        a NOT SIMILAR TO b
        a IN (1, 2) = TRUE
        a IN ((1, 2))
        a NOT IN (SELECT 1)
        a IN (SELECT 1)
        (a, b) IN (SELECT 1, 2)
        a IS NOT DISTINCT FROM b
        a IS DISTINCT FROM b + 1
        a < ALL (SELECT 1)
        a = ANY (1, 2)
        EXISTS (SELECT 1)
        NOT EXISTS (SELECT 1) AND a
        a % 2 <> 0
        a IS NOT JSON OBJECT
        a IS JSON VALUE
        a IS NOT A SET
        a MEMBER OF b
        a MULTISET UNION ALL b
        (a - b) DAY TO SECOND
        (a, b) OVERLAPS (c, d)
    "#]]
    .assert_eq(&expressions(&all));
}

#[test]
fn literals_and_constructors() {
    let all = [
        "1",
        "1.50",
        ".5e-3",
        "'it''s'",
        "'a'\n  'b'",
        "U&'\\00e9'",
        "U&'!00e9' UESCAPE '!'",
        "_UTF8'x'",
        "x'0aFF'",
        "TRUE",
        "unknown",
        "null",
        "date '2024-02-29'",
        "TIME '12:34:56.7'",
        "timestamp '2024-02-29 01:02:03'",
        "TIMESTAMP WITH LOCAL TIME ZONE '2024-02-29 01:02:03'",
        "interval '5' minutes",
        "INTERVAL -'1-2' YEAR TO MONTH",
        "INTERVAL '1 02:03:04.5' DAY TO SECOND",
        "INTERVAL '100' DAY(3)",
        "interval a day",
        "INTERVAL (a + 1) HOUR",
        "array[1, 2]",
        "ARRAY[]",
        "map['a', 1]",
        "MULTISET[1]",
        "array(select 1)",
        "row(1, 'a')",
        "ROW(1)",
        "(1, 2)",
        "x[1]['k'].f.g",
        "a.b.c",
        "f(x).y.z",
        "(a).b",
        "case when a then 1 else 2 end",
        "case a when 1, 2 then 'x' end",
        "current_timestamp",
        "CURRENT_DATE",
        "localtime",
    ];
    expect![[r#"
        1
        1.50
        .5e-3
        'it''s'
        'ab'
        'é'
        'é'
        'x'
        X'0AFF'
        TRUE
        UNKNOWN
        NULL
        DATE '2024-02-29'
        TIME '12:34:56.7'
        TIMESTAMP '2024-02-29 01:02:03'
        TIMESTAMP WITH LOCAL TIME ZONE '2024-02-29 01:02:03'
        INTERVAL '5' MINUTE
        INTERVAL -'1-2' YEAR TO MONTH
        INTERVAL '1 02:03:04.5' DAY TO SECOND
        INTERVAL '100' DAY(3)
        INTERVAL (a) DAY
        INTERVAL (a + 1) HOUR
        ARRAY[1, 2]
        ARRAY[]
        MAP['a', 1]
        MULTISET[1]
        ARRAY(SELECT 1)
        ROW(1, 'a')
        ROW(1)
        (1, 2)
        x[1]['k'].f.g
        a.b.c
        f(x).y.z
        (a).b
        CASE WHEN a THEN 1 ELSE 2 END
        CASE a WHEN (1, 2) THEN 'x' END
        current_timestamp
        CURRENT_DATE
        localtime
    "#]]
    .assert_eq(&expressions(&all));
}

#[test]
fn functions_with_and_without_a_syntax_of_their_own() {
    let all = [
        "cast(a as row<x int, y array<string>>)",
        "TRY_CAST('1' AS DECIMAL(10, 2))",
        "extract(year from a)",
        "floor(a to day)",
        "ceil(a)",
        "CEILING(a TO HOUR)",
        "FLOOR(f(a) + 1)",
        "timestampadd(minute, 1, a)",
        "TIMESTAMPDIFF(SECOND, a, b)",
        "position('a' in b from 2)",
        "overlay(a placing b from 1 for 2)",
        "substring(a from 1 for 2)",
        "SUBSTRING(a, 2)",
        "trim(a)",
        "TRIM(BOTH FROM a)",
        "trim(leading 'x' from a)",
        "left(a, 1)",
        "year(a)",
        "count(*)",
        "COUNT(DISTINCT a, b)",
        "sum(a) filter (where b > 1)",
        "listagg(a, ',') within group (order by b desc nulls last)",
        "array_agg(distinct a order by b)",
        "first_value(a) ignore nulls over w",
        "sum(a) over (partition by b, c order by d range between interval '1' hour preceding and current row)",
        "row_number() over (order by a rows 2 preceding)",
        "LAG(a, 1) OVER (w ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING)",
        "json_value(a, '$.b' returning int null on empty default -1 on error)",
        "JSON_QUERY(a, 'lax $.b' RETURNING ARRAY<STRING> WITH ARRAY WRAPPER EMPTY ARRAY ON EMPTY ERROR ON ERROR)",
        "json_query(a, '$' without array wrapper)",
        "json_exists(a, '$.b' true on error)",
        "JSON_OBJECT(KEY 'a' VALUE 1, 'b' VALUE 2, 'c' : 3 ABSENT ON NULL)",
        "json_object()",
        "JSON_ARRAY(1, JSON_ARRAY() NULL ON NULL)",
        "json_objectagg(key a value b null on null)",
        "JSON_ARRAYAGG(a ORDER BY b ABSENT ON NULL)",
        "a.b.f(x => 1, y => default)",
        "if(a, 1, 2)",
        "TUMBLE_START(ts, INTERVAL '1' HOUR)",
        "tumble(ts, interval '1' hour)",
        "final last(a.x, 1)",
        "grouping(a)",
        "proctime()",
    ];
    expect![[r#"
        CAST(a AS ROW<`x` INT, `y` ARRAY<STRING>>)
        TRY_CAST('1' AS DECIMAL(10, 2))
        EXTRACT(YEAR FROM a)
        FLOOR(a TO DAY)
        ceil(a)
        CEIL(a TO HOUR)
        FLOOR(f(a) + 1)
        TIMESTAMPADD(MINUTE, 1, a)
        TIMESTAMPDIFF(SECOND, a, b)
        POSITION(('a') IN b FROM 2)
        OVERLAY(a PLACING b FROM 1 FOR 2)
        substring(a, 1, 2)
        SUBSTRING(a, 2)
        TRIM(BOTH FROM a)
        TRIM(BOTH FROM a)
        TRIM(LEADING 'x' FROM a)
        left(a, 1)
        year(a)
        count(*)
        COUNT(DISTINCT a, b)
        sum(a) FILTER (WHERE b > 1)
        listagg(a, ',') WITHIN GROUP (ORDER BY b DESC NULLS LAST)
        array_agg(DISTINCT a ORDER BY b)
        first_value(a) IGNORE NULLS OVER w
        sum(a) OVER (PARTITION BY b, c ORDER BY d RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW)
        row_number() OVER (ORDER BY a ROWS 2 PRECEDING)
        LAG(a, 1) OVER (w ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING)
        JSON_VALUE(a, '$.b' RETURNING INT NULL ON EMPTY DEFAULT -1 ON ERROR)
        JSON_QUERY(a, 'lax $.b' RETURNING ARRAY<STRING> WITH UNCONDITIONAL WRAPPER EMPTY ARRAY ON EMPTY ERROR ON ERROR)
        JSON_QUERY(a, '$' WITHOUT WRAPPER)
        JSON_EXISTS(a, '$.b' TRUE ON ERROR)
        JSON_OBJECT(KEY 'a' VALUE 1, KEY 'b' VALUE 2, KEY 'c' VALUE 3 ABSENT ON NULL)
        JSON_OBJECT()
        JSON_ARRAY(1, JSON_ARRAY() NULL ON NULL)
        JSON_OBJECTAGG(KEY a VALUE b NULL ON NULL)
        JSON_ARRAYAGG(a ORDER BY b ABSENT ON NULL)
        a.b.f(x => 1, y => DEFAULT)
        if(a, 1, 2)
        TUMBLE_START(ts, INTERVAL '1' HOUR)
        tumble(ts, INTERVAL '1' HOUR)
        FINAL last(a.x, 1)
        grouping(a)
        proctime()
    "#]].assert_eq(&expressions(&all));
}

#[test]
fn queries_with_all_their_clauses() {
    let printed = round_trip(
        "select distinct a, t.*, b as x, count(*) c from t where a > 1 group by a, b having count(*) > 1
           window w as (partition by a order by b) qualify row_number() over w = 1
           order by a desc nulls first, 2 limit 10 offset 5;
         SELECT /*+ STATE_TTL('t' = '1d'), BROADCAST(a, b), LOOKUP('table'='x') */ * FROM t;
         SELECT a FROM t GROUP BY GROUPING SETS ((a, b), a, ()), ROLLUP (a, b), CUBE (c), ();
         SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION SELECT 4 INTERSECT SELECT 5 EXCEPT ALL SELECT 6;
         (SELECT 1 ORDER BY 1 LIMIT 1) UNION (SELECT 2); ((SELECT 1) UNION SELECT 2) ORDER BY 1;
         WITH a AS (SELECT 1), b (x, y) AS (VALUES (1, 2), ROW(3, 4)) SELECT * FROM a, b;
         VALUES 1, (2), ROW(3, 4); TABLE t; SELECT ((SELECT 1) + 2), (((SELECT 1))), ((1 + 2) * 3);
         SELECT 1 FETCH FIRST 3 ROWS ONLY; SELECT 1 OFFSET 2 ROWS FETCH NEXT 1 ROW ONLY; SELECT 1 LIMIT ALL",
    );
    expect![[r#"
        SELECT DISTINCT a, t.*, b AS x, count(*) AS c FROM t WHERE a > 1 GROUP BY a, b HAVING count(*) > 1 WINDOW w AS (PARTITION BY a ORDER BY b) QUALIFY row_number() OVER w = 1 ORDER BY a DESC NULLS FIRST, 2 LIMIT 10 OFFSET 5
        SELECT /*+ STATE_TTL('t' = '1d'), BROADCAST(a, b), LOOKUP('table' = 'x') */ * FROM t
        SELECT a FROM t GROUP BY GROUPING SETS ((a, b), a, ()), ROLLUP (a, b), CUBE (c), ()
        SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION SELECT 4 INTERSECT SELECT 5 EXCEPT ALL SELECT 6
        (SELECT 1 ORDER BY 1 LIMIT 1) UNION (SELECT 2)
        ((SELECT 1) UNION SELECT 2) ORDER BY 1
        WITH a AS (SELECT 1), b (x, y) AS (VALUES (1, 2), ROW(3, 4)) SELECT * FROM a, b
        VALUES 1, 2, ROW(3, 4)
        TABLE t
        SELECT (SELECT 1) + 2, (SELECT 1), (1 + 2) * 3
        SELECT 1 LIMIT 3
        SELECT 1 LIMIT 1 OFFSET 2
        SELECT 1
    "#]].assert_eq(&printed);
}

#[test]
fn tables_joins_and_windows() {
    let printed = round_trip(
        "SELECT * FROM a x, b AS y (c, d) JOIN c ON x.a = y.c LEFT OUTER JOIN d USING (k, l) CROSS JOIN e
           NATURAL FULL JOIN f;
         SELECT * FROM (a JOIN b ON TRUE) JOIN ((SELECT 1) AS q CROSS JOIN c) ON TRUE, ((SELECT 1) UNION (SELECT 2)) u;
         SELECT * FROM o JOIN r FOR SYSTEM_TIME AS OF o.ts AS r ON o.c = r.c;
         SELECT * FROM t /*+ OPTIONS('k'='v', a = 'b') */ AS x;
         SELECT * FROM t, LATERAL TABLE(f(t.a)) AS x (y), LATERAL (SELECT t.b), UNNEST(t.c) WITH ORDINALITY AS u (v, o);
         SELECT * FROM t CROSS JOIN UNNEST(ARRAY[1, 2]) AS u (v) TABLESAMPLE BERNOULLI (10) REPEATABLE (3);
         SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTES, INTERVAL '1' MINUTE));
         SELECT * FROM TABLE(HOP(DATA => TABLE c.d.t, TIMECOL => DESCRIPTOR(ts), SLIDE => INTERVAL '1' MINUTE, SIZE => INTERVAL '5' MINUTE));
         SELECT * FROM SESSION(TABLE t PARTITION BY (a, b), DESCRIPTOR(ts), INTERVAL '5' MINUTE) w;
         SELECT * FROM CUMULATE((SELECT * FROM t) PARTITION BY a ORDER BY b, DESCRIPTOR(ts), INTERVAL '1' DAY, INTERVAL '2' DAY);
         SELECT * FROM ML_PREDICT(TABLE t, MODEL m, DESCRIPTOR(x));
         SELECT TUMBLE_START(ts, INTERVAL '1' HOUR) FROM t GROUP BY TUMBLE(ts, INTERVAL '1' HOUR), a",
    );
    expect![[r#"
        SELECT * FROM a AS x, b AS y (c, d) INNER JOIN c ON x.a = y.c LEFT JOIN d USING (k, l) CROSS JOIN e NATURAL FULL JOIN f
        SELECT * FROM (a INNER JOIN b ON TRUE) INNER JOIN ((SELECT 1) AS q CROSS JOIN c) ON TRUE, ((SELECT 1) UNION (SELECT 2)) AS u
        SELECT * FROM o INNER JOIN r FOR SYSTEM_TIME AS OF o.ts AS r ON o.c = r.c
        SELECT * FROM t /*+ OPTIONS('k' = 'v', a = 'b') */ AS x
        SELECT * FROM t, LATERAL TABLE(f(t.a)) AS x (y), LATERAL (SELECT t.b), UNNEST(t.c) WITH ORDINALITY AS u (v, o)
        SELECT * FROM t CROSS JOIN UNNEST(ARRAY[1, 2]) AS u (v) TABLESAMPLE BERNOULLI (10) REPEATABLE (3)
        SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE, INTERVAL '1' MINUTE))
        SELECT * FROM TABLE(HOP(DATA => TABLE c.d.t, TIMECOL => DESCRIPTOR(ts), SLIDE => INTERVAL '1' MINUTE, SIZE => INTERVAL '5' MINUTE))
        SELECT * FROM SESSION(TABLE t PARTITION BY (a, b), DESCRIPTOR(ts), INTERVAL '5' MINUTE) AS w
        SELECT * FROM CUMULATE((SELECT * FROM t) PARTITION BY (a) ORDER BY (b), DESCRIPTOR(ts), INTERVAL '1' DAY, INTERVAL '2' DAY)
        SELECT * FROM ML_PREDICT(TABLE t, MODEL m, DESCRIPTOR(x))
        SELECT TUMBLE_START(ts, INTERVAL '1' HOUR) FROM t GROUP BY TUMBLE(ts, INTERVAL '1' HOUR), a
    "#]].assert_eq(&printed);
}

#[test]
fn match_recognize_is_kept() {
    let printed = round_trip(
        "SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY a ORDER BY ts
           MEASURES FIRST(A.x) AS fx, FINAL LAST(B.y, 1) AS ly, MATCH_NUMBER() AS n, CLASSIFIER() AS c
           ALL ROWS PER MATCH AFTER MATCH SKIP TO FIRST B
           PATTERN (^ A B*? (C | D)+ {- E -} F{2} G{1,} H{,3}? PERMUTE(I, J) $) WITHIN INTERVAL '1' HOUR
           SUBSET s = (A, B) DEFINE A AS A.x > PREV(A.x), B AS TRUE) AS m (q);
         SELECT * FROM t MATCH_RECOGNIZE (PATTERN ((A B)* | C) DEFINE A AS TRUE)",
    );
    expect![[r#"
        SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY a ORDER BY ts MEASURES FIRST(A.x) AS fx, FINAL LAST(B.y, 1) AS ly, MATCH_NUMBER() AS n, CLASSIFIER() AS c ALL ROWS PER MATCH AFTER MATCH SKIP TO FIRST B PATTERN (^ A B*? (C | D)+ {- E -} F{2} G+ H{0, 3}? PERMUTE(I, J) $) WITHIN INTERVAL '1' HOUR SUBSET s = (A, B) DEFINE A AS A.x > PREV(A.x), B AS TRUE) AS m (q)
        SELECT * FROM t MATCH_RECOGNIZE (PATTERN ((A B)* | C) DEFINE A AS TRUE)
    "#]].assert_eq(&printed);
}

#[test]
fn equal_expressions_are_equal_wherever_they_stand() {
    let parser = SqlParser::default();
    let here = parser.expression("UPPER(`a`) || 'x'").unwrap();
    let there = parser.expression("   UPPER( a )\n||'x'").unwrap();
    assert_eq!(here, there);
    assert_ne!(here, parser.expression("UPPER(A) || 'x'").unwrap(), "case counts");
}

#[test]
fn long_chains_are_flat() {
    let text = vec!["a"; 10_000].join(" OR ");
    let expr = SqlParser::default().expression(&text).unwrap();
    let ExprKind::Or(operands) = expr.kind else { panic!("no OR") };
    assert_eq!(operands.len(), 10_000);
    let query = vec!["SELECT 1"; 5_000].join(" UNION ALL ");
    assert!(SqlParser::default().query(&query).is_ok());
}
