//! Queries for another planner.

use expect_test::expect;
use hurtig_sql_parser::{SqlParser, ast::StatementKind, lower::Lowering};

use crate::oracle::cases;

fn lowered(query: &str) -> String {
    let tree = SqlParser::default().query(query).unwrap();
    match Lowering::new(query).query(&tree) {
        Ok(lowered) => lowered.to_string(),
        Err(error) => format!("{}: {error}", error.span.text(query)),
    }
}

#[test]
fn ordinary_queries_are_handed_on_with_their_names_quoted() {
    let queries = [
        "WITH a (x) AS (SELECT 1) SELECT DISTINCT t.b AS c, COUNT(DISTINCT d) FILTER (WHERE e > 1) FROM a, t LEFT JOIN s USING (k) \
         WHERE x BETWEEN 1 AND 2 OR y LIKE 'z' OR u IS NULL OR v GROUP BY ROLLUP (b, (c, d)) HAVING TRUE ORDER BY 1 DESC LIMIT 3 OFFSET 1",
        "SELECT SUM(a) OVER (PARTITION BY b ORDER BY ts RANGE BETWEEN INTERVAL '1:30' MINUTE TO SECOND PRECEDING AND CURRENT ROW) FROM t",
        "SELECT CAST(a AS ROW<x INT>), DATE '2024-02-29', INTERVAL '1-2' YEAR TO MONTH, x'0f', a[1].f, ARRAY[1], MAP['k', 1], CURRENT_DATE FROM t",
        "SELECT JSON_VALUE(a, '$.b' RETURNING INT DEFAULT 1 ON EMPTY), a BETWEEN SYMMETRIC 2 AND 1, TIMESTAMPADD(DAY, 1, b) FROM t",
        "SELECT 1 EXCEPT SELECT 2 EXCEPT SELECT 3",
        "SELECT * FROM o JOIN r /*+ OPTIONS('k' = 'v') */ FOR SYSTEM_TIME AS OF o.ts AS r ON TRUE, UNNEST(o.c) AS u (v)",
        "SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE))",
        "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (A) DEFINE A AS TRUE)",
    ];
    let shown: Vec<String> = queries.iter().map(|query| lowered(query)).collect();
    expect![[r#"
        WITH `a` (`x`) AS (SELECT 1) SELECT DISTINCT `t`.`b` AS `c`, COUNT(DISTINCT `d`) FILTER (WHERE `e` > 1) FROM `a` CROSS JOIN `t` LEFT OUTER JOIN `s` USING(`k`) WHERE `x` BETWEEN 1 AND 2 OR `y` LIKE 'z' OR `u` IS NULL OR `v` GROUP BY ROLLUP (`b`, (`c`, `d`)) HAVING true ORDER BY 1 DESC LIMIT 3 OFFSET 1
        SELECT SUM(`a`) OVER (PARTITION BY `b` ORDER BY `ts` ASC RANGE BETWEEN INTERVAL '90.000000000 SECONDS' PRECEDING AND CURRENT ROW) FROM `t`
        SELECT CAST(`a` AS `ROW<``x`` INT>`), DATE '2024-02-29', INTERVAL '14 MONTHS', X'0F', `a`[1].`f`, ARRAY[1], map('k', 1), CURRENT_DATE FROM `t`
        SELECT json_value(`a`, '$.b', 'RETURNING INT', 'DEFAULT ON EMPTY', 1), between_symmetric(`a`, 2, 1), timestampadd('DAY', 1, `b`) FROM `t`
        SELECT 1 EXCEPT (SELECT 2 UNION SELECT 3)
        SELECT * FROM `o` INNER JOIN `r` AS `r` WITH (OPTIONS('k', 'v')) FOR SYSTEM_TIME AS OF `o`.`ts` ON true CROSS JOIN UNNEST(`o`.`c`) AS `u` (`v`)
        TABLE t: this argument cannot be handed on to another planner
        MATCH_RECOGNIZE (PATTERN (A) DEFINE A AS TRUE): MATCH_RECOGNIZE cannot be handed on to another planner
    "#]].assert_eq(&(shown.join("\n") + "\n"));
}

#[test]
fn every_query_of_the_oracle_is_handed_on_or_refused_for_its_tables() {
    let (mut given, mut refused) = (0, 0);
    for case in cases() {
        // Two of the cases do not parse.
        let Ok(statements) = SqlParser::default().script(&case.script) else { continue };
        for statement in statements {
            let StatementKind::Query(query) = statement.kind else { continue };
            match Lowering::new(&case.script).query(&query) {
                Ok(lowered) => {
                    assert!(!lowered.to_string().is_empty());
                    given += 1;
                }
                Err(error) => {
                    let reason = error.message.split(" cannot be").next().unwrap_or_default();
                    let reasons = [
                        "this argument",
                        "MATCH_RECOGNIZE",
                        "a hint of SELECT",
                        "this constructor",
                        "grouping sets in grouping sets",
                    ];
                    assert!(
                        reasons.contains(&reason),
                        "{}: {}",
                        case.name,
                        error.render(&case.script)
                    );
                    refused += 1;
                }
            }
        }
    }
    assert!(given > 150 && refused > 20, "{given} were handed on, {refused} were not");
}

#[test]
fn positions_are_lines_and_columns_of_the_source() {
    let source = format!("{}\n  SELECT é, b", "-- ü".repeat(1_000));
    let tree = SqlParser::default().query(&source).unwrap();
    let lowered = Lowering::new(&source).query(&tree).unwrap();
    let sqlparser::ast::SetExpr::Select(select) = *lowered.body else { panic!("no SELECT") };
    let sqlparser::ast::SelectItem::UnnamedExpr(sqlparser::ast::Expr::Identifier(b)) =
        &select.projection[1]
    else {
        panic!("{:?}", select.projection)
    };
    assert_eq!((b.span.start.line, b.span.start.column), (2, 13));
    assert_eq!((b.span.end.line, b.span.end.column), (2, 14));
}
