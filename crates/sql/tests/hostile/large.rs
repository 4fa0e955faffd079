//! Values beyond all measure.

use crate::{joined, refused, select, taken};

#[test]
fn literals_of_megabytes() {
    taken(&select(&format!("CHAR_LENGTH('{}')", "x".repeat(3 << 20))));
    taken(&select(&format!("a, '{}'", "x".repeat(1 << 20))));
    refused(&select(&"9".repeat(1_000_000)), "out of range");
    refused(&select(&format!("0.{}", "9".repeat(1_000_000))), "has more than 38 digits");
    taken(&select("1e-999999999"));
    refused(&select("1e999999999"), "out of range");
    refused(&select("1e400"), "out of range");
    refused(&select(&"x".repeat(1 << 20)), "longer than 256 characters");
    refused(&select(&format!("`{}`", "é".repeat(1 << 20))), "longer than 256 characters");
    refused(&select(&format!("s LIKE '{}'", "%_a".repeat(100_000))), "is longer than");
    refused(&select(&format!("CAST('{}' AS INT)", "1".repeat(1 << 20))), "1111");
}

#[test]
fn texts_of_gigabytes() {
    for giant in [
        "REPEAT('x', 2000000000)",
        "CHAR_LENGTH(REPEAT(s, 2000000000))",
        "LPAD(s, 2000000000, 'x')",
        "RPAD('', 2147483647, ' ')",
        "REPLACE(REPEAT('a', 1000000), 'a', REPEAT('b', 1000000))",
        "REGEXP_REPLACE(REPEAT(s, 200000), '.', REPEAT('b', 1000000))",
        "CONCAT_WS(REPEAT('x', 10000000), s, s, s, s, s, s, s, s)",
    ] {
        refused(&select(giant), "bytes");
    }
    let many = joined(40, ", ", |_| "REPEAT(s, 2000000)".to_owned());
    refused(&select(&format!("CHAR_LENGTH(CONCAT({many}))")), "bytes");
    let many = joined(40, " || ", |_| "REPEAT(s, 2000000)".to_owned());
    refused(&select(&format!("CHAR_LENGTH({many})")), "bytes");
}

#[test]
fn patterns_that_explode() {
    taken(&select("REGEXP_EXTRACT(REPEAT('a', 50000), '(a+)+b', 1)"));
    taken(&select("REGEXP(REPEAT('a', 5000), '(a*)*\\1b')"));
    taken(&select("REGEXP(REPEAT('a', 5000), '(?=(a+)+b)(a|a)*c')"));
    taken(&select("REGEXP(s, '((a{1000}){1000}){1000}')"));
    taken(&select(&format!("REPEAT('a', 5000) LIKE '{}b'", "%a".repeat(500))));
}

#[test]
fn numbers_beyond_their_types() {
    taken(&select("d * d * d * d, d + 9999999999999999999999999999.9999999999"));
    let most = "CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0))";
    taken(&select(&format!("SUM({most}), AVG({most})")));
    taken(&select(
        "2147483647 + a, 9223372036854775807 + b, -(-9223372036854775807 - 1), ABS(-2147483648), \
         (-2147483647 - 1) / -1, MOD(-2147483648, -1), (-9223372036854775807 - 1) % -1",
    ));
    refused(&select("a / 0"), "/ by zero");
    taken(&select(
        "ROUND(d, 2147483647), ROUND(a, -2147483648), TRUNCATE(d, -2147483648), \
         TRUNCATE(1.5e300, 2147483647), ROUND(d, -2147483648)",
    ));
    taken(&select("POWER(10, 400), EXP(100000), BIN(-1), CHR(9223372036854775807), CHR(-1)"));
}

#[test]
fn times_beyond_their_types() {
    refused(&select("ts + INTERVAL '999999999' DAY"), "DAY has at most 2 digits");
    taken(&select("INTERVAL '99' YEAR(2) * a, INTERVAL '99' DAY * b"));
    taken(&select(
        "TIMESTAMPADD(YEAR, 2147483647, ts), TIMESTAMPADD(DAY, 2147483647, ts), \
         TIMESTAMPADD(MONTH, -2147483647, ts)",
    ));
    taken(&select(
        "TO_TIMESTAMP('999999-12-31 00:00:00'), TO_TIMESTAMP_LTZ(9223372036854775807, 3), \
         TO_TIMESTAMP_LTZ(9223372036854775807, 0), FROM_UNIXTIME(9223372036854775807), \
         TO_DATE('9999999-01-01')",
    ));
    taken(&select(
        "TIMESTAMPDIFF(SECOND, TIMESTAMP '0001-01-01 00:00:00', TIMESTAMP '9999-12-31 00:00:00'), \
         CEIL(TIMESTAMP '9999-12-31 23:59:59' TO YEAR), FLOOR(TIMESTAMP '0001-01-01 00:00:00' TO WEEK)",
    ));
    taken(&select("CHAR_LENGTH(DATE_FORMAT(ts, REPEAT('yyyy', 1000)))"));
    taken(&select("DATE_FORMAT(ts, REPEAT('y', 1000000))"));
}

#[test]
fn places_beyond_the_end() {
    taken(&select(
        "SUBSTRING(s, -2147483648, 2147483647), SUBSTR(s, 2147483647), LEFT(s, -2147483648), \
         RIGHT(s, 2147483647), SPLIT_INDEX(s, 'a', 2147483647), LOCATE('a', s, 2147483647), \
         arr[2147483647]",
    ));
    for clause in [
        "LIMIT 9223372036854775807 OFFSET 9223372036854775807",
        "ORDER BY a LIMIT 9223372036854775807 OFFSET 9223372036854775807",
    ] {
        taken(&format!("SELECT a FROM t {clause}"));
    }
    refused("SELECT a FROM t LIMIT 18446744073709551615", "a number of rows is expected here");
    let ranked = "SELECT a, ROW_NUMBER() OVER (PARTITION BY b ORDER BY a) rn FROM t";
    taken(&format!("SELECT * FROM ({ranked}) WHERE rn <= 9223372036854775807"));
    taken(&format!("SELECT * FROM ({ranked}) WHERE rn <= -5"));
    for bound in [
        "ROWS BETWEEN 9223372036854775807 PRECEDING AND CURRENT ROW",
        "RANGE BETWEEN INTERVAL '99999999' DAY(8) PRECEDING AND CURRENT ROW",
    ] {
        taken(&select(&format!("SUM(a) OVER (PARTITION BY b ORDER BY ts {bound})")));
    }
    taken(&select("LAG(a, 2147483647) OVER (PARTITION BY b ORDER BY ts)"));
}

#[test]
fn settings_beyond_measure() {
    let set = |key: &str, value: &str| format!("SET '{key}' = '{value}'; SELECT a FROM t");
    refused(&set("table.exec.state.ttl", "9223372036854775807 d"), "expected a duration");
    refused(&set("table.local-time-zone", "GMT+99:99"), "expected a time zone");
    refused("CREATE TABLE c LIKE c", "not found");
    refused(
        "CREATE TABLE c (a AS b + 1, b AS a + 1, x INT) WITH ('connector' = 'datagen')",
        "Invalid expression for computed column 'a'",
    );
}
