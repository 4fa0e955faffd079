//! Looking into a snapshot without knowing the types of its state.
//!
//! The metadata alone tells operators, states, sizes and files. With `contents`, the files of keyed
//! state are read and their blocks counted; with `verify`, every file is read and checked. Whatever
//! is read is checked. A damaged file is a problem in the report, not an error: the rest is shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::StreamExt;
use hurtig_checkpoint::OperatorState;
use hurtig_state_heap::{BlockKind, read_blocks};
use hurtig_storage::StorageError;
use hurtig_types::{CheckpointType, OperatorId, SavepointFormat, StateFile, StateMeta, StateScope};

use crate::{
    error::StateProcessorError,
    report::{FileReport, KeyedContents, OperatorReport, PieceCount, SnapshotReport, StateReport},
    snapshot::OpenSnapshot,
};

/// Files that are checked at once.
const FILES_IN_FLIGHT: usize = 8;

/// How closely to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InspectOptions {
    /// Read keyed state and count its entries and timers.
    pub contents: bool,
    /// Read every file and check its checksum.
    pub verify: bool,
}

/// Reports what is inside of a snapshot.
///
/// # Errors
/// If the store fails otherwise than by a missing or damaged file.
pub async fn inspect(
    snapshot: &OpenSnapshot,
    options: InspectOptions,
) -> Result<SnapshotReport, StateProcessorError> {
    let metadata = &snapshot.metadata;
    let mut report = SnapshotReport {
        pointer: snapshot.pointer.to_string(),
        job: metadata.job.to_string(),
        checkpoint_id: metadata.checkpoint_id.0,
        kind: match metadata.checkpoint_type {
            CheckpointType::Checkpoint => "checkpoint",
            CheckpointType::FullCheckpoint => "full checkpoint",
            CheckpointType::Savepoint { .. } => "savepoint",
        }
        .to_owned(),
        format: metadata.checkpoint_type.savepoint_format().map(|format| {
            let name = match format {
                SavepointFormat::Canonical => "canonical",
                SavepointFormat::Native => "native",
            };
            name.to_owned()
        }),
        timestamp_ms: metadata.timestamp_ms,
        format_version: metadata.format_version,
        state_size_bytes: metadata.state_size_bytes(),
        operators: metadata.operators.iter().map(|(id, state)| operator(*id, state)).collect(),
        files: Vec::new(),
        inline: PieceCount::default(),
        problems: Vec::new(),
    };
    let mut intact = BTreeMap::new();
    if options.contents {
        for (state, report_of) in metadata.operators.values().zip(&mut report.operators) {
            let mut reading = Reading { snapshot, intact: &mut intact, problems: Vec::new() };
            reading.count(state, report_of).await?;
            report.problems.append(&mut reading.problems);
        }
    }
    files(snapshot, options.verify, &mut intact, &mut report).await?;
    if metadata.checkpoint_type.is_canonical() {
        canonical(&mut report);
    }
    report.problems.sort();
    report.problems.dedup();
    Ok(report)
}

/// A canonical savepoint has one base for each part of keyed state, and nothing that changes it.
fn canonical(report: &mut SnapshotReport) {
    for operator in &report.operators {
        let contents = || operator.states.iter().filter_map(|state| state.contents);
        if operator.longest_chain > 1 || contents().any(|contents| contents.removals > 0) {
            let name = &operator.name;
            report.problems.push(format!("operator {name:?} has deltas in a canonical savepoint"));
        }
    }
}

fn pieces<'a>(files: impl Iterator<Item = &'a StateFile>) -> PieceCount {
    let mut count = PieceCount::default();
    files.for_each(|file| count.add(file.length));
    count
}

fn operator(id: OperatorId, state: &OperatorState) -> OperatorReport {
    let subtasks = || state.subtasks.values();
    let chains = || subtasks().flat_map(|subtask| &subtask.keyed).map(|keyed| &keyed.chain);
    let lists = || subtasks().flat_map(|subtask| &subtask.operator);
    let states = state.states.iter().map(|meta| {
        let mut elements = None;
        for list in lists().flat_map(|handle| &handle.states).filter(|s| s.name == meta.name) {
            let count: &mut PieceCount = elements.get_or_insert_default();
            list.partitions.iter().for_each(|partition| count.add(partition.length));
        }
        StateReport {
            name: meta.name.clone(),
            kind: format!("{:?}", meta.kind),
            codec: meta.codec.clone(),
            schema: meta.schema.clone(),
            fingerprint: format!("{:016x}", meta.fingerprint),
            elements,
            contents: None,
        }
    });
    OperatorReport {
        id: id.to_string(),
        uid: state.uid.clone(),
        name: state.name.clone(),
        parallelism: state.parallelism,
        max_parallelism: state.max_parallelism,
        fully_finished: state.fully_finished,
        finished_subtasks: state.finished_subtasks.len(),
        subtasks_with_state: state.subtasks.len(),
        keyed: pieces(chains().flatten()),
        longest_chain: chains().map(Vec::len).max().unwrap_or(0),
        operator: pieces(lists().map(|handle| &handle.file)),
        input_channels: pieces(subtasks().flat_map(|s| &s.input_channels).map(|c| &c.file)),
        result_subpartitions: pieces(
            subtasks().flat_map(|s| &s.result_subpartitions).map(|c| &c.file),
        ),
        coordinator_bytes: state.coordinator_state.as_ref().map(|bytes| bytes.len() as u64),
        states: states.collect(),
    }
}

