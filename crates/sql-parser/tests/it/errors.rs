//! What mistakes look like.

use expect_test::expect;

use crate::support::error;

/// Mistakes, one below the other.
fn errors(all: &[&str]) -> String {
    all.iter().map(|sql| error(sql)).collect::<Vec<_>>().join("\n")
}

#[test]
fn mistakes_are_shown_where_they_are_with_what_may_help() {
    let all = [
        "SELECT a FORM t",
        "SELEC 1",
        "SELECT order_id FROM WHERE order_id = 1",
        "CREATE TABLE t (\n  member BOOLEAN\n)",
        "SELECT a FROM t WHERE a != 1",
        "SELECT 1 MINUS SELECT 2",
        "SELECT a FROM t LIMIT 1, 2",
        "SELECT a FROM t OFFSET 1 LIMIT 2",
        "SET a = 'b'",
        "CREATE TABLE t (a INT) WITH (connector = 'x')",
        "SELECT \"a\" FROM t",
        "SELECT 'abc",
        "SELECT (1 + 2 FROM t",
        "SELECT a FROM t JOIN s",
        "SELECT * FROM a LEFT SEMI JOIN b ON TRUE",
        "SELECT DATE '2023-02-29'",
        "SELECT INTERVAL '100' DAY",
        "SELECT INTERVAL 'x' DAY",
        "CREATE TABLE t (a DECIMAL(50))",
        "CREATE TABLE t (a INT, a INT)",
        "CREATE TABLE t (a)",
        "CREATE TABLE t (a INT, WATERMARK FOR a AS a, WATERMARK FOR a AS a)",
        "DROP TABEL t",
        "EXPLAIN CREATE VIEW v AS SELECT 1",
        "SELECT 'a' 'b'",
        "SELECT 1 2",
        "CREATE TABLE",
        "`",
        "SELECT ?",
        "INSERT t SELECT 1",
        "SELECT CAST(a AS TIMESTAMP WITH TIME ZONE) FROM t",
    ];
    expect![[r#"
        error: expected `,`, FROM, UNION, ORDER, LIMIT, OFFSET, FETCH or `;`, found `t`
         --> line 1, column 15
          |
        1 | SELECT a FORM t
          |               ^
        hint: `FORM` was taken for a name; did you mean FROM?

        error: unexpected `SELEC`
         --> line 1, column 1
          |
        1 | SELEC 1
          | ^^^^^
        hint: did you mean SELECT?

        error: expected LATERAL, UNNEST, TABLE or a table, found the keyword `WHERE`
         --> line 1, column 22
          |
        1 | SELECT order_id FROM WHERE order_id = 1
          |                      ^^^^^
        hint: `WHERE` is a reserved word; as a name it needs back-ticks

        error: expected WATERMARK or a column, found the keyword `member`
         --> line 2, column 3
          |
        2 |   member BOOLEAN
          |   ^^^^^^
        hint: `member` is a reserved word; as a name it needs back-ticks

        error: `!=` is not of this dialect
         --> line 1, column 25
          |
        1 | SELECT a FROM t WHERE a != 1
          |                         ^^
        hint: write <>

        error: MINUS is not of this dialect
         --> line 1, column 10
          |
        1 | SELECT 1 MINUS SELECT 2
          |          ^^^^^
        hint: write EXCEPT

        error: LIMIT takes one number
         --> line 1, column 24
          |
        1 | SELECT a FROM t LIMIT 1, 2
          |                        ^
        hint: write LIMIT count OFFSET start

        error: LIMIT stands before OFFSET
         --> line 1, column 26
          |
        1 | SELECT a FROM t OFFSET 1 LIMIT 2
          |                          ^^^^^
        hint: write LIMIT count OFFSET start

        error: expected a string, found `a`
         --> line 1, column 5
          |
        1 | SET a = 'b'
          |     ^
        hint: keys and values of options are quoted: SET 'key' = 'value'

        error: expected a string, found `connector`
         --> line 1, column 30
          |
        1 | CREATE TABLE t (a INT) WITH (connector = 'x')
          |                              ^^^^^^^^^
        hint: keys and values of options are quoted: 'key' = 'value'

        error: the character `"` means nothing here
         --> line 1, column 8
          |
        1 | SELECT "a" FROM t
          |        ^
        hint: identifiers are quoted with back-ticks, strings with single quotes

        error: the string that begins here has no closing quote
         --> line 1, column 8
          |
        1 | SELECT 'abc
          |        ^
        hint: a quote inside of a string is written twice: 'it''s'

        error: expected `,` or `)`, found the keyword `FROM`
         --> line 1, column 15
          |
        1 | SELECT (1 + 2 FROM t
          |               ^^^^

        error: expected `.`, AS, TABLESAMPLE, ON or USING, found the end of the statement
         --> line 1, column 23
          |
        1 | SELECT a FROM t JOIN s
          |                       ^

        error: there is no such join
         --> line 1, column 22
          |
        1 | SELECT * FROM a LEFT SEMI JOIN b ON TRUE
          |                      ^^^^
        hint: write WHERE [NOT] EXISTS (...) or [NOT] IN (...)

        error: this is no date
         --> line 1, column 13
          |
        1 | SELECT DATE '2023-02-29'
          |             ^^^^^^^^^^^^
        hint: it looks like '2024-02-29'

        error: DAY has at most 2 digits here; name more: DAY(9)
         --> line 1, column 17
          |
        1 | SELECT INTERVAL '100' DAY
          |                 ^^^^^

        error: the text is no interval of DAY
         --> line 1, column 17
          |
        1 | SELECT INTERVAL 'x' DAY
          |                 ^^^

        error: a decimal's precision is between 1 and 38
         --> line 1, column 27
          |
        1 | CREATE TABLE t (a DECIMAL(50))
          |                           ^^

        error: the column `a` is there twice
         --> line 1, column 24
          |
        1 | CREATE TABLE t (a INT, a INT)
          |                        ^

        error: columns without types need a query that gives them
         --> line 1, column 14
          |
        1 | CREATE TABLE t (a)
          |              ^^^^^

        error: there are two watermarks
         --> line 1, column 46
          |
        1 | CREATE TABLE t (a INT, WATERMARK FOR a AS a, WATERMARK FOR a AS a)
          |                                              ^^^^^^^^^^^^^^^^^^^^

        error: unexpected `TABEL`
         --> line 1, column 6
          |
        1 | DROP TABEL t
          |      ^^^^^
        hint: did you mean TABLE?

        error: of CREATE, only CREATE TABLE ... AS can be explained
         --> line 1, column 9
          |
        1 | EXPLAIN CREATE VIEW v AS SELECT 1
          |         ^^^^^^^^^^^^^^^^^^^^^^^^^

        error: a second string stands beside this one
         --> line 1, column 12
          |
        1 | SELECT 'a' 'b'
          |            ^^^
        hint: pieces of one string stand on lines of their own; || puts two together

        error: unexpected `2`
         --> line 1, column 10
          |
        1 | SELECT 1 2
          |          ^

        error: expected IF or a table, found the end of the statement
         --> line 1, column 13
          |
        1 | CREATE TABLE
          |             ^

        error: the identifier that begins here has no closing back-tick
         --> line 1, column 1
          |
        1 | `
          | ^

        error: parameters (`?`) have no values here
         --> line 1, column 8
          |
        1 | SELECT ?
          |        ^

        error: expected OVERWRITE or INTO, found `t`
         --> line 1, column 8
          |
        1 | INSERT t SELECT 1
          |        ^

        error: there is no such type with a time zone
         --> line 1, column 28
          |
        1 | SELECT CAST(a AS TIMESTAMP WITH TIME ZONE) FROM t
          |                            ^^^^
        hint: TIMESTAMP WITH LOCAL TIME ZONE is the one with a zone
    "#]]
    .assert_eq(&errors(&all));
}
