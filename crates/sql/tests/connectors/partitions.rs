//! Conditions on partitions: which directories are read, and that others are not even looked into.

use std::{fs, path::Path, time::Duration};

use hurtig_sql::{QueryResult, Session, StatementResult};
use hurtig_sql_parser::SqlParser;
use tempfile::TempDir;

/// A file of one row in a partition's directory.
fn put(root: &TempDir, partition: &str, file: &str, text: &str) {
    let directory = root.path().join(partition);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(file), text).unwrap();
}

/// Days and regions, by one row each: `v` says which. Three directories have a file that cannot be
/// read.
fn days() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (nth, day) in ["2024-01-01", "2024-01-02", "2024-01-09"].iter().enumerate() {
        for (place, region) in ["eu", "us"].iter().enumerate() {
            let partition = format!("dt={day}/region={region}");
            put(&root, &partition, "a.json", &format!("{{\"v\": {}}}\n", nth * 10 + place));
        }
    }
    put(&root, "dt=2024-01-03/region=eu", "a.json", "this is no record\n");
    put(&root, "dt=2024-01-03/region=us", "a.json", "this is no record\n");
    put(&root, "dt=2024-01-01/region=xx", "a.json", "this is no record\n");
    root
}

fn table(root: &Path, columns: &str, keys: &str, more: &str) -> String {
    let path = root.display();
    format!(
        "CREATE TABLE t ({columns}) PARTITIONED BY ({keys}) WITH (
         'connector' = 'filesystem', 'path' = '{path}', 'format' = 'json'{more});"
    )
}

fn open(script: &str) -> Result<StatementResult, String> {
    let mut session = Session::new();
    let mut last = None;
    for part in SqlParser::default().split(script).unwrap() {
        last = Some(session.execute(script, part).map_err(|error| error.render(script))?);
    }
    Ok(last.expect("a statement"))
}

/// At least so many rows of a query, values between bars, as they come; all of them if it ends.
fn take(query: &mut QueryResult, count: usize) -> Result<Vec<String>, String> {
    let mut rows = Vec::new();
    while rows.len() < count {
        let next = query.next(Duration::from_millis(200));
        let Some(changes) = next.map_err(|error| format!("{error:?}"))? else { break };
        for (_, row) in changes {
            let values = row.into_iter().map(|value| value.unwrap_or_else(|| "null".to_owned()));
            rows.push(values.collect::<Vec<_>>().join("|"));
        }
    }
    Ok(rows)
}

fn rows(script: &str) -> Result<Vec<String>, String> {
    let StatementResult::Query(mut query) = open(script)? else { panic!("{script} is no query") };
    let mut rows = take(&mut query, usize::MAX)?;
    rows.sort();
    Ok(rows)
}

fn explained(script: &str) -> String {
    match open(script).unwrap() {
        StatementResult::Text(text) => text,
        _ => panic!("{script} explains nothing"),
    }
}

#[test]
fn only_the_partitions_of_the_condition_are_read() {
    let root = days();
    let table = table(root.path(), "v INT, dt STRING, region STRING", "dt, region", "");
    for (condition, expected) in [
        ("dt = '2024-01-02'", &["10", "11"][..]),
        ("'2024-01-02' = dt AND region = 'us'", &["11"]),
        ("dt <> '2024-01-03' AND region <> 'xx'", &["0", "1", "10", "11", "20", "21"]),
        ("dt > '2024-01-03'", &["20", "21"]),
        ("dt < '2024-01-02' AND region < 'x'", &["0", "1"]),
        ("dt BETWEEN '2024-01-02' AND '2024-01-02'", &["10", "11"]),
        ("dt IN ('2024-01-02', '2024-01-09') AND v < 21", &["10", "11", "20"]),
        ("dt = '2024-01-02' OR (dt = '2024-01-09' AND region = 'eu')", &["10", "11", "20"]),
        ("SUBSTRING(dt, 9) IN ('02', '09') AND UPPER(region) = 'EU'", &["10", "20"]),
        ("CAST(dt AS DATE) = DATE '2024-01-09'", &["20", "21"]),
        ("dt LIKE '%-09'", &["20", "21"]),
        // What follows for the partitions of conditions on rows.
        ("(dt = '2024-01-02' AND v > 10) OR (dt = '2024-01-09' AND v = 20)", &["11", "20"]),
        ("dt = '2024-01-02' AND (v = 10 OR region = 'us')", &["10", "11"]),
        ("dt = '2024-01-02' AND v + 1 > 11", &["11"]),
        ("dt = '1999-01-01'", &[]),
        // What would fail where the directory is not read does not fail.
        (
            "dt = '2024-01-02' AND 1 / CHAR_LENGTH(REPLACE(dt, '2024-01-03', '')) >= 0",
            &["10", "11"],
        ),
    ] {
        let found = rows(&format!("{table} SELECT v FROM t WHERE {condition};"));
        let mut expected: Vec<String> = expected.iter().map(|one| (*one).to_owned()).collect();
        expected.sort();
        assert_eq!(found.as_ref(), Ok(&expected), "{condition}");
    }
    // Where rows decide, all are read.
    for condition in ["v = 1", "dt = '2024-01-02' OR v = 1", "dt = CAST(v AS STRING)", "TRUE"] {
        let failed = rows(&format!("{table} SELECT v FROM t WHERE {condition};")).unwrap_err();
        assert!(failed.contains("this is no record"), "{condition}: {failed}");
    }
    // Below views and joins, and with the key among the columns.
    let joined = format!(
        "{table} CREATE VIEW w AS SELECT v + 100 AS v, dt, region FROM t;
         SELECT a.v, a.dt, b.v FROM w AS a JOIN t AS b ON a.region = b.region
         WHERE a.dt = '2024-01-02' AND b.dt = '2024-01-09';"
    );
    let wanted = ["110|2024-01-02|20", "111|2024-01-02|21"].map(str::to_owned);
    assert_eq!(rows(&joined), Ok(wanted.to_vec()));
}

