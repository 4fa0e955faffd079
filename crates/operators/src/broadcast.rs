//! The broadcast state pattern: a stream, keyed or not, beside one that every subtask gets whole.
//!
//! Records of the broadcast stream change broadcast state, which is then equal in all subtasks, as
//! long as they do the same in each. Records of the other stream can only read it: there are
//! others in other subtasks. The types say so: one side is lent the state exclusively, the other
//! shared.

mod operator;

use std::ops::{Deref, DerefMut};

use hurtig_env::Clock;
use hurtig_state_api::Key;
use hurtig_state_heap::{KeyedState, KeyedStateStore, OperatorStateStore};
use hurtig_types::{BoxError, Record};

use crate::{
    Collector, OutputTag, RuntimeContext,
    checkpointed::checkpointed_hooks,
    keyed::{KeyedContext, TimeDomain},
};

pub use operator::{
    BroadcastProcessOperator, KeyedBroadcastProcessOperator, RegisterBroadcastStates,
};

/// Called in `open` of a broadcast function: takes the handles of broadcast states, which have been
/// registered with the stream.
pub struct BroadcastOpenContext<'a> {
    /// Subtask, parallelism, metrics, accumulators.
    pub runtime: &'a RuntimeContext,
    /// Where broadcast states are.
    pub broadcast: &'a mut OperatorStateStore,
}

/// Called in `open` of a keyed broadcast function: takes the handles of broadcast states, and
/// registers keyed ones.
pub struct KeyedBroadcastOpenContext<'a, K> {
    /// Subtask, parallelism, metrics, accumulators.
    pub runtime: &'a RuntimeContext,
    /// Where keyed state is registered.
    pub state: &'a mut KeyedStateStore<K>,
    /// Where broadcast states are.
    pub broadcast: &'a mut OperatorStateStore,
}

/// Times, as both sides see them.
#[derive(Clone, Copy, Debug)]
struct Times {
    timestamp: Option<i64>,
    watermark: i64,
    clock: Clock,
}

macro_rules! times {
    () => {
        /// Event time of the record; `None` if the stream has no timestamps.
        pub fn timestamp(&self) -> Option<i64> {
            self.times.timestamp
        }

        /// Event time so far: `i64::MIN` before the first watermark.
        pub fn current_watermark(&self) -> i64 {
            self.times.watermark
        }

        /// The wall clock, in milliseconds since the Unix epoch.
        pub fn current_processing_time(&self) -> i64 {
            self.times.clock.now_ms()
        }

        /// Emits a record on a side output.
        pub fn output<O: Record, X: Record>(
            &self,
            out: &mut Collector<'_, O>,
            tag: &OutputTag<X>,
            value: X,
        ) {
            out.output(tag, value);
        }
    };
}

/// What a function works with for a record that is not broadcast.
pub struct ReadOnlyContext<'a> {
    /// The broadcast states, to be read.
    pub broadcast: &'a OperatorStateStore,
    times: Times,
}

impl ReadOnlyContext<'_> {
    times!();
}

/// What a function works with for a broadcast record.
pub struct BroadcastContext<'a> {
    /// The broadcast states, to be read and changed: by each subtask in the same way.
    pub broadcast: &'a mut OperatorStateStore,
    times: Times,
}

impl BroadcastContext<'_> {
    times!();
}

/// What a function works with for a keyed record or a timer: a [`KeyedContext`], and the broadcast
/// states.
pub struct KeyedReadOnlyContext<'a, 'k, K> {
    keyed: &'a mut KeyedContext<'k, K>,
    /// The broadcast states, to be read.
    pub broadcast: &'a OperatorStateStore,
}

impl<'k, K> Deref for KeyedReadOnlyContext<'_, 'k, K> {
    type Target = KeyedContext<'k, K>;

    fn deref(&self) -> &KeyedContext<'k, K> {
        self.keyed
    }
}

impl<K> DerefMut for KeyedReadOnlyContext<'_, '_, K> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.keyed
    }
}

/// What a keyed function works with for a broadcast record. There is no current key.
pub struct KeyedBroadcastContext<'a, K> {
    /// The broadcast states, to be read and changed: by each subtask in the same way.
    pub broadcast: &'a mut OperatorStateStore,
    state: &'a mut KeyedStateStore<K>,
    times: Times,
}

impl<K: Key> KeyedBroadcastContext<'_, K> {
    times!();

    /// Calls `f` for each key of this subtask that a state has something for. The store is there
    /// for that key: handles read and write its states.
    pub fn apply_to_keyed_state(
        &mut self,
        state: &impl KeyedState,
        f: impl FnMut(&K, &mut KeyedStateStore<K>) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        self.state.for_each_key(state, f)
    }
}

/// A function over a stream and a broadcast stream; as Flink's.
pub trait BroadcastProcessFunction<I, B, O: Record>: Send {
    checkpointed_hooks!();
    /// Called once before the first record.
    fn open(&mut self, context: &mut BroadcastOpenContext<'_>) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }
    /// Processes a record of the stream that is not broadcast.
    fn process_element(
        &mut self,
        value: I,
        context: &mut ReadOnlyContext<'_>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError>;
    /// Processes a record of the broadcast stream. Every subtask gets it, and must change broadcast
    /// state in the same way.
    fn process_broadcast_element(
        &mut self,
        value: B,
        context: &mut BroadcastContext<'_>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError>;
    /// Called once at the end, also after a failure.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A function over a keyed stream and a broadcast stream, with state and timers per key; as Flink's.
pub trait KeyedBroadcastProcessFunction<K: Key, I, B, O: Record>: Send {
    checkpointed_hooks!();
    /// Called once before the first record.
    fn open(&mut self, context: &mut KeyedBroadcastOpenContext<'_, K>) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }
    /// Processes a record of the keyed stream.
    fn process_element(
        &mut self,
        value: I,
        context: &mut KeyedReadOnlyContext<'_, '_, K>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError>;
    /// Processes a record of the broadcast stream. Every subtask gets it, and must change broadcast
    /// state in the same way.
    fn process_broadcast_element(
        &mut self,
        value: B,
        context: &mut KeyedBroadcastContext<'_, K>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError>;
    /// A timer of the current key is due.
    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedReadOnlyContext<'_, '_, K>,
        out: &mut Collector<'_, O>,
    ) -> Result<(), BoxError> {
        let _ = (time, domain, context, out);
        Ok(())
    }
    /// Called once at the end, also after a failure.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}
