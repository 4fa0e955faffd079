//! Bytes of any kind: rows or errors, never a panic, and nothing of a record that failed.

use crate::{all, decode, decoding, oracle};

/// A small generator of numbers, for inputs that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

#[test]
fn broken_records_leave_nothing_behind() {
    let nested = &[
        ("id", "INT"),
        ("ints", "ARRAY<INT>"),
        ("props", "MAP<STRING, INT>"),
        ("addr", "ROW<city STRING, geo ROW<lat DOUBLE NOT NULL, lon DECIMAL(5, 2)>>"),
        ("items", "ARRAY<ROW<sku STRING, qty INT>>"),
    ];
    let change = &[("account_id", "INT"), ("owner", "STRING"), ("updated", "TIMESTAMP(3)")];
    let people = &[("id", "INT"), ("name", "STRING"), ("a", "ARRAY<INT>"), ("h", "DOUBLE")];
    for (format, file, table) in [
        ("json", "nested.json", &nested[..]),
        ("debezium-json", "cdc_accounts.debezium.json", change),
        ("canal-json", "cdc_tickets.canal.json", change),
        ("maxwell-json", "cdc_scores.maxwell.json", change),
        ("csv", "people.csv", people),
    ] {
        let lines = oracle(file);
        for ignore in ["true", "false"] {
            let made = decoding(format, table, &[("ignore-parse-errors", ignore)]).unwrap();
            let mut decoder = made.decoder(&all(table.len())).unwrap();
            let mut numbers = Numbers(7);
            let mut rows = 0;
            for _ in 0..4000 {
                let mut record = lines[numbers.below(lines.len())].clone();
                for _ in 0..numbers.below(4) {
                    let at = numbers.below(record.len());
                    match numbers.below(4) {
                        0 => record.truncate(at),
                        1 if at < record.len() => record[at] = numbers.below(256) as u8,
                        2 => record.insert(at, b"{}[]\",:\\-1"[numbers.below(10)]),
                        _ => {
                            let tail = record.split_off(at);
                            record.splice(0..0, tail);
                        }
                    }
                }
                let before = decoder.rows();
                match decoder.decode(&record) {
                    Ok(()) => rows += decoder.rows() - before,
                    Err(error) => {
                        assert_eq!(decoder.rows(), before);
                        assert!(error.offset <= record.len(), "{error}");
                    }
                }
            }
            let decoded = decoder.finish().unwrap();
            assert_eq!(decoded.rows, rows);
            for column in &decoded.columns {
                assert_eq!(column.len(), rows, "{format}");
                column.to_data().validate_full().unwrap();
            }
        }
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = format!("{{\"s\":{}", "[".repeat(1_000_000));
    let long = format!("{{\"s\":\"{}\"}}", "x".repeat(4 << 20));
    let rows = decode("json", &[("s", "STRING")], &[], &[deep.as_bytes(), long.as_bytes()]);
    assert_eq!(rows[0].len(), (4 << 20) + 4);
    assert!(rows[1].contains("nested too deeply") && rows[1].len() < 2000, "{}", rows[1].len());
    let bytes = decode("json", &[("s", "STRING")], &[], &[b"{\"s\":\"\xff\"}"]);
    assert!(bytes[0].starts_with("6:") && bytes[0].contains("character set"), "{bytes:?}");
}
