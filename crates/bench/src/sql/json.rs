//! A file of JSON lines to an aggregated result.
//!
//! The file holds Nexmark's bids, and is written by the same session that reads it later. A real Flink reads
//! the same one.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use hurtig::prelude::BoxError;
use hurtig_sql::Session;

use super::child;

/// Bids of so many events are written first, to see how long their lines are.
const SAMPLE: u64 = 100_000;

/// Writes about `bytes` of lines into a folder; returns how many lines there are.
pub(super) fn write(directory: &Path, bytes: u64) -> Result<u64, BoxError> {
    let sample = directory.join("sample");
    write_events(&sample, SAMPLE)?;
    let (length, _) = measure(&sample)?;
    std::fs::remove_dir_all(&sample)?;
    let lines = directory.join("lines");
    write_events(&lines, SAMPLE.saturating_mul(bytes) / length.max(1))?;
    Ok(measure(&lines)?.1)
}

/// The folder of the lines.
pub(super) fn lines(directory: &Path) -> String {
    format!("file://{}", directory.join("lines").display())
}

fn write_events(directory: &Path, events: u64) -> Result<(), BoxError> {
    let mut session = Session::new();
    session.set("parallelism.default", "1")?;
    let tables = child::tables(events)?;
    let path = directory.display();
    let text = format!(
        "{tables}
         CREATE TABLE lines (
           auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING,
           `dateTime` TIMESTAMP(3), extra STRING
         ) WITH ('connector' = 'filesystem', 'path' = 'file://{path}', 'format' = 'json');
         INSERT INTO lines SELECT auction, bidder, price, channel, url, `dateTime`, extra FROM bid;"
    );
    child::execute(&mut session, &text)?.0.wait()?;
    Ok(())
}

/// Bytes and lines of the files of a folder.
fn measure(directory: &Path) -> Result<(u64, u64), BoxError> {
    let (mut bytes, mut lines) = (0, 0);
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let mut file = BufReader::new(File::open(entry.path())?);
        loop {
            let part = file.fill_buf()?;
            let length = part.len();
            if length == 0 {
                break;
            }
            bytes += length as u64;
            lines += part.iter().filter(|byte| **byte == b'\n').count() as u64;
            file.consume(length);
        }
    }
    Ok((bytes, lines))
}