#[test]
fn keys_mean_what_their_types_say() {
    let root = tempfile::tempdir().unwrap();
    for (partition, v) in
        [("p=9", 1), ("p=10", 2), ("p=0011", 3), ("p=__DEFAULT_PARTITION__", 4), ("p=-1", 5)]
    {
        put(&root, partition, "a.json", &format!("{{\"v\": {v}}}\n"));
    }
    let columns = "v INT, p INT";
    let table = table(root.path(), columns, "p", "");
    let of = |condition: &str| rows(&format!("{table} SELECT v FROM t WHERE {condition};"));
    let texts = |all: &[&str]| Ok(all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
    assert_eq!(of("p > 9"), texts(&["2", "3"]));
    assert_eq!(of("p = 11"), texts(&["3"]));
    assert_eq!(of("p IS NULL"), texts(&["4"]));
    assert_eq!(of("p IS NOT NULL AND p < 10"), texts(&["1", "5"]));
    assert_eq!(of("p * 2 = 18"), texts(&["1"]));
    assert_eq!(of("10 / p > 1"), texts(&[]));
    // A value that is none of the type.
    put(&root, "p=many", "a.json", "{\"v\": 6}\n");
    let failed = of("p > 9").unwrap_err();
    assert!(failed.contains("cannot decide whether the partition"), "{failed}");
    assert!(failed.contains("p=many"), "{failed}");
    fs::remove_dir_all(root.path().join("p=many")).unwrap();
    put(&root, "p=0", "a.json", "{\"v\": 7}\n");
    let failed = of("10 / p > 1").unwrap_err();
    assert!(failed.contains("/ by zero"), "{failed}");
    assert_eq!(of("p <> 0 AND 10 / p > 0"), texts(&["1", "2"]));
}

#[test]
fn explain_tells_the_partitions() {
    let root = days();
    let columns = "v INT, dt STRING, region STRING, ts TIMESTAMP(3)";
    let plain = table(root.path(), columns, "dt, region", "");
    let explain = |table: &str, condition: &str| {
        let text = explained(&format!("{table} EXPLAIN SELECT v FROM t WHERE {condition};"));
        let scan = text.lines().last().unwrap().trim().to_owned();
        scan.replace("[[default_catalog.default_database.t]]", "[[t]]")
    };
    assert_eq!(
        explain(&plain, "dt >= '2024-01-02' AND region = 'us'"),
        "+- TableSourceScan(table=[[t]], fields=[v], partitions=[{dt=2024-01-02, region=us}, \
         {dt=2024-01-03, region=us}, {dt=2024-01-09, region=us}])"
    );
    assert_eq!(
        explain(&plain, "dt = '2024-01-02' AND v > 10 AND region = 'eu'"),
        "+- TableSourceScan(table=[[t]], fields=[v], partitions=[{dt=2024-01-02, region=eu}])"
    );
    assert_eq!(
        explain(&plain, "dt = 'x'"),
        "+- TableSourceScan(table=[[t]], fields=[v], partitions=[])"
    );
    // Those of a watched directory are not all there yet.
    let watched = table(root.path(), columns, "dt, region", ", 'source.monitor-interval' = '1 s'");
    assert_eq!(
        explain(&watched, "dt = 'x' AND (region = 'eu' OR v = 1)"),
        "+- TableSourceScan(table=[[t]], fields=[v, region], partitions=[dt = 'x'])"
    );
    // Rows that nobody asks for move event time, too.
    let timed = table(root.path(), &format!("{columns}, WATERMARK FOR ts AS ts"), "dt, region", "");
    assert!(!explain(&timed, "dt = 'x'").contains("partitions="));
    // What differs each time is asked of each row.
    assert!(!explain(&plain, "dt = CAST(RAND() AS STRING)").contains("partitions="));
}

#[test]
fn a_partition_that_comes_later_is_read_if_it_is_wanted() {
    let root = days();
    let watched = ", 'source.monitor-interval' = '10 ms'";
    let table = table(root.path(), "v INT, dt STRING, region STRING", "dt, region", watched);
    let script = format!("{table} SELECT v FROM t WHERE dt > '2024-01-03' AND region <> 'yy';");
    let StatementResult::Query(mut query) = open(&script).unwrap() else { panic!("no query") };
    let mut first = take(&mut query, 2).unwrap();
    first.sort();
    assert_eq!(first, ["20", "21"]);
    // Whoever finds the last one has passed by the others.
    put(&root, "dt=2024-01-00/region=eu", "a.json", "this is no record\n");
    put(&root, "dt=2024-01-10/region=yy", "a.json", "this is no record\n");
    put(&root, "dt=2024-01-10/region=eu", "a.json", "{\"v\": 30}\n");
    assert_eq!(take(&mut query, 1).unwrap(), ["30"]);
    put(&root, "dt=2024-01-09/region=eu", "b.json", "{\"v\": 22}\n");
    assert_eq!(take(&mut query, 1).unwrap(), ["22"]);
}
