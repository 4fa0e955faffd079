//! `csv`.

use crate::{decode, decoding, oracle};

fn refs(lines: &[Vec<u8>]) -> Vec<&[u8]> {
    lines.iter().map(Vec::as_slice).collect()
}

#[test]
fn files_of_the_oracle_are_read_as_flink_reads_them() {
    let people = &[
        ("id", "INT"),
        ("name", "STRING"),
        ("age", "INT"),
        ("height", "DOUBLE"),
        ("is_member", "BOOLEAN"),
        ("born", "DATE"),
        ("remark", "STRING"),
    ];
    let lines = oracle("people.csv");
    let rows = decode("csv", people, &[("ignore-parse-errors", "true")], &refs(&lines));
    assert_eq!(
        rows,
        [
            "+I[1|Ana|34|1.75|TRUE|2021-04-05|likes \"quotes\"]",
            "+I[2|Ben, Jr|NULL|1.8|FALSE|2020-02-29|plain]",
            "+I[3|Çelik|51|NULL|TRUE|NULL|semi;colon]",
            "+I[4||0|-0.5|FALSE|1999-12-31|]",
            "+I[5|multi word|7|100.0|TRUE|2024-01-01|end]",
        ]
    );
    let piped = &[("id", "INT"), ("name", "STRING"), ("age", "INT"), ("x", "DECIMAL(5, 2)")];
    let with = &[
        ("field-delimiter", "|"),
        ("quote-character", "'"),
        ("allow-comments", "true"),
        ("null-literal", "N/A"),
    ];
    let lines = oracle("people_pipe.csv");
    assert_eq!(
        decode("csv", piped, with, &refs(&lines)),
        [
            "+I[10|pipe|inside|NULL|3.25]",
            "+I[11|plain|5|NULL]",
            "+I[12|it's|6|0.50]",
            "+I[13|NULL|7|1.00]"
        ]
    );
    let arrays = &[("id", "INT"), ("parts", "ARRAY<STRING>"), ("tail", "STRING")];
    let lines = oracle("arrays.csv");
    assert_eq!(
        decode("csv", arrays, &[], &refs(&lines)),
        ["+I[1|[a, b, c]|x:1]", "+I[2|[]|y:2]", "+I[3|[only]|z:3]"]
    );
    let bad = &[("id", "INT"), ("name", "STRING"), ("v", "INT")];
    let lines = oracle("bad_lines.csv");
    let rows = decode("csv", bad, &[("ignore-parse-errors", "true")], &refs(&lines));
    assert_eq!(rows[..4], ["+I[1|one|10]", "+I[2|two|NULL]", "+I[4|NULL|NULL]", "+I[5|five|50]"]);
    assert!(rows[4].contains("Row length mismatch"), "{rows:?}");
    let escaped = &[("id", "INT"), ("a", "STRING"), ("b", "STRING")];
    let lines = oracle("escaped.csv");
    let rows = decode("csv", escaped, &[("escape-character", "\\")], &refs(&lines));
    assert_eq!(rows, ["+I[1|a,b|x]", "+I[2|c\"d|y]", "+I[3|plain|z]"]);
}

#[test]
fn rows_in_fields_and_line_ends_between_quotes() {
    let table = &[("a", "STRING"), ("r", "ROW<x INT, y STRING>"), ("ts", "TIMESTAMP(3)")];
    let rows = decode(
        "csv",
        table,
        &[("array-element-delimiter", "::")],
        &[b"\"two\nlines\"  ,1::b,2024-01-01 00:00:00.5", b"q,\"2::\"\"\",2024-01-01 00:00:00"],
    );
    assert_eq!(
        rows,
        ["+I[two\nlines|(1, b)|2024-01-01 00:00:00.500]", "+I[q|(2, \")|2024-01-01 00:00:00.000]"]
    );
}

#[test]
fn options_that_cannot_be_are_refused() {
    let table = &[("a", "STRING")];
    for with in [
        &[("field-delimiter", "ab")][..],
        &[("field-delimiter", "")],
        &[("quote-character", "''")],
        &[("quote-character", "'"), ("disable-quote-character", "true")],
        &[("ignore-parse-errors", "perhaps")],
    ] {
        assert!(decoding("csv", table, with).is_err(), "{with:?}");
    }
    assert!(decoding("csv", table, &[("field-delimiter", "\\t")]).is_ok());
    assert!(decoding("csv", &[("m", "MAP<STRING, INT>")], &[]).is_err());
    assert!(decoding("yamlish", table, &[]).is_err());
}
