//! What a report of a snapshot says: plain data, for people as text and for tools as JSON.

use std::fmt::{self, Display};

use serde::Serialize;

/// What is inside of a checkpoint or savepoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SnapshotReport {
    /// Its directory.
    pub pointer: String,
    /// The job that took it.
    pub job: String,
    /// Its number within that job.
    pub checkpoint_id: u64,
    /// What it is: checkpoint, full checkpoint, savepoint.
    pub kind: String,
    /// The layout of a savepoint.
    pub format: Option<String>,
    /// When it was triggered, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Version of the metadata.
    pub format_version: u32,
    /// Bytes of state, with what is shared.
    pub state_size_bytes: u64,
    /// Operators, by id.
    pub operators: Vec<OperatorReport>,
    /// Files, without state that is kept in the metadata itself.
    pub files: Vec<FileReport>,
    /// Pieces of state that are kept in the metadata, and their bytes.
    pub inline: PieceCount,
    /// What is wrong, if files were checked.
    pub problems: Vec<String>,
}

/// A number of pieces and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PieceCount {
    /// How many.
    pub count: u64,
    /// Bytes in all.
    pub bytes: u64,
}

impl PieceCount {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct OperatorReport {
    /// Id, in hexadecimal digits.
    pub id: String,
    /// The user's uid.
    pub uid: Option<String>,
    /// Name.
    pub name: String,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// All subtasks had finished.
    pub fully_finished: bool,
    /// How many had, if not all.
    pub finished_subtasks: usize,
    /// Subtasks that keep anything.
    pub subtasks_with_state: usize,
    /// Files of keyed state and timers.
    pub keyed: PieceCount,
    /// The longest chain of a base and deltas.
    pub longest_chain: usize,
    /// Files of list and broadcast state.
    pub operator: PieceCount,
    /// Records in flight in input channels.
    pub input_channels: PieceCount,
    /// Records in flight in result partitions.
    pub result_subpartitions: PieceCount,
    /// Bytes of the coordinator's state.
    pub coordinator_bytes: Option<u64>,
    /// States, by name.
    pub states: Vec<StateReport>,
}

/// One state of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StateReport {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// Codec, with its version.
    pub codec: String,
    /// The types in words.
    pub schema: String,
    /// What must not change, in hexadecimal digits.
    pub fingerprint: String,
    /// Elements of list and broadcast state, over all subtasks.
    pub elements: Option<PieceCount>,
    /// What files hold of a keyed state, if they were read.
    pub contents: Option<KeyedContents>,
}

/// What the files of a keyed state hold. Keys that changed are written again in each delta, so
/// entries less removals is not the number of keys; without deltas, `entries` is (but for keys that
/// changed while they were written, which may stand there twice).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeyedContents {
    /// Keys with values, in bases and deltas.
    pub entries: u64,
    /// Of them, those in bases.
    pub entries_in_bases: u64,
    /// Keys that deltas remove.
    pub removals: u64,
    /// Event-time timers.
    pub event_timers: u64,
    /// Processing-time timers.
    pub processing_timers: u64,
    /// Key groups that hold anything.
    pub key_groups: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Where it is.
    pub url: String,
    /// Who deletes it: exclusive, shared, task-owned.
    pub scope: String,
    /// Bytes of content.
    pub length: u64,
    /// XXH3-64 of the content, in hexadecimal digits.
    pub checksum: String,
    /// It was read and is intact; `None` if it was not read.
    pub intact: Option<bool>,
}

fn times<T: Display>(count: PieceCount, what: T) -> String {
    format!("{} {what}, {} bytes", count.count, count.bytes)
}

impl Display for SnapshotReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = self.format.as_ref().map(|format| format!(" ({format})")).unwrap_or_default();
        writeln!(f, "{} {}{format} of job {}", self.kind, self.checkpoint_id, self.job)?;
        writeln!(f, "  at         {}", self.pointer)?;
        writeln!(f, "  triggered  {} ms since the epoch", self.timestamp_ms)?;
        writeln!(f, "  metadata   version {}", self.format_version)?;
        writeln!(
            f,
            "  state      {} bytes in {} files and {} pieces of metadata",
            self.state_size_bytes,
            self.files.len(),
            self.inline.count
        )?;
        for operator in &self.operators {
            write!(f, "\n{operator}")?;
        }
        if !self.files.is_empty() {
            writeln!(f, "\nfiles")?;
        }
        for file in &self.files {
            let intact = match file.intact {
                None => "",
                Some(true) => "  intact",
                Some(false) => "  DAMAGED",
            };
            let FileReport { url, scope, length, checksum, .. } = file;
            writeln!(f, "  {checksum}  {length:>12}  {scope:<10}  {url}{intact}")?;
        }
        if !self.problems.is_empty() {
            writeln!(f, "\nproblems")?;
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))
    }
}

impl Display for OperatorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uid = self.uid.as_ref().map(|uid| format!(" uid {uid:?}")).unwrap_or_default();
        writeln!(f, "operator {:?}{uid} ({})", self.name, self.id)?;
        writeln!(f, "  parallelism {} of {}", self.parallelism, self.max_parallelism)?;
        if self.fully_finished {
            writeln!(f, "  finished")?;
        } else if self.finished_subtasks > 0 {
            writeln!(f, "  {} subtasks finished", self.finished_subtasks)?;
        }
        let chain = format!("files of keyed state, at most {} in a chain", self.longest_chain);
        for (count, what) in [
            (self.keyed, &*chain),
            (self.operator, "files of operator state"),
            (self.input_channels, "channels with records in flight"),
            (self.result_subpartitions, "subpartitions with records in flight"),
        ] {
            if count.count > 0 {
                writeln!(f, "  {}", times(count, what))?;
            }
        }
        if let Some(bytes) = self.coordinator_bytes {
            writeln!(f, "  {bytes} bytes of the coordinator")?;
        }
        self.states.iter().try_for_each(|state| state.fmt(f))
    }
}

impl Display for StateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, codec, schema, .. } = self;
        writeln!(f, "  state {name:?}: {kind}, {schema}, {codec}")?;
        if let Some(elements) = self.elements {
            writeln!(f, "    {}", times(elements, "elements"))?;
        }
        let Some(contents) = self.contents else { return Ok(()) };
        if contents.event_timers + contents.processing_timers > 0 || kind == "Timers" {
            let (event, processing) = (contents.event_timers, contents.processing_timers);
            return writeln!(
                f,
                "    {event} event-time timers, {processing} processing-time timers"
            );
        }
        writeln!(
            f,
            "    {} entries ({} in bases), {} removals, {} bytes in {} key groups",
            contents.entries,
            contents.entries_in_bases,
            contents.removals,
            contents.bytes,
            contents.key_groups
        )
    }
}
