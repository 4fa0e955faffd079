//! SQL: scripts up to their operators, and records of formats.

use std::{collections::BTreeMap, path::PathBuf};

use hurtig_sql::Session;
use hurtig_sql_formats::{DecodedColumn, DecodingFormat};
use hurtig_sql_parser::{SqlParser, types::SqlDataType};

/// The oracle's folder.
fn oracle() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle")
}

/// The scripts of the oracle.
pub fn script_texts() -> Vec<Vec<u8>> {
    let folders = |path: PathBuf| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let cases = folders(oracle().join("cases")).into_iter().flat_map(folders);
    let mut scripts: Vec<_> =
        cases.filter_map(|case| std::fs::read(case.join("query.sql")).ok()).collect();
    scripts.sort();
    scripts
}

/// A script, each of whose statements is parsed, bound, optimised, planned and translated into
/// operators; nothing runs. A statement that is refused says why, and the next one follows.
pub fn scripts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let script = text.replace("${DATA}", &oracle().join("data").display().to_string());
    let script = script.replace("${OUT}", "/nonexistent");
    let Ok(parts) = SqlParser::default().split(&script) else { return };
    let mut session = Session::new().without_jobs();
    for part in parts {
        if let Err(error) = session.execute(&script, part) {
            let told = error.render(&script);
            assert!(!told.is_empty() && !told.contains("internal:"), "{told}\n{script}");
        }
    }
}

/// A format with the columns and options that it is tried with.
struct Tried {
    identifier: &'static str,
    columns: &'static [(&'static str, &'static str)],
    files: &'static [&'static str],
}

const NESTED: &[(&str, &str)] = &[
    ("id", "INT"),
    ("name", "STRING"),
    ("ints", "ARRAY<INT>"),
    ("props", "MAP<STRING, INT>"),
    ("addr", "ROW<city STRING, geo ROW<lat DOUBLE NOT NULL, lon DECIMAL(5, 2)>>"),
    ("items", "ARRAY<ROW<sku STRING, qty INT>>"),
    ("d", "DATE"),
    ("t", "TIME"),
    ("ts", "TIMESTAMP(3)"),
    ("tz", "TIMESTAMP_LTZ(3)"),
    ("bytes", "BYTES"),
    ("b", "BOOLEAN"),
    ("f", "FLOAT"),
    ("n", "DECIMAL(38, 18)"),
];
const FLAT: &[(&str, &str)] = &[
    ("id", "INT"),
    ("name", "STRING"),
    ("ints", "ARRAY<INT>"),
    ("d", "DATE"),
    ("t", "TIME"),
    ("ts", "TIMESTAMP(3)"),
    ("tz", "TIMESTAMP_LTZ(3)"),
    ("bytes", "BYTES"),
    ("b", "BOOLEAN"),
    ("f", "FLOAT"),
    ("n", "DECIMAL(38, 18)"),
];
const CHANGED: &[(&str, &str)] = &[
    ("account_id", "INT"),
    ("ticket_id", "INT"),
    ("player_id", "INT"),
    ("owner", "STRING"),
    ("status", "STRING"),
    ("balance", "DECIMAL(10, 2)"),
    ("score", "BIGINT"),
    ("updated", "TIMESTAMP(3)"),
];

const JSON: Tried =
    Tried { identifier: "json", columns: NESTED, files: &["nested.json", "temporal.json"] };
const CSV: Tried = Tried { identifier: "csv", columns: FLAT, files: &["people.csv"] };
const RAW: Tried = Tried { identifier: "raw", columns: &[("line", "STRING")], files: &[] };
const DEBEZIUM: Tried =
    Tried { identifier: "debezium-json", columns: CHANGED, files: &["cdc_accounts.debezium.json"] };
const CANAL: Tried =
    Tried { identifier: "canal-json", columns: CHANGED, files: &["cdc_tickets.canal.json"] };
const MAXWELL: Tried =
    Tried { identifier: "maxwell-json", columns: CHANGED, files: &["cdc_scores.maxwell.json"] };

/// What values look like, where the oracle's files have none.
const SAMPLES: [&str; 4] = [
    "{\"id\":1,\"d\":\"2024-02-29\",\"t\":\"23:59:59\",\"ts\":\"2024-02-29 12:00:00.123\",\
     \"tz\":\"2024-02-29 12:00:00.123Z\",\"bytes\":\"AQID\",\"b\":true,\"f\":1.5e-3,\"n\":-12345.678}",
    "1,one,1;2,2024-02-29,23:59:59,2024-02-29 12:00:00,2024-02-29 12:00:00Z,AQID,true,1.5,3.25",
    "{\"ints\":[1,null],\"props\":{\"a\":1},\"addr\":{\"city\":\"\\u00e9\",\"geo\":{\"lat\":1e308}}}",
    "a line",
];

fn typed(columns: &[(&str, &str)]) -> Vec<(String, SqlDataType)> {
    let parser = SqlParser::default();
    let typed = |text: &str| parser.data_type(text).expect("a type");
    columns.iter().map(|(name, text)| ((*name).to_owned(), typed(text))).collect()
}

