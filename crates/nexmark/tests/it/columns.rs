//! Arrow batches against the records of the generator.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::DataType;
use hurtig_nexmark::columns::{ColumnGenerator, schema_of};
use hurtig_nexmark::{Column, ColumnSet, Event, NexmarkGenerator, Projection};

fn source(split: u32, num_splits: u32, projection: Projection) -> ColumnGenerator {
    let generator = NexmarkGenerator::new(split, num_splits, Some(3000)).unwrap();
    ColumnGenerator::new(generator, projection)
}

/// A value of a column, as text; `None` for null.
fn value(array: &dyn Array, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Timestamp(..) => {
            array.as_primitive::<TimestampMillisecondType>().value(row).to_string()
        }
        _ => array.as_string_view().value(row).to_owned(),
    })
}

/// All values of a row of a struct.
fn values(array: &StructArray, row: usize) -> Vec<Option<String>> {
    array.columns().iter().map(|column| value(column, row)).collect()
}

/// Number of the struct and values of the one that should be set.
fn expected(event: &Event) -> (usize, Vec<Option<String>>) {
    let (kind, values) = match event {
        Event::Person(p) => (
            0,
            vec![
                p.id.to_string(),
                p.name.to_string(),
                p.email_address.to_string(),
                p.credit_card.to_string(),
                p.city.to_string(),
                p.state.to_string(),
                p.date_time.to_string(),
                p.extra.to_string(),
            ],
        ),
        Event::Auction(a) => (
            1,
            vec![
                a.id.to_string(),
                a.item_name.to_string(),
                a.description.to_string(),
                a.initial_bid.to_string(),
                a.reserve.to_string(),
                a.date_time.to_string(),
                a.expires.to_string(),
                a.seller.to_string(),
                a.category.to_string(),
                a.extra.to_string(),
            ],
        ),
        Event::Bid(b) => (
            2,
            vec![
                b.auction.to_string(),
                b.bidder.to_string(),
                b.price.to_string(),
                b.channel.to_string(),
                b.url.to_string(),
                b.date_time.to_string(),
                b.extra.to_string(),
            ],
        ),
    };
    (kind, values.into_iter().map(Some).collect())
}

fn check_row(batch: &RecordBatch, row: usize, event: &Event) {
    let (kind, set) = expected(event);
    assert_eq!(value(batch.column(0), row), Some(kind.to_string()));
    for number in 0..3 {
        let record = batch.column(number + 1).as_struct();
        assert_eq!(record.is_valid(row), number == kind);
        let null = vec![None; record.num_columns()];
        assert_eq!(values(record, row), if number == kind { set.clone() } else { null });
    }
}

#[test]
fn batches_hold_the_events_of_the_split() {
    for (split, num_splits) in [(0, 1), (1, 3)] {
        let mut events = NexmarkGenerator::new(split, num_splits, Some(3000)).unwrap();
        let mut columns = source(split, num_splits, Projection::all());
        while let Some(batch) = columns.next_batch(128).unwrap() {
            assert_eq!(batch.schema(), columns.schema());
            for row in 0..batch.num_rows() {
                check_row(&batch, row, &events.next_event().unwrap());
            }
            assert_eq!(columns.position(), events.position());
        }
        assert_eq!(events.next_event(), None);
    }
}

/// Every set of one or two columns against the same columns of the full struct.
fn check_sets<C: Column>(number: usize, project: impl Fn(ColumnSet<C>) -> Projection) {
    let full = source(0, 1, Projection::all()).batch(25, 100).unwrap();
    let full = full.column(number).as_struct();
    for a in C::ALL {
        for b in C::ALL {
            let set: ColumnSet<C> = [*a, *b].into_iter().collect();
            let batch = source(0, 1, project(set)).batch(25, 100).unwrap();
            assert_eq!(batch.num_columns(), 1);
            let part = batch.column(0).as_struct();
            assert_eq!(part.num_columns(), set.len());
            assert_eq!(part.nulls(), full.nulls());
            for (column, array) in set.iter().zip(part.columns()) {
                assert_eq!(array, full.column_by_name(column.name()).unwrap());
            }
        }
    }
}

#[test]
fn projected_columns_equal_the_full_ones() {
    check_sets(1, |person| Projection { person, ..Projection::none() });
    check_sets(2, |auction| Projection { auction, ..Projection::none() });
    check_sets(3, |bid| Projection { bid, ..Projection::none() });
}

#[test]
fn a_projection_without_columns_still_counts_rows() {
    let mut columns = source(1, 2, Projection::none());
    let batch = columns.next_batch(1000).unwrap().unwrap();
    assert_eq!((batch.num_columns(), batch.num_rows()), (0, 1000));
    assert_eq!(columns.next_batch(1000).unwrap().unwrap().num_rows(), 500);
    assert!(columns.next_batch(1000).unwrap().is_none());
}

#[test]
fn seek_resumes_batches_exactly() {
    let projection = Projection::of_paths(["event_type", "bid.price", "auction.id"]).unwrap();
    let mut columns = source(1, 3, projection);
    columns.next_batch(100).unwrap();
    let mut resumed = source(1, 3, projection);
    resumed.seek(columns.position());
    assert_eq!(resumed.next_batch(64).unwrap(), columns.next_batch(64).unwrap());
}

#[test]
fn the_schema_is_that_of_the_queries() {
    let ddl = include_str!("../../queries/ddl.sql");
    let table = ddl.lines().filter(|line| line.starts_with("  "));
    let mut declared = table.take(4).map(|line| line.trim().trim_end_matches(',').replace('`', ""));
    for field in schema_of(&Projection::all()).fields() {
        let sql = match field.data_type() {
            DataType::Struct(fields) => {
                let fields: Vec<_> =
                    fields.iter().map(|f| format!("{} {}", f.name(), sql(f.data_type()))).collect();
                format!("ROW<{}>", fields.join(", "))
            }
            other => sql(other).to_owned(),
        };
        assert_eq!(declared.next(), Some(format!("{} {sql}", field.name())));
    }
    assert_eq!(declared.next(), None);
}

fn sql(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int32 => "INT",
        DataType::Int64 => "BIGINT",
        DataType::Utf8View => "VARCHAR",
        DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, None) => "TIMESTAMP(3)",
        _ => "unknown",
    }
}
