//! Reading the state that a task starts from.

use std::{collections::HashMap, sync::Arc};

use hurtig_operator_api::{KeyedFile, ListStateData, OperatorRestore};
use hurtig_types::{FlowError, FlowResult, JobManagerTaskRestore, OperatorId, OperatorStateHandle};

use crate::local::StateFiles;

/// Reads all state of a task, operator by operator.
pub(crate) async fn read_state(
    restore: &JobManagerTaskRestore,
    files: &StateFiles,
) -> FlowResult<HashMap<OperatorId, Arc<OperatorRestore>>> {
    let mut states = HashMap::new();
    for (operator, state) in &restore.operators {
        let mut read = OperatorRestore {
            checkpoint_id: restore.checkpoint_id,
            metas: state.states.clone(),
            ..Default::default()
        };
        for chain in state.keyed.iter().map(|handle| &handle.chain) {
            for (index, file) in chain.iter().enumerate() {
                let content = files.read(file).await?.into();
                read.keyed.push(KeyedFile { content, is_latest: index + 1 == chain.len() });
            }
        }
        for handle in &state.operator {
            let content = files.read(&handle.file).await?;
            read.operator_states.extend(lists(handle, &content)?);
        }
        states.insert(*operator, Arc::new(read));
    }
    Ok(states)
}

/// The lists that a handle names in its file. Public for fuzzers alone.
pub fn lists(handle: &OperatorStateHandle, content: &[u8]) -> FlowResult<Vec<ListStateData>> {
    let mut lists = Vec::with_capacity(handle.states.len());
    for state in &handle.states {
        let elements = state.partitions.iter().map(|partition| {
            let start = usize::try_from(partition.offset).ok()?;
            let end = start.checked_add(usize::try_from(partition.length).ok()?)?;
            content.get(start..end).map(<[u8]>::to_vec)
        });
        let elements: Option<Vec<_>> = elements.collect();
        let elements = elements.ok_or_else(|| {
            FlowError::fatal(format!("list state {:?} lies outside of its file", state.name))
        })?;
        lists.push(ListStateData { name: state.name.clone(), mode: state.mode, elements });
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use hurtig_types::{
        RedistributionMode, StateFile,
        snapshot::{PartitionedState, StatePartition},
    };
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a handle says of its file, nothing beyond it is read.
        #[test]
        fn elements_lie_within_their_file_or_are_refused(
            content in prop::collection::vec(any::<u8>(), 0..50),
            places in prop::collection::vec(
                (prop_oneof![0u64..60, any::<u64>()], prop_oneof![0u64..60, any::<u64>()]),
                0..5,
            ),
        ) {
            let partitions = places.iter().map(|(offset, length)| StatePartition {
                offset: *offset,
                length: *length,
            });
            let state = PartitionedState {
                name: "list".to_owned(),
                mode: RedistributionMode::SplitDistribute,
                partitions: partitions.collect(),
            };
            let handle = OperatorStateHandle { file: StateFile::inline(&content), states: vec![state] };
            let total = content.len() as u128;
            let inside = |(offset, length): &(u64, u64)| {
                u128::from(*offset) + u128::from(*length) <= total
            };
            match lists(&handle, &content) {
                Ok(read) => {
                    prop_assert!(places.iter().all(inside));
                    let lengths = read[0].elements.iter().map(|element| element.len() as u64);
                    prop_assert!(lengths.eq(places.iter().map(|(_, length)| *length)));
                }
                Err(error) => {
                    prop_assert!(!places.iter().all(inside));
                    prop_assert!(error.to_string().contains("\"list\""));
                }
            }
        }
    }
}
