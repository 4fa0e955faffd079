//! Names of part files, and which of them are left over; pure.
//!
//! # Generations
//!
//! A writer that starts, for the first time or again, is a new generation. Its [`Generation`] is
//! told by sink (job and operator), subtask, the checkpoint that it was restored from, and attempt;
//! no two writers that may both have been committed share it. It numbers its files from 0, so a
//! name is never used twice: `part-<sink>-<subtask>-<restored>-<attempt>-<number>`.
//!
//! # Leftovers
//!
//! A checkpoint holds the [`Mark`] of every writer: its generation and the number of its next file.
//! A writer that is restored from it looks for files that are not visible yet, of its own subtask
//! (the first also of subtasks that are no more), and removes what belongs to no checkpoint:
//!
//! - files of generations that began with this checkpoint or a later one: they came after it;
//! - files of the generation of a mark, from the mark's number on: the same.
//!
//! All others may be in the checkpoint, as in progress or as pending, with whatever subtask. Those
//! that are not were removed before: a writer takes part in no checkpoint before it has cleaned up.
//!
//! If there is no checkpoint, all of them are left over.

use serde::{Deserialize, Serialize};

/// One life of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// A hash of job and operator.
    pub sink: u64,
    /// The subtask.
    pub subtask: u32,
    /// The checkpoint that it was restored from, plus one; 0 without.
    pub restored: u64,
    /// The attempt.
    pub attempt: u32,
}

/// How far a writer was at a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The writer.
    pub generation: Generation,
    /// Number of its next file.
    pub next: u64,
}

/// Names a part file while it is not visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartName {
    /// Whose it is.
    pub generation: Generation,
    /// Which.
    pub number: u64,
}

/// What all names of part files begin with while they are not visible.
const HIDDEN_PREFIX: &str = "part-";

impl Generation {
    /// The part of a name that is the writer's.
    pub fn uid(&self) -> String {
        let Self { sink, subtask, restored, attempt } = self;
        format!("{sink:016x}-{subtask}-{restored}-{attempt}")
    }

    /// What the names of all files of this sink begin with.
    pub fn sink_prefix(&self) -> String {
        format!("{HIDDEN_PREFIX}{:016x}-", self.sink)
    }

    /// True if this writer, one of `parallelism`, cleans up for that subtask.
    fn cleans_up_for(&self, subtask: u32, parallelism: u32) -> bool {
        subtask == self.subtask || (self.subtask == 0 && subtask >= parallelism)
    }

    /// True if a file that is not visible belongs to no checkpoint, and is this writer's to
    /// remove. `marks` are those of the checkpoint that it was restored from.
    pub fn is_left_over(&self, file: &PartName, parallelism: u32, marks: Option<&[Mark]>) -> bool {
        let its = file.generation;
        if its.sink != self.sink || !self.cleans_up_for(its.subtask, parallelism) {
            return false;
        }
        let Some(marks) = marks else { return true };
        let mark = marks.iter().find(|mark| mark.generation == its);
        its.restored >= self.restored || mark.is_some_and(|mark| file.number >= mark.next)
    }

    /// True if a visible file was committed by an earlier attempt of this writer, or of one that
    /// it cleans up for, by its name.
    pub fn has_committed(&self, file_name: &str, parallelism: u32) -> bool {
        let sink = format!("-{:016x}-", self.sink);
        let rest = file_name.split_once(&sink).map(|(_, rest)| rest);
        let subtask = rest.and_then(|rest| rest.split('-').next()?.parse().ok());
        subtask.is_some_and(|subtask| self.cleans_up_for(subtask, parallelism))
    }
}

impl std::fmt::Display for PartName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{HIDDEN_PREFIX}{}-{}", self.generation.uid(), self.number)
    }
}

