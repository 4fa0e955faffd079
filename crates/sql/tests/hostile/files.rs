//! Files that mean harm, in every format: the job fails and says where, or the record is dropped, or
//! kept as a dead letter with its place.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::{refused, run};

/// Formats with a record that is sound, and its columns.
const FORMATS: [(&str, &str, &str); 5] = [
    ("json", "id INT, name STRING", "{\"id\": 1, \"name\": \"one\"}"),
    ("csv", "id INT, name STRING", "1,one"),
    (
        "debezium-json",
        "id INT, name STRING",
        "{\"before\": null, \"after\": {\"id\": 1, \"name\": \"one\"}, \"op\": \"c\"}",
    ),
    (
        "canal-json",
        "id INT, name STRING",
        "{\"data\": [{\"id\": \"1\", \"name\": \"one\"}], \"type\": \"INSERT\", \"old\": null}",
    ),
    (
        "maxwell-json",
        "id INT, name STRING",
        "{\"type\": \"insert\", \"data\": {\"id\": 1, \"name\": \"one\"}}",
    ),
];

/// What is no record of any format but CSV.
fn broken() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str| open.repeat(100_000).into_bytes();
    vec![
        ("no UTF-8", b"{\"id\": 2, \"name\": \"\xff\xfe\"}".to_vec()),
        ("NULs", vec![0; 100]),
        ("an end in the middle", b"{\"id\": 2, \"na".to_vec()),
        ("an end in an escape", b"{\"id\": 2, \"name\": \"\\u00".to_vec()),
        ("arrays in arrays", deep("[")),
        ("objects in objects", deep("{\"a\":")),
        ("deep in a field that nobody reads", [b"{\"x\": ".to_vec(), deep("[")].concat()),
        ("another language", b"<id>2</id>".to_vec()),
        ("quotes without an end", b"\"2,two".to_vec()),
    ]
}

struct File {
    directory: TempDir,
}

