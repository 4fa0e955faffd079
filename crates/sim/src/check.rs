//! The checkers: one per property of the whole. Others stand where they can look at every step:
//! files that are named but missing in [`crate::store`], transactions in [`crate::external`], late
//! records and splits that are read twice in the programs and in [`crate::input`]. That the job
//! makes progress once faults have stopped is seen by [`crate::run`].

use std::collections::{BTreeMap, BTreeSet};

use hurtig_cluster_api::DispatcherGateway;
use hurtig_filesystem::object_store::path::Path;
use hurtig_minicluster::MiniCluster;

use crate::{external::Out, store::SimStore};

/// Records that a message shows.
const SHOWN: usize = 5;

/// Committed output is what the model says: nothing lost, nothing repeated, nothing else.
///
/// # Errors
/// Says what is missing and what is too much.
pub fn same_output(committed: &[Out], model: &[Out]) -> Result<(), String> {
    if committed == model {
        return Ok(());
    }
    let mut balance: BTreeMap<Out, i64> = BTreeMap::new();
    model.iter().for_each(|record| *balance.entry(*record).or_default() += 1);
    committed.iter().for_each(|record| *balance.entry(*record).or_default() -= 1);
    let shown = |wanted: fn(i64) -> bool| {
        let of_kind: Vec<Out> =
            balance.iter().filter(|(_, n)| wanted(**n)).map(|(record, _)| *record).collect();
        format!("{} ({:?})", of_kind.len(), &of_kind[..of_kind.len().min(SHOWN)])
    };
    Err(format!(
        "output differs: {} records committed, {} in the model; missing: {}; too much: {}",
        committed.len(),
        model.len(),
        shown(|n| n > 0),
        shown(|n| n < 0)
    ))
}

/// Nothing is left in the store but what is kept, and what the store itself has refused to delete.
pub async fn files(store: &SimStore, kept: &BTreeSet<Path>) -> Vec<String> {
    let mut named: BTreeSet<Path> = kept.clone();
    let mut problems = Vec::new();
    for metadata in kept {
        match store.named_by(metadata) {
            Some(files) => named.extend(files),
            None => problems.push(format!("{metadata} was to be kept, and is gone")),
        }
    }
    let left = store.left_over().await;
    problems.extend(
        left.iter().filter(|path| !named.contains(path)).map(|path| format!("{path} is leaked")),
    );
    problems
}

/// Slots and network memory are free again.
pub async fn resources(cluster: &MiniCluster, alive: &[usize]) -> Vec<String> {
    let mut problems = Vec::new();
    match cluster.dispatcher().task_executors().await {
        Ok(executors) => {
            if executors.len() != alive.len() {
                let (known, live) = (executors.len(), alive.len());
                problems.push(format!("{known} TaskExecutors are known, {live} live"));
            }
            for executor in executors.iter().filter(|one| one.free_slots != one.slots) {
                problems.push(format!("slots are not free at the end: {executor:?}"));
            }
        }
        Err(error) => problems.push(format!("no word of the TaskExecutors: {error}")),
    }
    let usage = cluster.network_usage();
    for index in alive {
        if let Some(usage) = usage.get(*index)
            && usage.used_bytes != 0
        {
            problems.push(format!("TE{index} holds network memory at the end: {usage:?}"));
        }
    }
    problems
}
