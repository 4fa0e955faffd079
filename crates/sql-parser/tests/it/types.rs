//! Data types: what is written, what it means, Flink's bounds.

use expect_test::expect;
use hurtig_sql_parser::SqlParser;

/// Types with their summary strings, which parse to the same types.
fn summaries(types: &[&str]) -> String {
    let parser = SqlParser::default();
    let mut shown = String::new();
    for text in types {
        let line = match parser.data_type(text) {
            Ok(data_type) => {
                let summary = data_type.to_string();
                assert_eq!(parser.data_type(&summary).as_ref(), Ok(&data_type), "{summary}");
                format!("{text} -> {summary}\n")
            }
            Err(error) => format!("{text} -> {:?}: {error}\n", error.kind),
        };
        shown.push_str(&line);
    }
    shown
}

#[test]
fn every_type_of_flink_has_its_summary() {
    let types = [
        "char",
        "CHARACTER(3)",
        "varchar",
        "VARCHAR(10) NOT NULL",
        "CHAR VARYING(5)",
        "string",
        "binary(2)",
        "BINARY VARYING(2)",
        "varbinary",
        "BYTES NOT NULL",
        "boolean",
        "decimal",
        "DEC(38)",
        "NUMERIC(10, 2) NOT NULL",
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "INT NULL",
        "BIGINT",
        "FLOAT",
        "DOUBLE PRECISION",
        "DATE",
        "TIME",
        "TIME(3) WITHOUT TIME ZONE",
        "TIMESTAMP",
        "TIMESTAMP(3)",
        "TIMESTAMP(9) WITHOUT TIME ZONE",
        "TIMESTAMP(3) WITH LOCAL TIME ZONE",
        "TIMESTAMP_LTZ",
        "TIMESTAMP_LTZ(0) NOT NULL",
        "INTERVAL YEAR",
        "INTERVAL YEAR(4) TO MONTH",
        "INTERVAL MONTH",
        "INTERVAL DAY(3)",
        "INTERVAL DAY TO SECOND",
        "INTERVAL DAY(6) TO SECOND(9)",
        "INTERVAL HOUR TO MINUTE",
        "INTERVAL SECOND",
        "INTERVAL SECOND(3)",
        "ARRAY<INT>",
        "INT ARRAY",
        "INT NOT NULL ARRAY",
        "INT ARRAY MULTISET NOT NULL",
        "MULTISET<STRING NOT NULL>",
        "MAP<STRING, ARRAY<INT>>",
        "ROW<a INT, `b c` STRING NOT NULL 'what it is'>",
        "ROW(a INT, b ROW<c INT>)",
        "ROW<>",
        "ROW()",
        "STRUCTURED<'com.example.User', name STRING>",
        "RAW('java.lang.Void', 'AAAA')",
        "VARIANT",
        "my_catalog.db.MyType",
    ];
    expect![[r#"
        char -> CHAR(1)
        CHARACTER(3) -> CHAR(3)
        varchar -> STRING
        VARCHAR(10) NOT NULL -> VARCHAR(10) NOT NULL
        CHAR VARYING(5) -> VARCHAR(5)
        string -> STRING
        binary(2) -> BINARY(2)
        BINARY VARYING(2) -> VARBINARY(2)
        varbinary -> BYTES
        BYTES NOT NULL -> BYTES NOT NULL
        boolean -> BOOLEAN
        decimal -> DECIMAL(10, 0)
        DEC(38) -> DECIMAL(38, 0)
        NUMERIC(10, 2) NOT NULL -> DECIMAL(10, 2) NOT NULL
        TINYINT -> TINYINT
        SMALLINT -> SMALLINT
        INTEGER -> INT
        INT NULL -> INT
        BIGINT -> BIGINT
        FLOAT -> FLOAT
        DOUBLE PRECISION -> DOUBLE
        DATE -> DATE
        TIME -> TIME(0)
        TIME(3) WITHOUT TIME ZONE -> TIME(3)
        TIMESTAMP -> TIMESTAMP(6)
        TIMESTAMP(3) -> TIMESTAMP(3)
        TIMESTAMP(9) WITHOUT TIME ZONE -> TIMESTAMP(9)
        TIMESTAMP(3) WITH LOCAL TIME ZONE -> TIMESTAMP_LTZ(3)
        TIMESTAMP_LTZ -> TIMESTAMP_LTZ(6)
        TIMESTAMP_LTZ(0) NOT NULL -> TIMESTAMP_LTZ(0) NOT NULL
        INTERVAL YEAR -> INTERVAL YEAR(2)
        INTERVAL YEAR(4) TO MONTH -> INTERVAL YEAR(4) TO MONTH
        INTERVAL MONTH -> INTERVAL MONTH
        INTERVAL DAY(3) -> INTERVAL DAY(3)
        INTERVAL DAY TO SECOND -> INTERVAL DAY(2) TO SECOND(6)
        INTERVAL DAY(6) TO SECOND(9) -> INTERVAL DAY(6) TO SECOND(9)
        INTERVAL HOUR TO MINUTE -> INTERVAL HOUR TO MINUTE
        INTERVAL SECOND -> INTERVAL SECOND(6)
        INTERVAL SECOND(3) -> INTERVAL SECOND(3)
        ARRAY<INT> -> ARRAY<INT>
        INT ARRAY -> ARRAY<INT>
        INT NOT NULL ARRAY -> ARRAY<INT NOT NULL>
        INT ARRAY MULTISET NOT NULL -> MULTISET<ARRAY<INT>> NOT NULL
        MULTISET<STRING NOT NULL> -> MULTISET<STRING NOT NULL>
        MAP<STRING, ARRAY<INT>> -> MAP<STRING, ARRAY<INT>>
        ROW<a INT, `b c` STRING NOT NULL 'what it is'> -> ROW<`a` INT, `b c` STRING NOT NULL 'what it is'>
        ROW(a INT, b ROW<c INT>) -> ROW<`a` INT, `b` ROW<`c` INT>>
        ROW<> -> ROW<>
        ROW() -> ROW<>
        STRUCTURED<'com.example.User', name STRING> -> STRUCTURED<'com.example.User', `name` STRING>
        RAW('java.lang.Void', 'AAAA') -> RAW('java.lang.Void', 'AAAA')
        VARIANT -> VARIANT
        my_catalog.db.MyType -> my_catalog.db.MyType
    "#]].assert_eq(&summaries(&types));
}

#[test]
fn bounds_are_those_of_flink() {
    let types = [
        "CHAR(0)",
        "VARCHAR(2147483647)",
        "VARCHAR(2147483648)",
        "DECIMAL(0)",
        "DECIMAL(39)",
        "DECIMAL(5, 6)",
        "TIMESTAMP(10)",
        "TIME(10)",
        "TIMESTAMP_LTZ(99999999999)",
        "TIMESTAMP WITH TIME ZONE",
        "TIME WITH LOCAL TIME ZONE",
        "INTERVAL YEAR(5)",
        "INTERVAL DAY(7)",
        "INTERVAL DAY TO SECOND(10)",
        "INTERVAL MONTH TO YEAR",
        "INTERVAL WEEK",
        "REAL",
        "ROW<a INT, a INT>",
        "ARRAY<INT",
        "MAP<INT>",
        "SELECT",
        "",
    ];
    expect![[r#"
        CHAR(0) -> Invalid: a length is between 1 and 2147483647
        VARCHAR(2147483647) -> STRING
        VARCHAR(2147483648) -> Invalid: a length is at most 2147483647
        DECIMAL(0) -> Invalid: a decimal's precision is between 1 and 38
        DECIMAL(39) -> Invalid: a decimal's precision is between 1 and 38
        DECIMAL(5, 6) -> Invalid: a decimal's scale is between 0 and 5
        TIMESTAMP(10) -> Invalid: the precision of a second is between 0 and 9
        TIME(10) -> Invalid: the precision of a second is between 0 and 9
        TIMESTAMP_LTZ(99999999999) -> Invalid: the precision of a second is at most 2147483647
        TIMESTAMP WITH TIME ZONE -> Syntax: there is no such type with a time zone
        TIME WITH LOCAL TIME ZONE -> Syntax: there is no such type with a time zone
        INTERVAL YEAR(5) -> Invalid: an interval's first field has between 1 and 4 digits
        INTERVAL DAY(7) -> Invalid: an interval's first field has between 1 and 6 digits
        INTERVAL DAY TO SECOND(10) -> Invalid: the precision of a second is between 0 and 9
        INTERVAL MONTH TO YEAR -> Syntax: an interval cannot have these fields
        INTERVAL WEEK -> Invalid: no interval type has this field
        REAL -> Invalid: Type is not supported: REAL
        ROW<a INT, a INT> -> Invalid: the field `a` is there twice
        ARRAY<INT -> Syntax: expected NOT, ARRAY, MULTISET or `>`, found the end of the statement
        MAP<INT> -> Syntax: expected NOT, ARRAY, MULTISET or `,`, found `>`
        SELECT -> Syntax: expected a data type, found the keyword `SELECT`
         -> Syntax: expected a data type, found the end of the statement
    "#]]
    .assert_eq(&summaries(&types));
}
