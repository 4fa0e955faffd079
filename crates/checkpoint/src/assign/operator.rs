//! Operator state: list state with even-split or union redistribution, and broadcast state.
//!
//! - Even split: if the parallelism is the same, every subtask has its own elements again.
//!   Otherwise all elements, in the order of the old subtasks, are cut into as many pieces as there
//!   are subtasks, of equal size or one more; the first piece of one state follows the last larger
//!   piece of the one before, so that states of one element each do not all fall to one subtask.
//! - Union: everybody takes all.
//! - Broadcast: everybody takes its own copy, or one of another, if it has none.
//!
//! As Flink 2.3's `RoundRobinOperatorStateRepartitioner`.

use std::collections::BTreeMap;

use hurtig_types::{
    JobManagerTaskRestore, JobVertexId, OperatorId, OperatorStateHandle, StateFile,
    snapshot::{PartitionedState, RedistributionMode, StatePartition},
};

use super::RestoreError;
use crate::{
    model::{CheckpointMetadata, OperatorState},
    topology::Topology,
};

/// Some elements of one file.
type Piece<'a> = (&'a StateFile, &'a [StatePartition]);

/// One state over all old subtasks.
struct NamedState<'a> {
    name: &'a str,
    mode: RedistributionMode,
    /// By old subtask.
    pieces: Vec<(u32, Piece<'a>)>,
}

/// Gives every subtask of every running vertex its operator state.
pub fn assign(
    metadata: &CheckpointMetadata,
    topology: &Topology,
    tasks: &mut BTreeMap<(JobVertexId, u32), JobManagerTaskRestore>,
) -> Result<(), RestoreError> {
    for vertex in &topology.vertices {
        for operator in &vertex.operators {
            let Some(state) = metadata.operators.get(&operator.id) else { continue };
            let shares = redistribute(state, vertex.parallelism).map_err(|problem| {
                let (checkpoint_id, label) = (metadata.checkpoint_id, state.label().to_owned());
                RestoreError::Malformed { checkpoint_id, operator: operator.id, label, problem }
            })?;
            for (subtask, share) in shares.into_iter().enumerate() {
                give(tasks, (vertex.id, subtask as u32), operator.id, share);
            }
        }
    }
    Ok(())
}

fn give(
    tasks: &mut BTreeMap<(JobVertexId, u32), JobManagerTaskRestore>,
    task: (JobVertexId, u32),
    operator: OperatorId,
    share: Vec<OperatorStateHandle>,
) {
    if let Some(restore) = tasks.get_mut(&task).filter(|restore| !restore.finished) {
        restore.operators.entry(operator).or_default().operator = share;
    }
}

/// The operator state of each new subtask, or what is wrong with the old.
pub fn redistribute(
    state: &OperatorState,
    parallelism: u32,
) -> Result<Vec<Vec<OperatorStateHandle>>, String> {
    let mut shares = vec![Vec::new(); parallelism as usize];
    let mut first = 0;
    for named in by_name(state)? {
        match named.mode {
            RedistributionMode::SplitDistribute if state.parallelism == parallelism => {
                for (subtask, piece) in &named.pieces {
                    add(&mut shares[*subtask as usize], &named, *piece);
                }
            }
            RedistributionMode::SplitDistribute => split(&named, &mut shares, &mut first),
            RedistributionMode::Union | RedistributionMode::PartialUnion => {
                for share in &mut shares {
                    for (_, piece) in &named.pieces {
                        add(share, &named, *piece);
                    }
                }
            }
            RedistributionMode::Broadcast => copy(&named, state.parallelism, &mut shares),
        }
    }
    Ok(shares)
}

fn by_name(state: &OperatorState) -> Result<Vec<NamedState<'_>>, String> {
    let mut names: BTreeMap<&str, NamedState<'_>> = BTreeMap::new();
    for (subtask, subtask_state) in &state.subtasks {
        for handle in &subtask_state.operator {
            for partitioned in &handle.states {
                let (name, mode) = (&*partitioned.name, partitioned.mode);
                let named =
                    names.entry(name).or_insert(NamedState { name, mode, pieces: Vec::new() });
                if named.mode != mode {
                    let other = named.mode;
                    return Err(format!("has state {name:?} both as {other:?} and as {mode:?}"));
                }
                named.pieces.push((*subtask, (&handle.file, &partitioned.partitions)));
            }
        }
    }
    Ok(names.into_values().collect())
}

fn split(named: &NamedState<'_>, shares: &mut [Vec<OperatorStateHandle>], first: &mut usize) {
    let total: usize = named.pieces.iter().map(|(_, (_, partitions))| partitions.len()).sum();
    let (base, larger) = (total / shares.len(), total % shares.len());
    let mut pieces = named.pieces.iter().map(|(_, piece)| *piece);
    let mut rest = pieces.next();
    for index in 0..shares.len() {
        let share = (*first + index) % shares.len();
        let mut wanted = base + usize::from(index < larger);
        while let (Some((file, partitions)), true) = (rest, wanted > 0) {
            let (now, later) = partitions.split_at(wanted.min(partitions.len()));
            wanted -= now.len();
            add(&mut shares[share], named, (file, now));
            rest = if later.is_empty() { pieces.next() } else { Some((file, later)) };
        }
    }
    *first = (*first + larger) % shares.len();
}

fn copy(named: &NamedState<'_>, old: u32, shares: &mut [Vec<OperatorStateHandle>]) {
    let mut copies: BTreeMap<u32, Vec<Piece<'_>>> = BTreeMap::new();
    for (subtask, piece) in &named.pieces {
        copies.entry(*subtask).or_default().push(*piece);
    }
    let same = shares.len() == old as usize;
    let all: Vec<&Vec<Piece<'_>>> = copies.values().collect();
    for (index, share) in shares.iter_mut().enumerate() {
        let own = copies.get(&(index as u32)).filter(|_| same);
        let Some(copy) = own.or_else(|| all.get(index % all.len().max(1)).copied()) else { return };
        for piece in copy {
            add(share, named, *piece);
        }
    }
}

/// Adds elements to a share: one handle per file, one entry per state.
fn add(share: &mut Vec<OperatorStateHandle>, named: &NamedState<'_>, (file, elements): Piece<'_>) {
    let position = share.iter().position(|handle| handle.file == *file);
    let position = position.unwrap_or_else(|| {
        share.push(OperatorStateHandle { file: file.clone(), states: Vec::new() });
        share.len() - 1
    });
    let states = &mut share[position].states;
    match states.iter_mut().find(|state| state.name == named.name) {
        Some(state) => state.partitions.extend_from_slice(elements),
        None => states.push(PartitionedState {
            name: named.name.to_owned(),
            mode: named.mode,
            partitions: elements.to_vec(),
        }),
    }
}