impl PartName {
    /// The inverse of its text.
    pub fn parse(name: &str) -> Option<Self> {
        let mut fields = name.strip_prefix(HIDDEN_PREFIX)?.split('-');
        let mut next = || fields.next();
        let generation = Generation {
            sink: u64::from_str_radix(next()?, 16).ok()?,
            subtask: next()?.parse().ok()?,
            restored: next()?.parse().ok()?,
            attempt: next()?.parse().ok()?,
        };
        let number = next()?.parse().ok()?;
        let parsed = Self { generation, number };
        // Only what it would write itself: no other spelling of a number.
        (parsed.to_string() == name).then_some(parsed)
    }
}

/// How part files are called, as Flink's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutputFileConfig {
    prefix: String,
    suffix: String,
}

impl Default for OutputFileConfig {
    fn default() -> Self {
        Self { prefix: "part".to_owned(), suffix: String::new() }
    }
}

impl OutputFileConfig {
    /// Files are called `part-...`, without suffix.
    pub fn new() -> Self {
        Self::default()
    }

    /// What names begin with, instead of `part`.
    #[must_use]
    pub fn with_part_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// What names end with, such as `.txt`.
    #[must_use]
    pub fn with_part_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.suffix = suffix.into();
        self
    }

    /// The path of a part file below the base directory.
    pub(crate) fn target(&self, bucket: &str, part: &PartName) -> String {
        let separator = if bucket.is_empty() { "" } else { "/" };
        let Self { prefix, suffix } = self;
        format!("{bucket}{separator}{prefix}-{}-{}{suffix}", part.generation.uid(), part.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Generation = Generation { sink: 0xfeed, subtask: 0, restored: 8, attempt: 3 };

    fn name(subtask: u32, restored: u64, attempt: u32, number: u64) -> PartName {
        PartName { generation: Generation { sink: 0xfeed, subtask, restored, attempt }, number }
    }

    #[test]
    fn names_round_trip_and_others_are_none() {
        let name = name(4, 0, 12, 7);
        assert_eq!(name.to_string(), "part-000000000000feed-4-0-12-7");
        assert_eq!(PartName::parse(&name.to_string()), Some(name));
        for other in ["part-0-7", "part-feed-4-0-12-7", "x", "part-000000000000feed-4-0-+1-7"] {
            assert_eq!(PartName::parse(other), None, "{other}");
        }
        let config = OutputFileConfig::new().with_part_prefix("log").with_part_suffix(".gz");
        assert_eq!(config.target("a/b", &name), "a/b/log-000000000000feed-4-0-12-7.gz");
        assert_eq!(config.target("", &name), "log-000000000000feed-4-0-12-7.gz");
    }

    #[test]
    fn what_came_behind_the_checkpoint_is_left_over() {
        let generation = Generation { restored: 5, attempt: 2, ..ME };
        let marks = [Mark { generation, next: 10 }];
        let is_left_over = |name: PartName| ME.is_left_over(&name, 2, Some(&marks));
        // Of the attempt that took the checkpoint.
        assert!(!is_left_over(name(0, 5, 2, 9)));
        assert!(is_left_over(name(0, 5, 2, 10)));
        // Of attempts before it: in progress or pending, if it is there at all.
        assert!(!is_left_over(name(0, 0, 1, 3)));
        // Of attempts behind it, also under another leader that counts anew.
        assert!(is_left_over(name(0, 8, 2, 0)));
        assert!(is_left_over(name(0, 8, 9, 0)));
        // Of others: only those that are no more are the first one's.
        assert!(!is_left_over(name(1, 8, 2, 0)));
        assert!(is_left_over(name(2, 8, 2, 0)));
        let mut foreign = name(0, 8, 2, 0);
        foreign.generation.sink = 1;
        assert!(!is_left_over(foreign));
    }

    #[test]
    fn without_a_checkpoint_everything_is_left_over() {
        let me = Generation { restored: 0, ..ME };
        assert!(me.is_left_over(&name(0, 0, 2, 0), 2, None));
        assert!(!me.is_left_over(&name(1, 0, 2, 0), 2, None));
        assert!(me.has_committed("part-000000000000feed-0-0-1-0.txt", 2));
        assert!(!me.has_committed("part-000000000000feed-1-0-1-0.txt", 2));
        assert!(!me.has_committed("part-000000000000beef-0-0-1-0.txt", 2));
    }
}
