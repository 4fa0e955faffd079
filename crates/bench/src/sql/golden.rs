//! Whether a query's result is Flink's, on the first 200,000 events (`crates/nexmark/golden`).

use std::{collections::BTreeMap, time::Duration};

use hurtig::prelude::BoxError;
use hurtig_sql::{Session, StatementResult};
use hurtig_sql_parser::{SqlParser, ast::StatementKind, types::SqlTypeKind};
use md5::{Digest, Md5};

use super::{child::script, kit};

/// How the result differs from Flink's, if it does. A query without a golden result does not.
pub fn difference(query: &str) -> Result<Option<String>, BoxError> {
    let summary = std::fs::read_to_string(kit().join("golden/SUMMARY.txt"))?;
    let line = summary.lines().find(|line| line.split(' ').next() == Some(query));
    let Some(line) = line else { return Ok(None) };
    let field = |name: &str| {
        let fields = line.split(' ').filter_map(|field| field.split_once('='));
        fields.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let events: u64 = field("events").ok_or("SUMMARY.txt has no events")?.parse()?;
    let lines = result(query, events)?;
    let rows = field("final_rows").unwrap_or_default();
    if rows != lines.len().to_string() {
        return Ok(Some(format!("{} rows, Flink has {rows}", lines.len())));
    }
    let mut digest = Md5::new();
    lines.iter().for_each(|line| digest.update(format!("{line}\n")));
    let sum: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let wanted = field("md5").unwrap_or_default();
    Ok((sum != wanted).then(|| format!("the check sum is {sum}, Flink's {wanted}")))
}

/// The rows of a query's INSERT, folded, as lines, sorted. Parallelism 1: where rows tie, the order of
/// arrival decides.
fn result(query: &str, events: u64) -> Result<Vec<String>, BoxError> {
    let text = script(query, events)?;
    let mut session = Session::new();
    session.set("parallelism.default", "1")?;
    let mut rows: BTreeMap<String, i64> = BTreeMap::new();
    for part in SqlParser::default().split(&text)? {
        let statement = SqlParser::default().part(&text, part)?;
        let StatementKind::Insert(insert) = &statement.kind else {
            session.execute(&text, part).map_err(|error| error.render(&text))?;
            continue;
        };
        let select = insert.query.to_string();
        let result = session.execute_one(&select).map_err(|error| error.render(&select))?;
        let StatementResult::Query(mut result) = result else {
            return Err(format!("{query}: the INSERT has no query").into());
        };
        let is_time = |kind: &SqlTypeKind| matches!(kind, SqlTypeKind::Timestamp(_));
        let times: Vec<bool> =
            result.columns().iter().map(|column| is_time(&column.data_type.kind)).collect();
        while let Some(changes) = result.next(Duration::from_secs(1))? {
            for (kind, row) in changes {
                let values = row.into_iter().zip(&times).map(|(value, is_time)| match value {
                    Some(text) if *is_time => java_time(&text),
                    Some(text) => text,
                    None => "null".to_owned(),
                });
                let line = values.collect::<Vec<_>>().join("|");
                *rows.entry(line).or_default() += if kind.adds() { 1 } else { -1 };
            }
        }
    }
    if let Some((line, _)) = rows.iter().find(|(_, count)| **count < 0) {
        return Err(format!("{query}: a row was taken back that was not there: {line}").into());
    }
    let lines = rows.into_iter();
    Ok(lines.flat_map(|(line, count)| std::iter::repeat_n(line, count as usize)).collect())
}

/// A timestamp as Java prints a `LocalDateTime`: what is zero at its end is left out.
fn java_time(text: &str) -> String {
    let text = text.replacen(' ', "T", 1);
    let text = text.strip_suffix(".000").unwrap_or(&text);
    text.strip_suffix(":00")
        .filter(|head| head.matches(':').count() == 1)
        .unwrap_or(text)
        .to_owned()
}
