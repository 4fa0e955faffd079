//! `datagen`, `nexmark-gen`, rows of the program, and sinks that keep nothing.

use hurtig_sql::connectors::{Connectors, Scan, ScanColumn, values::values};
use hurtig_sql_common::{ChangelogBatch, columns};

use crate::{copy, read, rows_of, table, whole};

#[test]
fn sequences_end_and_random_values_are_within_bounds() {
    let made = table(
        &[
            ("id", "BIGINT NOT NULL"),
            ("n", "INT"),
            ("d", "DECIMAL(5, 2)"),
            ("s", "VARCHAR(7)"),
            ("r", "ROW<a TINYINT, b ARRAY<BOOLEAN>>"),
            ("ts", "TIMESTAMP(3)"),
            ("m", "MAP<STRING, DOUBLE>"),
        ],
        &[
            ("connector", "datagen"),
            ("rows-per-second", "1000000"),
            ("fields.id.kind", "sequence"),
            ("fields.id.start", "11"),
            ("fields.id.end", "510"),
            ("fields.n.min", "-3"),
            ("fields.n.max", "3"),
            ("fields.n.null-rate", "0.5"),
            ("fields.r.a.min", "5"),
            ("fields.s.length", "4"),
        ],
    );
    let rows = read(&made, whole(&made), 3).unwrap();
    assert_eq!(rows.len(), 500);
    let mut ids = Vec::new();
    let mut nulls = 0;
    for row in &rows {
        let fields: Vec<_> = row[3..row.len() - 1].split('|').collect();
        ids.push(fields[0].parse::<i64>().unwrap());
        match fields[1].parse::<i32>() {
            Ok(n) => assert!((-3..=3).contains(&n)),
            Err(_) => nulls += 1,
        }
        assert_eq!(fields[3].len(), 4, "{row}");
        assert!(fields[4].starts_with('('), "{row}");
    }
    ids.sort_unstable();
    assert_eq!(ids, (11..=510).collect::<Vec<_>>());
    assert!((150..350).contains(&nulls), "{nulls}");
    // The same again, but for times.
    let stable = |rows: &[String]| {
        rows.iter()
            .map(|row| row.split('|').take(5).collect::<Vec<_>>().join("|"))
            .collect::<Vec<_>>()
    };
    assert_eq!(stable(&rows), stable(&read(&made, whole(&made), 1).unwrap()));
}

#[test]
fn options_of_generators_are_checked() {
    let fails = |columns: &[(&str, &str)], key: &str, value: &str| {
        let made = table(columns, &[("connector", "datagen"), (key, value)]);
        assert!(Connectors::default().source(&made).is_err(), "{key} = {value}");
    };
    let columns = &[("a", "INT"), ("c", "CHAR(3)"), ("v", "VARCHAR(3)"), ("b", "BOOLEAN NOT NULL")];
    fails(columns, "fields.a.kind", "often");
    fails(columns, "fields.a.kind", "sequence");
    fails(columns, "fields.a.max", "99999999999");
    fails(columns, "fields.x.kind", "random");
    fails(columns, "fields.c.length", "2");
    fails(columns, "fields.v.length", "4");
    fails(columns, "fields.b.null-rate", "0.1");
    fails(columns, "rows-per-second", "0");
    fails(columns, "rows-per-minute", "1");
}

#[test]
fn nexmark_gives_the_columns_that_are_read() {
    let events = table(
        &[
            ("event_type", "INT"),
            ("person", "ROW<id BIGINT, name VARCHAR>"),
            ("bid", "ROW<auction BIGINT, price BIGINT, channel VARCHAR, `dateTime` TIMESTAMP(3)>"),
        ],
        &[("connector", "nexmark-gen"), ("events.num", "1000")],
    );
    let all = read(&events, whole(&events), 2).unwrap();
    assert_eq!(all.len(), 1000);
    assert_eq!(all.iter().filter(|row| row.starts_with("+I[2|NULL|(")).count(), 920);
    assert_eq!(all.iter().filter(|row| row.starts_with("+I[0|(")).count(), 20);

    let price = events.columns[2].1.clone();
    let hurtig_sql_parser::types::SqlTypeKind::Row(fields) = &price.kind else { panic!("a ROW") };
    let field = columns::field("price#1", &fields[1].data_type).unwrap();
    let scan = Scan {
        columns: vec![ScanColumn::Physical { column: 2, path: vec![1] }],
        schema: std::sync::Arc::new(arrow_schema::Schema::new(vec![field])),
        ..whole(&events)
    };
    let prices = read(&events, scan, 1).unwrap();
    assert_eq!(prices.iter().filter(|row| *row == "+I[NULL]").count(), 80);
    assert_eq!(prices.len(), 1000);
}

#[test]
fn rows_of_the_program_come_in_order_and_sinks_take_them() {
    let made = table(&[("a", "INT")], &[("connector", "datagen"), ("number-of-rows", "10")]);
    for connector in ["blackhole", "print"] {
        copy(&made, &table(&[("a", "INT")], &[("connector", connector)]), 2);
    }
    let schema = whole(&made).schema;
    let column = arrow_array::Int32Array::from(vec![1, 2, 3]);
    let rows = arrow_array::RecordBatch::try_new(schema.clone(), vec![std::sync::Arc::new(column)]);
    let factory = values(vec![ChangelogBatch::inserts(rows.unwrap())], None);
    assert_eq!(rows_of(factory, &schema, 2).unwrap(), ["+I[1]", "+I[2]", "+I[3]"]);
}
