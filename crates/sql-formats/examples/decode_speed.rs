//! How fast records are decoded, in MB/s of one core: `cargo run --release --example decode_speed`.

#![allow(clippy::disallowed_methods)] // it measures time

use std::{collections::BTreeMap, fmt::Write, time::Instant};

use hurtig_sql_formats::{DecodedColumn, DecodingFormat};
use hurtig_sql_parser::{SqlParser, types::SqlDataType};

const RECORDS: usize = 200_000;
const COLUMNS: [(&str, &str); 9] = [
    ("order_id", "BIGINT"),
    ("customer_id", "INT"),
    ("product_id", "STRING"),
    ("quantity", "INT"),
    ("price", "DECIMAL(10, 2)"),
    ("currency", "STRING"),
    ("order_time", "TIMESTAMP(3)"),
    ("status", "STRING"),
    ("note", "STRING"),
];

fn main() {
    let (mut json, mut csv) = (String::new(), String::new());
    for n in 0..RECORDS {
        let (cents, second) = (n * 37 % 100_000, n % 60);
        let _ = writeln!(
            json,
            "{{\"order_id\": {n}, \"customer_id\": {}, \"product_id\": \"P{:02}\", \"quantity\": {}, \
             \"price\": {}.{:02}, \"currency\": \"EUR\", \"order_time\": \"2024-03-01 09:15:{second:02}.250\", \
             \"status\": \"shipped\", \"note\": \"left at the door of the neighbour\"}}",
            n % 5000,
            n % 100,
            n % 7,
            cents / 100,
            cents % 100
        );
        let _ = writeln!(
            csv,
            "{n},{},P{:02},{},{}.{:02},EUR,2024-03-01 09:15:{second:02}.250,shipped,\"left at the door\"",
            n % 5000,
            n % 100,
            n % 7,
            cents / 100,
            cents % 100
        );
    }
    let parser = SqlParser::default();
    let columns: Vec<(String, SqlDataType)> = COLUMNS
        .iter()
        .map(|(name, text)| ((*name).to_owned(), parser.data_type(text).expect("a type")))
        .collect();
    for (identifier, text, read) in
        [("json", &json, 9), ("json", &json, 2), ("csv", &csv, 9), ("csv", &csv, 2)]
    {
        let format = DecodingFormat::from_options(identifier, &columns, &BTreeMap::new());
        let wanted: Vec<_> =
            (0..read).map(|column| DecodedColumn::Physical { column, path: Vec::new() }).collect();
        let mut decoder = format.and_then(|format| format.decoder(&wanted)).expect("a decoder");
        let mut best = f64::MAX;
        for _ in 0..5 {
            let began = Instant::now();
            let mut rows = 0;
            for line in text.trim_end().as_bytes().split(|byte| *byte == b'\n') {
                decoder.decode(line).unwrap_or_else(|error| panic!("{error}"));
                if decoder.rows() >= 4096 {
                    rows += decoder.finish().expect("columns").rows;
                }
            }
            rows += decoder.finish().expect("columns").rows;
            assert!(rows >= RECORDS, "{rows} rows");
            best = best.min(began.elapsed().as_secs_f64());
        }
        let (megabytes, records) = (text.len() as f64 / 1e6, RECORDS as f64 / 1e6);
        println!(
            "{identifier}, {read} of 9 columns: {:.0} MB/s, {:.2} million records/s",
            megabytes / best,
            records / best
        );
    }
}
