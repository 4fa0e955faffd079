//! `debezium-json`, `canal-json`, `maxwell-json`.

use hurtig_sql_formats::DecodedColumn;

use crate::{decode, decoding, oracle};

fn rows(
    format: &str,
    table: &[(&str, &str)],
    with: &[(&str, &str)],
    records: &[&str],
) -> Vec<String> {
    let records: Vec<&[u8]> = records.iter().map(|record| record.as_bytes()).collect();
    decode(format, table, with, &records)
}

const TABLE: &[(&str, &str)] = &[("id", "INT"), ("s", "STRING")];

#[test]
fn debezium() {
    let records = &[
        r#"{"before":null,"after":{"id":1,"s":"a"},"op":"c","ts_ms":5}"#,
        r#"{"op":"u","before":{"id":1,"s":"a"},"after":{"id":1,"s":"b"}}"#,
        r#"{"before":{"id":1,"s":"b"},"after":null,"op":"d"}"#,
        "",
        r#"{"before":null,"after":{"id":1,"s":"b"},"op":"u"}"#,
        r#"{"after":{"id":1},"op":"x"}"#,
    ];
    let got = rows("debezium-json", TABLE, &[], records);
    assert_eq!(got[..4], ["+I[1|a]", "-U[1|a]", "+U[1|b]", "-D[1|b]"]);
    assert!(
        got[4].contains("Corrupt Debezium JSON message") && got[4].contains("REPLICA"),
        "{got:?}"
    );
    assert!(got[5].contains("unknown \"op\""), "{got:?}");
    let whole = r#"{"schema":{"type":"struct"},"payload":{"after":{"id":7,"s":"z"},"op":"r"}}"#;
    let with = &[("schema-include", "true")];
    assert_eq!(rows("debezium-json", TABLE, with, &[whole]), ["+I[7|z]"]);
}

#[test]
fn canal() {
    let records = &[
        r#"{"data":[{"id":"1","s":"a"},{"id":"2","s":null}],"old":null,"type":"INSERT","database":"d","table":"t"}"#,
        r#"{"data":[{"id":"1","s":"b"}],"old":[{"s":"a"}],"type":"UPDATE","database":"d","table":"t"}"#,
        r#"{"data":[{"id":"2","s":"c"}],"old":[{"s":null}],"type":"UPDATE","database":"d","table":"t"}"#,
        r#"{"data":[{"id":"2","s":"c"}],"type":"DELETE","database":"d","table":"t"}"#,
        r#"{"data":null,"type":"CREATE","database":"d","table":"t"}"#,
        r#"{"data":[{"id":"9"}],"type":"INSERT","database":"other","table":"t"}"#,
    ];
    let got = rows("canal-json", TABLE, &[("database.include", "d|e")], records);
    assert_eq!(
        got,
        ["+I[1|a]", "+I[2|NULL]", "-U[1|a]", "+U[1|b]", "-U[2|NULL]", "+U[2|c]", "-D[2|c]"]
    );
}

#[test]
fn maxwell() {
    let records = &[
        r#"{"type":"insert","data":{"id":1,"s":"a"}}"#,
        r#"{"type":"update","data":{"id":1,"s":"b"},"old":{"s":"a"}}"#,
        r#"{"type":"delete","data":{"id":1,"s":"b"}}"#,
    ];
    let got = rows("maxwell-json", TABLE, &[], records);
    assert_eq!(got, ["+I[1|a]", "-U[1|a]", "+U[1|b]", "-D[1|b]"]);
}

#[test]
fn the_files_of_the_oracle_are_read_to_the_end() {
    for (format, file, table, with) in [
        (
            "debezium-json",
            "cdc_accounts.debezium.json",
            &[("account_id", "INT"), ("balance", "DECIMAL(10, 2)")][..],
            &[][..],
        ),
        (
            "debezium-json",
            "cdc_stock.debezium-schema.json",
            &[("item_id", "INT"), ("qty", "INT")],
            &[("schema-include", "true")],
        ),
        ("canal-json", "cdc_tickets.canal.json", &[("ticket", "INT"), ("state", "STRING")], &[]),
        ("maxwell-json", "cdc_scores.maxwell.json", &[("id", "INT"), ("score", "INT")], &[]),
    ] {
        let lines = oracle(file);
        let records: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let got = decode(format, table, with, &records);
        assert!(got.len() >= lines.len(), "{file}");
        assert!(
            got.iter().all(|row| !row.contains("Corrupt") && !row.contains("[NULL")),
            "{got:?}"
        );
    }
}

#[test]
fn metadata_are_columns() {
    let format = decoding("debezium-json", TABLE, &[]).unwrap();
    assert_eq!(format.metadata().len(), 7);
    let keys = ["ingestion-timestamp", "source.table", "source.timestamp", "source.properties"];
    let wanted: Vec<_> = keys.map(|key| DecodedColumn::Metadata(key.to_owned())).into();
    let mut decoder = format.decoder(&wanted).unwrap();
    let record =
        br#"{"after":{"id":1},"op":"c","ts_ms":1500,"source":{"table":"t","ts_ms":"7","n":1}}"#;
    decoder.decode(record).unwrap();
    decoder.decode(br#"{"after":{"id":1},"op":"c"}"#).unwrap();
    let decoded = decoder.finish().unwrap();
    let texts: Vec<String> = decoded.columns.iter().map(|array| format!("{array:?}")).collect();
    assert!(texts[0].contains("1970-01-01T00:00:01.500") && texts[0].contains("null"), "{texts:?}");
    assert!(texts[1].contains("\"t\""), "{texts:?}");
    assert!(texts[2].contains("00:00:00.007"), "{texts:?}");
    assert!(decoded.columns.iter().all(|array| array.len() == 2 && array.null_count() == 1));
    assert!(format.decoder(&[DecodedColumn::Metadata("nothing".to_owned())]).is_err());
}
