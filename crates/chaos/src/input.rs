//! What the job reads, and what it must write: both from a few numbers.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

/// The size of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputFiles {
    /// Files; each is read by one reader from its beginning to its end.
    pub files: u32,
    /// Lines of each.
    pub lines: u32,
    /// Keys.
    pub keys: u32,
}

/// Reading time between two lines of a file, in milliseconds.
const STEP_MS: u64 = 5;
/// Length of a window, in milliseconds.
pub const WINDOW_MS: u64 = 1_000;
/// How far a line may be behind those before it, in milliseconds.
pub const DISORDER_MS: u64 = 40;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Reading time in milliseconds.
    pub time_ms: u64,
    /// Key.
    pub key: u32,
    /// Value.
    pub value: u64,
}

impl Reading {
    /// Reads a line.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(' ');
        let event = Self {
            time_ms: fields.next()?.parse().ok()?,
            key: fields.next()?.parse().ok()?,
            value: fields.next()?.parse().ok()?,
        };
        fields.next().is_none().then_some(event)
    }
}

/// A number that depends on all of the others.
fn mixed(file: u32, line: u32, purpose: u32) -> u64 {
    let mut x = u64::from(file) << 40 ^ u64::from(line) << 4 ^ u64::from(purpose);
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

impl InputFiles {
    /// All lines of a file, in order.
    pub fn events(self, file: u32) -> impl Iterator<Item = Reading> {
        (0..self.lines).map(move |line| Reading {
            time_ms: u64::from(line) * STEP_MS + mixed(file, line, 0) % DISORDER_MS,
            key: (mixed(file, line, 1) % u64::from(self.keys)) as u32,
            value: mixed(file, line, 2) % 1_000,
        })
    }

    /// Writes the files into a directory.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(self, directory: &Path) -> io::Result<()> {
        for file in 0..self.files {
            let mut out = BufWriter::new(File::create(directory.join(format!("input-{file}")))?);
            for Reading { time_ms, key, value } in self.events(file) {
                writeln!(out, "{time_ms} {key} {value}")?;
            }
            out.flush()?;
        }
        Ok(())
    }

    /// The lines that the job must write, sorted: a sum per key and window, and by timers a number
    /// of events per key and second.
    pub fn expected(self) -> Vec<String> {
        let mut windows: BTreeMap<(u32, u64), (u64, u64)> = BTreeMap::new();
        for event in (0..self.files).flat_map(|file| self.events(file)) {
            let end = event.time_ms / WINDOW_MS * WINDOW_MS + WINDOW_MS;
            let (count, sum) = windows.entry((event.key, end)).or_default();
            *count += 1;
            *sum += event.value;
        }
        let lines = windows.into_iter().flat_map(|((key, end), (count, sum))| {
            [format!("sum {key} {end} {sum}"), format!("count {key} {end} {count}")]
        });
        let mut lines: Vec<String> = lines.collect();
        lines.sort_unstable();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let input = InputFiles { files: 2, lines: 100, keys: 7 };
        let directory = tempfile::tempdir().unwrap();
        input.write(directory.path()).unwrap();
        for file in 0..2 {
            let text = std::fs::read_to_string(directory.path().join(format!("input-{file}")));
            let events: Vec<_> =
                text.unwrap().lines().map(|l| Reading::parse(l).unwrap()).collect();
            assert!(events.iter().copied().eq(input.events(file)));
            let mut latest = 0;
            for event in events {
                latest = latest.max(event.time_ms);
                assert!(event.time_ms + DISORDER_MS >= latest, "{event:?} would be late");
            }
        }
        assert_eq!(Reading::parse("1 2 3 4"), None);
        assert_eq!(Reading::parse("1 2 x"), None);
    }

    #[test]
    fn every_event_is_in_one_window() {
        let input = InputFiles { files: 3, lines: 500, keys: 5 };
        let counted: u64 = input
            .expected()
            .iter()
            .filter_map(|line| line.strip_prefix("count "))
            .map(|rest| rest.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(counted, 1_500);
    }
}
