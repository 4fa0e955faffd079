//! The other direction.

use hurtig_sql_common::{ChangelogBatch, RowKind};

use crate::{batch, decode, encode};

#[test]
fn json_is_written_as_jackson_writes_it() {
    let table = &[
        ("i", "INT"),
        ("d", "DECIMAL(10, 2)"),
        ("f", "DOUBLE"),
        ("s", "STRING"),
        ("b", "BYTES"),
        ("ts", "TIMESTAMP(3)"),
        ("lz", "TIMESTAMP_LTZ(3)"),
        ("a", "ARRAY<ROW<x INT>>"),
        ("m", "MAP<STRING, BOOLEAN>"),
    ];
    let rows = batch(
        table,
        &[
            r#"{"i":1,"d":100,"f":1e9,"s":"q\"\\\u0001\n\u00e9","b":"aGk=","ts":"2024-01-01 00:00:00.25","lz":"2024-01-01 00:00:00Z","a":[{"x":1},null],"m":{"k":true}}"#,
            "{}",
        ],
    );
    let lines = encode("json", &rows, &[]);
    assert_eq!(
        lines[0],
        r#"{"i":1,"d":1E+2,"f":1.0E9,"s":"q\"\\\u0001\né","b":"aGk=","ts":"2024-01-01 00:00:00.25","lz":"2024-01-01 00:00:00Z","a":[{"x":1},null],"m":{"k":true}}"#
    );
    assert!(lines[1].starts_with(r#"{"i":null,"d":null"#));
    let with = &[
        ("encode.ignore-null-fields", "true"),
        ("encode.decimal-as-plain-number", "true"),
        ("timestamp-format.standard", "ISO-8601"),
    ];
    let lines = encode("json", &rows, with);
    assert!(lines[0].contains(r#""d":100.00,"#) && lines[0].contains("2024-01-01T00:00:00.25"));
    assert_eq!(lines[1], "{}");
}

#[test]
fn csv_quotes_what_jackson_quotes() {
    let table = &[("i", "INT"), ("s", "STRING"), ("a", "ARRAY<INT>"), ("t", "TIMESTAMP(3)")];
    let rows = batch(
        table,
        &[
            r#"{"i":1,"s":"plain","a":[1,2],"t":"2024-01-01 00:00:00"}"#,
            r#"{"i":2,"s":"a \"b\"","a":[]}"#,
            r#"{"s":""}"#,
            r#"{"s":"abcdefghijklmnopqrstuvwxyz"}"#,
        ],
    );
    assert_eq!(
        encode("csv", &rows, &[]),
        [
            "1,plain,1;2,\"2024-01-01 00:00:00\"",
            "2,\"a \"\"b\"\"\",,",
            ",,,",
            ",\"abcdefghijklmnopqrstuvwxyz\",,",
        ]
    );
    let lines = encode("csv", &rows, &[("null-literal", "NIL"), ("field-delimiter", "|")]);
    assert_eq!(lines[2], "NIL||NIL|NIL");
    let records: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    let with = &[("null-literal", "NIL"), ("field-delimiter", "|")];
    assert_eq!(
        decode("csv", table, with, &records)[..2],
        ["+I[1|plain|[1, 2]|2024-01-01 00:00:00.000]", "+I[2|a \"b\"|[]|NULL]"]
    );
}

#[test]
fn changes_become_messages_and_rows_again() {
    let table = &[("id", "INT"), ("s", "STRING")];
    let rows = batch(table, &[r#"{"id":1,"s":"a"}"#, r#"{"id":1,"s":"a"}"#, r#"{"id":1,"s":"b"}"#]);
    let kinds = vec![RowKind::Insert, RowKind::UpdateBefore, RowKind::UpdateAfter];
    let batch = ChangelogBatch::new(rows.rows, kinds);
    for format in ["debezium-json", "canal-json", "maxwell-json", "ogg-json"] {
        let lines = encode(format, &batch, &[]);
        let records: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        assert_eq!(
            decode(format, table, &[], &records),
            ["+I[1|a]", "-D[1|a]", "+I[1|b]"],
            "{format}"
        );
    }
    assert_eq!(
        encode("debezium-json", &batch, &[])[1],
        r#"{"before":{"id":1,"s":"a"},"after":null,"op":"d"}"#
    );
}
