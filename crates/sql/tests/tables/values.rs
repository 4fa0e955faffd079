//! Values of Rust types in columns and back.

use std::{collections::BTreeMap, sync::Arc};

use arrow_schema::Schema as ArrowSchema;
use hurtig_sql::values::{
    Date, Decimal, RowReader, RowWriter, Time, Timestamp, TimestampLtz, columns_of,
};
use hurtig_sql_common::columns::{field, type_of_text};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Colour {
    Red,
    Green,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    x: f32,
    name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    small: i8,
    short: u8,
    int: i32,
    long: i64,
    wide: u64,
    float: f64,
    text: Option<String>,
    letter: char,
    bytes: Vec<u8>,
    at: Timestamp,
    moment: Option<TimestampLtz>,
    date: Date,
    time: Time,
    price: Decimal,
    tags: Vec<Option<i32>>,
    counts: BTreeMap<String, i64>,
    place: Option<Place>,
    pair: (i16, String),
    colour: Colour,
}

fn everything() -> Vec<Everything> {
    let one = Everything {
        flag: true,
        small: -7,
        short: 200,
        int: i32::MIN,
        long: i64::MAX,
        wide: u64::MAX,
        float: 0.5,
        text: Some("Ä".to_owned()),
        letter: 'é',
        bytes: vec![0, 255, 7],
        at: Timestamp::from_millis(-1),
        moment: Some(TimestampLtz::from_epoch_millis(1_700_000_000_123)),
        date: Date::from_epoch_days(-1),
        time: Time::from_millis_of_day(86_399_999),
        price: Decimal::from(-3),
        tags: vec![Some(1), None, Some(3)],
        counts: BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]),
        place: Some(Place { x: 1.5, name: None }),
        pair: (9, "p".to_owned()),
        colour: Colour::Green,
    };
    let other = Everything {
        text: None,
        moment: None,
        tags: Vec::new(),
        counts: BTreeMap::new(),
        place: None,
        colour: Colour::Red,
        ..one.clone()
    };
    vec![one, other]
}

/// Writes records as rows of declared columns, and reads them as another type.
fn through<T: Serialize, R: DeserializeOwned>(
    records: &[T],
    columns: &[(&str, &str)],
) -> Result<Vec<R>, String> {
    let fields = columns.iter().map(|(name, of)| field(name, &type_of_text(of).unwrap()).unwrap());
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    let fields: Vec<(usize, String)> =
        columns.iter().enumerate().map(|(at, (name, _))| (at, (*name).to_owned())).collect();
    let mut writer = RowWriter::new(schema, &fields).map_err(|error| error.to_string())?;
    for record in records {
        writer.write(record).map_err(|error| error.to_string())?;
    }
    let rows = writer.finish().map_err(|error| error.to_string())?;
    let names: Vec<String> = fields.into_iter().map(|(_, name)| name).collect();
    let reader = RowReader::new(&rows, &names).map_err(|error| error.to_string())?;
    (0..rows.num_rows()).map(|row| reader.read(row).map_err(|error| error.to_string())).collect()
}

#[test]
fn every_type_comes_back_as_it_went() {
    let columns: Vec<(String, String)> = columns_of::<Everything>()
        .unwrap()
        .into_iter()
        .map(|(name, of)| (name, of.to_string()))
        .collect();
    let columns: Vec<(&str, &str)> =
        columns.iter().map(|(name, of)| (name.as_str(), of.as_str())).collect();
    let found: Vec<Everything> = through(&everything(), &columns).unwrap();
    assert_eq!(found, everything());
}

#[test]
fn declared_types_convert() {
    let columns = [("f0", "TIMESTAMP(6)"), ("f1", "DECIMAL(10, 2)"), ("f2", "DATE")];
    let records = [(1_500i64, "2.345".to_owned(), "2024-02-29".to_owned())];
    let texts: Vec<(String, String, String)> = through(&records, &columns).unwrap();
    assert_eq!(texts[0].0, "1970-01-01T00:00:01.500");
    assert_eq!(texts[0].1, "2.35");
    let numbers: Vec<(i64, f64, i32)> = through(&records, &columns).unwrap();
    assert_eq!(numbers, [(1_500, 2.35, 19_782)]);
    let narrow: Vec<(i8,)> = through(&[(100i64,)], &[("f0", "INT")]).unwrap();
    assert_eq!(narrow, [(100,)]);
}

#[test]
fn what_does_not_fit_says_where() {
    let error = through::<_, (i8,)>(&[(1_000i64,)], &[("f0", "TINYINT")]).unwrap_err();
    assert_eq!(error, "column f0: 1000 is no value of type TINYINT");
    let error = through::<_, (i8,)>(&[(1_000i64,)], &[("f0", "INT")]).unwrap_err();
    assert!(error.starts_with("column f0: ") && error.contains("1000"), "{error}");
    let error = through::<_, (i32,)>(&[(None::<i32>,)], &[("f0", "INT")]).unwrap_err();
    assert!(error.contains("column f0") && error.contains("NULL"), "{error}");
    let error = through::<_, (i32,)>(&[("x".to_owned(),)], &[("f0", "DATE")]).unwrap_err();
    assert_eq!(error, "column f0: 'x' is no date");
    let error = through::<_, (f64,)>(&[(12_345i32,)], &[("f0", "DECIMAL(4, 1)")]).unwrap_err();
    assert_eq!(error, "column f0: 12345 is no value of type DECIMAL");
    let error = through::<_, i64>(&[(1i64, 2i64)], &[("a", "BIGINT"), ("b", "BIGINT")]);
    assert!(error.unwrap_err().contains("no single value"));
    let error = through::<_, (i32,)>(&[(None::<i32>,)], &[("f0", "INT NOT NULL")]).unwrap_err();
    assert!(error.contains("f0") && error.contains("null"), "{error}");
}
