//! `json`.

use arrow_array::cast::AsArray;
use hurtig_sql_formats::DecodedColumn;

use crate::{decode, decoding, oracle};

const TABLE: &[(&str, &str)] = &[("id", "INT"), ("name", "STRING"), ("v", "INT")];

fn lines(name: &str) -> Vec<Vec<u8>> {
    oracle(name)
}

fn refs(lines: &[Vec<u8>]) -> Vec<&[u8]> {
    lines.iter().map(Vec::as_slice).collect()
}

#[test]
fn errors_are_ignored_field_by_field() {
    let lines = lines("malformed.json");
    let rows = decode("json", TABLE, &[("ignore-parse-errors", "true")], &refs(&lines));
    // The line that is no JSON is an error, which is the reader's to drop.
    assert_eq!(
        rows[..5],
        [
            "+I[1|one|10]",
            "+I[2|two|NULL]",
            "+I[4|four|40]",
            "+I[NULL|five|NULL]",
            "+I[6|{\"x\":1}|60]"
        ]
    );
    assert_eq!(rows.len(), 6, "{rows:?}");
}

#[test]
fn without_that_a_record_fails_as_a_whole_and_says_where() {
    let lines = lines("malformed.json");
    let rows = decode("json", TABLE, &[], &refs(&lines));
    assert_eq!(rows[..3], ["+I[1|one|10]", "+I[4|four|40]", "+I[NULL|five|NULL]"]);
    let text = "30: Failed to deserialize JSON '{\"id\": 2, \"name\": \"two\", \"v\": \"eleven\"}'. Fail \
                to deserialize at field: v: no INT, at byte 30 of it.";
    assert!(rows.iter().any(|row| row == text), "{rows:#?}");
}

#[test]
fn scalars_are_read_as_flink_reads_them() {
    let table = &[
        ("ti", "TINYINT"),
        ("i", "INT"),
        ("d", "DOUBLE"),
        ("dec", "DECIMAL(5, 2)"),
        ("b", "BOOLEAN"),
        ("s", "STRING"),
        ("bin", "BYTES"),
    ];
    let rows = decode(
        "json",
        table,
        &[],
        &[
            br#"{"ti":1,"i":"  7 ","d":"1.5","dec":12.345,"b":"TRUE","s":5,"bin":"aGk="}"#,
            br#"{"i":3.9,"d":1e3,"dec":"-0.005","b":1,"s":true}"#,
            br#"{"dec":12345.1,"s":{"b": 1.50, "a": [true, null, "\u00e9\n"]},"b":"no"}"#,
            br#" {"s":"\ud83d\ude00\"","d":100,"unknown":[{"x":[1]}],"i":-2147483648} trailing"#,
            b"",
            br#"[{"i":1},{"i":2}]"#,
        ],
    );
    assert_eq!(
        rows,
        [
            "+I[1|7|1.5|12.35|TRUE|5|6869]",
            "+I[NULL|3|1000.0|-0.01|FALSE|true|NULL]",
            "+I[NULL|NULL|NULL|NULL|FALSE|{\"b\":1.5,\"a\":[true,null,\"é\\n\"]}|NULL]",
            "+I[NULL|-2147483648|100.0|NULL|NULL|😀\"|NULL]",
            "+I[NULL|1|NULL|NULL|NULL|NULL|NULL]",
            "+I[NULL|2|NULL|NULL|NULL|NULL|NULL]",
        ]
    );
}

#[test]
fn what_is_no_value_of_the_type_is_an_error() {
    let fails = |kind: &str, value: &str| {
        let record = format!("{{\"x\":{value}}}");
        let rows = decode("json", &[("x", kind)], &[], &[record.as_bytes()]);
        assert_eq!(rows.len(), 1, "{kind} {value}");
        assert!(rows[0].contains("Failed to deserialize JSON"), "{kind} {value}: {rows:?}");
    };
    for (kind, value) in [
        ("TINYINT", "128"),
        ("SMALLINT", "1.5"),
        ("INT", "2147483648"),
        ("INT", "true"),
        ("BIGINT", "9223372036854775808"),
        ("BIGINT", "\"x\""),
        ("DOUBLE", "\"\""),
        ("DOUBLE", "NaN"),
        ("DECIMAL(5, 2)", "\"a\""),
        ("DATE", "\"2024-02-30\""),
        ("TIME", "\"25:00:00\""),
        ("TIMESTAMP(3)", "\"2024-01-01T00:00:00\""),
        ("TIMESTAMP_LTZ(3)", "\"2024-01-01 00:00:00\""),
        ("BYTES", "\"a\""),
        ("ARRAY<INT>", "{}"),
        ("ARRAY<INT>", "[1, \"x\"]"),
        ("MAP<STRING, INT>", "[]"),
        ("ROW<a INT>", "[]"),
        ("INT NOT NULL", "null"),
        ("STRING", "\"\\q\""),
        ("INT", "01"),
        ("INT", "1,"),
        ("INT", "1 \"y\":2"),
    ] {
        fails(kind, value);
    }
}

