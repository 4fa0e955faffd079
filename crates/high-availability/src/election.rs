//! Who leads.
//!
//! Contenders compete for one record per scope, the leader's record: its token, its holder, and
//! the addresses under which the holder's components are reached. Whoever writes it with the next
//! token, on condition that it is unchanged, is the leader.
//!
//! - [`decision`]: when to read, when to write, when leadership begins and ends; pure.
//! - [`service`]: the task that carries that out, and the handle to it.
//!
//! Two rules say when a contender may try to take over ([`TakeoverRule`]):
//! - *Lease*: the holder renews its record. A contender that has seen no change of it for the
//!   lease, by its own monotonic clock, may try. No clock time is ever written down.
//! - *Latch*: the backend says who is first in line (ZooKeeper: sessions and their nodes).
//!
//! Both only say when to try. A leader that cannot reach the record does not know whether it still
//! leads: it is *suspended*, and goes on. It is revoked when it reads that the record names
//! another, and not before. Meanwhile fenced records keep it from doing harm.

use std::{collections::BTreeMap, fmt};

use hurtig_cluster_api::FencingToken;
use hurtig_types::JobId;
use serde::{Deserialize, Serialize};

pub mod decision;
pub mod service;

#[cfg(test)]
mod exploration;

pub use decision::TakeoverRule;
pub use service::{LeaderContender, LeaderElection};

/// One life of one contender: a process that restarts is another. Callers draw it at random.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContenderId(pub u128);

impl fmt::Display for ContenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ContenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContenderId({:032x})", self.0)
    }
}

/// What a leader leads. Tokens of different scopes have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaderScope {
    /// The cluster: Dispatcher, ResourceManager and REST endpoint of a JobManager lead together.
    Cluster,
    /// One job: its JobMaster.
    Job(JobId),
}

impl LeaderScope {
    /// The key of the leader's record.
    pub fn record_key(self) -> String {
        match self {
            Self::Cluster => "leader".to_owned(),
            Self::Job(job) => format!("jobs/{job}/leader"),
        }
    }

    /// Whether contenders make the record if there is none. That of a job is made when the job is
    /// submitted, so that nothing of it comes back after its end.
    pub(crate) fn contenders_create(self) -> bool {
        self == Self::Cluster
    }
}

impl fmt::Display for LeaderScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the cluster"),
            Self::Job(job) => write!(f, "job {job}"),
        }
    }
}

/// The leader's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderRecord {
    /// Counts leaders; 0 if there has been none.
    pub token: u64,
    /// Counts the holder's writes, so that contenders see that it lives.
    pub renewal: u64,
    /// The holder's [`ContenderId`]; `None` after it has left in order.
    pub holder: Option<String>,
    /// How long contenders must see no change before they try.
    pub lease_ms: u64,
    /// Where the holder's components are reached.
    pub addresses: BTreeMap<String, String>,
}

impl LeaderRecord {
    /// The record of a scope that nobody has led yet.
    pub fn unclaimed() -> Self {
        Self { token: 0, renewal: 0, holder: None, lease_ms: 0, addresses: BTreeMap::new() }
    }

    pub(crate) fn is_held_by(&self, contender: ContenderId) -> bool {
        self.holder.as_deref() == Some(&*contender.to_string())
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Maps of texts and numbers always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// Whether a contender leads, as far as it can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// It does not.
    Standby,
    /// It does.
    Leader(FencingToken),
    /// It does unless another has taken over meanwhile, which it cannot find out at present. Its
    /// work goes on; what is not fenced and cannot be undone should wait.
    Suspended(FencingToken),
}

impl Leadership {
    /// The token, if it leads or may still lead.
    pub fn token(self) -> Option<FencingToken> {
        match self {
            Self::Standby => None,
            Self::Leader(token) | Self::Suspended(token) => Some(token),
        }
    }
}
