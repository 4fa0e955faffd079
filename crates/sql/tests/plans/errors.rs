//! Mistakes that people make, and what they read: the place, what is wrong, what may help.

use expect_test::{Expect, expect};

use crate::run;

const TABLES: &str = "\
CREATE TABLE orders (id INT NOT NULL, customer STRING, price DECIMAL(10, 2), at_time TIMESTAMP(3),
  WATERMARK FOR at_time AS at_time) WITH ('connector' = 'datagen', 'number-of-rows' = '1');
CREATE TABLE plain (id INT, note STRING, at_time TIMESTAMP(3)) WITH ('connector' = 'datagen', 'number-of-rows' = '1');
CREATE TABLE sink (id INT NOT NULL, n BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'blackhole');
CREATE TABLE appended (id INT, n BIGINT) WITH ('connector' = 'filesystem', 'path' = '/nonexistent', 'format' = 'json');
";

fn check(statement: &str, wanted: Expect) {
    let script = format!("{TABLES}{statement}");
    let told = match run(&script) {
        Err(error) => error.render(&script),
        Ok(_) => "it was taken".to_owned(),
    };
    // Lines are counted from the mistake's own statement.
    let first = TABLES.lines().count();
    let told = told.replace(&format!("line {}", first + 1), "line 1");
    wanted.assert_eq(&told);
}

macro_rules! mistakes {
    ($($name:ident: $statement:literal => $wanted:expr;)*) => {$(
        #[test]
        fn $name() {
            check($statement, $wanted);
        }
    )*};
}

mistakes! {
    unknown_column: "SELECT custmer FROM orders" => expect![[""]];
    unknown_column_of_a_table: "SELECT o.pirce FROM orders AS o" => expect![[""]];
    unknown_table: "SELECT * FROM order_s" => expect![[""]];
    unknown_function: "SELECT UPPR(customer) FROM orders" => expect![[""]];
    unknown_type: "SELECT CAST(id AS INTEGR) FROM orders" => expect![[""]];
    unknown_option: "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'rows-per-secnd' = '1'); SELECT * FROM t" => expect![[""]];
    unknown_connector: "CREATE TABLE t (a INT) WITH ('connector' = 'datagn'); SELECT * FROM t" => expect![[""]];
    unknown_format: "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'path' = '/tmp', 'format' = 'jsn'); SELECT * FROM t" => expect![[""]];
    unknown_setting: "SET 'paralelism.default' = '2'" => expect![[""]];
    missing_option: "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'format' = 'json'); SELECT * FROM t" => expect![[""]];
    missing_connector: "CREATE TABLE t (a INT) WITH ('format' = 'json'); SELECT * FROM t" => expect![[""]];
    wrong_option: "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'number-of-rows' = 'many'); SELECT * FROM t" => expect![[""]];
    wrong_setting: "SET 'parallelism.default' = 'two'" => expect![[""]];
    missing_watermark: "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE plain, DESCRIPTOR(at_time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end" => expect![[""]];
    over_without_a_time: "SELECT SUM(id) OVER (PARTITION BY note ORDER BY note) FROM plain" => expect![[""]];
    order_without_a_time: "SELECT * FROM plain ORDER BY id" => expect![[""]];
    type_mismatch: "SELECT id + note FROM plain" => expect![[""]];
    comparison_mismatch: "SELECT * FROM orders WHERE at_time = ARRAY[1]" => expect![[""]];
    condition_that_is_none: "SELECT * FROM orders WHERE id" => expect![[""]];
    ambiguous_column: "SELECT id FROM orders JOIN plain ON orders.id = plain.id" => expect![[""]];
    not_grouped: "SELECT customer, id, COUNT(*) FROM orders GROUP BY customer" => expect![[""]];
    aggregate_in_where: "SELECT customer FROM orders WHERE COUNT(*) > 1 GROUP BY customer" => expect![[""]];
    nested_aggregate: "SELECT MAX(COUNT(*)) FROM orders GROUP BY customer" => expect![[""]];
    updates_into_an_appending_sink: "INSERT INTO appended SELECT id, COUNT(*) FROM orders GROUP BY id" => expect![[""]];
    other_number_of_columns: "INSERT INTO sink SELECT id FROM orders" => expect![[""]];
    other_types_of_columns: "INSERT INTO sink SELECT id, customer FROM orders" => expect![[""]];
    null_for_not_null: "INSERT INTO sink VALUES (NULL, 1)" => expect![[""]];
    union_of_other_widths: "SELECT id FROM orders UNION ALL SELECT id, note FROM plain" => expect![[""]];
    union_of_other_types: "SELECT id FROM orders UNION ALL SELECT at_time FROM plain" => expect![[""]];
    wrong_number_of_arguments: "SELECT SUBSTRING(customer) FROM orders" => expect![[""]];
    wrong_argument: "SELECT ABS(customer) FROM orders" => expect![[""]];
    existing_table: "CREATE TABLE plain (a INT) WITH ('connector' = 'datagen')" => expect![[""]];
    dropped_that_is_not_there: "DROP TABLE plan" => expect![[""]];
    key_of_a_nullable_column: "CREATE TABLE t (a INT, PRIMARY KEY (a)) WITH ('connector' = 'datagen')" => expect![[""]];
    key_of_no_column: "CREATE TABLE t (a INT, PRIMARY KEY (b) NOT ENFORCED) WITH ('connector' = 'datagen')" => expect![[""]];
    watermark_of_no_column: "CREATE TABLE t (a INT, WATERMARK FOR b AS b) WITH ('connector' = 'datagen')" => expect![[""]];
    watermark_of_a_text: "CREATE TABLE t (a STRING, WATERMARK FOR a AS a) WITH ('connector' = 'datagen')" => expect![[""]];
    missing_keyword: "SELECT id orders WHERE id > 1" => expect![[""]];
    text_without_an_end: "SELECT 'abc FROM orders" => expect![[""]];
    parenthesis_without_an_end: "SELECT (id + 1 FROM orders" => expect![[""]];
    reserved_word: "CREATE TABLE t (order INT) WITH ('connector' = 'datagen')" => expect![[""]];
    double_quotes: "SELECT \"id\" FROM orders" => expect![[""]];
    second_line: "SELECT id,\n  custmer,\n  price FROM orders" => expect![[""]];
    hop_that_does_not_fit: "SELECT * FROM TABLE(HOP(TABLE orders, DESCRIPTOR(at_time), INTERVAL '7' SECOND, INTERVAL '10' SECOND))" => expect![[""]];
    windows_without_number: "SELECT * FROM TABLE(HOP(TABLE orders, DESCRIPTOR(at_time), INTERVAL '0.001' SECOND, INTERVAL '10' DAY))" => expect![[""]];
    scalar_query_of_many_rows: "SELECT (SELECT id FROM plain) FROM orders" => expect![[""]];
    limit_that_is_no_number: "SELECT id FROM orders LIMIT x" => expect![[""]];
    updates_that_miss_their_rows: "SET 'table.optimizer.non-deterministic-update.strategy' = 'TRY_RESOLVE'; SELECT customer, UUID() AS u FROM (SELECT customer, COUNT(*) AS n FROM orders GROUP BY customer) WHERE n > RAND()" => expect![[""]];
    escape_of_two_characters: "SELECT * FROM orders WHERE customer LIKE 'a' ESCAPE 'xy'" => expect![[""]];
}
