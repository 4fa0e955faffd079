//! From a stream to a table, through SQL, and back to a stream.
//!
//!     cargo run --release -p hurtig-sql --example tables_and_streams

use hurtig::prelude::*;
use hurtig_sql::{ChangelogRow, Schema, StreamTableEnvironment, values::TimestampLtz};

#[derive(Clone, Serialize, Deserialize)]
struct Click {
    user: String,
    page: String,
    at_ms: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PageViews {
    page: String,
    window_time: TimestampLtz,
    views: i64,
}

fn clicks() -> Vec<Click> {
    let click = |n: i64| Click {
        user: format!("user {}", n % 3),
        page: ["home", "help", "shop"][(n % 7 % 3) as usize].to_owned(),
        at_ms: n * 700,
    };
    (0..60).map(click).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let env = StreamExecutionEnvironment::new();
    let mut tables = StreamTableEnvironment::create(&env);
    let strategy = WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|click: &Click| click.at_ms);
    let stream = env.from_collection(clicks()).assign_timestamps_and_watermarks(strategy);

    // The stream's own timestamps and watermarks are the table's event time.
    let schema = Schema::new_builder()
        .column_by_metadata("rowtime", "TIMESTAMP_LTZ(3)")
        .watermark("rowtime", "SOURCE_WATERMARK()")
        .build();
    tables.create_temporary_view_with("clicks", &stream, &schema)?;

    let windows = tables.sql_query(
        "SELECT page, window_time, COUNT(*) AS views
         FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(rowtime), INTERVAL '10' SECOND))
         GROUP BY page, window_start, window_end, window_time",
    )?;
    let views: DataStream<PageViews> = tables.to_data_stream(&windows)?;
    views.print();

    // A result that changes is a stream of changes.
    let busiest = tables.sql_query("SELECT `user`, COUNT(*) AS n FROM clicks GROUP BY `user`")?;
    let changes: DataStream<ChangelogRow<(String, i64)>> = tables.to_changelog_stream(&busiest)?;
    changes.filter(|change| change.row.1 >= 20).print();

    env.execute("tables and streams")?;
    Ok(())
}
