//! Tables of streams, and streams of tables.

use hurtig::prelude::*;
use hurtig_sql::{
    ChangelogMode, ChangelogRow, RowKind, Schema, StatementResult, StreamTableEnvironment,
    values::TimestampLtz,
};

use super::{changes, error};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: i64,
    item: Option<String>,
    price: f64,
    at: i64,
}

fn orders() -> Vec<Order> {
    let order = |id, item: Option<&str>, price, at| {
        let item = item.map(str::to_owned);
        Order { id, item, price, at }
    };
    vec![
        order(1, Some("tea"), 4.0, 1_000),
        order(2, Some("ink"), 9.5, 2_000),
        order(3, None, 1.0, 11_000),
        order(4, Some("tea"), 6.0, 12_000),
    ]
}

fn timed(env: &StreamExecutionEnvironment) -> DataStream<Order> {
    let strategy = WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|order: &Order| order.at);
    env.from_collection(orders()).assign_timestamps_and_watermarks(strategy)
}

#[test]
fn records_are_rows_and_rows_are_records() {
    let env = StreamExecutionEnvironment::new();
    let mut tables = StreamTableEnvironment::create(&env);
    let table = tables.from_data_stream(&env.from_collection(orders())).unwrap();
    let columns: Vec<String> =
        table.columns().iter().map(|(name, of)| format!("{name} {of}")).collect();
    assert_eq!(
        columns,
        ["id BIGINT NOT NULL", "item STRING", "price DOUBLE NOT NULL", "at BIGINT NOT NULL"]
    );
    tables.create_temporary_view("orders", &table).unwrap();
    let query = "SELECT `at`, item, price * 2 AS price, id FROM orders WHERE id <> 2";
    let doubled = tables.sql_query(query).unwrap();
    let stream: DataStream<Order> = tables.to_data_stream(&doubled).unwrap();
    let mut expected = orders();
    expected.remove(1);
    expected.iter_mut().for_each(|order| order.price *= 2.0);
    assert_eq!(stream.execute_and_collect("doubled").unwrap(), expected);
}

#[test]
fn tuples_and_values_are_rows_too() {
    let env = StreamExecutionEnvironment::new();
    let mut tables = StreamTableEnvironment::create(&env);
    let pairs = env.from_collection(vec![(1i32, "a".to_owned()), (2, "b".to_owned())]);
    tables.create_temporary_view("pairs", &pairs).unwrap();
    let swapped = tables.sql_query("SELECT f1, f0 FROM pairs").unwrap();
    let swapped: DataStream<(String, i64)> = tables.to_data_stream(&swapped).unwrap();
    let found = swapped.execute_and_collect("swapped").unwrap();
    assert_eq!(found, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    let env = StreamExecutionEnvironment::new();
    let mut tables = StreamTableEnvironment::create(&env);
    tables.create_temporary_view("numbers", &env.from_sequence(1, 3)).unwrap();
    let found = changes(&mut tables, "SELECT f0 * 10 FROM numbers");
    assert_eq!(found.len(), 3);
    assert!(found.contains(&"+I[30]".to_owned()), "{found:?}");
}

#[test]
fn timestamps_and_watermarks_pass_through() {
    let env = StreamExecutionEnvironment::new();
    let mut tables = StreamTableEnvironment::create(&env);
    let schema = Schema::new_builder()
        .column_by_metadata("rowtime", "TIMESTAMP_LTZ(3)")
        .watermark("rowtime", "SOURCE_WATERMARK()")
        .build();
    tables.create_temporary_view_with("orders", &timed(&env), &schema).unwrap();
    let windows = "SELECT window_end, window_time, SUM(price) AS total FROM TABLE(TUMBLE(TABLE \
                   orders, DESCRIPTOR(rowtime), INTERVAL '10' SECOND)) \
                   GROUP BY window_start, window_end, window_time";
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Total {
        window_time: TimestampLtz,
        total: f64,
    }
    let windows = tables.sql_query(&windows.replace("window_end, window_time,", "window_time,"));
    let stream: DataStream<Total> = tables.to_data_stream(&windows.unwrap()).unwrap();
    // Event time is that of the rows: a window of streams behind a window of tables.
    let joined = stream
        .key_by(|_| 0u8)
        .window(TumblingEventTimeWindows::of(Duration::from_secs(20)))
        .reduce(|sum, one| sum.total += one.total);
    let found = joined.execute_and_collect("windows").unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].total, 20.5);
    assert_eq!(found[0].window_time, TimestampLtz::from_epoch_millis(9_999));
}

#[test]
fn columns_are_derived_and_watermarks_declared() {
    let env = StreamExecutionEnvironment::new();
    let mut tables = StreamTableEnvironment::create(&env);
    let schema = Schema::new_builder()
        .column("id", "INT")
        .column("at", "TIMESTAMP(3)")
        .column_by_expression("late", "`at` + INTERVAL '1' SECOND")
        .watermark("at", "`at` - INTERVAL '1' SECOND")
        .build();
    let stream = env.from_collection(orders());
    tables.create_temporary_view_with("orders", &stream, &schema).unwrap();
    let query = "SELECT id, late FROM orders WHERE id < 3";
    assert_eq!(
        changes(&mut tables, query),
        ["+I[1, 1970-01-01 00:00:02.000]", "+I[2, 1970-01-01 00:00:03.000]"]
    );
    let query = "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`at`), \
                 INTERVAL '10' SECOND)) GROUP BY window_start, window_end";
    assert_eq!(
        changes(&mut tables, query),
        ["+I[1970-01-01 00:00:00.000, 2]", "+I[1970-01-01 00:00:10.000, 2]"]
    );
    let unknown = Schema::new_builder().column("prize", "INT").build();
    let text = error(tables.from_data_stream_with(&stream, &unknown));
    assert!(text.contains("no field 'prize': they have id, item, price, at"), "{text}");
}

