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
    unknown_column: "SELECT custmer FROM orders" => expect![[r#"
        error: Column 'custmer' not found in any table
         --> line 1, column 8
          |
        6 | SELECT custmer FROM orders
          |        ^^^^^^^
        hint: did you mean 'customer'?
    "#]];
    unknown_column_of_a_table: "SELECT o.pirce FROM orders AS o" => expect![[r#"
        error: Column 'pirce' not found in table 'o'
         --> line 1, column 10
          |
        6 | SELECT o.pirce FROM orders AS o
          |          ^^^^^
        hint: did you mean 'price'?
    "#]];
    unknown_table: "SELECT * FROM order_s" => expect![[r#"
        error: Object 'order_s' not found
         --> line 1, column 15
          |
        6 | SELECT * FROM order_s
          |               ^^^^^^^
        hint: did you mean 'orders'?
    "#]];
    unknown_function: "SELECT UPPR(customer) FROM orders" => expect![[r#"
        error: No match found for function signature UPPR
         --> line 1, column 8
          |
        6 | SELECT UPPR(customer) FROM orders
          |        ^^^^^^^^^^^^^^
        hint: did you mean 'UPPER'?
    "#]];
    unknown_type: "SELECT CAST(id AS INTEGR) FROM orders" => expect![[r#"
        error: Type 'INTEGR' not found
         --> line 1, column 19
          |
        6 | SELECT CAST(id AS INTEGR) FROM orders
          |                   ^^^^^^
    "#]];
    unknown_option: "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'rows-per-secnd' = '1'); SELECT * FROM t" => expect![[r#"
        error: Unable to create a source for table default_catalog.default_database.t: Unsupported options found for 'datagen'. Unsupported options: rows-per-secnd. Did you mean 'rows-per-second'? Supported options: connector, fields.#.end, fields.#.kind, fields.#.length, fields.#.max, fields.#.max-past, fields.#.min, fields.#.null-rate, fields.#.start, fields.#.var-len, number-of-rows, property-version, rows-per-second, scan.parallelism, scan.watermark.alignment.group, scan.watermark.alignment.max-drift, scan.watermark.alignment.update-interval, scan.watermark.emit.on-event.gap, scan.watermark.emit.strategy, scan.watermark.idle-timeout.
         --> line 1, column 80
          |
        6 | CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'rows-per-secnd' = '1'); SELECT * FROM t
          |                                                                                ^^^^^^^^^^^^^^^
    "#]];
    unknown_connector: "CREATE TABLE t (a INT) WITH ('connector' = 'datagn'); SELECT * FROM t" => expect![[r#"
        error: Unable to create a source for table default_catalog.default_database.t: Could not find any factory for identifier 'datagn'. Available factory identifiers are: blackhole, datagen, filesystem, nexmark, nexmark-gen, print.
         --> line 1, column 55
          |
        6 | CREATE TABLE t (a INT) WITH ('connector' = 'datagn'); SELECT * FROM t
          |                                                       ^^^^^^^^^^^^^^^
    "#]];
    unknown_format: "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'path' = '/tmp', 'format' = 'jsn'); SELECT * FROM t" => expect![[r#"
        error: Unable to create a source for table default_catalog.default_database.t: Could not find any format factory for identifier 'jsn' in the classpath. Available formats: canal-json, csv, debezium-json, json, maxwell-json, ogg-json, raw.
         --> line 1, column 94
          |
        6 | ...t (a INT) WITH ('connector' = 'filesystem', 'path' = '/tmp', 'format' = 'jsn'); SELECT * FROM t
          |                                                                                    ^^^^^^^^^^^^^^^
    "#]];
    missing_option: "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'format' = 'json'); SELECT * FROM t" => expect![[r#"
        error: Unable to create a source for table default_catalog.default_database.t: One or more required options are missing. Missing required options are: path.
         --> line 1, column 78
          |
        6 | CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'format' = 'json'); SELECT * FROM t
          |                                                                              ^^^^^^^^^^^^^^^
    "#]];
    missing_connector: "CREATE TABLE t (a INT) WITH ('format' = 'json'); SELECT * FROM t" => expect![[r#"
        error: Unable to create a source for table default_catalog.default_database.t: Table options do not contain an option key 'connector' for discovering a connector.
         --> line 1, column 50
          |
        6 | CREATE TABLE t (a INT) WITH ('format' = 'json'); SELECT * FROM t
          |                                                  ^^^^^^^^^^^^^^^
    "#]];
    wrong_option: "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'number-of-rows' = 'many'); SELECT * FROM t" => expect![[r#"
        error: Unable to create a source for table default_catalog.default_database.t: Invalid value for option 'number-of-rows': could not read 'many': invalid digit found in string.
         --> line 1, column 83
          |
        6 | ...EATE TABLE t (a INT) WITH ('connector' = 'datagen', 'number-of-rows' = 'many'); SELECT * FROM t
          |                                                                                    ^^^^^^^^^^^^^^^
    "#]];
    wrong_setting: "SET 'parallelism.default' = 'two'" => expect![[r#"
        error: program: parallelism.default has the value "two", but needs a whole number from 1 to 4294967295
         --> line 1, column 1
          |
        6 | SET 'parallelism.default' = 'two'
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]];
    missing_watermark: "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE plain, DESCRIPTOR(at_time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end" => expect![[r#"
        error: The window function requires the timecol is a time attribute type, but is TIMESTAMP(3).
         --> line 1, column 62
          |
        6 | SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE plain, DESCRIPTOR(at_time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end
          |                                                              ^^^^^^^^^^^^^^^^^^^
        hint: declare WATERMARK FOR the column
    "#]];
    order_without_a_time: "SELECT * FROM plain ORDER BY id" => expect![[r#"
        error: Sort on a non-time-attribute field is not supported.
         --> line 1, column 1
          |
        6 | SELECT * FROM plain ORDER BY id
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]];
    type_mismatch: "SELECT id + note FROM plain" => expect![[r#"
        error: Cannot apply '+' to arguments of type '+(<INT>, <STRING>)'. Supported form(s): 'a + b'
         --> line 1, column 8
          |
        6 | SELECT id + note FROM plain
          |        ^^^^^^^^^
    "#]];
    comparison_mismatch: "SELECT * FROM orders WHERE at_time = ARRAY[1]" => expect![[r#"
        error: Cannot apply '=' to arguments of type '<TIMESTAMP(3)> = <ARRAY<INT NOT NULL>>'. Supported form(s): '<COMPARABLE_TYPE> = <COMPARABLE_TYPE>'
         --> line 1, column 28
          |
        6 | SELECT * FROM orders WHERE at_time = ARRAY[1]
          |                            ^^^^^^^^^^^^^^^^^^
    "#]];
    condition_that_is_none: "SELECT * FROM orders WHERE id" => expect![[r#"
        error: WHERE must be a condition, but is of type INTEGER NOT NULL
         --> line 1, column 28
          |
        6 | SELECT * FROM orders WHERE id
          |                            ^^
    "#]];
    ambiguous_column: "SELECT id FROM orders JOIN plain ON orders.id = plain.id" => expect![[r#"
        error: Column 'id' is ambiguous
         --> line 1, column 8
          |
        6 | SELECT id FROM orders JOIN plain ON orders.id = plain.id
          |        ^^
        hint: write the table's name before it
    "#]];
    not_grouped: "SELECT customer, id, COUNT(*) FROM orders GROUP BY customer" => expect![[r#"
        error: Expression 'id' is not being grouped
         --> line 1, column 18
          |
        6 | SELECT customer, id, COUNT(*) FROM orders GROUP BY customer
          |                  ^^
    "#]];
    aggregate_in_where: "SELECT customer FROM orders WHERE COUNT(*) > 1 GROUP BY customer" => expect![[r#"
        error: Aggregate expression is illegal in WHERE clause
         --> line 1, column 35
          |
        6 | SELECT customer FROM orders WHERE COUNT(*) > 1 GROUP BY customer
          |                                   ^^^^^^^^
    "#]];
    nested_aggregate: "SELECT MAX(COUNT(*)) FROM orders GROUP BY customer" => expect![[r#"
        error: Aggregate expressions cannot be nested
         --> line 1, column 12
          |
        6 | SELECT MAX(COUNT(*)) FROM orders GROUP BY customer
          |            ^^^^^^^^
    "#]];
    updates_into_an_appending_sink: "INSERT INTO appended SELECT id, COUNT(*) FROM orders GROUP BY id" => expect![[r#"
        error: Table sink 'default_catalog.default_database.appended' doesn't support consuming update changes which is produced by node Calc(select=[id, COUNT AS n])
         --> line 1, column 1
          |
        6 | INSERT INTO appended SELECT id, COUNT(*) FROM orders GROUP BY id
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]];
    other_number_of_columns: "INSERT INTO sink SELECT id FROM orders" => expect![[r#"
        error: Column types of query result and sink for 'default_catalog.default_database.sink' do not match.
        Cause: Different number of columns.

        Query schema: [id: INT NOT NULL]
        Sink schema:  [id: INT NOT NULL, n: BIGINT]
         --> line 1, column 18
          |
        6 | INSERT INTO sink SELECT id FROM orders
          |                  ^^^^^^^^^^^^^^^^^^^^^
    "#]];
    other_types_of_columns: "INSERT INTO sink SELECT id, customer FROM orders" => expect![[r#"
        error: Column types of query result and sink for 'default_catalog.default_database.sink' do not match.
        Cause: Incompatible types for sink column 'n' at position 1.

        Query schema: [id: INT NOT NULL, customer: STRING]
        Sink schema:  [id: INT NOT NULL, n: BIGINT]
         --> line 1, column 18
          |
        6 | INSERT INTO sink SELECT id, customer FROM orders
          |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]];
    union_of_other_widths: "SELECT id FROM orders UNION ALL SELECT id, note FROM plain" => expect![[r#"
        error: Column count mismatch in UNION
         --> line 1, column 1
          |
        6 | SELECT id FROM orders UNION ALL SELECT id, note FROM plain
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]];
    union_of_other_types: "SELECT id FROM orders UNION ALL SELECT at_time FROM plain" => expect![[r#"
        error: Type mismatch in column 1 of UNION
         --> line 1, column 1
          |
        6 | SELECT id FROM orders UNION ALL SELECT at_time FROM plain
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        hint: the types are INTEGER NOT NULL, TIMESTAMP(3)
    "#]];
    wrong_number_of_arguments: "SELECT SUBSTRING(customer) FROM orders" => expect![[r#"
        error: expected `.`, FROM or `,`, found `)`
         --> line 1, column 26
          |
        6 | SELECT SUBSTRING(customer) FROM orders
          |                          ^
    "#]];
    wrong_argument: "SELECT ABS(customer) FROM orders" => expect![[r#"
        error: Cannot apply 'ABS' to arguments of type 'ABS(<STRING>)'. Supported form(s): 'ABS(numeric)'
         --> line 1, column 8
          |
        6 | SELECT ABS(customer) FROM orders
          |        ^^^^^^^^^^^^^
    "#]];
    existing_table: "CREATE TABLE plain (a INT) WITH ('connector' = 'datagen')" => expect![[r#"
        error: Table (or view) default_database.plain already exists in Catalog default_catalog.
         --> line 1, column 1
          |
        6 | CREATE TABLE plain (a INT) WITH ('connector' = 'datagen')
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]];
    dropped_that_is_not_there: "DROP TABLE plan" => expect![[r#"
        error: Table with identifier 'default_catalog.default_database.plan' does not exist.
         --> line 1, column 1
          |
        6 | DROP TABLE plan
          | ^^^^^^^^^^^^^^^
    "#]];
    key_of_a_nullable_column: "CREATE TABLE t (a INT, PRIMARY KEY (a)) WITH ('connector' = 'datagen')" => expect![[r#"
        error: Flink doesn't support ENFORCED mode for PRIMARY KEY constraint. ENFORCED/NOT ENFORCED  controls if the constraint checks are performed on the incoming/outgoing data. Flink does not own the data therefore the only supported mode is the NOT ENFORCED mode
         --> line 1, column 24
          |
        6 | CREATE TABLE t (a INT, PRIMARY KEY (a)) WITH ('connector' = 'datagen')
          |                        ^^^^^^^^^^^^^^^
        hint: PRIMARY KEY (...) NOT ENFORCED
    "#]];
    key_of_no_column: "CREATE TABLE t (a INT, PRIMARY KEY (b) NOT ENFORCED) WITH ('connector' = 'datagen')" => expect![[r#"
        error: Primary key column 'b' is not defined in the schema
         --> line 1, column 37
          |
        6 | CREATE TABLE t (a INT, PRIMARY KEY (b) NOT ENFORCED) WITH ('connector' = 'datagen')
          |                                     ^
    "#]];
    watermark_of_no_column: "CREATE TABLE t (a INT, WATERMARK FOR b AS b) WITH ('connector' = 'datagen')" => expect![[r#"
        error: The rowtime attribute field 'b' is not defined in the table schema
         --> line 1, column 38
          |
        6 | CREATE TABLE t (a INT, WATERMARK FOR b AS b) WITH ('connector' = 'datagen')
          |                                      ^
    "#]];
    watermark_of_a_text: "CREATE TABLE t (a STRING, WATERMARK FOR a AS a) WITH ('connector' = 'datagen')" => expect![[r#"
        error: Invalid data type of time field for watermark definition. The field must be of type TIMESTAMP(p) or TIMESTAMP_LTZ(p), the supported precision 'p' is from 0 to 3, but the time field type is STRING
         --> line 1, column 41
          |
        6 | CREATE TABLE t (a STRING, WATERMARK FOR a AS a) WITH ('connector' = 'datagen')
          |                                         ^
    "#]];
    missing_keyword: "SELECT id orders WHERE id > 1" => expect![[r#"
        error: expected `,`, FROM, UNION, ORDER, LIMIT, OFFSET, FETCH or `;`, found the keyword `WHERE`
         --> line 1, column 18
          |
        6 | SELECT id orders WHERE id > 1
          |                  ^^^^^
        hint: `orders` was taken for a name; did you mean ORDER?
    "#]];
    text_without_an_end: "SELECT 'abc FROM orders" => expect![[r#"
        error: the string that begins here has no closing quote
         --> line 1, column 8
          |
        6 | SELECT 'abc FROM orders
          |        ^
        hint: a quote inside of a string is written twice: 'it''s'
    "#]];
    parenthesis_without_an_end: "SELECT (id + 1 FROM orders" => expect![[r#"
        error: expected `,` or `)`, found the keyword `FROM`
         --> line 1, column 16
          |
        6 | SELECT (id + 1 FROM orders
          |                ^^^^
    "#]];
    reserved_word: "CREATE TABLE t (order INT) WITH ('connector' = 'datagen')" => expect![[r#"
        error: expected WATERMARK or a column, found the keyword `order`
         --> line 1, column 17
          |
        6 | CREATE TABLE t (order INT) WITH ('connector' = 'datagen')
          |                 ^^^^^
        hint: `order` is a reserved word; as a name it needs back-ticks
    "#]];
    double_quotes: "SELECT \"id\" FROM orders" => expect![[r#"
        error: the character `"` means nothing here
         --> line 1, column 8
          |
        6 | SELECT "id" FROM orders
          |        ^
        hint: identifiers are quoted with back-ticks, strings with single quotes
    "#]];
    second_line: "SELECT id,\n  custmer,\n  price FROM orders" => expect![[r#"
        error: Column 'custmer' not found in any table
         --> line 7, column 3
          |
        7 |   custmer,
          |   ^^^^^^^
        hint: did you mean 'customer'?
    "#]];
    hop_that_does_not_fit: "SELECT * FROM TABLE(HOP(TABLE orders, DESCRIPTOR(at_time), INTERVAL '7' SECOND, INTERVAL '10' SECOND))" => expect![[r#"
        error: HOP table function based aggregate requires size must be an integral multiple of slide, but got size 10000 ms and slide 7000 ms
         --> line 1, column 15
          |
        6 | SELECT * FROM TABLE(HOP(TABLE orders, DESCRIPTOR(at_time), INTERVAL '7' SECOND, INTERVAL '10' SECOND))
          |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]];
    windows_without_number: "SELECT * FROM TABLE(HOP(TABLE orders, DESCRIPTOR(at_time), INTERVAL '0.001' SECOND, INTERVAL '10' DAY))" => expect![[r#"
        error: HOP would put each row into more than 131072 windows
         --> line 1, column 39
          |
        6 | SELECT * FROM TABLE(HOP(TABLE orders, DESCRIPTOR(at_time), INTERVAL '0.001' SECOND, INTERVAL '10' DAY))
          |                                       ^^^^^^^^^^^^^^^^^^^
    "#]];
    limit_that_is_no_number: "SELECT id FROM orders LIMIT x" => expect![[r#"
        error: expected ALL or a number, found `x`
         --> line 1, column 29
          |
        6 | SELECT id FROM orders LIMIT x
          |                             ^
    "#]];
    updates_that_miss_their_rows: "SET 'table.optimizer.non-deterministic-update.strategy' = 'TRY_RESOLVE'; SELECT customer, UUID() AS u FROM (SELECT customer, COUNT(*) AS n FROM orders GROUP BY customer) WHERE n > RAND()" => expect![[r#"
        error: There exists non deterministic function: 'RAND' in condition: 'CAST(COUNT AS DOUBLE) > RAND()' which may cause wrong result in update pipeline.
         --> line 1, column 74
          |
        6 | SET 'table.optimizer.non-deterministic-update.strategy' = 'TRY_RESOLVE'; SELECT customer, UUID() AS u FROM (SELECT customer, COUNT(*) AS n FROM orders GROUP BY
          |                                                                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]];
}
