//! Asynchronous operations: a request starts one and is given its trigger id; later requests ask
//! how it stands. As Flink's `AbstractAsynchronousOperationHandlers`.
//!
//! [`OperationTable`] is pure: it knows what is under way and what has completed, takes the time as
//! an argument, and forgets results that are older than `rest.async.store-duration`. A trigger id
//! that the client brings makes a repeated request harmless: it starts nothing.
//!
//! Bounds: [`MOST_IN_PROGRESS`] operations under way, beyond which requests are refused, and
//! [`MOST_COMPLETED`] results, of which the oldest are forgotten first.

use std::collections::{BTreeMap, VecDeque};

use hurtig_types::JobId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most operations under way.
pub const MOST_IN_PROGRESS: usize = 256;

/// Most results that are kept.
pub const MOST_COMPLETED: usize = 1024;

/// One asynchronous operation: 32 hexadecimal digits.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct TriggerId(pub u128);

impl std::fmt::Display for TriggerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<TriggerId> for String {
    fn from(id: TriggerId) -> Self {
        id.to_string()
    }
}

impl std::str::FromStr for TriggerId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id: Result<JobId, _> = text.parse();
        id.map(|id| Self(id.0)).map_err(|e| e.to_string().replace("JobId", "a trigger id"))
    }
}

impl TryFrom<String> for TriggerId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationKind {
    /// A savepoint, after which the job may stop.
    Savepoint,
    /// A checkpoint.
    Checkpoint,
    /// The disposal of a savepoint.
    SavepointDisposal,
}

/// An operation: what, of which job, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationKey {
    /// What.
    pub kind: OperationKind,
    /// Of which job, if of one.
    pub job: Option<JobId>,
    /// The id.
    pub trigger: TriggerId,
}

/// How an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationStatus {
    /// Under way.
    InProgress,
    /// It has succeeded; where its result is, if it has one.
    Succeeded(Option<String>),
    /// It has failed.
    Failed(String),
}

/// What became of the wish to start an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is to be started.
    Started,
    /// It was started before.
    Known,
    /// Too many are under way.
    Refused,
}

/// All operations that are under way or remembered.
#[derive(Debug)]
pub struct OperationTable {
    store_duration_ms: i64,
    operations: BTreeMap<OperationKey, OperationStatus>,
    in_progress: usize,
    /// When each result came, oldest first.
    completed: VecDeque<(i64, OperationKey)>,
}

impl OperationTable {
    /// An empty table, which keeps results for that long.
    pub fn new(store_duration_ms: u64) -> Self {
        Self {
            store_duration_ms: i64::try_from(store_duration_ms).unwrap_or(i64::MAX),
            operations: BTreeMap::new(),
            in_progress: 0,
            completed: VecDeque::new(),
        }
    }

    /// Somebody wants an operation.
    pub fn begin(&mut self, key: OperationKey, now_ms: i64) -> Begun {
        self.forget_old(now_ms);
        if self.operations.contains_key(&key) {
            return Begun::Known;
        }
        if self.in_progress == MOST_IN_PROGRESS {
            return Begun::Refused;
        }
        self.in_progress += 1;
        self.operations.insert(key, OperationStatus::InProgress);
        Begun::Started
    }

    /// An operation that was begun has ended.
    pub fn complete(&mut self, key: OperationKey, result: OperationStatus, now_ms: i64) {
        debug_assert!(result != OperationStatus::InProgress, "an end is no beginning");
        let Some(status) = self.operations.get_mut(&key) else { return };
        if *status != OperationStatus::InProgress {
            return;
        }
        *status = result;
        self.in_progress -= 1;
        self.completed.push_back((now_ms, key));
        self.forget_old(now_ms);
    }

    /// How an operation stands; `None` if it is not known, or not any more.
    pub fn status(&mut self, key: OperationKey, now_ms: i64) -> Option<OperationStatus> {
        self.forget_old(now_ms);
        self.operations.get(&key).cloned()
    }

    fn forget_old(&mut self, now_ms: i64) {
        while let Some((at_ms, key)) = self.completed.front().copied() {
            let old = now_ms.saturating_sub(at_ms) > self.store_duration_ms;
            if !old && self.completed.len() <= MOST_COMPLETED {
                return;
            }
            self.completed.pop_front();
            self.operations.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(trigger: u128) -> OperationKey {
        OperationKey {
            kind: OperationKind::Savepoint,
            job: Some(JobId(7)),
            trigger: TriggerId(trigger),
        }
    }

    fn done() -> OperationStatus {
        OperationStatus::Succeeded(Some("file:///s".to_owned()))
    }

    #[test]
    fn an_operation_is_in_progress_then_completed_then_forgotten() {
        let mut table = OperationTable::new(100);
        assert_eq!(table.status(key(1), 0), None);
        assert_eq!(table.begin(key(1), 0), Begun::Started);
        assert_eq!(table.status(key(1), 1_000), Some(OperationStatus::InProgress), "never old");
        table.complete(key(1), done(), 1_000);
        assert_eq!(table.status(key(1), 1_100), Some(done()));
        assert_eq!(table.status(key(1), 1_101), None);
    }

    #[test]
    fn a_repeated_request_starts_nothing_and_other_jobs_have_ids_of_their_own() {
        let mut table = OperationTable::new(100);
        assert_eq!(table.begin(key(1), 0), Begun::Started);
        assert_eq!(table.begin(key(1), 0), Begun::Known);
        table.complete(key(1), done(), 5);
        assert_eq!(table.begin(key(1), 6), Begun::Known);
        table.complete(key(1), OperationStatus::Failed("late".to_owned()), 7);
        assert_eq!(table.status(key(1), 8), Some(done()), "the first end counts");
        let other = OperationKey { job: Some(JobId(8)), ..key(1) };
        assert_eq!(table.status(other, 8), None);
        assert_eq!(table.begin(other, 8), Begun::Started);
    }

    #[test]
    fn both_sides_are_bounded() {
        let mut table = OperationTable::new(1_000_000);
        for i in 0..MOST_IN_PROGRESS as u128 {
            assert_eq!(table.begin(key(i), 0), Begun::Started);
        }
        assert_eq!(table.begin(key(1_000), 0), Begun::Refused);
        table.complete(key(0), done(), 1);
        assert_eq!(table.begin(key(1_000), 1), Begun::Started);
        for i in 2_000..4_000 {
            table.complete(key(1_000), done(), 2);
            table.complete(key(i), done(), 2);
            table.begin(key(i + 1), 2);
        }
        assert!(table.completed.len() <= MOST_COMPLETED);
        assert!(table.operations.len() <= MOST_COMPLETED + MOST_IN_PROGRESS);
        assert_eq!(table.status(key(0), 3), None, "the oldest went first");
    }

    #[test]
    fn a_trigger_id_is_32_digits() {
        let id = TriggerId(0xabc);
        assert_eq!(id.to_string().parse(), Ok(id));
        let error = "nonsense".parse::<TriggerId>().unwrap_err();
        assert_eq!(error, r#"a trigger id must be 32 hexadecimal digits, got "nonsense""#);
    }
}
