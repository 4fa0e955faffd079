//! State with a time to live: values that carry the time of their last use.
//!
//! A value, each element of a list and each entry of a map has a time of its own, in milliseconds of
//! the wall clock. It has expired when `time + time to live <= now`. *Now* is told to the store by
//! its operator once per batch, so all records of a batch see the same time.
//!
//! Only state that was declared with a time to live is kept in these forms; all other state is kept
//! plainly and costs nothing.

use std::hash::Hash;

use hurtig_state_api::{StateTtlConfig, StateVisibility, UpdateType};
use hurtig_types::Record;
use serde::{Deserialize, Serialize};

use crate::{
    capture::{Filter, Kept},
    state_map::StateMap,
};

/// What a state's handle knows of its time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ttl {
    ttl_ms: i64,
    pub(crate) on_read: bool,
    pub(crate) return_expired: bool,
}

impl Ttl {
    pub(crate) fn new(config: &StateTtlConfig) -> Self {
        Self {
            ttl_ms: config.time_to_live_ms(),
            on_read: config.update_type() == UpdateType::OnReadAndWrite,
            return_expired: config.state_visibility()
                == StateVisibility::ReturnExpiredIfNotCleanedUp,
        }
    }

    /// What was used last then or earlier has expired.
    pub(crate) fn horizon_ms(self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.ttl_ms)
    }

    /// What was used last then or earlier cannot be seen.
    pub(crate) fn visible_ms(self, now_ms: i64) -> i64 {
        if self.return_expired { i64::MIN } else { self.horizon_ms(now_ms) }
    }
}

/// How much of a value has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    Nothing,
    Part,
    All,
}

/// A value with its time, or times.
pub(crate) trait Expiring: Record {
    /// The same without times.
    type Plain: Record;
    /// Gives every part the same time.
    fn stamp(plain: Self::Plain, now_ms: i64) -> Self;
    /// Takes the times away.
    fn strip(self) -> Self::Plain;
    /// How much of it has its last use at `horizon_ms` or earlier.
    fn expired(&self, horizon_ms: i64) -> Expired;
    /// Drops those parts.
    fn drop_expired(&mut self, horizon_ms: i64);
    /// False if it cannot be a value: the bytes that it was read from are damaged.
    fn is_sound(&self) -> bool {
        true
    }
}

/// A capture that leaves out what has expired.
pub(crate) fn unexpired<S: Expiring>(horizon_ms: i64) -> Filter<S> {
    let keep = |value: &S, horizon_ms| match value.expired(horizon_ms) {
        Expired::Nothing => Kept::All,
        Expired::All => Kept::Nothing,
        Expired::Part => {
            let mut value = value.clone();
            value.drop_expired(horizon_ms);
            Kept::Part(value)
        }
    };
    Filter { horizon_ms, keep }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stamped<V> {
    pub(crate) at_ms: i64,
    pub(crate) value: V,
}

impl<V: Record> Expiring for Stamped<V> {
    type Plain = V;

    fn stamp(value: V, at_ms: i64) -> Self {
        Self { at_ms, value }
    }

    fn strip(self) -> V {
        self.value
    }

    fn expired(&self, horizon_ms: i64) -> Expired {
        if self.at_ms <= horizon_ms { Expired::All } else { Expired::Nothing }
    }

    fn drop_expired(&mut self, _: i64) {}
}

/// Times and values side by side, so that the values are a slice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StampedList<V> {
    pub(crate) at_ms: Vec<i64>,
    pub(crate) values: Vec<V>,
}

impl<V: Record> Expiring for StampedList<V> {
    type Plain = Vec<V>;

    fn stamp(values: Vec<V>, now_ms: i64) -> Self {
        Self { at_ms: vec![now_ms; values.len()], values }
    }

    fn strip(self) -> Vec<V> {
        self.values
    }

    fn expired(&self, horizon_ms: i64) -> Expired {
        let expired = self.at_ms.iter().filter(|at| **at <= horizon_ms).count();
        match expired {
            all if all == self.at_ms.len() => Expired::All,
            0 => Expired::Nothing,
            _ => Expired::Part,
        }
    }

    fn drop_expired(&mut self, horizon_ms: i64) {
        let mut times = self.at_ms.iter();
        self.values.retain(|_| times.next().is_some_and(|at| *at > horizon_ms));
        self.at_ms.retain(|at| *at > horizon_ms);
    }

    fn is_sound(&self) -> bool {
        self.at_ms.len() == self.values.len()
    }
}

impl<UK: Record + Eq + Hash, UV: Record> Expiring for StateMap<UK, Stamped<UV>> {
    type Plain = StateMap<UK, UV>;

    fn stamp(plain: StateMap<UK, UV>, now_ms: i64) -> Self {
        plain.into_iter().map(|(key, value)| (key, Stamped::stamp(value, now_ms))).collect()
    }

    fn strip(self) -> StateMap<UK, UV> {
        self.into_iter().map(|(key, stamped)| (key, stamped.value)).collect()
    }

    fn expired(&self, horizon_ms: i64) -> Expired {
        let expired = self.values().filter(|stamped| stamped.at_ms <= horizon_ms).count();
        match expired {
            all if all == self.len() => Expired::All,
            0 => Expired::Nothing,
            _ => Expired::Part,
        }
    }

    fn drop_expired(&mut self, horizon_ms: i64) {
        self.retain(|_, stamped| stamped.at_ms > horizon_ms);
    }
}