impl Tried {
    /// Lines of the oracle's files, and samples.
    fn corpus(&self) -> Vec<Vec<u8>> {
        let mut lines: Vec<Vec<u8>> = SAMPLES.iter().map(|text| text.as_bytes().to_vec()).collect();
        for file in self.files {
            let bytes = std::fs::read(oracle().join("data").join(file)).unwrap_or_default();
            lines.extend(bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        }
        lines.retain(|line| !line.is_empty());
        lines
    }

    /// Decodes the lines of any bytes, with and without `ignore-parse-errors`.
    fn run(&self, bytes: &[u8]) {
        let columns = typed(self.columns);
        for ignore in ["false", "true"] {
            let mut options = BTreeMap::new();
            if self.identifier != "raw" {
                options
                    .insert(format!("{}.ignore-parse-errors", self.identifier), ignore.to_owned());
            }
            let format = DecodingFormat::from_options(self.identifier, &columns, &options);
            let format = format.expect("a format");
            let all = (0..columns.len())
                .map(|column| DecodedColumn::Physical { column, path: Vec::new() });
            let metadata =
                format.metadata().into_iter().map(|(key, _)| DecodedColumn::Metadata(key));
            let wanted: Vec<_> = all.chain(metadata).collect();
            let mut decoder = format.decoder(&wanted).expect("a decoder");
            let mut rows = 0;
            for record in bytes.split(|byte| *byte == b'\n') {
                let before = decoder.rows();
                match decoder.decode(record) {
                    Ok(()) => rows += decoder.rows() - before,
                    Err(error) => {
                        assert_eq!(decoder.rows(), before, "a broken record left rows");
                        assert!(error.offset <= record.len(), "{error}");
                    }
                }
            }
            let decoded = decoder.finish().expect("columns");
            assert_eq!((decoded.rows, decoded.columns.len()), (rows, wanted.len()));
            for column in &decoded.columns {
                assert_eq!(column.len(), rows);
                column.to_data().validate_full().expect("sound columns");
            }
        }
    }
}

macro_rules! formats {
    ($($run:ident $corpus:ident $format:ident $doc:literal)*) => {$(
        #[doc = concat!("Records of ", $doc, ".")]
        pub fn $run(bytes: &[u8]) {
            $format.run(bytes);
        }

        #[doc = concat!("Valid records of ", $doc, ".")]
        pub fn $corpus() -> Vec<Vec<u8>> {
            $format.corpus()
        }
    )*};
}
formats! {
    json jsons JSON "JSON"
    csv csvs CSV "CSV"
    raw raws RAW "raw bytes"
    debezium debeziums DEBEZIUM "Debezium"
    canal canals CANAL "Canal"
    maxwell maxwells MAXWELL "Maxwell"
}

/// Values at the ends of their types, and such that functions take for something else.
const EXTREMES: [&str; 48] = [
    "0",
    "1",
    "-1",
    "7",
    "2147483647",
    "(-2147483647 - 1)",
    "9223372036854775807",
    "(-9223372036854775807 - 1)",
    "CAST(127 AS TINYINT)",
    "CAST(-32768 AS SMALLINT)",
    "99999999999999999999999999999999999999",
    "-0.00000000000000000000000000000000000001",
    "1.5",
    "1e308",
    "-1e308",
    "1e-320",
    "CAST('NaN' AS DOUBLE)",
    "CAST('Infinity' AS FLOAT)",
    "''",
    "' '",
    "'a'",
    "'é😀'",
    "'abc,def,ghi'",
    "'%_\\'",
    "'(a+)+b'",
    "'$.a[0]'",
    "'{\"a\": [1, null]}'",
    "'2024-02-29 12:00:00'",
    "'yyyy-MM-dd HH:mm:ss.SSS'",
    "'Asia/Tokyo'",
    "'YEAR'",
    "REPEAT('x', 5000)",
    "DATE '0001-01-01'",
    "DATE '9999-12-31'",
    "TIMESTAMP '0001-01-01 00:00:00'",
    "TIMESTAMP '9999-12-31 23:59:59.999999999'",
    "TIME '23:59:59.999'",
    "INTERVAL '99' YEAR",
    "INTERVAL '-99' DAY",
    "TRUE",
    "FALSE",
    "CAST(NULL AS INT)",
    "CAST(NULL AS STRING)",
    "x''",
    "x'00ff'",
    "ARRAY[1, NULL, 3]",
    "ARRAY['a', '']",
    "MAP['a', 1]",
];

/// A call of any function with any such values, as a constant: what can be computed is, while it is
/// bound. The first two bytes are the function, the others the arguments.
pub fn functions(bytes: &[u8]) {
    let mut session = Session::new().without_jobs();
    let names = session.function_names();
    let [first, second, arguments @ ..] = bytes else { return };
    let name = &names[usize::from(u16::from_be_bytes([*first, *second])) % names.len()];
    let value = |byte: &u8| EXTREMES[usize::from(*byte) % EXTREMES.len()];
    let arguments: Vec<&str> = arguments.iter().take(5).map(value).collect();
    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let call = match &*arguments {
        [left, right, ..] if !is_word => format!("{left} {name} {right}"),
        all => format!("{name}({})", all.join(", ")),
    };
    if let Err(error) = session.execute_one(&format!("SELECT {call}")) {
        let told = error.to_string();
        assert!(!told.contains("internal:"), "{call}: {told}");
    }
}

/// A call of each function, with two numbers.
pub fn calls() -> Vec<Vec<u8>> {
    let count = Session::new().function_names().len() as u16;
    (0..count).map(|name| [&name.to_be_bytes()[..], &[1, 3]].concat()).collect()
}