#[test]
fn nested_values_and_times() {
    let table = &[
        ("id", "INT"),
        ("ints", "ARRAY<INT>"),
        ("tags", "ARRAY<STRING>"),
        ("props", "MAP<STRING, INT>"),
        ("addr", "ROW<city STRING, geo ROW<lat DOUBLE, lon DOUBLE>>"),
        ("items", "ARRAY<ROW<sku STRING, qty INT>>"),
    ];
    let nested = lines("nested.json");
    let rows = decode("json", table, &[], &refs(&nested[..3]));
    assert_eq!(
        rows,
        [
            "+I[1|[3, 1, 2]|[red, blue]|{w=10, h=20}|(Bonn, (50.75, 7.125))|[(A1, 2), (B2, 1)]]",
            "+I[2|[]|[]|{}|(NULL, (NULL, 1.5))|[]]",
            "+I[3|NULL|NULL|NULL|NULL|NULL]",
        ]
    );
    let table =
        &[("dt", "DATE"), ("tm", "TIME(0)"), ("ts", "TIMESTAMP(3)"), ("lz", "TIMESTAMP_LTZ(3)")];
    let times = lines("times.json");
    let rows = decode("json", table, &[], &refs(&times[..2]));
    assert_eq!(
        rows,
        [
            "+I[2024-02-29|00:00:00|2024-02-29 00:00:00.000|2024-02-29 00:00:00.000]",
            "+I[2023-12-31|23:59:59|2023-12-31 23:59:59.999|2023-12-31 23:59:59.999]",
        ]
    );
    let iso = lines("iso.json");
    let table = &[("id", "INT"), ("ts", "TIMESTAMP(3)"), ("lz", "TIMESTAMP_LTZ(3)")];
    let with = &[("timestamp-format.standard", "ISO-8601")];
    let rows = decode("json", table, with, &refs(&iso));
    assert_eq!(rows[0], "+I[1|2024-03-01 09:15:30.250|2024-03-01 09:15:30.250]");
    assert_eq!(rows[2], "+I[3|NULL|NULL]");
}

#[test]
fn of_equal_keys_the_last_one_counts() {
    let table = &[("a", "STRING"), ("m", "MAP<STRING, INT>"), ("z", "INT")];
    let record = br#"{"a":"x","m":{"k":1,"l":2,"k":3},"a":"y","z":1,"a":"ignored"}"#;
    // As in Flink: what follows when all fields were there, counts no more.
    let rows = decode("json", table, &[], &[record]);
    assert_eq!(rows, ["+I[y|{l=2, k=3}|NULL]"]);
}

#[test]
fn missing_fields_can_be_errors() {
    let with = &[("fail-on-missing-field", "true")];
    let rows = decode("json", TABLE, with, &[b"{\"id\":1}", b"{\"id\":1,\"v\":2,\"name\":null}"]);
    assert_eq!(rows[0], "+I[1|NULL|2]");
    assert!(rows[1].contains("Some field is missing"), "{rows:?}");
    let both = [("fail-on-missing-field", "true"), ("ignore-parse-errors", "true")];
    assert!(decoding("json", TABLE, &both).is_err());
}

#[test]
fn only_what_is_wanted_is_decoded() {
    let table =
        &[("id", "INT"), ("r", "ROW<a INT, s ROW<b STRING, c INT> NOT NULL>"), ("x", "INT")];
    let format = decoding("json", table, &[]).unwrap();
    let path = |column, path: &[usize]| DecodedColumn::Physical { column, path: path.to_vec() };
    let mut decoder = format.decoder(&[path(1, &[1, 1]), path(0, &[]), path(1, &[0])]).unwrap();
    // What is wrong with x does not matter, nor with b.
    decoder.decode(br#"{"x":"?","r":{"s":{"b":{},"c":7},"a":1},"id":5}"#).unwrap();
    decoder.decode(br#"{"id":6,"r":null}"#).unwrap();
    decoder.decode(br#"{"r":{"a":2}}"#).unwrap();
    let decoded = decoder.finish().unwrap();
    let column = |index: usize| {
        let array = decoded.columns[index].as_primitive::<arrow_array::types::Int32Type>();
        array.iter().collect::<Vec<_>>()
    };
    assert_eq!(column(0), [Some(7), None, None]);
    assert_eq!(column(1), [Some(5), Some(6), None]);
    assert_eq!(column(2), [Some(1), None, Some(2)]);
    // The whole and a part of it.
    let mut decoder = format.decoder(&[path(1, &[0]), path(1, &[])]).unwrap();
    decoder.decode(br#"{"r":{"s":{"b":"t","c":7},"a":1}}"#).unwrap();
    decoder.decode(br#"{}"#).unwrap();
    let decoded = decoder.finish().unwrap();
    let part = decoded.columns[0].as_primitive::<arrow_array::types::Int32Type>();
    assert_eq!(part.iter().collect::<Vec<_>>(), [Some(1), None]);
    assert_eq!(decoded.columns[1].as_struct().num_columns(), 2);
}
