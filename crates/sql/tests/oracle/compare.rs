//! Whether two results are equal, as the corpus' README says.

use std::collections::BTreeSet;

use serde_json::Value;

/// A row as text; NULL is none.
pub type Row = Vec<Option<String>>;

/// What of a case's meta data decides.
pub struct Rules {
    floats: BTreeSet<usize>,
    maps: BTreeSet<usize>,
    tolerance: f64,
    ordered: bool,
}

impl Rules {
    /// Of a case.
    pub fn of(meta: &Value) -> Self {
        let schema = meta["schema"].as_array().cloned().unwrap_or_default();
        let named = |key: &str| {
            let names = meta[key].as_array().cloned().unwrap_or_default();
            let columns = schema.iter().enumerate();
            let columns = columns.filter(|(_, column)| names.contains(&column[0]));
            columns.map(|(index, _)| index).collect()
        };
        let of_float = |column: &Value| column[1].as_str().is_some_and(|t| t.contains("FLOAT"));
        let tolerance = if schema.iter().any(of_float) { 1e-6 } else { 1e-9 };
        let ordered = meta["ordered"].as_bool().unwrap_or(false);
        Self { floats: named("float_columns"), maps: named("map_columns"), tolerance, ordered }
    }

    /// The difference between two results, if there is one.
    pub fn difference(&self, expected: Vec<Row>, actual: Vec<Row>) -> Option<String> {
        let mut expected: Vec<_> = expected.iter().map(|row| self.prepared(row)).collect();
        let mut actual: Vec<_> = actual.iter().map(|row| self.prepared(row)).collect();
        if !self.ordered {
            expected.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
            actual.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        }
        let equal = |(a, b): (&Prepared, &Prepared)| {
            let close = |(a, b): (&f64, &f64)| {
                let bound = self.tolerance * a.abs().max(b.abs()).max(1e-300);
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= bound
            };
            a.text == b.text
                && a.numbers.len() == b.numbers.len()
                && a.numbers.iter().zip(&b.numbers).all(close)
        };
        if expected.len() == actual.len() && expected.iter().zip(&actual).all(equal) {
            return None;
        }
        let missing = expected.iter().filter(|row| !actual.iter().any(|other| equal((row, other))));
        let surplus = actual.iter().filter(|row| !expected.iter().any(|other| equal((row, other))));
        let shown = |rows: Vec<&Prepared>| {
            rows.iter()
                .take(4)
                .map(|row| format!("  {:?} {:?}\n", row.text, row.numbers))
                .collect::<String>()
        };
        Some(format!(
            "expected {} rows, got {}\nexpected only:\n{}got only:\n{}",
            expected.len(),
            actual.len(),
            shown(missing.collect()),
            shown(surplus.collect())
        ))
    }

    fn prepared(&self, row: &Row) -> Prepared {
        let mut numbers = Vec::new();
        let text = row.iter().enumerate().map(|(index, value)| {
            let mut value = value.clone()?;
            if self.maps.contains(&index) && value.starts_with('{') {
                value = format!("{{{}}}", entries(&value).join(", "));
            }
            if self.floats.contains(&index) {
                value = mask(&value, &mut numbers);
            }
            Some(value)
        });
        Prepared { text: text.collect(), numbers }
    }
}

/// A row whose numbers of floating point stand apart.
#[derive(Debug, PartialEq, PartialOrd)]
struct Prepared {
    text: Row,
    numbers: Vec<f64>,
}

/// The entries of `{k=v, ...}`, sorted; nested brackets are not split.
fn entries(text: &str) -> Vec<String> {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    let (mut out, mut depth, mut current) = (Vec::new(), 0, String::new());
    for c in inner.chars() {
        depth += i32::from("{[(".contains(c)) - i32::from("}])".contains(c));
        if c == ',' && depth == 0 {
            out.push(current.trim().to_owned());
            current.clear();
        } else {
            current.push(c);
        }
    }
    out.push(current.trim().to_owned());
    out.sort();
    out
}

/// Numbers become `#`, and stand in `numbers`.
fn mask(text: &str, numbers: &mut Vec<f64>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = number_length(rest);
        if taken > 0 {
            numbers.push(rest[..taken].parse().unwrap_or(f64::NAN));
            out.push('#');
            rest = &rest[taken..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// How long the number at the beginning of a text is; 0: there is none.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits =
        |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    for word in ["Infinity", "NaN"] {
        if text[sign..].starts_with(word) {
            return sign + word.len();
        }
    }
    let whole = digits(sign);
    let mut end = sign + whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if end == sign {
        return 0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits((end + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}