#[test]
fn changes_go_both_ways() {
    let env = StreamExecutionEnvironment::new();
    let mut tables = StreamTableEnvironment::create(&env);
    let row = |kind, name: &str, score| ChangelogRow::of_kind(kind, (name.to_owned(), score));
    let stream = env.from_collection(vec![
        row(RowKind::Insert, "ann", 12i32),
        row(RowKind::Insert, "bob", 5),
        row(RowKind::UpdateAfter, "ann", 100),
        row(RowKind::Delete, "bob", 5),
    ]);
    let schema = Schema::new_builder().primary_key(&["f0"]).build();
    let schema_mode = ChangelogMode::UPSERT;
    let table = tables.from_changelog_stream(&stream, &schema, schema_mode).unwrap();
    tables.create_temporary_view("scores", &table).unwrap();
    let sum = tables.sql_query("SELECT SUM(f1) AS total FROM scores").unwrap();
    let text = error(tables.to_data_stream::<i32>(&sum));
    assert!(text.contains("doesn't support") || text.contains("does not support"), "{text}");
    let changes: DataStream<ChangelogRow<Option<i32>>> = tables.to_changelog_stream(&sum).unwrap();
    let found = changes.execute_and_collect("sums").unwrap();
    let last = found.last().unwrap();
    assert!(last.kind.adds() && last.row == Some(100), "{found:?}");
    assert!(found.iter().all(|one| one.kind != RowKind::Delete), "{found:?}");
}

#[test]
fn statements_take_what_they_read_of_the_program_and_no_more() {
    let env = StreamExecutionEnvironment::new();
    let mut tables = StreamTableEnvironment::create(&env);
    let directory = tempfile::tempdir().unwrap();
    tables.create_temporary_view("orders", &env.from_collection(orders())).unwrap();
    // It would fail every job that it is a part of.
    let broken = env.from_collection(vec![0i32]).map(|_| -> i32 { panic!("not asked for") });
    tables.create_temporary_view("broken", &broken).unwrap();
    let path = directory.path().display();
    tables
        .execute_sql(&format!(
            "CREATE TABLE sink (id BIGINT, price DOUBLE) WITH ('connector' = 'filesystem', \
             'path' = '{path}', 'format' = 'json')"
        ))
        .unwrap();
    let job = tables.execute_sql("INSERT INTO sink SELECT id, price FROM orders").unwrap();
    let StatementResult::Job(job) = job else { panic!("no job") };
    job.wait().unwrap();
    let count = changes(&mut tables, "SELECT COUNT(*) FROM sink");
    assert!(count.last().unwrap().ends_with("[4]"), "{count:?}");
}

#[test]
fn statement_sets_join_the_program() {
    let env = StreamExecutionEnvironment::new();
    let mut tables = StreamTableEnvironment::create(&env);
    let directory = tempfile::tempdir().unwrap();
    tables.create_temporary_view("numbers", &env.from_sequence(1, 5)).unwrap();
    for name in ["small", "big"] {
        let path = directory.path().join(name);
        tables
            .execute_sql(&format!(
                "CREATE TABLE {name} (n BIGINT) WITH ('connector' = 'filesystem', \
                 'path' = '{}', 'format' = 'csv')",
                path.display()
            ))
            .unwrap();
    }
    let big = tables.sql_query("SELECT f0 FROM numbers WHERE f0 > 3").unwrap();
    let set = tables.create_statement_set();
    let set = set.add_insert_sql("INSERT INTO small SELECT f0 FROM numbers WHERE f0 < 3").unwrap();
    set.add_insert("big", &big).unwrap().attach_as_data_stream().unwrap();
    env.execute("both").unwrap();
    let mut found = changes(&mut tables, "SELECT n FROM small UNION ALL SELECT n FROM big");
    found.sort();
    assert_eq!(found, ["+I[1]", "+I[2]", "+I[4]", "+I[5]"]);
}

#[test]
fn what_does_not_fit_is_told_before_anything_runs() {
    let env = StreamExecutionEnvironment::new();
    let mut tables = StreamTableEnvironment::create(&env);
    tables.create_temporary_view("orders", &env.from_collection(orders())).unwrap();
    let table = tables.sql_query("SELECT id, item AS name FROM orders").unwrap();
    #[derive(Clone, Serialize, Deserialize)]
    struct Named {
        id: i64,
        title: String,
    }
    let text = error(tables.to_data_stream::<Named>(&table));
    assert!(text.contains("no column 'title'") && text.contains("it has id, name"), "{text}");
    let text = error(tables.to_data_stream::<(i64, String, i64)>(&table));
    assert!(text.contains("has 2 columns") && text.contains("3 fields"), "{text}");
    // A NULL is found where it is.
    let stream: DataStream<(i64, String)> = tables.to_data_stream(&table).unwrap();
    let text = stream.execute_and_collect("null").unwrap_err().to_string();
    assert!(text.contains("column name") && text.contains("NULL"), "{text}");
    let other = StreamExecutionEnvironment::new();
    let foreign = other.from_sequence(1, 2);
    tables.create_temporary_view("foreign_numbers", &foreign).unwrap();
    let text = error(tables.execute_sql("SELECT * FROM foreign_numbers"));
    assert!(text.contains("of another environment"), "{text}");
    let text = error(tables.create_temporary_view("orders", &table));
    assert!(text.contains("already exists"), "{text}");
}