/// What one error of a file amounts to.
fn problem(error: StorageError) -> Result<String, StateProcessorError> {
    if error.is_damage() {
        Ok(StateProcessorError::from(error).chain_text())
    } else {
        Err(error.into())
    }
}

struct Reading<'a> {
    snapshot: &'a OpenSnapshot,
    intact: &'a mut BTreeMap<Arc<str>, bool>,
    problems: Vec<String>,
}

impl Reading<'_> {
    async fn count(
        &mut self,
        state: &OperatorState,
        report: &mut OperatorReport,
    ) -> Result<(), StateProcessorError> {
        let mut counts: BTreeMap<String, (KeyedContents, BTreeSet<u32>)> = BTreeMap::new();
        for keyed in state.subtasks.values().flat_map(|subtask| &subtask.keyed) {
            for (position, file) in keyed.chain.iter().enumerate() {
                let content = match self.snapshot.read(file).await {
                    Ok(content) => content,
                    Err(error) => {
                        self.note(file, false);
                        self.problems.push(problem(error)?);
                        continue;
                    }
                };
                self.note(file, true);
                let read = read_blocks(&content, |meta: &StateMeta, block| {
                    let (counts, groups) = counts.entry(meta.name.clone()).or_default();
                    let count = u64::from(block.count);
                    counts.bytes += block.bytes.len() as u64;
                    match block.kind {
                        BlockKind::Entries => {
                            counts.entries += count;
                            counts.entries_in_bases += if position == 0 { count } else { 0 };
                            groups.insert(block.key_group);
                        }
                        BlockKind::Removals => counts.removals += count,
                        // A chain's last file has all timers.
                        BlockKind::EventTimers if position + 1 == keyed.chain.len() => {
                            counts.event_timers += count;
                        }
                        BlockKind::ProcessingTimers if position + 1 == keyed.chain.len() => {
                            counts.processing_timers += count;
                        }
                        BlockKind::EventTimers | BlockKind::ProcessingTimers => {}
                    }
                    Ok(())
                });
                if let Err(error) = read {
                    let place = file.url().map_or("state in the metadata", |url| &**url);
                    self.problems.push(format!(
                        "{place} of operator {:?} holds no keyed state: {error}",
                        report.name
                    ));
                }
            }
        }
        for state in &mut report.states {
            if let Some((mut contents, groups)) = counts.remove(&state.name) {
                contents.key_groups = groups.len() as u64;
                state.contents = Some(contents);
            }
        }
        for name in counts.into_keys() {
            let operator = &report.name;
            self.problems.push(format!("operator {operator:?} has undescribed state {name:?}"));
        }
        Ok(())
    }

    fn note(&mut self, file: &StateFile, intact: bool) {
        if let Some(url) = file.url() {
            self.intact.insert(url.clone(), intact);
        }
    }
}

async fn files(
    snapshot: &OpenSnapshot,
    verify: bool,
    intact: &mut BTreeMap<Arc<str>, bool>,
    report: &mut SnapshotReport,
) -> Result<(), StateProcessorError> {
    let mut named: BTreeMap<Arc<str>, &StateFile> = BTreeMap::new();
    let mut inline = Vec::new();
    for file in snapshot.metadata.files() {
        match file.url() {
            Some(url) => {
                named.insert(url.clone(), file);
            }
            None => {
                report.inline.add(file.length);
                inline.push(file);
            }
        }
    }
    if verify {
        let unread = named.iter().filter(|(url, _)| !intact.contains_key(*url));
        let unread: Vec<&StateFile> = unread.map(|(_, file)| *file).chain(inline).collect();
        let checks = unread.into_iter().map(async |file| (file, snapshot.read(file).await.err()));
        let mut checks = futures::stream::iter(checks).buffer_unordered(FILES_IN_FLIGHT);
        while let Some((file, error)) = checks.next().await {
            if let Some(url) = file.url() {
                intact.insert(url.clone(), error.is_none());
            }
            if let Some(error) = error {
                report.problems.push(problem(error)?);
            }
        }
    }
    let files = named.into_iter().map(|(url, file)| FileReport {
        intact: intact.get(&url).copied(),
        url: url.to_string(),
        scope: match file.scope {
            StateScope::Exclusive => "exclusive".to_owned(),
            StateScope::Shared { created_by } => format!("shared since {created_by}"),
            StateScope::TaskOwned => "task-owned".to_owned(),
        },
        length: file.length,
        checksum: format!("{:016x}", file.checksum),
    });
    report.files = files.collect();
    Ok(())
}
