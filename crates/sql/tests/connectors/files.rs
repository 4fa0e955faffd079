//! `filesystem`.

use std::{fs, sync::Arc};

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, cast::AsArray};
use arrow_schema::Schema;
use hurtig_sql::connectors::{Connectors, PartitionFilter, ScanColumn};
use hurtig_sql_common::EvalError;
use hurtig_sql_functions::api::Expression;

use crate::{also, copy, oracle, read, table, whole};

const SALES: &[(&str, &str)] =
    &[("sale_id", "INT"), ("amount", "INT"), ("dt", "STRING"), ("region", "STRING")];

/// A column has one value.
#[derive(Debug)]
struct KeyIs(usize, &'static str);

impl Expression for KeyIs {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, EvalError> {
        let values = rows.column(self.0).as_string::<i32>().iter();
        Ok(Arc::new(
            values.map(|value| value.map(|value| value == self.1)).collect::<BooleanArray>(),
        ))
    }
}

#[test]
fn partitions_are_directories_and_can_be_chosen() {
    let mut sales = table(
        SALES,
        &[("connector", "filesystem"), ("path", &oracle("part_sales")), ("format", "json")],
    );
    sales.partition_keys = vec!["dt".to_owned(), "region".to_owned()];
    let source = Connectors::default().source(&sales).unwrap();
    let found = source.partitions().unwrap().unwrap();
    assert_eq!(found.len(), 6);
    assert_eq!(found[0], [Some("2024-01-01".to_owned()), Some("eu".to_owned())]);
    assert!(source.chooses_partitions());
    let mut scan = whole(&sales);
    let fields = scan.schema.fields()[2..].to_vec();
    scan.partitions = Some(PartitionFilter {
        types: sales.columns[2..].iter().map(|(_, data_type)| data_type.clone()).collect(),
        schema: Arc::new(Schema::new(fields)),
        exact: Some(Arc::new(KeyIs(1, "eu"))),
        hints: vec![(1, Arc::new(KeyIs(0, "2024-01-02")))],
    });
    let rows = read(&sales, scan, 2).unwrap();
    assert!(rows.contains(&"+I[10|281|2024-01-02|eu]".to_owned()), "{rows:?}");
    assert!(rows.contains(&"+I[8|144|2024-01-02|eu]".to_owned()), "{rows:?}");
    assert!(rows.iter().all(|row| row.ends_with("|eu]") && !row.contains("2024-01-01")));
    assert!(read(&sales, whole(&sales), 1).unwrap().len() > rows.len());
}

#[test]
fn metadata_tell_the_file() {
    let path = oracle("departments.json");
    let departments = table(
        &[("dept_name", "STRING")],
        &[("connector", "filesystem"), ("path", &path), ("format", "json")],
    );
    let key = |key: &str| ScanColumn::Metadata(key.to_owned());
    let scan = also(whole(&departments), key("file.name"), "n", "STRING NOT NULL");
    let scan = also(scan, key("file.size"), "s", "BIGINT NOT NULL");
    let rows = read(&departments, scan, 1).unwrap();
    assert_eq!(rows.len(), 6);
    assert!(rows.contains(&"+I[Legal|departments.json|428]".to_owned()), "{rows:?}");
}

#[test]
fn a_broken_record_fails_the_job_is_dropped_or_kept() {
    let columns = &[("id", "INT"), ("name", "STRING"), ("v", "INT")];
    let path = oracle("malformed.json");
    let base = [("connector", "filesystem"), ("path", path.as_str()), ("format", "json")];
    let failed = read(&table(columns, &base), whole(&table(columns, &base)), 1).unwrap_err();
    assert!(failed.contains("Failed to deserialize JSON '{\"id\": 2,"), "{failed}");
    assert!(failed.contains("line 2, the record at byte 34"), "{failed}");

    let ignoring = table(columns, &[&base[..], &[("json.ignore-parse-errors", "true")]].concat());
    let rows = read(&ignoring, whole(&ignoring), 1).unwrap();
    assert_eq!(rows.len(), 5);
    assert!(rows.contains(&"+I[2|two|NULL]".to_owned()), "{rows:?}");

    let directory = tempfile::tempdir().unwrap();
    let letters = directory.path().to_str().unwrap();
    let keeping = table(columns, &[&base[..], &[("dead-letter.path", letters)]].concat());
    let rows = read(&keeping, whole(&keeping), 2).unwrap();
    assert_eq!(
        rows,
        ["+I[4|four|40]", "+I[6|{\"x\":1}|60]", "+I[1|one|10]", "+I[NULL|five|NULL]"]
            .iter()
            .map(|row| (*row).to_owned())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    let files: Vec<_> = fs::read_dir(letters).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let kept = fs::read_to_string(&files[0]).unwrap();
    assert_eq!(kept.lines().count(), 2, "{kept}");
    assert!(kept.starts_with("{\"offset\":34,\"file\":"), "{kept}");
    assert!(kept.contains("\"record\":\"{\\\"id\\\": 2,"), "{kept}");
}

#[test]
fn what_is_written_is_read_again() {
    let columns = &[("id", "INT"), ("s", "STRING"), ("p", "STRING")];
    let path = oracle("strings.json");
    let strings =
        table(columns, &[("connector", "filesystem"), ("path", &path), ("format", "json")]);
    let expected = read(&strings, whole(&strings), 1).unwrap();
    for (format, extra) in [("json", None), ("csv", Some(("csv.null-literal", "NIL")))] {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().join("out");
        let mut options =
            vec![("connector", "filesystem"), ("path", base.to_str().unwrap()), ("format", format)];
        options.extend(extra);
        let mut written = table(columns, &options);
        if format == "json" {
            written.partition_keys = vec!["p".to_owned()];
            let kind = "sink.partition-commit.policy.kind".to_owned();
            written.options.insert(kind, "success-file".to_owned());
        }
        copy(&strings, &written, 2);
        assert_eq!(base.join("p=pad").join("_SUCCESS").exists(), format == "json");
        let rows = read(&written, whole(&written), 2).unwrap();
        // A partition has no empty text: it is NULL's.
        let expected: Vec<_> = expected
            .iter()
            .map(|row| match (format, row.strip_suffix("|]")) {
                ("json", Some(row)) => format!("{row}|NULL]"),
                _ => row.clone(),
            })
            .collect();
        let (mut rows, mut expected) = (rows, expected);
        rows.sort();
        expected.sort();
        assert_eq!(rows, expected, "{format}");
    }
}

#[test]
fn large_files_are_read_by_all_readers_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("numbers.json");
    let lines = (0..200_000).map(|n| format!("{{\"pad\":\"some more text\",\"n\":{n}}}\n"));
    fs::write(&file, lines.collect::<String>()).unwrap();
    fs::write(directory.path().join("_hidden"), "not json").unwrap();
    let path = directory.path().to_str().unwrap();
    let numbers =
        table(&[("n", "INT")], &[("connector", "filesystem"), ("path", path), ("format", "json")]);
    let rows = read(&numbers, whole(&numbers), 3).unwrap();
    assert_eq!(rows.len(), 200_000);
    let distinct: std::collections::HashSet<_> = rows.iter().collect();
    assert_eq!(distinct.len(), 200_000);
}

#[test]
fn what_cannot_be_is_told() {
    let made = |options: &[(&str, &str)]| {
        let table = table(&[("a", "INT")], options);
        Connectors::default().source(&table).map(|_| ()).map_err(|error| error.to_string())
    };
    let path = oracle("orders.json");
    let base = [("connector", "filesystem"), ("path", path.as_str()), ("format", "json")];
    assert_eq!(made(&base), Ok(()));
    // Options of the format are its own business.
    assert_eq!(made(&[&base[..], &[("json.no-such-option", "x")]].concat()), Ok(()));
    let text = made(&[&base[..], &[("no-such-option", "x")]].concat()).unwrap_err();
    assert!(text.contains("Unsupported options found for 'filesystem'"), "{text}");
    let text = made(&[&base[..], &[("source.monitor-intervall", "1 s")]].concat()).unwrap_err();
    assert!(text.contains("Did you mean 'source.monitor-interval'?"), "{text}");
    let text = made(&[base[0], base[1], ("format", "yamlish")]).unwrap_err();
    assert!(text.contains("Could not find any format factory for identifier 'yamlish'"), "{text}");
    let text = made(&base[..2]).unwrap_err();
    assert!(text.contains("Missing required options are: format"), "{text}");
    let text = made(&[("connector", "nothing")]).unwrap_err();
    assert!(text.contains("Could not find any factory for identifier 'nothing'"), "{text}");
    let text = made(&[("connector", "print")]).unwrap_err();
    assert!(text.contains("cannot be used as a source"), "{text}");
    let gone = oracle("absent/no_such_file.json");
    let gone = table(&[("a", "INT")], &[base[0], ("path", &gone), base[2]]);
    let text = read(&gone, whole(&gone), 1).unwrap_err();
    assert!(text.contains("does not exist"), "{text}");
}
