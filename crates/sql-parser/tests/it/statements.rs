//! Statements of every family, as they are printed again.

use expect_test::expect;
use hurtig_sql_parser::{SqlParser, ast::StatementKind};

use crate::support::{parse, round_trip};

#[test]
fn create_table_with_all_its_clauses() {
    let printed = round_trip(
        "create temporary table if not exists cat.db.t (
           id bigint not null primary key not enforced comment 'the key',
           price decimal(10, 2), `value` row<a int, b array<string not null>>,
           total as price * 2 + 1 comment 'twice and one',
           ts timestamp(3) metadata from 'timestamp' virtual, off bigint metadata,
           watermark for ts as ts - interval '5' second
         ) comment 'it''s one' distributed by hash (id) into 4 buckets partitioned by (id, price)
         with ('connector' = 'filesystem', 'path' = '/tmp/x');
         CREATE TABLE t (CONSTRAINT pk PRIMARY KEY (a, b) NOT ENFORCED, a INT, b INT, UNIQUE (b));
         CREATE TABLE t LIKE s;
         CREATE TABLE t (x AS UPPER(y)) WITH ('a' = 'b')
           LIKE s (INCLUDING ALL OVERWRITING OPTIONS EXCLUDING WATERMARKS INCLUDING GENERATED);
         CREATE TABLE t WITH ('a' = 'b') AS SELECT 1 AS x;
         CREATE TABLE t (b, a) DISTRIBUTED INTO 3 BUCKETS AS SELECT a, b FROM s;
         CREATE OR REPLACE TABLE t AS SELECT 1; REPLACE TABLE t WITH () AS SELECT 1;",
    );
    expect![[r#"
        CREATE TEMPORARY TABLE IF NOT EXISTS cat.db.t (id BIGINT NOT NULL COMMENT 'the key', price DECIMAL(10, 2), `value` ROW<`a` INT, `b` ARRAY<STRING NOT NULL>>, total AS price * 2 + 1 COMMENT 'twice and one', ts TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL, off BIGINT METADATA, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (id) NOT ENFORCED) COMMENT 'it''s one' DISTRIBUTED BY HASH (id) INTO 4 BUCKETS PARTITIONED BY (id, price) WITH ('connector' = 'filesystem', 'path' = '/tmp/x')
        CREATE TABLE t (a INT, b INT, CONSTRAINT pk PRIMARY KEY (a, b) NOT ENFORCED, UNIQUE (b))
        CREATE TABLE t LIKE s
        CREATE TABLE t (x AS UPPER(y)) WITH ('a' = 'b') LIKE s (INCLUDING ALL OVERWRITING OPTIONS EXCLUDING WATERMARKS INCLUDING GENERATED)
        CREATE TABLE t WITH ('a' = 'b') AS SELECT 1 AS x
        CREATE TABLE t (b, a) DISTRIBUTED INTO 3 BUCKETS AS SELECT a, b FROM s
        CREATE OR REPLACE TABLE t AS SELECT 1
        REPLACE TABLE t AS SELECT 1
    "#]].assert_eq(&printed);
}

#[test]
fn create_of_everything_else() {
    let printed = round_trip(
        "CREATE CATALOG IF NOT EXISTS c COMMENT 'x' WITH ('type' = 'generic_in_memory');
         CREATE DATABASE c.d WITH ('a' = 'b');
         CREATE OR REPLACE TEMPORARY VIEW v (a, b) COMMENT 'view' AS SELECT 1, 2;
         CREATE VIEW IF NOT EXISTS v AS (SELECT 1) UNION ALL (SELECT 2);
         CREATE TEMPORARY SYSTEM FUNCTION IF NOT EXISTS f AS 'com.F' LANGUAGE JAVA
           USING JAR '/a.jar', JAR '/b.jar' WITH ('k' = 'v');
         CREATE FUNCTION db.f AS 'f' LANGUAGE PYTHON;
         CREATE MODEL m INPUT (a STRING) OUTPUT (b DOUBLE) WITH ('provider' = 'x');
         CREATE CONNECTION c WITH ('a' = 'b');
         CREATE OR ALTER MATERIALIZED TABLE m PARTITIONED BY (d) FRESHNESS = INTERVAL '1' DAY
           REFRESH_MODE = FULL AS SELECT * FROM t;",
    );
    expect![[r#"
        CREATE CATALOG IF NOT EXISTS c COMMENT 'x' WITH ('type' = 'generic_in_memory')
        CREATE DATABASE c.d WITH ('a' = 'b')
        CREATE OR REPLACE TEMPORARY VIEW v (a, b) COMMENT 'view' AS SELECT 1, 2
        CREATE VIEW IF NOT EXISTS v AS (SELECT 1) UNION ALL (SELECT 2)
        CREATE TEMPORARY SYSTEM FUNCTION IF NOT EXISTS f AS 'com.F' LANGUAGE JAVA USING JAR '/a.jar', JAR '/b.jar' WITH ('k' = 'v')
        CREATE FUNCTION db.f AS 'f' LANGUAGE PYTHON
        CREATE MODEL m INPUT (a STRING) OUTPUT (b DOUBLE) WITH ('provider' = 'x')
        CREATE CONNECTION c WITH ('a' = 'b')
        CREATE OR ALTER MATERIALIZED TABLE m PARTITIONED BY (d) FRESHNESS = INTERVAL '1' DAY REFRESH_MODE = FULL AS SELECT * FROM t
    "#]].assert_eq(&printed);
}

#[test]
fn alter_and_drop() {
    let printed = round_trip(
        "ALTER TABLE IF EXISTS t RENAME TO u; ALTER TABLE t RENAME a.b TO c;
         ALTER TABLE t SET ('a' = 'b', 'c' = 'd'); ALTER TABLE t RESET ('a', 'c');
         ALTER TABLE t ADD (a INT FIRST, b AS a + 1 AFTER a, WATERMARK FOR ts AS ts);
         ALTER TABLE t ADD PRIMARY KEY (a) NOT ENFORCED; ALTER TABLE t MODIFY a BIGINT AFTER b;
         ALTER TABLE t DROP a; ALTER TABLE t DROP (a, b.c); ALTER TABLE t DROP PRIMARY KEY;
         ALTER TABLE t DROP CONSTRAINT c; ALTER TABLE t DROP WATERMARK;
         ALTER TABLE t ADD DISTRIBUTION BY RANGE (a) INTO 2 BUCKETS; ALTER TABLE t DROP DISTRIBUTION;
         ALTER TABLE t ADD IF NOT EXISTS PARTITION (d = '1') WITH ('k' = 'v') PARTITION (d = -2);
         ALTER TABLE t DROP IF EXISTS PARTITION (d = '1'), PARTITION (d = '2');
         ALTER VIEW v RENAME TO w; ALTER VIEW v AS SELECT 1; ALTER DATABASE d SET ('a' = 'b');
         ALTER CATALOG c COMMENT 'x'; ALTER CATALOG c RESET ('a');
         ALTER TEMPORARY SYSTEM FUNCTION IF EXISTS f AS 'g' LANGUAGE SQL;
         ALTER MODEL IF EXISTS m SET ('a' = 'b'); ALTER MATERIALIZED TABLE m SUSPEND;
         ALTER MATERIALIZED TABLE m SET FRESHNESS = INTERVAL '2' HOUR;
         DROP TABLE IF EXISTS a.b.c; DROP TEMPORARY VIEW v; DROP DATABASE d CASCADE;
         DROP CATALOG c; DROP TEMPORARY SYSTEM FUNCTION IF EXISTS f; DROP MATERIALIZED TABLE m;",
    );
    expect![[r#"
        ALTER TABLE IF EXISTS t RENAME TO u
        ALTER TABLE t RENAME a.b TO c
        ALTER TABLE t SET ('a' = 'b', 'c' = 'd')
        ALTER TABLE t RESET ('a', 'c')
        ALTER TABLE t ADD (a INT FIRST, b AS a + 1 AFTER a, WATERMARK FOR ts AS ts)
        ALTER TABLE t ADD (PRIMARY KEY (a) NOT ENFORCED)
        ALTER TABLE t MODIFY (a BIGINT AFTER b)
        ALTER TABLE t DROP (a)
        ALTER TABLE t DROP (a, b.c)
        ALTER TABLE t DROP PRIMARY KEY
        ALTER TABLE t DROP CONSTRAINT c
        ALTER TABLE t DROP WATERMARK
        ALTER TABLE t ADD DISTRIBUTION BY RANGE (a) INTO 2 BUCKETS
        ALTER TABLE t DROP DISTRIBUTION
        ALTER TABLE t ADD IF NOT EXISTS PARTITION (d = '1') WITH ('k' = 'v') PARTITION (d = -2)
        ALTER TABLE t DROP IF EXISTS PARTITION (d = '1'), PARTITION (d = '2')
        ALTER VIEW v RENAME TO w
        ALTER VIEW v AS SELECT 1
        ALTER DATABASE d SET ('a' = 'b')
        ALTER CATALOG c COMMENT 'x'
        ALTER CATALOG c RESET ('a')
        ALTER TEMPORARY SYSTEM FUNCTION IF EXISTS f AS 'g' LANGUAGE SQL
        ALTER MODEL IF EXISTS m SET ('a' = 'b')
        ALTER MATERIALIZED TABLE m SUSPEND
        ALTER MATERIALIZED TABLE m SET FRESHNESS = INTERVAL '2' HOUR
        DROP TABLE IF EXISTS a.b.c
        DROP TEMPORARY VIEW v
        DROP DATABASE d CASCADE
        DROP CATALOG c
        DROP TEMPORARY SYSTEM FUNCTION IF EXISTS f
        DROP MATERIALIZED TABLE m
    "#]]
    .assert_eq(&printed);
}

#[test]
fn show_describe_use_and_session() {
    let printed = round_trip(
        "SHOW CATALOGS LIKE 'a%'; SHOW CURRENT CATALOG; SHOW CURRENT DATABASE;
         SHOW DATABASES IN c NOT ILIKE 'x'; SHOW TABLES FROM c.d LIKE 'y'; SHOW VIEWS;
         SHOW MATERIALIZED TABLES; SHOW USER FUNCTIONS; SHOW FUNCTIONS; SHOW PROCEDURES;
         SHOW FULL MODULES; SHOW MODULES; SHOW JARS; SHOW JOBS; SHOW COLUMNS IN t LIKE 'c';
         SHOW PARTITIONS t PARTITION (d = '1'); SHOW CREATE TABLE t; SHOW CREATE VIEW v;
         DESC t; DESCRIBE EXTENDED c.t; DESCRIBE CATALOG EXTENDED c; DESC DATABASE d;
         DESCRIBE JOB 'ab'; DESCRIBE FUNCTION f; DESCRIBE model;
         USE CATALOG c; USE c.d; USE catalog; USE MODULES core, hive; LOAD MODULE m WITH ('a' = 'b');
         UNLOAD MODULE m; SET; SET 'a.b' = 'c'; RESET; RESET 'a.b'; ADD JAR '/x.jar';
         REMOVE JAR '/x.jar'; STOP JOB 'ab' WITH SAVEPOINT WITH DRAIN;",
    );
    expect![[r#"
        SHOW CATALOGS LIKE 'a%'
        SHOW CURRENT CATALOG
        SHOW CURRENT DATABASE
        SHOW DATABASES FROM c NOT ILIKE 'x'
        SHOW TABLES FROM c.d LIKE 'y'
        SHOW VIEWS
        SHOW MATERIALIZED TABLES
        SHOW USER FUNCTIONS
        SHOW FUNCTIONS
        SHOW PROCEDURES
        SHOW FULL MODULES
        SHOW MODULES
        SHOW JARS
        SHOW JOBS
        SHOW COLUMNS FROM t LIKE 'c'
        SHOW PARTITIONS t PARTITION (d = '1')
        SHOW CREATE TABLE t
        SHOW CREATE VIEW v
        DESCRIBE t
        DESCRIBE EXTENDED c.t
        DESCRIBE CATALOG EXTENDED c
        DESCRIBE DATABASE d
        DESCRIBE JOB 'ab'
        DESCRIBE FUNCTION f
        DESCRIBE model
        USE CATALOG c
        USE c.d
        USE catalog
        USE MODULES core, hive
        LOAD MODULE m WITH ('a' = 'b')
        UNLOAD MODULE m
        SET
        SET 'a.b' = 'c'
        RESET
        RESET 'a.b'
        ADD JAR '/x.jar'
        REMOVE JAR '/x.jar'
        STOP JOB 'ab' WITH SAVEPOINT WITH DRAIN
    "#]]
    .assert_eq(&printed);
}

#[test]
fn insert_explain_and_sets() {
    let printed = round_trip(
        "INSERT INTO t SELECT * FROM s;
         INSERT OVERWRITE c.t /*+ OPTIONS('a' = 'b') */ PARTITION (d = '1', e = 2) (a, b.c) VALUES (1, 2);
         INSERT INTO t (SELECT 1); INSERT INTO t SELECT 1 ON CONFLICT DO DEDUPLICATE;
         EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT CASE WHEN x THEN 1 END FROM t; END;
         BEGIN STATEMENT SET; INSERT INTO a SELECT 1; END;
         EXPLAIN SELECT 1; EXPLAIN PLAN FOR SELECT 1;
         EXPLAIN ESTIMATED_COST, CHANGELOG_MODE, PLAN_ADVICE, JSON_EXECUTION_PLAN INSERT INTO t SELECT 1;
         EXPLAIN STATEMENT SET BEGIN INSERT INTO a SELECT 1; END; EXPLAIN CREATE TABLE t AS SELECT 1;
         EXECUTE SELECT 1; COMPILE PLAN 'f' IF NOT EXISTS FOR INSERT INTO t SELECT 1;
         COMPILE AND EXECUTE PLAN 'f' FOR STATEMENT SET BEGIN INSERT INTO t SELECT 1; END;
         EXECUTE PLAN 'f'; TRUNCATE TABLE t; CALL sys.f(1, name => 'x');
         ANALYZE TABLE t PARTITION (d, e = '1') COMPUTE STATISTICS FOR COLUMNS a, b;
         ANALYZE TABLE t COMPUTE STATISTICS FOR ALL COLUMNS; ANALYZE TABLE t COMPUTE STATISTICS;
         DELETE FROM t AS x WHERE x.a = 1; UPDATE t SET a = 1, b = a + 1 WHERE c IS NULL;",
    );
    expect![[r#"
        INSERT INTO t SELECT * FROM s
        INSERT OVERWRITE c.t /*+ OPTIONS('a' = 'b') */ PARTITION (d = '1', e = 2) (a, b.c) VALUES (1, 2)
        INSERT INTO t (SELECT 1)
        INSERT INTO t SELECT 1 ON CONFLICT DO DEDUPLICATE
        EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT CASE WHEN x THEN 1 END FROM t; END
        BEGIN STATEMENT SET
        INSERT INTO a SELECT 1
        END
        EXPLAIN SELECT 1
        EXPLAIN PLAN FOR SELECT 1
        EXPLAIN ESTIMATED_COST, CHANGELOG_MODE, PLAN_ADVICE, JSON_EXECUTION_PLAN INSERT INTO t SELECT 1
        EXPLAIN STATEMENT SET BEGIN INSERT INTO a SELECT 1; END
        EXPLAIN CREATE TABLE t AS SELECT 1
        EXECUTE SELECT 1
        COMPILE PLAN 'f' IF NOT EXISTS FOR INSERT INTO t SELECT 1
        COMPILE AND EXECUTE PLAN 'f' FOR STATEMENT SET BEGIN INSERT INTO t SELECT 1; END
        EXECUTE PLAN 'f'
        TRUNCATE TABLE t
        CALL sys.f(1, name => 'x')
        ANALYZE TABLE t PARTITION (d, e = '1') COMPUTE STATISTICS FOR COLUMNS a, b
        ANALYZE TABLE t COMPUTE STATISTICS FOR ALL COLUMNS
        ANALYZE TABLE t COMPUTE STATISTICS
        DELETE FROM t AS x WHERE x.a = 1
        UPDATE t SET a = 1, b = a + 1 WHERE c IS NULL
    "#]].assert_eq(&printed);
}

#[test]
fn what_is_not_run_says_so() {
    for sql in ["CREATE MODEL m", "DELETE FROM t", "ADD JAR 'x'", "EXECUTE PLAN 'x'"] {
        assert!(parse(sql).kind.unsupported().is_some(), "{sql}");
    }
    for sql in ["SELECT 1", "CREATE VIEW v AS SELECT 1", "DROP TABLE t"] {
        assert_eq!(parse(sql).kind.unsupported(), None, "{sql}");
    }
}

#[test]
fn positions_are_those_of_the_script() {
    let script = "SET 'a' = 'b';\n\n  SELECT x,\n  y FROM t; -- end";
    let statements = SqlParser::default().script(script).unwrap();
    assert_eq!(statements[1].span.text(script), "SELECT x,\n  y FROM t");
    let StatementKind::Query(query) = &statements[1].kind else { panic!("{statements:?}") };
    let hurtig_sql_parser::ast::SqlQueryBody::Select(select) = &query.body else {
        panic!("{query:?}")
    };
    let y = &select.items[1].expr;
    assert_eq!(y.span.text(script), "y");
    let at = hurtig_sql_parser::LineColumn::of(script, y.span.start);
    assert_eq!((at.line, at.column), (4, 3));
}

#[test]
fn splitting_knows_strings_comments_and_sets() {
    let parser = SqlParser::default();
    let split = |script: &str| -> Vec<(String, bool)> {
        let parts = parser.split(script).unwrap();
        parts.iter().map(|p| (p.span.text(script).to_owned(), p.terminated)).collect()
    };
    let ended = |text: &str| (text.to_owned(), true);
    assert_eq!(
        split("; SELECT ';', `;` /* ; */ -- ;\n, 1;;\nSELECT 2"),
        [ended("SELECT ';', `;` /* ; */ -- ;\n, 1"), ("SELECT 2".to_owned(), false)]
    );
    let set = "EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT CASE a WHEN 1 THEN 2 END; END";
    assert_eq!(split(&format!("{set}; SELECT 1;")), [ended(set), ended("SELECT 1")]);
    assert_eq!(
        split("BEGIN STATEMENT SET; INSERT INTO t SELECT 1; END;").len(),
        3,
        "these are statements of their own"
    );
    assert_eq!(
        parser.split("SELECT 'a").unwrap_err().kind,
        hurtig_sql_parser::SqlErrorKind::Incomplete
    );
}