impl File {
    fn new(content: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("in")).unwrap();
        fs::write(directory.path().join("in/file"), content).unwrap();
        Self { directory }
    }

    /// A script that reads it.
    fn script(&self, format: &str, columns: &str, options: &str) -> String {
        let path = self.directory.path().join("in").display().to_string();
        format!(
            "CREATE TABLE f ({columns}) WITH ('connector' = 'filesystem', 'path' = '{path}', \
             'format' = '{format}'{options}); SELECT * FROM f"
        )
    }

    fn letters(&self) -> PathBuf {
        self.directory.path().join("letters")
    }

    /// The dead letters' lines.
    fn kept(&self) -> Vec<String> {
        let entries = fs::read_dir(self.letters()).into_iter().flatten();
        let texts = entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
        texts.collect::<String>().lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_broken_record_fails_the_job_or_is_dropped_or_kept() {
    for (format, columns, sound) in FORMATS {
        for (what, record) in broken() {
            // Lines of CSV are nearly anything.
            if format == "csv" && !matches!(what, "no UTF-8" | "another language") {
                continue;
            }
            let content = [sound.as_bytes(), b"\n", &record, b"\n", sound.as_bytes()].concat();
            let file = File::new(&content);
            let offset = sound.len() + 1;
            let place = format!("the record at byte {offset}");
            refused(&file.script(format, columns, ""), &place);
            let ignoring = format!(", '{format}.ignore-parse-errors' = 'true'");
            let rows = run(&file.script(format, columns, &ignoring));
            // A record whose fields alone are broken is a row with NULLs.
            assert!(matches!(rows, Ok(2 | 3)), "{format}, {what}: {rows:?}");
            let keeping = format!(", 'dead-letter.path' = '{}'", file.letters().display());
            let rows = run(&file.script(format, columns, &keeping));
            assert_eq!(rows, Ok(2), "{format}, {what}");
            let kept = file.kept();
            assert_eq!(kept.len(), 1, "{format}, {what}: {kept:?}");
            assert!(kept[0].starts_with(&format!("{{\"offset\":{offset},")), "{}", kept[0]);
            assert!(kept[0].contains("\"error\":\""), "{}", kept[0]);
        }
    }
}

#[test]
fn records_of_other_tables_are_refused_or_full_of_nulls() {
    for (format, columns, sound) in FORMATS {
        // The values have other types.
        let wrong = sound.replace("one", "1").replace(['1'], "[]");
        let file = File::new(wrong.as_bytes());
        refused(&file.script(format, columns, ""), "the record at byte 0");
        let ignoring = format!(", '{format}.ignore-parse-errors' = 'true'");
        let rows = run(&file.script(format, columns, &ignoring));
        assert!(matches!(rows, Ok(0 | 1)), "{format}: {rows:?}");
        // The columns have other names.
        if format != "csv" {
            let file = File::new(sound.as_bytes());
            let rows = run(&file.script(format, "other INT, columns STRING", ""));
            assert_eq!(rows, Ok(1), "{format}");
        }
    }
}

#[test]
fn records_are_as_long_as_their_option_says() {
    for (format, columns, sound) in FORMATS {
        let long = sound.replace("one", &"x".repeat(3 << 20));
        let content = format!("{sound}\n{long}\n{sound}\n");
        let file = File::new(content.as_bytes());
        assert_eq!(run(&file.script(format, columns, "")), Ok(3), "{format}");
        let bound = ", 'source.max-record-size' = '1 mb'";
        let wanted = "the record is longer than 1048576 bytes ('source.max-record-size')";
        refused(&file.script(format, columns, bound), wanted);
        let ignoring = format!("{bound}, '{format}.ignore-parse-errors' = 'true'");
        assert_eq!(run(&file.script(format, columns, &ignoring)), Ok(2), "{format}");
        let keeping = format!("{bound}, 'dead-letter.path' = '{}'", file.letters().display());
        assert_eq!(run(&file.script(format, columns, &keeping)), Ok(2), "{format}");
        let kept = file.kept();
        assert_eq!(kept.len(), 1, "{format}");
        let start = format!("{{\"offset\":{},", sound.len() + 1);
        assert!(kept[0].starts_with(&start) && kept[0].contains(wanted), "{}", kept[0]);
    }
    let file = File::new(b"");
    for size in ["0", "2 gb", "much"] {
        let bound = format!(", 'source.max-record-size' = '{size}'");
        refused(&file.script("json", "id INT", &bound), "'source.max-record-size'");
    }
}

#[test]
fn lines_without_an_end_do_not_fill_the_memory() {
    // Longer than any record may be by default.
    let content = vec![b'x'; 40 << 20];
    let file = File::new(&content);
    for format in ["json", "csv", "raw"] {
        refused(
            &file.script(format, "line STRING", ""),
            "the record is longer than 16777216 bytes",
        );
    }
}

#[test]
fn numbers_and_times_are_of_their_type_or_refused() {
    let digits = "9".repeat(10_000);
    for (data_type, value) in [
        ("INT", digits.clone()),
        ("BIGINT", format!("-{digits}")),
        ("DECIMAL(38, 10)", format!("{digits}.{digits}")),
        ("DECIMAL(10, 2)", format!("1e{digits}")),
        ("DATE", "\"999999999999-12-31\"".to_owned()),
        ("DATE", "\"2024-02-30\"".to_owned()),
        ("TIME", "\"25:61:61\"".to_owned()),
        ("TIMESTAMP(3)", "\"99999999-12-31 00:00:00\"".to_owned()),
        ("TIMESTAMP(3)", format!("\"2024-01-01 00:00:00.{digits}\"")),
        ("TIMESTAMP_LTZ(3)", "\"2024-13-01 00:00:00Z\"".to_owned()),
        ("BYTES", "\"no base64!\"".to_owned()),
        ("BOOLEAN", "[]".to_owned()),
        ("ARRAY<INT>", format!("[1, {digits}]")),
        ("MAP<STRING, INT>", format!("{{\"a\": {digits}}}")),
        ("ROW<a INT>", "7".to_owned()),
    ] {
        let file = File::new(format!("{{\"v\": {value}}}\n").as_bytes());
        let columns = format!("v {data_type}");
        let outcome = run(&file.script("json", &columns, ""));
        // Flink takes some of them, such as numbers that lose digits.
        if let Err(error) = outcome {
            assert!(error.contains("the record at byte 0"), "{data_type}: {error}");
            assert!(error.len() < 20_000, "{data_type}: {} bytes", error.len());
        }
        let ignoring = ", 'json.ignore-parse-errors' = 'true'";
        assert_eq!(run(&file.script("json", &columns, ignoring)), Ok(1), "{data_type}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_by_raw() {
    let file = File::new(b"good\n\xff\xfe\ngood\n");
    let rows = run(&file.script("raw", "line STRING", ""));
    // Java replaces what is no text.
    assert!(rows.is_ok() || rows.as_ref().unwrap_err().contains("at byte 5"), "{rows:?}");
    assert_eq!(run(&file.script("raw", "line BYTES", "")), Ok(3));
}

#[test]
fn a_broken_archive_fails_the_job() {
    let file = File::new(b"");
    let folder = file.directory.path().join("in");
    fs::write(folder.join("numbers.json.gz"), b"\x1f\x8b\x08\x00 no archive").unwrap();
    refused(&file.script("json", "id INT", ""), "numbers.json.gz");
}
