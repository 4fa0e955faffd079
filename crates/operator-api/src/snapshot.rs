//! How an operator's state gets into a checkpoint and back.
//!
//! 1. The barrier reaches the operator: `prepare_barrier`, where it may still emit, and may begin
//!    what must be over before the state counts; the barrier waits for `is_prepared`.
//! 2. `begin_capture`: the state as it is now is what counts. This must be quick, whatever the
//!    size of the state: operator state, which is small, is returned at once; keyed state is only
//!    marked.
//! 3. Between later batches the task asks for the keyed state piece by piece (`next_capture`) and
//!    has the pieces written beside the processing.
//! 4. When all tasks have done so the checkpoint is complete: `checkpoint_complete`. If it fails:
//!    `checkpoint_aborted`.
//! 5. A restored operator finds its state in the context that it is opened with.

use std::sync::Arc;

use hurtig_types::{CheckpointId, RedistributionMode, StateMeta};

/// What an operator has to say when a capture begins.
#[derive(Debug, Default)]
pub struct Captured {
    /// There is keyed state, to be asked for.
    pub keyed: bool,
    /// Number of the capture: later ones may be asked for what has changed since. Without a number
    /// this capture and the next are of everything.
    pub number: Option<u32>,
    /// Operator state.
    pub operator_states: Vec<ListStateData>,
    /// Describes all states, keyed ones too.
    pub metas: Vec<StateMeta>,
}

/// The elements of one list or broadcast state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListStateData {
    /// Its name.
    pub name: String,
    /// How the elements are spread at a restore.
    pub mode: RedistributionMode,
    /// The elements, encoded.
    pub elements: Vec<Vec<u8>>,
}

/// Content of one file of keyed state.
#[derive(Clone, Debug)]
pub struct KeyedFile {
    /// The bytes.
    pub content: Arc<[u8]>,
    /// No file follows that holds changes to this one. What a capture writes in full each time
    /// (timers) counts only here: in an earlier file it is superseded.
    pub is_latest: bool,
}

/// What a restored operator starts from.
#[derive(Clone, Debug, Default)]
pub struct OperatorRestore {
    /// The checkpoint.
    pub checkpoint_id: CheckpointId,
    /// Keyed state files, in the order in which they apply.
    pub keyed: Vec<KeyedFile>,
    /// Operator state.
    pub operator_states: Vec<ListStateData>,
    /// Describes all states as they were written.
    pub metas: Vec<StateMeta>,
}

impl OperatorRestore {
    /// How a state was described when it was written.
    pub fn meta(&self, name: &str) -> Option<&StateMeta> {
        self.metas.iter().find(|meta| meta.name == name)
    }

    /// The elements of a list state.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let state = self.operator_states.iter().filter(move |state| state.name == name);
        state.flat_map(|state| state.elements.iter().map(Vec::as_slice))
    }
}
